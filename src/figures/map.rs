//! Embeddings in the plane.

use bhtsne::{Neighbor, tSNE};
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

use crate::eval::squared_distance;

/// Neighbours that a point of t-SNE has, softly counted, where there are points enough.
const PERPLEXITY: usize = 30;
/// Neighbours taken into account for each point, by the perplexity; bhtsne has the same rule.
const NEIGHBOURS: usize = 3;
/// Steps of t-SNE.
const EPOCHS: usize = 500;
/// How coarse the Barnes-Hut tree may be; van der Maaten 2014 has the same.
const THETA: f64 = 0.5;

/// The two coordinates of largest variance of `values`, `[rows, dims]`; the second is zero where `dims` is one. Each
/// axis points to where its largest component does.
///
/// Source: Pearson, "On lines and planes of closest fit to systems of points in space" (1901).
///
/// # Panics
/// If `values` is not `[rows, dims]`.
pub fn pca(values: &[f32], dims: usize) -> Vec<[f32; 2]> {
    let rows = values.len() / dims;
    assert_eq!(values.len(), rows * dims, "values are [rows, dims]");
    let mut points = DMatrix::from_row_iterator(rows, dims, values.iter().map(|&value| f64::from(value)));
    for mut column in points.column_iter_mut() {
        let mean = column.mean();
        column.add_scalar_mut(-mean);
    }
    let eigen = SymmetricEigen::new(points.transpose() * &points);
    let mut order: Vec<usize> = (0..dims).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let coordinates: Vec<_> = order
        .iter()
        .take(2)
        .map(|&at| {
            let axis = eigen.eigenvectors.column(at);
            let largest = axis[axis.iamax()];
            &points * axis * largest.signum()
        })
        .collect();
    let at = |axis: usize, row: usize| coordinates.get(axis).map_or(0.0, |values| values[row] as f32);
    (0..rows).map(|row| [at(0, row), at(1, row)]).collect()
}

/// `values`, `[rows, dims]`, as t-SNE lays them out: neighbours stay neighbours, distances and sizes mean nothing. It
/// starts from [`pca`] (Kobak & Berens 2019) and gives the same bits for the same values. Empty with fewer than eight
/// rows, and where all are one point.
///
/// Source: van der Maaten, "Accelerating t-SNE using tree-based algorithms" (2014).
///
/// # Panics
/// If `values` is not `[rows, dims]`, or if no thread can be made.
pub fn tsne(values: &[f32], dims: usize) -> Vec<[f32; 2]> {
    let rows: Vec<&[f32]> = values.chunks_exact(dims).collect();
    let start = pca(values, dims);
    let spread = (start.iter().map(|point| f64::from(point[0]).powi(2)).sum::<f64>() / rows.len() as f64).sqrt();
    if rows.len() < 8 || spread < 1e-6 {
        return Vec::new();
    }
    let perplexity = PERPLEXITY.min((rows.len() - 1) / NEIGHBOURS);
    let neighbours = nearest(&rows, NEIGHBOURS * perplexity);
    // A start much smaller than the layout, so that it sets directions and nothing else.
    let start: Vec<f64> = start.as_flattened().iter().map(|&value| 1e-4 / spread * f64::from(value)).collect();
    let fit = || {
        let mut tsne = tSNE::<f64, &[f32], 2>::new(&rows);
        tsne.perplexity(perplexity as f64).epochs(EPOCHS).initial_embedding(start);
        tsne.barnes_hut_with_neighbors(THETA, &neighbours).embedding()
    };
    // On one thread sums have one order.
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    one.install(fit).chunks_exact(2).map(|point| [point[0] as f32, point[1] as f32]).collect()
}

/// The `count` nearest other rows of each row, the nearest first; of equally near ones the first.
fn nearest(rows: &[&[f32]], count: usize) -> Vec<Vec<Neighbor<f64>>> {
    let of = |(own, row): (usize, &&[f32])| {
        let others = rows.iter().enumerate().filter(|(index, _)| *index != own);
        let mut all: Vec<_> = others
            .map(|(index, other)| Neighbor { index, distance: f64::from(squared_distance(row, other)).sqrt() })
            .collect();
        all.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        all.truncate(count);
        all
    };
    rows.par_iter().enumerate().map(of).collect()
}
