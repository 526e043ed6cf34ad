//! Pictures as inputs: each rule of `siamese::data::pictures`, and what is refused.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, LumaA, Pixel, Rgb, RgbImage, Rgba};
use siamese::data::decode::{Budget, Encoded, shape};
use siamese::data::pictures::{Ground, Pictures, read};

use crate::heap::peak;

const AS_IS: Pictures = Pictures { invert: false, ground: Ground::Black };
const INVERTED: Pictures = Pictures { invert: true, ground: Ground::Black };

/// A folder with one picture, and the picture's path.
fn saved(image: impl Into<DynamicImage>, name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    image.into().save(&path).unwrap();
    (folder, path)
}

fn grey(width: u32, height: u32, value: impl Fn(u32, u32) -> u8) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| Luma([value(x, y)]))
}

#[test]
fn a_picture_of_the_right_size_stays_as_it_is() {
    let own = grey(5, 4, |x, y| (10 * y + x) as u8);
    for name in ["a.png", "a.bmp", "a.tiff", "a.pgm", "a.gif", "a.webp", "a.PNG"] {
        let (_folder, path) = saved(
            if name.ends_with("gif") || name.ends_with("webp") {
                DynamicImage::from(own.clone()).to_rgb8().into()
            } else {
                DynamicImage::from(own.clone())
            },
            name,
        );
        assert_eq!(read(&path, [4, 5, 1], AS_IS).unwrap(), own.as_raw().clone(), "{name}");
    }
    let (_folder, path) = saved(own.clone(), "inverted.png");
    let inverted: Vec<u8> = own.iter().map(|value| 255 - value).collect();
    assert_eq!(read(&path, [4, 5, 1], INVERTED).unwrap(), inverted);
}

/// A picture of an archive is as the same picture in a file of its own, and named by its errors.
#[test]
fn bytes_are_as_files() {
    let own = grey(9, 7, |x, y| (20 * y + x) as u8);
    for name in ["a.png", "a.jpg", "a.tiff", "a.pgm"] {
        let (_folder, path) = saved(own.clone(), name);
        let bytes = fs::read(&path).unwrap();
        let name = Path::new("faces-0003.tar/anna/1.picture");
        let member = |bytes| Encoded::Bytes { name, bytes };
        assert_eq!(shape(member(&bytes)).unwrap(), shape(&path).unwrap());
        let [whole, file] = [read(member(&bytes), [7, 9, 1], AS_IS), read(&path, [7, 9, 1], AS_IS)];
        assert_eq!(whole.unwrap(), file.unwrap());
        for broken in [&bytes[..bytes.len() / 2], &b"no picture"[..], &[]] {
            let error = read(member(broken), [7, 9, 1], AS_IS).unwrap_err().to_string();
            assert!(error.contains("faces-0003.tar/anna/1.picture"), "{error}");
        }
    }
}

#[test]
fn colour_and_grey_become_each_other() {
    let (_folder, path) = saved(RgbImage::from_pixel(2, 2, Rgb([255, 0, 0])), "red.png");
    assert_eq!(shape(&path).unwrap(), [2, 2, 3]);
    assert_eq!(read(&path, [2, 2, 3], AS_IS).unwrap()[..3], [255, 0, 0]);
    let luma = read(&path, [2, 2, 1], AS_IS).unwrap();
    assert!(luma.iter().all(|&value| value.abs_diff((0.2126_f64 * 255.0) as u8) <= 1), "Rec. 709: {luma:?}");
    let (_folder, path) = saved(grey(2, 2, |_, _| 7), "grey.png");
    assert_eq!(shape(&path).unwrap(), [2, 2, 1]);
    assert_eq!(read(&path, [2, 2, 3], AS_IS).unwrap(), [7; 12]);
}

