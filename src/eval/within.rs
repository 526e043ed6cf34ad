//! A set within itself: what each row finds among all the others, and how random galleries recognise it. One pass over
//! the distances serves all of it.
//!
//! Of few labels each row is compared with all others and with each gallery. Of many, where that would grow with the
//! square of the labels, it asks for its nearest rows alone, as far as it takes until each gallery has shown one of
//! them: the first that a gallery shows is its answer.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::numpy::NumpyRng;
use super::tiles::{self, Rows, told};
use super::{Embedded, Interval, first_least, measurable, share, squared_distance};

/// The outcome of [`retrieval`]: means over the rows whose label has another row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Retrieval {
    /// The share of rows whose nearest other row has their label.
    pub recall_at_1: f64,
    /// The share of rows that have a row of their label among the 2 nearest.
    pub recall_at_2: f64,
    /// The same among the 4 nearest.
    pub recall_at_4: f64,
    /// The same among the 8 nearest.
    pub recall_at_8: f64,
    /// Of the R nearest rows the share that have the label, where R is how many there are.
    pub r_precision: f64,
    /// Mean average precision at R: the sum of the precision at each of the R nearest places that holds the label, over
    /// R.
    pub map_at_r: f64,
}

/// The outcome of [`one_shot_galleries`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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

/// A row, the nearest other row of its label, and the nearest row of another label, with their squared distances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// The row.
    pub row: u32,
    /// Of equally near ones the lower.
    pub own: (u32, f32),
    /// Of equally near ones the lower.
    pub other: (u32, f32),
}

/// What [`within`] finds.
pub struct Within {
    /// See [`retrieval`].
    pub retrieval: Option<Retrieval>,
    /// See [`one_shot_galleries`].
    pub galleries: Option<OneShotSpread>,
    /// Of each row that has both neighbours, ascending.
    pub nearest: Vec<Nearest>,
}

/// How well each row of `e` finds the other rows of its label by distance. `None` where no label has two rows, or where
/// an embedding is not [`measurable`].
///
/// Rows whose label has no other row ask nothing, but are found by others. Of equally near rows the lower is nearer.
/// Time grows with the square of the rows; memory with the rows.
///
/// Recall at K as in Oh Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding" (2016); R-precision
/// and MAP@R as in Musgrave et al., "A Metric Learning Reality Check" (2020). `precision_at_1`, `r_precision` and
/// `mean_average_precision_at_r` of pytorch-metric-learning are `recall_at_1`, `r_precision` and `map_at_r`.
pub fn retrieval(e: Embedded) -> Option<Retrieval> {
    measurable(e.values, e.dims, "").ok()?;
    within(e, 0, 0, |_| ()).retrieval
}

/// How well the rows of `probes` find the rows of their label in `gallery`, which are others: as [`retrieval`], where R
/// is how many the gallery has of the label. Probes whose label it lacks ask nothing; second comes how many did.
/// `None` where none did, or where an embedding is not [`measurable`].
///
/// # Panics
/// If the two differ in `dims`.
pub fn retrieval_from(gallery: Embedded, probes: Embedded) -> Option<(Retrieval, usize)> {
    assert_eq!(gallery.dims, probes.dims, "probes and gallery have one length");
    [gallery, probes].iter().try_for_each(|e| measurable(e.values, e.dims, "")).ok()?;
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    gallery.labels.iter().for_each(|&label| *sizes.entry(label).or_default() += 1);
    let relevant = |row: usize| sizes.get(&probes.labels[row]).copied().unwrap_or(0);
    let depth = |row: usize| if relevant(row) > 0 { relevant(row).max(DEPTH) } else { 0 };
    let visit = |row: usize, keys: &[u64]| {
        (relevant(row) > 0).then(|| Answer::of(probes.labels[row], gallery.labels, relevant(row), keys))
    };
    let answers = tiles::nearest(&Rows::new(probes), &Rows::new(gallery), false, depth, visit, |_| ());
    let answers: Vec<Answer> = answers.into_iter().flatten().collect();
    Some((Retrieval::of(&answers)?, answers.len()))
}

/// [`Retrieval::map_at_r`] alone.
pub fn map_at_r(e: Embedded) -> Option<f64> {
    retrieval(e).map(|found| found.map_at_r)
}

