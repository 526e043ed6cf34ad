//! What a report shows of a trained network, as plain data: curves, histograms, a map, and images that say more than
//! a figure does. It is made once, after the evaluation, and kept beside the checkpoint; a page is made from it without
//! device and data.
//!
//! Labels are *classes* here: places in [`Figures::classes`], the names of the labels that occur. Images are *tiles*:
//! places in [`Figures::sprite`]. Distances are squared Euclidean, except those of [`Triplet`].

mod map;
mod sprite;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::data::{Dataset, Parts};
use crate::embed::{self, Evaluated};
use crate::error::Result;
use crate::eval::{Embedded, Evaluation, FARS, Nearest, Roc, nearest_of_gallery, squared_distance};
use crate::losses::Loss;
use crate::losses::triplet::Margin;
use crate::net::Net;
use crate::run::Runner;
use crate::sampler::{Batch, Mining, Sampler};

pub use map::{pca, tsne};
pub use sprite::{SIDE, Sprite, Tiles};

/// Version of the layout of [`Figures`].
pub const VERSION: u32 = 2;
/// Points of the map at most.
pub const POINTS: usize = 1500;
/// Points of the ROC at most.
pub const ROC_POINTS: usize = 400;
/// Bins of the histogram.
pub const BINS: usize = 64;
/// Triplets shown at most.
const TRIPLETS: usize = 12;
/// Identities of the gallery shown at most.
const IDENTITIES: usize = 60;
/// Recognitions shown of an identity at most, right ones and wrong ones each.
const RECOGNITIONS: usize = 5;
/// Errors shown at most.
const ERRORS: usize = 24;
/// Classes that are few: a matrix has room for them, and one sees them all.
const FEW: usize = 30;
/// Identities of the gallery that are shown of more than [`IDENTITIES`].
const SOME: usize = 20;
/// Pairs of classes shown at most.
const PAIRS: usize = 30;
/// Worst and best classes shown at most.
const STANDINGS: usize = 12;
/// Images shown of one of them.
const OF_STANDING: usize = 6;

/// Everything that a report shows of one evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// [`VERSION`] of the program that wrote them.
    pub version: u32,
    /// The training step that left the weights.
    pub step: u64,
    /// Names of the labels that occur, by ascending label.
    pub classes: Vec<String>,
    /// The figures themselves.
    pub evaluation: Evaluation,
    /// Test images by class and by the answer of their nearest training images; pairs that occur, ascending. Images of
    /// classes that no training image has are not among them.
    pub confusion: Vec<Confused>,
    /// How far pairs of test images are apart; without bins where there are no pairs.
    pub histogram: Histogram,
    /// The ROC of these distances, thinned; empty where there are none.
    pub roc: Vec<RocPoint>,
    /// The operating points that an evaluation names.
    pub marks: Vec<Mark>,
    /// Test images in the plane.
    pub map: Map,
    /// Triplets of the last batch.
    pub triplets: Vec<Triplet>,
    /// Recognition by one image of each class.
    pub gallery: Vec<Identity>,
    /// The test images that lie worst among others, the worst first.
    pub errors: Vec<Misplaced>,
    /// Of many classes, those that are taken for each other most by the nearest other test image, most first.
    #[serde(default)]
    pub mistaken: Vec<Mistaken>,
    /// Of many classes, those whose images find each other worst, the worst first.
    #[serde(default)]
    pub worst: Vec<Standing>,
    /// And best, the best first.
    #[serde(default)]
    pub best: Vec<Standing>,
    /// All images.
    pub sprite: Sprite,
}

/// Test images of one class with one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confused {
    /// Their class.
    pub class: u32,
    /// The class they were taken for.
    pub answer: u32,
    /// How many there are.
    pub count: u32,
}

/// How many pairs have which distance, in bins of one width from zero on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Width of a bin.
    pub width: f64,
    /// Pairs of one class, by bin.
    pub positive: Vec<u64>,
    /// Pairs of two classes, by bin.
    pub negative: Vec<u64>,
}

