//! Which pictures of a set lie far from their identity, or near another: probable errors of its labels, and pictures
//! that show nobody well.
//!
//! Of each picture: the squared distance to the mean of its identity's other pictures, `own`, that to the nearest mean
//! of another identity, `other`, and `own / (own + other)`, its score. At 1/2 it is as near to another identity as to
//! its own; near 1 it is another's; near 0 it is where it belongs. Unlike a distance, the score is the same for
//! identities whose pictures vary much and such whose pictures are all alike, and for a model that was trained on the
//! errors itself.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::embed::neighbours;
use crate::error::Result;
use crate::eval::{Embedded, squared_distance};
use crate::run::Runner;

/// How a picture lies between its own identity and the nearest other one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Its row.
    pub row: usize,
    /// Squared distance to the mean of the other pictures of its identity.
    pub own: f32,
    /// The label of the nearest other identity.
    pub label: u32,
    /// Squared distance to the mean of that.
    pub other: f32,
}

impl Place {
    /// From 0, in the midst of its identity, to 1, in the midst of another one.
    pub fn score(&self) -> f32 {
        let sum = self.own + self.other;
        // All at one point are no nearer to one than to the other.
        if sum > 0.0 { self.own / sum } else { 0.5 }
    }
}

/// The places of all pictures whose identity has another one, those of the highest score first; of one score, in the
/// order of their rows. None where there is but one identity.
///
/// Takes as much work as there are pairs of a picture and an identity; the memory for a tile of them, and a copy of the
/// embeddings. `progress` hears how many pictures are done.
///
/// # Errors
/// What the device reports.
pub fn places<R: Runner>(runner: &R, e: Embedded, progress: impl FnMut(usize)) -> Result<Vec<Place>> {
    let embedding = |row: usize| &e.values[row * e.dims..][..e.dims];
    let mut rows_by_label: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, &label) in e.labels.iter().enumerate() {
        rows_by_label.entry(label).or_default().push(row);
    }
    if rows_by_label.len() < 2 {
        return Ok(Vec::new());
    }
    let sums: BTreeMap<u32, Vec<f64>> = rows_by_label
        .par_iter()
        .map(|(&label, rows)| {
            let mut sum = vec![0.0; e.dims];
            for &row in rows {
                sum.iter_mut().zip(embedding(row)).for_each(|(sum, &value)| *sum += f64::from(value));
            }
            (label, sum)
        })
        .collect();
    let labels: Vec<u32> = rows_by_label.keys().copied().collect();
    let mean = |label: &u32| {
        let count = rows_by_label[label].len() as f64;
        sums[label].iter().map(move |sum| (sum / count) as f32)
    };
    let means: Vec<f32> = labels.iter().flat_map(mean).collect();
    // One of the two nearest is another identity's.
    let nearest = neighbours(runner, &means, e.values, e.dims, 2, progress)?;
    let place = |(row, &label): (usize, &u32)| {
        let count = rows_by_label[&label].len();
        if count < 2 {
            return None;
        }
        let others: Vec<f32> = sums[&label]
            .iter()
            .zip(embedding(row))
            .map(|(sum, &value)| ((sum - f64::from(value)) / (count - 1) as f64) as f32)
            .collect();
        let found = nearest[2 * row..][..2].iter().map(|&found| found as usize).find(|&found| labels[found] != label);
        let found = found.expect("an identity is among the two nearest once");
        Some(Place {
            row,
            own: squared_distance(embedding(row), &others),
            label: labels[found],
            other: squared_distance(embedding(row), &means[found * e.dims..][..e.dims]),
        })
    };
    let mut places: Vec<Place> = e.labels.par_iter().enumerate().filter_map(place).collect();
    places.sort_by(|a, b| b.score().total_cmp(&a.score()).then(a.row.cmp(&b.row)));
    Ok(places)
}
