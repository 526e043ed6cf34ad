//! Same or different: pairs, the ROC of their distances, and what is read off it.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::numpy::NumpyRng;
use super::{Embedded, share, squared_distance};
use crate::error::{Error, Result};

/// Pairs of rows to verify: do the two show the same label?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    /// Two different rows of one label.
    pub positive: Vec<(u32, u32)>,
    /// Two rows of different labels.
    pub negative: Vec<(u32, u32)>,
}

/// A seeded list of `count` positive and `count` negative pairs of rows of `labels`.
///
/// A positive pair is an anchor, uniform among the rows that have a partner, and a partner, uniform among the other
/// rows of its label; a negative pair is a uniform anchor and a partner uniform among the rows of other labels. The
/// list depends on nothing but the arguments, and is the one that NumPy's `default_rng(seed)` draws: positive anchors,
/// positive partners, negative anchors, negative partners, then all partners of the anchor's own label anew until there
/// is none. Any other implementation can therefore be measured on the same pairs.
///
/// # Errors
///
/// [`Error::Config`] if there are fewer than two labels, or if no label has two rows.
pub fn verification_pairs(labels: &[u32], count: usize, seed: u64) -> Result<Pairs> {
    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    // The place of each row among the rows of its label.
    let mut places: Vec<u32> = Vec::with_capacity(labels.len());
    for (row, &label) in (0..).zip(labels) {
        let rows = members.entry(label).or_default();
        places.push(rows.len() as u32);
        rows.push(row);
    }
    if members.len() < 2 {
        let reason = format!("negative pairs need two labels, the images have {}", members.len());
        return Err(Error::config("verification pairs", reason));
    }
    let peers: Vec<&[u32]> = labels.iter().map(|label| members[label].as_slice()).collect();
    let anchors: Vec<u32> = (0..).zip(&peers).filter(|(_, rows)| rows.len() > 1).map(|(row, _)| row).collect();
    if anchors.is_empty() {
        return Err(Error::config("verification pairs", "positive pairs need two images of one label, none has two"));
    }

    let mut rng = NumpyRng::new(seed);
    let mut draw = |rows: usize| rng.below(u32::try_from(rows).expect("rows are counted in 32 bits"));
    let positive: Vec<u32> = (0..count).map(|_| anchors[draw(anchors.len()) as usize]).collect();
    let positive = positive
        .into_iter()
        .map(|anchor| {
            let (rows, place) = (peers[anchor as usize], places[anchor as usize]);
            let other = draw(rows.len() - 1);
            // Skips the anchor itself: the places from its own on move up by one.
            (anchor, rows[(other + u32::from(other >= place)) as usize])
        })
        .collect();

    let negative: Vec<u32> = (0..count).map(|_| draw(labels.len())).collect();
    let mut negative: Vec<(u32, u32)> = negative.into_iter().map(|anchor| (anchor, draw(labels.len()))).collect();
    let same = |&(a, b): &(u32, u32)| labels[a as usize] == labels[b as usize];
    let mut redraw: Vec<usize> = (0..count).filter(|&at| same(&negative[at])).collect();
    while !redraw.is_empty() {
        redraw.iter().for_each(|&at| negative[at].1 = draw(labels.len()));
        redraw.retain(|&at| same(&negative[at]));
    }
    Ok(Pairs { positive, negative })
}

/// A rate, and the distance threshold at which it is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatingPoint {
    /// A share of the pairs.
    pub rate: f64,
    /// In the unit of the distances: for [`verification`], squared Euclidean distance.
    pub threshold: f64,
}

