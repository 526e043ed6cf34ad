//! A set divided for a run: what is trained on, what watches, what is evaluated.

use rayon::prelude::*;

use super::origin::lot;
use super::{Dataset, Origin, Split};
use crate::error::{Error, Result};

/// Which training images are held back to watch a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldBack {
    /// So many; copies of the last of them too.
    Images(usize),
    /// Those that [`Parts::bound`] had held back: of a set that has grown since, none that was trained on.
    Below(u64),
}

/// A data set as a run uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What the network learns from.
    pub train: Dataset,
    /// Images held back from the training set to watch the run.
    pub validation: Option<Dataset>,
    /// What divides them from the others, for [`HoldBack::Below`].
    pub bound: Option<u64>,
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
    /// Divides the set for a run: `train_classes`, as [`Dataset::labels_named`] has them, are trained on and the others
    /// evaluated (`None`: all both), and some images are held back from what is trained on: those with the smallest
    /// hashes of `seed` and the names of their class and file, or of their pixels where they have none.
    ///
    /// # Errors
    /// [`Error::Config`] where a class does not occur, fewer than two are left for the evaluation, or no image is held
    /// back or left to train on.
    pub fn divide(self, train_classes: Option<&[String]>, hold_back: Option<HoldBack>, seed: u64) -> Result<Parts> {
        let all = &self.train;
        let mut rows: Vec<usize> = (0..all.len()).collect();
        let mut others = None;
        if let Some(classes) = train_classes {
            let labels = all.labels_named("--train-classes", classes)?;
            let is_chosen = |set: &Dataset, row: usize| labels.contains(&set.labels[row]);
            let rest = |set: &Dataset| {
                let rows: Vec<usize> = (0..set.len()).filter(|&row| !is_chosen(set, row)).collect();
                set.subset(format!("{}, other classes", set.name), &rows)
            };
            let (train, test) = (rest(all), rest(&self.test));
            if test.label_count() < 2 {
                return Err(Error::config("--train-classes", "fewer than 2 classes are left to evaluate"));
            }
            rows.retain(|&row| is_chosen(all, row));
            others = Some((train, test));
        }
        let name = if others.is_some() { format!("{}, chosen classes", all.name) } else { all.name.clone() };
        let (train, validation, bound) = match hold_back {
            None => (all.subset(name, &rows), None, None),
            Some(hold_back) => {
                let (bound, held, kept) = self.hold_back(rows, hold_back, seed)?;
                let validation = all.subset(format!("{name}, validation"), &held);
                (all.subset(format!("{name}, without validation"), &kept), Some(validation), Some(bound))
            }
        };
        let evaluation = match others {
            None => Split { train: train.clone(), ..self },
            Some((train, test)) => Split { train, test, ..self },
        };
        Ok(Parts { train, validation, bound, evaluation })
    }

    /// The largest lot of training images that are held back, those images, and the others of `rows`.
    fn hold_back(&self, rows: Vec<usize>, hold_back: HoldBack, seed: u64) -> Result<(u64, Vec<usize>, Vec<usize>)> {
        let seed = seed.to_le_bytes();
        let lot = |row: usize| {
            let known_by = self.names.get(row).map_or(self.train.image(row), |name| name.as_bytes());
            lot([b"validation\0".as_slice(), &seed, known_by])
        };
        let lots: Vec<u64> = rows.par_iter().map(|&row| lot(row)).collect();
        let bound = match hold_back {
            HoldBack::Below(bound) => bound,
            HoldBack::Images(0) => return Err(Error::config("--validation", "0 images cannot watch a run")),
            HoldBack::Images(images) => {
                let mut sorted = lots.clone();
                sorted.sort_unstable();
                sorted.get(images - 1).copied().unwrap_or(u64::MAX)
            }
        };
        let all = rows.len();
        let (held, kept): (Vec<_>, Vec<_>) = rows.into_iter().zip(lots).partition(|&(_, lot)| lot <= bound);
        if held.is_empty() || kept.is_empty() {
            let reason =
                format!("of {all} images {} would be held back and {} left to train on", held.len(), kept.len());
            return Err(Error::config("--validation", reason));
        }
        let rows = |chosen: Vec<(usize, u64)>| chosen.into_iter().map(|(row, _)| row).collect();
        Ok((bound, rows(held), rows(kept)))
    }
}
