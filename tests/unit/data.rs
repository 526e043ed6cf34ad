//! Data sets, the triplet sampler and the first weights: what is read is what the files hold, what is broken is refused
//! by name, and what is random follows from the seed alone.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{Read, Write};

use ::mnist::MnistBuilder;
use flate2::Compression;
use flate2::write::GzEncoder;
use lzma_rust2::XzReader;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use siamese::data::pictures::Pictures;
use siamese::data::store::Images;
use siamese::data::{self, Dataset, HoldBack, Split, idx, mnist};
use siamese::error::{Error, Result};
use siamese::init::{self, Init};
use siamese::sampler::{Augment, Batch, Mining, Positive, Sampler};
use tempfile::TempDir;

use crate::common;
use crate::heap::peak;

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

// ---------------------------------------------------------------------------------------------------------- helpers

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An IDX file of unsigned bytes.
fn idx_file(dimensions: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(data);
    bytes
}

/// `count` bytes, no two neighbours or neighbouring images alike.
fn pixels(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i * 37 % 251) as u8).collect()
}

/// Three training and two test images of 2 × 5.
fn small_set() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (TRAIN_IMAGES, idx_file(&[3, 2, 5], &pixels(30))),
        (TRAIN_LABELS, idx_file(&[3], &[1, 26, 1])),
        (TEST_IMAGES, idx_file(&[2, 2, 5], &pixels(20))),
        (TEST_LABELS, idx_file(&[2], &[26, 7])),
    ]
}

fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// Asserts a data error about a file of this name, which says what was found and what was expected.
#[track_caller]
fn assert_data_error<T>(result: Result<T>, name: &str, found: &str, expected: &str) {
    let Err(error) = result else { panic!("{name} was accepted") };
    let text = error.to_string();
    let (Error::Data { path, found: has, expected: wants } | Error::DataSet { path, found: has, expected: wants }) =
        error
    else {
        panic!("another kind of error: {text}")
    };
    assert_eq!(path.file_name().unwrap().to_str().unwrap(), name, "{text}");
    assert!(has.contains(found), "`{found}` is not in `{has}`");
    assert!(wants.contains(expected), "`{expected}` is not in `{wants}`");
    for part in [name, found, expected] {
        assert!(text.contains(part), "`{part}` is not in `{text}`");
    }
}

/// [`assert_data_error`] of a file that holds `bytes`, plain and packed, read as images or as labels.
#[track_caller]
fn assert_refused(content: &str, bytes: &[u8], found: &str, expected: &str) {
    for (name, bytes) in [("plain", bytes.to_vec()), ("packed", gzip(bytes))] {
        let folder = folder(&[(name, bytes)]);
        let path = folder.path().join(name);
        match content {
            "images" => assert_data_error(idx::read_images(&path), name, found, expected),
            _ => assert_data_error(idx::read_labels(&path), name, found, expected),
        }
    }
}

