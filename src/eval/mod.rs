//! How good an embedding is: nearest-neighbour, centroid and one-shot accuracy, retrieval (recall at K, R-precision,
//! MAP@R), and verification (AUC, EER, TAR at FAR, accuracy) on a seeded list of pairs. Pure functions of embeddings
//! and labels: no device, no printing.
//!
//! Every share lies between 0 and 1. Distances are Euclidean; only their squares are computed, and only their order
//! matters, except where a threshold is named: then its unit is stated. `tests/eval.rs` compares every figure and the
//! pair list with a NumPy script, `tests/golden/eval.py`, and retrieval with pytorch-metric-learning,
//! `tests/golden/retrieval.py`.

mod clustering;
mod numpy;
mod retrieval;
mod verification;

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use serde::Serialize;

use numpy::NumpyRng;

pub use clustering::{Agreement, agreement};
pub use retrieval::{Retrieval, map_at_r, retrieval};
pub use verification::{
    Calibrated, FARS, FoldAccuracy, Intervals, Judged, OperatingPoint, Pairs, REPLICA_SEED, REPLICAS, Roc,
    Verification, judge, threshold_at_far, verification, verification_accuracy, verification_pairs,
};

/// Embeddings with their labels.
#[derive(Clone, Copy, Debug)]
pub struct Embedded<'a> {
    /// Row-major `[rows, dims]`.
    pub values: &'a [f32],
    /// The length of one embedding.
    pub dims: usize,
    /// `[rows]`
    pub labels: &'a [u32],
}

impl<'a> Embedded<'a> {
    /// The embeddings, one after the other.
    ///
    /// # Panics
    ///
    /// If `values` is not `[labels.len(), dims]`.
    pub fn rows(&self) -> std::slice::ChunksExact<'a, f32> {
        assert_eq!(self.values.len(), self.labels.len() * self.dims, "embeddings are [labels, dims]");
        self.values.chunks_exact(self.dims)
    }

    /// The embedding at `row`.
    pub fn row(&self, row: u32) -> &'a [f32] {
        let start = row as usize * self.dims;
        &self.values[start..start + self.dims]
    }
}

/// The figures of one embedding space, as they appear in reports and JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Accuracy of a majority vote of the five nearest references; see [`knn_accuracy`].
    pub knn5: f64,
    /// Accuracy of the nearest class mean; see [`centroid_accuracy`].
    pub centroid: f64,
    /// Accuracy of the nearest of one gallery image a label; see [`one_shot`].
    pub one_shot: f64,
    /// The same over [`GALLERIES`] random galleries, seed [`GALLERY_SEED`]; see [`one_shot_galleries`].
    pub one_shot_galleries: OneShotSpread,
    /// The gallery that `one_shot` and `thresholds` used: query rows, the first of each label.
    pub gallery: Vec<u32>,
    /// Recognition that may answer "unknown", at each threshold asked for.
    pub thresholds: Vec<Threshold>,
    /// See [`Retrieval::recall_at_1`]; this and the following are retrieval of the queries within themselves.
    pub recall_at_1: f64,
    /// See [`Retrieval::recall_at_2`].
    pub recall_at_2: f64,
    /// See [`Retrieval::recall_at_4`].
    pub recall_at_4: f64,
    /// See [`Retrieval::recall_at_8`].
    pub recall_at_8: f64,
    /// See [`Retrieval::r_precision`].
    pub r_precision: f64,
    /// See [`Retrieval::map_at_r`].
    pub map_at_r: f64,
    /// Area under the ROC; see [`Roc::auc`].
    pub auc: f64,
    /// Its 95 % interval; for this and the following see [`Roc::bootstrap`].
    pub auc_interval: Interval,
    /// Equal error rate; see [`Roc::equal_error`].
    pub eer: f64,
    /// Its 95 % interval.
    pub eer_interval: Interval,
    /// The squared distance at which it is reached.
    pub eer_threshold: f64,
    /// TAR at FAR 0.01; `None` with fewer than 100 negative pairs. See [`Roc::tar_at_far`].
    pub tar_far_1e2: Option<f64>,
    /// Its 95 % interval.
    pub tar_far_1e2_interval: Option<Interval>,
    /// TAR at FAR 0.001; `None` with fewer than 1,000 negative pairs. See [`Roc::tar_at_far`].
    pub tar_far_1e3: Option<f64>,
    /// Its 95 % interval.
    pub tar_far_1e3_interval: Option<Interval>,
    /// The squared distance at which it is reached.
    pub tar_far_1e3_threshold: Option<f64>,
    /// TAR at FAR 0.0001; `None` with fewer than 10,000 negative pairs. See [`Roc::tar_at_far`].
    pub tar_far_1e4: Option<f64>,
    /// Its 95 % interval.
    pub tar_far_1e4_interval: Option<Interval>,
    /// The share of pairs told apart rightly, over ten folds; `None` with fewer than ten positive or negative pairs.
    /// See [`verification_accuracy`].
    pub verification_accuracy: Option<f64>,
    /// The standard error of that mean.
    pub verification_accuracy_error: Option<f64>,
    /// The verdict at a threshold chosen on other images. [`evaluate`] has none to choose it on and leaves `None`.
    pub calibrated: Option<Calibrated>,
    /// The curve that the verification figures are read off; too long for a line of JSON.
    #[serde(skip)]
    pub roc: Roc,
    /// How many positive pairs the verification figures rest on.
    pub positive_pairs: usize,
    /// How many negative pairs the verification figures rest on.
    pub negative_pairs: usize,
}

