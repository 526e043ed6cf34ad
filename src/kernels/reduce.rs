//! Sums: of rows, of squares, and the statistics of a step.

use std::ops::Range;

use super::{chunk, read, read_as, shader, threads, write};
use crate::host::{Io, Real};
use crate::kernel::{Arg, Fill, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// A matrix whose rows are summed in `splits` chunks.
    pub struct SumRowsShape {
        /// Rows summed.
        rows: usize,
        /// Values of a row.
        columns: usize,
        /// Partial sums.
        splits: usize,
    }
}

/// See `shaders/sum_rows.wgsl`.
pub struct SumRows;

impl Kernel for SumRows {
    type Shape = SumRowsShape;
    const NAME: &'static str = "sum_rows";
    const ARGS: &'static [Arg<SumRowsShape>] =
        &[read("x", |s| s.rows * s.columns), write("y", |s| s.splits * s.columns)];
    const SHADERS: &'static [Shader<SumRowsShape>] = &[
        shader!("sum_rows", [], |s| threads(s.splits * s.columns)),
        shader!("sum_rows.vec4", [], |s| threads(s.splits * s.columns / 4), Needs::Nothing, |s| s
            .columns
            .is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<SumRowsShape>] = &[];

    fn rows(s: &SumRowsShape) -> usize {
        s.splits
    }

    #[inline(always)]
    fn reference<R: Real>(s: &SumRowsShape, splits: Range<usize>, io: &mut Io<R>) {
        let (x, y) = (io.read("x"), io.write("y"));
        y.fill(R::default());
        for (split, y) in splits.zip(y.chunks_mut(s.columns)) {
            for row in chunk(s.rows, s.splits, split) {
                for (y, &x) in y.iter_mut().zip(&x[row * s.columns..][..s.columns]) {
                    *y += x;
                }
            }
        }
    }

    fn cases() -> Vec<SumRowsShape> {
        [(1, 1, 1), (7, 3, 2), (100, 33, 64), (64, 130, 1), (1000, 32, 16), (50, 20, 7)]
            .into_iter()
            .map(|(rows, columns, splits)| SumRowsShape { rows, columns, splits })
            .collect()
    }

    fn work(s: &SumRowsShape) -> Work {
        Work { flops: (s.rows * s.columns) as u64, bytes: 4 * ((s.rows + s.splits) * s.columns) as u64 }
    }

    fn tolerance(s: &SumRowsShape) -> Tolerance {
        Tolerance::sum(s.rows.div_ceil(s.splits))
    }
}

shape! {
    /// An array whose squares are summed in chunks.
    pub struct NormShape {
        /// Values.
        length: usize,
        /// Values of a chunk.
        chunk: usize,
    }
}

impl NormShape {
    /// Chunks of 4,096 values.
    pub fn new(length: usize) -> Self {
        NormShape { length, chunk: 4096 }
    }

    /// Number of chunks.
    pub fn chunks(&self) -> usize {
        self.length.div_ceil(self.chunk)
    }
}

/// See `shaders/norm.wgsl`.
pub struct Norm;

impl Kernel for Norm {
    type Shape = NormShape;
    const NAME: &'static str = "norm";
    const ARGS: &'static [Arg<NormShape>] =
        &[read_as("x", |s| s.length, Fill::NonFinite), write("partial", |s| 2 * s.chunks())];
    const SHADERS: &'static [Shader<NormShape>] = &[shader!("norm", [], NormShape::chunks)];
    const ROUTINES: &'static [Routine<NormShape>] = &[];

    fn rows(s: &NormShape) -> usize {
        s.chunks()
    }

    #[inline(always)]
    fn reference<R: Real>(s: &NormShape, chunks: Range<usize>, io: &mut Io<R>) {
        let (x, partial) = (io.read("x"), io.write("partial"));
        for (c, partial) in chunks.zip(partial.chunks_mut(2)) {
            let values = &x[c * s.chunk..((c + 1) * s.chunk).min(s.length)];
            let finite = values.iter().filter(|x| x.is_finite());
            partial[0] = finite.clone().map(|&x| x * x).sum();
            partial[1] = R::of((values.len() - finite.count()) as f64);
        }
    }

    fn cases() -> Vec<NormShape> {
        [(1, 64), (63, 64), (1000, 130), (10_000, 4096)]
            .into_iter()
            .map(|(length, chunk)| NormShape { length, chunk })
            .collect()
    }

    fn work(s: &NormShape) -> Work {
        Work { flops: 2 * s.length as u64, bytes: 4 * (s.length + 2 * s.chunks()) as u64 }
    }

    fn tolerance(s: &NormShape) -> Tolerance {
        Tolerance::sum(s.chunk.min(s.length))
    }
}

shape! {
    /// The terms of a batch and the partial sums of a gradient norm.
    pub struct StatisticsShape {
        /// Rows of terms: triplets, or anchors of a mined batch.
        rows: usize,
        /// Triplets looked at, all rows together: of 8,192 rows more than a `u32` counts.
        triplets: f32,
        /// Positive distances summed, all rows together.
        positives: f32,
        /// Negative distances summed, all rows together.
        negatives: f32,
        /// Chunks of the gradient norm.
        chunks: usize,
    }
}

/// See `shaders/statistics.wgsl`.
pub struct Statistics;

impl Kernel for Statistics {
    type Shape = StatisticsShape;
    const NAME: &'static str = "statistics";
    const ARGS: &'static [Arg<StatisticsShape>] = &[
        read_as("terms", |s| 5 * s.rows, Fill::Rectified),
        read_as("partial", |s| 2 * s.chunks, Fill::Rectified),
        write("stats", |_| 6),
    ];
    const SHADERS: &'static [Shader<StatisticsShape>] = &[shader!("statistics", [], |_| 1)];
    const ROUTINES: &'static [Routine<StatisticsShape>] = &[];

    fn rows(_: &StatisticsShape) -> usize {
        1
    }

    #[inline(always)]
    fn reference<R: Real>(s: &StatisticsShape, _: Range<usize>, io: &mut Io<R>) {
        let (terms, partial, stats) = (io.read("terms"), io.read("partial"), io.write("stats"));
        let sum = |values: &[R], column: usize, columns: usize| -> R {
            values.iter().skip(column).step_by(columns).copied().sum()
        };
        stats[0] = sum(terms, 0, 5) / sum(terms, 1, 5).max(R::of(1.0));
        for (stat, (column, count)) in stats[1..4].iter_mut().zip([(2, s.triplets), (3, s.positives), (4, s.negatives)])
        {
            *stat = sum(terms, column, 5) / R::of(f64::from(count));
        }
        stats[4] = sum(partial, 0, 2).sqrt();
        stats[5] = sum(partial, 1, 2);
    }

    fn cases() -> Vec<StatisticsShape> {
        [(1, 1), (63, 5), (130, 200), (2048, 1)]
            .into_iter()
            .map(|(rows, chunks)| StatisticsShape {
                rows,
                triplets: (6 * rows) as f32,
                positives: (2 * rows) as f32,
                negatives: (3 * rows) as f32,
                chunks,
            })
            .collect()
    }

    fn work(s: &StatisticsShape) -> Work {
        Work { flops: (5 * s.rows + 2 * s.chunks) as u64, bytes: 4 * (5 * s.rows + 2 * s.chunks + 6) as u64 }
    }

    fn tolerance(s: &StatisticsShape) -> Tolerance {
        Tolerance::sum(s.rows.max(s.chunks))
    }
}
