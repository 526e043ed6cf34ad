//! Pairwise squared distances, and the nearest references of each query.

use std::ops::Range;

use super::routines::distances as routines;
use super::{block, blocks, by_fours, is_small, patches, shader, threads, tiles};
use crate::host::Real;
use crate::kernel::{Arg, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// Two sets of embeddings.
    pub struct DistancesShape {
        /// Rows of the first set.
        queries: usize,
        /// Rows of the second set.
        references: usize,
        /// Values of an embedding.
        dims: usize,
    }
}

type DistancesArg = Arg<DistancesShape>;

/// See `shaders/distances.wgsl`.
pub struct Distances;

impl Kernel for Distances {
    type Shape = DistancesShape;
    const NAME: &'static str = "distances";
    const ARGS: &'static [DistancesArg] = &[
        DistancesArg::read("query", |s| s.queries * s.dims),
        DistancesArg::read("reference", |s| s.references * s.dims),
        DistancesArg::write("distance", |s| s.queries * s.references),
    ];
    const SHADERS: &'static [Shader<DistancesShape>] = &[
        shader!("distances", [], |s| threads(s.queries * s.references)),
        shader!(
            "distances.registers",
            ["registers", "terms"],
            |s| patches(s.queries, s.references),
            Needs::Nothing,
            |s| by_fours(s.references, s.dims)
        ),
        block!("distances.block", ["distances_block"], |s| blocks(s.queries, s.references, [128, 64]), |s| by_fours(
            s.references,
            s.dims
        )),
        shader!(
            "distances.slices",
            ["slices", "operands", "sums", "distances_block"],
            |s| blocks(s.queries, s.references, [32, 32]),
            Needs::WorkgroupMemory,
            |s| by_fours(s.references, s.dims) && is_small(s.queries, s.references)
        ),
        shader!(
            "distances.subgroup8",
            ["tile", "terms"],
            |s| tiles(s.queries, s.references),
            Needs::EightLaneCpu,
            |s| by_fours(s.references, s.dims)
        ),
    ];
    const ROUTINES: &'static [Routine<DistancesShape>] = &[Routine {
        name: "distances.panels",
        fits: |_| true,
        together: |_| 64,
        prepare: None,
        widen: 1.0,
        run: routines::panels,
    }];

    fn rows(s: &DistancesShape) -> usize {
        s.queries
    }

    #[inline(always)]
    fn reference<R: Real>(s: &DistancesShape, rows: Range<usize>, io: &mut Io<R>) {
        let (query, reference, distance) = (io.read("query"), io.read("reference"), io.write("distance"));
        for (q, distance) in rows.zip(distance.chunks_mut(s.references)) {
            let query = &query[q * s.dims..][..s.dims];
            for (distance, reference) in distance.iter_mut().zip(reference.chunks(s.dims)) {
                *distance = query.iter().zip(reference).map(|(&q, &r)| (q - r) * (q - r)).sum();
            }
        }
    }

    fn cases() -> Vec<DistancesShape> {
        [(1, 1, 1), (3, 70, 5), (33, 65, 64), (32, 64, 8), (35, 68, 12), (5, 130, 33), (100, 68, 20)]
            .into_iter()
            .map(|(queries, references, dims)| DistancesShape { queries, references, dims })
            .collect()
    }

    fn work(s: &DistancesShape) -> Work {
        Work {
            flops: 3 * (s.queries * s.references * s.dims) as u64,
            bytes: 4 * ((s.queries + s.references) * s.dims + s.queries * s.references) as u64,
        }
    }

    fn tolerance(s: &DistancesShape) -> Tolerance {
        Tolerance::sum(s.dims)
    }
}

shape! {
    /// Rows of distances of which the smallest are wanted.
    pub struct TopKShape {
        /// Rows.
        queries: usize,
        /// Columns.
        references: usize,
        /// How many are wanted of each row: at most [`TopKShape::CAPACITY`], at most `references`.
        k: usize,
    }
}

impl TopKShape {
    /// The largest `k`.
    pub const CAPACITY: usize = 16;
}

type TopKArg = Arg<TopKShape>;

/// See `shaders/topk.wgsl`.
pub struct TopK;

impl Kernel for TopK {
    type Shape = TopKShape;
    const NAME: &'static str = "topk";
    const ARGS: &'static [TopKArg] = &[
        TopKArg::read("distance", |s| s.queries * s.references).fill(Fill::Coarse),
        TopKArg::write("index", |s| s.queries * s.k).uint(),
        TopKArg::write("nearest", |s| s.queries * s.k),
    ];
    const SHADERS: &'static [Shader<TopKShape>] = &[
        shader!("topk", ["topk"], |s| s.queries),
        shader!("topk.vec4", ["topk"], |s| s.queries, Needs::Nothing, |s| s.references.is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<TopKShape>] = &[];

    fn rows(s: &TopKShape) -> usize {
        s.queries
    }

    #[inline(always)]
    fn reference<R: Real>(s: &TopKShape, rows: Range<usize>, io: &mut Io<R>) {
        let (distance, index, nearest) = (io.read("distance"), io.write_uint("index"), io.write("nearest"));
        for ((q, index), nearest) in rows.zip(index.chunks_mut(s.k)).zip(nearest.chunks_mut(s.k)) {
            let row = &distance[q * s.references..][..s.references];
            let mut best: Vec<usize> = Vec::with_capacity(s.k + 1);
            for column in 0..s.references {
                if best.len() == s.k && row[column] >= row[best[s.k - 1]] {
                    continue;
                }
                let place = best.partition_point(|&other| row[other] <= row[column]);
                best.insert(place, column);
                best.truncate(s.k);
            }
            for ((&column, index), nearest) in best.iter().zip(index).zip(nearest) {
                *index = column as u32;
                *nearest = row[column];
            }
        }
    }

    fn cases() -> Vec<TopKShape> {
        [(1, 1, 1), (3, 5, 5), (4, 64, 16), (7, 1000, 5), (2, 130, 3), (3, 8, 7)]
            .into_iter()
            .map(|(queries, references, k)| TopKShape { queries, references, k })
            .collect()
    }

    fn work(s: &TopKShape) -> Work {
        let (scanned, found) = ((s.queries * s.references) as u64, (s.queries * s.k) as u64);
        Work { flops: scanned, bytes: 4 * scanned + 8 * found }
    }

    fn tolerance(_: &TopKShape) -> Tolerance {
        Tolerance::sum(1)
    }
}
