//! How good an embedding is: nearest-neighbour, centroid and one-shot accuracy, retrieval (recall at K, R-precision,
//! MAP@R), and verification (AUC, EER, TAR at FAR, accuracy) on a seeded list of pairs. Pure functions of embeddings
//! and labels: no device, no printing.
//!
//! Every share lies between 0 and 1. Distances are Euclidean; only their squares are computed, and only their order
//! matters, except where a threshold is named: then its unit is stated. `tests/unit/eval.rs` compares every figure and
//! the pair list with a NumPy script, `tests/golden/eval.py`, and retrieval with pytorch-metric-learning,
//! `tests/golden/retrieval.py`; `tests/unit/lfw.rs` compares LFW's protocol with `tests/golden/lfw.py`.

mod across;
mod clustering;
mod lfw;
mod numpy;
mod table;
mod tiles;
mod verification;
mod within;

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

use within::within;

pub use across::{Across, across};
pub use clustering::{Agreement, agreement};
pub use lfw::{Lfw, lfw, pair_distances};
pub use table::{Figure, Unit};
pub use verification::{
    Calibrated, FARS, FoldAccuracy, Intervals, Judged, MOST_DRAWN, OperatingPoint, Pairs, REPLICA_SEED, REPLICAS, Roc,
    Verification, admitted, judge, threshold_at_far, verification, verification_accuracy, verification_pairs,
};
pub use within::{Nearest, OneShotSpread, Retrieval, map_at_r, one_shot_galleries, retrieval, retrieval_from};

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

/// The figures of one embedding space, as reports and JSON have them. One that cannot be had from the images is `None`,
/// and `left_out` says why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Accuracy of a majority vote of the five nearest references; see [`knn_accuracy`].
    pub knn5: Option<f64>,
    /// Accuracy of the nearest class mean; see [`centroid_accuracy`].
    pub centroid: Option<f64>,
    /// Accuracy of the nearest of one gallery image a label; see [`one_shot`].
    pub one_shot: Option<f64>,
    /// The same over [`GALLERIES`] random galleries, seed [`GALLERY_SEED`]; see [`one_shot_galleries`].
    pub one_shot_galleries: Option<OneShotSpread>,
    /// The gallery that `one_shot` and `thresholds` used: query rows, the first of each label.
    pub gallery: Vec<u32>,
    /// Recognition that may answer "unknown", at each threshold asked for.
    pub thresholds: Vec<Threshold>,
    /// See [`Retrieval::recall_at_1`]; this and the following are retrieval of the queries within themselves.
    pub recall_at_1: Option<f64>,
    /// See [`Retrieval::recall_at_2`].
    pub recall_at_2: Option<f64>,
    /// See [`Retrieval::recall_at_4`].
    pub recall_at_4: Option<f64>,
    /// See [`Retrieval::recall_at_8`].
    pub recall_at_8: Option<f64>,
    /// See [`Retrieval::r_precision`].
    pub r_precision: Option<f64>,
    /// See [`Retrieval::map_at_r`].
    pub map_at_r: Option<f64>,
    /// Area under the ROC; see [`Roc::auc`].
    pub auc: Option<f64>,
    /// Its 95 % interval; for this and the following see [`Roc::bootstrap`].
    pub auc_interval: Option<Interval>,
    /// Equal error rate; see [`Roc::equal_error`].
    pub eer: Option<f64>,
    /// Its 95 % interval.
    pub eer_interval: Option<Interval>,
    /// The squared distance at which it is reached.
    pub eer_threshold: Option<f64>,
    /// TAR at FAR 0.01. See [`Roc::tar_at_far`].
    pub tar_far_1e2: Option<f64>,
    /// Its 95 % interval.
    pub tar_far_1e2_interval: Option<Interval>,
    /// TAR at FAR 0.001.
    pub tar_far_1e3: Option<f64>,
    /// Its 95 % interval.
    pub tar_far_1e3_interval: Option<Interval>,
    /// The squared distance at which it is reached; `None` also where none has that FAR.
    pub tar_far_1e3_threshold: Option<f64>,
    /// TAR at FAR 0.0001.
    pub tar_far_1e4: Option<f64>,
    /// Its 95 % interval.
    pub tar_far_1e4_interval: Option<Interval>,
    /// The share of pairs told apart rightly, over ten folds. See [`verification_accuracy`].
    pub verification_accuracy: Option<f64>,
    /// The standard error of that mean.
    pub verification_accuracy_error: Option<f64>,
    /// The verdict at a threshold chosen on other images. [`evaluate`] has none to choose it on and leaves `None`.
    pub calibrated: Option<Calibrated>,
    /// The curve that the verification figures are read off; too long for a line of JSON.
    #[serde(skip)]
    pub roc: Option<Roc>,
    /// How many positive pairs the verification figures rest on.
    pub positive_pairs: usize,
    /// How many negative pairs the verification figures rest on.
    pub negative_pairs: usize,
    /// How many queries there are.
    #[serde(default)]
    pub images: usize,
    /// How many labels they have.
    #[serde(default)]
    pub identities: usize,
    /// Queries whose label no reference has; they do not count in `knn5` and `centroid`.
    #[serde(default)]
    pub unseen: usize,
    /// Whether the network maps all queries to one point; see [`collapsed`].
    #[serde(default)]
    pub collapsed: bool,
    /// Why a figure is `None`, by its name here; see [`left_out`].
    #[serde(default)]
    pub left_out: BTreeMap<String, String>,
}