/// A point of an ROC.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// The distance up to which pairs are accepted.
    pub threshold: f64,
    /// The share of negative pairs accepted.
    pub far: f64,
    /// The share of positive pairs accepted.
    pub tar: f64,
}

/// A point of an ROC with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// `EER`, `FAR 1e-3`, …
    pub name: String,
    /// Where it lies.
    #[serde(flatten)]
    pub point: RocPoint,
}

/// An image, and what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its place in the sprite.
    pub tile: u32,
    /// Its class.
    pub class: u32,
}

/// An image at a distance from another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Near {
    /// The image.
    #[serde(flatten)]
    pub shown: Shown,
    /// The distance.
    pub distance: f32,
}

/// Test images in the plane, evenly picked from the whole set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// The images.
    pub points: Vec<Shown>,
    /// The class each was taken for; empty where there was no training image to compare with.
    pub answers: Vec<u32>,
    /// Where they lie in the plane of the largest variance.
    pub pca: Vec<[f32; 2]>,
    /// Where t-SNE puts them; empty where they are too few for it.
    pub tsne: Vec<[f32; 2]>,
}

/// A triplet of the last batch, measured by the distance of the loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triplet {
    /// The anchor.
    pub anchor: Shown,
    /// An image of the same class.
    pub positive: Near,
    /// An image of another class.
    pub negative: Near,
}

/// An image of the gallery, and test images that were taken for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The enrolled image.
    pub enrolled: Shown,
    /// Other test images of its class.
    pub probes: u32,
    /// Of these, how many were recognised.
    pub recognised: u32,
    /// How many of other classes were taken for it.
    pub mistaken: u32,
    /// Some that were recognised, from the nearest to the farthest.
    pub right: Vec<Near>,
    /// Some that were mistaken for it, the nearest first.
    pub wrong: Vec<Near>,
}

/// A test image, and what it lies nearest to among the other test images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Misplaced {
    /// The image.
    pub image: Shown,
    /// The class it was taken for, if there were training images to compare with.
    pub answer: Option<u32>,
    /// The nearest of its own class.
    pub own: Near,
    /// The nearest of any other.
    pub other: Near,
}

/// Two classes whose test images lie nearest to one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistaken {
    /// How many images of either do.
    pub count: u32,
    /// How many images both have.
    pub of: u32,
    /// The one that is nearest to the other class, compared with its own.
    pub image: Shown,
    /// What it is nearest to.
    pub taken_for: Near,
}

/// How the test images of a class stand among all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The class.
    pub class: u32,
    /// Its images.
    pub images: u32,
    /// How many of them have one of their own class as the nearest.
    pub found: u32,
    /// How far the nearest of the own class is, in that of the nearest of another: the geometric mean over its images.
    pub ratio: f64,
    /// Some of its images, each with the nearest of another class, the nearest first.
    pub shown: Vec<Stranger>,
}

/// An image, and the nearest of another class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stranger {
    /// The image.
    pub image: Shown,
    /// The nearest of another class.
    pub other: Near,
    /// Whether it is nearer than the nearest of the own class.
    pub nearer: bool,
}

/// A row, and how far it is from another.
type At = (u32, f32);

/// The labels that occur.
struct Classes {
    /// Ascending.
    labels: Vec<u32>,
}

impl Classes {
    fn of(parts: &Parts) -> Classes {
        let sets = [&parts.train, &parts.evaluation.train, &parts.evaluation.test];
        let mut labels: Vec<u32> = sets.iter().flat_map(|set| &set.labels).copied().collect();
        labels.sort_unstable();
        labels.dedup();
        Classes { labels }
    }

    fn class(&self, label: u32) -> u32 {
        self.labels.binary_search(&label).expect("a label that occurs") as u32
    }
}

/// What several figures need: where the images are collected, and what classes there are.
struct Show<'a> {
    tiles: Tiles<'a>,
    classes: Classes,
}

impl<'a> Show<'a> {
    fn shown(&mut self, data: &'a Dataset, row: u32) -> Shown {
        let row = row as usize;
        Shown { tile: self.tiles.add(data.image(row)), class: self.classes.class(data.labels[row]) }
    }

