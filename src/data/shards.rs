//! Pictures in tar files, as [webdataset](https://github.com/webdataset/webdataset) lays them out and as `tar` packs a
//! folder: each is read where it lies, by the place that the archive's heads give.
//!
//! A picture `key.jpg` is of the class that `key.cls` says, or the `label` of `key.json`, in any order beside it;
//! without either, of the folder that it lies in. A key is a name up to its first dot, folders included.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tar::Archive;

use super::decode::{Stored, Within};
use super::search::{Files, Parts, is_foreign, is_picture, text};
use crate::error::{Error, Result};
use crate::text::composed;

/// Bytes of a block, of which an archive is made.
const BLOCK: u64 = 512;
/// Bytes of a label at most.
const MOST_LABEL: u64 = 1 << 16;

/// Whether a file is a shard, by the end of its name.
pub fn is_shard(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tar"))
}

/// The pictures of a shard in their order, with the names of the folders on the way, the class among them, and their
/// own; and the names of what in it is no picture and no label.
///
/// # Errors
/// [`Error::Data`] where it is no whole tar file; [`Error::Io`] where it cannot be read.
pub(super) fn members(path: &Path) -> Result<Files> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    let fault = |reason: String| Error::data(path, format!("a tar file that cannot be used ({reason})"), "a whole one");
    let archive: Arc<Path> = Arc::from(path);
    let mut reader = Archive::new(BufReader::new(file));
    let (mut pictures, mut others, mut classes) = (Vec::new(), Vec::new(), HashMap::new());
    let mut end = 0;
    for entry in reader.entries_with_seek().map_err(|error| fault(error.to_string()))? {
        let mut entry = entry.map_err(|error| fault(error.to_string()))?;
        end = entry.raw_file_position().saturating_add(entry.size());
        end = end.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let (start, bytes) = (entry.raw_file_position(), entry.size());
        let inside = entry.path().map_err(|error| fault(error.to_string()))?.into_owned();
        if inside.iter().any(is_foreign) {
            continue;
        }
        let parts: Parts = inside.iter().map(text).collect();
        let Some(name) = parts.last() else { continue };
        match name.split_once('.').map(|(_, ending)| ending.to_lowercase()).as_deref() {
            Some(ending @ ("cls" | "json")) => {
                let mut label = Vec::new();
                let read = (&mut entry).take(MOST_LABEL).read_to_end(&mut label);
                read.map_err(|error| fault(error.to_string()))?;
                classes.extend(class(ending, &label).map(|class| (key(&parts), class)));
            }
            _ if is_picture(name) => {
                let within = Within { archive: Arc::clone(&archive), start, bytes };
                pictures.push((Stored { path: path.join(&inside), within: Some(within) }, parts));
            }
            _ => others.push(parts),
        }
    }
    // Archives end in blocks of zeros; one that was cut between two files shows by that alone.
    if length < end.saturating_add(BLOCK) {
        return Err(fault("it ends too early".to_owned()));
    }
    let classed = pictures.into_iter().map(|(stored, parts)| match classes.get(&key(&parts)) {
        None => (stored, parts),
        // What folders it lies in says no more, and may be the same for all.
        Some(class) => (stored, vec![class.clone(), parts.join("/")]),
    });
    Ok(Files { pictures: classed.collect(), others })
}

/// What the files of one sample have in common.
fn key(parts: &Parts) -> String {
    let (name, folders) = parts.split_last().expect("a file has a name");
    [folders, &[name.split('.').next().unwrap_or_default().to_owned()]].concat().join("/")
}

/// The class that a label says: a word or a number.
fn class(ending: &str, label: &[u8]) -> Option<String> {
    let class = match ending {
        "cls" => String::from_utf8(label.to_vec()).ok()?,
        _ => match serde_json::from_slice::<Value>(label).ok()?.get("label")? {
            Value::String(class) => class.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        },
    };
    let class = composed(class.trim()).replace('/', "_");
    (!class.is_empty()).then_some(class)
}
