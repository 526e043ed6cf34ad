//! Verification: do two images show the same label? Judged by the distance of their embeddings.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::numpy::NumpyRng;
use super::tiles::{self, Rows};
use super::{Embedded, Interval, Sizes, squared_distance};
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
    if let Some(reason) = Sizes::of(labels).unpaired() {
        return Err(Error::config("verification pairs", format!("they take {reason}")));
    }
    let peers: Vec<&[u32]> = labels.iter().map(|label| members[label].as_slice()).collect();
    let anchors: Vec<u32> = (0..).zip(&peers).filter(|(_, rows)| rows.len() > 1).map(|(row, _)| row).collect();

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
    /// In the unit of the distances: for [`verification`], squared Euclidean distance. One below zero accepts no pair.
    pub threshold: f64,
}

impl OperatingPoint {
    /// The threshold, if it accepts anything.
    pub fn accepting(self) -> Option<f64> {
        (self.threshold >= 0.0).then_some(self.threshold)
    }
}

/// How many of `impostors` a false accept rate of `far` admits: the largest number whose share is no more. A rate that
/// is a whole number of them up to rounding is one.
pub fn admitted(far: f64, impostors: usize) -> usize {
    (far * impostors as f64 + 1e-9).floor() as usize
}

/// The outcome of [`verification`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verification {
    /// Area under the ROC; see [`Roc::auc`].
    pub auc: f64,
    /// Equal error rate; see [`Roc::equal_error`].
    pub eer: OperatingPoint,
    /// TAR at each of [`FARS`], if there are the 100, 1,000 and 10,000 negative pairs it takes; see
    /// [`Roc::tar_at_far`].
    pub tar_at_far: [Option<OperatingPoint>; 3],
    /// The intervals of these rates, from [`REPLICAS`] replicas, seed [`REPLICA_SEED`]; see [`Roc::bootstrap`]. `None`
    /// of more than [`MOST_DRAWN`] pairs: all pairs of a set say more than what is drawn of them.
    pub intervals: Option<Intervals>,
}

/// 95 % intervals of the rates of a [`Verification`]. Those whose rate is `None` are `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// Of the area under the ROC.
    pub auc: Interval,
    /// Of the equal error rate.
    pub eer: Interval,
    /// Of TAR at each of [`FARS`].
    pub tar_at_far: [Option<Interval>; 3],
}

/// The false accept rates of a [`Verification`].
pub const FARS: [f64; 3] = [1e-2, 1e-3, 1e-4];
/// Pairs that replicas are drawn of at most.
pub const MOST_DRAWN: u64 = 1 << 20;
/// Bootstrap replicas behind the intervals of a [`Verification`].
pub const REPLICAS: u32 = 1000;
/// Their seed.
pub const REPLICA_SEED: u32 = 0;

/// How well squared Euclidean distance tells the positive pairs of `e` from the negative ones.
///
/// `None` where there is no [`Roc`].
pub fn verification(e: Embedded, pairs: &Pairs) -> Option<Verification> {
    Roc::of(e, pairs).as_ref().map(Verification::of)
}

impl Verification {
    /// Of the distances of an ROC.
    pub fn of(roc: &Roc) -> Verification {
        Verification {
            auc: roc.auc(),
            eer: roc.equal_error(),
            tar_at_far: FARS.map(|far| roc.tar_at_far(far)),
            intervals: (roc.pairs().iter().sum::<u64>() <= MOST_DRAWN && !roc.is_counted())
                .then(|| roc.bootstrap(REPLICAS, REPLICA_SEED)),
        }
    }
}

/// The squared distance at which `e` reaches the false accept rate `far` at most; `None` with fewer than `1 / far`
/// negative pairs, and where none has that rate. See [`Roc::tar_at_far`]. Chosen on validation images, it is for
/// [`judge`] on others.
pub fn threshold_at_far(e: Embedded, pairs: &Pairs, far: f64) -> Option<f64> {
    Roc::of(e, pairs)?.tar_at_far(far)?.accepting()
}

/// The outcome of [`judge`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The squared distance up to which pairs were accepted.
    pub threshold: f64,
    /// False accept rate: the share of negative pairs accepted.
    pub far: f64,
    /// True accept rate: the share of positive pairs accepted.
    pub tar: f64,
}

