//! How good an embedding is: nearest-neighbour, centroid and one-shot accuracy, and verification (AUC, EER, TAR at
//! FAR) on a seeded list of pairs. Pure functions of embeddings and labels: no device, no printing.
//!
//! Every share lies between 0 and 1. Distances are Euclidean; only their squares are computed, and only their order
//! matters, except where a threshold is named: then its unit is stated. `tests/eval.rs` compares every figure and the
//! pair list with a NumPy script, `tests/golden/eval.py`.

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};

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
    /// The gallery that `one_shot` and `thresholds` used: query rows, the first of each label.
    pub gallery: Vec<u32>,
    /// Recognition that may answer "unknown", at each threshold asked for.
    pub thresholds: Vec<Threshold>,
    /// Area under the ROC; see [`Roc::auc`].
    pub auc: f64,
    /// Equal error rate; see [`Roc::equal_error`].
    pub eer: f64,
    /// The squared distance at which it is reached.
    pub eer_threshold: f64,
    /// TAR at FAR 0.001; `None` with fewer than 1,000 negative pairs. See [`Roc::tar_at_far`].
    pub tar_far_1e3: Option<f64>,
    /// The squared distance at which it is reached.
    pub tar_far_1e3_threshold: Option<f64>,
    /// How many positive pairs the verification figures rest on.
    pub positive_pairs: usize,
    /// How many negative pairs the verification figures rest on.
    pub negative_pairs: usize,
}

/// Every figure of `query` against `reference`.
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
    Evaluation {
        knn5: knn_accuracy(&nearest, VOTES, reference.labels, query.labels),
        centroid: centroid_accuracy(reference, query),
        one_shot: accuracy,
        gallery,
        thresholds,
        auc: verification.auc,
        eer: verification.eer.rate,
        eer_threshold: verification.eer.threshold,
        tar_far_1e3: verification.tar_far_1e3.map(|point| point.rate),
        tar_far_1e3_threshold: verification.tar_far_1e3.map(|point| point.threshold),
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verification {
    /// Area under the ROC; see [`Roc::auc`].
    pub auc: f64,
    /// Equal error rate; see [`Roc::equal_error`].
    pub eer: OperatingPoint,
    /// TAR at FAR 0.001, if there are the 1,000 negative pairs it takes; see [`Roc::tar_at_far`].
    pub tar_far_1e3: Option<OperatingPoint>,
}

/// How well squared Euclidean distance tells the positive pairs of `e` from the negative ones.
///
/// # Panics
///
/// If either list is empty, or if a distance is not a number: the embeddings must be finite.
pub fn verification(e: Embedded, pairs: &Pairs) -> Verification {
    let distances = |pairs: &[(u32, u32)]| pairs.iter().map(|&(a, b)| squared_distance(e.row(a), e.row(b))).collect();
    let roc = Roc::new(distances(&pairs.positive), distances(&pairs.negative));
    Verification { auc: roc.auc(), eer: roc.equal_error(), tar_far_1e3: roc.tar_at_far(1e-3) }
}

/// The receiver operating characteristic of a distance: a pair is accepted when its distance is at most a threshold.
#[derive(Clone, Debug)]
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
        let wrong: usize = self
            .positive
            .iter()
            .map(|&positive| {
                self.negative.partition_point(|&negative| negative < positive)
                    + self.negative.partition_point(|&negative| negative <= positive)
            })
            .sum();
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

/// NumPy's `default_rng`: PCG64 (XSL-RR output, 128 bits of state), seeded through `SeedSequence`, with bounded
/// integers by Lemire's multiplication. Reimplemented because a pair list is only worth publishing if others can draw
/// it, and the crates' generators are seeded differently.
///
/// Sources: O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
/// Generation" (2014); Lemire, "Fast Random Integer Generation in an Interval" (2019); O'Neill, "Developing a seed_seq
/// Alternative" (2015).
struct NumpyRng {
    state: u128,
    increment: u128,
    /// The upper half of the last 64-bit output, until it is used.
    upper: Option<u32>,
}

impl NumpyRng {
    const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

    fn new(seed: u64) -> NumpyRng {
        let words = seed_sequence(seed);
        let mut rng = NumpyRng { state: 0, increment: words[1] << 1 | 1, upper: None };
        rng.step();
        rng.state = rng.state.wrapping_add(words[0]);
        rng.step();
        rng
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(Self::MULTIPLIER).wrapping_add(self.increment);
    }

    fn next_u32(&mut self) -> u32 {
        if let Some(upper) = self.upper.take() {
            return upper;
        }
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        let output = folded.rotate_right((self.state >> 122) as u32);
        self.upper = Some((output >> 32) as u32);
        output as u32
    }

    /// Uniform in `0..bound`, without bias.
    fn below(&mut self, bound: u32) -> u32 {
        // NumPy spends no draw where there is no choice.
        if bound == 1 {
            return 0;
        }
        let rejected_below = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            if product as u32 >= rejected_below {
                return (product >> 32) as u32;
            }
        }
    }
}

/// `SeedSequence(seed).generate_state(4, uint64)` as two 128-bit words: PCG64's initial state and its stream.
fn seed_sequence(seed: u64) -> [u128; 2] {
    fn hash(value: u32, constant: &mut u32, multiplier: u32) -> u32 {
        let value = value ^ *constant;
        *constant = constant.wrapping_mul(multiplier);
        let value = value.wrapping_mul(*constant);
        value ^ value >> 16
    }

    const INIT_A: u32 = 0x43b0_d7e5;
    const MULT_A: u32 = 0x931e_8875;
    const INIT_B: u32 = 0x8b51_f9dd;
    const MULT_B: u32 = 0x58f3_8ded;
    const MIX_LEFT: u32 = 0xca01_f9dd;
    const MIX_RIGHT: u32 = 0x4973_f715;

    let mut constant = INIT_A;
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(|word| hash(word, &mut constant, MULT_A));
    for source in 0..pool.len() {
        for target in (0..pool.len()).filter(|&target| target != source) {
            let hashed = hash(pool[source], &mut constant, MULT_A);
            let mixed = pool[target].wrapping_mul(MIX_LEFT).wrapping_sub(hashed.wrapping_mul(MIX_RIGHT));
            pool[target] = mixed ^ mixed >> 16;
        }
    }

    let mut constant = INIT_B;
    [(); 2].map(|()| {
        let words = pool.map(|word| u128::from(hash(word, &mut constant, MULT_B)));
        // 64-bit words are little-endian pairs; of those, the first is the upper half.
        words[1] << 96 | words[0] << 64 | words[3] << 32 | words[2]
    })
}

#[cfg(test)]
mod tests {
    use super::NumpyRng;

    /// `default_rng(seed).integers(0, BOUNDS)` of NumPy. The first seed has three of its draws rejected, bounds of 1
    /// take no draw, and the second seed has more than 32 bits.
    #[test]
    fn draws_are_numpys() {
        const BOUNDS: [u32; 8] = [3_000_000_000, 1, 10, 1, 3_000_000_000, 3_000_000_000, 1, 7];
        for (seed, expected) in [
            (5, [2415008770, 0, 0, 0, 1545976682, 1890702091, 0, 2]),
            (1 << 40 | 5, [42477235, 0, 0, 0, 1349911287, 1117753746, 0, 6]),
        ] {
            let mut rng = NumpyRng::new(seed);
            assert_eq!(BOUNDS.map(|bound| rng.below(bound)), expected, "seed {seed}");
        }
    }
}