    fn near(&mut self, data: &'a Dataset, (row, distance): At) -> Near {
        Near { shown: self.shown(data, row), distance }
    }

    fn map(&mut self, data: &'a Dataset, e: Embedded, answers: &[u32]) -> Map {
        let picked = evenly(data.len(), POINTS);
        let values: Vec<f32> = picked.iter().flat_map(|&row| e.row(row)).copied().collect();
        Map {
            points: picked.iter().map(|&row| self.shown(data, row)).collect(),
            answers: picked.iter().filter_map(|&row| answers.get(row as usize)).copied().collect(),
            pca: pca(&values, e.dims),
            tsne: tsne(&values, e.dims),
        }
    }

    fn triplet(&mut self, batch: &'a Dataset, (anchor, positive, negative): (u32, At, At)) -> Triplet {
        Triplet {
            anchor: self.shown(batch, anchor),
            positive: self.near(batch, positive),
            negative: self.near(batch, negative),
        }
    }

    fn identity(&mut self, data: &'a Dataset, Taken { enrolled, right, wrong }: &Taken) -> Identity {
        let label = data.labels[*enrolled as usize];
        let images = data.labels.iter().filter(|&&own| own == label).count();
        let some = evenly(right.len(), RECOGNITIONS);
        Identity {
            enrolled: self.shown(data, *enrolled),
            probes: images as u32 - 1,
            recognised: right.len() as u32,
            mistaken: wrong.len() as u32,
            right: some.iter().map(|&at| self.near(data, right[at as usize])).collect(),
            wrong: wrong.iter().take(RECOGNITIONS).map(|&probe| self.near(data, probe)).collect(),
        }
    }

    /// Which classes are taken for each other, and how each stands, the worst first; by the [`Nearest`] of images.
    fn standings(&mut self, data: &'a Dataset, nearest: &[Nearest]) -> (Vec<Mistaken>, Vec<Standing>, Vec<Standing>) {
        let label = |row: u32| data.labels[row as usize];
        let mut sizes: BTreeMap<u32, u32> = BTreeMap::new();
        data.labels.iter().for_each(|&label| *sizes.entry(label).or_default() += 1);
        let mut pairs: BTreeMap<[u32; 2], (u32, Nearest)> = BTreeMap::new();
        let mut classes: BTreeMap<u32, Vec<Nearest>> = BTreeMap::new();
        // The worst placed first: the first of a pair or class is what shows it.
        for nearest in misplaced(nearest) {
            classes.entry(label(nearest.row)).or_default().push(nearest);
            if is_mistaken(&nearest) {
                let mut pair = [label(nearest.row), label(nearest.other.0)];
                pair.sort_unstable();
                pairs.entry(pair).or_insert((0, nearest)).0 += 1;
            }
        }
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by(|(_, (a, first)), (_, (b, second))| b.cmp(a).then(ratio(first).total_cmp(&ratio(second))));
        let mistaken = pairs.into_iter().take(PAIRS).map(|([a, b], (count, nearest))| Mistaken {
            count,
            of: sizes[&a] + sizes[&b],
            image: self.shown(data, nearest.row),
            taken_for: self.near(data, nearest.other),
        });
        let mistaken = mistaken.collect();

        let mut standings: Vec<(u32, f64, f64, Vec<Nearest>)> = classes
            .into_iter()
            .map(|(label, images)| {
                let count = images.len() as f64;
                let found = images.iter().filter(|nearest| !is_mistaken(nearest)).count();
                let apart =
                    images.iter().map(|nearest| f64::from(ratio(nearest).max(f32::MIN_POSITIVE)).ln()).sum::<f64>();
                (label, found as f64 / count, (-apart / count / 2.0).exp(), images)
            })
            .collect();
        standings.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.2.total_cmp(&a.2)).then(a.0.cmp(&b.0)));
        let mut standing = |(label, _, ratio, images): &(u32, f64, f64, Vec<Nearest>)| Standing {
            class: self.classes.class(*label),
            images: sizes[label],
            found: images.iter().filter(|nearest| !is_mistaken(nearest)).count() as u32,
            ratio: *ratio,
            shown: images
                .iter()
                .take(OF_STANDING)
                .map(|nearest| Stranger {
                    image: self.shown(data, nearest.row),
                    other: self.near(data, nearest.other),
                    nearer: is_mistaken(nearest),
                })
                .collect(),
        };
        let half = STANDINGS.min(standings.len() / 2);
        let worst = standings.iter().take(half).map(&mut standing).collect();
        let best = standings.iter().rev().take(half).map(&mut standing).collect();
        (mistaken, worst, best)
    }

    fn misplaced(&mut self, data: &'a Dataset, nearest: &Nearest, answers: &[u32]) -> Misplaced {
        Misplaced {
            image: self.shown(data, nearest.row),
            answer: answers.get(nearest.row as usize).copied(),
            own: self.near(data, nearest.own),
            other: self.near(data, nearest.other),
        }
    }
}

