//! A data set in one file, every image brought to one size: what trains fastest where a set is too large for memory.
//! Only what a step needs is read of it.
//!
//! The file is a safetensors file, which other programs read as well: `train.images` and `test.images`
//! `[rows, height, width, channels]` of bytes, `train.labels` and `test.labels` `[rows]` of 32 bits, and, where the
//! images have names, `train.names` and `test.names`, each the bytes of a list in JSON. The metadata say what a label
//! is called, what was done to the pictures, and which set it is.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::pictures::Pictures;
use super::store::{Images, Store, Unreadable, read_exact_at};
use super::{Bad, Dataset, Origin, Split, SplitBy};
use crate::error::{Error, Result};
use crate::output::{Kind, Output, is_safetensors};

/// The metadata entry that such a file has.
const ENTRY: &str = "siamese.set";
/// A file of this kind.
pub const KIND: Kind = Kind { name: "a packed data set", is: |head| is_safetensors(head, ENTRY) };
/// Version of the layout.
const VERSION: u32 = 1;
/// Bytes of a header at most, as the format has it.
const MOST_HEADER: u64 = 100_000_000;
/// Labels that need no names: those of an IDX file.
const NUMBERED: usize = 256;
/// Bytes of images that are read before they are written.
const CHUNK: usize = 32 << 20;

/// What the metadata say.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    /// What the training and the test set are called.
    sets: [String; 2],
    label_names: Vec<String>,
    pictures: Pictures,
    /// By what it was divided.
    by: SplitBy,
    origin: Origin,
}

/// The names of the tensors of a side.
const SIDES: [[&str; 3]; 2] =
    [["train.images", "train.labels", "train.names"], ["test.images", "test.labels", "test.names"]];

/// Writes a set, whose pictures were prepared as `pictures` says: all images, then labels and names. `done` hears of
/// each image. Answers the set as it was written, without the images that could not be used.
///
/// # Errors
/// [`Error::Pictures`] naming all images that cannot be used, where they are not [skipped](Bad::Skipped);
/// [`Error::Io`] where the file cannot be written. Nothing is left of it then.
pub fn write(split: Split, pictures: Pictures, bad: Bad, output: Output, done: impl Fn() + Sync) -> Result<Split> {
    let mut outcome = None;
    let written = output.fill(|file| {
        let [first, second] = split.sets().map(|set| set.images.clone());
        // What is left out makes numbers smaller, and the text that they stand in not longer.
        let room = head(&split, pictures).len();
        file.seek(SeekFrom::Start(8 + room as u64))?;
        let faults = [images(file, &first, &done)?, images(file, &second, &done)?];
        let split = match split.without(faults, bad) {
            Ok(split) => split,
            Err(error) => {
                outcome = Some(Err(error));
                return Err(ErrorKind::InvalidData.into());
            }
        };
        for (set, names) in split.sets().into_iter().zip(&split.names) {
            let labels: Vec<u8> = set.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
            file.write_all(&labels)?;
            file.write_all(&names_text(names))?;
        }
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&(room as u64).to_le_bytes())?;
        let mut head = head(&split, pictures).into_bytes();
        head.resize(room, b' ');
        file.write_all(&head)?;
        outcome = Some(Ok(split));
        Ok(())
    });
    match outcome {
        Some(Ok(split)) => written.map(|()| split),
        Some(Err(error)) => Err(error),
        None => Err(written.expect_err("it was not written to its end")),
    }
}

/// Names as bytes; none where there are none.
fn names_text(names: &[String]) -> Vec<u8> {
    if names.is_empty() { Vec::new() } else { serde_json::to_vec(names).expect("plain data") }
}

/// Writes the images that can be read, and tells the others.
fn images(file: &mut File, images: &Images, done: &(impl Fn() + Sync)) -> io::Result<Vec<Unreadable>> {
    let rows: Vec<usize> = (0..images.len()).collect();
    let mut faults = Vec::new();
    for rows in rows.chunks((CHUNK / images.size()).max(1)) {
        let (read, unreadable) = images.subset(rows).load(done);
        for place in (0..rows.len()).filter(|&place| unreadable.iter().all(|fault| fault.row != place)) {
            file.write_all(&read.image(place).expect("it is in memory"))?;
        }
        faults.extend(unreadable.into_iter().map(|fault| Unreadable { row: rows[fault.row], ..fault }));
    }
    Ok(faults)
}

/// The header of a set: where each tensor lies, and the metadata.
fn head(split: &Split, pictures: Pictures) -> String {
    let header = Header {
        version: VERSION,
        sets: split.sets().map(|set| set.name.clone()),
        label_names: split.train.label_names.clone(),
        pictures,
        by: split.by,
        origin: split.origin.clone(),
    };
    let mut head = Map::new();
    let header = serde_json::to_string(&header).expect("plain data");
    head.insert("__metadata__".to_owned(), json!({ ENTRY: header }));
    let mut end = 0;
    let mut tensor = |name: &str, dtype: &str, shape: Value, bytes: u64| {
        let start = end;
        end += bytes;
        head.insert(name.to_owned(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] }));
    };
    for (set, [images, _, _]) in split.sets().into_iter().zip(SIDES) {
        tensor(images, "U8", json!([set.len(), set.height, set.width, set.channels]), set.images.total());
    }
    for ((set, names), [_, labels, texts]) in split.sets().into_iter().zip(&split.names).zip(SIDES) {
        tensor(labels, "U32", json!([set.len()]), 4 * set.len() as u64);
        let names = names_text(names).len();
        if names > 0 {
            tensor(texts, "U8", json!([names]), names as u64);
        }
    }
    Value::Object(head).to_string()
}

