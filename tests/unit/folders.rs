//! Folders of pictures: their layouts, their classes and sides, what is left out, and the data sets made of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, ImageEncoder, Luma, Rgb, RgbImage};
use siamese::data::pictures::{self, Ground, Pictures};
use siamese::data::search::{self, Found, find};
use siamese::data::{Bad, Bound, Dataset, HoldBack, Origin, Split, SplitBy, folder};
use siamese::error::{Error, Result};
use tempfile::TempDir;

const AS_IS: Pictures = Pictures { invert: false, ground: Ground::Black };

fn grey(width: u32, height: u32, value: u8) -> GrayImage {
    GrayImage::from_pixel(width, height, Luma([value]))
}

/// `paths` with a small picture each.
fn tree(paths: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (place, path) in paths.iter().enumerate() {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        grey(6, 4, place as u8).save(path).unwrap();
    }
    folder
}

#[test]
fn classes_are_folders() {
    let folder = tree(&["10/a.png", "9/b.png", "9/deep/c.png", "9/.hidden/d.png", "e.png"]);
    fs::write(folder.path().join("9/notes.txt"), "no picture").unwrap();
    let found = find(&[folder.path().to_owned()]).unwrap().found;
    let places: Vec<_> = found.iter().map(|found| (found.class.as_deref(), found.name.as_str())).collect();
    assert_eq!(places, [(Some("10"), "a.png"), (Some("9"), "b.png"), (Some("9"), "deep/c.png")]);
    assert_eq!(pictures::classes(&found), ["9", "10"], "numbers in the order of numbers");
    let named = |class: &str| Found { class: Some(class.into()), ..found[0].clone() };
    assert_eq!(pictures::classes(&[named("b"), named("10")]), ["10", "b"]);
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
    let split = folder::load(folder.path(), None, AS_IS, None).unwrap();
    assert_eq!(split.train.label_names, ["cat", "dog", "owl"]);
    let counts = |set: &siamese::data::Dataset| set.rows_by_label().iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!((counts(&split.train), counts(&split.test)), (vec![8, 4, 1], vec![2, 1]), "about a fifth");
    assert_eq!((split.train.height, split.train.width, split.train.channels), (4, 6, 1), "their own size");
    let mut seen: Vec<u8> = [&split.train, &split.test].iter().flat_map(|set| values(set)).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..16).collect::<Vec<u8>>(), "each picture is in one of the two");
    assert_eq!(folder::load(folder.path(), None, AS_IS, None).unwrap(), split, "and always the same");
    let other = folder::load(folder.path(), Some([12, 12, 3]), AS_IS, None).unwrap();
    assert_eq!(other.test.images.total(), 3 * 12 * 12 * 3);
}

#[test]
fn pictures_that_no_memory_holds_are_refused() {
    let folder = tree(&["train/a/1.png", "train/b/2.png", "test/a/3.png"]);
    let split = folder::load(folder.path(), Some([10_000_000, 10_000_000, 3]), AS_IS, None).unwrap();
    let error = split.loaded(Bad::Refused, || ()).unwrap_err();
    assert!(matches!(error, Error::Memory { .. }) && error.hint().unwrap().contains("--input"), "{error}");
}

#[test]
fn a_folder_may_say_what_is_for_testing() {
    let folder = tree(&["train/a/1.png", "train/b/2.png", "test/b/3.png", "test/c/4.png"]);
    let split = folder::load(folder.path(), None, AS_IS, None).unwrap();
    assert_eq!((split.train.labels, split.test.labels), (vec![0, 1], vec![1, 2]));
    let flat = tree(&["1.png", "2.png"]);
    assert!(folder::load(flat.path(), None, AS_IS, None).unwrap_err().to_string().contains("one folder a class"));
    let few = tree(&["a/2.png", "b/2.png"]);
    assert!(
        folder::load(few.path(), None, AS_IS, None).unwrap_err().to_string().contains("2 pictures, all of which fall")
    );
}