/// [`assert_data_error`] of the small set after `change`, about the file or, for `None`, the folder.
#[track_caller]
fn assert_set_refused(
    change: impl FnOnce(&mut Vec<(&'static str, Vec<u8>)>),
    name: Option<&str>,
    found: &str,
    expected: &str,
) {
    let mut files = small_set();
    change(&mut files);
    let folder = folder(&files);
    let folder_name = folder.path().file_name().unwrap().to_str().unwrap();
    assert_data_error(idx::load(folder.path()), name.unwrap_or(folder_name), found, expected);
}

/// The bundled set with one of its packed files replaced.
fn load_mnist(replaced: usize, bytes: &[u8]) -> Result<Split> {
    let mut files = common::mnist_files();
    files[replaced] = bytes.to_vec();
    let [train_images, train_labels, test_images, test_labels] = &files;
    mnist::load(&mnist::Files { train_images, train_labels, test_images, test_labels })
}

// ---------------------------------------------------------------------------------------------------------- dataset

fn small_dataset() -> Dataset {
    Dataset {
        name: "small".into(),
        images: Images::new(pixels(24), 6),
        labels: vec![2, 0, 2, 4],
        label_names: Vec::new(),
        height: 1,
        width: 3,
        channels: 2,
    }
}

#[test]
fn a_dataset_knows_its_sizes() {
    let set = small_dataset();
    assert_eq!((set.len(), set.is_empty(), set.pixels(), set.classes()), (4, false, 6, 5));
    assert_eq!(*set.image(2).unwrap(), pixels(24)[12..18]);
    assert_eq!(set.rows_by_label(), [vec![1], vec![], vec![0, 2], vec![], vec![3]]);
}

#[test]
fn taking_the_first_images_keeps_images_and_labels_together() {
    let two = small_dataset().take(2);
    assert_eq!((&*two.images.all().unwrap(), two.labels.as_slice()), (&pixels(24)[..12], &[2, 0][..]));
    assert_eq!(small_dataset().take(usize::MAX), small_dataset());
    let none = small_dataset().take(0);
    assert!(none.is_empty() && none.images.is_empty() && none.rows_by_label().is_empty());
    assert_eq!(none.classes(), 0);
}

#[test]
fn debug_shows_sizes_and_no_pixels() {
    let text = format!("{:?}", small_dataset());
    assert_eq!(text, r#"Dataset { name: "small", rows: 4, height: 1, width: 3, channels: 2, classes: 5, .. }"#);
}

// ------------------------------------------------------------------------------------------------------------ MNIST

#[test]
fn mnist_is_the_set_that_its_authors_published() {
    let published = [
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ];
    let folder = tempfile::tempdir().unwrap();
    let names = [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS];
    for ((xz, sha256), name) in common::mnist_files().iter().zip(published).zip(names) {
        let mut plain = Vec::new();
        XzReader::new(xz.as_slice(), false).read_to_end(&mut plain).unwrap();
        assert_eq!(Sha256::digest(&plain).iter().map(|byte| format!("{byte:02x}")).collect::<String>(), sha256);
        fs::write(folder.path().join(name), plain).unwrap();
    }
    let set = common::mnist();
    assert_eq!((set.train.name.as_str(), set.test.name.as_str()), ("MNIST train", "MNIST test"));
    for set in [&set.train, &set.test] {
        assert_eq!((set.height, set.width, set.channels, set.classes()), (28, 28, 1, 10));
    }

    let own = idx::load(folder.path()).unwrap();
    let theirs = MnistBuilder::new()
        .base_path(folder.path().to_str().unwrap())
        .label_format_digit()
        .training_set_length(60_000)
        .validation_set_length(0)
        .test_set_length(10_000)
        .finalize();
    for (a, b, images, labels) in [
        (&set.train, &own.train, theirs.trn_img, theirs.trn_lbl),
        (&set.test, &own.test, theirs.tst_img, theirs.tst_lbl),
    ] {
        assert!(a.images == b.images && a.labels == b.labels);
        assert_eq!((a.height, a.width, a.channels), (b.height, b.width, b.channels));
        assert!(*a.images.all().unwrap() == images && a.labels.iter().copied().eq(labels.into_iter().map(u32::from)));
    }
}

#[test]
fn a_changed_mnist_file_is_refused() {
    let whole = common::mnist_files();
    let mut flipped = whole[1].clone();
    flipped[whole[1].len() / 2] ^= 1;
    for (bytes, found) in [
        (Vec::new(), "0 bytes with the SHA-256 e3b0c442"),
        (b"a web page".to_vec(), "10 bytes with the SHA-256 "),
        (whole[1][..12_000].to_vec(), "12000 bytes with the SHA-256 "),
        ([&whole[1][..], &[0; 4]].concat(), "25336 bytes with the SHA-256 "),
        (flipped, "25332 bytes with the SHA-256 "),
        (whole[3].clone(), "4040 bytes with the SHA-256 f2edae9c"),
    ] {
        let expected = "dcd3d8184fe1a8be6231f172fb3390116f91c127282fd736ab55752c179963d8";
        assert_data_error(load_mnist(1, &bytes), "train-labels-idx1-ubyte.xz", found, expected);
    }
    for (file, name) in [(0, TRAIN_IMAGES), (2, TEST_IMAGES), (3, TEST_LABELS)] {
        assert_data_error(load_mnist(file, &whole[1]), &format!("{name}.xz"), "25332 bytes with the SHA-256 dcd3", "");
    }
}

// -------------------------------------------------------------------------------------------------------- IDX files

#[test]
fn images_of_any_size_are_read_plain_and_packed() {
    let colour = pixels(2 * 3 * 4 * 3);
    for (bytes, expected) in [
        (idx_file(&[3, 2, 5], &pixels(30)), (pixels(30), 2, 5, 1)),
        (idx_file(&[2, 3, 4, 3], &colour), (colour.clone(), 3, 4, 3)),
        (idx_file(&[1, 1, 1], &[255]), (vec![255], 1, 1, 1)),
    ] {
        // The name says nothing about the packing: some downloads unpack on the way and keep the name, or the reverse.
        let folder = folder(&[("plain.gz", bytes.clone()), ("packed", gzip(&bytes))]);
        assert_eq!(idx::read_images(&folder.path().join("plain.gz")).unwrap(), expected);
        assert_eq!(idx::read_images(&folder.path().join("packed")).unwrap(), expected);
    }
}

#[test]
fn labels_are_kept_as_they_are() {
    let folder = folder(&[("labels", idx_file(&[4], &[1, 26, 255, 0]))]);
    assert_eq!(idx::read_labels(&folder.path().join("labels")).unwrap(), [1, 26, 255, 0]);
}

#[test]
fn a_gzip_file_of_several_members_is_one_file() {
    let bytes = idx_file(&[4], &[1, 2, 3, 4]);
    let folder = folder(&[("labels", [gzip(&bytes[..9]), gzip(&bytes[9..])].concat())]);
    assert_eq!(idx::read_labels(&folder.path().join("labels")).unwrap(), [1, 2, 3, 4]);
}

#[test]
fn a_missing_file_is_named() {
    let folder = folder(&[]);
    let path = folder.path().join("absent");
    assert_data_error(idx::read_images(&path), "absent", "nothing there", "an IDX image file");
    assert_data_error(idx::read_labels(&path), "absent", "nothing there", "an IDX label file");
}

#[test]
fn what_the_system_refuses_is_an_io_error() {
    let folder = folder(&[]);
    let error = idx::read_labels(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn a_wrong_magic_number_is_explained() {
    let (images, labels) = ("0x00000803 or 0x00000804", "0x00000801");
    assert_refused("images", &[], "an empty file", images);
    assert_refused("images", &[0, 0, 8], "only 3 bytes", images);
    assert_refused("labels", &[0], "only 1 bytes", labels);
    assert_refused("images", &idx_file(&[2], &[1, 2]), "0x00000801 (a file of labels)", images);
    assert_refused("labels", &idx_file(&[1, 1, 1], &[1]), "0x00000803 (a file of images)", labels);
    assert_refused("labels", &idx_file(&[1, 1, 1, 1], &[1]), "0x00000804 (a file of images)", labels);
    assert_refused("images", &idx_file(&[1, 1], &[1]), "0x00000802 (unsigned bytes in 2 dimensions)", images);
    assert_refused("images", &idx_file(&[], &[]), "0x00000800 (unsigned bytes in 0 dimensions)", images);
    assert_refused("images", &[0, 0, 0x0d, 3, 0, 0], "0x00000d03 (32-bit floats in 3 dimensions)", images);
    assert_refused("labels", &[0, 0, 0x0c, 1, 0, 0], "0x00000c01 (32-bit integers in 1 dimensions)", labels);
    assert_refused("labels", &[0, 0, 0x0a, 1, 0, 0], "0x00000a01 (not an IDX file)", labels);
    assert_refused("images", b"<!doctype html>", "0x3c21646f (not an IDX file)", images);
}

#[test]
fn a_header_that_promises_nonsense_is_refused() {
    let whole = idx_file(&[2, 1, 3], &pixels(6));
    assert_refused("images", &whole[..15], "a header of 15 bytes", "16 bytes for 3 dimensions");
    assert_refused("images", &whole[..4], "a header of 4 bytes", "16 bytes for 3 dimensions");
    assert_refused("labels", &[0, 0, 8, 1, 0], "a header of 5 bytes", "8 bytes for 1 dimensions");
    assert_refused("images", &idx_file(&[0, 28, 28], &[]), "0 × 28 × 28", "at least one image");
    assert_refused("images", &idx_file(&[2, 0, 28], &[]), "2 × 0 × 28", "at least one pixel");
    assert_refused("images", &idx_file(&[2, 28, 28, 0], &[]), "2 × 28 × 28 × 0", "at least one pixel");
    assert_refused("labels", &idx_file(&[0], &[]), "the dimensions 0", "at least one label");
    let most = u32::MAX;
    assert_refused("images", &idx_file(&[most; 4], &[1]), "4294967295 × 4294967295", "at most 4294967296 bytes");
    assert_refused("images", &idx_file(&[most, 2, 1], &[1]), "4294967295 × 2 × 1", "at most 4294967296 bytes");
}

#[test]
fn data_must_be_as_long_as_the_header_says() {
    let whole = idx_file(&[2, 1, 3], &pixels(6));
    assert_refused("images", &whole[..21], "5 bytes of data", "6 bytes for 2 × 1 × 3");
    assert_refused("images", &whole[..16], "0 bytes of data", "6 bytes for 2 × 1 × 3");
    assert_refused("labels", &idx_file(&[3], &[1, 2]), "2 bytes of data", "3 bytes for 3");
    // The largest header that is accepted, with nothing behind it: no memory is taken on its word.
    assert_refused("labels", &idx_file(&[u32::MAX], &[1]), "1 bytes of data", "4294967295 bytes");
    let long = [whole, vec![0]].concat();
    assert_refused("images", &long, "more data than the header announces", "6 bytes for 2 × 1 × 3");
}

#[test]
fn a_gzip_bomb_is_stopped_at_the_announced_length() {
    // 256 MB of zeros in 260 KB: a gzip member of 1 MB, 256 times over.
    let bomb = [gzip(&idx_file(&[2], &[1, 2])), gzip(&vec![0; 1 << 20]).repeat(256)].concat();
    let folder = folder(&[("bomb", bomb)]);
    let result = idx::read_labels(&folder.path().join("bomb"));
    assert_data_error(result, "bomb", "more data than the header announces", "2 bytes");
}

/// A megabyte that unpacks to a thousand million labels, beside two images.
#[test]
fn labels_are_read_only_where_they_are_as_many_as_the_images() {
    let mut files = small_set();
    let labels = [gzip(&[0, 0, 8, 1, 59, 154, 202, 0]), gzip(&vec![0; 1 << 20]).repeat(200)].concat();
    files[3].1 = labels;
    let folder = folder(&files);
    let (result, bytes) = peak(|| idx::load(folder.path()));
    assert_data_error(result, TEST_LABELS, "1000000000 labels", "2, one for each");
    assert!(bytes < 1 << 20, "{bytes} bytes");
}

#[test]
fn broken_gzip_is_refused() {
    let whole = gzip(&idx_file(&[600], &pixels(600)));
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let trailing = [whole.clone(), b"tail".to_vec()].concat();
    for bytes in [whole[..whole.len() - 4].to_vec(), whole[..40].to_vec(), whole[..5].to_vec(), flipped, trailing] {
        let folder = folder(&[("labels.gz", bytes)]);
        let result = idx::read_labels(&folder.path().join("labels.gz"));
        assert_data_error(result, "labels.gz", "broken gzip data", "a complete gzip file");
    }
}

// --------------------------------------------------------------------------------------------------------- IDX sets

#[test]
fn a_set_is_found_under_the_names_in_use() {
    let files = small_set();
    let named = |names: [&'static str; 4]| -> Vec<(&'static str, Vec<u8>)> {
        names.into_iter().zip(&files).map(|(name, (_, bytes))| (name, bytes.clone())).collect()
    };
    for names in [
        [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS],
        ["train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"],
        [
            "emnist-letters-train-images-idx3-ubyte",
            "emnist-letters-train-labels-idx1-ubyte",
            "emnist-letters-test-images-idx3-ubyte",
            "emnist-letters-test-labels-idx1-ubyte",
        ],
        [
            "my.train-images-idx4-ubyte.gz",
            "train-labels-idx1-ubyte.gz",
            "test-images-idx3-ubyte",
            "t10k-labels.idx1-ubyte",
        ],
    ] {
        let folder = folder(&named(names));
        // What lies beside a set must not be in its way.
        fs::write(folder.path().join("README.md"), "a set").unwrap();
        fs::write(folder.path().join("._train-images-idx3-ubyte"), "left by an archive tool").unwrap();
        fs::write(folder.path().join("latest-images-idx3-ubyte"), "not the test images").unwrap();
        let set = idx::load(folder.path()).unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        assert_eq!((set.train.name.clone(), set.test.name.clone()), (format!("{name} train"), format!("{name} test")));
        assert_eq!((&set.train.labels, &set.test.labels), (&vec![1, 26, 1], &vec![26, 7]));
        // EMNIST's files hold transposed images.
        let turned = names[0].contains("emnist");
        let upright = |pixels: Vec<u8>| {
            let images = pixels.chunks(10).map(|image| (0..10).map(|place| image[place % 2 * 5 + place / 2]));
            if turned { images.flatten().collect() } else { pixels }
        };
        assert_eq!(
            [&set.train, &set.test].map(|set| set.images.all().unwrap().to_vec()),
            [30, 20].map(|n| upright(pixels(n)))
        );
        let [height, width] = if turned { [5, 2] } else { [2, 5] };
        assert_eq!((set.train.height, set.train.width, set.train.channels), (height, width, 1));
        assert_eq!(set.remarks.iter().any(|remark| remark.contains("turned upright")), turned);
    }
}

/// As torchvision, and as the archive of EMNIST lays them out.
#[test]
fn sets_are_found_where_downloads_put_them() {
    let downloads = folder(&[]);
    let write = |dir: &str, prefix: &str| {
        fs::create_dir_all(downloads.path().join(dir)).unwrap();
        for (name, bytes) in small_set() {
            fs::write(downloads.path().join(dir).join(format!("{prefix}{name}")), &bytes).unwrap();
            fs::write(downloads.path().join(dir).join(format!("{prefix}{name}.gz")), gzip(&bytes)).unwrap();
        }
    };
    let load = |dir: &str| data::load(&downloads.path().join(dir), None, Pictures::default(), None);
    write("MNIST/raw", "");
    for dir in ["MNIST/raw", "MNIST", "."] {
        assert_eq!(load(dir).unwrap().train.labels, [1, 26, 1], "{dir}");
    }
    write("gzip", "emnist-letters-");
    assert_eq!(load("gzip").unwrap().train.labels, [1, 26, 1]);
    let error = load(".").unwrap_err().to_string();
    assert!(error.contains("several folders of IDX files") && error.contains("MNIST"), "{error}");
    write("gzip", "emnist-digits-");
    assert_data_error(load("gzip"), "gzip", "2 (emnist-digits-train-images-idx3-ubyte, ", "a folder of its own");
}

/// What is no data set is told what one is, not what one kind of file lacks.
#[test]
fn a_folder_of_neither_kind_is_told_so() {
    let neither = folder(&[("notes.txt", Vec::new())]);
    let error = data::load(neither.path(), None, Pictures::default(), None).unwrap_err();
    assert!(error.to_string().contains("no picture, but 1 other file (1 .txt"), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("pictures for each class") && hint.contains("IDX") && !hint.contains("again"), "{hint}");
    for (name, found) in [("notes.txt", "a file"), ("none", "nothing there")] {
        let result = data::load(&neither.path().join(name), None, Pictures::default(), None);
        assert_data_error(result, name, found, "a folder of pictures, or of the four files of an IDX set");
    }
    let broken = Error::data(neither.path(), "found", "expected").hint().unwrap();
    assert!(broken.contains("again") && !broken.contains("class"), "{broken}");
}

#[test]
fn images_in_memory_are_inverted_as_pictures_are() {
    let set = folder(&small_set());
    let load = |invert| data::load(set.path(), None, Pictures { invert, ..Pictures::default() }, None).unwrap();
    let (own, inverted) = (load(false), load(true));
    for (own, inverted) in [(&own.train, &inverted.train), (&own.test, &inverted.test)] {
        let (own, inverted) = (own.images.all().unwrap(), inverted.images.all().unwrap());
        assert!(own.iter().zip(&*inverted).all(|(own, inverted)| own + inverted == 255));
    }
    assert_eq!(own.origin, inverted.origin, "it is the same set");
}

#[test]
fn a_folder_named_like_a_file_is_not_taken_for_it() {
    let mut files = small_set();
    files[0].0 = "train-images.idx3-ubyte";
    let folder = folder(&files);
    fs::create_dir(folder.path().join(TRAIN_IMAGES)).unwrap();
    assert_eq!(idx::load(folder.path()).unwrap().train.len(), 3);
}

#[test]
fn a_folder_without_one_whole_set_is_refused() {
    for (i, name) in [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS].into_iter().enumerate() {
        assert_set_refused(|files| drop(files.remove(i)), None, "none among its 3 files", name);
        assert_set_refused(|files| files[i].0 = "README", None, "README", name);
        let twin = format!("old-{name}.gz");
        let twin: &'static str = twin.leak();
        let double = |files: &mut Vec<(&'static str, Vec<u8>)>| files.push((twin, Vec::new()));
        assert_set_refused(double, None, &format!("2 (old-{name}.gz, {name})"), "one file whose name ends in");
    }
    assert_set_refused(|files| files.clear(), None, "an empty folder", TRAIN_IMAGES);

    let folder = folder(&[("file", Vec::new())]);
    let expected = "a folder that holds an IDX set";
    assert_data_error(idx::load(&folder.path().join("absent")), "absent", "nothing there", expected);
    assert_data_error(idx::load(&folder.path().join("file")), "file", "a file", expected);
}

#[test]
fn a_set_must_agree_with_itself() {
    assert_set_refused(|files| files[1].1 = idx_file(&[2], &[1, 2]), Some(TRAIN_LABELS), "2 labels", "3, one for each");
    assert_set_refused(
        |files| files[3].1 = idx_file(&[3], &[1, 2, 3]),
        Some(TEST_LABELS),
        "3 labels",
        "2, one for each",
    );
    let turned = idx_file(&[2, 5, 2], &pixels(20));
    assert_set_refused(
        |files| files[2].1 = turned,
        Some(TEST_IMAGES),
        "images of 5 × 2 × 1",
        "images of 2 × 5 × 1 as in",
    );
    let colour = idx_file(&[2, 2, 5, 3], &pixels(60));
    assert_set_refused(|files| files[2].1 = colour, Some(TEST_IMAGES), "images of 2 × 5 × 3", TRAIN_IMAGES);
    // The two files of the training set under each other's name.
    let swap =
        |files: &mut Vec<(&'static str, Vec<u8>)>| (files[0].1, files[1].1) = (files[1].1.clone(), files[0].1.clone());
    assert_set_refused(swap, Some(TRAIN_IMAGES), "a file of labels", "an image file");
}

/// Images of a set that is in memory are known by their pixels.
#[test]
fn so_many_images_as_asked_for_are_held_back() {
    let split = common::mnist();
    let parts = split.divide(None, Some(HoldBack::Images(5000)), 0).unwrap();
    let (train, validation) = (&parts.train, parts.validation.as_ref().unwrap());
    assert_eq!((train.len(), validation.len()), (55_000, 5000));
    assert_eq!(parts.evaluation.train, *train, "test images are compared with what was trained on");
    for rows in validation.rows_by_label() {
        assert!((400..600).contains(&rows.len()), "each digit is among them: {}", rows.len());
    }
    let again = common::mnist().divide(None, Some(HoldBack::Below(parts.bound.unwrap())), 0).unwrap();
    assert_eq!(again, parts);

    let small = || idx::load(folder(&small_set()).path()).unwrap();
    for images in [0, 3, 4, usize::MAX] {
        let error = small().divide(None, Some(HoldBack::Images(images)), 0).unwrap_err().to_string();
        assert!(error.contains("--validation"), "{images}: {error}");
    }
    let chosen = small().divide(Some(&named(&[26])), None, 0).unwrap_err().to_string();
    assert!(chosen.contains("--train-classes"), "one label is left: {chosen}");
}

// ---------------------------------------------------------------------------------------------------------- sampler

/// Labels without order, with gaps, and with label 40 on one image alone.
fn labels() -> Vec<u32> {
    (0..200u32).map(|row| if row == 77 { 40 } else { (row * 7 + row / 3) % 5 * 3 }).collect()
}

fn random(triplets: usize, positive: Positive) -> Batch {
    Batch::Random { triplets, positive }
}

fn triplets(rows: &[u32]) -> impl Iterator<Item = (usize, usize, usize)> {
    let count = rows.len() / 3;
    (0..count).map(move |i| (rows[i] as usize, rows[count + i] as usize, rows[2 * count + i] as usize))
}

#[test]
fn a_triplet_is_two_images_of_a_label_and_one_of_another() {
    let labels = labels();
    for positive in [Positive::Any, Positive::Other] {
        let sampler = Sampler::new(&labels, 3, random(128, positive)).unwrap();
        let (mut seen, mut own_positives) = (HashSet::new(), 0);
        for step in 0..40 {
            let rows = sampler.batch(step);
            assert_eq!(rows.len(), 3 * 128);
            for (a, p, n) in triplets(&rows) {
                assert_eq!(labels[a], labels[p]);
                assert_ne!(labels[a], labels[n]);
                if a == p && a != 77 {
                    own_positives += 1;
                }
                seen.extend([(0, a), (1, p), (2, n)]);
            }
        }
        assert_eq!(seen.len(), 3 * 200, "each image has been anchor, positive and negative");
        // An anchor is its own positive once in about 40, the size of a class here: 128 of 5120 triplets.
        match positive {
            Positive::Any => assert!((80..180).contains(&own_positives), "{own_positives}"),
            Positive::Other => assert_eq!(own_positives, 0),
        }
    }
}

#[test]
fn anchors_positives_and_negatives_are_uniform() {
    // Label 0 has rows 0 and 1, label 1 has rows 2 to 5.
    let sampler = Sampler::new(&[0, 0, 1, 1, 1, 1], 9, random(60_000, Positive::Other)).unwrap();
    let mut counts = [[0u32; 6]; 3];
    for (a, p, n) in triplets(&sampler.batch(0)) {
        for (count, row) in counts.iter_mut().zip([a, p, n]) {
            count[row] += 1;
        }
    }
    // Anchors: 1/6 each, and so the positives. Negatives: 2/3 of the anchors have label 1, which leaves rows 0 and 1.
    for (count, expected) in counts.iter().zip([[10_000; 6], [10_000; 6], [20_000, 20_000, 5_000, 5_000, 5_000, 5_000]])
    {
        for (&count, expected) in count.iter().zip(expected) {
            assert!(count.abs_diff(expected) < 500, "{counts:?}");
        }
    }
}

#[test]
fn a_batch_follows_from_seed_and_step_alone() {
    let labels = labels();
    let mined = Batch::Mined { labels: 4, images: 16, mining: Mining::SemiHard };
    for batch in [random(64, Positive::Other), mined] {
        let sampler = |seed| Sampler::new(&labels, seed, batch).unwrap();
        let one = sampler(1);
        for step in [0, 1, 2, 500] {
            let _ = one.batch(step);
        }
        assert_eq!(one.batch(500), sampler(1).batch(500));
        assert_ne!(one.batch(500), one.batch(501));
        assert_ne!(one.batch(500), sampler(2).batch(500));
        let all = Augment { elastic: 2.0, grey: 0.1, ..Augment::PICTURES };
        let warps = |seed, step| sampler(seed).warps(step, &all, [28, 28]);
        assert_eq!(warps(1, 500), warps(1, 500));
        assert_ne!(warps(1, 500), warps(1, 501));
        assert_ne!(warps(1, 500), warps(2, 500));
    }
    let some = |count| Sampler::new(&labels, 1, random(count, Positive::Other)).unwrap().batch(500);
    assert!(triplets(&some(10)).eq(triplets(&some(64)).take(10)));
}

/// P different labels, K different images of each; of a label with fewer each as often as any other, or once more.
#[test]
fn a_balanced_batch_is_some_images_of_some_labels() {
    let labels = labels();
    for (wanted, images) in [(2, 2), (4, 16), (6, 50)] {
        let batch = Batch::Mined { labels: wanted, images, mining: Mining::BatchAll };
        let sampler = Sampler::new(&labels, 5, batch).unwrap();
        let mut seen = HashSet::new();
        for step in 0..60 {
            let rows = sampler.batch(step);
            assert_eq!(rows.len(), wanted * images);
            let mut drawn = HashSet::new();
            for group in rows.chunks(images) {
                let label = labels[group[0] as usize];
                assert!(group.iter().all(|&row| labels[row as usize] == label), "a group has one label");
                assert!(drawn.insert(label), "label {label} was drawn twice");
                let all = labels.iter().filter(|&&other| other == label).count();
                let counts = group.iter().fold(HashMap::new(), |mut counts, row| {
                    *counts.entry(row).or_insert(0usize) += 1;
                    counts
                });
                assert_eq!(counts.len(), all.min(images), "different images of label {label}");
                assert!(counts.values().all(|&count| count == images / all || count == images.div_ceil(all)));
            }
            seen.extend(rows);
        }
        assert!(seen.len() > 120, "sixty batches of {wanted}x{images} show {} of 200 images", seen.len());
    }
    let refused = Sampler::new(&labels, 5, Batch::Mined { labels: 7, images: 2, mining: Mining::SemiHard });
    let error = refused.err().expect("six labels are not seven").to_string();
    assert!(error.contains("--batch") && error.contains("7x2") && error.contains('6'), "{error}");
}

/// Labels may have gaps; classes have none.
#[test]
fn classes_number_the_labels_that_occur() {
    let sampler = Sampler::new(&[8, 5, 5, 300], 0, random(1, Positive::Other)).unwrap();
    assert_eq!(sampler.classes(&[0, 1, 2, 3, 3, 0]), [1, 0, 0, 2, 2, 1]);
}

#[test]
fn a_batch_fits_a_set_with_few_labels() {
    let batch = Batch::Mined { labels: 10, images: 32, mining: Mining::SemiHard };
    assert_eq!(batch.fit(10, 6000), batch);
    assert_eq!(batch.fit(47, 32), batch);
    assert_eq!(batch.fit(2, 500), Batch::Mined { labels: 2, images: 160, mining: Mining::SemiHard });
    assert_eq!(batch.fit(3, 500).rows(), 321);
    // Images of a label are not repeated: there are more labels, where there are more.
    assert_eq!(batch.fit(1430, 7), Batch::Mined { labels: 46, images: 7, mining: Mining::SemiHard });
    assert_eq!(batch.fit(40, 3), Batch::Mined { labels: 40, images: 3, mining: Mining::SemiHard });
    assert_eq!(batch.fit(400, 1), Batch::Mined { labels: 160, images: 2, mining: Mining::SemiHard });
}

/// Amounts keep their bounds and use them; none leaves every image where it is.
#[test]
fn warps_keep_their_bounds() {
    let labels = labels();
    let sampler = Sampler::new(&labels, 5, random(500, Positive::Other)).unwrap();
    let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let draw = |augment: Augment| sampler.warps(3, &augment, [20, 30]);
    let none = draw(Augment::NONE);
    assert!(none.maps.chunks(6).all(|map| map == identity));
    assert!(none.colours.is_empty() && none.blanks.is_empty());
    let shifts = draw(Augment { shift: 3.0, ..Augment::NONE });
    let furthest = shifts.maps.chunks(6).flat_map(|map| [map[2], map[5]]).fold(0f32, |most, x| most.max(x.abs()));
    assert!((2.9..=3.0).contains(&furthest), "shifts of up to {furthest}");
    let turned = draw(Augment { rotate: 30.0, ..Augment::NONE });
    let least = turned.maps.chunks(6).map(|map| map[0]).fold(1f32, f32::min);
    assert!((least - 30f32.to_radians().cos()).abs() < 0.01, "turns of up to {}", least.acos().to_degrees());
    for map in turned.maps.chunks(6) {
        assert!((map[0] * map[4] - map[1] * map[3] - 1.0).abs() < 1e-6, "a turn keeps areas");
    }
    let keys: HashSet<u32> = turned.keys.iter().copied().collect();
    assert!(keys.len() > 1490, "keys repeat");

    let mirrored = draw(Augment { flip: 0.3, ..Augment::NONE }).maps;
    let count = mirrored.chunks(6).filter(|map| **map == [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).count();
    assert!((400..500).contains(&count), "{count} of 1500 are mirrored, three in ten should be");
    assert!(mirrored.chunks(6).all(|map| map[1..] == identity[1..] && map[0].abs() == 1.0), "a flip is nothing else");

    let cuts = draw(Augment { crop: 0.5, ..Augment::NONE }).maps;
    let (mut least, mut longest, mut furthest) = (1f32, 1f32, 0f32);
    for map in cuts.chunks(6) {
        let [wide, high] = [map[0], map[4]];
        assert!(map[1] == 0.0 && map[3] == 0.0 && wide <= 1.0 && high <= 1.0, "{map:?} is no part of the image");
        // Half of what is cut away is the furthest that the rest can go.
        let room = [(30.0 * (1.0 - wide), map[2]), (20.0 * (1.0 - high), map[5])];
        assert!(room.iter().all(|(room, moved)| 2.0 * moved.abs() <= room + 1e-4), "{map:?} leaves the image");
        least = least.min(wide * high);
        longest = longest.max(wide / high);
        furthest = furthest.max(map[2].abs());
    }
    assert!((0.5..0.51).contains(&least), "the least area is {least}");
    assert!((1.3..1.334).contains(&longest), "the longest is {longest}");
    assert!((4.0..7.5).contains(&furthest), "moved by up to {furthest}");

    let blanks = draw(Augment { erase: 0.25, ..Augment::NONE }).blanks;
    let some: Vec<_> = blanks.chunks(4).filter(|blank| **blank != [0.0; 4]).collect();
    assert!((330..420).contains(&some.len()), "{} of 1500 are blanked, a quarter should be", some.len());
    for blank in &some {
        let [left, top, right, bottom] = <[f32; 4]>::try_from(*blank).unwrap();
        assert!(blank.iter().all(|place| place.fract() == 0.0), "{blank:?}");
        assert!(0.0 <= left && left < right && right <= 30.0 && 0.0 <= top && top < bottom && bottom <= 20.0);
        let share = (right - left) * (bottom - top) / 600.0;
        assert!((0.01..0.36).contains(&share), "{blank:?} is {share} of the image");
    }
    assert!(some.iter().any(|blank| blank[2] == 30.0) && some.iter().any(|blank| blank[0] == 0.0), "edges are blanked");
}

/// Matrices of colours, by what they do to some: greys stay grey, luminance stays where hue and saturation change.
#[test]
fn colours_are_what_they_are_called() {
    let sampler = Sampler::new(&labels(), 5, random(500, Positive::Other)).unwrap();
    let amounts = |text: &str| sampler.warps(3, &text.parse().unwrap(), [8, 8]).colours;
    let apply = |matrix: &[f32], colour: [f32; 3]| {
        std::array::from_fn::<_, 3, _>(|row| {
            let row = &matrix[4 * row..][..4];
            row[3] + (0..3).map(|column| row[column] * colour[column]).sum::<f32>()
        })
    };
    let near = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.2);
    let luminance = |colour: [f32; 3]| 0.213 * colour[0] + 0.715 * colour[1] + 0.072 * colour[2];
    let orange = [200.0, 120.0, 40.0];
    let range = |values: &mut dyn Iterator<Item = f32>| {
        values.fold((f32::MAX, f32::MIN), |(least, most), value| (least.min(value), most.max(value)))
    };

    for matrix in amounts("erase=1").chunks(12) {
        assert!(near(apply(matrix, orange), orange), "nothing is asked of colours");
    }
    let (least, most) = range(&mut amounts("brightness=0.4").chunks(12).map(|matrix| apply(matrix, [100.0; 3])[0]));
    assert!((60.0..61.0).contains(&least) && (139.0..=140.0).contains(&most), "from {least} to {most}");
    let contrast = amounts("contrast=0.4");
    let (least, most) = range(&mut contrast.chunks(12).map(|matrix| apply(matrix, [227.5; 3])[1]));
    assert!((187.5..188.5).contains(&least) && (266.5..=267.5).contains(&most), "from {least} to {most}");
    assert!(contrast.chunks(12).all(|matrix| near(apply(matrix, [127.5; 3]), [127.5; 3])), "middle grey moves");
    for matrix in amounts("saturation=0.5 hue=0.5").chunks(12) {
        assert!(near(apply(matrix, [77.0; 3]), [77.0; 3]), "grey is coloured");
        assert!((luminance(apply(matrix, orange)) - luminance(orange)).abs() < 0.2, "luminance changes");
    }
    let (least, most) = range(&mut amounts("saturation=0.5").chunks(12).map(|matrix| {
        let [red, _, blue] = apply(matrix, orange);
        red - blue
    }));
    assert!((80.0..81.0).contains(&least) && (239.0..=240.0).contains(&most), "from {least} to {most}");
    // A hue that is turned is another one, most of all when turned half around.
    let (_, turned) = range(&mut amounts("hue=0.5").chunks(12).map(|matrix| apply(matrix, orange)[2]));
    assert!(turned > 150.0, "orange becomes no blue: {turned}");
    let greys = amounts("grey=0.25");
    let count = greys.chunks(12).filter(|matrix| near(apply(matrix, orange), [luminance(orange); 3])).count();
    assert!((330..420).contains(&count), "{count} of 1500 are grey, a quarter should be");
    let rest = greys.chunks(12).filter(|matrix| near(apply(matrix, orange), orange)).count();
    assert_eq!(count + rest, 1500, "an image is grey or as it was");
}

/// What is asked for besides does not change what an amount draws, today's draws are those of older versions, and those
/// of a row do not depend on how many rows there are.
#[test]
fn amounts_are_drawn_apart() {
    let sampler = Sampler::new(&labels(), 5, random(50, Positive::Other)).unwrap();
    let draw = |augment: &Augment| sampler.warps(3, augment, [8, 8]);
    let before = draw(&Augment::ELASTIC);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    rng.set_stream(3 | 1 << 63);
    for (map, &key) in before.maps.chunks(6).zip(&before.keys) {
        let mut amount = |bound: f64| bound * (f64::from(rng.next_u32() >> 8) / f64::from(1 << 23) - 1.0);
        let [x, y, turn, wide, high, shear] =
            [1.0, 1.0, 8.0, 0.08f32.into(), 0.08f32.into(), 0.08f32.into()].map(&mut amount);
        let ((sin, cos), wide, high) = (turn.to_radians().sin_cos(), 1.0 + wide, 1.0 + high);
        let expected = [cos * wide, (cos * shear - sin) * high, x, sin * wide, (sin * shear + cos) * high, y];
        assert_eq!(map, expected.map(|value| value as f32));
        assert_eq!(key, rng.next_u32());
    }
    let more = draw(&Augment { hue: 0.1, erase: 0.5, ..Augment::ELASTIC });
    assert_eq!((&more.maps, &more.keys), (&before.maps, &before.keys));
    let cut = draw(&Augment { crop: 0.2, ..Augment::ELASTIC });
    assert_eq!(cut.keys, before.keys);
    let flipped = draw(&Augment { crop: 0.2, flip: 0.5, ..Augment::ELASTIC });
    assert!(cut.maps.iter().zip(&flipped.maps).all(|(a, b)| a.abs() == b.abs()), "a flip draws another rectangle");
    let coloured = draw(&Augment { hue: 0.1, ..Augment::NONE });
    assert_eq!(coloured.colours, more.colours);
    let fewer = Sampler::new(&labels(), 5, random(20, Positive::Other)).unwrap().warps(3, &Augment::PICTURES, [8, 8]);
    let all = draw(&Augment::PICTURES);
    assert_eq!(fewer.maps, all.maps[..fewer.maps.len()]);
    assert_eq!(fewer.colours, all.colours[..fewer.colours.len()]);
    assert_eq!(fewer.blanks, all.blanks[..fewer.blanks.len()]);
}

/// Checkpoints of before there were more have five amounts, and those that have no more are written so.
#[test]
fn five_amounts_are_enough_in_a_file() {
    let five = r#"{"shift":1.0,"rotate":8.0,"scale":0.08,"shear":0.08,"elastic":2.0}"#;
    assert_eq!(serde_json::from_str::<Augment>(five).unwrap(), Augment::ELASTIC);
    assert_eq!(serde_json::to_string(&Augment::ELASTIC).unwrap(), five);
    let text = serde_json::to_string(&Augment::PICTURES).unwrap();
    assert_eq!(serde_json::from_str::<Augment>(&text).unwrap(), Augment::PICTURES);
}

#[test]
fn amounts_are_read_and_checked() {
    assert_eq!("none".parse::<Augment>().unwrap(), Augment::NONE);
    assert_eq!("elastic".parse::<Augment>().unwrap(), Augment::ELASTIC);
    let some = Augment { shift: 2.5, elastic: 1.0, ..Augment::NONE };
    assert_eq!("shift=2.5 elastic=1".parse::<Augment>().unwrap(), some);
    assert_eq!("affine elastic=2".parse::<Augment>().unwrap(), Augment::ELASTIC);
    let pictures = Augment { crop: 0.5, hue: 0.0, ..Augment::PICTURES };
    assert_eq!("pictures crop=0.5 hue=0".parse::<Augment>().unwrap(), pictures);
    for (wrong, words) in [
        ("shift", "`shift`: there are none, affine, elastic, pictures"),
        ("affine elastic", "`elastic`: a setting is a name and a number"),
        (
            "bend=1",
            "`bend=1`: augmentation has no setting `bend`; it has shift, rotate, scale, shear, elastic, flip, crop, ",
        ),
        ("shift=x", "`shift=x`: `x` is no number; shift is from 0 to 1000, such as 0"),
        ("shift=1 shift=2", "`shift=2`: shift is set twice"),
        ("scale=2", "scale=2 is not from 0 to 0.9"),
        ("flip=1.5", "flip=1.5 is not from 0 to 1"),
        ("crop=1", "crop=1 is not from 0 to 0.95"),
        ("rotate=-1", "rotate=-1 is not from 0 to 180"),
        ("shift=nan", "shift=NaN is not from 0 to 1000"),
    ] {
        let error = wrong.parse::<Augment>().expect_err(wrong).to_string();
        assert!(error.starts_with("--augment: ") && error.contains(words), "{error}");
    }
}

/// Labels and images divide without loss, and images held back are not trained on.
#[test]
fn a_set_is_divided() {
    let split = common::mnist();
    let split = Split::new("part", split.train.take(2000), split.test.take(500)).unwrap();
    let whole = split.clone().divide(None, None, 1).unwrap();
    assert_eq!((&whole.train, &whole.evaluation), (&split.train, &split));
    let hundred = Some(HoldBack::Images(100));
    let parts = split.clone().divide(Some(&named(&[0, 1, 7])), hundred, 1).unwrap();
    let held = parts.validation.unwrap();
    assert_eq!(held.len(), 100);
    let chosen = |label: &u32| [0, 1, 7].contains(label);
    assert!(parts.train.labels.iter().chain(&held.labels).all(chosen));
    let evaluation = &parts.evaluation;
    assert!(!evaluation.train.labels.iter().chain(&evaluation.test.labels).any(chosen));
    assert_eq!(parts.train.len() + 100 + evaluation.train.len(), 2000);
    assert_eq!(evaluation.test.len(), split.test.labels.iter().filter(|label| !chosen(label)).count());
    let held = |seed| split.clone().divide(None, hundred, seed).unwrap().validation;
    assert_eq!(held(1), held(1));
    assert_ne!(held(1), held(2));
    let names: HashSet<_> = [&parts.train, &evaluation.train, &split.train].map(|set| set.name.clone()).into();
    assert_eq!(names.len(), 3, "runners share images by name");
    for (labels, validation) in [(&[0, 12][..], None), (&[0, 1, 2, 3, 4, 5, 6, 7, 8], None), (&[0, 1], Some(9000))] {
        let validation = validation.map(HoldBack::Images);
        assert!(split.clone().divide(Some(&named(labels)), validation, 1).is_err(), "{labels:?}, {validation:?}");
    }
}

fn named(labels: &[u32]) -> Vec<String> {
    labels.iter().map(u32::to_string).collect()
}

#[test]
fn labels_go_by_their_names() {
    let chosen = |names: &[&str], wanted: &[&str]| {
        let set = Dataset {
            label_names: names.iter().map(|&name| name.to_owned()).collect(),
            labels: (0..4).collect(),
            ..small_dataset()
        };
        let wanted: Vec<String> = wanted.iter().map(|&part| part.to_owned()).collect();
        set.labels_named("--classes", &wanted).map(|labels| labels.into_iter().collect::<Vec<_>>())
    };
    let numbers = ["1", "2", "3", "4"];
    assert_eq!(chosen(&numbers, &["1-2", "4"]).unwrap(), [0, 1, 3], "by what folders are called, not by their places");
    assert_eq!(chosen(&[], &["0-2"]).unwrap(), [0, 1, 2]);
    assert_eq!(chosen(&["cat", "dog", "owl", "2019-2021"], &["owl", " cat", "2019-2021"]).unwrap(), [0, 2, 3]);
    assert_eq!(chosen(&["Jos\u{e9}", "b", "c", "d"], &["Jose\u{301}"]).unwrap(), [0]);
    for (names, wanted, missing) in [
        (numbers, "0-2", "`0`"),
        (numbers, "3-4294967295", "`5`"),
        (numbers, "4-3", "`4-3`"),
        (["cat", "dog", "owl", "2019-2021"], "0-1", "`0`"),
        (numbers, "-1", "`-1`"),
        (numbers, "", "``"),
    ] {
        let error = chosen(&names, &[wanted]).unwrap_err().to_string();
        assert!(
            error.contains("--classes") && error.contains(missing) && error.contains(names[3]),
            "{wanted}: {error}"
        );
    }
}

/// A set is what it holds, not what it is called: each pixel, label and size counts, and a part is not the whole.
#[test]
fn a_set_is_known_by_what_it_holds() {
    let own = Dataset { name: "own".to_owned(), ..idx::load(folder(&small_set()).path()).unwrap().train };
    let changed = |change: fn(&mut Dataset)| {
        let mut other = own.clone();
        change(&mut other);
        other.digest().unwrap()
    };
    assert_eq!(changed(|set| set.name = "other".to_owned()), own.digest().unwrap());
    let others = [
        changed(|set| {
            let mut bytes = set.images.all().unwrap().to_vec();
            bytes[29] ^= 1;
            set.images = Images::new(bytes, set.pixels());
        }),
        changed(|set| set.labels[2] = 26),
        changed(|set| (set.height, set.width) = (5, 2)),
        own.clone().take(2).digest().unwrap(),
        own.digest().unwrap(),
    ];
    assert_eq!(others.iter().collect::<HashSet<_>>().len(), others.len());
    let origin = |train: &Dataset| Split::new("set", train.clone(), own.clone()).unwrap().origin;
    assert_eq!(origin(&own).difference(&origin(&own)), None);
    let swapped = Dataset { labels: vec![26, 1, 1], ..own.clone() };
    assert!(origin(&own).difference(&origin(&swapped)).unwrap().contains("but others"));
}

#[test]
fn a_seed_means_the_same_batch_in_every_version() {
    // A resumed run and a repeated run need these numbers to stay as they are, whatever happens to `rand`.
    let drawn = |batch| Sampler::new(&labels(), 42, batch).unwrap().batch(7);
    assert_eq!(drawn(random(3, Positive::Other)), [7, 127, 159, 24, 157, 95, 149, 98, 49]);
    assert_eq!(drawn(Batch::Mined { labels: 2, images: 3, mining: Mining::SemiHard }), [80, 65, 157, 118, 73, 101]);
}

#[test]
fn a_label_with_a_single_image_has_the_anchor_as_its_positive() {
    let sampler = Sampler::new(&[8, 5, 5], 0, random(300, Positive::Other)).unwrap();
    let rows = sampler.batch(0);
    assert!(triplets(&rows).any(|(a, ..)| a == 0));
    for (a, p, n) in triplets(&rows) {
        match a {
            0 => assert!(p == 0 && n > 0),
            _ => assert!(p == 3 - a && n == 0),
        }
    }
}

#[test]
fn fewer_than_two_labels_are_refused() {
    for (labels, found) in [(&[][..], "0 different labels in 0 images"), (&[4, 4, 4], "1 different labels in 3 images")]
    {
        let error = Sampler::new(labels, 0, random(1, Positive::Any)).err().unwrap();
        assert!(matches!(&error, Error::Config { setting, .. } if setting == "data"), "{error}");
        assert!(error.to_string().contains(found), "{error}");
    }
}

// ------------------------------------------------------------------------------------------------------------- init

fn filled(init: Init, seed: u64, tensor: &str, fan_in: usize, fan_out: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; 40_000];
    init::fill(init, seed, tensor, fan_in, fan_out, &mut out);
    out
}

#[test]
fn first_weights_have_the_bounds_and_the_variance_of_their_formula() {
    for (init, variance) in [(Init::GlorotUniform, 2f64 / (50.0 + 30.0)), (Init::HeUniform, 2.0 / 50.0)] {
        let weights = filled(init, 1, "dense1.weight", 50, 30);
        let limit = (3.0 * variance).sqrt();
        let most = weights.iter().fold(0f64, |most, &w| most.max(f64::from(w.abs())));
        assert!(most <= limit * 1.000_001 && most > 0.99 * limit, "{init:?}: {most} of {limit}");
        let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / 40_000.0;
        let square = weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / 40_000.0;
        // Four standard errors of the mean and more of the variance, at 40,000 values.
        assert!(mean.abs() < 0.02 * variance.sqrt(), "{init:?}: mean {mean}");
        assert!((square / variance - 1.0).abs() < 0.03, "{init:?}: variance {square}, formula {variance}");
    }
}

#[test]
fn first_weights_follow_from_the_seed_and_the_name_alone() {
    let weights = filled(Init::HeUniform, 1, "conv1.weight", 9, 288);
    assert_eq!(weights, filled(Init::HeUniform, 1, "conv1.weight", 9, 288));
    assert_ne!(weights, filled(Init::HeUniform, 2, "conv1.weight", 9, 288));
    assert_ne!(weights, filled(Init::HeUniform, 1, "conv2.weight", 9, 288));
    let mut few = [0.0; 3];
    init::fill(Init::HeUniform, 1, "conv1.weight", 9, 288, &mut few);
    assert_eq!(few, weights[..3]);
}

#[test]
fn a_seed_means_the_same_weights_in_every_version() {
    let mut out = [0.0; 3];
    init::fill(Init::GlorotUniform, 42, "conv1.weight", 9, 288, &mut out);
    assert_eq!(out.map(f32::to_bits), [1032108204, 1037966346, 1028239535]);
}

#[test]
#[should_panic(expected = "dense1.weight: HeUniform with fan_in 0 and fan_out 30")]
fn a_fan_of_zero_is_a_mistake_in_the_plan() {
    init::fill(Init::HeUniform, 1, "dense1.weight", 0, 30, &mut [0.0]);
}
