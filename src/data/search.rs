//! Which pictures a folder or its [shards](super::shards) hold: of which class, on which side of a data set, and what
//! in it is no picture.
//!
//! A folder has one of two layouts: `class/picture`, or `side/class/picture` with folders that are called `train`,
//! `val`, `test` or the like. What a name in a picture's path means does not depend on who asks: training, enrolment
//! and recognition see the same classes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::decode::Stored;
use super::shards::{is_shard, members};
use crate::error::{Error, Result};
use crate::text::composed;

/// Ends of the names of files that are taken for pictures when a folder is searched.
const ENDINGS: [&str; 15] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "bmp", "gif", "webp", "tif", "tiff", "pgm", "ppm", "pnm", "pbm", "pam"];

/// Folders that systems and programs put beside pictures, and that hold none of the user's: thumbnails, bins, notes.
const FOREIGN: [&str; 3] = ["@eaDir", "#recycle", "__MACOSX"];

/// Side of a data set that a folder's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// `train` or `training`, in any case.
    Train,
    /// `val`, `valid` or `validation`.
    Validation,
    /// `test` or `testing`.
    Test,
}

impl Side {
    fn named(name: &str) -> Option<Side> {
        match name.to_lowercase().as_str() {
            "train" | "training" => Some(Side::Train),
            "val" | "valid" | "validation" => Some(Side::Validation),
            "test" | "testing" => Some(Side::Test),
            _ => None,
        }
    }
}

/// A picture file that was found, and what its path says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file, or the part of a shard.
    pub stored: Stored,
    /// Name of the class folder that it lies in; `None` for a file given as such, or in a folder without classes.
    pub class: Option<String>,
    /// The side that its class folder lies on, if any.
    pub side: Option<Side>,
    /// Its path inside the class folder, or else inside the folder that was searched, with `/` between.
    pub name: String,
}

/// Pictures, and what is to be said of how they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The pictures.
    pub found: Vec<Found>,
    /// Folders that are sides, by what they are called; none where the folder is not so divided.
    pub sides: BTreeMap<Side, String>,
    /// What a user has to know, a sentence each: what was left out, what may be a mistake.
    pub remarks: Vec<String>,
}

/// A name as text: in Unicode's composed form, whichever form the file system has, so that a name is one name; bytes
/// that are no UTF-8 as `\xe9`, so that two names are two.
pub(super) fn text(name: &OsStr) -> String {
    let chunks = name.as_encoded_bytes().utf8_chunks();
    chunks.fold(String::new(), |mut text, chunk| {
        text.push_str(&composed(chunk.valid()));
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
        text
    })
}

pub(super) fn is_foreign(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') || FOREIGN.contains(&&*name)
}

fn ending(name: &str) -> Option<String> {
    Path::new(name).extension().map(|ending| ending.to_string_lossy().to_lowercase())
}

