//! Labelled images on the host: the bundled MNIST ([`mnist`]), any set in the IDX format ([`idx`]), folders of pictures
//! and of tar shards ([`folder`], [`search`], [`pictures`], [`decode`]), and files that [`packed`] made of such. Labels
//! are in memory; pixels lie in a [`store`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::memory;
use crate::text::composed;
use pictures::Pictures;
use store::{Images, Unreadable};

pub mod decode;
mod divide;
pub mod duplicates;
pub mod folder;
pub mod idx;
pub mod lfw;
pub mod mnist;
mod origin;
pub mod packed;
pub mod pictures;
pub mod search;
pub mod shards;
pub mod store;

pub use divide::{Bound, HoldBack, Parts, SplitBy};
pub use origin::Origin;
use origin::sha256;

/// A labelled set of images of one size.
#[derive(Clone, PartialEq)]
pub struct Dataset {
    /// What the set is called in reports, for example `MNIST train`.
    pub name: String,
    /// `[rows, height, width, channels]`, row-major; 0 to 255.
    pub images: Images,
    /// `[rows]`: the class each image shows. Labels need not start at zero, nor be without gaps.
    pub labels: Vec<u32>,
    /// What the labels are called, by label; empty where they are numbers and no more.
    pub label_names: Vec<String>,
    /// Pixels of an image from top to bottom.
    pub height: usize,
    /// Pixels of an image from left to right.
    pub width: usize,
    /// Values of a pixel: 1 for grey, 3 for colour.
    pub channels: usize,
}

impl Dataset {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// There is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The values of one image: height × width × channels.
    pub fn pixels(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The largest label + 1; 0 for an empty set.
    pub fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |&label| label as usize + 1)
    }

    /// The number of labels that images have.
    pub fn label_count(&self) -> usize {
        self.labels.iter().collect::<BTreeSet<_>>().len()
    }

    /// How many images a label has: the median over those that occur; 0 for an empty set.
    pub fn images_of_a_label(&self) -> usize {
        let mut counts: Vec<usize> = self.rows_by_label().iter().map(Vec::len).filter(|&count| count > 0).collect();
        counts.sort_unstable();
        counts.get(counts.len() / 2).copied().unwrap_or(0)
    }

    /// The first `n` images, or all where there are fewer; for a quick run.
    pub fn take(mut self, n: usize) -> Dataset {
        if n < self.len() {
            self.images = self.images.subset(&(0..n).collect::<Vec<_>>());
            self.labels.truncate(n);
        }
        self
    }

    /// The images of `rows`, in that order, as a set of another name.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn subset(&self, name: String, rows: &[usize]) -> Dataset {
        Dataset {
            name,
            images: self.images.subset(rows),
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            label_names: self.label_names.clone(),
            ..*self
        }
    }

    /// SHA-256 of sizes, labels and pixels, as hexadecimal digits; whatever the set is called.
    ///
    /// # Errors
    /// As [`Dataset::image`].
    pub fn digest(&self) -> Result<String> {
        let sizes = [self.len(), self.height, self.width, self.channels].map(|size| (size as u64).to_le_bytes());
        let labels: Vec<u8> = self.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        let pixels = store::digests(&self.images.all()?);
        Ok(sha256([sizes.as_flattened(), &labels].into_iter().chain(pixels.iter().map(String::as_bytes))))
    }

    /// One image, `[height, width, channels]`: lent where it is in memory.
    ///
    /// # Errors
    /// What is wrong with it, or with what holds it.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn image(&self, row: usize) -> Result<Cow<'_, [u8]>> {
        self.images.image(row)
    }

    /// What a label is called: its name, or its number.
    pub fn label_name(&self, label: u32) -> String {
        self.label_names.get(label as usize).cloned().unwrap_or_else(|| label.to_string())
    }

    /// The labels that `wanted` names among those that images have: each is what a label is called, or a range of
    /// numbers such as `0-4`, all of which must be so called. A label that is called `2019-2021` is not a range.
    ///
    /// # Errors
    /// [`Error::Config`] naming `option` and the first that no image has.
    pub fn labels_named(&self, option: &str, wanted: &[String]) -> Result<BTreeSet<u32>> {
        let labels: BTreeSet<u32> = self.labels.iter().copied().collect();
        let known: BTreeMap<String, u32> = labels.iter().map(|&label| (self.label_name(label), label)).collect();
        let find = |name: &str| {
            known.get(name).copied().ok_or_else(|| {
                const SHOWN: usize = 20;
                let more = if labels.len() > SHOWN { ", …" } else { "" };
                let names: Vec<_> = labels.iter().take(SHOWN).map(|&label| self.label_name(label)).collect();
                let reason = format!("no image is of class `{name}`; there are {}{more}", names.join(", "));
                Error::config(option, reason)
            })
        };
        let mut found = BTreeSet::new();
        for part in wanted {
            let part = composed(part.trim());
            let number = |text: &str| text.parse::<u32>().ok();
            match part.split_once('-').map(|(first, last)| (number(first), number(last))) {
                Some((Some(first), Some(last))) if first <= last && !known.contains_key(&*part) => {
                    // It ends at the first number that is no class, however long the range is.
                    for number in first..=last {
                        found.insert(find(&number.to_string())?);
                    }
                }
                _ => _ = found.insert(find(&part)?),
            }
        }
        Ok(found)
    }

    /// The rows of each label, ascending: index by label. A label that no image has gives an empty list.
    pub fn rows_by_label(&self) -> Vec<Vec<u32>> {
        let mut rows = vec![Vec::new(); self.classes()];
        for (row, &label) in self.labels.iter().enumerate() {
            rows[label as usize].push(row as u32);
        }
        rows
    }
}

