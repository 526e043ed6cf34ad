//! The activation with a trained slope below zero for each channel (He et al. 2015), and its gradients.

use std::ops::Range;

use super::{chunk, shader, splits, threads};
use crate::host::Real;
use crate::kernel::{Arg, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// Images with a slope for each channel.
    pub struct PreluShape {
        /// Images.
        batch: usize,
        /// Pixels of an image.
        pixels: usize,
        /// Channels.
        channels: usize,
        /// Partial sums of the slopes' gradient.
        splits: usize,
    }
}

impl PreluShape {
    /// Splits as many as pay.
    pub fn new(batch: usize, pixels: usize, channels: usize) -> Self {
        PreluShape { batch, pixels, channels, splits: splits(channels, batch * pixels) }
    }

    fn length(&self) -> usize {
        self.batch * self.pixels * self.channels
    }

    fn by_fours(&self) -> bool {
        self.channels.is_multiple_of(4)
    }

    fn awkward() -> Vec<PreluShape> {
        let mut shapes: Vec<_> = [(1, 1, 1), (3, 35, 5), (2, 49, 36), (70, 4, 64)]
            .into_iter()
            .map(|(batch, pixels, channels)| PreluShape::new(batch, pixels, channels))
            .collect();
        // A last chunk that is short, and splits that get no row at all.
        shapes.push(PreluShape { batch: 1, pixels: 5, channels: 4, splits: 4 });
        shapes
    }
}

type A = Arg<PreluShape>;

/// See `shaders/prelu.wgsl`.
pub struct Prelu;

impl Kernel for Prelu {
    type Shape = PreluShape;
    const NAME: &'static str = "prelu";
    const ARGS: &'static [A] = &[
        A::read("x", PreluShape::length).stored().local(),
        A::read("w", |s| s.channels),
        A::write("y", PreluShape::length).stored(),
    ];
    const SHADERS: &'static [Shader<PreluShape>] = &[
        shader!("prelu", [], |s| threads(s.length())),
        shader!("prelu.vec4", [], |s| threads(s.length() / 4), Needs::Nothing, PreluShape::by_fours),
    ];
    const ROUTINES: &'static [Routine<PreluShape>] = &[];

    fn rows(s: &PreluShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &PreluShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, w, y) = (io.read("x"), io.read("w"), io.write("y"));
        let x = &x[batch.start * s.pixels * s.channels..];
        for (y, x) in y.chunks_mut(s.channels).zip(x.chunks(s.channels)) {
            for ((y, &x), &w) in y.iter_mut().zip(x).zip(w) {
                *y = if x > R::default() { x } else { w * x };
            }
        }
    }

    fn cases() -> Vec<PreluShape> {
        PreluShape::awkward()
    }

    fn work(s: &PreluShape) -> Work {
        Work { flops: s.length() as u64, bytes: 8 * s.length() as u64 }
    }

    fn tolerance(_: &PreluShape) -> Tolerance {
        Tolerance::sum(1)
    }
}

/// See `shaders/prelu_dx.wgsl`.
pub struct PreluDx;

impl Kernel for PreluDx {
    type Shape = PreluShape;
    const NAME: &'static str = "prelu_dx";
    const ARGS: &'static [A] = &[
        A::read("x", PreluShape::length).stored(),
        A::read("w", |s| s.channels),
        A::read("dy", PreluShape::length),
        A::write("dx", PreluShape::length),
    ];
    const SHADERS: &'static [Shader<PreluShape>] = &[
        shader!("prelu_dx", [], |s| threads(s.length())),
        shader!("prelu_dx.vec4", [], |s| threads(s.length() / 4), Needs::Nothing, PreluShape::by_fours),
    ];
    const ROUTINES: &'static [Routine<PreluShape>] = &[];

    fn rows(s: &PreluShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &PreluShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, w, dy, dx) = (io.read("x"), io.read("w"), io.read("dy"), io.write("dx"));
        let first = batch.start * s.pixels * s.channels;
        let pixels = x[first..].chunks(s.channels).zip(dy[first..].chunks(s.channels));
        for (dx, (x, dy)) in dx.chunks_mut(s.channels).zip(pixels) {
            for (((dx, &x), &dy), &w) in dx.iter_mut().zip(x).zip(dy).zip(w) {
                *dx = if x > R::default() { dy } else { w * dy };
            }
        }
    }

    fn cases() -> Vec<PreluShape> {
        PreluShape::awkward()
    }

    fn work(s: &PreluShape) -> Work {
        Work { flops: s.length() as u64, bytes: 12 * s.length() as u64 }
    }

    fn tolerance(_: &PreluShape) -> Tolerance {
        Tolerance::sum(1)
    }
}

/// See `shaders/prelu_dw.wgsl`.
pub struct PreluDw;

impl Kernel for PreluDw {
    type Shape = PreluShape;
    const NAME: &'static str = "prelu_dw";
    const ARGS: &'static [A] = &[
        A::read("x", PreluShape::length).stored(),
        A::read("dy", PreluShape::length),
        A::write("dw", |s| s.splits * s.channels),
    ];
    const SHADERS: &'static [Shader<PreluShape>] = &[
        shader!("prelu_dw", [], |s| threads(s.splits * s.channels)),
        shader!("prelu_dw.vec4", [], |s| threads(s.splits * s.channels / 4), Needs::Nothing, PreluShape::by_fours),
    ];
    const ROUTINES: &'static [Routine<PreluShape>] = &[];

    fn rows(s: &PreluShape) -> usize {
        s.splits
    }

    #[inline(always)]
    fn reference<R: Real>(s: &PreluShape, splits: Range<usize>, io: &mut Io<R>) {
        let (x, dy, dw) = (io.read("x"), io.read("dy"), io.write("dw"));
        dw.fill(R::default());
        for (split, dw) in splits.zip(dw.chunks_mut(s.channels)) {
            for pixel in chunk(s.batch * s.pixels, s.splits, split) {
                let own = pixel * s.channels..(pixel + 1) * s.channels;
                for ((dw, &x), &dy) in dw.iter_mut().zip(&x[own.clone()]).zip(&dy[own]) {
                    *dw += if x > R::default() { R::default() } else { x * dy };
                }
            }
        }
    }

    fn cases() -> Vec<PreluShape> {
        PreluShape::awkward()
    }

    fn work(s: &PreluShape) -> Work {
        Work { flops: 2 * s.length() as u64, bytes: 8 * s.length() as u64 }
    }

    fn tolerance(s: &PreluShape) -> Tolerance {
        Tolerance::sum((s.batch * s.pixels).div_ceil(s.splits))
    }
}
