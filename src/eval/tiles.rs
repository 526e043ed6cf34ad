//! Squared distances of many rows to many others, in tiles of bounded memory by products of matrices: near enough to
//! say which rows cannot be among the nearest, which are then measured one by one.

use std::ops::Range;

use rayon::prelude::*;

use super::{Embedded, squared_distance};
use crate::kernels::routines::product::{Matrix, product};

/// Rows of a tile: so many, that the columns are read often enough.
pub const ROWS: usize = 64;
/// Columns of a tile: its distances stay in the second-level cache.
pub const COLUMNS: usize = 1024;
/// Rows between two words of progress.
const CHUNK: usize = 4096;

/// Rows with the squares of their lengths.
pub struct Rows<'a> {
    e: Embedded<'a>,
    squares: Vec<f32>,
    largest: f32,
}

impl<'a> Rows<'a> {
    /// Of embeddings, which are [`measurable`](super::measurable).
    pub fn new(e: Embedded<'a>) -> Rows<'a> {
        let square = |row: &[f32]| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() as f32;
        let squares: Vec<f32> = e.rows().map(square).collect();
        let largest = squares.iter().copied().fold(0.0, f32::max);
        Rows { e, squares, largest }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.squares.len()
    }

    /// No squared distance between rows is larger, but for rounding.
    pub fn farthest(&self) -> f32 {
        4.0 * self.largest
    }

    /// Squared distances of `rows` to `columns` of `other`, `[rows, columns]`, each within [`Rows::slack`] of
    /// [`squared_distance`]; none is negative.
    pub fn squared(&self, rows: Range<usize>, other: &Rows, columns: Range<usize>, out: &mut Vec<f32>) {
        let dims = self.e.dims;
        let part = |rows: &Rows<'a>, range: &Range<usize>| &rows.e.values[range.start * dims..range.end * dims];
        out.resize(rows.len() * columns.len(), 0.0);
        let down = Matrix::new(part(self, &rows), rows.len(), dims);
        let across = Matrix::new(&other.e.values[columns.start * dims..columns.end * dims], columns.len(), dims);
        product(out, down, across.transposed(), false);
        let squares = &other.squares[columns.clone()];
        for (line, row) in out.chunks_exact_mut(columns.len().max(1)).zip(rows) {
            let own = self.squares[row];
            for (value, &square) in line.iter_mut().zip(squares) {
                *value = (own + square - 2.0 * *value).max(0.0);
            }
        }
    }

    /// How far a distance of a tile may be from [`squared_distance`]. Sums of n terms err by n half units in the last
    /// place of their magnitudes' sum at most, in whatever order (Higham, "Accuracy and Stability of Numerical
    /// Algorithms", 2002, section 3.1): n of both, twice, and some for the rest.
    fn slack(&self, row: usize, other: &Rows) -> f32 {
        (2 * self.e.dims + 64) as f32 * f32::EPSILON * (self.squares[row] + other.largest)
    }
}

/// The nearest of `references` to each of `queries`: `visit` is shown, of each query, the first `depth` of them, as
/// bits of [`squared_distance`] above 32 bits of the reference, ascending: of equally near ones the lower comes first.
/// `depth` is asked of the query. Where `is_within`, both are the same rows, and a row is no reference of its own. The
/// answers come in the order of the queries; `progress` hears how many are done.
pub fn nearest<T: Send>(
    queries: &Rows,
    references: &Rows,
    is_within: bool,
    depth: impl Fn(usize) -> usize + Sync,
    visit: impl Fn(usize, &[u64]) -> T + Sync,
    mut progress: impl FnMut(usize),
) -> Vec<T> {
    let mut answers = Vec::with_capacity(queries.len());
    for start in (0..queries.len()).step_by(CHUNK) {
        let end = (start + CHUNK).min(queries.len());
        let tiles: Vec<usize> = (start..end).step_by(ROWS).collect();
        let found: Vec<Vec<T>> = tiles
            .into_par_iter()
            .map_init(Vec::new, |tile, first| {
                let rows = first..(first + ROWS).min(end);
                let mut near: Vec<Near> =
                    rows.clone().map(|row| Near::new(depth(row), 2.0 * queries.slack(row, references))).collect();
                for column in (0..references.len()).step_by(COLUMNS) {
                    let columns = column..(column + COLUMNS).min(references.len());
                    queries.squared(rows.clone(), references, columns.clone(), tile);
                    for ((near, line), row) in near.iter_mut().zip(tile.chunks_exact(columns.len())).zip(rows.clone()) {
                        near.offer(line, column as u32, is_within.then_some(row as u32));
                    }
                }
                let visited = near
                    .into_iter()
                    .zip(rows)
                    .map(|(near, row)| visit(row, &near.ordered(queries.e.row(row as u32), references.e)));
                visited.collect()
            })
            .collect();
        answers.extend(found.into_iter().flatten());
        progress(end);
    }
    answers
}

/// What may be among the nearest of a row, so far.
struct Near {
    depth: usize,
    /// What two distances of a tile may be apart though they are equal.
    slack: f32,
    /// Nothing farther can be among them.
    bound: f32,
    /// Distances of tiles above rows.
    kept: Vec<u64>,
    /// How many are kept before the bound is taken anew.
    room: usize,
}

fn key(distance: f32, row: u32) -> u64 {
    // Bits of distances, which are not negative, order as the distances do; below them, the row breaks ties.
    u64::from(distance.to_bits()) << 32 | u64::from(row)
}

/// The row and the distance of a key.
pub fn told(key: u64) -> (usize, f32) {
    (key as u32 as usize, distance(key))
}

fn distance(key: u64) -> f32 {
    f32::from_bits((key >> 32) as u32)
}

impl Near {
    fn new(depth: usize, slack: f32) -> Near {
        Near { depth, slack, bound: f32::INFINITY, kept: Vec::new(), room: 4 * depth + 64 }
    }

    /// Takes in distances to the rows from `first` on, all but `own`.
    fn offer(&mut self, line: &[f32], first: u32, own: Option<u32>) {
        const LANES: usize = 16;
        for (part, start) in line.chunks(LANES).zip((first..).step_by(LANES)) {
            // Most parts hold none: that is seen at once.
            let least = part.iter().copied().fold(f32::INFINITY, |a, b| if b < a { b } else { a });
            if least > self.bound {
                continue;
            }
            for (&distance, row) in part.iter().zip(start..) {
                if distance <= self.bound && Some(row) != own {
                    self.kept.push(key(distance, row));
                }
            }
            if self.kept.len() > self.room {
                self.thin();
            }
        }
    }

    /// Drops what is too far by the nearest that are known.
    fn thin(&mut self) {
        if self.depth == 0 {
            self.kept.clear();
            self.bound = f32::NEG_INFINITY;
            return;
        }
        if self.kept.len() <= self.depth {
            return;
        }
        let last = *self.kept.select_nth_unstable(self.depth - 1).1;
        self.bound = distance(last) + self.slack;
        self.kept.retain(|&key| distance(key) <= self.bound);
        // Where many are as far as the last, they stay, and are not looked at again each time.
        self.room = self.room.max(2 * self.kept.len());
    }

    /// The nearest by their exact distances.
    fn ordered(mut self, own: &[f32], references: Embedded) -> Vec<u64> {
        self.thin();
        for kept in &mut self.kept {
            let row = *kept as u32;
            *kept = key(squared_distance(own, references.row(row)), row);
        }
        self.kept.sort_unstable();
        self.kept.truncate(self.depth);
        self.kept
    }
}
