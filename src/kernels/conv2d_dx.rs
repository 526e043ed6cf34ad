//! The gradient of a convolution by its input.

use std::ops::Range;

use super::routines::{conv2d as routines, direct, winograd};
use super::{Window, block, blocks, dot, is_narrow, matrices, multiply_add, patches, shader, threads, tiles};
use crate::host::Real;
use crate::kernel::{Arg, Io, Kernel, Needs, Routine, Shader, Tolerance, Work};

type A = Arg<Window>;

/// See `shaders/conv2d_dx.wgsl`.
pub struct Conv2dDx;

impl Kernel for Conv2dDx {
    type Shape = Window;
    const NAME: &'static str = "conv2d_dx";
    const ARGS: &'static [A] =
        &[A::read("dz", Window::outputs), A::read("w", Window::weights), A::write("dx", Window::inputs)];
    const SHADERS: &'static [Shader<Window>] = &[
        shader!("conv2d_dx", [], |s| threads(s.inputs())),
        shader!(
            "conv2d_dx.registers",
            ["phases", "registers", "terms"],
            |s| patches(s.inputs() / s.in_channels, s.in_channels),
            Needs::Nothing,
            Window::by_fours_in_phases
        ),
        block!(
            "conv2d_dx.block",
            ["product", "conv2d_dx_block", "tap_bits", "phases"],
            |s| blocks(s.inputs() / s.in_channels, s.in_channels, [128, 64]),
            Window::by_phases_in_blocks
        ),
        block!(
            "conv2d_dx.block32",
            ["product", "conv2d_dx_block", "tap_bits", "phases"],
            |s| blocks(s.inputs() / s.in_channels, s.in_channels, [128, 32]),
            |s| s.by_phases_in_blocks() && is_narrow(s.in_channels)
        ),
        shader!(
            "conv2d_dx.winograd_block",
            ["sums", "product", "winograd_block", "winograd_pixels", "winograd_image", "winograd_store", "image_tiles"],
            |s| blocks(s.input_tiles(), s.in_channels, [32, 32]),
            Needs::WorkgroupMemory,
            Window::by_tiles_back
        ),
        shader!(
            "conv2d_dx.subgroup8",
            ["phases", "terms", "tile"],
            |s| tiles(s.inputs() / s.in_channels, s.in_channels),
            Needs::EightLaneCpu,
            Window::by_fours_in_phases
        ),
        shader!(
            "conv2d_dx.winograd8",
            ["winograd", "winograd_tiles", "image_tiles"],
            |s| blocks(s.input_tiles(), s.in_channels, [16, 32]),
            Needs::EightLaneCpu,
            Window::by_tiles_back_in_lanes
        ),
        matrices!(
            "conv2d_dx",
            8,
            ["conv2d_dx_block", "tap_bits", "phases"],
            |s| s.by_fours_in_matrices() && s.by_fours_in_phases(),
            |s, block| blocks(s.inputs() / s.in_channels, s.in_channels, block)
        ),
        matrices!(
            "conv2d_dx",
            16,
            ["conv2d_dx_block", "tap_bits", "phases"],
            |s| s.by_fours_in_matrices() && s.by_fours_in_phases(),
            |s, block| blocks(s.inputs() / s.in_channels, s.in_channels, block)
        ),
        shader!("conv2d_dx.depthwise", [], |s| threads(s.inputs() / 4), Needs::Nothing, |s| s.is_depthwise_by_fours()),
    ];
    const ROUTINES: &'static [Routine<Window>] = &[
        Routine {
            name: "conv2d_dx.gemm",
            fits: |s| s.groups == 1,
            together: |_| 1,
            prepare: None,
            widen: 1.0,
            run: routines::gemm_dx,
        },
        Routine {
            name: "conv2d_dx.direct",
            fits: |s| s.groups == 1 && s.in_channels.is_multiple_of(direct::LANES),
            together: direct::together_dx,
            prepare: None,
            widen: 1.0,
            run: routines::direct_dx,
        },
        Routine {
            name: "conv2d_dx.winograd",
            fits: winograd::pays,
            together: winograd::together_back,
            prepare: Some(routines::winograd_dx_weights),
            widen: winograd::ROUNDING,
            run: routines::winograd_dx,
        },
    ];

    fn rows(s: &Window) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &Window, batch: Range<usize>, io: &mut Io<R>) {
        let (dz, w, dx) = (io.read("dz"), io.read("w"), io.write("dx"));
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, kernel_width, .. } = *s;
        let (inputs, outputs) = s.group();
        dx.fill(R::default());
        for (n, dx) in batch.zip(dx.chunks_mut(in_height * in_width * in_channels)) {
            for ky in 0..s.kernel_height {
                for (oy, iy) in s.rows(ky) {
                    for kx in 0..kernel_width {
                        for (ox, ix) in s.columns(kx) {
                            let dz = &dz[((n * out_height + oy) * out_width + ox) * out_channels..][..out_channels];
                            let dx = &mut dx[(iy * in_width + ix) * in_channels..][..in_channels];
                            if s.is_depthwise() {
                                let tap = (ky * kernel_width + kx) * out_channels;
                                multiply_add(dx, dz, &w[tap..][..out_channels]);
                                continue;
                            }
                            for (i, dx) in dx.iter_mut().enumerate() {
                                let tap = ((ky * kernel_width + kx) * inputs + i % inputs) * out_channels;
                                let first = i / inputs * outputs;
                                *dx += dot(&dz[first..][..outputs], &w[tap + first..][..outputs]);
                            }
                        }
                    }
                }
            }
        }
    }

    fn cases() -> Vec<Window> {
        Window::awkward()
    }

    fn work(s: &Window) -> Work {
        s.work()
    }

    fn tolerance(s: &Window) -> Tolerance {
        Tolerance::sum(s.taps() * s.group().1)
    }
}
