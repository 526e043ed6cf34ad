//! A convolution with its activation and max pooling by windows of two by two in one, and the gradient by the weights:
//! what lies between the two is four times as large as what comes out, and is not stored.

use std::ops::Range;

use super::routines::{conv2d as routines, direct, winograd};
use super::{
    Activation, Conv2d, Conv2dDw, Conv2dDwShape, Conv2dShape, MaxPool, MaxPoolDx, PoolShape, Taps, Window, add_scaled,
    block, blocks, chunk, is_narrow, matrices, patches, shader, threads, tiles,
};
use crate::host::Real;
use crate::kernel::{Arg, At, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, View, Work};

/// The windows on the outputs of a convolution, if there is any. Rows and columns that fill no whole one are left out.
fn find_windows(window: &Window) -> Option<PoolShape> {
    let Window { batch, out_height, out_width, out_channels, .. } = *window;
    PoolShape::new([batch, out_height, out_width, out_channels], 2, 2, 0)
}

/// The windows on the outputs of a convolution.
///
/// # Panics
/// If there is none.
pub(super) fn windows(window: &Window) -> PoolShape {
    find_windows(window).expect("two rows and columns of outputs")
}

/// Values that are left of the outputs of a convolution.
fn pooled(window: &Window) -> usize {
    windows(window).outputs()
}

/// Output pixels that are in a window.
fn pixels(window: &Window) -> usize {
    4 * pooled(window) / window.out_channels
}

/// Windows with one group of channels, and outputs to pool.
fn awkward() -> impl Iterator<Item = Window> {
    Window::awkward().into_iter().filter(|s| s.groups == 1 && s.out_height >= 2 && s.out_width >= 2)
}

/// The two kernels for those that they take the place of. The gradient is taken through the pooling where few input
/// channels make it, as for the first layer: with more, and for all that [`Conv2dDx`](super::Conv2dDx) reads too, the
/// array of all pixels pays.
pub(super) fn fused(first: &At, second: &At) -> Option<At> {
    let pools = |window: &Window, pool: &PoolShape| window.groups == 1 && find_windows(window).as_ref() == Some(pool);
    if let (Some(conv), Some(pool)) = (first.shape::<Conv2d>(), second.shape::<MaxPool>()) {
        return pools(&conv.window, pool).then(|| At::stored::<Conv2dPool>(conv.clone(), first.format()));
    }
    let (pool, dw) = (first.shape::<MaxPoolDx>()?, second.shape::<Conv2dDw>()?);
    let is_narrow = dw.window.is_dense() && dw.window.in_channels <= 4;
    let fits = is_narrow && dw.window.out_channels.is_multiple_of(direct::LANES) && pools(&dw.window, pool);
    fits.then(|| At::stored::<Conv2dPoolDw>(dw.clone(), second.format()))
}

/// For [`Conv2dPool`] the pixels of some images' windows, four for each output, in `f64`: where roundings of its own
/// tell equal pixels apart, a routine may name another of them than the first.
pub(crate) fn candidates(at: &At, batch: Range<usize>, x: &[f64], w: &[f64], b: &[f64]) -> Option<Vec<[f64; 4]>> {
    let s = at.shape::<Conv2dPool>()?;
    let (windows, plain) = (windows(&s.window), Conv2dShape { activation: Activation::None, ..s.clone() });
    let mut z = vec![0.0; batch.len() * s.window.image_sizes().1];
    let args = [("x", View::Read(x)), ("w", View::Read(w)), ("b", View::Read(b)), ("y", View::Write(&mut z))];
    Conv2d::reference(&plain, batch, &mut Io::new(Conv2d::NAME, args));
    let PoolShape { in_width, channels, out_height, out_width, .. } = windows;
    let mut pixels = Vec::with_capacity(z.len() / 4);
    for z in z.chunks(s.window.image_sizes().1) {
        for output in 0..out_height * out_width * channels {
            let (place, channel) = (output / channels, output % channels);
            let corner = 2 * (place / out_width * in_width + place % out_width);
            pixels.push([0, 1, in_width, in_width + 1].map(|pixel| z[(corner + pixel) * channels + channel]));
        }
    }
    Some(pixels)
}

type A = Arg<Conv2dShape>;

/// See `shaders/conv2d_pool.wgsl`. The window has one group.
pub struct Conv2dPool;

