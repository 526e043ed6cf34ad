//! The gradient of a convolution by its weights, in partial sums. (The gradient by bias is
//! [`SumRows`](super::SumRows).)

use std::ops::Range;

use super::routines::{conv2d as routines, direct, winograd};
use super::{
    Taps, Window, add_scaled, block, blocks, chunk, is_narrow, matrices, multiply_add, shader, splits, threads, tiles,
};
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

/// Factor on the tolerance of a weights' gradient by F(2×2, 3×3): roundings come to twice, in the root of their mean
/// square, what summing the products of the pixels makes (`Σ (Gᵀ ‖A‖ ‖B‖)² / 2` over the places of an axis). Of images
/// and of their gradients it is 5/3, for which the plain rule has room.
const TILE_ROUNDING: f64 = 2.0;

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
                let Window { in_channels, out_channels, .. } = s.window;
                threads(s.splits * s.window.taps() * in_channels.div_ceil(8) * out_channels.div_ceil(8))
            },
            Needs::Nothing,
            |s| s.window.by_fours()
        ),
        block!(
            "conv2d_dw.block",
            ["product", "conv2d_dw_block", "conv2d_dw_pixels"],
            |s| s.splits * blocks(s.window.terms(), s.window.out_channels, [64, 64]),
            |s| s.window.by_fours()
        ),
        block!(
            "conv2d_dw.block32",
            ["product", "conv2d_dw_block", "conv2d_dw_pixels"],
            |s| s.splits * blocks(s.window.terms(), s.window.out_channels, [128, 32]),
            |s| s.window.by_fours() && is_narrow(s.window.out_channels)
        ),
        Shader {
            widen: TILE_ROUNDING,
            ..shader!(
                "conv2d_dw.winograd_block",
                ["sums", "product", "winograd_block", "winograd_pixels", "winograd_inputs", "image_tiles"],
                |s| s.splits * blocks(s.window.in_channels, s.window.out_channels, [32, 32]),
                Needs::WorkgroupMemory,
                |s| s.window.by_tiles()
            )
        },
        shader!(
            "conv2d_dw.slices",
            ["slices", "operands", "sums", "product", "conv2d_dw_pixels"],
            |s| s.splits * blocks(s.window.terms(), s.window.out_channels, [32, 32]),
            Needs::WorkgroupMemory,
            |s| s.window.outputs_by_fours() && !s.window.by_fours() && s.window.has_few_taps(16)
        ),
        shader!(
            "conv2d_dw.taps",
            ["conv2d_dw_taps"],
            |s| s.splits * s.window.in_channels * s.window.out_channels.div_ceil(32),
            Needs::WorkgroupMemory,
            |s| s.window.by_cells()
        ),
        shader!(
            "conv2d_dw.subgroup8_taps",
            ["taps"],
            |s| s.splits * s.window.terms().div_ceil(9) * s.window.out_channels.div_ceil(32),
            Needs::EightLaneCpu,
            |s| s.window.outputs_by_fours()
        ),
        shader!(
            "conv2d_dw.subgroup8",
            ["tile", "terms"],
            |s| s.splits * s.window.taps() * tiles(s.window.in_channels, s.window.out_channels),
            Needs::EightLaneCpu,
            |s| s.window.by_fours()
        ),
        shader!(
            "conv2d_dw.winograd8",
            ["winograd", "image_tiles"],
            |s| s.splits * blocks(s.window.in_channels, s.window.out_channels, [8, 32]),
            Needs::EightLaneCpu,
            |s| s.window.by_tiles_in_lanes()
        ),
        matrices!("conv2d_dw", 8, ["conv2d_dw_block", "conv2d_dw_pixels"], |s| s.window.by_fours(), |s, block| s
            .splits
            * blocks(s.window.terms(), s.window.out_channels, block)),
        matrices!("conv2d_dw", 16, ["conv2d_dw_block", "conv2d_dw_pixels"], |s| s.window.by_fours(), |s, block| s
            .splits
            * blocks(s.window.terms(), s.window.out_channels, block)),
        shader!("conv2d_dw.depthwise", [], |s| threads(s.splits * s.window.weights() / 4), Needs::Nothing, |s| s
            .window
            .is_depthwise_by_fours()),
    ];
    const ROUTINES: &'static [Routine<Conv2dDwShape>] = &[
        Routine {
            name: "conv2d_dw.gemm",
            fits: |s| s.window.groups == 1,
            together: |s| s.window.terms(),
            prepare: None,
            widen: 1.0,
            run: routines::gemm_dw,
        },
        Routine {
            name: "conv2d_dw.narrow",
            fits: |s| s.window.is_dense() && s.window.out_channels.is_multiple_of(direct::LANES),
            together: |s| s.window.terms(),
            prepare: None,
            widen: 1.0,
            run: routines::narrow_dw,
        },
        Routine {
            name: "conv2d_dw.direct",
            fits: |s| {
                let Window { in_channels, out_channels, groups, .. } = s.window;
                groups == 1 && in_channels.is_multiple_of(direct::TERMS) && out_channels.is_multiple_of(direct::LANES)
            },
            together: |s| direct::terms_together(&s.window, s.splits),
            prepare: None,
            widen: 1.0,
            run: routines::direct_dw,
        },
        Routine {
            name: "conv2d_dw.winograd",
            fits: |s| winograd::pays(&s.window),
            together: |s| s.window.terms(),
            prepare: None,
            widen: winograd::ROUNDING,
            run: routines::winograd_dw,
        },
    ];

    fn rows(s: &Conv2dDwShape) -> usize {
        s.splits * s.window.terms()
    }

    #[inline(always)]
    fn reference<R: Real>(s: &Conv2dDwShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, dz, dw) = (io.read("x"), io.read("dz"), io.write("dw"));
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, kernel_width, .. } =
            s.window;
        let (inputs, outputs) = s.window.group();
        dw.fill(R::default());
        for (row, dw) in rows.zip(dw.chunks_mut(out_channels)) {
            let (split, tap, i) = (row / s.window.terms(), row % s.window.terms() / inputs, row % inputs);
            for n in chunk(s.window.batch, s.splits, split) {
                for (oy, iy) in s.window.rows(tap / kernel_width) {
                    for (ox, ix) in s.window.columns(tap % kernel_width) {
                        let x = &x[((n * in_height + iy) * in_width + ix) * in_channels..][..in_channels];
                        let dz = &dz[((n * out_height + oy) * out_width + ox) * out_channels..][..out_channels];
                        if s.window.is_depthwise() {
                            multiply_add(dw, x, dz);
                            continue;
                        }
                        let groups = x.chunks(inputs).zip(dw.chunks_mut(outputs)).zip(dz.chunks(outputs));
                        for ((x, dw), dz) in groups {
                            add_scaled(dw, x[i], dz);
                        }
                    }
                }
            }
        }
    }

    fn cases() -> Vec<Conv2dDwShape> {
        let mut cases: Vec<_> = Window::awkward().into_iter().map(Conv2dDwShape::new).collect();
        // A last chunk that is short, and splits that get no image at all.
        let split = |dims, splits| Conv2dDwShape {
            window: Window::new(dims, 8, &Taps::square(3, 1, true)).expect("a kernel no larger than the image"),
            splits,
        };
        cases.push(split([7, 5, 5, 4], 3));
        cases.push(split([5, 4, 4, 1], 4));
        // One channel, with lines of an odd number of pixels, and more outputs than a workgroup makes.
        let taps = Taps { kernel: [3, 3], stride: 1, pad: [2, 1], groups: 1 };
        let window = Window::new([6, 5, 7, 1], 36, &taps).expect("a kernel no larger than the image");
        cases.push(Conv2dDwShape { window, splits: 2 });
        cases
    }

    fn work(s: &Conv2dDwShape) -> Work {
        s.window.work()
    }

    fn tolerance(s: &Conv2dDwShape) -> Tolerance {
        Tolerance::sum(s.window.batch.div_ceil(s.splits) * s.window.out_height * s.window.out_width)
    }
}