/// Verification by the distances of `roc` at a given one.
pub fn judge(roc: &Roc, threshold: f64) -> Judged {
    // In the precision of the distances, as the thresholds of an ROC are.
    let limit = threshold as f32;
    Judged { threshold, far: roc.far(limit), tar: roc.tar(limit) }
}

/// A threshold chosen on validation images, and the verdict at it on the test images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// The false accept rate that the threshold reached where it was chosen, with [`threshold_at_far`].
    pub target_far: f64,
    /// What it does on the test images.
    #[serde(flatten)]
    pub judged: Judged,
}

/// The outcome of [`verification_accuracy`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoldAccuracy {
    /// The mean over the folds.
    pub mean: f64,
    /// The standard error of that mean.
    pub error: f64,
}

/// The share of pairs told apart rightly by a threshold chosen on other pairs, as for Labeled Faces in the Wild.
///
/// The positive and the negative pairs are each dealt, in their order, into `folds` folds of equal size, to within one
/// pair. For each fold, the threshold is the one that is right most often on all others: halfway between two
/// neighbouring distances there, or one that accepts none or all; the lowest if several are best. Its accuracy on the
/// fold itself is what counts. The error is the standard deviation over the folds, with `folds - 1`, over the root of
/// `folds`. `None` with fewer positive or negative pairs than folds, and where a distance is not a number.
///
/// Source: Huang et al., "Labeled Faces in the Wild: A Database for Studying Face Recognition in Unconstrained
/// Environments" (2007), image-restricted protocol.
///
/// # Panics
///
/// If there are fewer than two folds.
pub fn verification_accuracy(e: Embedded, pairs: &Pairs, folds: usize) -> Option<FoldAccuracy> {
    assert!(folds > 1, "a threshold is chosen on other folds, and there are {folds}");
    if pairs.positive.len().min(pairs.negative.len()) < folds {
        return None;
    }
    // (distance, whether the pair is positive, fold)
    let dealt = |pairs: &[(u32, u32)], positive| -> Vec<(f32, bool, usize)> {
        let fold = |at| at * folds / pairs.len();
        distances(e, pairs).into_iter().enumerate().map(|(at, distance)| (distance, positive, fold(at))).collect()
    };
    let mut dealt = [dealt(&pairs.positive, true), dealt(&pairs.negative, false)].concat();
    if dealt.iter().any(|pair| pair.0.is_nan()) {
        return None;
    }
    dealt.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));

    let accuracies: Vec<f64> = (0..folds)
        .into_par_iter()
        .map(|fold| {
            let threshold = best_threshold(dealt.iter().filter(|pair| pair.2 != fold).map(|pair| (pair.0, pair.1)));
            let own = || dealt.iter().filter(|pair| pair.2 == fold);
            own().filter(|pair| (f64::from(pair.0) <= threshold) == pair.1).count() as f64 / own().count() as f64
        })
        .collect();
    let mean = accuracies.iter().sum::<f64>() / folds as f64;
    let squares: f64 = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum();
    Some(FoldAccuracy { mean, error: (squares / ((folds - 1) * folds) as f64).sqrt() })
}

/// The lowest threshold that is right most often, of (distance, whether the pair is positive) in ascending order.
fn best_threshold(pairs: impl Iterator<Item = (f32, bool)>) -> f64 {
    let mut pairs = pairs.peekable();
    // Positive pairs accepted less negative pairs accepted: it grows and falls with the number of right answers.
    let mut gain = 0_i64;
    let mut best = (gain, f64::NEG_INFINITY);
    while let Some((distance, positive)) = pairs.next() {
        gain += if positive { 1 } else { -1 };
        let next = pairs.peek().map(|next| next.0);
        // Equal distances are accepted together.
        if gain > best.0 && next != Some(distance) {
            let halfway = |next| (f64::from(distance) + f64::from(next)) / 2.0;
            best = (gain, next.map_or(f64::INFINITY, halfway));
        }
    }
    best.1
}

/// The squared distances of `pairs`.
fn distances(e: Embedded, pairs: &[(u32, u32)]) -> Vec<f32> {
    pairs.iter().map(|&(a, b)| squared_distance(e.row(a), e.row(b))).collect()
}

