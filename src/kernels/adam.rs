//! The Adam update over the flat arenas.
//!
//! Kingma & Ba, *Adam: A Method for Stochastic Optimization*, 2015, algorithm 1.

use std::ops::Range;

use super::{read, read_as, shader, threads};
use crate::host::{Io, Real};
use crate::kernel::{Access, Arg, Element, Fill, Kernel, Shader, Tolerance, Work, shape};

shape! {
    /// Arenas of equal length, updated value by value.
    pub struct AdamShape {
        /// Values of an arena.
        length: usize,
        /// Decay of the first moments.
        beta1: f32,
        /// Decay of the second moments.
        beta2: f32,
        /// Added to the divisor.
        epsilon: f32,
    }
}

const fn update(name: &'static str, fill: Fill<AdamShape>) -> Arg<AdamShape> {
    Arg { name, access: Access::Update, element: Element::F32, len: |s| s.length, fill }
}

/// See `shaders/adam.wgsl`.
pub struct Adam;

impl Kernel for Adam {
    type Shape = AdamShape;
    const NAME: &'static str = "adam";
    const ARGS: &'static [Arg<AdamShape>] = &[
        read_as("step", |_| 3, Fill::Uniform(0.5, 2.0)),
        read("g", |s| s.length),
        update("p", Fill::Normal),
        update("m", Fill::Normal),
        update("v", Fill::Uniform(0.1, 2.0)),
    ];
    const SHADERS: &'static [Shader<AdamShape>] = &[shader!("adam", [], |s| threads(s.length))];

    fn rows(s: &AdamShape) -> usize {
        s.length
    }

    fn reference<R: Real>(s: &AdamShape, rows: Range<usize>, io: &mut Io<R>) {
        let (step, g) = (io.read("step"), io.read("g"));
        let (p, m, v) = (io.write("p"), io.write("m"), io.write("v"));
        let [beta1, beta2, epsilon] = [s.beta1, s.beta2, s.epsilon].map(|value| R::of(f64::from(value)));
        let one = R::of(1.0);
        for (&g, ((p, m), v)) in g[rows].iter().zip(p.iter_mut().zip(m).zip(v)) {
            *m = beta1 * *m + (one - beta1) * g;
            *v = beta2 * *v + (one - beta2) * g * g;
            *p = *p - step[0] * (*m * step[1]) / ((*v * step[2]).sqrt() + epsilon);
        }
    }

    fn cases() -> Vec<AdamShape> {
        let mut cases: Vec<_> = [1, 63, 1000]
            .into_iter()
            .map(|length| AdamShape { length, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 })
            .collect();
        // An epsilon that is large enough to be seen.
        cases.push(AdamShape { length: 130, beta1: 0.7, beta2: 0.9, epsilon: 0.5 });
        cases
    }

    fn work(s: &AdamShape) -> Work {
        Work { flops: 14 * s.length as u64, bytes: 28 * s.length as u64 }
    }

    fn tolerance(_: &AdamShape) -> Tolerance {
        Tolerance::widened(3, 2.0, "WGSL grants a division 2.5 ulp and sqrt the error of its inverse")
    }
}
