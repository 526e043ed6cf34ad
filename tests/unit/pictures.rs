//! Pictures as inputs: each rule of `siamese::data::pictures`, and folders of them as data sets.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageFormat, Luma, LumaA, Rgb, RgbImage};
use siamese::data::pictures::{self, Found, Pictures, find, read, shape};
use siamese::data::{Origin, folder};

const AS_IS: Pictures = Pictures { invert: false };
const INVERTED: Pictures = Pictures { invert: true };

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
fn transparency_shows_the_ground() {
    let half = image::ImageBuffer::<LumaA<u8>, _>::from_fn(2, 1, |x, _| LumaA([100, if x == 0 { 255 } else { 0 }]));
    let (_folder, path) = saved(half, "half.png");
    assert_eq!(read(&path, [1, 2, 1], AS_IS).unwrap(), [100, 0], "black");
    assert_eq!(read(&path, [1, 2, 1], INVERTED).unwrap(), [155, 0], "white, which becomes black");
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

/// A JPEG whose EXIF note says that it lies on its side.
#[test]
fn cameras_notes_are_followed() {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    DynamicImage::from(grey(16, 8, |x, _| if x < 8 { 250 } else { 5 })).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    // One entry: tag 0x0112, orientation, of type SHORT, is 6: turn it clockwise.
    let tiff = b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let length = (tiff.len() as u16 + 2).to_be_bytes();
    let turned = [&jpeg[..2], &[0xff, 0xe1], &length, tiff, &jpeg[2..]].concat();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    fs::write(&path, turned).unwrap();
    let values = read(&path, [16, 8, 1], AS_IS).unwrap();
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

/// `paths` with a small picture each.
fn tree(paths: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (place, path) in paths.iter().enumerate() {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        grey(6, 4, |_, _| place as u8).save(path).unwrap();
    }
    folder
}

#[test]
fn classes_are_folders() {
    let folder = tree(&["10/a.png", "9/b.png", "9/deep/c.png", "9/.hidden/d.png", "e.png"]);
    fs::write(folder.path().join("9/notes.txt"), "no picture").unwrap();
    let found = find(&[folder.path().to_owned()]).unwrap();
    let classes: Vec<_> = found.iter().map(|found| found.class.as_deref()).collect();
    assert_eq!(classes, [Some("10"), Some("9"), Some("9"), None]);
    assert_eq!(pictures::classes(&found), ["9", "10"], "numbers in the order of numbers");
    let named =
        [Found { path: "x".into(), class: Some("b".into()) }, Found { path: "y".into(), class: Some("10".into()) }];
    assert_eq!(pictures::classes(&named), ["10", "b"]);
    let empty = tempfile::tempdir().unwrap();
    assert!(find(&[empty.path().to_owned()]).unwrap_err().to_string().contains("no picture"));
    assert!(find(&[empty.path().join("none")]).unwrap_err().to_string().contains("nothing there"));
}

#[test]
fn a_folder_is_a_data_set() {
    let paths: Vec<String> = (0..10)
        .map(|n| format!("cat/{n}.png"))
        .chain((0..5).map(|n| format!("dog/{n}.png")))
        .chain(["owl/0.png".into()])
        .collect();
    let folder = tree(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(folder::is_one(folder.path()));
    let split = folder::load(folder.path(), None, AS_IS).unwrap();
    assert_eq!(split.train.label_names, ["cat", "dog", "owl"]);
    let counts = |set: &siamese::data::Dataset| set.rows_by_label().iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(
        (counts(&split.train), counts(&split.test)),
        (vec![8, 4, 1], vec![2, 1]),
        "a fifth of each, none of one"
    );
    assert_eq!((split.train.height, split.train.width, split.train.channels), (4, 6, 1), "their own size");
    let mut seen: Vec<u8> =
        [&split.train, &split.test].iter().flat_map(|set| set.images.chunks(24).map(|image| image[0])).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..16).collect::<Vec<u8>>(), "each picture is in one of the two");
    assert_eq!(folder::load(folder.path(), None, AS_IS).unwrap(), split, "and always the same");
    let other = folder::load(folder.path(), Some([12, 12, 3]), AS_IS).unwrap();
    assert_eq!(other.test.images.len(), 3 * 12 * 12 * 3);
}

#[test]
fn a_folder_may_say_what_is_for_testing() {
    let folder = tree(&["train/a/1.png", "train/b/2.png", "test/b/3.png", "test/c/4.png"]);
    let split = folder::load(folder.path(), None, AS_IS).unwrap();
    assert_eq!((split.train.labels, split.test.labels), (vec![0, 1], vec![1, 2]));
    let flat = tree(&["1.png", "2.png"]);
    assert!(folder::load(flat.path(), None, AS_IS).unwrap_err().to_string().contains("one folder a class"));
    let single = tree(&["a/1.png", "b/2.png"]);
    assert!(folder::load(single.path(), None, AS_IS).unwrap_err().to_string().contains("one picture a class"));
}

/// A set is the same wherever it lies and whatever it is called, and another once a picture comes, goes or is renamed.
#[test]
fn a_folder_is_known_again() {
    let names = ["a/1.png", "a/2.png", "b/1.png", "b/2.png"];
    let origin = |names: &[&str]| folder::load(tree(names).path(), None, AS_IS).unwrap().origin;
    let own = origin(&names);
    assert_eq!((own.train, own.test, own.labels), (2, 2, 2));
    assert!(own.path.as_ref().is_some_and(|path| path.is_absolute()));
    assert_eq!(own.difference(&origin(&names)), None);
    let grown = own.difference(&origin(&["a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png"])).unwrap();
    assert!(grown.contains("3 training images for 2") && !grown.contains("test images"), "{grown}");
    for other in [["a/1.png", "a/2.png", "c/1.png", "c/2.png"], ["a/1.png", "a/2.png", "b/1.png", "b/3.png"]] {
        assert!(own.difference(&origin(&other)).is_some(), "{other:?}");
    }
    let text = serde_json::to_string(&own).unwrap();
    assert_eq!(serde_json::from_str::<Origin>(&text).unwrap(), own);
}

/// Pictures of different sizes, one in colour, without a size being told.
#[test]
fn mixed_sizes_become_one() {
    let folder = tree(&["a/1.png", "a/2.png", "b/1.png", "b/2.png"]);
    RgbImage::from_pixel(200, 100, Rgb([255, 0, 0])).save(folder.path().join("b/3.png")).unwrap();
    let split = folder::load(folder.path(), None, AS_IS).unwrap();
    assert_eq!((split.train.height, split.train.width, split.train.channels), (64, 64, 3));
}
