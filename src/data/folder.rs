//! A folder of pictures as a data set: one folder a class, `folder/class/picture.png`, or the same in `folder/train`
//! and `folder/test`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use super::decode::shape;
use super::duplicates;
use super::pictures::{self, Pictures};
use super::search::{self, Found, Search, Side};
use super::shards::is_shard;
use super::{Dataset, Origin, Split, SplitBy, digest_of_names};
use crate::error::{Error, Result};

/// The largest side that training takes as it is, without being told.
const SIDE: usize = 64;

/// Reads the folder. `input` is the shape that pictures are brought to, `[height, width, channels]`; without one it is
/// the size that more than half of them have, of at most 64 a side, else 64 × 64, with colour if any has colour. What
/// was chosen is one of the split's remarks.
///
/// With folders that [`Side`] names, those are the sides: `train`, and `test` or where there is none `val`. Otherwise
/// hashes of names divide it as `by` says, or [`SplitBy::suited`]: always the same, whatever others come or go. By
/// images a class of few pictures may have none on one side.
///
/// # Errors
/// [`Error::DataSet`] naming the folder where it has no classes, no picture, or not both sides; [`Error::Data`] naming
/// the picture whose size cannot be read, where that is asked for.
pub fn load(dir: &Path, input: Option<[usize; 3]>, pictures: Pictures, by: Option<SplitBy>) -> Result<Split> {
    let Search { found, sides, mut remarks } = search::folder(dir)?;
    if found.iter().any(|found| found.class.is_none()) {
        return Err(Error::data_set(dir, "pictures without folders", "one folder a class, such as cats/ and dogs/"));
    }
    let by =
        if sides.is_empty() { by.unwrap_or_else(|| SplitBy::suited(count_classes(&found))) } else { SplitBy::Images };
    let (train, test) = if sides.is_empty() {
        found.into_iter().partition(|found| !by.judges(found.class.as_deref().unwrap_or_default(), &full_name(found)))
    } else {
        by_side(dir, found, &sides, &mut remarks)?
    };
    if train.is_empty() || test.is_empty() {
        let what = if by.is_images() { "pictures" } else { "pictures of identities" };
        let found = format!("{} {what}, all of which fall to one side", train.len() + test.len());
        return Err(Error::data_set(dir, found, "more of them, or folders train/ and test/ that say what is what"));
    }
    if let SplitBy::Identities(_) = by {
        let [trained, judging] = [&train, &test].map(|found| (count_classes(found), found.len()));
        remarks.push(format!(
            "{}: trained on {} identities ({} pictures), judged on the other {} ({} pictures); --split images divides \
             the pictures of each",
            dir.display(),
            trained.0,
            trained.1,
            judging.0,
            judging.1
        ));
    }
    let known: BTreeSet<_> = train.iter().map(|found| &found.class).collect();
    let unknown: Vec<Found> = test.iter().filter(|found| !known.contains(&found.class)).cloned().collect();
    if !unknown.is_empty() && by.is_images() {
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
    remarks.extend(duplicates::remarks(dir, &train, &test));
    let names = [&train, &test].map(|found| found.iter().map(full_name).collect());
    let set = |part: &str, found| pictures::data_set(format!("{name} {part}"), found, classes.clone(), input, pictures);
    let (train, test) = (set("train", &train), set("test", &test));
    let origin = Origin::new(&name, Some(dir), &train, &test, digest_of_names(&names));
    Ok(Split { train, test, origin, names, by, remarks, left_out: 0 })
}

/// All pictures of some folders, as one set each under the name of its folder, with the labels of all: whatever sides a
/// folder has, which is a remark.
///
/// # Errors
/// [`Error::DataSet`] naming a folder without pictures, or with pictures in no class; what [`search::find`] reports.
pub fn whole(dirs: &[&Path], input: [usize; 3], pictures: Pictures) -> Result<(Vec<Dataset>, Vec<String>)> {
    let (mut sets, mut remarks) = (Vec::new(), Vec::new());
    for &dir in dirs {
        if !(dir.is_dir() || is_shard(&dir.to_string_lossy())) {
            return Err(Error::data_set(dir, "no folder", "a folder with a folder of pictures for each class"));
        }
        let search = search::find(&[dir.to_owned()])?;
        if search.found.iter().any(|found| found.class.is_none()) {
            return Err(Error::data_set(
                dir,
                "pictures without folders",
                "one folder a class, such as cats/ and dogs/",
            ));
        }
        remarks.extend(search.remarks);
        sets.push((dir, search.found));
    }
    let classes = pictures::classes(&sets.iter().flat_map(|(_, found)| found).cloned().collect::<Vec<_>>());
    let set = |(dir, found): (&Path, Vec<Found>)| {
        let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
        pictures::data_set(name, &found, classes.clone(), input, pictures)
    };
    Ok((sets.into_iter().map(set).collect(), remarks))
}

fn count_classes(found: &[Found]) -> usize {
    found.iter().map(|found| &found.class).collect::<BTreeSet<_>>().len()
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

/// The shape that suits the pictures, with a remark on it.
fn common_shape(dir: &Path, found: &[Found], remarks: &mut Vec<String>) -> Result<[usize; 3]> {
    let shape = |found: &Found| found.stored.encoded(|picture| shape(picture));
    let (faults, shapes): (Vec<_>, Vec<_>) = found.par_iter().map(shape).partition_map(Into::into);
    if shapes.is_empty() {
        return Err(Error::Pictures { faults });
    }
    if let Some(first) = faults.first() {
        let count = search::count(faults.len(), "picture");
        remarks.push(format!("{}: no size in the head of {count}, such as: {first}", dir.display()));
    }
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
