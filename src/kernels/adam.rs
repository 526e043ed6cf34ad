//! The Adam update over the flat arenas, and the moving average of the parameters.
//!
//! Kingma & Ba, *Adam: A Method for Stochastic Optimization*, 2015, algorithm 1; Loshchilov & Hutter, *Decoupled Weight
//! Decay Regularization*, 2019, algorithm 2 (AdamW).

use std::ops::Range;

use super::{shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

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
        /// Gradients longer than this are shortened to it; 0: none are.
        clip: f32,
        /// Place of the gradient's norm among the statistics, the last but one.
        norm: usize,
    }
}

impl AdamShape {
    /// New moments from gradients, and what is taken away from each parameter, times rate: `decay · p` and the step.
    #[inline(always)]
    fn update<R: Real>(&self, [step, stats, g]: [&[R]; 3], [p, m, v]: [&mut [R]; 3], rate: R, decay: R) {
        let constants = [self.beta1, self.beta2, self.epsilon, self.clip];
        let [beta1, beta2, epsilon, clip] = constants.map(|value| R::of(f64::from(value)));
        let one = R::of(1.0);
        let norm = stats[self.norm];
        let factor = if clip > R::of(0.0) && norm > clip { clip / norm } else { one };
        for (&g, ((p, m), v)) in g.iter().zip(p.iter_mut().zip(m).zip(v)) {
            let g = factor * g;
            *m = beta1 * *m + (one - beta1) * g;
            *v = beta2 * *v + (one - beta2) * g * g;
            *p = *p - rate * (decay * *p + (*m * step[1]) / ((*v * step[2]).sqrt() + epsilon));
        }
    }

    fn cases() -> Vec<AdamShape> {
        let adam = AdamShape { length: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clip: 0.0, norm: 4 };
        vec![
            adam.clone(),
            AdamShape { length: 63, clip: 0.5, norm: 1, ..adam.clone() },
            AdamShape { length: 1000, clip: 10.0, ..adam.clone() },
            AdamShape { length: 264, clip: 0.5, ..adam.clone() },
            // An epsilon that is large enough to be seen.
            AdamShape { length: 130, beta1: 0.7, beta2: 0.9, epsilon: 0.5, ..adam },
        ]
    }
}

type AdamArg = Arg<AdamShape>;

/// See `shaders/adam.wgsl`.
pub struct Adam;

impl Kernel for Adam {
    type Shape = AdamShape;
    const NAME: &'static str = "adam";
    const ARGS: &'static [AdamArg] = &[
        AdamArg::read("step", |_| 4).fill(Fill::Uniform(0.5, 2.0)),
        AdamArg::read("stats", |s| s.norm + 2).fill(Fill::Uniform(1.0, 9.0)),
        AdamArg::read("g", |s| s.length),
        AdamArg::update("p", |s| s.length),
        AdamArg::update("m", |s| s.length),
        AdamArg::update("v", |s| s.length).fill(Fill::Uniform(0.1, 2.0)),
    ];
    const SHADERS: &'static [Shader<AdamShape>] = &[
        shader!("adam", [], |s| threads(s.length)),
        shader!("adam.vec4", [], |s| threads(s.length / 4), Needs::Nothing, |s| s.length.is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<AdamShape>] = &[];

    fn rows(s: &AdamShape) -> usize {
        s.length
    }

    #[inline(always)]
    fn reference<R: Real>(s: &AdamShape, rows: Range<usize>, io: &mut Io<R>) {
        let (step, stats, g) = (io.read("step"), io.read("stats"), io.read("g"));
        let arenas = [io.write("p"), io.write("m"), io.write("v")];
        s.update([step, stats, &g[rows]], arenas, step[0], R::default());
    }

    fn cases() -> Vec<AdamShape> {
        AdamShape::cases()
    }

    fn work(s: &AdamShape) -> Work {
        Work { flops: 15 * s.length as u64, bytes: 28 * s.length as u64 }
    }

    fn tolerance(_: &AdamShape) -> Tolerance {
        Tolerance::widened(3, 2.0, "WGSL grants a division 2.5 ulp and sqrt the error of its inverse")
    }
}

/// Arenas as for [`AdamShape`], in which `alike` parameters side by side have a rate and a decay of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamGroupsShape {
    /// The arenas.
    pub adam: AdamShape,
    /// Parameters that share a rate and a decay.
    pub alike: usize,
}

impl Constants for AdamGroupsShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        [self.adam.constants(), vec![("alike", self.alike as f64)]].concat()
    }
}

type AdamGroupsArg = Arg<AdamGroupsShape>;

