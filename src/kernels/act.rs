//! Activations: fused into the layers going forward where that goes, a kernel of their own else and going back.

use std::ops::Range;

use super::{shader, threads};
use crate::host::{Real, vectorised};
use crate::kernel::{Arg, At, Constants, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work};

/// What follows the bias of a layer. None of them ever falls, so they commute with a maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The identity.
    None,
    /// `max(z, 0)`.
    Relu,
    /// `1 / (1 + exp(-z))`.
    Sigmoid,
    /// `min(max(z, 0), 6)`.
    Relu6,
}

impl Activation {
    /// Every activation.
    pub const ALL: [Activation; 4] = [Activation::None, Activation::Relu, Activation::Sigmoid, Activation::Relu6];

    /// The number by which shaders know it.
    pub fn code(self) -> f64 {
        self as u8 as f64
    }

    /// The activation of one value.
    #[inline(always)]
    pub fn apply<R: Real>(self, z: R) -> R {
        match self {
            Activation::None => z,
            Activation::Relu => z.max(R::of(0.0)),
            Activation::Sigmoid => R::of(1.0) / (R::of(1.0) + (-z).exp()),
            Activation::Relu6 if z > R::of(6.0) => R::of(6.0),
            Activation::Relu6 => z.max(R::of(0.0)),
        }
    }

    /// Activates values in their place.
    pub(crate) fn activate(self, values: &mut [f32]) {
        if self != Activation::None {
            vectorised(|| values.iter_mut().for_each(|value| *value = self.apply(*value)));
        }
    }

    /// Adds the bias to rows of products, and activates them.
    #[inline(always)]
    pub(crate) fn finish(self, rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(value, bias)| *value = self.apply(*value + bias));
        }
    }

    /// The slope at the input whose output is `y`.
    #[inline(always)]
    pub fn slope<R: Real>(self, y: R) -> R {
        match self {
            Activation::None => R::of(1.0),
            Activation::Relu => R::of(if y > R::of(0.0) { 1.0 } else { 0.0 }),
            Activation::Sigmoid => y * (R::of(1.0) - y),
            Activation::Relu6 => R::of(if y > R::of(0.0) && y < R::of(6.0) { 1.0 } else { 0.0 }),
        }
    }

    /// Tolerance of a layer that sums `terms` products before this activation.
    pub fn tolerance(self, terms: usize) -> Tolerance {
        match self {
            Activation::Sigmoid => Tolerance::widened(
                terms,
                4.0,
                "WGSL grants exp an error of 3 + 2·|z| ulp, and the rounding of the sum is scaled by up to |z| as well",
            ),
            _ => Tolerance::sum(terms),
        }
    }
}

/// Rows through an activation.
#[derive(Clone, Debug)]
pub struct ActShape {
    /// Rows of a batch.
    pub rows: usize,
    /// Values of a row.
    pub columns: usize,
    /// Which.
    pub activation: Activation,
}

impl Constants for ActShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("rows", self.rows as f64), ("columns", self.columns as f64), ("activation", self.activation.code())]
    }
}

type ActArg = Arg<ActShape>;

/// See `shaders/act.wgsl`.
pub struct Act;

impl Kernel for Act {
    type Shape = ActShape;
    const NAME: &'static str = "act";
    const ARGS: &'static [ActArg] = &[
        ActArg::read("x", |s| s.rows * s.columns).stored().local(),
        ActArg::write("y", |s| s.rows * s.columns).stored(),
    ];
    const SHADERS: &'static [Shader<ActShape>] = &[
        shader!("act", ["activation"], |s| threads(s.rows * s.columns)),
        shader!("act.vec4", ["activation"], |s| threads(s.rows * s.columns / 4), Needs::Nothing, |s| {
            s.columns.is_multiple_of(4)
        }),
    ];
    const ROUTINES: &'static [Routine<ActShape>] = &[];

    fn rows(s: &ActShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &ActShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, y) = (io.read("x"), io.write("y"));
        for (y, &x) in y.iter_mut().zip(&x[rows.start * s.columns..rows.end * s.columns]) {
            *y = s.activation.apply(x);
        }
    }

    fn cases() -> Vec<ActShape> {
        let shapes = [(1, 1), (3, 21), (2, 4), (33, 100)];
        Activation::ALL
            .into_iter()
            .flat_map(|activation| shapes.map(|(rows, columns)| ActShape { rows, columns, activation }))
            .collect()
    }

    fn work(s: &ActShape) -> Work {
        let values = (s.rows * s.columns) as u64;
        Work { flops: values, bytes: 8 * values }
    }

    fn tolerance(s: &ActShape) -> Tolerance {
        s.activation.tolerance(1)
    }
}

