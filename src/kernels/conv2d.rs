//! Two-dimensional convolution with fused bias and activation, and its gradients by input and by weights. (The
//! gradient by bias is [`SumRows`](super::SumRows).)

use std::ops::Range;

use super::direct::{self, Walk};
use super::product::{Matrix, product, scratch};
use super::{
    Activation, add_scaled, blocks, by_fours, chunk, dot, local, patches, read, shader, splits, stored, threads, tiles,
    write,
};
use crate::host::{Io, Real, vectorised};
use crate::kernel::{Arg, Constants, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// How a convolution slides over its images: the geometry that forward pass and gradients share.
    pub struct Window {
        /// Images.
        batch: usize,
        /// Rows of an input image.
        in_height: usize,
        /// Columns of an input image.
        in_width: usize,
        /// Channels of an input image.
        in_channels: usize,
        /// Rows of an output image.
        out_height: usize,
        /// Columns of an output image.
        out_width: usize,
        /// Channels of an output image.
        out_channels: usize,
        /// Rows and columns of the kernel, odd.
        kernel: usize,
        /// Step between neighbouring outputs.
        stride: usize,
        /// Zeros on each side of the input.
        pad: usize,
    }
}

impl Window {
    /// The window over `[batch, height, width, channels]`, with PyTorch's output sizes: `same` pads `(kernel - 1)/2`
    /// zeros on every side, otherwise (valid) none. `None` if the kernel is larger than the padded image.
    pub fn new(
        [batch, in_height, in_width, in_channels]: [usize; 4],
        out_channels: usize,
        kernel: usize,
        stride: usize,
        same: bool,
    ) -> Option<Self> {
        let pad = if same { (kernel - 1) / 2 } else { 0 };
        let out = |size: usize| Some((size + 2 * pad).checked_sub(kernel)? / stride + 1);
        let (out_height, out_width) = (out(in_height)?, out(in_width)?);
        Some(Window {
            batch,
            in_height,
            in_width,
            in_channels,
            out_height,
            out_width,
            out_channels,
            kernel,
            stride,
            pad,
        })
    }

    /// Elements of the input.
    pub fn inputs(&self) -> usize {
        self.batch * self.in_height * self.in_width * self.in_channels
    }

    /// Elements of the output.
    pub fn outputs(&self) -> usize {
        self.batch * self.out_height * self.out_width * self.out_channels
    }

    /// Elements of the weights, `[kernel, kernel, in_channels, out_channels]`.
    pub fn weights(&self) -> usize {
        self.kernel * self.kernel * self.in_channels * self.out_channels
    }

    /// Terms of one output: taps × input channels.
    pub fn terms(&self) -> usize {
        self.kernel * self.kernel * self.in_channels
    }

    fn work(&self) -> Work {
        let products = self.outputs() * self.terms();
        Work { flops: 2 * products as u64, bytes: 4 * (self.inputs() + self.outputs() + self.weights()) as u64 }
    }

    /// Pairs of (output coordinate, input coordinate) along one axis that tap `k` connects.
    fn tap(&self, k: usize, out_size: usize, in_size: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
        let (stride, pad) = (self.stride, self.pad);
        (0..out_size).filter_map(move |o| {
            let i = (o * stride + k).checked_sub(pad)?;
            (i < in_size).then_some((o, i))
        })
    }

    fn awkward() -> Vec<Window> {
        let window = |dims, out, kernel, stride, same| Window::new(dims, out, kernel, stride, same).unwrap();
        vec![
            window([1, 1, 1, 1], 1, 1, 1, true),
            window([2, 5, 7, 3], 5, 3, 1, true),
            window([3, 9, 6, 2], 4, 5, 2, true),
            window([2, 8, 11, 1], 6, 3, 3, false),
            window([1, 7, 7, 5], 3, 7, 1, false),
            window([5, 14, 10, 1], 32, 3, 1, true),
            window([7, 6, 5, 32], 64, 3, 1, true),
            window([3, 9, 9, 36], 68, 3, 2, true),
            window([2, 6, 7, 3], 32, 5, 1, true),
            window([3, 7, 19, 1], 16, 5, 1, false),
            window([9, 5, 5, 8], 12, 3, 1, false),
            window([3, 9, 12, 16], 32, 5, 1, false),
        ]
    }
}

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

/// Values of an image's row that a row of taps meets: where they begin in the image's row, where in the row of taps,
/// and how many they are.
struct Overlap {
    from: usize,
    to: usize,
    values: usize,
}

