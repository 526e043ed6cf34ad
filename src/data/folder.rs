//! A folder of pictures as a data set: one folder a class, `folder/class/picture.png`, or the same in `folder/train`
//! and `folder/test`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use super::decode::shape;
use super::origin::{lot, sha256};
use super::pictures::{self, Pictures};
use super::search::{self, Found, Search, Side};
use super::{Origin, Split};
use crate::error::{Error, Result};

/// One picture of so many is a test picture where the folder does not say which are.
const TEST_SHARE: u64 = 5;
/// The largest side that training takes as it is, without being told.
const SIDE: usize = 64;

/// Reads the folder. `input` is the shape that pictures are brought to, `[height, width, channels]`; without one it is
/// the size that more than half of them have, of at most 64 a side, else 64 × 64, with colour if any has colour. What
/// was chosen is one of the split's remarks.
///
/// With folders that [`Side`] names, those are the sides: `train`, and `test` or where there is none `val`. Otherwise
/// one picture in five is a test picture, as a hash of its class and file name has it: always the same, whatever others
/// come or go. So a class of few pictures may have none on one side.
///
/// # Errors
/// [`Error::DataSet`] naming the folder where it has no classes, no picture, or not both sides; [`Error::Data`] naming
/// the picture that cannot be read.
pub fn load(dir: &Path, input: Option<[usize; 3]>, pictures: Pictures) -> Result<Split> {
    let Search { found, sides, mut remarks } = search::folder(dir)?;
    if found.iter().any(|found| found.class.is_none()) {
        return Err(Error::data_set(dir, "pictures without folders", "one folder a class, such as cats/ and dogs/"));
    }
    let (train, test) = if sides.is_empty() {
        found.into_iter().partition(|found| !is_for_testing(found))
    } else {
        by_side(dir, found, &sides, &mut remarks)?
    };
    if train.is_empty() || test.is_empty() {
        let found = format!("{} pictures, all of which fall to one side", train.len() + test.len());
        return Err(Error::data_set(dir, found, "more of them, or folders train/ and test/ that say what is what"));
    }
    let known: BTreeSet<_> = train.iter().map(|found| &found.class).collect();
    let unknown: Vec<Found> = test.iter().filter(|found| !known.contains(&found.class)).cloned().collect();
    if !unknown.is_empty() {
        let names = search::some(pictures::classes(&unknown), ", ");
        remarks.push(format!("{}: test pictures, but no training picture, of {names}", dir.display()));
    }
    let all = [train.as_slice(), &test].concat();
    let classes = pictures::classes(&all);
    let input = match input {
        Some(input) => input,
        None => common_shape(dir, &all, &mut remarks)?,
    };
    let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
    let load =
        |part: &str, found: &[Found]| pictures::load(format!("{name} {part}"), found, classes.clone(), input, pictures);
    let digest = sides_digest([("train", &train), ("test", &test)]);
    let names = train.iter().map(full_name).collect();
    let (train, test) = (load("train", &train)?, load("test", &test)?);
    let origin = Origin::new(&name, Some(dir), &train, &test, digest);
    Ok(Split { train, test, origin, names, remarks })
}

/// A digest of which picture is of which class and on which side.
fn sides_digest(sides: [(&str, &[Found]); 2]) -> String {
    let names =
        sides.map(|(side, found)| found.iter().map(|found| format!("{side}\0{}\0", full_name(found))).collect());
    sha256(names.iter().flat_map(|names: &Vec<String>| names.iter().map(String::as_bytes)))
}

/// Names of class and file.
fn full_name(found: &Found) -> String {
    format!("{}\0{}", found.class.as_deref().unwrap_or_default(), found.name)
}

/// Training and test pictures of a folder that says which they are.
fn by_side(
    dir: &Path,
    found: Vec<Found>,
    sides: &BTreeMap<Side, String>,
    remarks: &mut Vec<String>,
) -> Result<(Vec<Found>, Vec<Found>)> {
    let mut parts: BTreeMap<Side, Vec<Found>> = BTreeMap::new();
    for found in found {
        parts.entry(found.side.expect("all are on a side")).or_default().push(found);
    }
    let named = |side: &Side| format!("{}/", sides[side]);
    let names = parts.keys().map(named).collect::<Vec<_>>().join(" and ");
    let missing = || {
        let found = format!("classes in {names} alone");
        let expected = "them in train/ and in test/ or val/; --data with the path of one folder divides it by itself";
        Error::data_set(dir, found, expected)
    };
    let train = parts.remove(&Side::Train).ok_or_else(missing)?;
    let validation = parts.remove(&Side::Validation);
    let test = match (parts.remove(&Side::Test), validation) {
        (Some(test), None) => test,
        (Some(test), Some(validation)) => {
            remarks.push(format!(
                "{}: the {} pictures of {} left out, beside {} and {}; --validation holds back some of {0}",
                dir.display(),
                validation.len(),
                named(&Side::Validation),
                named(&Side::Train),
                named(&Side::Test),
            ));
            test
        }
        (None, Some(validation)) => {
            remarks.push(format!("{}: {} is what the network is tested on", dir.display(), named(&Side::Validation)));
            validation
        }
        (None, None) => return Err(missing()),
    };
    Ok((train, test))
}

/// Whether a picture of a folder that is not divided is a test picture. It follows from the names of its class and
/// file alone: whatever rule looked at the others as well, so that each class has pictures on both sides, would move
/// pictures from one side to the other when some come or go.
fn is_for_testing(found: &Found) -> bool {
    lot(["test\0", &full_name(found)].map(str::as_bytes)) < u64::MAX / TEST_SHARE
}

/// The shape that suits the pictures, with a remark on it.
fn common_shape(dir: &Path, found: &[Found], remarks: &mut Vec<String>) -> Result<[usize; 3]> {
    let shapes = found.par_iter().map(|found| shape(&found.path)).collect::<Result<Vec<_>>>()?;
    let mut sizes: BTreeMap<[usize; 2], usize> = BTreeMap::new();
    for &[height, width, _] in &shapes {
        *sizes.entry([height, width]).or_default() += 1;
    }
    let all = shapes.len();
    let coloured = shapes.iter().filter(|shape| shape[2] == 3).count();
    let common = sizes.iter().find(|&(size, &count)| size.iter().all(|&side| side <= SIDE) && 2 * count > all);
    let ([height, width], why) = match common {
        Some((&size, &count)) if count == all => (size, "the size of all".to_owned()),
        Some((&size, count)) => (size, format!("the size of {count} of {all}")),
        None if sizes.len() == 1 => ([SIDE; 2], format!("being larger than {SIDE} a side")),
        None => ([SIDE; 2], format!("being of {} sizes", sizes.len())),
    };
    let channels = if coloured > 0 { 3 } else { 1 };
    let colour = if 0 < coloured && coloured < all {
        format!(", with the colour of {coloured} of {all}")
    } else {
        String::new()
    };
    remarks.push(format!("{}: pictures are brought to {height}x{width}x{channels}, {why}{colour}", dir.display()));
    Ok([height, width, channels])
}
