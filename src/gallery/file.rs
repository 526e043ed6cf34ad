//! The file of a gallery: a safetensors file with
//! - `embeddings` `[rows, dims]`, `identity` `[rows]` (its number in the list of names) and `images` `[rows]` (how many
//!   images an embedding is the mean of);
//! - of each picture that is enrolled, in the order of their contents: `picture.content` `[pictures, 32]` (SHA-256),
//!   `picture.identity` `[pictures]`, `picture.name` (the names behind each other, in UTF-8) and `picture.name_end`
//!   `[pictures]` (where each ends);
//! - a JSON text in the metadata, which has the rest.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{Content, Gallery, Picture, Threshold, numbered};
use crate::error::{Error, Result};
use crate::eval::flaw;
use crate::losses::Distance;
use crate::output::{self, Kind};
use crate::text::composed;

/// What the file says of itself.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Of the program that wrote it.
    version: String,
    /// See [`Checkpoint::fingerprint`](crate::checkpoint::Checkpoint::fingerprint).
    model: String,
    dims: usize,
    distance: Distance,
    identities: Vec<String>,
    /// The pictures enrolled, in files from before they had tensors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pictures: BTreeMap<Content, Picture>,
    /// Pictures of which no more is known than their name, and the number of their identity: files from before contents
    /// were noted have these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<String, u32>,
    threshold: Option<Threshold>,
}

/// Metadata entry that holds the [`Header`].
const ENTRY: &str = "siamese-gallery";

const KIND: Kind = Kind { name: "a gallery", is: |head| output::is_safetensors(head, ENTRY) };

/// Bytes that the format allows for metadata.
const MOST_METADATA: usize = 100_000_000;

/// Values as they lie in a file.
fn bytes<T: Copy, const N: usize>(values: &[T], of: fn(T) -> [u8; N]) -> Vec<u8> {
    let mut bytes = vec![0; N * values.len()];
    bytes.as_chunks_mut::<N>().0.iter_mut().zip(values).for_each(|(bytes, &value)| *bytes = of(value));
    bytes
}

/// The other way round.
fn values<T, const N: usize>(bytes: &[u8], of: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&bytes| of(bytes)).collect()
}

/// The different names of `identities` once they are composed, in order, and the new number of each.
fn united(identities: &[String]) -> (Vec<String>, Vec<u32>) {
    let (mut names, mut numbers) = (Vec::new(), HashMap::new());
    let number = |name: &String| {
        let name = composed(name).into_owned();
        *numbers.entry(name.clone()).or_insert_with(|| {
            names.push(name);
            names.len() as u32 - 1
        })
    };
    let renumbered = identities.iter().map(number).collect();
    (names, renumbered)
}

impl Gallery {
    /// Writes the file.
    ///
    /// # Errors
    /// As [`output::write`]; [`Error::Gallery`] where the names are more than the format holds.
    pub fn save(&self, path: &Path) -> Result<()> {
        output::write(path, KIND, &self.to_bytes(path)?)
    }

