//! Images by row number, wherever they lie: in memory, in a file, or in pictures that are decoded when they are asked
//! for.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::origin::sha256;
use crate::error::{Error, Result};

/// Images by row number, all of one size. Who asks, from which thread and in which order changes nothing of what comes.
pub trait Store: Send + Sync {
    /// The number of images.
    fn len(&self) -> usize;

    /// There is no image.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts the bytes of an image, `[height, width, channels]`, into `image`, which has their number.
    ///
    /// # Errors
    /// What is wrong with the image, or with what holds it.
    fn read(&self, row: usize, image: &mut [u8]) -> Result<()>;

    /// All images one after the other, where they are in memory.
    fn bytes(&self) -> Option<&[u8]> {
        None
    }

    /// What tells it from any other store, as hexadecimal digits.
    fn digest(&self) -> String;
}

/// Fills `bytes` with what a file holds from `place` on. Reading at places rather than mapping the file: a file that is
/// cut while it is mapped ends the program, and one that is read is an error.
#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, bytes: &mut [u8], place: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, place)
}

/// The same.
#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut place: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, bytes, place)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[read..];
        place += read as u64;
    }
    Ok(())
}

/// Images in memory.
struct Memory {
    bytes: Vec<u8>,
    size: usize,
    digest: OnceLock<String>,
}

impl Store for Memory {
    fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    fn read(&self, row: usize, image: &mut [u8]) -> Result<()> {
        image.copy_from_slice(&self.bytes[row * self.size..][..self.size]);
        Ok(())
    }

    fn bytes(&self) -> Option<&[u8]> {
        Some(&self.bytes)
    }

    fn digest(&self) -> String {
        self.digest.get_or_init(|| sha256(digests(&self.bytes).iter().map(String::as_bytes))).clone()
    }
}

/// Images of two stores.
struct Joined {
    first: Images,
    second: Images,
}

impl Store for Joined {
    fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    fn read(&self, row: usize, image: &mut [u8]) -> Result<()> {
        match row.checked_sub(self.first.len()) {
            None => self.first.read(row, image),
            Some(row) => self.second.read(row, image),
        }
    }

    fn digest(&self) -> String {
        sha256([&self.first, &self.second].map(Images::digest).iter().map(String::as_bytes))
    }
}

/// SHA-256 of each piece of bytes, so that all processors hash.
pub(super) fn digests(bytes: &[u8]) -> Vec<String> {
    bytes.par_chunks(1 << 20).map(|piece| sha256([piece])).collect()
}

/// The images of a data set: some rows of a [`Store`], in any order. Cheap to copy and to divide: no pixel moves.
#[derive(Clone)]
pub struct Images {
    store: Arc<dyn Store>,
    /// Which of its rows; `None`: all, in order.
    rows: Option<Arc<[u32]>>,
    size: usize,
}

/// An image that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Its row.
    pub row: usize,
    /// Why.
    pub error: Error,
}

impl Unreadable {
    /// The error that all of them are together.
    pub fn all(faults: impl IntoIterator<Item = Unreadable>) -> Error {
        Error::Pictures { faults: faults.into_iter().map(|fault| fault.error).collect() }
    }
}

impl Images {
    /// Images in memory, one after the other, of `size` bytes each.
    ///
    /// # Panics
    /// If the bytes are no whole number of images.
    pub fn new(bytes: Vec<u8>, size: usize) -> Images {
        assert!(size > 0 && bytes.len().is_multiple_of(size), "{} bytes are no images of {size}", bytes.len());
        Images::of(Memory { bytes, size, digest: OnceLock::new() }, size)
    }

    /// All images of a store, of `size` bytes each.
    pub fn of(store: impl Store + 'static, size: usize) -> Images {
        Images { store: Arc::new(store), rows: None, size }
    }

