//! Pictures of every format, and folders of them.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, Luma, Rgba};
use libtest_mimic::Trial;
use siamese::data::pictures::{self, Ground, Pictures};
use siamese::data::{self, decode};
use siamese::error::Result;

use crate::harness::{FILE, Target, file};
use crate::mutate::{self, Dice};

/// Most memory that a picture may take: what the reader allows a decoder, its copies, and room.
const MIB: usize = 1536;

/// Small pictures of a format, in all the colours that it has.
fn seeds(format: ImageFormat) -> Vec<Vec<u8>> {
    let grey = image::ImageBuffer::from_fn(9, 7, |x, y| Luma([(x * 20 + y * 9) as u8]));
    let deep = image::ImageBuffer::from_fn(5, 6, |x, y| Luma([(x * 9000 + y * 999) as u16]));
    let colour =
        image::ImageBuffer::from_fn(8, 8, |x, y| Rgba([x as u8 * 30, y as u8 * 30, (x * y) as u8, 255 - x as u8]));
    let colour = DynamicImage::ImageRgba8(colour);
    let all = [
        DynamicImage::ImageLuma8(grey),
        DynamicImage::ImageLuma16(deep),
        DynamicImage::ImageRgb8(colour.to_rgb8()),
        DynamicImage::ImageLumaA8(colour.to_luma_alpha8()),
        colour,
    ];
    let mut files = Vec::new();
    for picture in all {
        let mut bytes = Cursor::new(Vec::new());
        // Not every format has every colour.
        if picture.write_to(&mut bytes, format).is_ok() {
            files.push(bytes.into_inner());
        }
    }
    match format {
        // Turned by its EXIF note.
        ImageFormat::Jpeg => {
            let note = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
            let turned = [&files[0][..2], note, &files[0][2..]].concat();
            files.push(turned);
        }
        ImageFormat::Pnm => files.extend(
            [&b"P1\n9 2\n101010101010101010\n"[..], b"P2\n# a\n3 2\n99\n0 1 2 3 4 5\n", b"P4\n9 2\n\x55\x80\x55\x80"]
                .map(<[u8]>::to_vec),
        ),
        _ => {}
    }
    files
}

/// All targets of this file.
pub fn trials() -> Vec<Trial> {
    let formats = [
        ("png", ImageFormat::Png, 4000),
        ("jpeg", ImageFormat::Jpeg, 4000),
        ("gif", ImageFormat::Gif, 4000),
        ("bmp", ImageFormat::Bmp, 4000),
        ("webp", ImageFormat::WebP, 4000),
        ("tiff", ImageFormat::Tiff, 4000),
        ("pnm", ImageFormat::Pnm, 4000),
    ];
    let format = |(name, format, cases): (&'static str, ImageFormat, u64)| {
        let seeds = seeds(format);
        assert!(!seeds.is_empty(), "{name} cannot be written");
        let change = if format == ImageFormat::Png { mutate::png } else { mutate::bytes };
        let case = move |dice: &mut Dice, folder: &Path| {
            let mut bytes = dice.pick(&seeds).clone();
            change(dice, &mut bytes, &seeds);
            picture(dice, folder, &bytes)
        };
        Target { name, cases, mib: MIB, case }.trial()
    };
    let mut trials: Vec<Trial> = formats.into_iter().map(format).collect();
    trials.push(Target { name: "folders", cases: 150, mib: MIB, case: folders }.trial());
    trials
}

fn picture(dice: &mut Dice, folder: &Path, bytes: &[u8]) -> Result<()> {
    let path = file(folder, bytes);
    let input = *dice.pick(&[[4, 4, 1], [4, 4, 3], [1, 1, 1], [5, 9, 3], [9, 5, 1]]);
    let [height, width, _] = decode::shape(&path)?;
    assert!(height > 0 && width > 0, "{height}x{width}");
    let ground = *dice.pick(&[Ground::Black, Ground::Grey, Ground::White]);
    let values = pictures::read(&path, input, Pictures { invert: dice.one_in(2), ground })?;
    assert_eq!(values.len(), input.iter().product::<usize>());
    Ok(())
}

/// Folders of classes with all kinds of names and contents.
fn folders(dice: &mut Dice, place: &Path) -> Result<()> {
    let root = place.join(FILE);
    fs::create_dir(&root).expect("a new folder");
    let png = &seeds(ImageFormat::Png)[0];
    let names = [
        "a",
        "b",
        "A",
        "train",
        "test",
        "val",
        "0",
        "00",
        "1",
        " ",
        "-c",
        "漢字",
        "a\nb",
        ".hidden",
        "x.png",
        "train-images-idx3-ubyte",
    ];
    for _ in 0..dice.below(5) {
        let mut folder = root.join(dice.pick(&names));
        if dice.one_in(4) {
            folder = folder.join(dice.pick(&names));
        }
        if fs::create_dir_all(&folder).is_err() {
            continue;
        }
        for number in 0..dice.below(8) {
            let name = format!("{}{number}.{}", dice.pick(&names), dice.pick(&["png", "PNG", "jpg", "txt", "png "]));
            let mut bytes = png.clone();
            if dice.one_in(20) {
                mutate::png(dice, &mut bytes, std::slice::from_ref(png));
            }
            // What the file system does not take is not there.
            drop(fs::write(folder.join(name), bytes));
        }
        #[cfg(unix)]
        if dice.one_in(10) {
            drop(std::os::unix::fs::symlink(&root, folder.join("loop")));
        }
    }
    let input = dice.one_in(2).then_some([6, 6, 1]);
    let split = data::load(&root, input, Pictures::default(), None)?;
    let shape = [split.train.height, split.train.width, split.train.channels];
    assert!(input.is_none_or(|input| input == shape));
    for set in [&split.train, &split.test] {
        assert_eq!((set.images.len(), set.images.size()), (set.len(), set.pixels()));
        assert!(set.classes() <= set.label_names.len());
    }
    Ok(())
}
