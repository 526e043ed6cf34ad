//! Values through their normalisation, and its gradient.

use std::ops::Range;

use super::norm::{gather, spread};
use super::{Activation, Sets, column_blocks, shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work};

/// Sets of values with what else is constant when they are normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct NormaliseShape {
    /// The sets.
    pub sets: Sets,
    /// What is added to the variance.
    pub epsilon: f32,
    /// What follows the bias.
    pub activation: Activation,
}

impl Constants for NormaliseShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.sets.constants();
        constants.extend([("epsilon", f64::from(self.epsilon)), ("activation", self.activation.code())]);
        constants
    }
}

type A = Arg<NormaliseShape>;

/// What is needed of each channel of a set.
struct Channels<R> {
    /// Its mean.
    mean: Vec<R>,
    /// One over its deviation.
    scale: Vec<R>,
}

impl<R: Real> Channels<R> {
    fn new(s: &Sets) -> Self {
        Channels { mean: vec![R::default(); s.channels], scale: vec![R::default(); s.channels] }
    }

    /// Of the moments of a set.
    #[inline(always)]
    fn set(&mut self, width: usize, mean: &[R], variance: &[R], epsilon: f32) {
        let epsilon = R::of(f64::from(epsilon));
        spread(&mut self.mean, mean, width);
        spread(&mut self.scale, variance, width);
        self.scale.iter_mut().for_each(|scale| *scale = R::of(1.0) / (*scale + epsilon).sqrt());
    }
}

/// Length of the parts of a view that have the moments of one set each: all of it where there is one set only.
fn of_a_set(s: &Sets, values: usize) -> usize {
    if s.sets == 1 { values } else { s.inner * s.channels }
}

/// See `shaders/normalise.wgsl`.
pub struct Normalise;

impl Kernel for Normalise {
    type Shape = NormaliseShape;
    const NAME: &'static str = "normalise";
    const ARGS: &'static [A] = &[
        A::read("x", |s| s.sets.values()).stored().local(),
        A::read("mean", |s| s.sets.means()).local_where(|s| s.sets.sets > 1),
        A::read("variance", |s| s.sets.means()).fill(Fill::Uniform(0.5, 2.0)).local_where(|s| s.sets.sets > 1),
        A::read("gamma", |s| s.sets.channels),
        A::read("beta", |s| s.sets.channels),
        A::write("y", |s| s.sets.values()).stored(),
    ];
    const SHADERS: &'static [Shader<NormaliseShape>] = &[
        shader!("normalise", ["activation"], |s| threads(s.sets.values())),
        shader!("normalise.vec4", ["activation"], |s| threads(s.sets.values() / 4), Needs::Nothing, |s| s
            .sets
            .by_four_channels()),
    ];
    const ROUTINES: &'static [Routine<NormaliseShape>] = &[];

    fn rows(s: &NormaliseShape) -> usize {
        s.sets.parts
    }

    #[inline(always)]
    fn reference<R: Real>(s: &NormaliseShape, _: Range<usize>, io: &mut Io<R>) {
        let [x, mean, variance, gamma, beta] = ["x", "mean", "variance", "gamma", "beta"].map(|name| io.read(name));
        let y = io.write("y");
        let NormaliseShape { sets, epsilon, activation } = s;
        let (length, groups) = (of_a_set(sets, x.len()), sets.groups());
        let mut own = Channels::new(sets);
        let moments = mean.chunks_exact(groups).zip(variance.chunks_exact(groups));
        for ((x, y), (mean, variance)) in x.chunks_exact(length).zip(y.chunks_exact_mut(length)).zip(moments) {
            own.set(sets.width, mean, variance, *epsilon);
            own.scale.iter_mut().zip(gamma).for_each(|(scale, &gamma)| *scale = gamma * *scale);
            for (x, y) in x.chunks_exact(sets.channels).zip(y.chunks_exact_mut(sets.channels)) {
                for ((((y, &x), &mean), &scale), &beta) in y.iter_mut().zip(x).zip(&own.mean).zip(&own.scale).zip(beta)
                {
                    *y = (x - mean) * scale + beta;
                }
                // By itself: with a choice among activations in it the loop above is no vector code.
                y.iter_mut().for_each(|y| *y = activation.apply(*y));
            }
        }
    }

    fn cases() -> Vec<NormaliseShape> {
        let shape = |(sets, activation)| NormaliseShape { sets, epsilon: 0.25, activation };
        Sets::awkward().into_iter().zip(Activation::ALL.into_iter().cycle()).map(shape).collect()
    }

    fn work(s: &NormaliseShape) -> Work {
        let (values, of_channels) = (s.sets.values(), 2 * s.sets.means() + 2 * s.sets.channels);
        Work { flops: 4 * values as u64, bytes: 4 * (2 * values + of_channels) as u64 }
    }

    fn tolerance(s: &NormaliseShape) -> Tolerance {
        s.activation.tolerance(3)
    }
}

