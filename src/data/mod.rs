//! Labelled images on the host: the bundled MNIST ([`mnist`]) and any set in the IDX format ([`idx`]).

use std::fmt;

pub mod idx;
pub mod mnist;

/// A labelled set of images of one size.
#[derive(Clone, PartialEq)]
pub struct Dataset {
    /// What the set is called in reports, for example `MNIST train`.
    pub name: String,
    /// `[rows, height, width, channels]`, row-major; 0 to 255.
    pub images: Vec<u8>,
    /// `[rows]`: the class each image shows. Labels need not start at zero, nor be without gaps.
    pub labels: Vec<u32>,
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

    /// One image, `[height, width, channels]`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn image(&self, row: usize) -> &[u8] {
        &self.images[row * self.pixels()..][..self.pixels()]
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
}