#[test]
fn transparency_and_margins_show_the_ground() {
    let half = image::ImageBuffer::<LumaA<u8>, _>::from_fn(2, 1, |x, _| LumaA([100, if x == 0 { 255 } else { 0 }]));
    let (_folder, path) = saved(half, "half.png");
    assert_eq!(read(&path, [1, 2, 1], AS_IS).unwrap(), [100, 0], "black");
    assert_eq!(read(&path, [1, 2, 1], INVERTED).unwrap(), [155, 0], "white, which becomes black");
    for (ground, value) in [(Ground::Black, 0), (Ground::Grey, 128), (Ground::White, 255)] {
        for (invert, grey) in [(false, 100), (true, 155)] {
            let pictures = Pictures { invert, ground };
            assert_eq!(read(&path, [1, 2, 1], pictures).unwrap(), [grey, value], "{pictures:?}");
            let margins = read(&path, [3, 2, 3], pictures).unwrap();
            assert_eq!(margins, [[value; 6], [grey, grey, grey, value, value, value], [value; 6]].concat());
        }
    }
    let mixed = image::ImageBuffer::from_pixel(1, 1, Rgba([200, 0, 0, 51_u8]));
    let (_folder, path) = saved(mixed, "mixed.png");
    assert_eq!(read(&path, [1, 1, 3], AS_IS).unwrap(), [40, 0, 0], "a fifth of it, four fifths of the ground");
    let white = Pictures { ground: Ground::White, ..AS_IS };
    assert_eq!(read(&path, [1, 1, 3], white).unwrap(), [244, 204, 204]);
}

/// What models of before grounds say of pictures is read, and written as it was.
#[test]
fn models_without_a_ground_have_a_black_one() {
    let old = r#"{"invert":true}"#;
    let pictures: Pictures = serde_json::from_str(old).unwrap();
    assert_eq!(pictures, INVERTED);
    assert_eq!(serde_json::to_string(&pictures).unwrap(), old);
    let white = Pictures { ground: "white".parse().unwrap(), ..INVERTED };
    let text = serde_json::to_string(&white).unwrap();
    assert_eq!(serde_json::from_str::<Pictures>(&text).unwrap(), white, "{text}");
    assert!("red".parse::<Ground>().unwrap_err().contains("black, grey, white"));
}

/// A PNG file of rows as they are packed, with chunks before them.
fn png([width, height]: [u32; 2], bits: u8, kind: u8, chunks: &[(&[u8; 4], &[u8])], rows: &[&[u8]]) -> Vec<u8> {
    let chunk = |name: &[u8; 4], data: &[u8]| {
        let body = [name.as_slice(), data].concat();
        let mut sum = flate2::Crc::new();
        sum.update(&body);
        [(data.len() as u32).to_be_bytes().as_slice(), &body, &sum.sum().to_be_bytes()].concat()
    };
    let head = [width.to_be_bytes().as_slice(), &height.to_be_bytes(), &[bits, kind, 0, 0, 0]].concat();
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    for row in rows {
        packed.write_all(&[&[0], *row].concat()).unwrap();
    }
    let others = chunks.iter().flat_map(|(name, data)| chunk(name, data));
    let data = chunk(b"IDAT", &packed.finish().unwrap());
    let start = [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(b"IHDR", &head)].concat();
    start.into_iter().chain(others).chain(data).chain(chunk(b"IEND", &[])).collect()
}

/// The pixels of bytes in memory, as they are.
fn pixels(bytes: &[u8], input: [usize; 3]) -> Vec<u8> {
    read(Encoded::Bytes { name: Path::new("picture"), bytes }, input, AS_IS).unwrap()
}

#[test]
fn few_bits_and_palettes_are_unpacked() {
    const GREY: u8 = 0;
    const PALETTE: u8 = 3;
    let packed: &[(u8, &[u8], &[u8])] = &[
        (1, &[0b1011_0000], &[255, 0, 255, 255]),
        (2, &[0b0001_1011], &[0, 85, 170, 255]),
        (4, &[0x0f, 0x18], &[0, 255, 17, 136]),
    ];
    for &(bits, row, wanted) in packed {
        assert_eq!(pixels(&png([4, 1], bits, GREY, &[], &[row]), [1, 4, 1]), wanted, "{bits} bits");
    }
    let colours = [[255, 0, 0], [0, 255, 0], [9, 8, 7], [50, 60, 70]].concat();
    let of_palette = png([4, 1], 2, PALETTE, &[(b"PLTE", &colours)], &[&[0b0001_1011]]);
    assert_eq!(pixels(&of_palette, [1, 4, 3]), colours);
    let seen = png([4, 1], 2, PALETTE, &[(b"PLTE", &colours), (b"tRNS", &[255, 0])], &[&[0b0001_1011]]);
    assert_eq!(pixels(&seen, [1, 4, 3]), [[255, 0, 0], [0, 0, 0], [9, 8, 7], [50, 60, 70]].concat());
    let flat = RgbImage::from_fn(4, 2, |x, _| if x < 2 { Rgb([200, 10, 30]) } else { Rgb([1, 2, 250]) });
    let gif = encoded(flat.clone(), ImageFormat::Gif);
    assert_eq!(pixels(&gif, [2, 4, 3]), flat.into_raw());
}

