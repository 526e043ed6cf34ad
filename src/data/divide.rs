//! A set divided: into what is trained on and what judges it where it does not say so itself, and for a run, with what
//! watches it held back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::origin::lot;
use super::{Dataset, Origin, Split};
use crate::error::{Error, Result};
use crate::settings::{Range, Setting, Text};

/// By what a folder that does not say which pictures judge is divided. Either way a picture stays on its side whatever
/// others come or go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitBy {
    /// One picture in five judges, of each class.
    #[default]
    Images,
    /// About this share of the identities, which are the classes, judge with all of their pictures; those of the others
    /// are trained on.
    Identities(f32),
}

impl SplitBy {
    /// A folder of more classes than this is one of identities, if nothing else is said.
    pub const MOST_CLASSES: usize = 50;
    /// What such a folder is divided by.
    pub const OF_IDENTITIES: SplitBy = SplitBy::Identities(SplitBy::SHARE);
    const SHARE: f32 = 0.25;
    /// One picture of so many judges.
    const ONE_IN: u64 = 5;

    /// What suits a folder of so many classes.
    pub fn suited(classes: usize) -> SplitBy {
        if classes > SplitBy::MOST_CLASSES { SplitBy::OF_IDENTITIES } else { SplitBy::Images }
    }

    /// Whether it is by images, as it was before there was a choice.
    pub fn is_images(&self) -> bool {
        *self == SplitBy::Images
    }

    /// Whether a picture judges, of a class and known by `name`, those of class and file. It follows from these alone:
    /// whatever rule looked at the others as well would move pictures from one side to the other when some come or go.
    pub fn judges(&self, class: &str, name: &str) -> bool {
        match self {
            SplitBy::Images => lot([b"test\0", name.as_bytes()]) < u64::MAX / SplitBy::ONE_IN,
            SplitBy::Identities(share) => {
                (lot([b"test identity\0", class.as_bytes()]) as f64) < f64::from(*share) * u64::MAX as f64
            }
        }
    }
}

impl fmt::Display for SplitBy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            SplitBy::Images => f.write_str("images"),
            SplitBy::Identities(share) => write!(f, "identities={share}"),
        }
    }
}

impl FromStr for SplitBy {
    type Err = Error;

    /// `images`, `identities` or `identities=0.25`.
    fn from_str(whole: &str) -> Result<SplitBy> {
        const IDENTITIES: Setting = Setting {
            name: "identities",
            default: SplitBy::SHARE,
            range: Range::Between(0.0, 1.0),
            about: "share of the identities that judge",
        };
        let text = Text::new("--split", whole);
        let share = text.settings("--split", &[IDENTITIES])?.given(IDENTITIES.name);
        match (&text.words[..], share) {
            (["images"], None) => Ok(SplitBy::Images),
            (["identities"], None) => Ok(SplitBy::OF_IDENTITIES),
            ([], Some(share)) => {
                IDENTITIES.range.check("--split identities", share)?;
                Ok(SplitBy::Identities(share))
            }
            _ => Err(text.fault(whole, "a set is divided by images, or by identities=0.25")),
        }
    }
}

/// Which training images are held back to watch a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldBack {
    /// So many; copies of the last of them too. Where no class that is trained on judges, the images of so many whole
    /// classes that they are at least as many, and two classes at least.
    Images(usize),
    /// Those that a bound had held back: of a set that has grown since, none that was trained on.
    Below(Bound),
}

/// What divides images held back from the others: lots drawn for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The largest lot that is held back.
    pub lot: u64,
    /// Whether classes drew it, and all images of one are held back or none.
    pub identities: bool,
}

/// A data set as a run uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What the network learns from.
    pub train: Dataset,
    /// Images held back from the training set to watch the run.
    pub validation: Option<Dataset>,
    /// What divides them from the others, for [`HoldBack::Below`].
    pub bound: Option<Bound>,
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
    /// hashes of `seed` and the names of their class and file, or of their pixels where they have none. Where no class
    /// of the training images is one of the test images, whole classes are held back, by hashes of `seed` and name:
    /// what watches a run is then as foreign to it as what judges it.
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

    /// Whether no class is on both sides.
    pub fn is_disjoint(&self) -> bool {
        let known: BTreeSet<u32> = self.train.labels.iter().copied().collect();
        !self.test.labels.iter().any(|label| known.contains(label))
    }

    /// What bounds the lots of training images that are held back, those images, and the others of `rows`.
    fn hold_back(&self, rows: Vec<usize>, hold_back: HoldBack, seed: u64) -> Result<(Bound, Vec<usize>, Vec<usize>)> {
        let identities = match hold_back {
            HoldBack::Below(bound) => bound.identities,
            HoldBack::Images(_) => self.is_disjoint(),
        };
        let seed = seed.to_le_bytes();
        let lots: Vec<u64> = if identities {
            let lot = |label: u32| lot([b"validation\0".as_slice(), &seed, self.train.label_name(label).as_bytes()]);
            let labels: BTreeSet<u32> = rows.iter().map(|&row| self.train.labels[row]).collect();
            let lots: BTreeMap<u32, u64> = labels.into_iter().map(|label| (label, lot(label))).collect();
            rows.iter().map(|&row| lots[&self.train.labels[row]]).collect()
        } else {
            let lot = |row: usize| {
                let known_by = match self.names[0].get(row) {
                    Some(name) => Cow::Borrowed(name.as_bytes()),
                    None => self.train.image(row)?,
                };
                Ok(lot([b"validation\0".as_slice(), &seed, &known_by]))
            };
            rows.par_iter().map(|&row| lot(row)).collect::<Result<_>>()?
        };
        let bound = match hold_back {
            HoldBack::Below(bound) => bound,
            HoldBack::Images(0) => return Err(Error::config("--validation", "0 images cannot watch a run")),
            HoldBack::Images(images) => {
                let mut sorted = lots.clone();
                sorted.sort_unstable();
                let mut lot = sorted.get(images - 1).copied().unwrap_or(u64::MAX);
                if identities && lot == sorted[0] {
                    // One identity makes no pairs of two.
                    lot = *sorted.iter().find(|&&other| other > lot).unwrap_or(&lot);
                }
                Bound { lot, identities }
            }
        };
        let all = rows.len();
        let (held, kept): (Vec<_>, Vec<_>) = rows.into_iter().zip(lots).partition(|&(_, lot)| lot <= bound.lot);
        if held.is_empty() || kept.is_empty() {
            let reason =
                format!("of {all} images {} would be held back and {} left to train on", held.len(), kept.len());
            return Err(Error::config("--validation", reason));
        }
        let rows = |chosen: Vec<(usize, u64)>| chosen.into_iter().map(|(row, _)| row).collect();
        Ok((bound, rows(held), rows(kept)))
    }
}