/// The outcome of [`verification`].
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// Area under the ROC; see [`Roc::auc`].
    pub auc: f64,
    /// Equal error rate; see [`Roc::equal_error`].
    pub eer: OperatingPoint,
    /// TAR at FAR 0.01, if there are the 100 negative pairs it takes; see [`Roc::tar_at_far`].
    pub tar_far_1e2: Option<OperatingPoint>,
    /// TAR at FAR 0.001.
    pub tar_far_1e3: Option<OperatingPoint>,
    /// TAR at FAR 0.0001.
    pub tar_far_1e4: Option<OperatingPoint>,
    /// 95 % intervals of all these.
    pub intervals: Intervals,
    /// Accuracy of telling same from different over ten folds, as LFW has it (Huang et al. 2007).
    pub accuracy: FoldedAccuracy,
    /// What all these are read off.
    pub roc: Roc,
}

/// Bounds between which a figure lies in 95 % of the replicas of a bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

impl Interval {
    /// Of these values, in any order.
    pub(super) fn of(mut values: Vec<f64>) -> Interval {
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        Interval { low: at(0.025), high: at(0.975) }
    }
}

/// 95 % intervals by percentile bootstrap (Efron & Tibshirani 1993, chapter 13); see [`Roc::bootstrap`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// Of [`Roc::auc`].
    pub auc: Interval,
    /// Of [`Roc::equal_error`].
    pub eer: Interval,
    /// Of TAR at FAR 0.01.
    pub tar_far_1e2: Option<Interval>,
    /// Of TAR at FAR 0.001.
    pub tar_far_1e3: Option<Interval>,
    /// Of TAR at FAR 0.0001.
    pub tar_far_1e4: Option<Interval>,
}

/// An accuracy over folds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoldedAccuracy {
    /// Mean over the folds.
    pub mean: f64,
    /// Standard error of that mean.
    pub error: f64,
}

/// Replicas of a bootstrap.
const REPLICAS: u64 = 1000;
/// Folds of an accuracy, as LFW has them.
const FOLDS: usize = 10;

/// How well squared Euclidean distance tells the positive pairs of `e` from the negative ones.
///
/// # Panics
///
/// If either list is empty, or if a distance is not a number: the embeddings must be finite.
pub fn verification(e: Embedded, pairs: &Pairs) -> Verification {
    let (positive, negative) = (distances(e, &pairs.positive), distances(e, &pairs.negative));
    let accuracy = folded_accuracy(&positive, &negative);
    let roc = Roc::new(positive, negative);
    Verification {
        auc: roc.auc(),
        eer: roc.equal_error(),
        tar_far_1e2: roc.tar_at_far(1e-2),
        tar_far_1e3: roc.tar_at_far(1e-3),
        tar_far_1e4: roc.tar_at_far(1e-4),
        intervals: roc.bootstrap(),
        accuracy,
        roc,
    }
}

/// The ROC of squared Euclidean distance on `pairs` of rows of `e`.
///
/// # Panics
///
/// As [`verification`].
pub fn roc(e: Embedded, pairs: &Pairs) -> Roc {
    Roc::new(distances(e, &pairs.positive), distances(e, &pairs.negative))
}

fn distances(e: Embedded, pairs: &[(u32, u32)]) -> Vec<f32> {
    pairs.iter().map(|&(a, b)| squared_distance(e.row(a), e.row(b))).collect()
}

/// The accuracy of telling same from different as LFW has it (Huang et al., *Labeled Faces in the Wild*, 2007): the
/// pairs are dealt in order into ten folds; the threshold that is best on nine judges the tenth. Of equally good
/// thresholds the smallest is taken. NaN with fewer than two whole folds.
pub fn folded_accuracy(positive: &[f32], negative: &[f32]) -> FoldedAccuracy {
    let parts = |distances: &[f32], fold: usize| {
        let bound = |fold: usize| fold * distances.len() / FOLDS;
        let (start, end) = (bound(fold), bound(fold + 1));
        ([&distances[..start], &distances[end..]].concat(), distances[start..end].to_vec())
    };
    let accuracies: Vec<f64> = (0..FOLDS)
        .into_par_iter()
        .filter_map(|fold| {
            let ((positive, held_positive), (negative, held_negative)) = (parts(positive, fold), parts(negative, fold));
            // Fewer pairs than folds leave some folds empty.
            let complete = [&positive, &held_positive, &negative, &held_negative].iter().all(|part| !part.is_empty());
            complete
                .then(|| Roc::new(held_positive, held_negative).accuracy(Roc::new(positive, negative).best_threshold()))
        })
        .collect();
    let folds = accuracies.len() as f64;
    let mean = accuracies.iter().sum::<f64>() / folds;
    let variance = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum::<f64>() / (folds - 1.0);
    FoldedAccuracy { mean, error: (variance / folds).sqrt() }
}