/// A range around a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The 2.5 percentile.
    pub low: f64,
    /// The 97.5 percentile.
    pub high: f64,
}

impl Interval {
    /// The range of the middle 95 % of `values`, of which there is one at least, linear between neighbouring ones, as
    /// NumPy's `percentile`.
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

/// Neighbours that vote in [`Evaluation::knn5`].
pub const VOTES: usize = 5;

/// Figures that need images of two labels, one of them twice.
const PAIRED: [&str; 11] = [
    "one_shot",
    "one_shot_galleries",
    "recall_at_1",
    "recall_at_2",
    "recall_at_4",
    "recall_at_8",
    "r_precision",
    "map_at_r",
    "auc",
    "eer",
    "verification_accuracy",
];
/// TAR at each of [`FARS`].
const TARS: [&str; 3] = ["tar_far_1e2", "tar_far_1e3", "tar_far_1e4"];

/// Which figures of an [`Evaluation`] images with these labels cannot give, by their names there, and why. It takes the
/// labels alone, so that it can be known before a training.
///
/// A figure is left out where it is not defined, and where it would be 1 whatever the embeddings are.
pub fn left_out(reference: &[u32], query: &[u32]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let known = Sizes::of(reference);
    let vote = if known.labels.len() < 2 {
        Some("takes training images of two labels".to_owned())
    } else if !query.iter().any(|label| known.labels.contains_key(label)) {
        Some("no test image has a label of the training images".to_owned())
    } else {
        None
    };
    let few =
        || (reference.len() < VOTES).then(|| format!("takes {VOTES} training images, there are {}", reference.len()));
    out.extend(vote.clone().or_else(few).map(|reason| ("knn5".to_owned(), reason)));
    out.extend(vote.map(|reason| ("centroid".to_owned(), reason)));

    let sizes = Sizes::of(query);
    let unpaired = sizes.unpaired().map(|reason| format!("takes {reason}"));
    for name in PAIRED {
        out.extend(unpaired.clone().map(|reason| (name.to_owned(), reason)));
    }
    for (name, far) in TARS.into_iter().zip(FARS) {
        let (needed, found) = ((1.0 / far).round() as u64, sizes.negative_pairs());
        let few = || (found < needed).then(|| format!("takes {needed} pairs of two labels, the images make {found}"));
        out.extend(unpaired.clone().or_else(few).map(|reason| (name.to_owned(), reason)));
    }
    out
}

/// Why images with these labels have no MAP@R that says anything; `None` where they have. See [`map_at_r`].
pub fn unjudgeable(labels: &[u32]) -> Option<String> {
    Sizes::of(labels).unpaired()
}

/// How many rows each label has.
struct Sizes {
    labels: BTreeMap<u32, u64>,
}

impl Sizes {
    fn of(labels: &[u32]) -> Sizes {
        let mut sizes = BTreeMap::new();
        labels.iter().for_each(|&label| *sizes.entry(label).or_default() += 1);
        Sizes { labels: sizes }
    }

