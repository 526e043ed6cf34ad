//! The gradient of a convolution by its input.

use std::ops::Range;

use super::routines::{conv2d as routines, direct};
use super::{Window, blocks, by_fours, dot, patches, shader, threads, tiles};
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
            ["registers", "terms", "window"],
            |s| patches(s.inputs() / s.in_channels, s.in_channels),
            Needs::Nothing,
            |s| s.stride == 1 && by_fours(s.in_channels, s.out_channels)
        ),
        shader!(
            "conv2d_dx.block",
            ["block", "block_terms"],
            |s| blocks(s.inputs() / s.in_channels, s.in_channels),
            Needs::WorkgroupMemory,
            |s| s.stride == 1 && by_fours(s.in_channels, s.out_channels)
        ),
        shader!(
            "conv2d_dx.subgroup8",
            ["tile", "terms"],
            |s| tiles(s.inputs() / s.in_channels, s.in_channels),
            Needs::EightLaneCpu,
            |s| s.stride == 1 && by_fours(s.in_channels, s.out_channels)
        ),
    ];
    const ROUTINES: &'static [Routine<Window>] = &[
        Routine { name: "conv2d_dx.gemm", fits: |_| true, together: 1, run: routines::gemm_dx },
        Routine {
            name: "conv2d_dx.direct",
            fits: |s| s.stride == 1 && s.in_channels.is_multiple_of(direct::LANES),
            together: 4,
            run: routines::direct_dx,
        },
        Routine { name: "conv2d_dx.stacked", fits: |s| s.is_deep(), together: 16, run: routines::stacked_dx },
    ];

    fn rows(s: &Window) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &Window, batch: Range<usize>, io: &mut Io<R>) {
        let (dz, w, dx) = (io.read("dz"), io.read("w"), io.write("dx"));
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, kernel, .. } = *s;
        dx.fill(R::default());
        for (n, dx) in batch.zip(dx.chunks_mut(in_height * in_width * in_channels)) {
            for ky in 0..kernel {
                for (oy, iy) in s.tap(ky, out_height, in_height) {
                    for kx in 0..kernel {
                        for (ox, ix) in s.tap(kx, out_width, in_width) {
                            let dz = &dz[((n * out_height + oy) * out_width + ox) * out_channels..][..out_channels];
                            let dx = &mut dx[(iy * in_width + ix) * in_channels..][..in_channels];
                            for (i, dx) in dx.iter_mut().enumerate() {
                                let tap = ((ky * kernel + kx) * in_channels + i) * out_channels;
                                *dx += dot(dz, &w[tap..][..out_channels]);
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
        Tolerance::sum(s.kernel * s.kernel * s.out_channels)
    }
}
