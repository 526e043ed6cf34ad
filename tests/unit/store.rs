//! Images that are read when they are asked for: packed sets, pictures that cannot be used, batches read ahead.

use std::fs;
use std::path::Path;
use std::time::Duration;

use image::{GrayImage, Luma};
use siamese::data::pictures::{Ground, Pictures};
use siamese::data::store::{Images, Store};
use siamese::data::{Bad, Split, folder, packed};
use siamese::error::{Error, Result};
use siamese::feed::Feed;
use siamese::host::pack;
use siamese::output::Output;

const AS_IS: Pictures = Pictures { invert: false, ground: Ground::Black };

/// Grey pictures of 4 × 6, each of a value of its own, in folders `a` and `b`; and those that are `broken`.
fn pictures(broken: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        fs::create_dir(folder.path().join(class)).unwrap();
        for number in 0..12 {
            let value = number * 10 + u8::from(class == "b");
            let name = folder.path().join(format!("{class}/{number}.png"));
            GrayImage::from_pixel(6, 4, Luma([value])).save(name).unwrap();
        }
    }
    broken.iter().for_each(|name| fs::write(folder.path().join(name), b"\x89PNG no picture").unwrap());
    folder
}

fn load(folder: &Path) -> Split {
    folder::load(folder, Some([4, 6, 1]), AS_IS, None).unwrap()
}

fn pack_to(split: Split, file: &Path, bad: Bad) -> Result<Split> {
    packed::write(split, AS_IS, bad, Output::prepare(file, packed::KIND)?, || ())
}

// ------------------------------------------------------------------------------------------------------------ packed

/// A packed folder is the folder: the same images, labels, names, division and digest.
#[test]
fn a_packed_set_is_the_folder() {
    let folder = pictures(&[]);
    let file = folder.path().join("all.set");
    let own = load(folder.path());
    pack_to(own.clone(), &file, Bad::Refused).unwrap();
    let packed = siamese::data::load(&file, None, AS_IS, None).unwrap();
    assert_eq!((&packed.train, &packed.test, &packed.names), (&own.train, &own.test, &own.names));
    assert_eq!(packed.origin.difference(&own.origin), None);
    assert_eq!(packed.origin.path.as_deref(), Some(file.as_path()), "where it lies now");
    let divide = |split: Split| split.divide(None, Some(siamese::data::HoldBack::Images(4)), 3).unwrap();
    assert_eq!(divide(packed.clone()).validation, divide(own).validation);

    // Other programs read it, at any alignment.
    let bytes = fs::read(&file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("test.images").unwrap().shape(), [packed.test.len(), 4, 6, 1]);

    let error = packed::load(&file, Pictures { invert: true, ..AS_IS }).unwrap_err().to_string();
    assert!(error.contains("all.set") && error.contains("\"invert\":true"), "{error}");
}

/// Thousands of identities have names that are longer together than some numbers count.
#[test]
fn a_packed_set_may_have_many_names() {
    let folder = pictures(&[]);
    let file = folder.path().join("all.set");
    let mut split = load(folder.path());
    let names: Vec<String> = (0..20_000).map(|number| format!("identity {number}")).collect();
    split.train.label_names.clone_from(&names);
    pack_to(split, &file, Bad::Refused).unwrap();
    assert_eq!(packed::load(&file, AS_IS).unwrap().train.label_names, names);
}

#[test]
fn what_is_no_packed_set_is_refused() {
    let folder = pictures(&[]);
    let file = folder.path().join("all.set");
    pack_to(load(folder.path()), &file, Bad::Refused).unwrap();
    let whole = fs::read(&file).unwrap();
    let cases: [(&str, Vec<u8>); 5] = [
        ("empty", vec![]),
        ("short", whole[..whole.len() - 1].to_vec()),
        ("longer", [whole.as_slice(), b"x"].concat()),
        ("another kind", vec![b'x'; 500]),
        ("no set", b"\x28\0\0\0\0\0\0\0{\"__metadata__\":{\"other\":\"value\"}}      ".to_vec()),
    ];
    for (what, bytes) in cases {
        fs::write(&file, bytes).unwrap();
        let error = packed::load(&file, AS_IS).expect_err(what).to_string();
        assert!(error.contains("all.set") && error.contains("siamese pack"), "{what}: {error}");
    }
}

/// What is cut while it is in use is an error of the image, and ends nothing else.
#[test]
fn a_packed_set_that_is_cut_in_use_is_an_error() {
    let folder = pictures(&[]);
    let file = folder.path().join("all.set");
    pack_to(load(folder.path()), &file, Bad::Refused).unwrap();
    let packed = packed::load(&file, AS_IS).unwrap();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(100).unwrap();
    let error = packed.train.image(packed.train.len() - 1).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if *path == file), "{error}");
}

// --------------------------------------------------------------------------------------------------------------- bad