/// A set is the same wherever it lies and whatever it is called, and another once a picture comes, goes or is renamed.
#[test]
fn a_folder_is_known_again() {
    let names = ["a/1.png", "a/2.png", "b/1.png", "b/2.png"];
    let origin = |names: &[&str]| folder::load(tree(names).path(), None, AS_IS, None).unwrap().origin;
    let own = origin(&names);
    assert_eq!((own.train, own.test, own.labels), (3, 1, 2));
    assert!(own.path.as_ref().is_some_and(|path| path.is_absolute()));
    assert_eq!(own.difference(&origin(&names)), None);
    let grown = own.difference(&origin(&["a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png"])).unwrap();
    assert!(grown.contains("4 training images for 3") && !grown.contains("test images"), "{grown}");
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
    let split = folder::load(folder.path(), None, AS_IS, None).unwrap();
    assert_eq!(shape(&split.train), [4, 6, 3]);
    assert!(told(&split, "brought to 4x6x3, the size of 4 of 5, with the colour of 1 of 5"), "{:?}", split.remarks);
    for (value, name) in (0..).zip(["a/3.png", "b/4.png", "b/5.png"]) {
        grey(7, 7, value).save(folder.path().join(name)).unwrap();
    }
    let split = folder::load(folder.path(), None, AS_IS, None).unwrap();
    assert_eq!(shape(&split.train), [64, 64, 3]);
    assert!(told(&split, "brought to 64x64x3, being of 3 sizes"), "{:?}", split.remarks);
    let split = folder::load(folder.path(), Some([5, 5, 1]), AS_IS, None).unwrap();
    assert!(split.remarks.is_empty(), "a size that is given is not told: {:?}", split.remarks);
}

fn shape(set: &Dataset) -> [usize; 3] {
    [set.height, set.width, set.channels]
}

fn told(split: &Split, words: &str) -> bool {
    split.remarks.iter().any(|remark| remark.contains(words))
}

/// A picture of one grey, as a JPEG that is noted to lie on its side.
fn lying(width: u32, height: u32, path: &Path) {
    let mut encoder = JpegEncoder::new(fs::File::create(path).unwrap());
    // A TIFF directory of one entry: tag 0x0112, orientation, of type SHORT, is 6: turn it clockwise.
    let note = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    encoder.set_exif_metadata(note.to_vec()).unwrap();
    grey(width, height, 200).write_with_encoder(encoder).unwrap();
}

/// A camera's note turns a picture before its size is asked for.
#[test]
fn sizes_are_those_of_upright_pictures() {
    let folder = tree(&[]);
    for name in ["a/2.jpg", "a/3.jpg", "b/1.jpg", "b/2.jpg"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        lying(32, 16, &path);
    }
    let split = folder::load(folder.path(), None, AS_IS, None).unwrap();
    assert_eq!(shape(&split.train), [32, 16, 1]);
    assert!(split.train.images.all().unwrap().iter().all(|&value| value > 190), "no black beside the picture");
    assert!(told(&split, "brought to 32x16x1, the size of all"), "{:?}", split.remarks);
}

// ------------------------------------------------------------------------------------------------------------ sides

/// Which pictures are trained on, watched and tested, by their values.
fn parts(folder: &TempDir, hold_back: HoldBack) -> ([BTreeSet<u8>; 3], Bound) {
    let parts = load(folder).unwrap().divide(None, Some(hold_back), 7).unwrap();
    let sets = [&parts.train, parts.validation.as_ref().unwrap(), &parts.evaluation.test];
    (sets.map(|set| values(set).into_iter().collect()), parts.bound.unwrap())
}

/// Names of a hundred pictures in four classes.
fn hundred() -> Vec<String> {
    (0..100).map(|place| format!("{}/{place}.png", ["bee", "cat", "dog", "elk"][place % 4])).collect()
}

/// Pictures and classes come and go; none that stays is ever trained on after it was tested or watched by, or the other
/// way round.
#[test]
fn a_picture_keeps_its_side_whatever_happens_to_others() {
    let names = hundred();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (before, bound) = parts(&tree(&names), HoldBack::Images(16));
    assert_eq!(before[1].len(), 16);
    assert!((10..30).contains(&before[2].len()), "about a fifth: {}", before[2].len());
    assert_eq!(before.iter().map(BTreeSet::len).sum::<usize>(), 100);
    let more = |more: &[&str]| tree(&[names.as_slice(), more].concat());
    let fewer = more(&[]);
    for name in [names[0], names[30], names[31]] {
        fs::remove_file(fewer.path().join(name)).unwrap();
    }
    for folder in [more(&["bee/x.png", "bee/0.a.png"]), more(&["ant/1.png", "ant/2.png", "ant/3.png"]), fewer] {
        let (after, _) = parts(&folder, HoldBack::Below(bound));
        for (own, side) in before.iter().enumerate() {
            for (other, now) in after.iter().enumerate() {
                assert!(own == other || side.is_disjoint(now), "{own} became {other}: {side:?}, {now:?}");
            }
        }
    }
}