/// Distances of pairs, ascending.
#[derive(Clone, Debug, PartialEq)]
struct Distances {
    values: Vec<f32>,
    /// How many pairs lie at or below each; `None` where each is the distance of one.
    ends: Option<Vec<u64>>,
}

impl Distances {
    /// How many pairs lie before a place.
    fn before(&self, place: usize) -> u64 {
        match &self.ends {
            None => place as u64,
            Some(ends) => place.checked_sub(1).map_or(0, |last| ends[last]),
        }
    }

    fn pairs(&self) -> u64 {
        self.before(self.values.len())
    }

    fn within(&self, threshold: f32) -> u64 {
        self.before(self.values.partition_point(|&distance| distance <= threshold))
    }

    fn below(&self, threshold: f32) -> u64 {
        self.before(self.values.partition_point(|&distance| distance < threshold))
    }

    /// The distance of a pair, counted from the nearest.
    fn of_pair(&self, pair: u64) -> Option<f32> {
        let place = self.ends.as_ref().map_or(pair as usize, |ends| ends.partition_point(|&end| end <= pair));
        self.values.get(place).copied()
    }

    /// Each distance with how many pairs have it.
    fn counts(&self) -> impl Iterator<Item = (f32, u64)> {
        (0..self.values.len()).map(|place| (self.values[place], self.before(place + 1) - self.before(place)))
    }
}

/// The receiver operating characteristic of a distance: a pair is accepted when its distance is at most a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Roc {
    positive: Distances,
    negative: Distances,
}

/// Pairs that are sorted at most; of more, distances are counted.
const MOST_SORTED: u64 = 1 << 24;
/// Bits of a distance that are left out where distances are counted: two of one count differ by a part in 32,768.
const COARSE: u32 = 8;
/// Halvings from the largest distance on that have counts of their own.
const HALVINGS: u32 = 33;
/// Parts of a set whose pairs are counted at the same time.
const PARTS: usize = 32;

impl Roc {
    /// Of the squared Euclidean distances of `pairs`, rows of `e`. `None` as in [`Roc::new`].
    pub fn of(e: Embedded, pairs: &Pairs) -> Option<Roc> {
        Roc::new(distances(e, &pairs.positive), distances(e, &pairs.negative))
    }

    /// Of the squared Euclidean distances of all pairs of different rows, which are [`super::measurable`]. `None` where
    /// there is no pair of one label, or of two.
    ///
    /// Of more than 16 Mi pairs none is kept: they are counted by their distances to 16 bits, from products of matrices
    /// in tiles, and those of one count go by the largest of them. So a threshold is up to 3e-5 of itself too large,
    /// rates are those at this threshold, and the area takes such pairs for equally near.
    pub fn of_all(e: Embedded) -> Option<Roc> {
        let sizes = Sizes::of(e.labels);
        sizes.unpaired().is_none().then_some(())?;
        let rows = e.labels.len() as u64;
        if rows * (rows - 1) / 2 > MOST_SORTED {
            return Some(Roc::counted(&Rows::new(e), e.labels));
        }
        let of_row = |row: u32| {
            let others = row + 1..e.labels.len() as u32;
            let apart = |other: u32| squared_distance(e.row(row), e.row(other));
            let is_own = |other: &u32| e.labels[*other as usize] == e.labels[row as usize];
            let (own, foreign): (Vec<u32>, Vec<u32>) = others.partition(is_own);
            [own, foreign].map(|rows| rows.into_iter().map(apart).collect::<Vec<f32>>())
        };
        let found: Vec<[Vec<f32>; 2]> = (0..e.labels.len() as u32).into_par_iter().map(of_row).collect();
        let kind = |kind: usize| found.iter().flat_map(|of_row| &of_row[kind]).copied().collect();
        Roc::new(kind(0), kind(1))
    }

