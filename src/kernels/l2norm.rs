//! L2 normalisation of rows, and its gradient.

use std::ops::Range;

use super::{dot, shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// Rows to be given length 1.
    pub struct L2NormShape {
        /// Rows.
        rows: usize,
        /// Values of a row.
        dims: usize,
    }
}

impl L2NormShape {
    fn values(&self) -> usize {
        self.rows * self.dims
    }

    fn awkward() -> Vec<L2NormShape> {
        // Rows of one rectified value are zero half of the time.
        [(1, 1), (9, 1), (3, 5), (64, 64), (130, 33), (5, 300)]
            .into_iter()
            .map(|(rows, dims)| L2NormShape { rows, dims })
            .collect()
    }
}

const DIVISION: &str = "WGSL grants a division 2.5 ulp and sqrt the error of its inverse";

type A = Arg<L2NormShape>;

/// See `shaders/l2norm.wgsl`.
pub struct L2Norm;

impl L2Norm {
    /// Rows no longer than this have it as their divisor, as in PyTorch's `normalize`.
    pub const SHORTEST: f64 = 1e-12;
}

impl Kernel for L2Norm {
    type Shape = L2NormShape;
    const NAME: &'static str = "l2norm";
    const ARGS: &'static [A] = &[
        A::read("x", L2NormShape::values).fill(Fill::Rectified),
        A::write("y", L2NormShape::values),
        A::write("norm", |s| s.rows),
    ];
    const SHADERS: &'static [Shader<L2NormShape>] = &[
        shader!("l2norm", [], |s| threads(s.rows)),
        shader!("l2norm.tree", ["row"], |s| s.rows.div_ceil(4), Needs::WorkgroupMemory, |_| true),
    ];
    const ROUTINES: &'static [Routine<L2NormShape>] = &[];

    fn rows(s: &L2NormShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &L2NormShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, y, norm) = (io.read("x"), io.write("y"), io.write("norm"));
        for ((n, y), norm) in rows.zip(y.chunks_mut(s.dims)).zip(norm) {
            let x = &x[n * s.dims..][..s.dims];
            *norm = dot(x, x).sqrt().max(R::of(L2Norm::SHORTEST));
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x / *norm;
            }
        }
    }

    fn cases() -> Vec<L2NormShape> {
        L2NormShape::awkward()
    }

    fn work(s: &L2NormShape) -> Work {
        Work { flops: 3 * s.values() as u64, bytes: 4 * (2 * s.values() + s.rows) as u64 }
    }

    fn tolerance(s: &L2NormShape) -> Tolerance {
        Tolerance::widened(s.dims, 2.0, DIVISION)
    }
}

/// See `shaders/l2norm_dx.wgsl`.
pub struct L2NormDx;

impl Kernel for L2NormDx {
    type Shape = L2NormShape;
    const NAME: &'static str = "l2norm_dx";
    const ARGS: &'static [A] = &[
        A::read("y", L2NormShape::values),
        A::read("norm", |s| s.rows).fill(Fill::Uniform(0.5, 2.0)),
        A::read("dy", L2NormShape::values),
        A::write("dx", L2NormShape::values),
    ];
    const SHADERS: &'static [Shader<L2NormShape>] = &[
        shader!("l2norm_dx", [], |s| threads(s.rows)),
        shader!("l2norm_dx.tree", ["row"], |s| s.rows.div_ceil(4), Needs::WorkgroupMemory, |_| true),
    ];
    const ROUTINES: &'static [Routine<L2NormShape>] = &[];

    fn rows(s: &L2NormShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &L2NormShape, rows: Range<usize>, io: &mut Io<R>) {
        let (y, norm, dy, dx) = (io.read("y"), io.read("norm"), io.read("dy"), io.write("dx"));
        for (n, dx) in rows.zip(dx.chunks_mut(s.dims)) {
            let (y, dy) = (&y[n * s.dims..][..s.dims], &dy[n * s.dims..][..s.dims]);
            let along = dot(y, dy);
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = (dy - y * along) / norm[n];
            }
        }
    }

    fn cases() -> Vec<L2NormShape> {
        L2NormShape::awkward()
    }

    fn work(s: &L2NormShape) -> Work {
        Work { flops: 5 * s.values() as u64, bytes: 4 * (3 * s.values() + s.rows) as u64 }
    }

    fn tolerance(s: &L2NormShape) -> Tolerance {
        Tolerance::widened(s.dims, 2.0, DIVISION)
    }
}
