//! Distances of queries and references in panels.

use std::ops::Range;

use crate::host::vectorised;
use crate::kernel::Io;
use crate::kernels::DistancesShape;

/// References side by side in a panel.
const LANES: usize = 16;
/// Queries that a panel is compared with at a time.
const QUERIES: usize = 4;

/// Sixteen references at a time, turned so that their values lie side by side, against four queries.
pub(crate) fn panels(s: &DistancesShape, rows: Range<usize>, io: &mut Io<f32>) {
    let (query, reference, distance) = (io.read("query"), io.read("reference"), io.write("distance"));
    let queries = &query[rows.start * s.dims..rows.end * s.dims];
    vectorised(
        #[inline(always)]
        || {
            let mut panel = vec![[0.0; LANES]; s.dims];
            for (place, references) in reference.chunks(LANES * s.dims).enumerate() {
                for (lane, reference) in references.chunks(s.dims).enumerate() {
                    panel.iter_mut().zip(reference).for_each(|(lanes, &value)| lanes[lane] = value);
                }
                let count = references.len() / s.dims;
                let groups = queries.chunks(QUERIES * s.dims).zip(distance.chunks_mut(QUERIES * s.references));
                for (queries, distance) in groups {
                    let mut sums = [[0.0; LANES]; QUERIES];
                    if queries.len() == QUERIES * s.dims {
                        squares(&panel, queries, &mut sums);
                    } else {
                        for (query, sums) in queries.chunks(s.dims).zip(&mut sums) {
                            squares::<1>(&panel, query, std::array::from_mut(sums));
                        }
                    }
                    for (distance, sums) in distance.chunks_mut(s.references).zip(&sums) {
                        distance[place * LANES..][..count].copy_from_slice(&sums[..count]);
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