/// How one-shot accuracy varies with the gallery: [`one_shot`](super::one_shot) with each of `galleries` random ones.
/// `None` where there is no gallery, or no label has two rows.
///
/// A gallery is one row of each label, uniform and independent; they are the ones that NumPy's `default_rng(seed)`
/// draws, gallery by gallery, in ascending order of the labels. The range from `low` to `high` holds the accuracy of a
/// single random gallery 95 % of the time; it is not the error of the mean, which is far smaller.
pub fn one_shot_galleries(query: Embedded, galleries: usize, seed: u64) -> Option<OneShotSpread> {
    within(query, galleries, seed, |_| ()).galleries
}

/// The most neighbours that a recall looks at.
const DEPTH: usize = 8;
/// Rows between two words of progress.
const CHUNK: usize = 1024;
/// Labels up to which each row is compared with all of each gallery.
const FEW_LABELS: usize = 128;

/// All that is to be known of the rows of `e` among each other, `galleries` random galleries of `seed` included.
/// `progress` hears how many rows are done.
pub fn within(e: Embedded, galleries: usize, seed: u64, mut progress: impl FnMut(usize)) -> Within {
    let rows = e.labels.len();
    let among = Among::new(e, galleries, seed);
    let (mut answers, mut nearest, mut right) = (Vec::new(), Vec::new(), vec![0; galleries]);
    if among.members.len() > FEW_LABELS {
        let shown = Shown::new(&among, galleries);
        let visit = |row: usize, keys: &[u64]| among.ask_nearest(row as u32, keys, &shown);
        let depth = |row: usize| among.depth(row, &shown);
        let all = Rows::new(e);
        for found in tiles::nearest(&all, &all, true, depth, visit, progress) {
            answers.extend(found.answer);
            nearest.extend(found.nearest);
            found.right.into_iter().for_each(|gallery| right[gallery as usize] += 1);
        }
        return Within { retrieval: Retrieval::of(&answers), galleries: among.spread(right), nearest };
    }
    for start in (0..rows).step_by(CHUNK) {
        let end = (start + CHUNK).min(rows);
        let found: Vec<Found> = (start as u32..end as u32)
            .into_par_iter()
            .map_init(Scratch::default, |own, row| among.ask(row, own))
            .collect();
        for found in found {
            answers.extend(found.answer);
            nearest.extend(found.nearest);
            found.right.into_iter().for_each(|gallery| right[gallery as usize] += 1);
        }
        progress(end);
    }
    Within { retrieval: Retrieval::of(&answers), galleries: among.spread(right), nearest }
}

/// The rows, and what is asked about each.
struct Among<'a> {
    e: Embedded<'a>,
    /// The rows of each label.
    members: BTreeMap<u32, Vec<u32>>,
    /// The place of each label among the labels.
    places: BTreeMap<u32, usize>,
    /// A row of each label, gallery by gallery.
    shown: Vec<u32>,
}

/// Space that the rows of a thread share.
#[derive(Default)]
struct Scratch {
    distances: Vec<f32>,
    keys: Vec<u64>,
}

/// How one row fared.
struct Found {
    answer: Option<Answer>,
    nearest: Option<Nearest>,
    /// The galleries that recognise it.
    right: Vec<u32>,
}

/// How one row fared in retrieval.
struct Answer {
    /// The place of the nearest row of the label, from 0, if it is among those looked at.
    first: Option<usize>,
    r_precision: f64,
    average_precision: f64,
}

impl Answer {
    /// Of a row of `label`, which `relevant` others have, by the nearest others in their order; `labels` are theirs.
    fn of(label: u32, labels: &[u32], relevant: usize, keys: &[u64]) -> Answer {
        let mut first = None;
        let mut hits = 0;
        let mut precisions = 0.0;
        for (at, &key) in keys.iter().take(relevant.max(DEPTH)).enumerate() {
            if labels[key as u32 as usize] != label {
                continue;
            }
            first.get_or_insert(at);
            if at >= relevant {
                break;
            }
            hits += 1;
            precisions += f64::from(hits) / (at + 1) as f64;
        }
        let relevant = relevant as f64;
        Answer { first, r_precision: f64::from(hits) / relevant, average_precision: precisions / relevant }
    }
}

