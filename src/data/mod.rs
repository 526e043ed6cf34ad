//! Labelled images on the host: the bundled MNIST ([`mnist`]), any set in the IDX format ([`idx`]), and folders of
//! pictures ([`folder`], [`search`], [`pictures`], [`decode`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::text::composed;
use pictures::Pictures;

pub mod decode;
mod divide;
pub mod folder;
pub mod idx;
pub mod lfw;
pub mod mnist;
mod origin;
pub mod pictures;
pub mod search;

pub use divide::{Bound, HoldBack, Parts, SplitBy};
pub use origin::Origin;
use origin::sha256;

/// A labelled set of images of one size.
#[derive(Clone, PartialEq)]
pub struct Dataset {
    /// What the set is called in reports, for example `MNIST train`.
    pub name: String,
    /// `[rows, height, width, channels]`, row-major; 0 to 255.
    pub images: Vec<u8>,
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
        self.images.truncate(n.saturating_mul(self.pixels()));
        self.labels.truncate(n);
        self
    }

    /// The images of `rows`, in that order, as a set of another name.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn subset(&self, name: String, rows: &[usize]) -> Dataset {
        let mut images = Vec::with_capacity(rows.len() * self.pixels());
        rows.iter().for_each(|&row| images.extend_from_slice(self.image(row)));
        Dataset {
            name,
            images,
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            label_names: self.label_names.clone(),
            ..*self
        }
    }

    /// SHA-256 of sizes, labels and pixels, as hexadecimal digits; whatever the set is called.
    pub fn digest(&self) -> String {
        let sizes = [self.len(), self.height, self.width, self.channels].map(|size| (size as u64).to_le_bytes());
        let labels: Vec<u8> = self.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        // In pieces, so that all processors hash.
        let pixels: Vec<String> = self.images.par_chunks(1 << 20).map(|piece| sha256([piece])).collect();
        sha256([sizes.as_flattened(), &labels].into_iter().chain(pixels.iter().map(String::as_bytes)))
    }

    /// One image, `[height, width, channels]`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn image(&self, row: usize) -> &[u8] {
        &self.images[row * self.pixels()..][..self.pixels()]
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
    /// What each training image is known by: the names of its class and file; empty where they are known by their
    /// pixels.
    pub names: Vec<String>,
    /// By what it was divided; by images too where the set says itself which images judge.
    pub by: SplitBy,
    /// What a user has to know of how it was read, a sentence each.
    pub remarks: Vec<String>,
}

/// Reads a data set from a folder of either kind: of pictures as [`folder`] has it, or of IDX files as [`idx`] has it,
/// which may lie in a folder `raw` or `gzip` inside, where downloads put them. `input` is the shape that pictures are
/// brought to, `by` what a folder of them is divided by that does not say which are for what; see [`folder::load`].
///
/// # Errors
/// [`Error::DataSet`] where the folder is not there or is neither; what [`folder::load`] and [`idx::load`] report.
pub fn load(dir: &Path, input: Option<[usize; 3]>, pictures: Pictures, by: Option<SplitBy>) -> Result<Split> {
    match idx::folder(dir)? {
        Some(dir) => Ok(idx::load(&dir)?.adapted(pictures)),
        None => folder::load(dir, input, pictures, by),
    }
}

impl Split {
    /// Two sets that are in memory, under the name of both.
    pub fn new(name: &str, train: Dataset, test: Dataset) -> Split {
        let digest = sha256([train.digest().as_bytes(), test.digest().as_bytes()]);
        let origin = Origin::new(name, None, &train, &test, digest);
        Split { train, test, origin, names: Vec::new(), by: SplitBy::Images, remarks: Vec::new() }
    }

    /// What a model wants done to pictures, done to images that are in memory and have the right size.
    pub fn adapted(mut self, pictures: Pictures) -> Split {
        if pictures.invert {
            let all = [&mut self.train, &mut self.test].into_iter().flat_map(|set| &mut set.images);
            all.for_each(|value| *value = 255 - *value);
        }
        self
    }
}
