//! Sums: of rows, of squares, and the statistics of a step.

use std::ops::Range;

use super::terms::{COST, COUNT};
use super::{blocks, by_fours, chunk, shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

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

impl SumRowsShape {
    /// Whether a sum is long enough for many threads.
    fn is_tall(&self) -> bool {
        self.rows.div_ceil(self.splits) >= 32
    }
}

type SumRowsArg = Arg<SumRowsShape>;

/// See `shaders/sum_rows.wgsl`.
pub struct SumRows;

impl Kernel for SumRows {
    type Shape = SumRowsShape;
    const NAME: &'static str = "sum_rows";
    const ARGS: &'static [SumRowsArg] =
        &[SumRowsArg::read("x", |s| s.rows * s.columns), SumRowsArg::write("y", |s| s.splits * s.columns)];
    const SHADERS: &'static [Shader<SumRowsShape>] = &[
        shader!("sum_rows", [], |s| threads(s.splits * s.columns)),
        shader!("sum_rows.vec4", [], |s| threads(s.splits * s.columns / 4), Needs::Nothing, |s| s
            .columns
            .is_multiple_of(4)),
        shader!(
            "sum_rows.tree_scalar",
            ["columns"],
            |s| blocks(s.splits, s.columns, [1, 8]),
            Needs::WorkgroupMemory,
            SumRowsShape::is_tall
        ),
        shader!("sum_rows.tree", ["columns"], |s| blocks(s.splits, s.columns, [1, 32]), Needs::WorkgroupMemory, |s| s
            .is_tall()
            && s.columns.is_multiple_of(4)),
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
        [(1, 1, 1), (7, 3, 2), (100, 33, 64), (64, 130, 1), (1000, 32, 16), (50, 20, 7), (1000, 36, 7), (300, 5, 2)]
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

type NormArg = Arg<NormShape>;

/// See `shaders/norm.wgsl`.
pub struct Norm;

impl Kernel for Norm {
    type Shape = NormShape;
    const NAME: &'static str = "norm";
    const ARGS: &'static [NormArg] = &[
        NormArg::read("x", |s| s.length).fill(Fill::NonFinite),
        NormArg::write("partial", |s| 2 * s.chunks()).columns(|_| 2),
    ];
    const SHADERS: &'static [Shader<NormShape>] = &[
        shader!("norm", ["tree"], NormShape::chunks),
        shader!("norm.vec4", ["tree"], NormShape::chunks, Needs::Nothing, |s| by_fours(s.length, s.chunk)),
    ];
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
        [(1, 64), (63, 64), (1000, 130), (1000, 132), (10_000, 4096)]
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

/// Most columns of terms that [`Statistics`] takes.
pub const MOST_TERMS: usize = 8;

/// The terms of a batch and the partial sums of a gradient norm.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticsShape {
    /// Rows of terms: triplets, or anchors of a mined batch.
    pub rows: usize,
    /// Columns of terms, at most [`MOST_TERMS`]: cost, count, and further ones.
    pub columns: usize,
    /// What the sums of the columns behind the first two are divided by; 1 where there is no such column. Real numbers,
    /// since 8,192 rows have more triplets than a `u32` counts.
    pub per: [f32; MOST_TERMS - 2],
    /// Chunks of the gradient norm.
    pub chunks: usize,
}

impl StatisticsShape {
    /// The terms of each row in `columns` columns, those behind the first two with divisors `per`.
    ///
    /// # Panics
    /// For more than [`MOST_TERMS`] columns.
    pub fn new(rows: usize, per: &[f32], chunks: usize) -> Self {
        let columns = 2 + per.len();
        assert!(columns <= MOST_TERMS, "{columns} columns of terms, {MOST_TERMS} are the most");
        let divisor = |place: usize| per.get(place).copied().unwrap_or(1.0);
        StatisticsShape { rows, columns, per: std::array::from_fn(divisor), chunks }
    }

    /// Number of statistics.
    pub fn statistics(&self) -> usize {
        self.norm() + 2
    }

    /// Place of the gradient's norm among them: behind the means, before the number of values that are not finite.
    pub fn norm(&self) -> usize {
        self.columns - 1
    }
}

impl Constants for StatisticsShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let sizes = [("rows", self.rows), ("columns", self.columns), ("chunks", self.chunks)];
        let per = ["per_2", "per_3", "per_4", "per_5", "per_6", "per_7"].into_iter().zip(self.per.map(f64::from));
        sizes.into_iter().map(|(name, size)| (name, size as f64)).chain(per).collect()
    }
}

type StatisticsArg = Arg<StatisticsShape>;

/// See `shaders/statistics.wgsl`.
pub struct Statistics;

impl Kernel for Statistics {
    type Shape = StatisticsShape;
    const NAME: &'static str = "statistics";
    const ARGS: &'static [StatisticsArg] = &[
        StatisticsArg::read("terms", |s| s.columns * s.rows).fill(Fill::Rectified),
        StatisticsArg::read("partial", |s| 2 * s.chunks).fill(Fill::Rectified),
        StatisticsArg::write("stats", StatisticsShape::statistics).columns(StatisticsShape::statistics),
    ];
    const SHADERS: &'static [Shader<StatisticsShape>] = &[shader!("statistics", ["loss_terms"], |_| 1)];
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
        let (means, of_gradient) = stats.split_at_mut(s.norm());
        means[0] = sum(terms, COST, s.columns) / sum(terms, COUNT, s.columns).max(R::of(1.0));
        for ((mean, column), per) in means[1..].iter_mut().zip(2..).zip(s.per) {
            *mean = sum(terms, column, s.columns) / R::of(f64::from(per));
        }
        of_gradient[0] = sum(partial, 0, 2).sqrt();
        of_gradient[1] = sum(partial, 1, 2);
    }

    fn cases() -> Vec<StatisticsShape> {
        // Each column has another divisor; the last has more triplets than a u32 counts.
        let per = |rows: f32| [6.0, 2.0, 3.0, 7.0, 0.5, 5.0].map(|factor: f32| factor * rows);
        vec![
            StatisticsShape::new(1, &per(1.0)[..3], 1),
            StatisticsShape::new(63, &[], 5),
            StatisticsShape::new(130, &per(130.0), 200),
            StatisticsShape::new(2048, &per(2048.0)[..3], 1),
            StatisticsShape::new(4000, &[5.7456e9, 1.596e6, 1.44e7], 3),
        ]
    }

    fn work(s: &StatisticsShape) -> Work {
        let read = s.columns * s.rows + 2 * s.chunks;
        Work { flops: read as u64, bytes: 4 * (read + s.statistics()) as u64 }
    }

    fn tolerance(s: &StatisticsShape) -> Tolerance {
        Tolerance::sum(s.rows.max(s.chunks))
    }
}
