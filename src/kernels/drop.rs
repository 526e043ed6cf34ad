//! Dropout: which values go follows from numbers that are at hand, going forward and back alike.

use std::ops::Range;

use super::{hash, shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Io, Kernel, Needs, Routine, Shader, Tolerance, Work};

/// Rows of which a share is left out (Srivastava et al. 2014).
#[derive(Clone, Debug)]
pub struct DropShape {
    /// Rows of a batch.
    pub rows: usize,
    /// Values of a row.
    pub columns: usize,
    /// Share of the values that become 0, below 1. The others grow by `1 / (1 - share)`, so that their sum stays about
    /// the same.
    pub share: f32,
    /// A number of the layer's own, so that each leaves out other values.
    pub layer: u32,
}

impl DropShape {
    fn length(&self) -> usize {
        self.rows * self.columns
    }

    /// Values whose hash is below it are left out.
    fn threshold(&self) -> u32 {
        (f64::from(self.share) * 2f64.powi(32)) as u32
    }

    /// On what is left.
    fn factor(&self) -> f32 {
        1.0 / (1.0 - self.share)
    }
}

impl Constants for DropShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("rows", self.rows as f64),
            ("columns", self.columns as f64),
            ("layer", f64::from(self.layer)),
            ("threshold", f64::from(self.threshold())),
            ("factor", f64::from(self.factor())),
        ]
    }
}

type A = Arg<DropShape>;

/// See `shaders/drop.wgsl`. It is its own way back: what becomes of a value becomes of its gradient.
pub struct Drop;

impl Kernel for Drop {
    type Shape = DropShape;
    const NAME: &'static str = "drop";
    const ARGS: &'static [A] = &[
        A::read("keys", |s| s.rows).bits().local(),
        A::read("x", DropShape::length).stored().local(),
        A::write("y", DropShape::length).stored(),
    ];
    const SHADERS: &'static [Shader<DropShape>] = &[
        shader!("drop", ["hash"], |s| threads(s.length())),
        shader!("drop.vec4", ["hash"], |s| threads(s.length() / 4), Needs::Nothing, |s| s.columns.is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<DropShape>] = &[];

    fn rows(s: &DropShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &DropShape, rows: Range<usize>, io: &mut Io<R>) {
        let (keys, x, y) = (io.read_uint("keys"), io.read("x"), io.write("y"));
        let (threshold, factor) = (s.threshold(), R::of(f64::from(s.factor())));
        for (row, y) in rows.zip(y.chunks_mut(s.columns)) {
            let key = hash(keys[row] ^ s.layer);
            for ((column, y), &x) in (0..).zip(y).zip(&x[row * s.columns..]) {
                *y = if hash(key ^ column) >= threshold { factor * x } else { R::default() };
            }
        }
    }

    fn cases() -> Vec<DropShape> {
        let shape = |rows, columns, share, layer| DropShape { rows, columns, share, layer };
        vec![
            shape(1, 1, 0.1, 0),
            shape(3, 21, 0.5, 1),
            shape(5, 4, 0.999_999_9, u32::MAX),
            shape(33, 100, 0.6, 0x9e37_79b9),
        ]
    }

    fn work(s: &DropShape) -> Work {
        Work { flops: s.length() as u64, bytes: 8 * s.length() as u64 + 4 * s.rows as u64 }
    }

    fn tolerance(_: &DropShape) -> Tolerance {
        Tolerance::sum(1)
    }
}