    /// Of all pairs, counted by distance.
    fn counted(rows: &Rows, labels: &[u32]) -> Roc {
        let bins = (HALVINGS << (23 - COARSE)) as usize;
        let last = rows.farthest().next_up().to_bits() >> COARSE;
        let first = last.saturating_sub(bins as u32 - 1);
        let all = rows.len();
        let part = |part: usize| {
            let mut counts = [vec![0_u64; bins], vec![0_u64; bins]];
            let mut tile = Vec::new();
            for start in (part * tiles::ROWS..all).step_by(PARTS * tiles::ROWS) {
                let down = start..(start + tiles::ROWS).min(all);
                for column in (start..all).step_by(tiles::COLUMNS) {
                    let across = column..(column + tiles::COLUMNS).min(all);
                    rows.squared(down.clone(), rows, across.clone(), &mut tile);
                    for (line, row) in tile.chunks_exact(across.len()).zip(down.clone()) {
                        let own = labels[row];
                        // Each pair once, at its first row.
                        let behind = (row + 1).max(column)..across.end;
                        let line = &line[behind.start.min(across.end) - column..];
                        for (distance, &label) in line.iter().zip(&labels[behind.start.min(across.end)..across.end]) {
                            let bin = (distance.to_bits() >> COARSE).saturating_sub(first) as usize;
                            counts[usize::from(label != own)][bin.min(bins - 1)] += 1;
                        }
                    }
                }
            }
            counts
        };
        let parts: Vec<[Vec<u64>; 2]> = (0..PARTS).into_par_iter().map(part).collect();
        let [positive, negative] = [0, 1].map(|kind| {
            let (mut values, mut ends, mut pairs) = (Vec::new(), Vec::new(), 0);
            for bin in 0..bins {
                let here: u64 = parts.iter().map(|counts| counts[kind][bin]).sum();
                if here > 0 {
                    pairs += here;
                    values.push(f32::from_bits(((first + bin as u32 + 1) << COARSE) - 1));
                    ends.push(pairs);
                }
            }
            Distances { values, ends: Some(ends) }
        });
        Roc { positive, negative }
    }

    /// From the distances of the positive and of the negative pairs, in any order. `None` where there is none of
    /// either, or one is not a number.
    pub fn new(mut positive: Vec<f32>, mut negative: Vec<f32>) -> Option<Roc> {
        for distances in [&mut positive, &mut negative] {
            if distances.is_empty() || distances.iter().any(|distance| distance.is_nan()) {
                return None;
            }
            distances.par_sort_unstable_by(f32::total_cmp);
        }
        let [positive, negative] = [positive, negative].map(|values| Distances { values, ends: None });
        Some(Roc { positive, negative })
    }

    /// The distances of the positive pairs, ascending; where they are counted, each that occurs once.
    pub fn positive(&self) -> &[f32] {
        &self.positive.values
    }

    /// The distances of the negative pairs likewise.
    pub fn negative(&self) -> &[f32] {
        &self.negative.values
    }

    /// How many pairs there are, positive and negative.
    pub fn pairs(&self) -> [u64; 2] {
        [self.positive.pairs(), self.negative.pairs()]
    }

    /// The distances of the positive pairs, ascending, with how many have each.
    pub fn positive_counts(&self) -> impl Iterator<Item = (f32, u64)> {
        self.positive.counts()
    }

    /// Those of the negative pairs likewise.
    pub fn negative_counts(&self) -> impl Iterator<Item = (f32, u64)> {
        self.negative.counts()
    }

    /// Whether pairs of almost one distance are counted together: see [`Roc::of_all`].
    pub fn is_counted(&self) -> bool {
        self.positive.ends.is_some()
    }

    /// The curve: threshold, false and true accept rate at every distance that occurs, ascending.
    pub fn points(&self) -> Vec<(f32, f64, f64)> {
        let rates = |threshold| (threshold, self.far(threshold), self.tar(threshold));
        self.thresholds().into_iter().map(rates).collect()
    }

    /// Every distance that occurs, ascending.
    fn thresholds(&self) -> Vec<f32> {
        let mut thresholds = [self.positive(), self.negative()].concat();
        // Stable: it merges the two sorted runs in linear time.
        thresholds.sort_by(f32::total_cmp);
        thresholds.dedup();
        thresholds
    }

    /// False accept rate: the share of negative pairs at or below `threshold`.
    pub fn far(&self, threshold: f32) -> f64 {
        self.negative.within(threshold) as f64 / self.negative.pairs() as f64
    }