pub(super) fn is_picture(name: &str) -> bool {
    ending(name).is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// A file in a folder: the names of the folders on the way, and its own.
pub(super) type Parts = Vec<String>;

/// The files of a folder or a shard.
pub(super) struct Files {
    pub pictures: Vec<(Stored, Parts)>,
    /// What is no picture.
    pub others: Vec<Parts>,
}

/// The word of a name that is one for a side.
fn side_word(name: &str) -> Option<&str> {
    name.split(|c: char| !c.is_alphanumeric()).find(|word| Side::named(word).is_some())
}

/// The pictures in `dir` and below and in its shards, in the order of their names, and what else there is; hidden files
/// and foreign folders left out.
fn files(dir: &Path) -> Result<Files> {
    let (mut pictures, mut others, mut shards) = (Vec::new(), Vec::new(), Vec::new());
    let seen = WalkDir::new(dir).follow_links(true).sort_by_file_name().into_iter();
    for entry in seen.filter_entry(|entry| entry.depth() == 0 || !is_foreign(entry.file_name())) {
        let entry = entry.map_err(|error| Error::io("list", dir)(error.into()))?;
        if !entry.file_type().is_file() {
            continue;
        }
        let inside = entry.path().strip_prefix(dir).expect("it was found there");
        let mut parts: Parts = inside.iter().map(text).collect();
        let name = text(entry.file_name());
        if is_shard(&name) {
            parts.pop();
            shards.push((entry.into_path(), name, parts));
        } else if is_picture(&name) {
            pictures.push((entry.into_path().into(), parts));
        } else {
            others.push(parts);
        }
    }
    // Shards such as faces-train-0001.tar and faces-test-0001.tar say of which side they are.
    let sides: BTreeSet<_> = shards.iter().map(|(_, name, _)| side_word(name).and_then(Side::named)).collect();
    let are_sides = sides.len() > 1 && !sides.contains(&None);
    let has_shards = !shards.is_empty();
    for (path, name, mut folders) in shards {
        if let Some(side) = side_word(&name).filter(|_| are_sides && folders.is_empty()) {
            folders.push(side.to_lowercase());
        }
        let within = |parts: Parts| [folders.as_slice(), &parts].concat();
        let found = members(&path)?;
        pictures.extend(found.pictures.into_iter().map(|(stored, parts)| (stored, within(parts))));
        others.extend(found.others.into_iter().map(within));
    }
    if has_shards {
        // As they would lie in a folder: it is one set however it is cut.
        pictures.sort_by(|(_, a), (_, b): &(Stored, Parts)| a.cmp(b));
    }
    Ok(Files { pictures, others })
}

/// The folders of `dir` that are its sides, by side; none where its folders are classes.
fn sides(dir: &Path, pictures: &[(Stored, Parts)]) -> Result<BTreeMap<Side, String>> {
    // The folders directly in it, and whether there are pictures in folders inside.
    let mut folders: BTreeMap<&str, bool> = BTreeMap::new();
    for (_, parts) in pictures.iter().filter(|(_, parts)| parts.len() > 1) {
        *folders.entry(&parts[0]).or_default() |= parts.len() > 2;
    }
    let (named, others): (Vec<_>, Vec<_>) = folders.into_iter().partition(|(name, _)| Side::named(name).is_some());
    if named.iter().all(|(_, has_classes)| !has_classes) && !others.is_empty() {
        // `bus`, `car`, `train`: the last is a class like the others.
        return Ok(BTreeMap::new());
    }
    let names = |folders: &[(&str, bool)]| some(folders.iter().map(|(name, _)| format!("{name}/")), " and ");
    let expected = "either folders of classes alone, or folders such as train/ and test/ that hold them";
    if !named.is_empty() && !others.is_empty() {
        return Err(Error::data_set(dir, format!("{} beside {}", names(&named), names(&others)), expected));
    }
    let mut sides = BTreeMap::new();
    for &(name, _) in &named {
        let side = Side::named(name).expect("it is one");
        if let Some(other) = sides.insert(side, name.to_owned()) {
            return Err(Error::data_set(dir, format!("{other}/ and {name}/"), "one folder of each side"));
        }
    }
    Ok(sides)
}

/// Up to eight of them.
pub(super) fn some(names: impl IntoIterator<Item = String>, between: &str) -> String {
    const SHOWN: usize = 8;
    let mut names = names.into_iter();
    let shown: Vec<_> = names.by_ref().take(SHOWN).collect();
    shown.join(between) + if names.next().is_some() { ", …" } else { "" }
}

/// All pictures of a folder, and of which class and side they are. Where there are classes, a picture that lies in none
/// is left out.
///
/// # Errors
/// [`Error::DataSet`] where the folder is not there, holds no picture, or has sides and classes beside each other;
/// [`Error::Io`] where it cannot be listed.
pub fn folder(dir: &Path) -> Result<Search> {
    let Files { pictures, others } = files(dir)?;
    let expected = "pictures, or a folder of pictures for each class (png, jpg, bmp, gif, webp, tiff, pnm)";
    if pictures.is_empty() {
        let found =
            if others.is_empty() { "no picture".to_owned() } else { format!("no picture, but {}", kinds(&others)) };
        return Err(Error::data_set(dir, found, expected));
    }
    let sides = sides(dir, &pictures)?;
    // Where the class stands in a path, if it has one.
    let place = usize::from(!sides.is_empty());
    let class = |parts: &Parts| (parts.len() > place + 1).then(|| parts[place].clone());
    let has_classes = pictures.iter().any(|(_, parts)| class(parts).is_some());
    let (pictures, strays): (Vec<_>, Vec<_>) =
        pictures.into_iter().partition(|(_, parts)| !has_classes || class(parts).is_some());

    let mut remarks = Vec::new();
    let mut remark = |words: String| remarks.push(format!("{}: {words}", dir.display()));
    if let Some((_, first)) = strays.first() {
        let first = first.join("/");
        remark(format!("{} beside the class folders left out, such as {first}", count(strays.len(), "picture")));
    }
    if !others.is_empty() {
        remark(format!("{} left out", kinds(&others)));
    }
    let classes: BTreeSet<String> = pictures.iter().filter_map(|(_, parts)| class(parts)).collect();
    let empty: BTreeSet<String> = others.iter().filter_map(class).filter(|class| !classes.contains(class)).collect();
    if has_classes && !empty.is_empty() {
        remark(format!("no picture in {}", some(empty.into_iter().map(|class| format!("{class}/")), ", ")));
    }
    let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for class in classes {
        alike.entry(class.to_lowercase()).or_default().push(class);
    }
    let alike = alike.into_values().filter(|classes| classes.len() > 1).map(|classes| classes.join(" and "));
    let alike = some(alike, "; ");
    if !alike.is_empty() {
        remark(format!("classes that differ in capitals alone: {alike}"));
    }
    let found = pictures.into_iter().map(|(stored, parts)| {
        let class = class(&parts);
        let side = if sides.is_empty() { None } else { Side::named(&parts[0]) };
        let name = parts[if class.is_some() { place + 1 } else { 0 }..].join("/");
        Found { stored, class, side, name }
    });
    Ok(Search { found: found.collect(), sides, remarks })
}

pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// How many files there are, of which kinds, and one of them.
fn kinds(files: &[Parts]) -> String {
    let mut kinds: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for name in files.iter().filter_map(|parts| parts.last()) {
        *kinds.entry(ending(name)).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|&(_, number)| std::cmp::Reverse(number));
    let kinds = kinds.into_iter().map(|(ending, number)| match ending {
        Some(ending) => format!("{number} .{ending}"),
        None => format!("{number} without an ending"),
    });
    format!("{} ({}; such as {})", count(files.len(), "other file"), some(kinds, ", "), files[0].join("/"))
}

/// The pictures that `paths` mean, in the order of the paths and within a folder in that of the names: files as they
/// are, folders as [`folder`] has them, the pictures of all sides together.
///
/// # Errors
/// [`Error::Data`] for a path where nothing is; what [`folder`] reports.
pub fn find(paths: &[PathBuf]) -> Result<Search> {
    let mut all = Search::default();
    for path in paths {
        if !path.exists() {
            return Err(Error::data(path, "nothing there", "a picture, or a folder of pictures"));
        }
        let name = text(path.file_name().unwrap_or(path.as_os_str()));
        if !path.is_dir() && !is_shard(&name) {
            all.found.push(Found { stored: path.clone().into(), class: None, side: None, name });
            continue;
        }
        let Search { found, sides, remarks } = folder(path)?;
        if sides.len() > 1 {
            let names = some(sides.into_values().map(|name| format!("{name}/")), ", ");
            all.remarks
                .push(format!("{}: the pictures of {names} together; name one to take it alone", path.display()));
        }
        all.found.extend(found);
        all.remarks.extend(remarks);
    }
    Ok(all)
}