/// A range around a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The 2.5 percentile.
    pub low: f64,
    /// The 97.5 percentile.
    pub high: f64,
}

impl Interval {
    /// The range of the middle 95 % of `values`, linear between neighbouring ones, as NumPy's `percentile`.
    fn of(mut values: Vec<f64>) -> Interval {
        values.sort_unstable_by(f64::total_cmp);
        let percentile = |part: f64| {
            let place = part * (values.len() - 1) as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + place.fract() * (above - below)
        };
        Interval { low: percentile(0.025), high: percentile(0.975) }
    }
}

/// Random galleries of an [`Evaluation`].
pub const GALLERIES: usize = 1000;
/// Their seed.
pub const GALLERY_SEED: u64 = 0;
/// Folds of the verification accuracy of an [`Evaluation`], as many as LFW has.
pub const FOLDS: usize = 10;

/// Every figure of `query` against `reference`.
///
/// `neighbours` is `[queries, k]`, the rows of `reference` nearest to each query, nearest first; the vote is taken of
/// the first five. The gallery of the one-shot figures is the first query row of each label, `thresholds` are those of
/// [`one_shot`], and `pairs` are rows of `query` (see [`verification_pairs`]).
///
/// # Panics
///
/// If `k` is less than five, if lengths disagree, if an embedding of `query` is not finite, or if no label has two
/// queries.
pub fn evaluate(
    reference: Embedded,
    query: Embedded,
    neighbours: &[u32],
    k: usize,
    thresholds: &[f64],
    pairs: &Pairs,
) -> Evaluation {
    const VOTES: usize = 5;
    assert!(k >= VOTES, "the vote needs {VOTES} neighbours a query, not {k}");
    let nearest: Vec<u32> = neighbours.chunks_exact(k).flat_map(|row| &row[..VOTES]).copied().collect();
    let OneShot { accuracy, gallery, thresholds } = one_shot(query, &first_of_each_label(query.labels), thresholds);
    let Retrieval { recall_at_1, recall_at_2, recall_at_4, recall_at_8, r_precision, map_at_r } = retrieval(query);
    let Verification { auc, eer, tar_far_1e2, tar_far_1e3, tar_far_1e4, intervals } = verification(query, pairs);
    let folds = verification_accuracy(query, pairs, FOLDS);
    Evaluation {
        knn5: knn_accuracy(&nearest, VOTES, reference.labels, query.labels),
        centroid: centroid_accuracy(reference, query),
        one_shot: accuracy,
        one_shot_galleries: one_shot_galleries(query, GALLERIES, GALLERY_SEED),
        gallery,
        thresholds,
        recall_at_1,
        recall_at_2,
        recall_at_4,
        recall_at_8,
        r_precision,
        map_at_r,
        auc,
        auc_interval: intervals.auc,
        eer: eer.rate,
        eer_interval: intervals.eer,
        eer_threshold: eer.threshold,
        tar_far_1e2: tar_far_1e2.map(|point| point.rate),
        tar_far_1e2_interval: intervals.tar_far_1e2,
        tar_far_1e3: tar_far_1e3.map(|point| point.rate),
        tar_far_1e3_interval: intervals.tar_far_1e3,
        tar_far_1e3_threshold: tar_far_1e3.map(|point| point.threshold),
        tar_far_1e4: tar_far_1e4.map(|point| point.rate),
        tar_far_1e4_interval: intervals.tar_far_1e4,
        verification_accuracy: folds.map(|folds| folds.mean),
        verification_accuracy_error: folds.map(|folds| folds.error),
        calibrated: None,
        roc: Roc::of(query, pairs),
        positive_pairs: pairs.positive.len(),
        negative_pairs: pairs.negative.len(),
    }
}