impl Kernel for Conv2dPool {
    type Shape = Conv2dShape;
    const NAME: &'static str = "conv2d_pool";
    // Of coarse values all sums are exact, so that all implementations see the same pixels as equal.
    const ARGS: &'static [A] = &[
        A::read("x", |s| s.window.inputs()).fill(Fill::Coarse).stored().local(),
        A::read("w", |s| s.window.weights()).fill(Fill::Coarse),
        A::read("b", |s| s.window.out_channels).fill(Fill::Coarse),
        A::write("y", |s| pooled(&s.window)).stored(),
        A::write("argmax", |s| pooled(&s.window)).uint(),
    ];
    const SHADERS: &'static [Shader<Conv2dShape>] = &[
        shader!("conv2d_pool", ["activation"], |s| threads(pooled(&s.window))),
        shader!(
            "conv2d_pool.registers_scalar",
            ["activation", "registers", "terms", "window", "conv2d_registers_scalar", "windows"],
            |s| patches(pixels(&s.window), s.window.out_channels),
            Needs::Nothing,
            |s| s.window.outputs_by_fours()
        ),
        shader!(
            "conv2d_pool.registers",
            ["activation", "registers", "terms", "window", "conv2d_registers", "windows"],
            |s| patches(pixels(&s.window), s.window.out_channels),
            Needs::Nothing,
            |s| s.window.by_fours()
        ),
        shader!(
            "conv2d_pool.taps",
            ["activation", "conv2d_taps"],
            |s| threads(pixels(&s.window) / 4) * s.window.out_channels / 16,
            Needs::WorkgroupMemory,
            |s| s.window.by_windows()
        ),
        block!(
            "conv2d_pool.block",
            ["activation", "product", "conv2d_block", "conv2d_rows", "tap_bits", "windows"],
            |s| blocks(pixels(&s.window), s.window.out_channels, [128, 64]),
            |s| s.window.by_fours_in_blocks()
        ),
        block!(
            "conv2d_pool.block32",
            ["activation", "product", "conv2d_block", "conv2d_rows", "tap_bits", "windows"],
            |s| blocks(pixels(&s.window), s.window.out_channels, [128, 32]),
            |s| s.window.by_fours_in_blocks() && is_narrow(s.window.out_channels)
        ),
        shader!(
            "conv2d_pool.winograd_block",
            [
                "activation",
                "sums",
                "product",
                "winograd_block",
                "winograd_pixels",
                "winograd_image",
                "winograd_inputs",
                "image_tiles",
                "conv2d_winograd_block"
            ],
            |s| blocks(pixels(&s.window) / 4, s.window.out_channels, [32, 32]),
            Needs::WorkgroupMemory,
            |s| s.window.by_tiles()
        ),
        shader!(
            "conv2d_pool.subgroup8_scalar",
            ["activation", "tile", "terms", "conv2d_tile_scalar", "windows"],
            |s| tiles(pixels(&s.window), s.window.out_channels),
            Needs::EightLaneCpu,
            |s| s.window.outputs_by_fours()
        ),
        shader!(
            "conv2d_pool.subgroup8",
            ["activation", "tile", "terms", "conv2d_tile", "windows"],
            |s| tiles(pixels(&s.window), s.window.out_channels),
            Needs::EightLaneCpu,
            |s| s.window.by_fours()
        ),
        shader!(
            "conv2d_pool.winograd8",
            ["activation", "conv2d_winograd", "winograd", "winograd_tiles", "image_tiles"],
            |s| blocks(s.window.output_tiles(), s.window.out_channels, [16, 32]),
            Needs::EightLaneCpu,
            |s| s.window.by_tiles_in_lanes()
        ),
        matrices!(
            "conv2d_pool",
            8,
            ["activation", "conv2d_block", "conv2d_rows", "tap_bits", "windows"],
            |s| s.window.by_fours_in_matrices(),
            |s, block| blocks(pixels(&s.window), s.window.out_channels, block)
        ),
        matrices!(
            "conv2d_pool",
            16,
            ["activation", "conv2d_block", "conv2d_rows", "tap_bits", "windows"],
            |s| s.window.by_fours_in_matrices(),
            |s, block| blocks(pixels(&s.window), s.window.out_channels, block)
        ),
    ];
    const ROUTINES: &'static [Routine<Conv2dShape>] = &[
        Routine {
            name: "conv2d_pool.in_turn",
            fits: |s| !winograd::pays(&s.window),
            together: routines::pooled_together,
            prepare: Some(routines::pool_prepared),
            widen: 1.0,
            run: routines::pool,
        },
        Routine {
            name: "conv2d_pool.winograd",
            fits: |s| winograd::pays(&s.window),
            together: routines::pooled_together,
            prepare: Some(routines::pool_prepared),
            widen: winograd::ROUNDING,
            run: routines::pool,
        },
    ];

    fn rows(s: &Conv2dShape) -> usize {
        s.window.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, w, b, y, argmax) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"), io.write_uint("argmax"));
        let (windows, plain) = (windows(&s.window), Conv2dShape { activation: Activation::None, ..s.clone() });
        let outputs = windows.outputs() / s.window.batch;
        let mut z = vec![R::default(); s.window.image_sizes().1];
        for ((n, y), argmax) in batch.zip(y.chunks_mut(outputs)).zip(argmax.chunks_mut(outputs)) {
            let args = [("x", View::Read(x)), ("w", View::Read(w)), ("b", View::Read(b)), ("y", View::Write(&mut z))];
            Conv2d::reference(&plain, n..n + 1, &mut Io::new(Conv2d::NAME, args));
            let args = [("x", View::Read(&z)), ("y", View::Write(y)), ("argmax", View::WriteUint(argmax))];
            MaxPool::reference(&windows, 0..1, &mut Io::new(MaxPool::NAME, args));
            y.iter_mut().for_each(|y| *y = s.activation.apply(*y));
        }
    }

    fn cases() -> Vec<Conv2dShape> {
        let shape = |(window, activation)| Conv2dShape { window, activation };
        awkward().zip(Activation::ALL.into_iter().cycle()).map(shape).collect()
    }

    fn work(s: &Conv2dShape) -> Work {
        let Work { flops, .. } = s.window.work();
        let values = s.window.inputs() + s.window.weights() + 2 * pooled(&s.window);
        Work { flops, bytes: 4 * values as u64 }
    }

    fn tolerance(s: &Conv2dShape) -> Tolerance {
        s.activation.tolerance(s.window.terms())
    }
}