#[test]
fn images_held_back_follow_from_the_seed() {
    let names = hundred();
    let folder = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let held = |seed| {
        let parts = load(&folder).unwrap().divide(None, Some(HoldBack::Images(20)), seed).unwrap();
        values(&parts.validation.unwrap())
    };
    assert_eq!(held(1), held(1));
    assert_ne!(held(1), held(2));
}

// ------------------------------------------------------------------------------------------------------- identities

/// Three pictures each of so many identities.
fn people(identities: std::ops::Range<usize>) -> Vec<String> {
    identities.flat_map(|person| (0..3).map(move |picture| format!("p{person}/{picture}.png"))).collect()
}

fn by(names: &[String], by: Option<SplitBy>) -> Result<Split> {
    folder::load(tree(&names.iter().map(String::as_str).collect::<Vec<_>>()).path(), Some([4, 6, 1]), AS_IS, by)
}

/// Names of the classes of a set.
fn names_of(set: &Dataset) -> BTreeSet<String> {
    set.labels.iter().map(|&label| set.label_name(label)).collect()
}

/// Above fifty classes identities judge that are not trained on, with all of their pictures; each stays where it is
/// whoever comes or goes.
#[test]
fn an_identity_keeps_its_side_whatever_happens_to_others() {
    let quarter = Some(SplitBy::OF_IDENTITIES);
    let all = by(&people(0..80), None).unwrap();
    assert_eq!(all.by, SplitBy::OF_IDENTITIES, "more than 50 classes");
    assert!(all.is_disjoint());
    assert!((10..31).contains(&all.test.label_count()), "about a quarter: {}", all.test.label_count());
    assert_eq!((all.train.len() + all.test.len(), all.test.len()), (240, 3 * all.test.label_count()));
    let words = format!("judged on the other {} ({} pictures)", all.test.label_count(), all.test.len());
    assert!(told(&all, &words) && told(&all, "--split images"), "{:?}", all.remarks);
    assert!(!told(&all, "no training picture"), "{:?}", all.remarks);
    let [train, test] = [&all.train, &all.test].map(names_of);
    for other in [people(30..80), people(0..120)] {
        let other = by(&other, quarter).unwrap();
        assert!(names_of(&other.train).is_disjoint(&test) && names_of(&other.test).is_disjoint(&train));
    }

    let few = by(&people(0..50), None).unwrap();
    assert_eq!(few.by, SplitBy::Images, "50 are classes");
    assert_eq!(by(&people(0..80), Some(SplitBy::Images)).unwrap().by, SplitBy::Images);
    let none = by(&people(0..2), Some(SplitBy::Identities(0.01))).unwrap_err();
    assert!(none.to_string().contains("pictures of identities, all of which fall to one side"), "{none}");
    let said = tree(&["train/a/1.png", "train/b/2.png", "test/a/3.png"]);
    assert_eq!(folder::load(said.path(), None, AS_IS, quarter).unwrap().by, SplitBy::Images, "the folder says it");
}

/// Where identities judge, identities watch: as many images at least as were asked for, and two identities.
#[test]
fn whole_identities_are_held_back() {
    let all = by(&people(0..80), None).unwrap();
    for (images, identities) in [(1, 2), (4, 2), (6, 2), (7, 3), (30, 10)] {
        let parts = all.clone().divide(None, Some(HoldBack::Images(images)), 3).unwrap();
        let held = parts.validation.unwrap();
        assert_eq!((held.len(), held.label_count()), (3 * identities, identities), "{images} asked for");
        let [train, held] = [&parts.train, &held].map(names_of);
        assert!(train.is_disjoint(&held) && names_of(&parts.evaluation.test).is_disjoint(&held));
        // Who has come since was never trained on, and who was held back stays held back.
        let bound = parts.bound.unwrap();
        assert!(bound.identities);
        let grown = by(&people(0..90), None).unwrap().divide(None, Some(HoldBack::Below(bound)), 3).unwrap();
        assert!(names_of(&grown.train).is_disjoint(&held) && names_of(&grown.validation.unwrap()).is_superset(&held));
    }
    let error = all.divide(None, Some(HoldBack::Images(1000)), 3).unwrap_err().to_string();
    assert!(error.contains("0 left to train on"), "{error}");
}

