//! Cross-batch memory: embeddings of the batches before as further references of a loss on pairs.
//!
//! Wang et al., *Cross-Batch Memory for Embedding Learning*, 2020.

use std::ops::Range;

use super::terms::{COST, COUNT};
use super::{shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Fill, Io, Kernel, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// Embeddings of a batch, and places for those of several.
    pub struct EnqueueShape {
        /// Rows of the batch.
        rows: usize,
        /// Values of an embedding.
        dims: usize,
        /// Places, at least as many as rows.
        places: usize,
    }
}

type EnqueueArg = Arg<EnqueueShape>;

/// See `shaders/enqueue.wgsl`.
pub struct Enqueue;

impl Kernel for Enqueue {
    type Shape = EnqueueShape;
    const NAME: &'static str = "enqueue";
    const ARGS: &'static [EnqueueArg] = &[
        EnqueueArg::read("position", |_| 1).below(|s| s.places as u32),
        EnqueueArg::read("e", |s| s.rows * s.dims),
        EnqueueArg::update("memory", |s| s.places * s.dims),
    ];
    const SHADERS: &'static [Shader<EnqueueShape>] = &[shader!("enqueue", [], |s| threads(s.places * s.dims))];
    const ROUTINES: &'static [Routine<EnqueueShape>] = &[];

    fn rows(s: &EnqueueShape) -> usize {
        s.places
    }

    #[inline(always)]
    fn reference<R: Real>(s: &EnqueueShape, places: Range<usize>, io: &mut Io<R>) {
        let (position, e, memory) = (io.read_uint("position"), io.read("e"), io.write("memory"));
        for (place, memory) in places.zip(memory.chunks_mut(s.dims)) {
            let n = (place + s.places - position[0] as usize % s.places) % s.places;
            if n < s.rows {
                memory.copy_from_slice(&e[n * s.dims..][..s.dims]);
            }
        }
    }

    fn cases() -> Vec<EnqueueShape> {
        [(1, 1, 1), (5, 7, 5), (97, 10, 100), (64, 16, 130)]
            .into_iter()
            .map(|(rows, dims, places)| EnqueueShape { rows, dims, places })
            .collect()
    }

    fn work(s: &EnqueueShape) -> Work {
        Work { flops: 0, bytes: 8 * (s.rows * s.dims) as u64 }
    }

    fn tolerance(_: &EnqueueShape) -> Tolerance {
        Tolerance::sum(1)
    }
}

shape! {
    /// Embeddings of a batch, and the references that they were paired with.
    pub struct MemoryDxShape {
        /// Rows of the batch.
        rows: usize,
        /// References.
        references: usize,
        /// Values of an embedding.
        dims: usize,
        /// Columns of the terms.
        columns: usize,
    }
}

type MemoryDxArg = Arg<MemoryDxShape>;

/// See `shaders/memory_dx.wgsl`.
pub struct MemoryDx;

impl Kernel for MemoryDx {
    type Shape = MemoryDxShape;
    const NAME: &'static str = "memory_dx";
    const ARGS: &'static [MemoryDxArg] = &[
        MemoryDxArg::read("e", |s| s.rows * s.dims),
        MemoryDxArg::read("r", |s| s.references * s.dims),
        MemoryDxArg::read("w", |s| s.rows * s.references),
        MemoryDxArg::read("totals", |s| s.columns).fill(Fill::Uniform(0.0, 100.0)),
        MemoryDxArg::update("de", |s| s.rows * s.dims),
    ];
    const SHADERS: &'static [Shader<MemoryDxShape>] =
        &[shader!("memory_dx", ["loss_terms"], |s| threads(s.rows * s.dims))];
    const ROUTINES: &'static [Routine<MemoryDxShape>] = &[];

    fn rows(s: &MemoryDxShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MemoryDxShape, rows: Range<usize>, io: &mut Io<R>) {
        let (e, r, w) = (io.read("e"), io.read("r"), io.read("w"));
        let (totals, de) = (io.read("totals"), io.write("de"));
        let factor = R::of(2.0) / totals[COUNT].max(R::of(1.0));
        let mut sums = vec![R::default(); s.dims];
        for (i, de) in rows.zip(de.chunks_mut(s.dims)) {
            let own = &e[i * s.dims..][..s.dims];
            sums.fill(R::default());
            for (&weight, r) in w[i * s.references..][..s.references].iter().zip(r.chunks(s.dims)) {
                for ((sum, &own), &r) in sums.iter_mut().zip(own).zip(r) {
                    *sum += weight * (own - r);
                }
            }
            super::add_scaled(de, factor, &sums);
        }
    }

    fn cases() -> Vec<MemoryDxShape> {
        [(1, 1, 1, 2), (5, 7, 3, 4), (33, 100, 10, 5), (3, 130, 70, 4)]
            .into_iter()
            .map(|(rows, references, dims, columns)| MemoryDxShape { rows, references, dims, columns })
            .collect()
    }

    fn work(s: &MemoryDxShape) -> Work {
        let numbers = 3 * s.rows * s.dims + s.references * s.dims + s.rows * s.references + s.columns;
        Work { flops: 3 * (s.rows * s.references * s.dims) as u64, bytes: 4 * numbers as u64 }
    }

    fn tolerance(s: &MemoryDxShape) -> Tolerance {
        Tolerance::sum(s.references)
    }
}

shape! {
    /// Terms of a batch, and further ones of its rows.
    pub struct JoinCostsShape {
        /// Rows of the batch.
        rows: usize,
        /// Columns of both.
        columns: usize,
    }
}

type JoinCostsArg = Arg<JoinCostsShape>;

/// See `shaders/join_costs.wgsl`.
pub struct JoinCosts;

impl Kernel for JoinCosts {
    type Shape = JoinCostsShape;
    const NAME: &'static str = "join_costs";
    const ARGS: &'static [JoinCostsArg] = &[
        JoinCostsArg::read("further", |s| s.rows * s.columns),
        JoinCostsArg::read("totals", |s| s.columns).fill(Fill::Uniform(0.0, 100.0)),
        JoinCostsArg::read("further_totals", |s| s.columns).fill(Fill::Uniform(0.0, 100.0)),
        JoinCostsArg::update("terms", |s| s.rows * s.columns).columns(|s| s.columns),
    ];
    const SHADERS: &'static [Shader<JoinCostsShape>] =
        &[shader!("join_costs", ["loss_terms"], |s| threads(s.rows * s.columns))];
    const ROUTINES: &'static [Routine<JoinCostsShape>] = &[];

    fn rows(s: &JoinCostsShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &JoinCostsShape, rows: Range<usize>, io: &mut Io<R>) {
        let (further, terms) = (io.read("further"), io.write("terms"));
        let [count, further_count] =
            [io.read("totals"), io.read("further_totals")].map(|totals| totals[COUNT].max(R::of(1.0)));
        for (n, terms) in rows.zip(terms.chunks_mut(s.columns)) {
            terms[COST] += further[n * s.columns + COST] * count / further_count;
        }
    }

    fn cases() -> Vec<JoinCostsShape> {
        [(1, 2), (7, 5), (130, 4)].into_iter().map(|(rows, columns)| JoinCostsShape { rows, columns }).collect()
    }

    fn work(s: &JoinCostsShape) -> Work {
        Work { flops: 3 * s.rows as u64, bytes: 12 * s.rows as u64 }
    }

    fn tolerance(_: &JoinCostsShape) -> Tolerance {
        Tolerance::widened(2, 2.0, "WGSL grants a division 2.5 ulp")
    }
}