    /// What is missing to pairs of one label and of two.
    fn unpaired(&self) -> Option<String> {
        match self.labels.len() {
            0 => Some("images, and there is none".to_owned()),
            1 => Some("images of two labels, all have one".to_owned()),
            _ if self.labels.values().all(|&size| size < 2) => {
                Some("two images of one label, every label has one".to_owned())
            }
            _ => None,
        }
    }

    /// Different pairs of rows of two labels.
    fn negative_pairs(&self) -> u64 {
        let rows: u64 = self.labels.values().sum();
        (rows * rows - self.labels.values().map(|size| size * size).sum::<u64>()) / 2
    }
}

/// What keeps an embedding from being compared with others: it must be finite, and so must be its squared distance to
/// any other as long as it is.
pub fn flaw(embedding: &[f32]) -> Option<String> {
    let square: f64 = embedding.iter().map(|&value| f64::from(value).powi(2)).sum();
    if !square.is_finite() {
        return Some("is not finite".to_owned());
    }
    // Two that point away from each other are twice as far apart as they are long.
    let too_long = 4.0 * square >= f64::from(f32::MAX);
    too_long.then(|| format!("is {:.1e} long; squared distances of such do not fit 32 bits", square.sqrt()))
}

/// Says whether figures can be made of embeddings, `[_, dims]`: none may have a [`flaw`]. `name` is what the images are
/// called.
///
/// # Errors
/// [`Error::Embedding`] naming the first that has one.
pub fn measurable(values: &[f32], dims: usize, name: &str) -> Result<()> {
    for (row, embedding) in values.chunks_exact(dims).enumerate() {
        if let Some(reason) = flaw(embedding) {
            return Err(Error::Embedding { image: format!("{name}, image {row}"), reason });
        }
    }
    Ok(())
}

/// Variance over mean square below which embeddings are one point: distances of a ten-thousandth of the length.
const COLLAPSED: f64 = 1e-8;

/// Whether all rows, of which there are two at least, lie at one point as far as 32 bits tell.
pub fn collapsed(e: Embedded) -> bool {
    let rows = e.labels.len() as f64;
    let (mut sums, mut squares) = (vec![0.0; e.dims], 0.0);
    for row in e.rows() {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
            squares += f64::from(value).powi(2);
        }
    }
    let variance = squares - sums.iter().map(|sum| sum * sum).sum::<f64>() / rows;
    e.labels.len() > 1 && variance <= COLLAPSED * squares
}

/// What an evaluation is doing, with images done and images in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `embedding the training images`, …
    pub stage: &'static str,
    /// Images done.
    pub done: usize,
    /// Images in all.
    pub total: usize,
}