    /// False reject rate: the share of positive pairs above `threshold`.
    pub fn frr(&self, threshold: f32) -> f64 {
        1.0 - self.tar(threshold)
    }

    /// True accept rate: the share of positive pairs at or below `threshold`.
    pub fn tar(&self, threshold: f32) -> f64 {
        self.positive.within(threshold) as f64 / self.positive.pairs() as f64
    }

    /// Area under the curve: the probability that a positive pair is nearer than a negative one, where equally near
    /// counts half.
    pub fn auc(&self) -> f64 {
        // Twice the number of wrongly ordered pairs of pairs, in integers so that ties count exactly.
        let wrong: u128 = self
            .positive
            .counts()
            .map(|(distance, pairs)| {
                u128::from(pairs) * u128::from(self.negative.below(distance) + self.negative.within(distance))
            })
            .sum();
        1.0 - wrong as f64 / self.positive.pairs() as f64 / (2 * self.negative.pairs()) as f64
    }

    /// Where false accept rate and false reject rate are equal. Between the two neighbouring distances that enclose the
    /// crossing, rate and threshold are interpolated linearly.
    pub fn equal_error(&self) -> OperatingPoint {
        let thresholds = self.thresholds();
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
        let weight = crossing((far_before, frr_before), (far, frr));
        OperatingPoint {
            rate: far_before + weight * (far - far_before),
            threshold: threshold_before + weight * (threshold - threshold_before),
        }
    }

    /// True accept rate at the false accept rate `far`: the share of positive pairs at or below the greatest distance
    /// of a negative pair up to which the share of negative pairs is no more than `far`. Without ties that is the
    /// nearest negative pair number [`admitted`].
    ///
    /// Negative pairs that are equally near are accepted together or not at all. Where already the nearest are too
    /// many, none is accepted, and of the positive pairs those that are nearer still: none, if the network maps all
    /// images to one point. `None` with fewer than `1 / far` negative pairs.
    pub fn tar_at_far(&self, far: f64) -> Option<OperatingPoint> {
        let pairs = self.negative.pairs();
        let admitted = (admitted(far, pairs as usize) as u64).min(pairs);
        let last = admitted.checked_sub(1)?;
        let threshold = match self.negative.of_pair(admitted) {
            // The first that must stay outside takes those with it that are as far.
            Some(outside) => match self.negative.below(outside).checked_sub(1) {
                Some(inside) => self.negative.of_pair(inside)?,
                None => outside.next_down(),
            },
            None => self.negative.of_pair(last)?,
        };
        Some(OperatingPoint { rate: self.tar(threshold), threshold: f64::from(threshold) })
    }

    /// 95 % percentile intervals by the bootstrap: the middle of the rates of `replicas` replicas of this ROC, each of
    /// as many positive pairs, drawn from the positive ones with replacement, and as many negative pairs likewise.
    ///
    /// Replica `i` draws the numbers that NumPy's `default_rng(seed << 32 | i)` does, first for the positive and then
    /// for the negative pairs, both in ascending order of their distances. The rates of a replica are defined as those
    /// of the ROC: a pair that is drawn twice is two that tie.
    ///
    /// The pairs are drawn as if independent. They share images, so that the intervals are a little too narrow. A TAR
    /// at a FAR that admits only a few negative pairs hangs on those few, and its interval is rough.
    ///
    /// Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993).
    ///
    /// # Panics
    ///
    /// If there is no replica, or the pairs are counted.
    pub fn bootstrap(&self, replicas: u32, seed: u32) -> Intervals {
        assert!(!self.is_counted(), "replicas are drawn of pairs one by one");
        let (positive, negative) = (self.positive(), self.negative());
        let steps = self.steps();
        let admitted = FARS.map(|far| admitted(far, negative.len()) as u64);
        let rates: Vec<Rates> = (0..replicas)
            .into_par_iter()
            .map_init(
                || (vec![0; positive.len()], vec![0; negative.len()]),
                |(positive, negative), replica| {
                    let mut rng = NumpyRng::new(u64::from(seed) << 32 | u64::from(replica));
                    resample(positive, &mut rng);
                    resample(negative, &mut rng);
                    Rates::of(&steps, positive, negative, &admitted)
                },
            )
            .collect();
        let interval = |rate: &dyn Fn(&Rates) -> f64| Interval::of(rates.iter().map(rate).collect());
        Intervals {
            auc: interval(&|rates| rates.auc),
            eer: interval(&|rates| rates.eer),
            tar_at_far: [0, 1, 2].map(|at| (admitted[at] > 0).then(|| interval(&|rates| rates.tar[at]))),
        }
    }

