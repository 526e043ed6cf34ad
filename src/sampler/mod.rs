//! Which images go into a step's batch and how they are changed on the way, as a pure function of (seed, step): a run
//! that is resumed draws what it would have drawn, and no sampler state is saved.

mod augment;

use std::fmt;
use std::ops::Range;

use rand::seq::index;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use augment::{Augment, Warps};

use crate::error::{Error, Result};

/// Which images may be the positive of a random triplet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positive {
    /// Any image of the anchor's label, the anchor itself included. Such a triplet has a positive distance of zero.
    Any,
    /// Any other image of the anchor's label; the anchor itself only where its label has no other image.
    Other,
}

/// Which triplets of a batch count, found on the device by the embeddings of the very step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mining {
    /// Every pair of anchor and positive with every negative that is farther than the positive, but not by the margin
    /// (FaceNet, section 3.2). A pair without such a negative does not count. With a soft margin: every farther one.
    SemiHard,
    /// Each anchor with its farthest positive and its nearest negative (Hermans, Beyer & Leibe 2017, equation 5).
    BatchHard,
    /// Every triplet of the batch, averaged over those that cost anything (the same, equation 7).
    BatchAll,
}

/// What a step's batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Batch {
    /// Triplets drawn at random: anchors uniform over all images, the positive uniform over the images of the anchor's
    /// label, the negative uniform over the images of all other labels.
    Random {
        /// Triplets, three rows each.
        triplets: usize,
        /// Which images may be positives.
        positive: Positive,
    },
    /// P labels drawn at random with K images of each (P×K).
    Mined {
        /// P, the labels of a batch.
        labels: usize,
        /// K, the images of each. Of a label with fewer, images repeat.
        images: usize,
        /// Which of its triplets the [triplet loss](crate::losses::Triplet) is about. It does not change what is drawn,
        /// and stands here because it does in checkpoints.
        mining: Mining,
    },
}

impl Batch {
    /// Rows: the images of a step, for sizes that are [valid](Batch::validate).
    pub fn rows(&self) -> usize {
        match *self {
            Batch::Random { triplets, .. } => 3 * triplets,
            Batch::Mined { labels, images, .. } => labels * images,
        }
    }

    /// Rows that are anchors.
    pub fn anchors(&self) -> usize {
        match *self {
            Batch::Random { triplets, .. } => triplets,
            Batch::Mined { .. } => self.rows(),
        }
    }

    /// The batch for a set of `available` labels that have some `each` images: of no more labels than there are, with
    /// no more images of each than it has. It has about as many rows, where the set has them.
    pub fn fit(self, available: usize, each: usize) -> Batch {
        match self {
            Batch::Mined { labels, images, mining } if available > 0 => {
                let rows = labels * images;
                // Without a second image there is no positive, but for what augmentation makes of the first.
                let most = each.max(2);
                let labels = rows.div_ceil(images.min(most)).min(available);
                Batch::Mined { labels, images: rows.div_ceil(labels).min(most), mining }
            }
            other => other,
        }
    }

    /// The same for so many equal [shares](crate::config::Config::shares): of fewer labels or triplets where it cannot
    /// be cut as it is, if it can then.
    pub fn cut(self, shares: usize) -> Batch {
        let fewer = |count: usize, rows_of: usize| {
            (2..=count).rev().find(|count| (count * rows_of).is_multiple_of(shares.max(1))).unwrap_or(count)
        };
        match self {
            Batch::Random { triplets, positive } => Batch::Random { triplets: fewer(triplets, 3), positive },
            Batch::Mined { labels, images, mining } => Batch::Mined { labels: fewer(labels, images), images, mining },
        }
    }

    /// About half of it, with two labels and two images of each at least; `None` where it is as small as that.
    pub fn halved(self) -> Option<Batch> {
        let half = |count: usize| (count / 2).max(2);
        match self {
            Batch::Random { triplets, positive } => {
                (triplets > 1).then_some(Batch::Random { triplets: triplets / 2, positive })
            }
            Batch::Mined { labels, images, mining } if labels > 2 => {
                Some(Batch::Mined { labels: half(labels), images, mining })
            }
            Batch::Mined { labels, images, mining } => {
                (images > 2).then_some(Batch::Mined { labels, images: half(images), mining })
            }
        }
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// [`Error::Config`] with the size and its range.
    pub fn validate(&self) -> Result<()> {
        const MOST: usize = 1 << 20;
        let (count, what) = match *self {
            Batch::Random { triplets, .. } => (Some(triplets), "triplets"),
            Batch::Mined { labels, images, .. } => (labels.checked_mul(images), "images"),
        };
        if count.is_some_and(|count| (1..=MOST).contains(&count)) {
            return Ok(());
        }
        Err(Error::config("--batch", format!("{self} {what} are not from 1 to {MOST}")))
    }
}

/// As the option `--batch` has it.
impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Batch::Random { triplets, .. } => write!(f, "{triplets}"),
            Batch::Mined { labels, images, .. } => write!(f, "{labels}x{images}"),
        }
    }
}