#[test]
fn sixteen_bits_are_rounded_to_eight() {
    let values = [0, 128, 129, 385, 386, 32_768, 65_406, 65_407, 65_535];
    let wanted = values.map(|value| (f64::from(value) / 257.0).round() as u8);
    assert_eq!(wanted[..5], [0, 0, 1, 1, 2]);
    let grey = image::ImageBuffer::<Luma<u16>, _>::from_fn(9, 1, |x, _| Luma([values[x as usize]]));
    let seen = image::ImageBuffer::<LumaA<u16>, _>::from_fn(9, 1, |x, _| LumaA([values[x as usize], 65_535]));
    for (image, format) in
        [(grey.clone(), ImageFormat::Png), (grey.clone(), ImageFormat::Tiff), (grey, ImageFormat::Pnm)]
    {
        assert_eq!(pixels(&encoded(image, format), [1, 9, 1]), wanted, "{format:?}");
    }
    assert_eq!(pixels(&encoded(seen, ImageFormat::Png), [1, 9, 1]), wanted, "with opacity");
    let colour = image::ImageBuffer::<Rgb<u16>, _>::from_fn(3, 1, |x, _| {
        Rgb([0, 1, 2].map(|channel| values[3 * x as usize + channel]))
    });
    assert_eq!(pixels(&encoded(colour, ImageFormat::Png), [1, 3, 3]), wanted);
}

/// 16 × 16 pixels in four blocks of inks (255, 0, 0, 0), (0, 204, 51, 0), (40, 80, 120, 100) and (0, 0, 0, 255), as
/// Pillow's `save("cmyk.jpg", quality=95, subsampling=0, optimize=True)` writes them: inverted, after Adobe's marker.
const CMYK: &[u8] = include_bytes!("../golden/cmyk.jpg");

#[test]
fn inks_become_colours() {
    let inks: [[f64; 4]; 4] =
        [[255.0, 0.0, 0.0, 0.0], [0.0, 204.0, 51.0, 0.0], [40.0, 80.0, 120.0, 100.0], [0.0, 0.0, 0.0, 255.0]];
    let marker = place_of(CMYK, b"Adobe");
    let is_as = |bytes: &[u8], colour: fn([f64; 3]) -> [f64; 3]| {
        let found = pixels(bytes, [16, 16, 3]);
        for (block, ink) in inks.iter().enumerate() {
            let place = 3 * (16 * (4 + block / 2 * 8) + 4 + block % 2 * 8);
            let [c, m, y] = colour([0, 1, 2].map(|channel| 255.0 - ink[channel]));
            let wanted = [c, m, y].map(|value| value * (255.0 - ink[3]) / 255.0);
            for (found, wanted) in found[place..][..3].iter().zip(wanted) {
                assert!((f64::from(*found) - wanted).abs() <= 2.0, "block {block}: {found} for {wanted}");
            }
        }
    };
    is_as(CMYK, |colour| colour);
    // The same values, but called luma, chroma and black ink: their red, green and blue are the first three inks.
    let ycck = patched(CMYK.to_vec(), marker + 11, &[2]);
    is_as(&ycck, |[y, blue, red]| {
        let (blue, red) = (blue - 128.0, red - 128.0);
        [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue]
            .map(|value| 255.0 - value.clamp(0.0, 255.0))
    });
    assert_eq!(shape(Encoded::Bytes { name: Path::new("a"), bytes: CMYK }).unwrap(), [16, 16, 3]);
}

#[test]
fn other_sizes_are_fitted_and_centred() {
    // Twice as wide as high: fills the middle half of a square.
    let (_folder, path) = saved(grey(16, 8, |_, _| 200), "wide.png");
    let fitted = read(&path, [8, 8, 1], AS_IS).unwrap();
    for (row, values) in fitted.chunks(8).enumerate() {
        let wanted = if (2..6).contains(&row) { 200 } else { 0 };
        assert_eq!(values, [wanted; 8], "row {row}");
    }
    // A step edge, halved: the mean is kept.
    let (_folder, path) = saved(grey(16, 16, |x, _| if x < 8 { 0 } else { 200 }), "edge.png");
    let halved = read(&path, [8, 8, 1], AS_IS).unwrap();
    let mean = halved.iter().map(|&value| f64::from(value)).sum::<f64>() / 64.0;
    assert!((mean - 100.0).abs() < 1.0 && halved[0] == 0 && halved[7] == 200, "{halved:?}");
    // A line a thousand pixels long still has one pixel of height.
    let (_folder, path) = saved(grey(1000, 1, |_, _| 255), "line.png");
    assert!(read(&path, [8, 8, 1], AS_IS).unwrap().contains(&255));
}