/// Sets of values with what is added to the variance, on the way back: behind the slope of the activation.
#[derive(Clone, Debug, PartialEq)]
pub struct NormaliseDxShape {
    /// The sets.
    pub sets: Sets,
    /// What is added to the variance.
    pub epsilon: f32,
}

impl Constants for NormaliseDxShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.sets.constants();
        constants.push(("epsilon", f64::from(self.epsilon)));
        constants
    }
}

impl NormaliseDxShape {
    fn awkward() -> Vec<NormaliseDxShape> {
        Sets::awkward().into_iter().map(|sets| NormaliseDxShape { sets, epsilon: 0.25 }).collect()
    }
}

type B = Arg<NormaliseDxShape>;

/// See `shaders/normalise_sums.wgsl`.
pub struct NormaliseSums;

impl Kernel for NormaliseSums {
    type Shape = NormaliseDxShape;
    const NAME: &'static str = "normalise_sums";
    const ARGS: &'static [B] = &[
        B::read("x", |s| s.sets.values()).stored().local(),
        B::read("dz", |s| s.sets.values()).local(),
        B::read("mean", |s| s.sets.means()).local_where(|s| s.sets.sets > 1),
        B::read("variance", |s| s.sets.means()).fill(Fill::Uniform(0.5, 2.0)).local_where(|s| s.sets.sets > 1),
        B::write("p", |s| s.sets.chunks() * s.sets.channels),
        B::write("q", |s| s.sets.chunks() * s.sets.channels),
    ];
    const SHADERS: &'static [Shader<NormaliseDxShape>] = &[
        shader!("normalise_sums", [], |s| threads(s.sets.chunks() * s.sets.channels)),
        shader!("normalise_sums.vec4", [], |s| threads(s.sets.chunks() * s.sets.channels / 4), Needs::Nothing, |s| s
            .sets
            .by_four_channels()),
        shader!(
            "normalise_sums.tree",
            ["columns"],
            |s| s.sets.chunks() * column_blocks(s.sets.channels),
            Needs::WorkgroupMemory,
            |s| s.sets.has_long_columns()
        ),
    ];
    const ROUTINES: &'static [Routine<NormaliseDxShape>] = &[];

    fn rows(s: &NormaliseDxShape) -> usize {
        s.sets.parts
    }

    #[inline(always)]
    fn reference<R: Real>(s: &NormaliseDxShape, _: Range<usize>, io: &mut Io<R>) {
        let [x, dz, mean, variance] = ["x", "dz", "mean", "variance"].map(|name| io.read(name));
        let (p, q) = (io.write("p"), io.write("q"));
        let (sets, channels, length, groups) = (&s.sets, s.sets.channels, s.sets.chunk(), s.sets.groups());
        let mut own = Channels::new(sets);
        let moments = mean.chunks_exact(groups).zip(variance.chunks_exact(groups)).cycle();
        let sums = p.chunks_exact_mut(channels).zip(q.chunks_exact_mut(channels));
        for (((x, dz), (mean, variance)), (p, q)) in
            x.chunks_exact(length).zip(dz.chunks_exact(length)).zip(moments).zip(sums)
        {
            own.set(sets.width, mean, variance, s.epsilon);
            p.fill(R::default());
            q.fill(R::default());
            for (x, dz) in x.chunks_exact(channels).zip(dz.chunks_exact(channels)) {
                for ((((p, q), &x), &dz), &mean) in p.iter_mut().zip(&mut *q).zip(x).zip(dz).zip(&own.mean) {
                    *p += dz;
                    *q += dz * (x - mean);
                }
            }
            q.iter_mut().zip(&own.scale).for_each(|(q, &scale)| *q = *q * scale);
        }
    }

    fn cases() -> Vec<NormaliseDxShape> {
        NormaliseDxShape::awkward()
    }

    fn work(s: &NormaliseDxShape) -> Work {
        let (values, means, sums) = (s.sets.values(), s.sets.means(), s.sets.chunks() * s.sets.channels);
        Work { flops: 4 * values as u64, bytes: 8 * (values + means + sums) as u64 }
    }

    fn tolerance(s: &NormaliseDxShape) -> Tolerance {
        Tolerance::sum(2 * s.sets.chunk() / s.sets.channels)
    }
}

