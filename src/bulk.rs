//! The embeddings of a set in shards: many Parquet files in one folder, each made by itself, on whichever machine.
//!
//! What a shard holds follows from the model, the set and its number alone, and all shards one after the other are the
//! embeddings of the set. A shard `shard-03-of-10.parquet` gets its name when it is whole, and then a manifest beside
//! it, `shard-03-of-10.json`, that says of what it is and by which digest it is known. Without that it is made anew.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::output::{Kind, Output};
use crate::text::hex;
use crate::vectors::{GROUP, PARQUET, Precision, Table, Vectors};

/// One of many parts: number `number` of `of`, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl Shard {
    /// Its part of `rows` rows, in order: none where there are fewer rows than shards.
    pub fn rows(&self, rows: usize) -> Range<usize> {
        // As wide as the product of both.
        let end = |number: usize| (number as u128 * rows as u128 / self.of as u128) as usize;
        end(self.number - 1)..end(self.number)
    }

    /// What its files are called, in the order of their numbers.
    fn stem(&self) -> String {
        let of = self.of.to_string();
        format!("shard-{:0width$}-of-{of}", self.number, width = of.len())
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let wrong = || format!("`{text}` is no part such as 1/4");
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let (number, of) = (number.parse().map_err(|_| wrong())?, of.parse().map_err(|_| wrong())?);
        if (1..=of).contains(&number) { Ok(Shard { number, of }) } else { Err(wrong()) }
    }
}

/// What all shards of a folder have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// Fingerprint of the model, see [`Checkpoint::fingerprint`](crate::checkpoint::Checkpoint::fingerprint).
    pub model: String,
    /// What tells the set from any other, as hexadecimal digits.
    pub set: String,
    /// The images of the set.
    pub images: usize,
    /// How many shards there are.
    pub of: usize,
    /// Values of an embedding.
    pub dims: usize,
    /// How a value is stored.
    pub precision: Precision,
}

impl Whole {
    /// How `other` differs, in words; `None` where it does not.
    fn difference(&self, other: &Whole) -> Option<String> {
        let Whole { model, set, images, of, dims: _, precision } = other;
        if self.model != *model {
            Some(format!("of the model {model}; this one is {}", self.model))
        } else if self.images != *images {
            Some(format!("of a set of {images} images; this one has {}", self.images))
        } else if self.set != *set {
            Some("of other images, by their names or classes".to_owned())
        } else if self.of != *of {
            Some(format!("one of {of}, not of {}", self.of))
        } else if self.precision != *precision {
            Some("of another precision".to_owned())
        } else {
            None
        }
    }
}

/// What tells the images of a set from those of any other, as hexadecimal digits: SHA-256 of `origin`, what the set is
/// known by itself if by anything, and of the name and class of each image.
pub fn set_digest<'a>(origin: &str, images: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut hash = Sha256::new_with_prefix(origin);
    images.for_each(|(name, class)| [name, "\0", &class, "\0"].iter().for_each(|part| hash.update(part)));
    hex(hash.finalize())
}

/// What is known of a shard that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name and version of the program that made it.
    pub program: String,
    /// What it is a shard of.
    #[serde(flatten)]
    pub whole: Whole,
    /// Its number, from 1.
    pub shard: usize,
    /// The embeddings in it.
    pub rows: usize,
    /// Names of its images that could not be used: they have no row.
    pub left_out: Vec<String>,
    /// SHA-256 of the Parquet file, as hexadecimal digits.
    pub sha256: String,
}

/// How the program of a manifest begins.
const PROGRAM: &str = "siamese ";
const MANIFEST: Kind =
    Kind { name: "the manifest of a shard", is: |head| head.starts_with(b"{\n  \"program\": \"siamese ") };

impl Manifest {
    /// Reads a file, if it is a manifest.
    fn read(path: &Path) -> Result<Option<Manifest>> {
        let text = match fs::read(path) {
            Ok(text) if (MANIFEST.is)(&text) => text,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let other = |error| Error::output(path, format!("a manifest of another version of the program ({error})"));
        serde_json::from_slice(&text).map(Some).map_err(other)
    }
}

/// What there is of a shard.
#[derive(Debug)]
pub enum State {
    /// It is whole.
    Done(Manifest),
    /// It is to be made.
    Open(Place),
}

/// Where a shard goes that is to be made.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    shard: usize,
    whole: Whole,
    table: Output,
    manifest: Output,
    path: PathBuf,
}