/// Every figure of `query` against `reference` that can be had, with what [`left_out`] says of the others; and what
/// each query lies nearest to.
///
/// `neighbours` is `[queries, k]`, the rows of `reference` nearest to each query, nearest first; the vote is taken of
/// the first five. The gallery of the one-shot figures is the first query row of each label, `thresholds` are those of
/// [`one_shot`], and `pairs` are rows of `query` (see [`verification_pairs`]), `None` where there are none; where no
/// query has a label of the references all pairs of queries are verified, and `pairs` are for the folds alone. The
/// embeddings are [`measurable`].
///
/// # Panics
///
/// If lengths disagree.
pub fn evaluate(
    reference: Embedded,
    query: Embedded,
    neighbours: &[u32],
    k: usize,
    thresholds: &[f64],
    pairs: Option<&Pairs>,
    mut progress: impl FnMut(Progress),
) -> (Evaluation, Vec<Nearest>) {
    let mut left_out = left_out(reference.labels, query.labels);
    let total = query.labels.len();
    let mut stage = |stage, done| progress(Progress { stage, done, total });
    stage("recognising", 0);
    let gallery = first_of_each_label(query.labels);
    let recognised = one_shot(query, &gallery, thresholds);
    let within = within(query, GALLERIES, GALLERY_SEED, |done| stage("comparing the test images", done));
    stage("verifying", 0);
    let known: HashSet<u32> = reference.labels.iter().copied().collect();
    let unseen = query.labels.iter().filter(|label| !known.contains(label)).count();
    // Of identities that are foreign to the references all pairs count: a low rate stands on few of them.
    let roc = if unseen == total { Roc::of_all(query) } else { pairs.and_then(|pairs| Roc::of(query, pairs)) };
    let verified = roc.as_ref().map(Verification::of);
    let folds = pairs.and_then(|pairs| verification_accuracy(query, pairs, FOLDS));
    stage("verifying", total);

    let voting = VOTES.min(k);
    let nearest: Vec<u32> = neighbours.chunks_exact(k.max(1)).flat_map(|row| &row[..voting]).copied().collect();
    let has = |name: &str| !left_out.contains_key(name);
    let retrieved = within.retrieval.filter(|_| has("map_at_r"));
    let recognised = recognised.filter(|_| has("one_shot"));
    let intervals = verified.and_then(|found| found.intervals);
    let of_far = |at: usize| verified.filter(|_| has(TARS[at]));
    let [tar_far_1e2, tar_far_1e3, tar_far_1e4] = [0, 1, 2].map(|at| of_far(at)?.tar_at_far[at]);
    let [tar_far_1e2_interval, tar_far_1e3_interval, tar_far_1e4_interval] =
        [0, 1, 2].map(|at| of_far(at)?.intervals?.tar_at_far[at]);
    let [positive_pairs, negative_pairs] = roc.as_ref().map_or([0, 0], |roc| roc.pairs().map(|pairs| pairs as usize));
    let evaluation = Evaluation {
        knn5: knn_accuracy(&nearest, voting, reference.labels, query.labels).filter(|_| has("knn5")),
        centroid: centroid_accuracy(reference, query).filter(|_| has("centroid")),
        one_shot: recognised.as_ref().map(|found| found.accuracy),
        one_shot_galleries: within.galleries.filter(|_| has("one_shot_galleries")),
        gallery: gallery.clone(),
        thresholds: recognised.map(|found| found.thresholds).unwrap_or_default(),
        recall_at_1: retrieved.map(|found| found.recall_at_1),
        recall_at_2: retrieved.map(|found| found.recall_at_2),
        recall_at_4: retrieved.map(|found| found.recall_at_4),
        recall_at_8: retrieved.map(|found| found.recall_at_8),
        r_precision: retrieved.map(|found| found.r_precision),
        map_at_r: retrieved.map(|found| found.map_at_r),
        auc: verified.map(|found| found.auc),
        auc_interval: intervals.map(|found| found.auc),
        eer: verified.map(|found| found.eer.rate),
        eer_interval: intervals.map(|found| found.eer),
        eer_threshold: verified.map(|found| found.eer.threshold),
        tar_far_1e2: tar_far_1e2.map(|point| point.rate),
        tar_far_1e2_interval,
        tar_far_1e3: tar_far_1e3.map(|point| point.rate),
        tar_far_1e3_interval,
        tar_far_1e3_threshold: tar_far_1e3.and_then(|point| point.accepting()),
        tar_far_1e4: tar_far_1e4.map(|point| point.rate),
        tar_far_1e4_interval,
        verification_accuracy: folds.map(|folds| folds.mean),
        verification_accuracy_error: folds.map(|folds| folds.error),
        calibrated: None,
        roc,
        positive_pairs,
        negative_pairs,
        images: query.labels.len(),
        identities: gallery.len(),
        unseen,
        collapsed: collapsed(query),
        left_out: BTreeMap::new(),
    };
    let drawn = [
        ("tar_far_1e2", evaluation.tar_far_1e2),
        ("tar_far_1e3", evaluation.tar_far_1e3),
        ("tar_far_1e4", evaluation.tar_far_1e4),
        ("verification_accuracy", evaluation.verification_accuracy),
    ];
    for (name, figure) in drawn {
        if figure.is_none() {
            left_out.entry(name.to_owned()).or_insert_with(|| "takes more pairs than were drawn".to_owned());
        }
    }
    (Evaluation { left_out, ..evaluation }, within.nearest)
}

/// The label that wins the vote of the `k` nearest references of each query.
///
/// `neighbours` is `[queries, k]`, indices into `reference_labels`, nearest first. The majority wins; a tie goes to the
/// tied label with the smallest sum of ranks, and a tie in that as well to the smallest label. Empty where `k` is zero.
pub fn knn_labels(neighbours: &[u32], k: usize, reference_labels: &[u32]) -> Vec<u32> {
    let winner = |row: &[u32]| vote(row.iter().map(|&at| reference_labels[at as usize]));
    neighbours.chunks_exact(k.max(1)).filter_map(winner).collect()
}

