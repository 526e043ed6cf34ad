//! How good an embedding is: nearest-neighbour, centroid and one-shot accuracy, retrieval, and verification (AUC,
//! EER, TAR at FAR) on a seeded list of pairs. Pure functions of embeddings and labels: no device, no printing.
//!
//! Every share lies between 0 and 1. Distances are Euclidean; only their squares are computed, and only their order
//! matters, except where a threshold is named: then its unit is stated. `tests/eval.rs` compares every figure and the
//! pair list with a NumPy script, `tests/golden/eval.py`.

mod numpy;
mod retrieval;
mod verification;

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use serde::Serialize;

use numpy::NumpyRng;
pub use retrieval::{RECALL_AT, Retrieval, map_at_r, retrieval};
pub use verification::{
    FoldedAccuracy, Interval, Intervals, OperatingPoint, Pairs, Roc, Verification, folded_accuracy, roc, verification,
    verification_pairs,
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
    /// The same over random galleries; see [`one_shot_galleries`].
    pub one_shot_galleries: Galleries,
    /// The gallery that `one_shot` and `thresholds` used: query rows, the first of each label.
    pub gallery: Vec<u32>,
    /// Recognition that may answer "unknown", at each threshold asked for.
    pub thresholds: Vec<Threshold>,
    /// The share of queries whose nearest other query has their label; see [`Retrieval::recall`].
    pub recall_at_1: f64,
    /// Likewise one of the 2 nearest.
    pub recall_at_2: f64,
    /// Likewise one of the 4 nearest.
    pub recall_at_4: f64,
    /// Likewise one of the 8 nearest.
    pub recall_at_8: f64,
    /// See [`Retrieval::r_precision`].
    pub r_precision: f64,
    /// See [`Retrieval::map_at_r`].
    pub map_at_r: f64,
    /// Area under the ROC; see [`Roc::auc`].
    pub auc: f64,
    /// Its 95 % interval; see [`Roc::bootstrap`].
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
    /// TAR at FAR 0.001; `None` with fewer than 1,000 negative pairs.
    pub tar_far_1e3: Option<f64>,
    /// Its 95 % interval.
    pub tar_far_1e3_interval: Option<Interval>,
    /// The squared distance at which it is reached.
    pub tar_far_1e3_threshold: Option<f64>,
    /// TAR at FAR 0.0001; `None` with fewer than 10,000 negative pairs.
    pub tar_far_1e4: Option<f64>,
    /// Its 95 % interval.
    pub tar_far_1e4_interval: Option<Interval>,
    /// Accuracy of telling same from different, mean over ten folds; see [`Verification::accuracy`].
    pub verification_accuracy: f64,
    /// Its standard error.
    pub verification_accuracy_error: f64,
    /// A threshold chosen on other images, where the caller has some.
    pub calibrated: Option<Calibrated>,
    /// The curve that the verification figures are read off; too long for a line of JSON.
    #[serde(skip)]
    pub roc: Roc,
    /// How many positive pairs the verification figures rest on.
    pub positive_pairs: usize,
    /// How many negative pairs the verification figures rest on.
    pub negative_pairs: usize,
}

/// A threshold chosen for a false accept rate on validation images, judged on others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Calibrated {
    /// The rate that was wanted.
    pub target_far: f64,
    /// The squared distance that has it on the validation images.
    pub threshold: f64,
    /// The false accept rate on the judged images.
    pub far: f64,
    /// The true accept rate on the judged images.
    pub tar: f64,
}

/// Chooses the threshold that has the false accept rate `target_far` on `validation`, and judges it on `test`; `None`
/// where `validation` has too few negative pairs for the rate.
pub fn calibrate(validation: &Roc, test: &Roc, target_far: f64) -> Option<Calibrated> {
    let threshold = validation.tar_at_far(target_far)?.threshold;
    let limit = threshold as f32;
    Some(Calibrated { target_far, threshold, far: test.far(limit), tar: test.tar(limit) })
}

