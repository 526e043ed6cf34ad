//! A folder of pictures as a data set: one folder a class, `folder/class/picture.png`, or the same in `folder/train`
//! and `folder/test`.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::decode::shape;
use super::pictures::{self, Found, Pictures, find};
use super::{Origin, Split, sha256};
use crate::error::{Error, Result};

/// One picture of so many is a test picture where the folder does not say which are.
const TEST_SHARE: usize = 5;
/// The largest side that training takes as it is, without being told.
const SIDE: usize = 64;

/// Whether `dir` looks like a folder of pictures: it holds folders, and no IDX file.
pub fn is_one(dir: &Path) -> bool {
    let entries = || std::fs::read_dir(dir).into_iter().flatten().flatten();
    let is_idx = |name: &str| name.contains("idx1-ubyte") || name.contains("idx3-ubyte") || name.contains("idx4-ubyte");
    entries().any(|entry| entry.path().is_dir()) && !entries().any(|entry| is_idx(&entry.file_name().to_string_lossy()))
}

/// Reads the folder. `input` is the shape that pictures are brought to, `[height, width, channels]`; without one it is
/// their own size where all agree on one of at most 64 a side, else 64 × 64, with colour if any has colour.
///
/// With folders `train` and `test` those are the two sets. Otherwise a fifth of each class, drawn at random with a
/// fixed seed, is the test set; of a class with a single picture that is in the training set.
///
/// # Errors
/// [`Error::Data`] naming the folder where it has no classes or no picture, or the picture that cannot be read.
pub fn load(dir: &Path, input: Option<[usize; 3]>, pictures: Pictures) -> Result<Split> {
    let parts = ["train", "test"].map(|part| dir.join(part));
    let (train, test) = if parts.iter().all(|part| part.is_dir()) {
        let [train, test] = parts.map(|part| find_classes(&part));
        (train?, test?)
    } else {
        divide(find_classes(dir)?)
    };
    if test.is_empty() {
        return Err(Error::data(dir, "one picture a class", "two or more of some class, to train and to test"));
    }
    let all = [train.as_slice(), &test].concat();
    let classes = pictures::classes(&all);
    let input = input.map_or_else(|| common_shape(&all), Ok)?;
    let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
    let load =
        |part: &str, found: &[Found]| pictures::load(format!("{name} {part}"), found, classes.clone(), input, pictures);
    let digest = sides_digest(dir, [("train", &train), ("test", &test)]);
    let (train, test) = (load("train", &train)?, load("test", &test)?);
    let origin = Origin::new(&name, Some(dir), &train, &test, digest);
    Ok(Split { train, test, origin })
}

/// A digest of which picture is of which class and on which side.
fn sides_digest(dir: &Path, sides: [(&str, &[Found]); 2]) -> String {
    let parts = sides.into_iter().flat_map(|(side, found)| found.iter().map(move |found| (side, &found.path)));
    sha256(parts.flat_map(|(side, path)| {
        let inside = path.strip_prefix(dir).unwrap_or(path);
        [side.as_bytes(), b"\0", inside.as_os_str().as_encoded_bytes(), b"\0"]
    }))
}

/// The pictures of the class folders in `dir`.
fn find_classes(dir: &Path) -> Result<Vec<Found>> {
    let mut found = find(&[PathBuf::from(dir)])?;
    found.retain(|found| found.class.is_some());
    if found.is_empty() {
        return Err(Error::data(dir, "pictures without folders", "one folder a class, such as cats/ and dogs/"));
    }
    Ok(found)
}

/// Training and test pictures.
fn divide(found: Vec<Found>) -> (Vec<Found>, Vec<Found>) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for class in found.chunk_by(|a, b| a.class == b.class) {
        let wanted = if class.len() > 1 { class.len().div_ceil(TEST_SHARE) } else { 0 };
        let mut chosen = vec![false; class.len()];
        index::sample(&mut rng, class.len(), wanted).iter().for_each(|place| chosen[place] = true);
        for (found, chosen) in class.iter().zip(chosen) {
            if chosen { test.push(found.clone()) } else { train.push(found.clone()) }
        }
    }
    (train, test)
}

fn common_shape(found: &[Found]) -> Result<[usize; 3]> {
    let shapes = found.iter().map(|found| shape(&found.path)).collect::<Result<Vec<_>>>()?;
    let channels = shapes.iter().map(|shape| shape[2]).max().unwrap_or(1);
    let [height, width, _] = shapes[0];
    let one_size = shapes.iter().all(|shape| shape[..2] == [height, width]) && height.max(width) <= SIDE;
    Ok(if one_size { [height, width, channels] } else { [SIDE, SIDE, channels] })
}
