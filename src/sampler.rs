//! Which images go into a step's batch, as a pure function of (seed, step): a run that is resumed draws what it would
//! have drawn, and no sampler state is saved.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Which images may be the positive of a triplet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positive {
    /// Any image of the anchor's label, the anchor itself included. Such a triplet has a positive distance of zero.
    Any,
    /// Any other image of the anchor's label; the anchor itself only where its label has no other image.
    Other,
}

/// Random triplets: anchors uniform over all images, the positive uniform over the images of the anchor's label (see
/// [`Positive`]), the negative uniform over the images of all other labels.
pub struct Triplets {
    /// All rows, those of one label side by side.
    by_label: Vec<u32>,
    /// Where each label that occurs begins in `by_label`, ascending; the first is 0.
    starts: Vec<usize>,
    positive: Positive,
    seed: u64,
}

impl Triplets {
    /// A sampler of the rows of `labels`, whose batches all follow from `seed`.
    ///
    /// # Errors
    /// [`Error::Config`] if fewer than two labels occur, so that there would be no negatives, or if the rows cannot be
    /// counted in a u32.
    pub fn new(labels: &[u32], seed: u64, positive: Positive) -> Result<Self> {
        let label_of = |row: &u32| labels[*row as usize];
        let rows = u32::try_from(labels.len())
            .map_err(|_| Error::config("data", format!("{} images are more than a u32 can count", labels.len())))?;
        let mut by_label: Vec<u32> = (0..rows).collect();
        by_label.sort_by_key(label_of);
        let starts: Vec<usize> = by_label
            .chunk_by(|a, b| label_of(a) == label_of(b))
            .scan(0, |end, rows| {
                let start = *end;
                *end += rows.len();
                Some(start)
            })
            .collect();
        if starts.len() < 2 {
            let found = starts.len();
            let reason =
                format!("the training set has {found} different labels in {rows} images; triplets need 2 or more");
            return Err(Error::config("data", reason));
        }
        Ok(Self { by_label, starts, positive, seed })
    }

    /// The batch of a step: the rows of the anchors, then those of the positives, then those of the negatives;
    /// `3 * triplets` entries. It does not depend on other steps, and a smaller batch is the beginning of a larger.
    pub fn batch(&self, step: u64, triplets: usize) -> Vec<u32> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(step);
        // Indices are drawn as u32: rand draws other numbers for a usize where that has 32 bits.
        let mut below = |end: usize| rng.random_range(0..end as u32) as usize;

        let mut rows = vec![0; 3 * triplets];
        let (anchors, rest) = rows.split_at_mut(triplets);
        let (positives, negatives) = rest.split_at_mut(triplets);
        for ((anchor_row, positive_row), negative_row) in anchors.iter_mut().zip(positives).zip(negatives) {
            let anchor = below(self.by_label.len());
            let label = self.label_around(anchor);
            let positive = match self.positive {
                Positive::Other if label.len() > 1 => skip(label.start + below(label.len() - 1), anchor..anchor + 1),
                Positive::Other => anchor,
                Positive::Any => label.start + below(label.len()),
            };
            let negative = skip(below(self.by_label.len() - label.len()), label);
            *anchor_row = self.by_label[anchor];
            *positive_row = self.by_label[positive];
            *negative_row = self.by_label[negative];
        }
        rows
    }

    /// The range of `by_label` that has the label at `index`.
    fn label_around(&self, index: usize) -> Range<usize> {
        let next = self.starts.partition_point(|&start| start <= index);
        self.starts[next - 1]..self.starts.get(next).copied().unwrap_or(self.by_label.len())
    }
}

/// Moves an index that was drawn as if `gap` were not there past it: a uniform draw without rejection.
fn skip(index: usize, gap: Range<usize>) -> usize {
    if index < gap.start { index } else { index + gap.len() }
}
