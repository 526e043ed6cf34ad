//! The gradient of a convolution by its weights, in partial sums. (The gradient by bias is
//! [`SumRows`](super::SumRows).)

use std::ops::Range;

use super::routines::{conv2d as routines, direct};
use super::{Window, add_scaled, blocks, by_fours, chunk, shader, splits, threads, tiles};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Io, Kernel, Needs, Routine, Shader, Tolerance, Work};

/// A window whose images are dealt to partial sums.
#[derive(Clone, Debug)]
pub struct Conv2dDwShape {
    /// The geometry.
    pub window: Window,
    /// Number of partial sums.
    pub splits: usize,
}

impl Conv2dDwShape {
    /// Splits as many as pay.
    pub fn new(window: Window) -> Self {
        let splits = splits(window.weights(), window.batch);
        Conv2dDwShape { window, splits }
    }
}

impl Constants for Conv2dDwShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.window.constants();
        constants.push(("splits", self.splits as f64));
        constants
    }
}

type A = Arg<Conv2dDwShape>;

/// See `shaders/conv2d_dw.wgsl`.
pub struct Conv2dDw;

impl Kernel for Conv2dDw {
    type Shape = Conv2dDwShape;
    const NAME: &'static str = "conv2d_dw";
    const ARGS: &'static [A] = &[
        A::read("x", |s| s.window.inputs()).stored(),
        A::read("dz", |s| s.window.outputs()),
        A::write("dw", |s| s.splits * s.window.weights()),
    ];
    const SHADERS: &'static [Shader<Conv2dDwShape>] = &[
        shader!("conv2d_dw", [], |s| threads(s.splits * s.window.weights())),
        shader!(
            "conv2d_dw.registers",
            ["registers", "terms"],
            |s| {
                let Window { in_channels, out_channels, kernel, .. } = s.window;
                threads(s.splits * kernel * kernel * in_channels.div_ceil(8) * out_channels.div_ceil(8))
            },
            Needs::Nothing,
            |s| by_fours(s.window.in_channels, s.window.out_channels)
        ),
        shader!(
            "conv2d_dw.block",
            ["block"],
            |s| s.splits * blocks(s.window.terms(), s.window.out_channels),
            Needs::WorkgroupMemory,
            |s| by_fours(s.window.in_channels, s.window.out_channels)
        ),
        shader!(
            "conv2d_dw.subgroup8_taps",
            ["taps"],
            |s| s.splits * s.window.terms().div_ceil(9) * s.window.out_channels.div_ceil(32),
            Needs::EightLaneCpu,
            |s| s.window.out_channels.is_multiple_of(4)
        ),
        shader!(
            "conv2d_dw.subgroup8",
            ["tile", "terms"],
            |s| s.splits * s.window.kernel * s.window.kernel * tiles(s.window.in_channels, s.window.out_channels),
            Needs::EightLaneCpu,
            |s| by_fours(s.window.in_channels, s.window.out_channels)
        ),
    ];
    const ROUTINES: &'static [Routine<Conv2dDwShape>] = &[
        Routine { name: "conv2d_dw.gemm", fits: |_| true, together: 1, run: routines::gemm_dw },
        Routine {
            name: "conv2d_dw.direct",
            fits: |s| s.window.stride == 1 && s.window.out_channels.is_multiple_of(direct::LANES),
            together: 1,
            run: routines::direct_dw,
        },
        Routine { name: "conv2d_dw.stacked", fits: |s| s.window.is_deep(), together: 1, run: routines::stacked_dw },
    ];

    fn rows(s: &Conv2dDwShape) -> usize {
        s.splits
    }

    #[inline(always)]
    fn reference<R: Real>(s: &Conv2dDwShape, splits: Range<usize>, io: &mut Io<R>) {
        let (x, dz, dw) = (io.read("x"), io.read("dz"), io.write("dw"));
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, kernel, .. } = s.window;
        dw.fill(R::default());
        for (split, dw) in splits.zip(dw.chunks_mut(s.window.weights())) {
            for n in chunk(s.window.batch, s.splits, split) {
                for ky in 0..kernel {
                    for (oy, iy) in s.window.tap(ky, out_height, in_height) {
                        for kx in 0..kernel {
                            for (ox, ix) in s.window.tap(kx, out_width, in_width) {
                                let dz = &dz[((n * out_height + oy) * out_width + ox) * out_channels..][..out_channels];
                                for i in 0..in_channels {
                                    let value = x[((n * in_height + iy) * in_width + ix) * in_channels + i];
                                    let tap = ((ky * kernel + kx) * in_channels + i) * out_channels;
                                    add_scaled(&mut dw[tap..][..out_channels], value, dz);
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn cases() -> Vec<Conv2dDwShape> {
        let mut cases: Vec<_> = Window::awkward().into_iter().map(Conv2dDwShape::new).collect();
        // A last chunk that is short, and splits that get no image at all.
        cases.push(Conv2dDwShape { window: Window::new([7, 5, 5, 4], 8, 3, 1, true).unwrap(), splits: 3 });
        cases.push(Conv2dDwShape { window: Window::new([5, 4, 4, 1], 8, 3, 1, true).unwrap(), splits: 4 });
        cases
    }

    fn work(s: &Conv2dDwShape) -> Work {
        s.window.work()
    }

    fn tolerance(s: &Conv2dDwShape) -> Tolerance {
        Tolerance::sum(s.window.batch.div_ceil(s.splits) * s.window.out_height * s.window.out_width)
    }
}
