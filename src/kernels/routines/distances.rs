//! Distances of queries and references in panels.

use std::ops::Range;

use crate::host::vectorised;
use crate::kernel::Io;
use crate::kernels::DistancesShape;

/// References side by side in a panel.
const LANES: usize = 16;
/// Queries that a panel is compared with at a time.
const QUERIES: usize = 4;

/// The kernel: every distance into its place.
pub(crate) fn panels(s: &DistancesShape, rows: Range<usize>, io: &mut Io<f32>) {
    let (query, reference, distance) = (io.read("query"), io.read("reference"), io.write("distance"));
    let queries = &query[rows.start * s.dims..rows.end * s.dims];
    each_panel(
        queries,
        reference,
        s.dims,
        #[inline(always)]
        |query, first, found| distance[query * s.references + first..][..found.len()].copy_from_slice(found),
    );
}

/// Squared distances of `queries` and `references`, both `[rows, dims]`: sixteen references at a time, turned so that
/// their values lie side by side, against four queries. `found` gets the numbers of a query and of the first reference
/// of a panel, and the distances to the panel's.
#[inline(always)]
pub(crate) fn each_panel(
    queries: &[f32],
    references: &[f32],
    dims: usize,
    mut found: impl FnMut(usize, usize, &[f32]),
) {
    vectorised(
        #[inline(always)]
        || {
            let mut panel = vec![[0.0; LANES]; dims];
            for (place, references) in references.chunks(LANES * dims).enumerate() {
                for (lane, reference) in references.chunks(dims).enumerate() {
                    panel.iter_mut().zip(reference).for_each(|(lanes, &value)| lanes[lane] = value);
                }
                let count = references.len() / dims;
                for (group, queries) in queries.chunks(QUERIES * dims).enumerate() {
                    let mut sums = [[0.0; LANES]; QUERIES];
                    if queries.len() == QUERIES * dims {
                        squares(&panel, queries, &mut sums);
                    } else {
                        for (query, sums) in queries.chunks(dims).zip(&mut sums) {
                            squares::<1>(&panel, query, std::array::from_mut(sums));
                        }
                    }
                    for (query, sums) in sums.iter().enumerate().take(queries.len() / dims) {
                        found(group * QUERIES + query, place * LANES, &sums[..count]);
                    }
                }
            }
        },
    );
}

/// Adds the squared differences of `N` queries and the references of a panel.
#[inline(always)]
fn squares<const N: usize>(panel: &[[f32; LANES]], queries: &[f32], sums: &mut [[f32; LANES]; N]) {
    let mut own = *sums;
    for (d, lanes) in panel.iter().enumerate() {
        for (query, sums) in own.iter_mut().enumerate() {
            let value = queries[query * panel.len() + d];
            for (sum, &other) in sums.iter_mut().zip(lanes) {
                let difference = value - other;
                *sum = difference.mul_add(difference, *sum);
            }
        }
    }
    *sums = own;
}