/// All pictures that cannot be used are named at once; left out they are as if they were not there, packed as well.
#[test]
fn bad_pictures_are_named_or_left_out() {
    let broken = ["a/3.png", "a/empty.png", "b/7.png"];
    let folder = pictures(&broken);
    fs::write(folder.path().join("a/empty.png"), b"").unwrap();
    let file = folder.path().join("all.set");
    for result in [
        load(folder.path()).loaded(Bad::Refused, || ()),
        load(folder.path()).checked(Bad::Refused, || ()),
        pack_to(load(folder.path()), &file, Bad::Refused),
    ] {
        let error = result.unwrap_err();
        let text = error.to_string();
        assert!(broken.iter().all(|name| text.contains(name)) && text.contains("3 pictures"), "{text}");
        assert!(error.hint().unwrap().contains("--skip-bad"));
    }
    assert!(!file.exists() && fs::read_dir(folder.path()).unwrap().count() == 2, "no half-written file is left");

    let skipped = load(folder.path()).loaded(Bad::Skipped, || ()).unwrap();
    assert_eq!(skipped.left_out, 3);
    assert!(broken.iter().all(|name| skipped.remarks.iter().any(|remark| remark.contains(name))));
    pack_to(load(folder.path()), &file, Bad::Skipped).unwrap();
    let packed = packed::load(&file, AS_IS).unwrap();
    broken.iter().for_each(|name| fs::remove_file(folder.path().join(name)).unwrap());
    fs::rename(&file, folder.path().with_extension("set")).unwrap();
    let without = load(folder.path());
    fs::remove_file(folder.path().with_extension("set")).unwrap();
    for set in [&skipped, &load(folder.path()).checked(Bad::Skipped, || ()).unwrap()] {
        assert_eq!((&set.train, &set.test, &set.names), (&without.train, &without.test, &without.names));
        assert_eq!(set.origin.difference(&without.origin), None);
    }
    assert_eq!((&packed.train.labels, &packed.names), (&without.train.labels, &without.names));
}

/// Where no size is asked for it is that of the pictures that have one, and the others are dealt with as above.
#[test]
fn bad_pictures_have_no_say_in_the_size() {
    let folder = pictures(&["a/3.png", "b/7.png"]);
    let load = || folder::load(folder.path(), None, AS_IS, None).unwrap();
    assert_eq!([load().train.height, load().train.width], [4, 6]);
    assert!(load().remarks.iter().any(|remark| remark.contains("no size in the head of 2 pictures")));
    assert_eq!(load().loaded(Bad::Skipped, || ()).unwrap().left_out, 2);
    let error = load().loaded(Bad::Refused, || ()).unwrap_err().to_string();
    assert!(["a/3.png", "b/7.png"].iter().all(|name| error.contains(name)), "{error}");
    let none = tempfile::tempdir().unwrap();
    for name in ["train/a/1.png", "test/a/1.png"] {
        let path = none.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"nothing").unwrap();
    }
    assert!(matches!(folder::load(none.path(), None, AS_IS, None), Err(Error::Pictures { .. })));
}

#[test]
fn a_set_of_nothing_else_is_refused_even_so() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["train/a/1.png", "train/b/1.png", "test/a/1.png"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"nothing").unwrap();
    }
    let error = load(folder.path()).loaded(Bad::Skipped, || ()).unwrap_err();
    assert!(error.to_string().contains("3 pictures cannot be used"), "{error}");
}

// -------------------------------------------------------------------------------------------------------------- feed

/// Images that are their row's number, of which some take longer and one cannot be read.
struct Slow {
    bad: Option<usize>,
}

impl Store for Slow {
    fn len(&self) -> usize {
        1000
    }

    fn read(&self, row: usize, image: &mut [u8]) -> Result<()> {
        if row.is_multiple_of(7) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.bad == Some(row) {
            return Err(Error::data(Path::new("bad.png"), "nothing", "a picture"));
        }
        image.fill(row as u8);
        Ok(())
    }

    fn digest(&self) -> String {
        "slow".to_owned()
    }
}

/// Whoever reads a batch and however long it takes, batches come in order and are what was asked for.
#[test]
fn batches_come_in_their_order() {
    let rows = |number: u64| (number < 40).then(|| (0..5).map(|row| (number as u32 * 31 + row * 7) % 1000).collect());
    for workers in [1, 2, 5] {
        let mut feed = Feed::new(Images::of(Slow { bad: None }, 3), rows, 4, workers);
        for number in 4..40 {
            assert_eq!(feed.position(), number);
            let bytes: Vec<u8> = rows(number).unwrap().iter().flat_map(|&row: &u32| [row as u8; 3]).collect();
            assert_eq!(feed.take().unwrap().0, pack(&bytes), "batch {number} of {workers} threads");
        }
    }
    // One that nobody asks further ends, its threads with it.
    drop(Feed::new(Images::of(Slow { bad: None }, 3), |number| Some(vec![number as u32 % 1000]), 0, 3));
}

