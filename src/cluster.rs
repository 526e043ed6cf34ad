//! Groups of embeddings without labels.

use std::collections::HashMap;

use kodama::{Method, linkage};
use ndarray::ArrayView2;
use petal_clustering::{Dbscan, Fit};
use petal_neighbors::distance::Euclidean;
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Most rows for [`agglomerative`], whose distances take 4 bytes for each pair: 1.8 GB.
pub const MOST_ROWS: usize = 30_000;

/// Numbers clusters in the order in which they first appear.
fn in_order(clusters: impl Iterator<Item = Option<usize>>) -> Vec<Option<u32>> {
    let mut numbers = HashMap::new();
    clusters
        .map(|cluster| {
            let next = numbers.len() as u32;
            cluster.map(|cluster| *numbers.entry(cluster).or_insert(next))
        })
        .collect()
}

/// DBSCAN (Ester, Kriegel, Sander & Xu 1996) over embeddings `[rows, dims]`: a row with `min_rows` rows (itself
/// included) no farther than `distance` (squared Euclidean) is the core of a cluster, which its neighbours belong to.
/// Answers the cluster of each row; `None`: of none.
pub fn dbscan(embeddings: &[f32], dims: usize, distance: f32, min_rows: usize) -> Vec<Option<u32>> {
    let rows = embeddings.len() / dims;
    let points = ArrayView2::from_shape((rows, dims), embeddings).expect("whole rows");
    let (clusters, _) = Dbscan::new(distance.sqrt(), min_rows, Euclidean::default()).fit(&points, None);
    let mut found = vec![None; rows];
    for (cluster, rows) in clusters {
        rows.into_iter().for_each(|row| found[row] = Some(cluster));
    }
    in_order(found.into_iter())
}

/// Where the merging of [`agglomerative`] ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// Clusters farther apart than this (squared Euclidean) stay apart.
    Distance(f32),
    /// So many clusters are left.
    Clusters(usize),
}

/// Merges the two clusters whose rows are nearest on average (UPGMA on squared Euclidean distances) until `cut`.
/// Answers the cluster of each row.
///
/// # Errors
/// [`Error::Config`] for more than [`MOST_ROWS`] rows.
pub fn agglomerative(embeddings: &[f32], dims: usize, cut: Cut) -> Result<Vec<u32>> {
    let rows = embeddings.len() / dims;
    if rows > MOST_ROWS {
        let reason =
            format!("{rows} images are more than the {MOST_ROWS} whose distances fit; `--method dbscan` takes them");
        return Err(Error::config("--method", reason));
    }
    let row = |n: usize| &embeddings[n * dims..][..dims];
    let squared = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    // The upper triangle, row after row.
    let mut distances: Vec<f32> =
        (0..rows).into_par_iter().flat_map_iter(|a| (a + 1..rows).map(move |b| squared(row(a), row(b)))).collect();
    let tree = linkage(&mut distances, rows, Method::Average);
    let merges = tree.steps().iter().enumerate().take_while(|(done, step)| match cut {
        Cut::Distance(most) => step.dissimilarity <= most,
        Cut::Clusters(wanted) => rows - done > wanted.max(1),
    });
    // Cluster `rows + step` is what a step makes.
    let mut parent: Vec<usize> = (0..2 * rows).collect();
    for (made, step) in merges {
        parent[step.cluster1] = rows + made;
        parent[step.cluster2] = rows + made;
    }
    let root = |mut cluster: usize| {
        while parent[cluster] != cluster {
            cluster = parent[cluster];
        }
        Some(cluster)
    };
    Ok(in_order((0..rows).map(root)).into_iter().flatten().collect())
}