/// See `shaders/normalise_dx.wgsl`.
pub struct NormaliseDx;

impl Kernel for NormaliseDx {
    type Shape = NormaliseDxShape;
    const NAME: &'static str = "normalise_dx";
    const ARGS: &'static [B] = &[
        B::read("x", |s| s.sets.values()).stored().local(),
        B::read("dz", |s| s.sets.values()).local(),
        B::read("mean", |s| s.sets.means()).local_where(|s| s.sets.sets > 1),
        B::read("variance", |s| s.sets.means()).fill(Fill::Uniform(0.5, 2.0)).local_where(|s| s.sets.sets > 1),
        B::read("gamma", |s| s.sets.channels),
        B::read("p", |s| s.sets.sets * s.sets.channels).local_where(|s| s.sets.sets > 1),
        B::read("q", |s| s.sets.sets * s.sets.channels).local_where(|s| s.sets.sets > 1),
        B::write("dx", |s| s.sets.values()),
    ];
    const SHADERS: &'static [Shader<NormaliseDxShape>] = &[
        shader!("normalise_dx", [], |s| threads(s.sets.values())),
        shader!("normalise_dx.vec4", [], |s| threads(s.sets.values() / 4), Needs::Nothing, |s| s
            .sets
            .by_four_channels()),
    ];
    const ROUTINES: &'static [Routine<NormaliseDxShape>] = &[];

    fn rows(s: &NormaliseDxShape) -> usize {
        s.sets.parts
    }

    #[inline(always)]
    fn reference<R: Real>(s: &NormaliseDxShape, _: Range<usize>, io: &mut Io<R>) {
        let [x, dz, mean, variance] = ["x", "dz", "mean", "variance"].map(|name| io.read(name));
        let ([gamma, p, q], dx) = (["gamma", "p", "q"].map(|name| io.read(name)), io.write("dx"));
        let (sets, channels, groups, width) = (&s.sets, s.sets.channels, s.sets.groups(), s.sets.width);
        let (length, count) = (of_a_set(sets, x.len()), R::of(sets.count() as f64));
        let mut own = Channels::new(sets);
        let [mut of_group, mut products] = [groups, channels].map(|length| vec![R::default(); length]);
        let [mut slope, mut shift, mut turn] = [(); 3].map(|_| vec![R::default(); channels]);
        let sums = p.chunks_exact(channels).zip(q.chunks_exact(channels));
        let moments = mean.chunks_exact(groups).zip(variance.chunks_exact(groups)).zip(sums);
        let values = x.chunks_exact(length).zip(dz.chunks_exact(length)).zip(dx.chunks_exact_mut(length));
        for (((x, dz), dx), ((mean, variance), (p, q))) in values.zip(moments) {
            own.set(width, mean, variance, s.epsilon);
            for (of_channels, sums) in [(&mut shift, p), (&mut turn, q)] {
                products.iter_mut().zip(gamma).zip(sums).for_each(|((product, &gamma), &sum)| *product = gamma * sum);
                gather(&mut of_group, &products, width);
                spread(of_channels, &of_group, width);
                of_channels.iter_mut().zip(&own.scale).for_each(|(value, &scale)| *value = scale * *value / count);
            }
            turn.iter_mut().zip(&own.scale).for_each(|(turn, &scale)| *turn = *turn * scale);
            slope.iter_mut().zip(gamma).zip(&own.scale).for_each(|((slope, &gamma), &scale)| *slope = gamma * scale);
            let pixels = x.chunks_exact(channels).zip(dz.chunks_exact(channels)).zip(dx.chunks_exact_mut(channels));
            for ((x, dz), dx) in pixels {
                let of_channels = own.mean.iter().zip(&slope).zip(&shift).zip(&turn);
                for (((dx, &x), &dz), (((&mean, &slope), &shift), &turn)) in
                    dx.iter_mut().zip(x).zip(dz).zip(of_channels)
                {
                    *dx = slope * dz - (shift + (x - mean) * turn);
                }
            }
        }
    }

    fn cases() -> Vec<NormaliseDxShape> {
        NormaliseDxShape::awkward()
    }

    fn work(s: &NormaliseDxShape) -> Work {
        let (values, of_sets) = (s.sets.values(), 2 * s.sets.means() + (2 * s.sets.sets + 1) * s.sets.channels);
        Work { flops: 6 * values as u64, bytes: 4 * (3 * values + of_sets) as u64 }
    }

    fn tolerance(s: &NormaliseDxShape) -> Tolerance {
        Tolerance::sum(2 * s.sets.width + 2)
    }
}
