//! Functions value by value whose slopes need the input: they are never fused.

use std::ops::Range;

use super::{shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Io, Kernel, Needs, Routine, Shader, Tolerance, Work};

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// Times a factor.
    Scale(f32),
    /// Below zero times a factor.
    Leaky(f32),
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `x * min(max(x + 3, 0), 6) / 6`.
    HardSwish,
}

impl Function {
    /// Every function.
    pub const ALL: [Function; 4] = [Function::Scale(0.17), Function::Leaky(0.2), Function::Silu, Function::HardSwish];

    /// The number by which shaders know it, and the factor; 1 where there is none.
    fn code(self) -> (u32, f32) {
        match self {
            Function::Scale(factor) => (0, factor),
            Function::Leaky(factor) => (1, factor),
            Function::Silu => (2, 1.0),
            Function::HardSwish => (3, 1.0),
        }
    }

    /// Value and slope at `x`.
    #[inline(always)]
    pub fn at<R: Real>(self, x: R) -> (R, R) {
        let [zero, one, three, six] = [0.0, 1.0, 3.0, 6.0].map(R::of);
        match self {
            Function::Scale(factor) => (R::of(f64::from(factor)) * x, R::of(f64::from(factor))),
            Function::Leaky(_) if x > zero => (x, one),
            Function::Leaky(factor) => (R::of(f64::from(factor)) * x, R::of(f64::from(factor))),
            Function::Silu => {
                let share = one / (one + (-x).exp());
                (x * share, share * (one + x * (one - share)))
            }
            Function::HardSwish if x < -three => (zero, zero),
            Function::HardSwish if x > three => (x, one),
            Function::HardSwish => (x * (x + three) / six, (x + x + three) / six),
        }
    }

    fn tolerance(self) -> Tolerance {
        match self {
            Function::Silu => Tolerance::widened(2, 4.0, "WGSL grants exp an error of 3 + 2·|z| ulp"),
            _ => Tolerance::sum(2),
        }
    }
}

/// Rows through a function.
#[derive(Clone, Debug)]
pub struct MapShape {
    /// Rows of a batch.
    pub rows: usize,
    /// Values of a row.
    pub columns: usize,
    /// Which.
    pub function: Function,
}

impl Constants for MapShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let (code, factor) = self.function.code();
        vec![
            ("rows", self.rows as f64),
            ("columns", self.columns as f64),
            ("function", f64::from(code)),
            ("factor", f64::from(factor)),
        ]
    }
}

impl MapShape {
    fn length(&self) -> usize {
        self.rows * self.columns
    }

    fn awkward() -> Vec<MapShape> {
        let shapes = [(1, 1), (3, 21), (2, 4), (33, 100)];
        Function::ALL
            .into_iter()
            .flat_map(|function| shapes.map(|(rows, columns)| MapShape { rows, columns, function }))
            .collect()
    }
}

type A = Arg<MapShape>;

/// See `shaders/map.wgsl`.
pub struct Map;

impl Kernel for Map {
    type Shape = MapShape;
    const NAME: &'static str = "map";
    const ARGS: &'static [A] =
        &[A::read("x", MapShape::length).stored().local(), A::write("y", MapShape::length).stored()];
    const SHADERS: &'static [Shader<MapShape>] = &[
        shader!("map", ["function"], |s| threads(s.length())),
        shader!("map.vec4", ["function"], |s| threads(s.length() / 4), Needs::Nothing, |s| {
            s.columns.is_multiple_of(4)
        }),
    ];
    const ROUTINES: &'static [Routine<MapShape>] = &[];

    fn rows(s: &MapShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MapShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, y) = (io.read("x"), io.write("y"));
        for (y, &x) in y.iter_mut().zip(&x[rows.start * s.columns..rows.end * s.columns]) {
            *y = s.function.at(x).0;
        }
    }

    fn cases() -> Vec<MapShape> {
        MapShape::awkward()
    }

    fn work(s: &MapShape) -> Work {
        Work { flops: s.length() as u64, bytes: 8 * s.length() as u64 }
    }

    fn tolerance(s: &MapShape) -> Tolerance {
        s.function.tolerance()
    }
}

/// See `shaders/map_dx.wgsl`.
pub struct MapDx;

impl Kernel for MapDx {
    type Shape = MapShape;
    const NAME: &'static str = "map_dx";
    const ARGS: &'static [A] =
        &[A::read("x", MapShape::length).stored(), A::read("dy", MapShape::length), A::write("dx", MapShape::length)];
    const SHADERS: &'static [Shader<MapShape>] = &[
        shader!("map_dx", ["function"], |s| threads(s.length())),
        shader!("map_dx.vec4", ["function"], |s| threads(s.length() / 4), Needs::Nothing, |s| {
            s.columns.is_multiple_of(4)
        }),
    ];
    const ROUTINES: &'static [Routine<MapShape>] = &[];

    fn rows(s: &MapShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MapShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, dy, dx) = (io.read("x"), io.read("dy"), io.write("dx"));
        let own = rows.start * s.columns..rows.end * s.columns;
        for ((dx, &dy), &x) in dx.iter_mut().zip(&dy[own.clone()]).zip(&x[own]) {
            *dx = dy * s.function.at(x).1;
        }
    }

    fn cases() -> Vec<MapShape> {
        MapShape::awkward()
    }

    fn work(s: &MapShape) -> Work {
        Work { flops: s.length() as u64, bytes: 12 * s.length() as u64 }
    }

    fn tolerance(s: &MapShape) -> Tolerance {
        s.function.tolerance()
    }
}