/// Every figure of `query` against `reference`; retrieval and verification are of `query` alone.
///
/// `neighbours` is `[queries, k]`, the rows of `reference` nearest to each query, nearest first; the vote is taken of
/// the first five. The gallery of the one-shot figures is the first query row of each label, `thresholds` are those of
/// [`one_shot`], and `pairs` are rows of `query` (see [`verification_pairs`]).
///
/// # Panics
///
/// If `k` is less than five, if lengths disagree, or if an embedding that a pair names is not finite.
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
    let verification = verification(query, pairs);
    let Retrieval { recall: [recall_at_1, recall_at_2, recall_at_4, recall_at_8], r_precision, map_at_r } =
        retrieval(query);
    let rate = |point: Option<OperatingPoint>| point.map(|point| point.rate);
    let intervals = verification.intervals;
    Evaluation {
        knn5: knn_accuracy(&nearest, VOTES, reference.labels, query.labels),
        centroid: centroid_accuracy(reference, query),
        one_shot: accuracy,
        one_shot_galleries: one_shot_galleries(query),
        gallery,
        thresholds,
        recall_at_1,
        recall_at_2,
        recall_at_4,
        recall_at_8,
        r_precision,
        map_at_r,
        auc: verification.auc,
        auc_interval: intervals.auc,
        eer: verification.eer.rate,
        eer_interval: intervals.eer,
        eer_threshold: verification.eer.threshold,
        tar_far_1e2: rate(verification.tar_far_1e2),
        tar_far_1e2_interval: intervals.tar_far_1e2,
        tar_far_1e3: rate(verification.tar_far_1e3),
        tar_far_1e3_interval: intervals.tar_far_1e3,
        tar_far_1e3_threshold: verification.tar_far_1e3.map(|point| point.threshold),
        tar_far_1e4: rate(verification.tar_far_1e4),
        tar_far_1e4_interval: intervals.tar_far_1e4,
        verification_accuracy: verification.accuracy.mean,
        verification_accuracy_error: verification.accuracy.error,
        calibrated: None,
        roc: verification.roc,
        positive_pairs: pairs.positive.len(),
        negative_pairs: pairs.negative.len(),
    }
}

/// The share of queries whose label wins the vote of their `k` nearest references.
///
/// `neighbours` is `[queries, k]`, indices into `reference_labels`, nearest first. The majority wins; a tie goes to the
/// tied label with the smallest sum of ranks, and a tie in that as well to the smallest label.
///
/// # Panics
///
/// If `neighbours` is not `[query_labels.len(), k]`, or there is no query.
pub fn knn_accuracy(neighbours: &[u32], k: usize, reference_labels: &[u32], query_labels: &[u32]) -> f64 {
    assert_eq!(neighbours.len(), query_labels.len() * k, "neighbours are [queries, k]");
    let hits = neighbours
        .chunks_exact(k)
        .zip(query_labels)
        .filter(|(row, label)| vote(row.iter().map(|&at| reference_labels[at as usize])) == Some(**label))
        .count();
    share(hits, query_labels.len())
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

/// One-shot accuracy over random galleries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Galleries {
    /// Mean accuracy.
    pub mean: f64,
    /// The 2.5th percentile: what an unlucky gallery gives.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
    /// How many galleries.
    pub galleries: usize,
}

/// [`one_shot`] over 200 galleries of one random row of each label, as seed 0 has them. The bounds are the spread of
/// single galleries, not the error of their mean.
///
/// # Panics
///
/// If a gallery of each label leaves no probe.
pub fn one_shot_galleries(query: Embedded) -> Galleries {
    const GALLERIES: usize = 200;
    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (row, &label) in (0..).zip(query.labels) {
        members.entry(label).or_default().push(row);
    }
    let mut rng = NumpyRng::new(0);
    let accuracies: Vec<f64> = (0..GALLERIES)
        .map(|_| {
            let gallery: Vec<u32> = members.values().map(|rows| rows[rng.below(rows.len() as u32) as usize]).collect();
            one_shot(query, &gallery, &[]).accuracy
        })
        .collect();
    let mean = accuracies.iter().sum::<f64>() / GALLERIES as f64;
    let Interval { low, high } = Interval::of(accuracies);
    Galleries { mean, low, high, galleries: GALLERIES }
}

/// The squared Euclidean distance, summed in the order of NumPy's float32 sum: eight interleaved lanes in blocks of at
/// most 128. It vectorises, and it makes equal distances equal in both, so that ties count alike.
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
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
    let mut best = (0, f32::INFINITY);
    for (at, candidate) in candidates.chunks_exact(row.len()).enumerate() {
        let distance = squared_distance(row, candidate);
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
