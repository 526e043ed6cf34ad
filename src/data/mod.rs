//! Labelled images on the host: the bundled MNIST ([`mnist`]), any set in the IDX format ([`idx`]), and folders of
//! pictures ([`folder`], [`pictures`], [`decode`]).

use std::fmt;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::error::{Error, Result};

pub mod decode;
pub mod folder;
pub mod idx;
pub mod mnist;
mod origin;
pub mod pictures;

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
        Dataset {
            name,
            images: rows.iter().flat_map(|&row| self.image(row)).copied().collect(),
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

    /// The images whose label is one of `labels`, and the others.
    fn by_label(&self, labels: &[u32]) -> (Dataset, Dataset) {
        let (chosen, others): (Vec<_>, Vec<_>) = (0..self.len()).partition(|&row| labels.contains(&self.labels[row]));
        let names = [format!("{}, chosen labels", self.name), format!("{}, other labels", self.name)];
        let [chosen_name, others_name] = names;
        (self.subset(chosen_name, &chosen), self.subset(others_name, &others))
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
}

/// A data set as a run uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What the network learns from.
    pub train: Dataset,
    /// Images held back from the training set to watch the run.
    pub validation: Option<Dataset>,
    /// The test images, and the training images that they are compared with.
    pub evaluation: Split,
}

impl Parts {
    /// Which set they are parts of.
    pub fn origin(&self) -> &Origin {
        &self.evaluation.origin
    }
}

impl Split {
    /// Two sets that are in memory, under the name of both.
    pub fn new(name: &str, train: Dataset, test: Dataset) -> Split {
        let digest = sha256([train.digest().as_bytes(), test.digest().as_bytes()]);
        let origin = Origin::new(name, None, &train, &test, digest);
        Split { train, test, origin }
    }

    /// Divides the set for a run: `train_labels` are trained on and the others evaluated (`None`: all both), and
    /// `validation` images, drawn at random as `seed` has it, are held back from what is trained on.
    ///
    /// # Errors
    /// [`Error::Config`] where a label does not occur, fewer than two are left for the evaluation, or no image is left
    /// to train on.
    pub fn divide(self, train_labels: Option<&[u32]>, validation: Option<usize>, seed: u64) -> Result<Parts> {
        let (mut train, evaluation) = match train_labels {
            None => (self.train.clone(), self),
            Some(labels) => {
                let fault = |reason: String| Err(Error::config("--train-classes", reason));
                let known = self.train.rows_by_label();
                let occurs = |label: u32| known.get(label as usize).is_some_and(|rows| !rows.is_empty());
                if let Some(missing) = labels.iter().find(|&&label| !occurs(label)) {
                    return fault(format!("{} has no image with label {missing}", self.train.name));
                }
                let (train, reference) = self.train.by_label(labels);
                let (_, test) = self.test.by_label(labels);
                if test.rows_by_label().iter().filter(|rows| !rows.is_empty()).count() < 2 {
                    return fault("fewer than 2 labels are left to evaluate".to_owned());
                }
                (train, Split { train: reference, test, origin: self.origin })
            }
        };
        let Some(images) = validation else { return Ok(Parts { train, validation: None, evaluation }) };
        if images >= train.len() {
            let reason = format!("{images} images held back leave none of {} to train on", train.len());
            return Err(Error::config("--validation", reason));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // The sampler has the streams below 2⁶² and above 2⁶³.
        rng.set_stream(1 << 62);
        let mut held = index::sample(&mut rng, train.len(), images).into_vec();
        held.sort_unstable();
        let kept: Vec<usize> = (0..train.len()).filter(|row| held.binary_search(row).is_err()).collect();
        let validation = train.subset(format!("{}, validation", train.name), &held);
        train = train.subset(format!("{}, without validation", train.name), &kept);
        let evaluation = match train_labels {
            None => Split { train: train.clone(), ..evaluation },
            Some(_) => evaluation,
        };
        Ok(Parts { train, validation: Some(validation), evaluation })
    }
}