#[test]
fn an_image_that_cannot_be_read_is_an_error_of_its_batch() {
    let mut feed = Feed::new(Images::of(Slow { bad: Some(6) }, 3), |n| Some(vec![2 * n as u32, 1]), 0, 2);
    for _ in 0..3 {
        feed.take().unwrap();
    }
    assert!(feed.take().unwrap_err().to_string().contains("bad.png"));
    feed.take().unwrap();
}

// ------------------------------------------------------------------------------------------------------------ shards

/// A shard of these files.
fn shard(path: &Path, files: &[(&str, Vec<u8>)]) {
    let mut shard = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, bytes) in files {
        let mut head = tar::Header::new_gnu();
        head.set_size(bytes.len() as u64);
        head.set_mode(0o644);
        shard.append_data(&mut head, name, bytes.as_slice()).unwrap();
    }
    shard.finish().unwrap();
}

fn png(value: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    GrayImage::from_pixel(6, 4, Luma([value])).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Shards as `tar` makes them of a folder are the folder, wherever they are cut; and they are packed as well.
#[test]
fn shards_of_a_folder_are_the_folder() {
    let folder = pictures(&[]);
    let own = load(folder.path()).loaded(Bad::Refused, || ()).unwrap();
    let shards = tempfile::tempdir().unwrap();
    let long = "b/".to_owned() + &"x".repeat(150) + ".png";
    for (class, name) in [("a", "1.tar"), ("b", "2.tar")] {
        let files = (0..12).map(|number| {
            let name = format!("{class}/{number}.png");
            (name.clone(), fs::read(folder.path().join(&name)).unwrap())
        });
        let files: Vec<_> = files.collect();
        let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
        shard(&shards.path().join(name), &files);
    }
    let split = load(shards.path());
    assert_eq!(
        (&split.train.labels, &split.test.labels, &split.names),
        (&own.train.labels, &own.test.labels, &own.names)
    );
    assert_eq!(split.origin.difference(&own.origin), None);
    let values = |split: &Split| {
        let all = split.sets().map(|set| (0..set.len()).map(|row| set.image(row).unwrap()[0]).collect::<Vec<_>>());
        let mut all = all.concat();
        all.sort_unstable();
        all
    };
    assert_eq!(values(&split), values(&own));
    let file = shards.path().join("all.set");
    pack_to(split, &file, Bad::Refused).unwrap();
    assert_eq!(packed::load(&file, AS_IS).unwrap().origin.difference(&own.origin), None);

    // One shard is a set by itself, names of any length in it.
    let one = shards.path().join("one.tar");
    shard(
        &one,
        &[
            ("train/a/1.png", png(1)),
            ("train/b/1.png", png(2)),
            ("test/a/1.png", png(3)),
            (&format!("test/{long}"), png(4)),
        ],
    );
    let split = siamese::data::load(&one, Some([4, 6, 1]), AS_IS, None).unwrap();
    assert_eq!((split.train.len(), split.test.labels.clone()), (2, vec![0, 1]));
}

/// As webdataset writes samples: the class in a file beside the picture.
#[test]
fn shards_of_samples_have_their_classes_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let text = |text: &str| text.as_bytes().to_vec();
    let train = [
        ("0001.png", png(1)),
        ("0001.cls", text("7\n")),
        ("0002.json", text(r#"{"label": "owl"}"#)),
        ("0002.png", png(2)),
        ("0003.png", png(3)),
        ("0003.cls", text("7")),
        ("notes.txt", text("nothing")),
    ];
    shard(&folder.path().join("birds-train-0.tar"), &train);
    shard(&folder.path().join("birds-test-0.tar"), &[("0001.png", png(9)), ("0001.cls", text("owl"))]);
    let split = load(folder.path());
    assert_eq!(split.train.label_names, ["7", "owl"]);
    assert_eq!((&split.train.labels[..], &split.test.labels[..]), (&[0, 0, 1][..], &[1][..]));
    assert_eq!(split.train.image(2).unwrap()[0], 2);
    assert!(split.remarks.iter().any(|remark| remark.contains("notes.txt")), "{:?}", split.remarks);
}

#[test]
fn a_broken_shard_is_named_and_so_is_a_broken_picture_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.tar");
    shard(&file, &[("a/1.png", png(1)), ("a/2.png", b"nothing".to_vec()), ("b/1.png", png(3)), ("b/9.png", png(4))]);
    let error = load(folder.path()).checked(Bad::Refused, || ()).unwrap_err().to_string();
    assert!(error.contains("all.tar/a/2.png"), "{error}");
    let whole = fs::read(&file).unwrap();
    for cut in [100, 700, whole.len() - 1500] {
        fs::write(&file, &whole[..cut]).unwrap();
        let error = folder::load(folder.path(), Some([4, 6, 1]), AS_IS, None).unwrap_err().to_string();
        assert!(error.contains("all.tar"), "{cut}: {error}");
    }
}