/// Pixels of any kind are brought as the rules say it, one after the other over whole pictures. What scales them here
/// rounds but once, and therefore may be one off.
#[test]
fn the_rules_hold_for_pixels_of_every_kind() {
    let noise =
        |x: u32, y: u32, channel: u32| (x * 7_919 + y * 104_729 + channel * 15_485_863).wrapping_mul(2_654_435_761);
    let colours = image::ImageBuffer::<Rgba<u16>, _>::from_fn(23, 17, |x, y| {
        Rgba([0, 1, 2, 3].map(|channel| (noise(x, y, channel) >> 16) as u16))
    });
    let colours = DynamicImage::from(colours);
    let kinds: [DynamicImage; 8] = [
        colours.to_luma8().into(),
        colours.to_luma16().into(),
        colours.to_luma_alpha8().into(),
        colours.to_luma_alpha16().into(),
        colours.to_rgb8().into(),
        colours.to_rgb16().into(),
        colours.to_rgba8().into(),
        colours,
    ];
    for kind in kinds {
        let (_folder, path) = saved(kind.clone(), "kind.png");
        for (side, channels, pictures) in [(10, 1, AS_IS), (10, 3, AS_IS), (40, 1, INVERTED), (40, 3, INVERTED)] {
            let mut picture = kind.clone();
            if kind.color().has_alpha() {
                let ground = if pictures.invert { 255 } else { 0 };
                let mut opaque = kind.to_rgba8();
                for pixel in opaque.pixels_mut() {
                    let mut below = Rgba([ground, ground, ground, 255]);
                    below.blend(pixel);
                    *pixel = below;
                }
                picture = opaque.into();
            }
            let mut values = if channels == 1 { DynamicImage::from(picture.to_luma8()) } else { picture }.to_rgb8();
            if pictures.invert {
                imageops::invert(&mut values);
            }
            let high = (17.0 * f64::from(side) / 23.0).round() as u32;
            let scaled = imageops::resize(&values, side, high, FilterType::Triangle);
            let mut wanted = RgbImage::new(side, side);
            imageops::replace(&mut wanted, &scaled, 0, i64::from((side - high) / 2));
            let wanted: Vec<u8> = wanted.pixels().flat_map(|pixel| pixel.0.into_iter().take(channels)).collect();
            let found = read(&path, [side as usize, side as usize, channels], pictures).unwrap();
            let off = found.iter().zip(&wanted).map(|(found, wanted)| found.abs_diff(*wanted)).max();
            assert!(found.len() == wanted.len() && off <= Some(1), "{:?} to {channels} of {side}", kind.color());
        }
    }
}

/// A TIFF header with one entry: tag 0x0112, orientation, of type SHORT.
fn lying(orientation: u8) -> Vec<u8> {
    [b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(), &[orientation], &[0; 7]].concat()
}