type DwA = Arg<Conv2dDwShape>;

/// See `shaders/conv2d_pool_dw.wgsl`. The window has one group.
pub struct Conv2dPoolDw;

impl Kernel for Conv2dPoolDw {
    type Shape = Conv2dDwShape;
    const NAME: &'static str = "conv2d_pool_dw";
    const ARGS: &'static [DwA] = &[
        DwA::read("x", |s| s.window.inputs()).stored(),
        DwA::read("dy", |s| pooled(&s.window)),
        DwA::read("argmax", |s| pooled(&s.window)).below(|_| 4),
        DwA::write("dw", |s| s.splits * s.window.weights()),
    ];
    const SHADERS: &'static [Shader<Conv2dDwShape>] = &[
        shader!("conv2d_pool_dw", [], |s| threads(s.splits * s.window.weights())),
        shader!(
            "conv2d_pool_dw.taps",
            ["conv2d_dw_taps"],
            |s| s.splits * s.window.in_channels * s.window.out_channels.div_ceil(32),
            Needs::WorkgroupMemory,
            |s| s.window.by_cells()
        ),
        shader!(
            "conv2d_pool_dw.subgroup8_taps",
            ["taps"],
            |s| s.splits * s.window.terms().div_ceil(9) * s.window.out_channels.div_ceil(32),
            Needs::EightLaneCpu,
            |s| s.window.outputs_by_fours()
        ),
    ];
    const ROUTINES: &'static [Routine<Conv2dDwShape>] = &[Routine {
        name: "conv2d_pool_dw.narrow",
        fits: |s| s.window.is_dense() && s.window.out_channels.is_multiple_of(direct::LANES),
        together: |s| s.window.terms(),
        prepare: None,
        widen: 1.0,
        run: routines::narrow_pool_dw,
    }];

    fn rows(s: &Conv2dDwShape) -> usize {
        s.splits * s.window.terms()
    }

    #[inline(always)]
    fn reference<R: Real>(s: &Conv2dDwShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, dy, argmax, dw) = (io.read("x"), io.read("dy"), io.read_uint("argmax"), io.write("dw"));
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, kernel_width, .. } =
            s.window;
        let (down, across) = (out_height / 2, out_width / 2);
        let mut own = vec![R::default(); out_channels];
        dw.fill(R::default());
        for (row, dw) in rows.zip(dw.chunks_mut(out_channels)) {
            let (split, tap, i) = (row / s.window.terms(), row % s.window.terms() / in_channels, row % in_channels);
            for n in chunk(s.window.batch, s.splits, split) {
                for (oy, iy) in s.window.rows(tap / kernel_width).filter(|&(oy, _)| oy / 2 < down) {
                    for (ox, ix) in s.window.columns(tap % kernel_width).filter(|&(ox, _)| ox / 2 < across) {
                        let at = ((n * down + oy / 2) * across + ox / 2) * out_channels;
                        let place = (oy % 2 * 2 + ox % 2) as u32;
                        let values = dy[at..][..out_channels].iter().zip(&argmax[at..][..out_channels]);
                        for (own, (&dy, &argmax)) in own.iter_mut().zip(values) {
                            *own = if argmax == place { dy } else { R::default() };
                        }
                        add_scaled(dw, x[((n * in_height + iy) * in_width + ix) * in_channels + i], &own);
                    }
                }
            }
        }
    }

    fn cases() -> Vec<Conv2dDwShape> {
        let mut cases: Vec<_> = awkward().map(Conv2dDwShape::new).collect();
        // A last chunk that is short.
        let window =
            Window::new([7, 5, 6, 2], 16, &Taps::square(3, 1, true)).expect("a kernel no larger than the image");
        cases.push(Conv2dDwShape { window, splits: 3 });
        cases
    }

    fn work(s: &Conv2dDwShape) -> Work {
        let values = s.window.inputs() + 2 * pooled(&s.window) + s.window.weights();
        Work { flops: 2 * (pooled(&s.window) * s.window.terms()) as u64, bytes: 4 * values as u64 }
    }

    fn tolerance(s: &Conv2dDwShape) -> Tolerance {
        Tolerance::sum(s.window.batch.div_ceil(s.splits) * pixels(&s.window) / s.window.batch)
    }
}