    /// The bytes of the file; an error names it as `path`.
    ///
    /// # Errors
    /// [`Error::Gallery`] where the names are more than the format holds.
    pub fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        let header = Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: self.model.clone(),
            dims: self.dims,
            distance: self.distance,
            identities: self.identities.clone(),
            pictures: BTreeMap::new(),
            sources: self.sources.clone(),
            threshold: self.threshold,
        };
        let header = serde_json::to_string(&header).expect("plain data");
        // It is a string of the metadata, with a backslash before each quote.
        let length = header.len() + header.bytes().filter(|byte| b"\"\\".contains(byte)).count();
        if length > MOST_METADATA - (1 << 16) {
            let reason = format!("the names of its identities take {length} bytes, a file has 100 MB for them at most");
            return Err(Error::Gallery { path: path.to_owned(), reason });
        }
        let (rows, count) = (self.identity.len(), self.pictures.len());
        let contents: Vec<u8> = self.pictures.keys().flat_map(|content| content.0).collect();
        let owners: Vec<u32> = self.pictures.values().map(|picture| picture.identity).collect();
        let mut ends = Vec::with_capacity(count);
        let mut names = Vec::new();
        for picture in self.pictures.values() {
            names.extend_from_slice(picture.name.as_bytes());
            ends.push(names.len() as u64);
        }
        let embeddings = bytes(&self.embeddings, f32::to_le_bytes);
        let [identity, images, owners] =
            [&self.identity, &self.images, &owners].map(|all| bytes(all, u32::to_le_bytes));
        let ends = bytes(&ends, u64::to_le_bytes);
        let view = |dtype, dims, bytes| TensorView::new(dtype, dims, bytes).expect("lengths that agree");
        let tensors = [
            ("embeddings", view(Dtype::F32, vec![rows, self.dims], &embeddings)),
            ("identity", view(Dtype::U32, vec![rows], &identity)),
            ("images", view(Dtype::U32, vec![rows], &images)),
            ("picture.content", view(Dtype::U8, vec![count, 32], &contents)),
            ("picture.identity", view(Dtype::U32, vec![count], &owners)),
            ("picture.name", view(Dtype::U8, vec![names.len()], &names)),
            ("picture.name_end", view(Dtype::U64, vec![count], &ends)),
        ];
        let metadata = HashMap::from([(ENTRY.to_owned(), header)]);
        Ok(safetensors::serialize(tensors, Some(metadata)).expect("tensors whose sizes agree"))
    }

    /// Reads a file that [`Gallery::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Gallery`] if it is cut off, not a gallery, or contradicts itself.
    pub fn load(path: &Path) -> Result<Gallery> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let gallery = Gallery::parse(&bytes).and_then(Gallery::checked);
        gallery.map_err(|reason| Error::Gallery { path: path.to_owned(), reason: reason.into_owned() })
    }

    fn parse(bytes: &[u8]) -> Result<Gallery, Cow<'static, str>> {
        let whole = |error| format!("it is no whole gallery file ({error})");
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(whole)?;
        let file = SafeTensors::deserialize(bytes).map_err(whole)?;
        let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        let header = entry.ok_or("it is a safetensors file, but no gallery: `siamese enroll` makes one")?;
        let header: Header =
            serde_json::from_str(header).map_err(|error| format!("its header cannot be understood ({error})"))?;
        let tensor = |name: &str, dtype| match file.tensor(name) {
            Ok(tensor) if tensor.dtype() == dtype => Ok(tensor),
            Ok(tensor) => Err(format!("`{name}` is {:?}, expected {dtype:?}", tensor.dtype())),
            Err(_) => Err(format!("`{name}` is missing")),
        };
        let words = |name| Ok::<_, String>(values(tensor(name, Dtype::U32)?.data(), u32::from_le_bytes));
        let (identity, images) = (words("identity")?, words("images")?);
        let embeddings = tensor("embeddings", Dtype::F32)?;
        let rows = identity.len();
        if embeddings.shape() != [rows, header.dims] || images.len() != rows || header.dims == 0 {
            let reason = format!("{rows} identities, {} counts and embeddings {:?}", images.len(), embeddings.shape());
            return Err(reason.into());
        }
        let pictures = if file.tensor("picture.content").is_ok() {
            let (contents, owners) = (tensor("picture.content", Dtype::U8)?, words("picture.identity")?);
            let (names, ends) = (tensor("picture.name", Dtype::U8)?, tensor("picture.name_end", Dtype::U64)?);
            pictures(contents.data(), &owners, names.data(), &values(ends.data(), u64::from_le_bytes))?
        } else {
            header.pictures
        };
        Ok(Gallery {
            dims: header.dims,
            numbers: numbered(&header.identities),
            identities: header.identities,
            pictures,
            sources: header.sources,
            embeddings: values(embeddings.data(), f32::from_le_bytes),
            identity,
            images,
            threshold: header.threshold,
            ..Gallery::empty(header.model, header.distance)
        })
    }

    /// Checks what was read, and unites identities that have one name.
    pub(super) fn checked(mut self) -> Result<Gallery, Cow<'static, str>> {
        let pictures = self.pictures.values().map(|picture| &picture.identity);
        let mut numbers_used = self.identity.iter().chain(pictures).chain(self.sources.values());
        if let Some(number) = numbers_used.find(|&&number| number as usize >= self.identities.len()) {
            return Err(format!("identity {number} of {} is named", self.identities.len()).into());
        }
        if self.numbers.len() != self.identities.len() {
            return Err("two of its identities have one name".into());
        }
        let mut is_enrolled = vec![false; self.identities.len()];
        self.identity.iter().for_each(|&number| is_enrolled[number as usize] = true);
        if let Some(number) = is_enrolled.iter().position(|is_enrolled| !is_enrolled) {
            return Err(format!("its identity `{}` has no embedding", self.identities[number]).into());
        }
        if let Some(Threshold { distance, far }) = self.threshold.filter(|threshold| !threshold.is_sound()) {
            return Err(format!("its threshold is {distance}, for a FAR of {far:?}").into());
        }
        let flaws = self.embeddings.par_chunks_exact(self.dims).enumerate();
        if let Some((row, reason)) = flaws.find_map_first(|(row, embedding)| Some((row, flaw(embedding)?))) {
            return Err(format!("its embedding {row} {reason}").into());
        }
        let images = &self.images;
        if images.contains(&0) || images.iter().try_fold(0, |sum: u32, &images| sum.checked_add(images)).is_none() {
            return Err("an embedding is of no image, or all are of too many".into());
        }
        // Files from before names were composed may have two that look the same.
        if self.identities.iter().any(|name| matches!(composed(name), Cow::Owned(_))) {
            let (identities, number) = united(&self.identities);
            let pictures = self.pictures.values_mut().map(|picture| &mut picture.identity);
            let numbers = self.identity.iter_mut().chain(pictures).chain(self.sources.values_mut());
            numbers.for_each(|identity| *identity = number[*identity as usize]);
            if identities.len() < number.len() {
                self.drop_calibration();
            }
            self.numbers = numbered(&identities);
            self.identities = identities;
        }
        Ok(self)
    }
}

/// The pictures of a file.
fn pictures(contents: &[u8], owners: &[u32], names: &[u8], ends: &[u64]) -> Result<BTreeMap<Content, Picture>, String> {
    let (contents, rest) = contents.as_chunks::<32>();
    if contents.len() != owners.len() || ends.len() != owners.len() || !rest.is_empty() {
        let lengths = [contents.len(), owners.len(), ends.len()];
        return Err(format!("its pictures have {lengths:?} contents, identities and names"));
    }
    let names =
        std::str::from_utf8(names).map_err(|error| format!("the names of its pictures are no text ({error})"))?;
    let mut start = 0;
    let mut pictures = Vec::with_capacity(owners.len());
    for ((&content, &identity), &end) in contents.iter().zip(owners).zip(ends) {
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        let name = names.get(start..end).ok_or_else(|| format!("the name of a picture ends at byte {end}"))?;
        pictures.push((Content(content), Picture { name: name.to_owned(), identity }));
        start = end;
    }
    let count = pictures.len();
    // In order as they are, which makes the map quickly.
    let pictures = BTreeMap::from_iter(pictures);
    if pictures.len() != count { Err("a picture is in it twice".to_owned()) } else { Ok(pictures) }
}