impl Figures {
    /// The figures of an evaluation of the parameters of `runner`, as training step `step` left them.
    ///
    /// # Errors
    /// What the device reports: the images of the last batch are embedded.
    pub fn of<R: Runner>(
        runner: &R,
        net: &Net,
        config: &Config,
        parts: &Parts,
        step: u64,
        evaluated: &Evaluated,
    ) -> Result<Figures> {
        let Evaluated { evaluation, test, answers, nearest } = evaluated;
        let data = &parts.evaluation.test;
        let e = Embedded { values: test, dims: net.dims(), labels: &data.labels };
        let rows = Sampler::new(&parts.train.labels, config.seed, config.batch)?.batch(step.saturating_sub(1));
        let batch = parts.train.subset(
            format!("{}, last batch", parts.train.name),
            &rows.iter().map(|&row| row as usize).collect::<Vec<_>>(),
        );
        let batch_values = embed::embed(runner, net, &batch, config.scale(), |_| ())?;
        let batch_embedded = Embedded { values: &batch_values, dims: net.dims(), labels: &batch.labels };

        let tiles = Tiles::new([data.height, data.width, data.channels]);
        let mut show = Show { tiles, classes: Classes::of(parts) };
        let answers: Vec<u32> = answers.iter().map(|&label| show.classes.class(label)).collect();
        let known: HashSet<u32> = parts.evaluation.train.labels.iter().copied().collect();
        let judged = data.labels.iter().zip(&answers).filter(|(label, _)| known.contains(label));
        let (truth, judged): (Vec<u32>, Vec<u32>) =
            judged.map(|(&label, &answer)| (show.classes.class(label), answer)).unzip();
        let margin = if let Loss::Triplet(triplet) = config.loss { Some(triplet.margin) } else { None };
        let unit = config.loss.distance().scale(net.dims());
        let triplets = triplets(batch_embedded, &rows, config.batch, margin, unit);
        let gallery = recognitions(e, &evaluation.gallery);
        let map = show.map(data, e, &answers);
        let triplets = triplets.into_iter().map(|triplet| show.triplet(&batch, triplet)).collect();
        let some = if gallery.len() > IDENTITIES { SOME } else { gallery.len() };
        let gallery = gallery.iter().take(some).map(|taken| show.identity(data, taken)).collect();
        let (mistaken, worst, best) =
            if evaluation.gallery.len() > FEW { show.standings(data, nearest) } else { Default::default() };
        let errors = misplaced(nearest);
        let errors = errors.iter().take(ERRORS).map(|nearest| show.misplaced(data, nearest, &answers)).collect();
        let classes = show.classes.labels.iter().map(|&label| data.label_name(label)).collect();
        let roc = evaluation.roc.as_ref();
        Ok(Figures {
            version: VERSION,
            step,
            classes,
            evaluation: Evaluation { roc: None, ..evaluation.clone() },
            confusion: confusion(&truth, &judged),
            histogram: roc.map_or_else(Histogram::default, |roc| histogram(roc, BINS)),
            roc: roc.map(|roc| thin_roc(roc, ROC_POINTS)).unwrap_or_default(),
            marks: roc.map(marks).unwrap_or_default(),
            map,
            triplets,
            gallery,
            errors,
            mistaken,
            worst,
            best,
            sprite: show.tiles.sprite()?,
        })
    }
}