/// Name and sizes, without the pixels.
impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("name", &self.name)
            .field("rows", &self.len())
            .field("height", &self.height)
            .field("width", &self.width)
            .field("channels", &self.channels)
            .field("classes", &self.classes())
            .finish_non_exhaustive()
    }
}

/// A training and a test set of the same image size.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What the network learns from.
    pub train: Dataset,
    /// What it is judged by.
    pub test: Dataset,
    /// Which set they are, or are parts of.
    pub origin: Origin,
    /// What each training and each test image is known by: the names of its class and file; empty where they are known
    /// by their pixels.
    pub names: [Vec<String>; 2],
    /// By what it was divided; by images too where the set says itself which images judge.
    pub by: SplitBy,
    /// What a user has to know of how it was read, a sentence each.
    pub remarks: Vec<String>,
    /// Images that could not be used and were [left out](Bad::Skipped).
    pub left_out: usize,
}

/// Reads a data set: a file that [`packed`] wrote, or a folder of any kind: of pictures or tar shards as [`folder`] has
/// it, or of IDX files as [`idx`] has it, which may lie in a folder `raw` or `gzip` inside, where downloads put them.
/// `input` is the shape that pictures are brought to, `by` what a folder of them is divided by that does not say which
/// are for what; see [`folder::load`]. Pictures are not decoded yet.
///
/// # Errors
/// [`Error::DataSet`] where the folder is not there or is neither; what [`packed::load`], [`folder::load`] and
/// [`idx::load`] report.
pub fn load(path: &Path, input: Option<[usize; 3]>, pictures: Pictures, by: Option<SplitBy>) -> Result<Split> {
    if path.is_file() {
        let is_shard = path.file_name().is_some_and(|name| shards::is_shard(&name.to_string_lossy()));
        return if is_shard { folder::load(path, input, pictures, by) } else { packed::load(path, pictures) };
    }
    match idx::folder(path)? {
        Some(dir) => idx::load(&dir)?.adapted(pictures),
        None => folder::load(path, input, pictures, by),
    }
}

/// Whether a path is a set by itself, of which [`load`] reads both sides: a file that [`packed`] wrote, or a folder of
/// IDX files. Other folders and files are pictures, as [`search`] has them.
///
/// # Errors
/// [`Error::Io`] where it cannot be read; as [`idx::folder`].
pub fn is_set(path: &Path) -> Result<bool> {
    if path.is_dir() { Ok(idx::folder(path)?.is_some()) } else { Ok(path.is_file() && packed::is_one(path)?) }
}

/// What becomes of images that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// They are an error.
    Refused,
    /// They are left out.
    Skipped,
}

/// A digest of which image is of which class and on which side, by the names of both.
fn digest_of_names(names: &[Vec<String>; 2]) -> String {
    let sides = ["train", "test"].into_iter().zip(names);
    let names: Vec<String> =
        sides.map(|(side, names)| names.iter().map(|name| format!("{side}\0{name}\0")).collect()).collect();
    sha256(names.iter().map(String::as_bytes))
}

impl Split {
    /// Two sets that are in memory, under the name of both.
    ///
    /// # Errors
    /// As [`Dataset::digest`].
    pub fn new(name: &str, train: Dataset, test: Dataset) -> Result<Split> {
        let digest = sha256([train.digest()?.as_bytes(), test.digest()?.as_bytes()]);
        let origin = Origin::new(name, None, &train, &test, digest);
        Ok(Split {
            train,
            test,
            origin,
            names: Default::default(),
            by: SplitBy::Images,
            remarks: Vec::new(),
            left_out: 0,
        })
    }