impl Window {
    /// Pixels of an output image.
    fn pixels(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Calls `each` for every row of taps of every output pixel: with where the row begins in `[pixels, terms]`, and,
    /// if it meets the image, with where the image's row begins and what they have in common.
    #[inline(always)]
    fn tap_rows(&self, mut each: impl FnMut(usize, Option<(usize, Overlap)>)) {
        let Window { in_height, in_width, in_channels, kernel, stride, pad, .. } = *self;
        for oy in 0..self.out_height {
            for ox in 0..self.out_width {
                // The columns of taps that are inside the image.
                let first = pad.saturating_sub(ox * stride);
                let end = (in_width + pad).saturating_sub(ox * stride).min(kernel);
                for ky in 0..kernel {
                    let place = ((oy * self.out_width + ox) * kernel + ky) * kernel * in_channels;
                    let iy = (oy * stride + ky).checked_sub(pad).filter(|&iy| iy < in_height);
                    let overlap = || Overlap {
                        from: (ox * stride + first - pad) * in_channels,
                        to: first * in_channels,
                        values: (end - first) * in_channels,
                    };
                    each(place, iy.filter(|_| first < end).map(|iy| (iy * in_width * in_channels, overlap())));
                }
            }
        }
    }

    /// Unfolds an image into the terms of every output pixel, `[pixels, terms]`: the convolution is then a product.
    fn unfold(&self, image: &[f32], terms: &mut [f32]) {
        let length = self.kernel * self.in_channels;
        self.tap_rows(|place, row| {
            let taps = &mut terms[place..][..length];
            match row {
                Some((start, Overlap { from, to, values })) => {
                    taps[..to].fill(0.0);
                    taps[to..to + values].copy_from_slice(&image[start + from..][..values]);
                    taps[to + values..].fill(0.0);
                }
                None => taps.fill(0.0),
            }
        });
    }

    /// Adds the terms of every output pixel, `[pixels, terms]`, up where they come from in an image.
    fn fold(&self, terms: &[f32], image: &mut [f32]) {
        image.fill(0.0);
        self.tap_rows(|place, row| {
            if let Some((start, Overlap { from, to, values })) = row {
                let taps = &terms[place + to..][..values];
                image[start + from..][..values].iter_mut().zip(taps).for_each(|(value, tap)| *value += tap);
            }
        });
    }

    /// Values of an input and of an output image.
    fn image_sizes(&self) -> (usize, usize) {
        (self.in_height * self.in_width * self.in_channels, self.pixels() * self.out_channels)
    }
}

/// See `shaders/conv2d.wgsl`.
pub struct Conv2d;

impl Conv2d {
    /// Image by image: unfolded, times the weights.
    fn gemm(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<f32>) {
        let (x, w, b, y) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"));
        let window = &s.window;
        let (pixels, taps, (inputs, outputs)) = (window.pixels(), window.terms(), window.image_sizes());
        let w = Matrix::new(w, taps, window.out_channels);
        let mut terms = scratch(pixels * taps);
        vectorised(|| {
            for (n, y) in batch.zip(y.chunks_mut(outputs)) {
                window.unfold(&x[n * inputs..][..inputs], &mut terms);
                product(y, Matrix::new(&terms, pixels, taps), w, false);
                s.activation.finish(y, b);
            }
        });
    }
}

impl Conv2d {
    /// Image by image: sums in registers.
    fn direct(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<f32>) {
        let (x, w, b, y) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"));
        let x = &x[batch.start * s.window.image_sizes().0..];
        direct::convolve(Walk::forward(&s.window), x, w, b, y, |row| {
            vectorised(|| row.iter_mut().for_each(|y| *y = s.activation.apply(*y)));
        });
    }
}

impl Kernel for Conv2d {
    type Shape = Conv2dShape;
    const NAME: &'static str = "conv2d";
    const ARGS: &'static [Arg<Conv2dShape>] = &[
        local(stored(read("x", |s| s.window.inputs()))),
        read("w", |s| s.window.weights()),
        read("b", |s| s.window.out_channels),
        stored(write("y", |s| s.window.outputs())),
    ];
    const SHADERS: &'static [Shader<Conv2dShape>] = &[
        shader!("conv2d", ["activation", "stored"], |s| threads(s.window.outputs())),
        shader!(
            "conv2d.registers_scalar",
            ["activation", "registers", "terms", "window", "stored"],
            |s| patches(s.window.outputs() / s.window.out_channels, s.window.out_channels),
            Needs::Nothing,
            |s| s.window.out_channels.is_multiple_of(4)
        ),
        shader!(
            "conv2d.registers",
            ["activation", "registers", "terms", "window", "stored"],
            |s| patches(s.window.outputs() / s.window.out_channels, s.window.out_channels),
            Needs::Nothing,
            |s| by_fours(s.window.in_channels, s.window.out_channels)
        ),
        shader!(
            "conv2d.block",
            ["activation", "block", "block_terms", "stored"],
            |s| blocks(s.window.outputs() / s.window.out_channels, s.window.out_channels),
            Needs::WorkgroupMemory,
            |s| by_fours(s.window.in_channels, s.window.out_channels)
        ),
        shader!(
            "conv2d.subgroup8_scalar",
            ["activation", "tile", "terms", "stored"],
            |s| tiles(s.window.outputs() / s.window.out_channels, s.window.out_channels),
            Needs::EightLaneCpu,
            |s| s.window.out_channels.is_multiple_of(4)
        ),
        shader!(
            "conv2d.subgroup8",
            ["activation", "tile", "terms", "stored"],
            |s| tiles(s.window.outputs() / s.window.out_channels, s.window.out_channels),
            Needs::EightLaneCpu,
            |s| by_fours(s.window.in_channels, s.window.out_channels)
        ),
    ];
    const ROUTINES: &'static [Routine<Conv2dShape>] = &[
        Routine { name: "conv2d.gemm", fits: |_| true, together: 1, run: Conv2d::gemm },
        Routine {
            name: "conv2d.direct",
            fits: |s| s.window.stride == 1 && s.window.out_channels.is_multiple_of(direct::LANES),
            together: 1,
            run: Conv2d::direct,
        },
    ];

    fn rows(s: &Conv2dShape) -> usize {
        s.window.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, w, b, y) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"));
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, kernel, .. } = s.window;
        y.chunks_mut(out_channels).for_each(|y| y.copy_from_slice(b));
        for (n, y) in batch.zip(y.chunks_mut(out_height * out_width * out_channels)) {
            for ky in 0..kernel {
                for (oy, iy) in s.window.tap(ky, out_height, in_height) {
                    for kx in 0..kernel {
                        for (ox, ix) in s.window.tap(kx, out_width, in_width) {
                            let y = &mut y[(oy * out_width + ox) * out_channels..][..out_channels];
                            for i in 0..in_channels {
                                let value = x[((n * in_height + iy) * in_width + ix) * in_channels + i];
                                let tap = ((ky * kernel + kx) * in_channels + i) * out_channels;
                                add_scaled(y, value, &w[tap..][..out_channels]);
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

/// See `shaders/conv2d_dx.wgsl`.
pub struct Conv2dDx;

impl Conv2dDx {
    /// Image by image: the terms' gradients as a product, folded.
    fn gemm(s: &Window, batch: Range<usize>, io: &mut Io<f32>) {
        let (dz, w, dx) = (io.read("dz"), io.read("w"), io.write("dx"));
        let (pixels, taps, (inputs, outputs)) = (s.pixels(), s.terms(), s.image_sizes());
        let w = Matrix::new(w, taps, s.out_channels).transposed();
        let mut terms = scratch(pixels * taps);
        vectorised(|| {
            for (n, dx) in batch.zip(dx.chunks_mut(inputs)) {
                let dz = Matrix::new(&dz[n * outputs..][..outputs], pixels, s.out_channels);
                product(&mut terms, dz, w, false);
                s.fold(&terms, dx);
            }
        });
    }
}

impl Conv2dDx {
    /// Image by image: sums in registers, a convolution with the kernel turned round.
    fn direct(s: &Window, batch: Range<usize>, io: &mut Io<f32>) {
        let (dz, w, dx) = (io.read("dz"), io.read("w"), io.write("dx"));
        let mut turned = vec![0.0; s.weights()];
        direct::turned(s, w, &mut turned);
        let (dz, none) = (&dz[batch.start * s.image_sizes().1..], vec![0.0; s.in_channels]);
        direct::convolve(Walk::backward(s), dz, &turned, &none, dx, |_| ());
    }
}

impl Kernel for Conv2dDx {
    type Shape = Window;
    const NAME: &'static str = "conv2d_dx";
    const ARGS: &'static [Arg<Window>] =
        &[read("dz", Window::outputs), read("w", Window::weights), write("dx", Window::inputs)];
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
        Routine { name: "conv2d_dx.gemm", fits: |_| true, together: 1, run: Conv2dDx::gemm },
        Routine {
            name: "conv2d_dx.direct",
            fits: |s| s.stride == 1 && s.in_channels.is_multiple_of(direct::LANES),
            together: 1,
            run: Conv2dDx::direct,
        },
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

/// See `shaders/conv2d_dw.wgsl`.
pub struct Conv2dDw;

impl Conv2dDw {
    /// Image by image: unfolded, its transpose times the outputs' gradients.
    fn gemm(s: &Conv2dDwShape, splits: Range<usize>, io: &mut Io<f32>) {
        let (x, dz, dw) = (io.read("x"), io.read("dz"), io.write("dw"));
        let window = &s.window;
        let (pixels, taps, (inputs, outputs)) = (window.pixels(), window.terms(), window.image_sizes());
        let mut terms = scratch(pixels * taps);
        vectorised(|| {
            for (split, dw) in splits.zip(dw.chunks_mut(window.weights())) {
                dw.fill(0.0);
                for n in chunk(window.batch, s.splits, split) {
                    window.unfold(&x[n * inputs..][..inputs], &mut terms);
                    let dz = Matrix::new(&dz[n * outputs..][..outputs], pixels, window.out_channels);
                    product(dw, Matrix::new(&terms, pixels, taps).transposed(), dz, true);
                }
            }
        });
    }
}

impl Conv2dDw {
    /// Image by image: sums in registers.
    fn direct(s: &Conv2dDwShape, splits: Range<usize>, io: &mut Io<f32>) {
        let (x, dz, dw) = (io.read("x"), io.read("dz"), io.write("dw"));
        let (window, (inputs, outputs)) = (&s.window, s.window.image_sizes());
        dw.fill(0.0);
        for (split, dw) in splits.zip(dw.chunks_mut(window.weights())) {
            let images = chunk(window.batch, s.splits, split);
            let x = &x[images.start * inputs..images.end * inputs];
            let dz = &dz[images.start * outputs..images.end * outputs];
            direct::correlate(Walk::forward(window), x, dz, dw);
        }
    }
}

impl Kernel for Conv2dDw {
    type Shape = Conv2dDwShape;
    const NAME: &'static str = "conv2d_dw";
    const ARGS: &'static [Arg<Conv2dDwShape>] = &[
        stored(read("x", |s| s.window.inputs())),
        read("dz", |s| s.window.outputs()),
        write("dw", |s| s.splits * s.window.weights()),
    ];
    const SHADERS: &'static [Shader<Conv2dDwShape>] = &[
        shader!("conv2d_dw", ["stored"], |s| threads(s.splits * s.window.weights())),
        shader!(
            "conv2d_dw.registers",
            ["registers", "terms", "stored"],
            |s| {
                let Window { in_channels, out_channels, kernel, .. } = s.window;
                threads(s.splits * kernel * kernel * in_channels.div_ceil(8) * out_channels.div_ceil(8))
            },
            Needs::Nothing,
            |s| by_fours(s.window.in_channels, s.window.out_channels)
        ),
        shader!(
            "conv2d_dw.block",
            ["block", "stored"],
            |s| s.splits * blocks(s.window.terms(), s.window.out_channels),
            Needs::WorkgroupMemory,
            |s| by_fours(s.window.in_channels, s.window.out_channels)
        ),
        shader!(
            "conv2d_dw.subgroup8_taps",
            ["taps", "stored"],
            |s| s.splits * s.window.terms().div_ceil(9) * s.window.out_channels.div_ceil(32),
            Needs::EightLaneCpu,
            |s| s.window.out_channels.is_multiple_of(4)
        ),
        shader!(
            "conv2d_dw.subgroup8",
            ["tile", "terms", "stored"],
            |s| s.splits * s.window.kernel * s.window.kernel * tiles(s.window.in_channels, s.window.out_channels),
            Needs::EightLaneCpu,
            |s| by_fours(s.window.in_channels, s.window.out_channels)
        ),
    ];
    const ROUTINES: &'static [Routine<Conv2dDwShape>] = &[
        Routine { name: "conv2d_dw.gemm", fits: |_| true, together: 1, run: Conv2dDw::gemm },
        Routine {
            name: "conv2d_dw.direct",
            fits: |s| s.window.stride == 1 && s.window.out_channels.is_multiple_of(direct::LANES),
            together: 1,
            run: Conv2dDw::direct,
        },
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