/// The receiver operating characteristic of a distance: a pair is accepted when its distance is at most a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Roc {
    positive: Vec<f32>,
    negative: Vec<f32>,
}

impl Roc {
    /// From the distances of the positive and of the negative pairs, in any order.
    ///
    /// # Panics
    ///
    /// If either is empty or holds a NaN.
    pub fn new(mut positive: Vec<f32>, mut negative: Vec<f32>) -> Roc {
        for distances in [&mut positive, &mut negative] {
            assert!(!distances.is_empty(), "an ROC needs positive and negative pairs");
            assert!(
                !distances.iter().any(|distance| distance.is_nan()),
                "a distance is NaN; embeddings must be finite"
            );
            distances.sort_unstable_by(f32::total_cmp);
        }
        Roc { positive, negative }
    }

    /// The curve: threshold, false and true accept rate at every distance that occurs, ascending.
    pub fn points(&self) -> Vec<(f32, f64, f64)> {
        let mut thresholds = [self.positive.as_slice(), &self.negative].concat();
        thresholds.sort_by(f32::total_cmp);
        thresholds.dedup();
        thresholds.into_iter().map(|threshold| (threshold, self.far(threshold), self.tar(threshold))).collect()
    }

    /// False accept rate: the share of negative pairs at or below `threshold`.
    pub fn far(&self, threshold: f32) -> f64 {
        share(self.negative.partition_point(|&distance| distance <= threshold), self.negative.len())
    }

    /// False reject rate: the share of positive pairs above `threshold`.
    pub fn frr(&self, threshold: f32) -> f64 {
        1.0 - self.tar(threshold)
    }

    /// True accept rate: the share of positive pairs at or below `threshold`.
    pub fn tar(&self, threshold: f32) -> f64 {
        share(self.positive.partition_point(|&distance| distance <= threshold), self.positive.len())
    }

    /// Area under the curve: the probability that a positive pair is nearer than a negative one, where equally near
    /// counts half.
    pub fn auc(&self) -> f64 {
        // Twice the number of wrongly ordered pairs of pairs, in integers so that ties count exactly.
        let (mut nearer, mut not_farther, mut wrong) = (0, 0, 0);
        for &positive in &self.positive {
            let more = |from: usize, counts: &dyn Fn(f32) -> bool| {
                from + self.negative[from..].iter().take_while(|&&negative| counts(negative)).count()
            };
            nearer = more(nearer, &|negative| negative < positive);
            not_farther = more(not_farther.max(nearer), &|negative| negative <= positive);
            wrong += nearer + not_farther;
        }
        1.0 - share(wrong, self.positive.len()) / (2 * self.negative.len()) as f64
    }

    /// Where false accept rate and false reject rate are equal. Between the two neighbouring distances that enclose the
    /// crossing, rate and threshold are interpolated linearly.
    pub fn equal_error(&self) -> OperatingPoint {
        let mut thresholds = [self.positive.as_slice(), &self.negative].concat();
        // Stable: it merges the two sorted runs in linear time.
        thresholds.sort_by(f32::total_cmp);
        thresholds.dedup();
        // At the largest distance all is accepted, so the crossing exists.
        let after = thresholds.partition_point(|&threshold| self.far(threshold) < self.frr(threshold));
        let at = |index: usize| {
            let threshold = thresholds[index];
            (f64::from(threshold), self.far(threshold), self.frr(threshold))
        };
        let (threshold, far, frr) = at(after);
        if after == 0 {
            return OperatingPoint { rate: (far + frr) / 2.0, threshold };
        }
        let (threshold_before, far_before, frr_before) = at(after - 1);
        let gap_before = frr_before - far_before;
        let weight = gap_before / (gap_before + (far - frr));
        OperatingPoint {
            rate: far_before + weight * (far - far_before),
            threshold: threshold_before + weight * (threshold - threshold_before),
        }
    }