/// At most `most` of the numbers below `all`, evenly spaced; the first and the last are among them.
pub fn evenly(all: usize, most: usize) -> Vec<u32> {
    let count = all.min(most);
    (0..count).map(|at| (at * all.saturating_sub(1) / count.saturating_sub(1).max(1)) as u32).collect()
}

/// How many images of each class got which answer; pairs that occur, ascending by class and answer.
pub fn confusion(classes: &[u32], answers: &[u32]) -> Vec<Confused> {
    let mut counts: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    classes.iter().zip(answers).for_each(|(&class, &answer)| *counts.entry((class, answer)).or_default() += 1);
    counts.into_iter().map(|((class, answer), count)| Confused { class, answer, count }).collect()
}

/// The distances behind an ROC, counted in `bins` bins from zero to the largest.
pub fn histogram(roc: &Roc, bins: usize) -> Histogram {
    let largest = [roc.positive(), roc.negative()].map(|distances| distances.last().copied().unwrap_or(0.0));
    let largest = f64::from(largest[0].max(largest[1]));
    // Where all images lie at one point, one bin holds all pairs.
    let width = if largest > 0.0 { largest / bins as f64 } else { 1.0 };
    let count = |distances: &mut dyn Iterator<Item = (f32, u64)>| {
        let mut counts = vec![0; bins];
        distances.for_each(|(distance, pairs)| {
            counts[((f64::from(distance) / width) as usize).min(bins - 1)] += pairs;
        });
        counts
    };
    Histogram { width, positive: count(&mut roc.positive_counts()), negative: count(&mut roc.negative_counts()) }
}

/// At most `most` points of an ROC, which stand evenly along the curve as it is drawn: the false accept rate by its
/// logarithm. The first and the last point are among them.
pub fn thin_roc(roc: &Roc, most: usize) -> Vec<RocPoint> {
    let points: Vec<RocPoint> = roc
        .points()
        .into_iter()
        .map(|(threshold, far, tar)| RocPoint { threshold: f64::from(threshold), far, tar })
        .collect();
    if points.len() <= most {
        return points;
    }
    let [_, negatives] = roc.pairs().map(|pairs| pairs as f64);
    let decades = negatives.log10().max(1.0);
    let across = |point: &RocPoint| point.far.max(1.0 / negatives).log10() / decades;
    let mut length = 0.0;
    let lengths: Vec<f64> = std::iter::once(0.0)
        .chain(points.windows(2).map(|pair| {
            length += (across(&pair[1]) - across(&pair[0])).hypot(pair[1].tar - pair[0].tar);
            length
        }))
        .collect();
    // The first point at or beyond each of the even lengths.
    let mut kept: Vec<usize> = (0..most - 1)
        .map(|at| lengths.partition_point(|&own| own < length * at as f64 / (most - 1) as f64))
        .chain([points.len() - 1])
        .collect();
    kept.dedup();
    kept.into_iter().map(|at| points[at]).collect()
}

/// The equal error rate, and each false accept rate that there are pairs enough for.
fn marks(roc: &Roc) -> Vec<Mark> {
    let mark = |name: String, threshold: f64| {
        let limit = threshold as f32;
        Mark { name, point: RocPoint { threshold, far: roc.far(limit), tar: roc.tar(limit) } }
    };
    let fars = FARS.into_iter().filter_map(|far| Some(mark(format!("FAR {far:e}"), roc.tar_at_far(far)?.accepting()?)));
    std::iter::once(mark("EER".to_owned(), roc.equal_error().threshold)).chain(fars).collect()
}