/// The label that wins the vote of the `k` nearest references of each query.
///
/// `neighbours` is `[queries, k]`, indices into `reference_labels`, nearest first. The majority wins; a tie goes to the
/// tied label with the smallest sum of ranks, and a tie in that as well to the smallest label.
///
/// # Panics
///
/// If `k` is zero.
pub fn knn_labels(neighbours: &[u32], k: usize, reference_labels: &[u32]) -> Vec<u32> {
    let winner = |row: &[u32]| vote(row.iter().map(|&at| reference_labels[at as usize])).expect("a neighbour");
    neighbours.chunks_exact(k).map(winner).collect()
}

/// The share of queries whose label wins the vote of their `k` nearest references; see [`knn_labels`].
///
/// # Panics
///
/// If `neighbours` is not `[query_labels.len(), k]`, or there is no query.
pub fn knn_accuracy(neighbours: &[u32], k: usize, reference_labels: &[u32], query_labels: &[u32]) -> f64 {
    assert_eq!(neighbours.len(), query_labels.len() * k, "neighbours are [queries, k]");
    let answers = knn_labels(neighbours, k, reference_labels);
    share(answers.iter().zip(query_labels).filter(|(answer, label)| answer == label).count(), query_labels.len())
}

/// The winner among `labels`, which come nearest first.
fn vote(labels: impl Iterator<Item = u32>) -> Option<u32> {
    // (label, votes, sum of ranks): k is small, so a scan beats a map.
    let mut tally: Vec<(u32, usize, usize)> = Vec::new();
    for (rank, label) in labels.enumerate() {
        match tally.iter_mut().find(|entry| entry.0 == label) {
            Some((_, votes, ranks)) => {
                *votes += 1;
                *ranks += rank;
            }
            None => tally.push((label, 1, rank)),
        }
    }
    tally.into_iter().min_by_key(|&(label, votes, ranks)| (usize::MAX - votes, ranks, label)).map(|entry| entry.0)
}