impl Place {
    /// Looks for a shard in a folder, which is made where there is none.
    ///
    /// # Errors
    /// [`Error::Output`] naming a shard there that is of another model, set, number of shards or precision; as
    /// [`Output::prepare`] where nothing can be written.
    pub fn find(folder: &Path, number: usize, whole: Whole) -> Result<State> {
        fs::create_dir_all(folder).map_err(Error::io("make folder", folder))?;
        agree(folder, &whole)?;
        let stem = Shard { number, of: whole.of }.stem();
        let [path, manifest] = ["parquet", "json"].map(|ending| folder.join(format!("{stem}.{ending}")));
        if let Some(found) = Manifest::read(&manifest)?
            && found.shard == number
            && file_digest(&path)?.is_some_and(|digest| digest == found.sha256)
        {
            return Ok(State::Done(found));
        }
        let table = Output::prepare(&path, PARQUET)?;
        let manifest = Output::prepare(&manifest, MANIFEST)?;
        Ok(State::Open(Place { folder: folder.to_owned(), shard: number, whole, table, manifest, path }))
    }

    /// Writes the shard: `fill` gives it the rows, in order. What was there stays until it is whole.
    ///
    /// # Errors
    /// What `fill` answers; [`Error::Io`] where it cannot be written; as [`Place::find`] for shards of another kind
    /// that have come meanwhile.
    pub fn write<E: From<Error>>(self, fill: impl FnOnce(&mut Rows) -> Result<(), E>) -> Result<Manifest, E> {
        let Place { folder, shard, whole, table, manifest, path } = self;
        let mut made = None;
        let table = table.draft_of(|file| {
            let mut rows = Rows::begin(file, &path, &whole)?;
            fill(&mut rows)?;
            made = Some(rows.end()?);
            Ok::<_, E>(())
        })?;
        let (rows, left_out, sha256) = made.expect("it is filled");
        let program = format!("{PROGRAM}{}", env!("CARGO_PKG_VERSION"));
        let known = Manifest { program, whole, shard, rows, left_out, sha256 };
        let text = serde_json::to_vec_pretty(&known).expect("plain data");
        let manifest = manifest.draft(|file| file.write_all(&text))?;
        agree(&folder, &known.whole)?;
        // A manifest that is there says that its file is whole: it comes last.
        table.publish()?;
        manifest.publish()?;
        Ok(known)
    }
}

/// Says whether all shards of a folder are of one whole, so that they can be read as one table.
fn agree(folder: &Path, whole: &Whole) -> Result<()> {
    let list = || Error::io("list", folder);
    for entry in fs::read_dir(folder).map_err(list())? {
        let path = entry.map_err(list())?.path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let other = Manifest::read(&path)?.and_then(|other| whole.difference(&other.whole));
        if let Some(difference) = other {
            return Err(Error::output(&path, format!("it is {difference}; shards of a folder are one table")));
        }
    }
    Ok(())
}

/// SHA-256 of a file, if it is there.
fn file_digest(path: &Path) -> Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let mut hashed = Hashed { file: io::sink(), hash: Sha256::new() };
    io::copy(&mut file, &mut hashed).map_err(Error::io("read", path))?;
    Ok(Some(hex(hashed.hash.finalize())))
}

/// A file that is hashed as it is written.
struct Hashed<W> {
    file: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The rows of a shard that is being written: no more than a row group of them is in memory.
pub struct Rows<'a> {
    table: Table<Hashed<&'a mut File>>,
    path: &'a Path,
    precision: Precision,
    /// Those of the next row group.
    group: Vectors,
    rows: usize,
    left_out: Vec<String>,
}

impl<'a> Rows<'a> {
    fn begin(file: &'a mut File, path: &'a Path, whole: &Whole) -> Result<Rows<'a>> {
        let &Whole { dims, precision, .. } = whole;
        let file = Hashed { file, hash: Sha256::new() };
        let table = Table::begin(file, &whole.model, dims, precision).map_err(Error::io("write", path))?;
        let (values, names, classes) = Default::default();
        let group = Vectors { values, dims, names, classes, model: whole.model.clone() };
        Ok(Rows { table, path, precision, group, rows: 0, left_out: Vec::new() })
    }

    /// Adds the embedding of an image; of no class where that is empty.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn push(&mut self, name: &str, class: String, embedding: &[f32]) -> Result<()> {
        self.group.names.push(name.to_owned());
        self.group.classes.push(class);
        self.group.values.extend_from_slice(embedding);
        if self.group.names.len() == GROUP { self.flush() } else { Ok(()) }
    }

    /// Notes an image that could not be used.
    pub fn leave_out(&mut self, name: String) {
        self.left_out.push(name);
    }

    fn flush(&mut self) -> Result<()> {
        let Vectors { names, .. } = &self.group;
        let (rows, scale) = (0..names.len(), self.group.scale(self.precision));
        self.rows += rows.len();
        self.table.group(&self.group, rows, scale).map_err(Error::io("write", self.path))?;
        self.group.names.clear();
        self.group.classes.clear();
        self.group.values.clear();
        Ok(())
    }

    /// Ends the file: how many rows it has, what is left out, and its digest.
    fn end(mut self) -> Result<(usize, Vec<String>, String)> {
        if !self.group.names.is_empty() {
            self.flush()?;
        }
        let hashed = self.table.end().map_err(Error::io("write", self.path))?;
        Ok((self.rows, self.left_out, hex(hashed.hash.finalize())))
    }
}