    /// True accept rate at the false accept rate `far`: the share of positive pairs at or below the distance of the
    /// nearest negative pair number `far · negatives`, rounded down.
    ///
    /// `None` with fewer than `1 / far` negative pairs, where that pair does not exist. Negative pairs that tie with it
    /// are accepted too, so an embedding that maps all images to one point reads 1 here; its AUC and EER read 0.5.
    pub fn tar_at_far(&self, far: f64) -> Option<OperatingPoint> {
        let accepted = (far * self.negative.len() as f64) as usize;
        let threshold = *self.negative.get(accepted.checked_sub(1)?)?;
        Some(OperatingPoint { rate: self.tar(threshold), threshold: f64::from(threshold) })
    }

    /// The share of all pairs that a threshold tells rightly, positive and negative ones alike.
    pub fn accuracy(&self, threshold: f32) -> f64 {
        let (positives, negatives) = (self.positive.len() as f64, self.negative.len() as f64);
        (self.tar(threshold) * positives + (1.0 - self.far(threshold)) * negatives) / (positives + negatives)
    }

    /// The smallest threshold of the highest [`Roc::accuracy`].
    pub fn best_threshold(&self) -> f32 {
        // Rightly told pairs more than at a threshold that accepts none: accepted positives less accepted negatives.
        let (mut accepted, mut gain, mut best) = (0, 0i64, (0, f32::NEG_INFINITY));
        for (place, &threshold) in self.positive.iter().enumerate() {
            gain += 1;
            while self.negative.get(accepted).is_some_and(|&negative| negative <= threshold) {
                accepted += 1;
                gain -= 1;
            }
            // Equal positives are accepted together.
            let last = self.positive.get(place + 1) != Some(&threshold);
            if last && gain > best.0 {
                best = (gain, threshold);
            }
        }
        best.1
    }

    /// 95 % intervals of what a list of pairs like this one would show: 1,000 replicas, each with as many positive and
    /// negative pairs drawn from these with replacement, as seed 0 has it. Pairs that share an image are taken as
    /// independent, so that the intervals are a little too narrow.
    pub fn bootstrap(&self) -> Intervals {
        let figures: Vec<[Option<f64>; 5]> = (0..REPLICAS)
            .into_par_iter()
            .map(|replica| {
                let mut rng = NumpyRng::new(replica);
                let mut resampled = |sorted: &[f32]| {
                    let mut counts = vec![0u32; sorted.len()];
                    sorted.iter().for_each(|_| counts[rng.below(sorted.len() as u32) as usize] += 1);
                    let repeated = sorted.iter().zip(counts);
                    repeated.flat_map(|(&value, count)| (0..count).map(move |_| value)).collect::<Vec<_>>()
                };
                let roc = Roc { positive: resampled(&self.positive), negative: resampled(&self.negative) };
                let tar = |far| roc.tar_at_far(far).map(|point| point.rate);
                [Some(roc.auc()), Some(roc.equal_error().rate), tar(1e-2), tar(1e-3), tar(1e-4)]
            })
            .collect();
        let interval =
            |place: usize| figures.iter().map(|figures| figures[place]).collect::<Option<Vec<_>>>().map(Interval::of);
        Intervals {
            auc: interval(0).expect("every replica has one"),
            eer: interval(1).expect("every replica has one"),
            tar_far_1e2: interval(2),
            tar_far_1e3: interval(3),
            tar_far_1e4: interval(4),
        }
    }
}