/// Values through the slope of an activation.
#[derive(Clone, Debug)]
pub struct ActDxShape {
    /// Values.
    pub length: usize,
    /// Whose slope.
    pub activation: Activation,
}

impl Constants for ActDxShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("length", self.length as f64), ("activation", self.activation.code())]
    }
}

type A = Arg<ActDxShape>;

/// See `shaders/act_dx.wgsl`.
pub struct ActDx;

impl Kernel for ActDx {
    type Shape = ActDxShape;
    const NAME: &'static str = "act_dx";
    const ARGS: &'static [A] = &[
        A::read("y", |s| s.length).fill(Fill::Rectified).stored(),
        A::read("dy", |s| s.length),
        A::write("dz", |s| s.length),
    ];
    const SHADERS: &'static [Shader<ActDxShape>] = &[
        shader!("act_dx", ["slope"], |s| threads(s.length)),
        shader!("act_dx.vec4", ["slope"], |s| threads(s.length / 4), Needs::Nothing, |s| s.length.is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<ActDxShape>] = &[];

    fn rows(s: &ActDxShape) -> usize {
        s.length
    }

    #[inline(always)]
    fn reference<R: Real>(s: &ActDxShape, rows: Range<usize>, io: &mut Io<R>) {
        let (y, dy, dz) = (io.read("y"), io.read("dy"), io.write("dz"));
        for ((dz, &dy), &y) in dz.iter_mut().zip(&dy[rows.clone()]).zip(&y[rows]) {
            *dz = dy * s.activation.slope(y);
        }
    }

    fn cases() -> Vec<ActDxShape> {
        let lengths = [1, 63, 64, 1000];
        Activation::ALL
            .into_iter()
            .flat_map(|activation| lengths.map(|length| ActDxShape { length, activation }))
            .collect()
    }

    fn work(s: &ActDxShape) -> Work {
        Work { flops: s.length as u64, bytes: 12 * s.length as u64 }
    }

    fn tolerance(_: &ActDxShape) -> Tolerance {
        Tolerance::sum(2)
    }
}

/// See `shaders/act_by.wgsl`: [`ActDx`] on a gradient in its place.
pub struct ActBy;

/// The kernel in the place of [`ActDx`] where nobody else takes `dy`.
pub(super) fn in_place(at: &At) -> Option<At> {
    at.shape::<ActDx>().map(|shape| At::stored::<ActBy>(shape.clone(), at.format()))
}

impl Kernel for ActBy {
    type Shape = ActDxShape;
    const NAME: &'static str = "act_by";
    const ARGS: &'static [A] =
        &[A::read("y", |s| s.length).fill(Fill::Rectified).stored(), A::update("dz", |s| s.length)];
    const SHADERS: &'static [Shader<ActDxShape>] = &[
        shader!("act_by", ["slope"], |s| threads(s.length)),
        shader!("act_by.vec4", ["slope"], |s| threads(s.length / 4), Needs::Nothing, |s| s.length.is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<ActDxShape>] = &[];

    fn rows(s: &ActDxShape) -> usize {
        s.length
    }

    #[inline(always)]
    fn reference<R: Real>(s: &ActDxShape, rows: Range<usize>, io: &mut Io<R>) {
        let (y, dz) = (io.read("y"), io.write("dz"));
        for (dz, &y) in dz.iter_mut().zip(&y[rows]) {
            *dz = *dz * s.activation.slope(y);
        }
    }

    fn cases() -> Vec<ActDxShape> {
        // The identity leaves everything as it is.
        ActDx::cases().into_iter().filter(|shape| shape.activation != Activation::None).collect()
    }

    fn work(s: &ActDxShape) -> Work {
        ActDx::work(s)
    }

    fn tolerance(s: &ActDxShape) -> Tolerance {
        ActDx::tolerance(s)
    }
}
