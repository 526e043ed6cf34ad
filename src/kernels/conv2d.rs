//! Two-dimensional convolution with fused bias and activation.

use std::ops::Range;

use super::routines::{conv2d as routines, direct, winograd};
use super::{
    Activation, Window, add_scaled, block, blocks, is_narrow, matrices, multiply_add, patches, shader, threads, tiles,
};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Io, Kernel, Needs, Routine, Shader, Tolerance, Work};

/// A window with the activation fused behind it.
#[derive(Clone, Debug)]
pub struct Conv2dShape {
    /// The geometry.
    pub window: Window,
    /// What follows the bias.
    pub activation: Activation,
}

impl Constants for Conv2dShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.window.constants();
        constants.push(("activation", self.activation.code()));
        constants
    }
}

type A = Arg<Conv2dShape>;

/// See `shaders/conv2d.wgsl`.
pub struct Conv2d;

impl Kernel for Conv2d {
    type Shape = Conv2dShape;
    const NAME: &'static str = "conv2d";
    const ARGS: &'static [A] = &[
        A::read("x", |s| s.window.inputs()).stored().local(),
        A::read("w", |s| s.window.weights()),
        A::read("b", |s| s.window.out_channels),
        A::write("y", |s| s.window.outputs()).stored(),
    ];
    const SHADERS: &'static [Shader<Conv2dShape>] = &[
        shader!("conv2d", ["activation"], |s| threads(s.window.outputs())),
        shader!(
            "conv2d.registers_scalar",
            ["activation", "registers", "terms", "window", "conv2d_registers_scalar", "pixels"],
            |s| patches(s.window.outputs() / s.window.out_channels, s.window.out_channels),
            Needs::Nothing,
            |s| s.window.outputs_by_fours()
        ),
        shader!(
            "conv2d.registers",
            ["activation", "registers", "terms", "window", "conv2d_registers", "pixels"],
            |s| patches(s.window.outputs() / s.window.out_channels, s.window.out_channels),
            Needs::Nothing,
            |s| s.window.by_fours()
        ),
        block!(
            "conv2d.block_scalar",
            ["activation", "product", "conv2d_scalar_block", "conv2d_rows", "tap_bits", "pixels"],
            |s| blocks(s.window.outputs() / s.window.out_channels, s.window.out_channels, [128, 64]),
            |s| s.window.outputs_by_fours_in_blocks()
        ),
        shader!(
            "conv2d.taps",
            ["activation", "conv2d_taps"],
            |s| {
                let Window { batch, out_height, out_width, out_channels, .. } = s.window;
                threads(batch * out_height.div_ceil(2) * out_width.div_ceil(2)) * out_channels / 16
            },
            Needs::WorkgroupMemory,
            |s| s.window.by_windows()
        ),
        block!(
            "conv2d.block",
            ["activation", "product", "conv2d_block", "conv2d_rows", "tap_bits", "pixels"],
            |s| blocks(s.window.outputs() / s.window.out_channels, s.window.out_channels, [128, 64]),
            |s| s.window.by_fours_in_blocks()
        ),
        block!(
            "conv2d.block32",
            ["activation", "product", "conv2d_block", "conv2d_rows", "tap_bits", "pixels"],
            |s| blocks(s.window.outputs() / s.window.out_channels, s.window.out_channels, [128, 32]),
            |s| s.window.by_fours_in_blocks() && is_narrow(s.window.out_channels)
        ),
        shader!(
            "conv2d.winograd_block",
            [
                "activation",
                "sums",
                "product",
                "winograd_block",
                "winograd_pixels",
                "winograd_image",
                "winograd_inputs",
                "winograd_store",
                "image_tiles",
                "conv2d_winograd_block"
            ],
            |s| blocks(s.window.output_tiles(), s.window.out_channels, [32, 32]),
            Needs::WorkgroupMemory,
            |s| s.window.by_tiles()
        ),
        shader!(
            "conv2d.subgroup8_scalar",
            ["activation", "tile", "terms", "conv2d_tile_scalar", "pixels"],
            |s| tiles(s.window.outputs() / s.window.out_channels, s.window.out_channels),
            Needs::EightLaneCpu,
            |s| s.window.outputs_by_fours()
        ),
        shader!(
            "conv2d.subgroup8",
            ["activation", "tile", "terms", "conv2d_tile", "pixels"],
            |s| tiles(s.window.outputs() / s.window.out_channels, s.window.out_channels),
            Needs::EightLaneCpu,
            |s| s.window.by_fours()
        ),
        shader!(
            "conv2d.winograd8",
            ["activation", "conv2d_winograd", "winograd", "winograd_tiles", "image_tiles"],
            |s| blocks(s.window.output_tiles(), s.window.out_channels, [16, 32]),
            Needs::EightLaneCpu,
            |s| s.window.by_tiles_in_lanes()
        ),
        matrices!(
            "conv2d",
            8,
            ["activation", "conv2d_block", "conv2d_rows", "tap_bits", "pixels"],
            |s| s.window.by_fours_in_matrices(),
            |s, block| blocks(s.window.outputs() / s.window.out_channels, s.window.out_channels, block)
        ),
        matrices!(
            "conv2d",
            16,
            ["activation", "conv2d_block", "conv2d_rows", "tap_bits", "pixels"],
            |s| s.window.by_fours_in_matrices(),
            |s, block| blocks(s.window.outputs() / s.window.out_channels, s.window.out_channels, block)
        ),
        shader!("conv2d.depthwise", ["activation"], |s| threads(s.window.outputs() / 4), Needs::Nothing, |s| s
            .window
            .is_depthwise_by_fours()),
    ];
    const ROUTINES: &'static [Routine<Conv2dShape>] = &[
        Routine {
            name: "conv2d.gemm",
            fits: |s| s.window.groups == 1,
            together: |_| 1,
            prepare: None,
            widen: 1.0,
            run: routines::gemm,
        },
        Routine {
            name: "conv2d.direct",
            fits: |s| s.window.groups == 1 && s.window.out_channels.is_multiple_of(direct::LANES),
            together: |s| direct::together(&s.window),
            prepare: None,
            widen: 1.0,
            run: routines::direct,
        },
        Routine {
            name: "conv2d.winograd",
            fits: |s| winograd::pays(&s.window),
            together: |s| winograd::together(&s.window),
            prepare: Some(routines::winograd_weights),
            widen: winograd::ROUNDING,
            run: routines::winograd,
        },
    ];

    fn rows(s: &Conv2dShape) -> usize {
        s.window.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, w, b, y) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"));
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, kernel_width, .. } =
            s.window;
        let (inputs, outputs) = s.window.group();
        y.chunks_mut(out_channels).for_each(|y| y.copy_from_slice(b));
        for (n, y) in batch.zip(y.chunks_mut(out_height * out_width * out_channels)) {
            for ky in 0..s.window.kernel_height {
                for (oy, iy) in s.window.rows(ky) {
                    for kx in 0..kernel_width {
                        for (ox, ix) in s.window.columns(kx) {
                            let y = &mut y[(oy * out_width + ox) * out_channels..][..out_channels];
                            let x = &x[((n * in_height + iy) * in_width + ix) * in_channels..][..in_channels];
                            if s.window.is_depthwise() {
                                let tap = (ky * kernel_width + kx) * out_channels;
                                multiply_add(y, x, &w[tap..][..out_channels]);
                                continue;
                            }
                            for (i, &value) in x.iter().enumerate() {
                                let tap = ((ky * kernel_width + kx) * inputs + i % inputs) * out_channels;
                                let first = i / inputs * outputs;
                                add_scaled(&mut y[first..][..outputs], value, &w[tap + first..][..outputs]);
                            }
                        }
                    }
                }
            }
            y.iter_mut().for_each(|y| *y = s.activation.apply(*y));
        }
    }

    fn cases() -> Vec<Conv2dShape> {
        Window::awkward()
            .into_iter()
            .zip(Activation::ALL.into_iter().cycle())
            .map(|(window, activation)| Conv2dShape { window, activation })
            .collect()
    }

    fn work(s: &Conv2dShape) -> Work {
        s.window.work()
    }

    fn tolerance(s: &Conv2dShape) -> Tolerance {
        s.activation.tolerance(s.window.terms())
    }
}