    /// Those of both, the first before the second, of one size.
    ///
    /// # Panics
    /// If they are of two sizes.
    pub fn joined(first: Images, second: Images) -> Images {
        assert_eq!(first.size, second.size, "images of one size");
        let size = first.size;
        Images::of(Joined { first, second }, size)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.store.len(), |rows| rows.len())
    }

    /// There is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of an image.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The bytes of all images together.
    pub fn total(&self) -> u64 {
        self.len() as u64 * self.size as u64
    }

    /// All images one after the other: lent where they lie so in memory, else read.
    ///
    /// # Errors
    /// As [`Store::read`], for the first in order.
    pub fn all(&self) -> Result<Cow<'_, [u8]>> {
        if let (Some(bytes), None) = (self.store.bytes(), &self.rows) {
            return Ok(Cow::Borrowed(bytes));
        }
        let (bytes, faults) = self.read_all(|| ());
        faults.into_iter().next().map_or(Ok(Cow::Owned(bytes)), |fault| Err(fault.error))
    }

    fn row(&self, row: usize) -> usize {
        self.rows.as_ref().map_or(row, |rows| rows[row] as usize)
    }

    /// Puts the bytes of an image into `image`.
    ///
    /// # Errors
    /// As [`Store::read`].
    ///
    /// # Panics
    /// If there is no such row, or `image` has not [the size](Images::size).
    pub fn read(&self, row: usize, image: &mut [u8]) -> Result<()> {
        assert_eq!(image.len(), self.size, "the bytes of an image");
        self.store.read(self.row(row), image)
    }

    /// An image: lent where it is in memory, else read.
    ///
    /// # Errors
    /// As [`Store::read`].
    ///
    /// # Panics
    /// If there is no such row.
    pub fn image(&self, row: usize) -> Result<Cow<'_, [u8]>> {
        if let Some(bytes) = self.store.bytes() {
            return Ok(Cow::Borrowed(&bytes[self.row(row) * self.size..][..self.size]));
        }
        let mut image = vec![0; self.size];
        self.read(row, &mut image)?;
        Ok(Cow::Owned(image))
    }

    /// The images of `rows`, in that order.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn subset(&self, rows: &[usize]) -> Images {
        let rows = rows.iter().map(|&row| {
            let row = self.row(row);
            assert!(row < self.store.len(), "row {row} of {}", self.store.len());
            u32::try_from(row).expect("a set has fewer than 2³² images")
        });
        Images { rows: Some(rows.collect()), ..self.clone() }
    }

    /// Whether they are in memory.
    pub fn is_in_memory(&self) -> bool {
        self.store.bytes().is_some()
    }

    /// Reads them all, on all processors, into memory. `done` hears of each. Those that cannot be read are zeros, and
    /// are told, by row.
    pub fn load(&self, done: impl Fn() + Sync) -> (Images, Vec<Unreadable>) {
        let (bytes, faults) = self.read_all(done);
        (Images::new(bytes, self.size), faults)
    }

    fn read_all(&self, done: impl Fn() + Sync) -> (Vec<u8>, Vec<Unreadable>) {
        let mut bytes = vec![0; self.len() * self.size];
        let faults = bytes.par_chunks_mut(self.size).enumerate().filter_map(|(row, image)| {
            let error = self.read(row, image).err();
            done();
            error.map(|error| Unreadable { row, error })
        });
        let faults = faults.collect();
        (bytes, faults)
    }

    /// Reads them all, as [`Images::load`] does, and keeps none.
    pub fn check(&self, done: impl Fn() + Sync) -> Vec<Unreadable> {
        let read = |image: &mut Vec<u8>, row| {
            let error = self.read(row, image).err();
            done();
            error.map(|error| Unreadable { row, error })
        };
        let faults = (0..self.len()).into_par_iter().map_init(|| vec![0; self.size], read);
        faults.flatten_iter().collect()
    }

    /// What they are known by, as hexadecimal digits: the store and which of its rows.
    pub fn digest(&self) -> String {
        let rows = self.rows.as_deref().unwrap_or_default();
        sha256([self.store.digest().as_bytes(), &[u8::from(self.rows.is_some())], bytemuck::cast_slice(rows)])
    }
}

/// The same number of images of the same bytes.
impl PartialEq for Images {
    fn eq(&self, other: &Images) -> bool {
        let equal = |row| matches!((self.image(row), other.image(row)), (Ok(own), Ok(others)) if own == others);
        self.len() == other.len() && (0..self.len()).all(equal)
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} images of {} bytes", self.len(), self.size)
    }
}