/// The share of queries that lie nearest to the mean of their own label's references.
///
/// The means are plain ones, not brought back to unit length. A tie goes to the smaller label; a query whose label no
/// reference has counts as wrong.
///
/// # Panics
///
/// If there is no reference or no query, or the two differ in `dims`.
pub fn centroid_accuracy(reference: Embedded, query: Embedded) -> f64 {
    assert_eq!(reference.dims, query.dims, "references and queries have one length");
    let mut sums: BTreeMap<u32, (Vec<f64>, usize)> = BTreeMap::new();
    for (row, &label) in reference.rows().zip(reference.labels) {
        let (sum, count) = sums.entry(label).or_insert_with(|| (vec![0.0; reference.dims], 0));
        sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        *count += 1;
    }
    assert!(!sums.is_empty(), "a mean needs a reference");
    let labels: Vec<u32> = sums.keys().copied().collect();
    let means: Vec<f32> =
        sums.values().flat_map(|(sum, count)| sum.iter().map(|sum| (sum / *count as f64) as f32)).collect();

    let rows: Vec<_> = query.rows().zip(query.labels).collect();
    let hits = rows.par_iter().filter(|(row, label)| labels[nearest(row, &means).0] == **label).count();
    share(hits, rows.len())
}

/// The outcome of [`one_shot`].
#[derive(Clone, Debug, PartialEq)]
pub struct OneShot {
    /// The share of probes whose nearest gallery image has their label.
    pub accuracy: f64,
    /// The gallery, as given.
    pub gallery: Vec<u32>,
    /// One entry for each threshold, in the order given.
    pub thresholds: Vec<Threshold>,
}

/// Recognition that answers "unknown" when even the nearest gallery image is too far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// A mean squared difference: the squared Euclidean distance over the number of dimensions.
    pub threshold: f64,
    /// The share of all probes that lie strictly below the threshold.
    pub accepted: f64,
    /// The share of all probes that are accepted and recognised rightly.
    pub right: f64,
}

/// The first row of each label, in ascending order of the labels.
pub fn first_of_each_label(labels: &[u32]) -> Vec<u32> {
    let mut first = BTreeMap::new();
    for (row, &label) in (0..).zip(labels) {
        first.entry(label).or_insert(row);
    }
    first.into_values().collect()
}

/// Recognises each row of `query` that is not in `gallery` by its nearest gallery row.
///
/// `gallery` are rows of `query`, usually [`first_of_each_label`]; among equally near ones the first in `gallery` wins.
/// `thresholds` are mean squared differences. A probe whose label the gallery lacks counts as wrong.
///
/// # Panics
///
/// If the gallery is empty, or leaves no probe.
pub fn one_shot(query: Embedded, gallery: &[u32], thresholds: &[f64]) -> OneShot {
    assert!(!gallery.is_empty(), "recognition needs a gallery");
    let enrolled: HashSet<u32> = gallery.iter().copied().collect();
    let shown: Vec<f32> = gallery.iter().flat_map(|&row| query.row(row)).copied().collect();
    let probes: Vec<_> = (0..).zip(query.rows().zip(query.labels)).filter(|(row, _)| !enrolled.contains(row)).collect();
    // (recognised rightly, mean squared difference) of each probe
    let answers: Vec<(bool, f32)> = probes
        .into_par_iter()
        .map(|(_, (row, &label))| {
            let (at, squared) = nearest(row, &shown);
            (query.labels[gallery[at] as usize] == label, squared / query.dims as f32)
        })
        .collect();

    let share_of = |counts: &dyn Fn(&(bool, f32)) -> bool| {
        share(answers.iter().filter(|answer| counts(answer)).count(), answers.len())
    };
    let thresholds = thresholds
        .iter()
        .map(|&threshold| {
            // In the precision of the distances, so that a distance of 0.1 is not below a threshold of 0.1.
            let limit = threshold as f32;
            Threshold {
                threshold,
                accepted: share_of(&|&(_, distance)| distance < limit),
                right: share_of(&|&(right, distance)| right && distance < limit),
            }
        })
        .collect();
    OneShot { accuracy: share_of(&|&(right, _)| right), gallery: gallery.to_vec(), thresholds }
}

/// The outcome of [`one_shot_galleries`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OneShotSpread {
    /// The mean accuracy over the galleries.
    pub mean: f64,
    /// Of the accuracies of the galleries, the 2.5 percentile.
    pub low: f64,
    /// The 97.5 percentile.
    pub high: f64,
    /// How many galleries there were.
    pub galleries: usize,
}