/// See `shaders/adam_groups.wgsl`.
pub struct AdamGroups;

impl Kernel for AdamGroups {
    type Shape = AdamGroupsShape;
    const NAME: &'static str = "adam_groups";
    const ARGS: &'static [AdamGroupsArg] = &[
        AdamGroupsArg::read("step", |_| 4).fill(Fill::Uniform(0.5, 2.0)),
        AdamGroupsArg::read("stats", |s| s.adam.norm + 2).fill(Fill::Uniform(1.0, 9.0)),
        AdamGroupsArg::read("rates", |s| 2 * s.adam.length.div_ceil(s.alike)).fill(Fill::Uniform(0.1, 1.0)),
        AdamGroupsArg::read("g", |s| s.adam.length),
        AdamGroupsArg::update("p", |s| s.adam.length),
        AdamGroupsArg::update("m", |s| s.adam.length),
        AdamGroupsArg::update("v", |s| s.adam.length).fill(Fill::Uniform(0.1, 2.0)),
    ];
    const SHADERS: &'static [Shader<AdamGroupsShape>] = &[
        shader!("adam_groups", [], |s| threads(s.adam.length)),
        shader!("adam_groups.vec4", [], |s| threads(s.adam.length / 4), Needs::Nothing, |s| s
            .adam
            .length
            .is_multiple_of(4)
            && s.alike.is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<AdamGroupsShape>] = &[];

    fn rows(s: &AdamGroupsShape) -> usize {
        s.adam.length
    }

    #[inline(always)]
    fn reference<R: Real>(s: &AdamGroupsShape, rows: Range<usize>, io: &mut Io<R>) {
        let (step, stats, rates, g) = (io.read("step"), io.read("stats"), io.read("rates"), io.read("g"));
        let [mut p, mut m, mut v] = [io.write("p"), io.write("m"), io.write("v")];
        let mut start = rows.start;
        while start < rows.end {
            let tensor = start / s.alike;
            let end = ((tensor + 1) * s.alike).min(rows.end);
            let own =
                [&mut p, &mut m, &mut v].map(|arena| arena.split_off_mut(..end - start).expect("as long as rows"));
            let rate = step[0] * rates[2 * tensor];
            s.adam.update([step, stats, &g[start..end]], own, rate, rates[2 * tensor + 1]);
            start = end;
        }
    }

    fn cases() -> Vec<AdamGroupsShape> {
        let alike = [64, 64, 8, 64, 7].into_iter();
        AdamShape::cases().into_iter().zip(alike).map(|(adam, alike)| AdamGroupsShape { adam, alike }).collect()
    }

    fn work(s: &AdamGroupsShape) -> Work {
        let Work { flops, bytes } = Adam::work(&s.adam);
        let table = 8 * s.adam.length.div_ceil(s.alike);
        Work { flops: flops + 3 * s.adam.length as u64, bytes: bytes + table as u64 }
    }

    fn tolerance(s: &AdamGroupsShape) -> Tolerance {
        Adam::tolerance(&s.adam)
    }
}

shape! {
    /// Two arenas of equal length.
    pub struct AverageShape {
        /// Values of an arena.
        length: usize,
    }
}

type AverageArg = Arg<AverageShape>;

/// See `shaders/average.wgsl`.
pub struct Average;

impl Kernel for Average {
    type Shape = AverageShape;
    const NAME: &'static str = "average";
    const ARGS: &'static [AverageArg] = &[
        AverageArg::read("step", |_| 4).fill(Fill::Uniform(0.1, 0.9)),
        AverageArg::read("p", |s| s.length),
        AverageArg::update("a", |s| s.length),
    ];
    const SHADERS: &'static [Shader<AverageShape>] = &[shader!("average", [], |s| threads(s.length))];
    const ROUTINES: &'static [Routine<AverageShape>] = &[];

    fn rows(s: &AverageShape) -> usize {
        s.length
    }

    #[inline(always)]
    fn reference<R: Real>(_: &AverageShape, rows: Range<usize>, io: &mut Io<R>) {
        let (step, p, a) = (io.read("step"), io.read("p"), io.write("a"));
        for (&p, a) in p[rows].iter().zip(a) {
            *a += step[3] * (p - *a);
        }
    }

    fn cases() -> Vec<AverageShape> {
        [1, 63, 1000].into_iter().map(|length| AverageShape { length }).collect()
    }

    fn work(s: &AverageShape) -> Work {
        Work { flops: 3 * s.length as u64, bytes: 12 * s.length as u64 }
    }

    fn tolerance(_: &AverageShape) -> Tolerance {
        Tolerance::sum(2)
    }
}