/// The share of queries whose label wins the vote of their `k` nearest references; see [`knn_labels`]. Queries whose
/// label no reference has are left out, as in pytorch-metric-learning; `None` where none is left.
///
/// # Panics
///
/// If `neighbours` is not `[query_labels.len(), k]`.
pub fn knn_accuracy(neighbours: &[u32], k: usize, reference_labels: &[u32], query_labels: &[u32]) -> Option<f64> {
    assert_eq!(neighbours.len(), query_labels.len() * k, "neighbours are [queries, k]");
    let known: HashSet<u32> = reference_labels.iter().copied().collect();
    let answers = knn_labels(neighbours, k, reference_labels);
    let judged = || answers.iter().zip(query_labels).filter(|(_, label)| known.contains(label));
    share(judged().filter(|(answer, label)| answer == label).count(), judged().count())
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
/// The means are plain ones, not brought back to unit length. A tie goes to the smaller label. Queries whose label no
/// reference has are left out; `None` where none is left.
///
/// # Panics
///
/// If the two differ in `dims`.
pub fn centroid_accuracy(reference: Embedded, query: Embedded) -> Option<f64> {
    assert_eq!(reference.dims, query.dims, "references and queries have one length");
    let mut sums: BTreeMap<u32, (Vec<f64>, usize)> = BTreeMap::new();
    for (row, &label) in reference.rows().zip(reference.labels) {
        let (sum, count) = sums.entry(label).or_insert_with(|| (vec![0.0; reference.dims], 0));
        sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        *count += 1;
    }
    let labels: Vec<u32> = sums.keys().copied().collect();
    let means: Vec<f32> =
        sums.values().flat_map(|(sum, count)| sum.iter().map(|sum| (sum / *count as f64) as f32)).collect();

    let rows: Vec<_> = query.rows().zip(query.labels).filter(|(_, label)| sums.contains_key(label)).collect();
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
/// `thresholds` are mean squared differences. A probe whose label the gallery lacks counts as wrong. `None` where the
/// gallery is empty, or leaves no probe.
pub fn one_shot(query: Embedded, gallery: &[u32], thresholds: &[f64]) -> Option<OneShot> {
    if gallery.is_empty() {
        return None;
    }
    let enrolled: HashSet<u32> = gallery.iter().copied().collect();
    // (recognised rightly, mean squared difference) of each probe
    let answers = nearest_of_gallery(query, gallery).into_iter().zip(0_u32..);
    let answers: Vec<(bool, f32)> = answers
        .filter(|(_, row)| !enrolled.contains(row))
        .map(|((at, squared), row)| {
            let is_right = query.labels[gallery[at] as usize] == query.labels[row as usize];
            (is_right, squared / query.dims as f32)
        })
        .collect();

    let share_of = |counts: &dyn Fn(&(bool, f32)) -> bool| {
        share(answers.iter().filter(|answer| counts(answer)).count(), answers.len())
    };
    let accuracy = share_of(&|&(right, _)| right)?;
    let thresholds = thresholds
        .iter()
        .map(|&threshold| {
            // In the precision of the distances, so that a distance of 0.1 is not below a threshold of 0.1.
            let limit = threshold as f32;
            Some(Threshold {
                threshold,
                accepted: share_of(&|&(_, distance)| distance < limit)?,
                right: share_of(&|&(right, distance)| right && distance < limit)?,
            })
        })
        .collect::<Option<_>>()?;
    Some(OneShot { accuracy, gallery: gallery.to_vec(), thresholds })
}

/// The place in `gallery`, rows of `e` of which there is one at least, of the nearest to each row of `e`, of equally
/// near ones the first; and its squared distance.
pub fn nearest_of_gallery(e: Embedded, gallery: &[u32]) -> Vec<(usize, f32)> {
    let values: Vec<f32> = gallery.iter().flat_map(|&row| e.row(row)).copied().collect();
    let shown = Embedded { values: &values, dims: e.dims, labels: gallery };
    let first = |_: usize, keys: &[u64]| keys.first().map_or((0, f32::INFINITY), |&key| tiles::told(key));
    tiles::nearest(&tiles::Rows::new(e), &tiles::Rows::new(shown), false, |_| 1, first, |_| ())
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

/// `None` of nothing.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