/// How one-shot accuracy varies with the gallery: [`one_shot`] with each of `galleries` random ones.
///
/// A gallery is one row of each label, uniform and independent; they are the ones that NumPy's `default_rng(seed)`
/// draws, gallery by gallery, in ascending order of the labels. The range from `low` to `high` holds the accuracy of a
/// single random gallery 95 % of the time; it is not the error of the mean, which is far smaller.
///
/// # Panics
///
/// If there is no gallery, or no label has two rows.
pub fn one_shot_galleries(query: Embedded, galleries: usize, seed: u64) -> OneShotSpread {
    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    (0..).zip(query.labels).for_each(|(row, &label)| members.entry(label).or_default().push(row));
    let places: BTreeMap<u32, usize> = members.keys().copied().zip(0..).collect();
    let mut rng = NumpyRng::new(seed);
    let shown: Vec<u32> = (0..galleries)
        .flat_map(|_| members.values().map(|rows| rows[rng.below(rows.len() as u32) as usize]).collect::<Vec<_>>())
        .collect();

    // One probe after the other, all galleries at once: they share the distances.
    let probes: Vec<_> = (0..).zip(query.rows().zip(query.labels)).collect();
    let right = probes
        .into_par_iter()
        .fold(
            || (vec![0_usize; galleries], Vec::new()),
            |(mut right, mut distances), (row, (probe, label))| {
                distances.clear();
                distances.extend(query.rows().map(|other| squared_distance(probe, other)));
                let own = places[label];
                for (right, gallery) in right.iter_mut().zip(shown.chunks_exact(members.len())) {
                    let nearest = first_least(gallery.iter().map(|&row| distances[row as usize])).0;
                    *right += usize::from(nearest == own && gallery[own] != row);
                }
                (right, distances)
            },
        )
        .map(|(right, _)| right)
        .reduce(
            || vec![0; galleries],
            |mut sums, right| {
                sums.iter_mut().zip(right).for_each(|(sum, right)| *sum += right);
                sums
            },
        );
    let probes = query.labels.len() - members.len();
    let accuracies: Vec<f64> = right.into_iter().map(|right| share(right, probes)).collect();
    let mean = accuracies.iter().sum::<f64>() / galleries as f64;
    let Interval { low, high } = Interval::of(accuracies);
    OneShotSpread { mean, low, high, galleries }
}

/// The squared Euclidean distance, summed in the order of NumPy's float32 sum: eight interleaved lanes in blocks of at
/// most 128. It vectorises, and it makes equal distances equal in both, so that ties count alike.
pub fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    const BLOCK: usize = 128;
    if a.len() > BLOCK {
        let half = a.len() / 2 / LANES * LANES;
        return squared_distance(&a[..half], &b[..half]) + squared_distance(&a[half..], &b[half..]);
    }
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] += (a[lane] - b[lane]) * (a[lane] - b[lane]);
        }
    }
    let [l0, l1, l2, l3, l4, l5, l6, l7] = lanes;
    let sum = ((l0 + l1) + (l2 + l3)) + ((l4 + l5) + (l6 + l7));
    a_tail.iter().zip(b_tail).fold(sum, |sum, (a, b)| sum + (a - b) * (a - b))
}

/// The first of the nearest rows of `[_, row.len()]` `candidates`, and its squared distance.
fn nearest(row: &[f32], candidates: &[f32]) -> (usize, f32) {
    first_least(candidates.chunks_exact(row.len()).map(|candidate| squared_distance(row, candidate)))
}

/// The place of the first of the least distances, and that distance.
fn first_least(distances: impl Iterator<Item = f32>) -> (usize, f32) {
    let mut best = (0, f32::INFINITY);
    for (at, distance) in distances.enumerate() {
        if distance < best.1 {
            best = (at, distance);
        }
    }
    best
}

fn share(part: usize, whole: usize) -> f64 {
    assert!(whole > 0, "a share of nothing");
    part as f64 / whole as f64
}