    /// What a model wants done to pictures, done to images that are in memory and have the right size.
    ///
    /// # Errors
    /// As [`Dataset::image`].
    pub fn adapted(mut self, pictures: Pictures) -> Result<Split> {
        if pictures.invert {
            for set in [&mut self.train, &mut self.test] {
                let inverted = set.images.all()?.iter().map(|value| 255 - value).collect();
                set.images = Images::new(inverted, set.images.size());
            }
        }
        Ok(self)
    }

    /// Both sets.
    pub fn sets(&self) -> [&Dataset; 2] {
        [&self.train, &self.test]
    }

    /// All images as one set, those for training first, and what each is called: its side with the names of its class
    /// and file, `train/cats/tom.png`, or with its number.
    pub fn whole(self) -> (Dataset, Vec<String>) {
        let Split { train, test, origin, names, .. } = self;
        let called = ["train", "test"].into_iter().zip([&train, &test]).zip(&names).flat_map(|((side, set), names)| {
            let name =
                |row: usize| names.get(row).map_or_else(|| row.to_string(), |name: &String| name.replace('\0', "/"));
            (0..set.len()).map(move |row| format!("{side}/{}", name(row)))
        });
        let called = called.collect();
        let labels = [train.labels, test.labels].concat();
        let images = Images::joined(train.images, test.images);
        (Dataset { name: origin.name, images, labels, ..train }, called)
    }

    /// The bytes of the pixels of both sets.
    pub fn total(&self) -> u64 {
        self.sets().iter().map(|set| set.images.total()).sum()
    }

    /// Reads every image into memory, so that each is decoded once, and what cannot be used shows at once. `done` hears
    /// of each image. Of images that are in memory nothing is to be done.
    ///
    /// # Errors
    /// [`Error::Pictures`] naming all that cannot be used, where they are not [skipped](Bad::Skipped), or none is left;
    /// [`Error::Memory`] where the machine cannot hold them.
    pub fn loaded(mut self, bad: Bad, done: impl Fn() + Sync) -> Result<Split> {
        let lazy = self.sets().into_iter().filter(|set| !set.images.is_in_memory());
        memory::check("the set of pictures", lazy.map(|set| set.images.total()).sum())?;
        let mut faults = [Vec::new(), Vec::new()];
        for (set, faults) in [&mut self.train, &mut self.test].into_iter().zip(&mut faults) {
            if !set.images.is_in_memory() {
                (set.images, *faults) = set.images.load(&done);
            }
        }
        self.without(faults, bad)
    }

    /// Reads every image to find those that cannot be used, and keeps none; see [`Split::loaded`].
    ///
    /// # Errors
    /// [`Error::Pictures`] as there.
    pub fn checked(self, bad: Bad, done: impl Fn() + Sync) -> Result<Split> {
        let faults = [&self.train, &self.test].map(|set| set.images.check(&done));
        self.without(faults, bad)
    }

    /// Leaves out what cannot be used.
    fn without(mut self, faults: [Vec<Unreadable>; 2], bad: Bad) -> Result<Split> {
        let count = faults.iter().map(Vec::len).sum::<usize>();
        if count == 0 {
            return Ok(self);
        }
        let sets = [&self.train, &self.test].into_iter().zip(&faults);
        let is_empty = sets.into_iter().any(|(set, faults)| !faults.is_empty() && faults.len() == set.len());
        if bad == Bad::Refused || is_empty {
            return Err(Unreadable::all(faults.into_iter().flatten()));
        }
        let sets = [&mut self.train, &mut self.test].into_iter().zip(&mut self.names).zip(&faults);
        for ((set, names), faults) in sets {
            let bad: BTreeSet<usize> = faults.iter().map(|fault| fault.row).collect();
            let rows: Vec<usize> = (0..set.len()).filter(|row| !bad.contains(row)).collect();
            *set = set.subset(set.name.clone(), &rows);
            *names = rows.iter().filter_map(|&row| names.get(row).cloned()).collect();
        }
        if !self.names[0].is_empty() {
            let (digest, path) = (digest_of_names(&self.names), self.origin.path.take());
            self.origin = Origin::new(&self.origin.name, path.as_deref(), &self.train, &self.test, digest);
        }
        self.remarks.extend(faults.iter().flatten().map(|fault| format!("left out: {}", fault.error)));
        self.left_out += count;
        Ok(self)
    }
}