    /// How many positive and how many negative pairs lie at or below each distance that occurs, in ascending order.
    fn steps(&self) -> Vec<(usize, usize)> {
        let mut steps = Vec::new();
        let (mut positive, mut negative) = (0, 0);
        loop {
            let next = match (self.positive().get(positive), self.negative().get(negative)) {
                (Some(&a), Some(&b)) => a.min(b),
                (Some(&only), None) | (None, Some(&only)) => only,
                (None, None) => return steps,
            };
            positive += self.positive()[positive..].iter().take_while(|&&distance| distance == next).count();
            negative += self.negative()[negative..].iter().take_while(|&&distance| distance == next).count();
            steps.push((positive, negative));
        }
    }
}

/// Draws as many pairs as there are, with replacement; `counts` becomes how often each was drawn.
fn resample(counts: &mut [u32], rng: &mut NumpyRng) {
    let pairs = u32::try_from(counts.len()).expect("pairs are counted in 32 bits");
    counts.fill(0);
    (0..pairs).for_each(|_| counts[rng.below(pairs) as usize] += 1);
}

/// Where between two points (FAR, FRR) of an ROC the two rates are equal: 0 at `before`, 1 at `after`.
fn crossing(before: (f64, f64), after: (f64, f64)) -> f64 {
    let gap_before = before.1 - before.0;
    gap_before / (gap_before + (after.0 - after.1))
}

/// The rates of one replica.
struct Rates {
    auc: f64,
    eer: f64,
    /// At [`FARS`]; 0 where no negative pair is admitted.
    tar: [f64; 3],
}

impl Rates {
    /// `positive` and `negative` say how often each pair counts, in the order of the [`Roc`], and `steps` where its
    /// distances end; `admitted` are the negative pairs that each of [`FARS`] admits.
    fn of(steps: &[(usize, usize)], positive: &[u32], negative: &[u32], admitted: &[u64; 3]) -> Rates {
        let (positives, negatives) = (positive.len() as u64, negative.len() as u64);
        let point = |accepted: (u64, u64)| {
            (accepted.1 as f64 / negatives as f64, (positives - accepted.0) as f64 / positives as f64)
        };
        let mut wrong = 0;
        let mut eer = None;
        let mut tar = [0.0; 3];
        let mut start = (0, 0);
        // Positive pairs at or below the last distance of a negative pair.
        let mut at_negative = None;
        // Positive and negative pairs at or below the last step.
        let mut before = (0, 0);
        for &end in steps {
            let sum = |counts: &[u32]| counts.iter().map(|&count| u64::from(count)).sum::<u64>();
            let (right, false_ones) = (sum(&positive[start.0..end.0]), sum(&negative[start.1..end.1]));
            let after = (before.0 + right, before.1 + false_ones);
            wrong += right * (before.1 + after.1);
            if eer.is_none() && after.1 * positives >= (positives - after.0) * negatives {
                let (far, frr) = point(after);
                eer = Some(if before == (0, 0) {
                    (far + frr) / 2.0
                } else {
                    let from = point(before);
                    from.0 + crossing(from, (far, frr)) * (far - from.0)
                });
            }
            if false_ones > 0 {
                for (tar, &admitted) in tar.iter_mut().zip(admitted) {
                    // Here lie the first negative pairs that must stay outside.
                    if before.1 <= admitted && admitted < after.1 {
                        *tar = at_negative.unwrap_or(before.0) as f64 / positives as f64;
                    }
                }
                at_negative = Some(after.0);
            }
            (start, before) = (end, after);
        }
        let auc = 1.0 - wrong as f64 / positives as f64 / (2 * negatives) as f64;
        Rates { auc, eer: eer.expect("at the largest distance all is accepted"), tar }
    }
}