/// The images of a side.
struct Packed {
    file: Arc<File>,
    path: Arc<Path>,
    start: u64,
    size: usize,
    len: usize,
}

impl Store for Packed {
    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, row: usize, image: &mut [u8]) -> Result<()> {
        let place = self.start + row as u64 * self.size as u64;
        read_exact_at(&self.file, image, place).map_err(Error::io("read", &self.path))
    }

    fn digest(&self) -> String {
        format!("{}\0{}", self.path.display(), self.start)
    }
}

/// Whether a file is one that [`write`] wrote, by how it begins.
///
/// # Errors
/// [`Error::Io`] where it cannot be read.
pub fn is_one(path: &Path) -> Result<bool> {
    const HEAD: u64 = 64;
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(HEAD).read_to_end(&mut head).map_err(Error::io("read", path))?;
    Ok((KIND.is)(&head))
}

/// Opens a file that [`write`] wrote. Labels and names are read, pixels stay where they are.
///
/// # Errors
/// [`Error::Data`] where it is no such file, is not whole, or its pictures were prepared in another way than `pictures`
/// says; [`Error::Io`] where it cannot be read.
pub fn load(path: &Path, pictures: Pictures) -> Result<Split> {
    const EXPECTED: &str = "a file that `siamese pack` wrote, a folder of pictures, or of the four files of an IDX set";
    let fault = |found: &str| Error::data(path, found, EXPECTED);
    let io = || Error::io("read", path);
    let file = File::open(path).map_err(io())?;
    let length = file.metadata().map_err(io())?.len();
    let part = |bytes: u64, place: u64| {
        let mut part = vec![0; bytes as usize];
        read_exact_at(&file, &mut part, place).map_err(io())?;
        Ok::<_, Error>(part)
    };
    if length < 8 {
        return Err(fault("a file of a few bytes"));
    }
    let room = u64::from_le_bytes(*part(8, 0)?.first_chunk().expect("8 bytes"));
    if room > MOST_HEADER || room > length - 8 {
        return Err(fault("a file of another kind"));
    }
    let head = part(room, 8)?;
    let head: Metadata = serde_json::from_slice(&head).map_err(|_| fault("a file of another kind"))?;
    let entry = head.metadata().as_ref().and_then(|metadata| metadata.get(ENTRY));
    let entry = entry.ok_or_else(|| fault("a safetensors file of another kind"))?;
    let header: Header = serde_json::from_str(entry).map_err(|error| fault(&format!("`{ENTRY}`: {error}")))?;
    if header.version != VERSION {
        return Err(fault(&format!("layout {}, this version of the program reads {VERSION}", header.version)));
    }
    if header.pictures != pictures {
        let how = |pictures: Pictures| serde_json::to_string(&pictures).expect("plain data");
        let found = format!("pictures prepared as {}", how(header.pictures));
        return Err(Error::data(path, found, format!("{}, as it was asked for; pack them so", how(pictures))));
    }
    let data = 8 + room;
    if data + head.data_len() as u64 != length {
        return Err(fault(&format!("{length} bytes, {} announced", data + head.data_len() as u64)));
    }
    let tensor = |name: &str, dtype: Dtype| {
        head.info(name).filter(|info| info.dtype == dtype).ok_or_else(|| fault(&format!("no tensor `{name}`")))
    };
    let range = |info: &TensorInfo| {
        let (start, end) = info.data_offsets;
        (data + start as u64, (end - start) as u64)
    };
    let (shared, shared_path) = (Arc::new(file.try_clone().map_err(io())?), Arc::from(path));
    let side = |name: &String, [images, labels, names]: [&str; 3]| {
        let images = tensor(images, Dtype::U8)?;
        let &[rows, height, width, channels] = &images.shape[..] else {
            return Err(fault("images of no four dimensions"));
        };
        let size = [height, width, channels].iter().try_fold(1usize, |size, &side| size.checked_mul(side));
        let size = size.filter(|&size| size > 0 && rows > 0).ok_or_else(|| fault("images without a pixel"))?;
        let (start, bytes) = range(tensor(labels, Dtype::U32)?);
        let labels = part(bytes, start)?;
        let labels: Vec<u32> = labels.as_chunks().0.iter().map(|&label| u32::from_le_bytes(label)).collect();
        let most = header.label_names.len().max(NUMBERED);
        if labels.len() != rows || labels.iter().any(|&label| label as usize >= most) {
            return Err(fault("labels that are not those of its images"));
        }
        let names = match head.info(names) {
            None => Vec::new(),
            Some(info) => {
                let (start, bytes) = range(info);
                let names: Vec<String> =
                    serde_json::from_slice(&part(bytes, start)?).map_err(|_| fault("broken names"))?;
                if names.len() == rows { Ok(names) } else { Err(fault("names that are not those of its images")) }?
            }
        };
        let (start, _) = range(images);
        let (file, path) = (Arc::clone(&shared), Arc::clone(&shared_path));
        let images = Images::of(Packed { file, path, start, size, len: rows }, size);
        let label_names = header.label_names.clone();
        Ok((Dataset { name: name.clone(), images, labels, label_names, height, width, channels }, names))
    };
    let ((train, train_names), (test, test_names)) =
        (side(&header.sets[0], SIDES[0])?, side(&header.sets[1], SIDES[1])?);
    if [train.height, train.width, train.channels] != [test.height, test.width, test.channels] {
        return Err(fault("training and test images of two sizes"));
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let origin = Origin { path: Some(path), ..header.origin };
    Ok(Split { train, test, origin, names: [train_names, test_names], by: header.by, remarks: Vec::new(), left_out: 0 })
}