/// Where the first row and the first column of the file lie, for each of the eight ways.
#[test]
fn cameras_notes_are_followed() {
    let wanted: [([usize; 2], [u8; 6]); 8] = [
        ([2, 3], [1, 2, 3, 4, 5, 6]),
        ([2, 3], [3, 2, 1, 6, 5, 4]),
        ([2, 3], [6, 5, 4, 3, 2, 1]),
        ([2, 3], [4, 5, 6, 1, 2, 3]),
        ([3, 2], [1, 4, 2, 5, 3, 6]),
        ([3, 2], [4, 1, 5, 2, 6, 3]),
        ([3, 2], [6, 3, 5, 2, 4, 1]),
        ([3, 2], [3, 6, 2, 5, 1, 4]),
    ];
    for (way, ([height, width], wanted)) in (1..).zip(wanted) {
        let bytes = png([3, 2], 8, 0, &[(b"eXIf", &lying(way))], &[&[1, 2, 3], &[4, 5, 6]]);
        assert_eq!(shape(Encoded::Bytes { name: Path::new("a"), bytes: &bytes }).unwrap(), [height, width, 1]);
        assert_eq!(pixels(&bytes, [height, width, 1]), wanted, "{way}");
    }
    let jpeg = encoded(grey(16, 8, |x, _| if x < 8 { 250 } else { 5 }), ImageFormat::Jpeg);
    let exif = [b"Exif\0\0".as_slice(), &lying(6)].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let turned = [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat();
    let values = pixels(&turned, [16, 8, 1]);
    assert!(values[4] > 200 && values[15 * 8 + 4] < 50, "the left side is on top: {values:?}");
}

#[test]
fn broken_and_huge_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.png");
    let error = |path: &Path| read(path, [8, 8, 1], AS_IS).unwrap_err().to_string();
    assert!(error(&path).contains("bad.png"), "nothing is there");
    for content in [&b""[..], b"no picture at all", b"\x89PNG\r\n\x1a\n"] {
        fs::write(&path, content).unwrap();
        assert!(error(&path).contains("bad.png"), "{}", error(&path));
    }
    let mut whole = std::io::Cursor::new(Vec::new());
    DynamicImage::from(grey(50, 50, |x, y| (x * y) as u8)).write_to(&mut whole, ImageFormat::Png).unwrap();
    let whole = whole.into_inner();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(error(&path).contains("bad.png"), "cut off");
    // A head that promises 4 · 10⁹ × 4 · 10⁹ pixels.
    let mut huge = whole;
    huge[16..24].fill(0x77);
    fs::write(&path, &huge).unwrap();
    assert!(error(&path).contains("bad.png"), "huge");
    // Within the sides allowed, but far above the memory: a PNM of 30,000 × 30,000.
    let path = folder.path().join("bomb.ppm");
    fs::write(&path, b"P6 30000 30000 255\n").unwrap();
    assert!(error(&path).contains("bomb.ppm"), "{}", error(&path));
}

/// `bytes` with others put at a place.
fn patched(mut bytes: Vec<u8>, place: usize, with: &[u8]) -> Vec<u8> {
    bytes[place..][..with.len()].copy_from_slice(with);
    bytes
}

fn place_of(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).expect("it is there")
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Files of less than a kilobyte whose heads announce gigabytes.
#[test]
fn what_is_too_large_is_refused_by_its_head() {
    let small = grey(16, 16, |x, y| (x * y) as u8);
    let colour = DynamicImage::from(small.clone()).to_rgb8();
    let side = 30_000_u16;
    let sides = |bytes: [u8; 2]| [bytes, bytes].concat();
    let wide = |bytes: [u8; 4]| [bytes, bytes].concat();
    let png = patched(encoded(small.clone(), ImageFormat::Png), 16, &wide(u32::from(side).to_be_bytes()));
    let mut sum = flate2::Crc::new();
    sum.update(&png[12..29]);
    let png = patched(png, 29, &sum.sum().to_be_bytes());
    let gif = patched(encoded(colour.clone(), ImageFormat::Gif), 6, &sides(side.to_le_bytes()));
    let jpeg = encoded(small.clone(), ImageFormat::Jpeg);
    let head = place_of(&jpeg, &[0xff, 0xc0]);
    let jpeg = patched(jpeg, head + 5, &sides(side.to_be_bytes()));
    let bmp = patched(encoded(colour.clone(), ImageFormat::Bmp), 18, &wide(u32::from(side).to_le_bytes()));
    let webp = encoded(colour.clone(), ImageFormat::WebP);
    let head = place_of(&webp, b"VP8L") + 9;
    let webp = patched(webp, head, &[0xfe, 0xbf, 0xff, 0x0f]);
    let mut tiff = encoded(colour, ImageFormat::Tiff);
    for tag in [[0, 1], [1, 1]] {
        let entry = place_of(&tiff, &[tag[0], tag[1], 4, 0, 1, 0, 0, 0]);
        tiff = patched(tiff, entry + 8, &u32::from(side).to_le_bytes());
    }
    let folder = tempfile::tempdir().unwrap();
    let files = [("a.png", png), ("a.gif", gif), ("a.jpg", jpeg), ("a.bmp", bmp), ("a.webp", webp), ("a.tif", tiff)];
    for (name, bytes) in files.into_iter().chain([("a.ppm", b"P6 30000 30000 255\n".to_vec())]) {
        assert!(bytes.len() < 2000, "{name}");
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let (found, bytes) = peak(|| read(&path, [8, 8, 1], AS_IS));
        let words = found.unwrap_err().to_string();
        // The strips of the TIFF contradict its head already.
        let reason = if name == "a.tif" { "inconsistent sizes" } else { "pixels are more than the 67108864" };
        assert!(words.contains(name) && words.contains(reason), "{words}");
        assert!(bytes < 1 << 20, "{name}: {bytes} bytes");
        assert!(shape(&path).is_err(), "{name}");
    }
    // Few enough, but in a line.
    let path = folder.path().join("b.pnm");
    fs::write(&path, "P5 40000 1 255\n").unwrap();
    let words = read(&path, [8, 8, 1], AS_IS).unwrap_err().to_string();
    assert!(words.contains("b.pnm") && words.contains("one side is longer than the 32768"), "{words}");
}