/// Draws the batches of one data set.
pub struct Sampler {
    /// All rows, those of one label side by side.
    by_label: Vec<u32>,
    /// Where each label that occurs begins in `by_label`, ascending; the first is 0.
    starts: Vec<usize>,
    /// The class of each row: the place of its label in `starts`.
    classes: Vec<u32>,
    batch: Batch,
    seed: u64,
}

impl Sampler {
    /// A sampler of the rows of `labels`, whose batches all follow from `seed`.
    ///
    /// # Errors
    /// [`Error::Config`] if fewer than two labels occur, so that there would be no negatives, if a batch wants more
    /// labels than occur, or if the rows cannot be counted in a u32.
    pub fn new(labels: &[u32], seed: u64, batch: Batch) -> Result<Self> {
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
        let found = starts.len();
        if found < 2 {
            let reason =
                format!("the training set has {found} different labels in {rows} images; every loss needs 2 or more");
            return Err(Error::config("data", reason));
        }
        if let Batch::Mined { labels, .. } = batch
            && labels > found
        {
            let reason = format!("{batch} takes {labels} labels, the training set has {found}");
            return Err(Error::config("--batch", reason));
        }
        let mut classes = vec![0; labels.len()];
        for (place, &row) in by_label.iter().enumerate() {
            classes[row as usize] = (starts.partition_point(|&start| start <= place) - 1) as u32;
        }
        Ok(Self { by_label, starts, classes, batch, seed })
    }

    /// The number of images that are drawn from.
    pub fn images(&self) -> usize {
        self.classes.len()
    }

    /// The images of a step's batch by row number: for random triplets all anchors, then the positives, then the
    /// negatives; for a P×K batch K of one label, K of the next, and so on. It does not depend on other steps, and a
    /// smaller number of random triplets is the beginning of a larger.
    pub fn batch(&self, step: u64) -> Vec<u32> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(step);
        match self.batch {
            Batch::Random { triplets, positive } => self.triplets(rng, triplets, positive),
            Batch::Mined { labels, images, .. } => {
                let drawn = index::sample(&mut rng, self.starts.len(), labels);
                drawn.iter().flat_map(|label| self.of_label(&mut rng, label, images)).collect()
            }
        }
    }

    fn triplets(&self, mut rng: ChaCha8Rng, triplets: usize, positive: Positive) -> Vec<u32> {
        // Indices are drawn as u32: rand draws other numbers for a usize where that has 32 bits.
        let mut below = |end: usize| rng.random_range(0..end as u32) as usize;

        let mut rows = vec![0; 3 * triplets];
        let (anchors, rest) = rows.split_at_mut(triplets);
        let (positives, negatives) = rest.split_at_mut(triplets);
        for ((anchor_row, positive_row), negative_row) in anchors.iter_mut().zip(positives).zip(negatives) {
            let anchor = below(self.by_label.len());
            let label = self.range(self.starts.partition_point(|&start| start <= anchor) - 1);
            let positive = match positive {
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

    /// `count` rows of a label: different ones while there are any, then all of them anew.
    fn of_label(&self, rng: &mut ChaCha8Rng, label: usize, count: usize) -> Vec<u32> {
        let own = &self.by_label[self.range(label)];
        let mut rows = Vec::with_capacity(count);
        while rows.len() < count {
            let wanted = own.len().min(count - rows.len());
            rows.extend(index::sample(rng, own.len(), wanted).iter().map(|place| own[place]));
        }
        rows
    }

    /// The classes of rows: the labels that occur are numbered in their order, from 0 and without gaps.
    pub fn classes(&self, rows: &[u32]) -> Vec<u32> {
        rows.iter().map(|&row| self.classes[row as usize]).collect()
    }

    /// The range of `by_label` that has the label number `label` of those that occur.
    fn range(&self, label: usize) -> Range<usize> {
        self.starts[label]..self.starts.get(label + 1).copied().unwrap_or(self.by_label.len())
    }

    /// How the images of a step's batch, of so many rows and columns, are changed.
    pub fn warps(&self, step: u64, augment: &Augment, sides: [usize; 2]) -> Warps {
        augment.draw(self.seed, step, self.batch.rows(), sides)
    }
}

/// Moves an index that was drawn as if `gap` were not there past it: a uniform draw without rejection.
fn skip(index: usize, gap: Range<usize>) -> usize {
    if index < gap.start { index } else { index + gap.len() }
}