#[test]
fn what_divides_is_a_text() {
    for (text, by) in [
        ("images", SplitBy::Images),
        ("identities", SplitBy::Identities(0.25)),
        ("identities=0.5", SplitBy::Identities(0.5)),
    ] {
        assert_eq!(text.parse::<SplitBy>().unwrap(), by, "{text}");
        assert_eq!(by.to_string().parse::<SplitBy>().unwrap(), by);
    }
    for (text, words) in [
        ("identities=0", "0 is not between 0 and 1"),
        ("identities=1", "1 is not between 0 and 1"),
        ("identities=many", "`many` is no number"),
        ("pictures", "by images, or by identities=0.25"),
        ("images identities=0.5", "by images, or by identities=0.25"),
    ] {
        let error = text.parse::<SplitBy>().unwrap_err().to_string();
        assert!(error.contains("--split") && error.contains(words), "{text}: {error}");
    }
}

// ---------------------------------------------------------------------------------------------------------- layouts

fn load(folder: &TempDir) -> Result<Split> {
    folder::load(folder.path(), Some([4, 6, 1]), AS_IS, None)?.loaded(Bad::Refused, || ())
}

/// The values of the pictures of a set, which are their places in what [`tree`] was given.
fn values(set: &Dataset) -> Vec<u8> {
    (0..set.len()).map(|row| set.image(row).unwrap()[0]).collect()
}

#[test]
fn names_of_sides_are_understood() {
    for (train, test) in [("train", "test"), ("Train", "TEST"), ("training", "testing"), ("train", "val")] {
        let [a, b, c, d] = [(train, "a/1"), (train, "b/2"), (test, "b/3"), (test, "c/4")]
            .map(|(side, name)| format!("{side}/{name}.png"));
        let folder = tree(&[&a, &b, &c, &d]);
        let split = load(&folder).unwrap();
        assert_eq!(split.train.label_names, ["a", "b", "c"], "{train} and {test}");
        assert_eq!((values(&split.train), values(&split.test)), (vec![0, 1], vec![2, 3]), "{train} and {test}");
        assert!(told(&split, "test pictures, but no training picture, of c"), "{:?}", split.remarks);
        assert_eq!(told(&split, "val/ is what the network is tested on"), test == "val", "{:?}", split.remarks);
    }
    let split = load(&tree(&["train/a/1.png", "train/b/2.png", "valid/a/3.png", "test/b/4.png"])).unwrap();
    assert_eq!((values(&split.train), values(&split.test)), (vec![0, 1], vec![3]));
    assert!(told(&split, "the 1 pictures of valid/ left out"), "{:?}", split.remarks);
}

#[test]
fn a_layout_that_can_be_taken_in_two_ways_is_refused() {
    for (paths, found) in [
        (["train/a/1.png", "train/b/2.png", "cat/3.png", "dog/4.png"].as_slice(), "train/ beside cat/ and dog/"),
        (&["train/a/1.png", "Train/b/2.png", "test/a/3.png"], "Train/ and train/"),
        (&["val/a/1.png", "valid/b/2.png", "train/a/3.png"], "val/ and valid/"),
        (&["train/a/1.png", "train/b/2.png"], "classes in train/ alone"),
        (&["val/a/1.png", "test/b/2.png"], "classes in val/ and test/ alone"),
        (&["train/1.png", "test/2.png"], "pictures without folders"),
    ] {
        let error = load(&tree(paths)).unwrap_err();
        assert!(matches!(&error, Error::DataSet { found: own, .. } if own.contains(found)), "{paths:?}: {error}");
        assert!(error.hint().unwrap().contains("train/"), "{error}");
    }
    // A class may be called so, as one among others.
    let split = load(&tree(&["bus/1.png", "bus/2.png", "train/3.png", "train/4.png"])).unwrap();
    assert_eq!(split.train.label_names, ["bus", "train"]);
}