/// A large picture is in memory once, and what is made of it small.
#[test]
fn a_large_picture_is_held_once() {
    let cases: [(DynamicImage, usize); 2] =
        [(GrayImage::new(4096, 3000).into(), 4096 * 3000), (RgbImage::new(2048, 2000).into(), 2048 * 2000 * 3)];
    for (picture, size) in cases {
        let (_folder, path) = saved(picture, "large.png");
        for input in [[28, 28, 1], [28, 28, 3]] {
            let (found, bytes) = peak(|| read(&path, input, AS_IS));
            assert_eq!(found.unwrap().len(), 28 * 28 * input[2]);
            // Colour that becomes grey is there in both forms for a moment.
            let most = size as f64 * if size % 3 == 0 && input[2] == 1 { 1.6 } else { 1.3 };
            assert!((bytes as f64) < most, "{input:?}: {bytes} bytes for a picture of {size}");
        }
    }
}

#[test]
fn a_budget_is_shared() {
    let budget = Budget::new(4);
    let first = budget.take(3);
    std::thread::scope(|scope| {
        let (told, heard) = mpsc::channel();
        let budget = &budget;
        scope.spawn(move || {
            let share = budget.take(2);
            told.send(()).unwrap();
            drop(share);
        });
        drop(budget.take(1));
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err(), "only one byte is free");
        drop(first);
        heard.recv_timeout(Duration::from_secs(60)).expect("four bytes are free");
    });
    drop(budget.take(4));
}

/// 32 × 32 pixels, (8x, 8y, 8(x ^ y)), as Pillow's `save("progressive.jpg", quality=60, progressive=True,
/// optimize=True)` writes them.
const PROGRESSIVE: &[u8] = include_bytes!("../golden/progressive.jpg");

/// Files in two ways of writing JPEG, and the places of their first scan's data.
fn jpegs() -> [(Vec<u8>, usize); 2] {
    let colours = RgbImage::from_fn(32, 32, |x, y| Rgb([8 * x as u8, 8 * y as u8, 8 * (x ^ y) as u8]));
    [encoded(colours, ImageFormat::Jpeg), PROGRESSIVE.to_vec()].map(|bytes| {
        let scan = place_of(&bytes, &[0xff, 0xda]);
        (bytes, scan + 14)
    })
}

#[test]
fn whole_jpegs_are_read_as_others_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    for (whole, _) in jpegs() {
        let wanted = image::load_from_memory(&whole).unwrap().to_rgb8().into_raw();
        // What cameras write behind the image, and between its segments.
        let behind = [whole.as_slice(), b"a video, or another picture \xff\xd8\xff"].concat();
        let between = [&whole[..2], &[0xff, 0xff], &whole[2..20], &[0; 9], &whole[20..]].concat();
        for bytes in [&whole, &behind, &between] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(read(&path, [32, 32, 3], AS_IS).unwrap(), wanted);
        }
    }
    fs::write(&path, encoded(grey(9, 9, |x, y| (x * y) as u8), ImageFormat::Jpeg)).unwrap();
    assert_eq!(read(&path, [9, 9, 1], AS_IS).unwrap(), image::open(&path).unwrap().to_luma8().into_raw());
}

#[test]
fn broken_jpegs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.jpg");
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        read(&path, [32, 32, 3], AS_IS).is_err_and(|error| error.to_string().contains("cut.jpg"))
    };
    for (whole, data) in jpegs() {
        for percent in [30, 60, 90] {
            assert!(refused(&whole[..data + (whole.len() - data) * percent / 100]), "cut at {percent} %");
        }
        assert!(refused(&whole[..whole.len() - 2]), "without its end");
        // A code word that no table has: ones alone.
        assert!(refused(&patched(whole, data + 4, &[0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0])), "smashed");
    }
}