/// Triplets of a batch that show what taught the network, as places in the batch: of drawn ones the first; of mined
/// ones the costliest of each label, with the farthest positive of its anchor and the negative that `batch` mines to
/// it; without a margin, of another loss, the nearest. `rows` are the images of the batch, `unit` the factor on squared
/// distances that the loss has.
fn triplets(e: Embedded, rows: &[u32], batch: Batch, margin: Option<Margin>, unit: f32) -> Vec<(u32, At, At)> {
    let distance = |a: u32, b: u32| unit * squared_distance(e.row(a), e.row(b));
    let (hardest_only, all) = match batch {
        Batch::Random { triplets, .. } => {
            let count = triplets as u32;
            let drawn = |anchor: u32| {
                let [positive, negative] = [count + anchor, 2 * count + anchor];
                (anchor, (positive, distance(anchor, positive)), (negative, distance(anchor, negative)))
            };
            return (0..count.min(TRIPLETS as u32)).map(drawn).collect();
        }
        Batch::Mined { mining, .. } => (margin.is_none() || mining != Mining::SemiHard, 0..rows.len() as u32),
    };
    // Without a bound of its own the soft margin takes every farther negative.
    let width = if let Some(Margin::Hinge(width)) = margin { width } else { f32::INFINITY };
    let label = |at: u32| e.labels[at as usize];
    let mined = |anchor: u32| {
        let to = |at: u32| (at, distance(anchor, at));
        let same = all.clone().filter(|&at| label(at) == label(anchor) && rows[at as usize] != rows[anchor as usize]);
        let positive = same.map(to).max_by(|a, b| a.1.total_cmp(&b.1))?;
        let negatives = || all.clone().filter(|&at| label(at) != label(anchor)).map(to);
        let nearest = |a: &At, b: &At| a.1.total_cmp(&b.1);
        let semi_hard = negatives().filter(|at| at.1 > positive.1 && at.1 < positive.1 + width).min_by(nearest);
        let negative = semi_hard.filter(|_| !hardest_only).or_else(|| negatives().min_by(nearest))?;
        Some((anchor, positive, negative))
    };
    let mut costliest: BTreeMap<u32, (u32, At, At)> = BTreeMap::new();
    for triplet in all.clone().filter_map(mined) {
        let cost = |(_, positive, negative): &(u32, At, At)| positive.1 - negative.1;
        let best = costliest.entry(label(triplet.0)).or_insert(triplet);
        if cost(&triplet) > cost(best) {
            *best = triplet;
        }
    }
    costliest.into_values().take(TRIPLETS).collect()
}

/// A row of a gallery, and the probes that are nearest to it, the nearest first.
struct Taken {
    enrolled: u32,
    right: Vec<At>,
    wrong: Vec<At>,
}

/// Recognition of every row by the nearest of `gallery`.
fn recognitions(e: Embedded, gallery: &[u32]) -> Vec<Taken> {
    if gallery.is_empty() {
        return Vec::new();
    }
    let answers = nearest_of_gallery(e, gallery);
    let enrolled: HashSet<u32> = gallery.iter().copied().collect();
    let mut taken: Vec<Taken> =
        gallery.iter().map(|&enrolled| Taken { enrolled, right: Vec::new(), wrong: Vec::new() }).collect();
    for (row, (place, distance)) in (0..).zip(answers) {
        if enrolled.contains(&row) {
            continue;
        }
        let Taken { enrolled, right, wrong } = &mut taken[place];
        let is_right = e.labels[*enrolled as usize] == e.labels[row as usize];
        if is_right { right } else { wrong }.push((row, distance));
    }
    for Taken { right, wrong, .. } in &mut taken {
        for probes in [right, wrong] {
            probes.sort_by(|a, b| a.1.total_cmp(&b.1));
        }
    }
    taken
}

/// How far the nearest row of another label is, in the distance of the nearest of the own; both squared.
fn ratio(nearest: &Nearest) -> f32 {
    nearest.other.1 / nearest.own.1.max(f32::MIN_POSITIVE)
}

/// Whether the nearest row is of another label; of equally near ones the lower is.
fn is_mistaken(nearest: &Nearest) -> bool {
    let key = |(row, distance): At| (distance.to_bits(), row);
    key(nearest.other) < key(nearest.own)
}

/// What rows lie nearest to, by how much nearer another label's row is than their own label's.
fn misplaced(nearest: &[Nearest]) -> Vec<Nearest> {
    let mut all = nearest.to_vec();
    all.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    all
}