/// Every command sees the classes that training sees.
#[test]
fn sides_are_never_classes() {
    let folder = tree(&["train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png"]);
    let search = find(&[folder.path().to_owned()]).unwrap();
    let classes: Vec<_> = search.found.iter().map(|found| found.class.as_deref().unwrap()).collect();
    assert_eq!(classes, ["a", "b", "a", "b"]);
    assert!(search.remarks[0].contains("train/, val/ together"), "{:?}", search.remarks);
    let one = find(&[folder.path().join("val")]).unwrap();
    assert_eq!((one.found.len(), one.remarks.len()), (2, 0));
    let flat = find(&[tree(&["train/1.png", "test/2.png"]).path().to_owned()]).unwrap();
    assert!(flat.found.iter().all(|found| found.class.is_none()));
}

#[test]
fn what_is_left_out_is_told() {
    let folder = tree(&["cat/1.png", "cat/2.png", "dog/3.png", "dog/5.png", "stray.png"]);
    let write = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(folder.path().join("cat/1.png"), path).unwrap();
    };
    // A JPEG and others by names that cameras and browsers give.
    write("cat/5.jfif");
    // Thumbnails and copies of a server and of an archive tool, and what systems hide.
    for name in
        ["cat/@eaDir/1.png/thumb.png", "#recycle/6.png", "__MACOSX/cat/._1.png", "cat/.trash/7.png", "cat/.8.png"]
    {
        write(name);
    }
    let search = search::folder(folder.path()).unwrap();
    let remarks = search.remarks.join("\n");
    assert_eq!(search.found.len(), 5);
    assert!(remarks.contains("1 picture beside the class folders left out, such as stray.png"), "{remarks}");
    assert_eq!(search.remarks.len(), 1, "{remarks}");

    for name in ["dog/9.heic", "dog/10.HEIC", "dog/noending", "owl/11.avif"] {
        write(name);
    }
    let remarks = search::folder(folder.path()).unwrap().remarks.join("\n");
    assert!(
        remarks.contains("4 other files (2 .heic, 1 without an ending, 1 .avif; such as dog/10.HEIC) left out"),
        "{remarks}"
    );
    assert!(remarks.contains("no picture in owl/"), "{remarks}");
    let split = folder::load(folder.path(), None, AS_IS, None).unwrap();
    assert_eq!(split.train.label_names, ["cat", "dog"]);
    assert!(told(&split, "no picture in owl/"), "{:?}", split.remarks);

    let none = tempfile::tempdir().unwrap();
    fs::write(none.path().join("a.heic"), "").unwrap();
    let error = find(&[none.path().to_owned()]).unwrap_err().to_string();
    assert!(error.contains("no picture, but 1 other file (1 .heic; such as a.heic)"), "{error}");
}

#[test]
fn names_are_one_in_every_spelling() {
    // Composed, and decomposed as some file systems write it.
    let split = load(&tree(&["train/Jos\u{e9}/1.png", "train/b/2.png", "test/Jose\u{301}/3.png"])).unwrap();
    assert_eq!(split.train.label_names, ["Jos\u{e9}", "b"]);
    assert_eq!(split.test.labels, [0]);
    let split = load(&tree(&["train/Anna/1.png", "train/b/2.png", "test/anna/3.png"])).unwrap();
    assert!(told(&split, "differ in capitals alone: Anna and anna"), "{:?}", split.remarks);
}

/// Names in an encoding of old are no text, but two of them are two.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_stay_apart() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tree(&["tea/1.png"]);
    for name in [b"caf\xe8", b"caf\xe9"] {
        let class = folder.path().join(OsStr::from_bytes(name));
        fs::create_dir(&class).unwrap();
        grey(6, 4, 0).save(class.join("1.png")).unwrap();
    }
    let found = find(&[folder.path().to_owned()]).unwrap().found;
    assert_eq!(pictures::classes(&found), [r"caf\xe8", r"caf\xe9", "tea"]);
}