impl<'a> Among<'a> {
    fn new(e: Embedded<'a>, galleries: usize, seed: u64) -> Among<'a> {
        let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        (0..).zip(e.labels).for_each(|(row, label)| members.entry(*label).or_default().push(row));
        let mut rng = NumpyRng::new(seed);
        let mut gallery =
            || members.values().map(|rows| rows[rng.below(rows.len() as u32) as usize]).collect::<Vec<_>>();
        let shown = (0..galleries).flat_map(|_| gallery()).collect();
        let places = members.keys().copied().zip(0..).collect();
        Among { e, members, places, shown }
    }

    fn ask(&self, row: u32, Scratch { distances, keys }: &mut Scratch) -> Found {
        let own = self.e.row(row);
        distances.clear();
        distances.extend(self.e.rows().map(|other| squared_distance(own, other)));
        let label = self.e.labels[row as usize];
        let place = self.places[&label];
        let recognised = |gallery: &[u32]| {
            let nearest = first_least(gallery.iter().map(|&row| distances[row as usize])).0;
            nearest == place && gallery[place] != row
        };
        let galleries = (0..).zip(self.shown.chunks_exact(self.members.len()));
        let right = galleries.filter(|(_, gallery)| recognised(gallery)).map(|(number, _)| number).collect();
        let relevant = self.members[&label].len() - 1;
        Found {
            nearest: self.nearest(row, distances),
            right,
            answer: (relevant > 0).then(|| self.retrieve(row, relevant, distances, keys)),
        }
    }

    fn nearest(&self, row: u32, distances: &[f32]) -> Option<Nearest> {
        let (mut own, mut other) = ((row, f32::INFINITY), (row, f32::INFINITY));
        let label = self.e.labels[row as usize];
        for ((at, &distance), &at_label) in (0..).zip(distances).zip(self.e.labels) {
            let nearest = if at_label == label { &mut own } else { &mut other };
            if distance < nearest.1 && at != row {
                *nearest = (at, distance);
            }
        }
        (own.0 != row && other.0 != row).then_some(Nearest { row, own, other })
    }

    /// How many of the nearest rows a row asks for, of many labels: those of its label, one more, which is of another,
    /// and so many that of a thousand galleries each has most likely shown one of them.
    fn depth(&self, row: usize, shown: &Shown) -> usize {
        const ODDS: usize = 16;
        let relevant = self.members[&self.e.labels[row]].len() - 1;
        let of_galleries = if shown.words == 0 { 0 } else { ODDS * self.e.labels.len() / self.members.len() };
        (relevant + 1).max(DEPTH).max(of_galleries)
    }

    /// As [`Among::ask`], by the nearest other rows as [`tiles::nearest`] has them.
    fn ask_nearest(&self, row: u32, keys: &[u64], shown: &Shown) -> Found {
        let own = self.e.row(row);
        let label = self.e.labels[row as usize];
        let members = &self.members[&label];
        let others = members.iter().filter(|&&member| member != row);
        let mates = others.map(|&member| (member, squared_distance(own, self.e.row(member))));
        let mate = mates.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let stranger = keys.iter().map(|&key| told(key)).find(|found| self.e.labels[found.0] != label);
        let right = self.recognised(row, keys, shown).unwrap_or_else(|| {
            // Galleries that show none of those: all rows then, in their order.
            let others = (0_u64..).zip(self.e.rows()).filter(|&(at, _)| at != u64::from(row));
            let mut all: Vec<u64> =
                others.map(|(at, other)| u64::from(squared_distance(own, other).to_bits()) << 32 | at).collect();
            all.sort_unstable();
            self.recognised(row, &all, shown).expect("each gallery shows a row")
        });
        let relevant = members.len() - 1;
        Found {
            nearest: mate.zip(stranger).map(|(own, (at, distance))| Nearest { row, own, other: (at as u32, distance) }),
            right,
            answer: (relevant > 0).then(|| Answer::of(label, self.e.labels, relevant, keys)),
        }
    }

    /// The galleries that recognise `row`, by its nearest other rows; `None` where some show none of these.
    fn recognised(&self, row: u32, keys: &[u64], shown: &Shown) -> Option<Vec<u32>> {
        let place = |at: usize| self.places[&self.e.labels[at]];
        let own = place(row as usize);
        // Galleries without an answer: all but those that show the row itself, whose it is no probe.
        let mut open: Vec<u64> =
            shown.of(row as usize).iter().zip(&shown.all).map(|(shown, all)| all & !shown).collect();
        let mut right = Vec::new();
        let mut rest = keys;
        while open.iter().any(|&word| word != 0) {
            let (&first, _) = rest.split_first()?;
            let equal = rest.iter().take_while(|&&key| key >> 32 == first >> 32).count();
            // The last may not be all that are as near.
            if equal == rest.len() && keys.len() + 1 < self.e.labels.len() {
                return None;
            }
            // Of equally near ones of a gallery its first answers.
            let mut group: Vec<usize> = rest[..equal].iter().map(|&key| told(key).0).collect();
            group.sort_by_key(|&at| place(at));
            for at in group {
                let is_right = place(at) == own;
                for (word, (open, shown)) in open.iter_mut().zip(shown.of(at)).enumerate() {
                    let mut answered = *open & shown;
                    *open &= !shown;
                    while is_right && answered != 0 {
                        right.push(64 * word as u32 + answered.trailing_zeros());
                        answered &= answered - 1;
                    }
                }
            }
            rest = &rest[equal..];
        }
        Some(right)
    }

    /// How `row`, whose label `relevant` other rows have, fares by its distances to all rows.
    fn retrieve(&self, row: u32, relevant: usize, distances: &[f32], keys: &mut Vec<u64>) -> Answer {
        // Bits of distances, which are not negative, order as the distances do; below them, the row breaks ties.
        keys.clear();
        keys.extend(distances.iter().zip(0_u64..).map(|(distance, at)| u64::from(distance.to_bits()) << 32 | at));
        keys.swap_remove(row as usize);
        let depth = relevant.max(DEPTH);
        if depth < keys.len() {
            keys.select_nth_unstable(depth);
            keys.truncate(depth);
        }
        keys.sort_unstable();
        Answer::of(self.e.labels[row as usize], self.e.labels, relevant, keys)
    }

    /// The spread of the galleries, each of which recognised so many rows.
    fn spread(&self, right: Vec<usize>) -> Option<OneShotSpread> {
        let galleries = right.len();
        let probes = self.e.labels.len() - self.members.len();
        let accuracies = right.into_iter().map(|right| share(right, probes)).collect::<Option<Vec<f64>>>()?;
        let mean = accuracies.iter().sum::<f64>() / galleries as f64;
        (galleries > 0).then(|| {
            let Interval { low, high } = Interval::of(accuracies);
            OneShotSpread { mean, low, high, galleries }
        })
    }
}

/// Which galleries show each row, a bit each.
struct Shown {
    /// Words of 64 galleries.
    words: usize,
    /// `[rows, words]`
    bits: Vec<u64>,
    /// All galleries.
    all: Vec<u64>,
}

impl Shown {
    fn new(among: &Among, galleries: usize) -> Shown {
        let words = galleries.div_ceil(64);
        let (mut bits, mut all) = (vec![0; among.e.labels.len() * words], vec![0; words]);
        for (gallery, rows) in among.shown.chunks_exact(among.members.len()).enumerate() {
            let (word, bit) = (gallery / 64, 1 << (gallery % 64));
            all[word] |= bit;
            rows.iter().for_each(|&row| bits[row as usize * words + word] |= bit);
        }
        Shown { words, bits, all }
    }

    fn of(&self, row: usize) -> &[u64] {
        &self.bits[row * self.words..][..self.words]
    }
}

impl Retrieval {
    fn of(answers: &[Answer]) -> Option<Retrieval> {
        let recall_at =
            |k| share(answers.iter().filter(|answer| answer.first.is_some_and(|at| at < k)).count(), answers.len());
        let mean = |figure: fn(&Answer) -> f64| answers.iter().map(figure).sum::<f64>() / answers.len() as f64;
        Some(Retrieval {
            recall_at_1: recall_at(1)?,
            recall_at_2: recall_at(2)?,
            recall_at_4: recall_at(4)?,
            recall_at_8: recall_at(DEPTH)?,
            r_precision: mean(|answer| answer.r_precision),
            map_at_r: mean(|answer| answer.average_precision),
        })
    }
}
