//! Pooling: the maximum or the mean of windows of an image, their gradients, and the mean of a whole image.

use std::ops::Range;

use super::routines::maxpool as routines;
use super::window::outputs;
use super::{shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// How windows slide over images, channel by channel.
    pub struct PoolShape {
        /// Images.
        batch: usize,
        /// Rows of an input image.
        in_height: usize,
        /// Columns of an input image.
        in_width: usize,
        /// Channels.
        channels: usize,
        /// Rows of an output image.
        out_height: usize,
        /// Columns of an output image.
        out_width: usize,
        /// Rows of a window.
        window_height: usize,
        /// Columns of a window.
        window_width: usize,
        /// Step between neighbouring windows.
        stride: usize,
        /// Rows and columns on each side of the image that windows may cover, less than a window has.
        pad: usize,
    }
}

impl PoolShape {
    /// Square windows over `[batch, height, width, channels]`, with PyTorch's output sizes: rows and columns that fill
    /// no whole window are left out. `None` if the padded image is smaller than one window.
    pub fn new(
        [batch, in_height, in_width, channels]: [usize; 4],
        size: usize,
        stride: usize,
        pad: usize,
    ) -> Option<Self> {
        Some(PoolShape {
            batch,
            in_height,
            in_width,
            channels,
            out_height: outputs(in_height, size, stride, pad)?,
            out_width: outputs(in_width, size, stride, pad)?,
            window_height: size,
            window_width: size,
            stride,
            pad,
        })
    }

    /// One window that is the whole image.
    pub fn whole([batch, in_height, in_width, channels]: [usize; 4]) -> Self {
        PoolShape {
            batch,
            in_height,
            in_width,
            channels,
            out_height: 1,
            out_width: 1,
            window_height: in_height,
            window_width: in_width,
            stride: 1,
            pad: 0,
        }
    }

    /// Elements of the input.
    pub fn inputs(&self) -> usize {
        self.batch * self.in_height * self.in_width * self.channels
    }

    /// Elements of the output.
    pub fn outputs(&self) -> usize {
        self.batch * self.out_height * self.out_width * self.channels
    }

    /// Pixels of a window.
    pub(super) fn area(&self) -> usize {
        self.window_height * self.window_width
    }

    /// Most windows that a pixel is in.
    fn overlaps(&self) -> usize {
        self.window_height.div_ceil(self.stride) * self.window_width.div_ceil(self.stride)
    }

    /// Whether windows are square and lie side by side on the image alone.
    pub(super) fn is_side_by_side(&self) -> bool {
        [self.window_height, self.window_width] == [self.stride; 2] && self.pad == 0
    }

    /// Windows with those at the lower and right border that are not whole, four channels at a time; side by side.
    fn windows4(&self) -> usize {
        self.batch * self.in_height.div_ceil(self.stride) * self.in_width.div_ceil(self.stride) * self.channels / 4
    }

    /// The output pixels of an image: place, row, column.
    fn outputs_of_image(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let width = self.out_width;
        (0..self.out_height * width).map(move |place| (place, place / width, place % width))
    }

    /// The pixels in the window of an output that are inside the image: which of the window's, which of the image's.
    fn window(&self, oy: usize, ox: usize) -> impl Iterator<Item = (usize, usize)> {
        let inside =
            |o: usize, k: usize, size: usize| (o * self.stride + k).checked_sub(self.pad).filter(|&i| i < size);
        (0..self.area()).filter_map(move |k| {
            let iy = inside(oy, k / self.window_width, self.in_height)?;
            Some((k, iy * self.in_width + inside(ox, k % self.window_width, self.in_width)?))
        })
    }

    /// Values of an input and of an output image.
    pub(super) fn image_sizes(&self) -> (usize, usize) {
        (self.in_height * self.in_width * self.channels, self.out_height * self.out_width * self.channels)
    }

    fn awkward() -> Vec<PoolShape> {
        let windows = [
            ([1, 2, 2, 1], 2, 2, 0),
            ([2, 5, 7, 3], 2, 2, 0),
            ([3, 4, 6, 4], 2, 2, 0),
            ([2, 7, 8, 12], 3, 3, 0),
            ([1, 5, 5, 4], 5, 5, 0),
            ([2, 3, 3, 5], 1, 1, 0),
            ([3, 5, 6, 16], 2, 2, 0),
            ([2, 4, 7, 32], 2, 2, 0),
            // Windows that overlap or lie apart, over the border of the image too.
            ([2, 7, 6, 16], 3, 2, 1),
            ([3, 5, 8, 5], 3, 2, 0),
            ([2, 6, 5, 4], 3, 1, 1),
            ([1, 9, 7, 8], 2, 3, 1),
            ([2, 4, 5, 36], 5, 3, 2),
        ];
        let shape = |(dims, size, stride, pad)| PoolShape::new(dims, size, stride, pad).expect("a window that fits");
        windows.into_iter().map(shape).chain([PoolShape::whole([3, 2, 5, 7]), PoolShape::whole([2, 3, 3, 8])]).collect()
    }
}

/// Takes over the values that are larger, and notes `place` for them: without a branch, which random values would
/// mislead.
#[inline(always)]
fn keep_larger<R: Real>(largest: &mut [R], places: &mut [u32], values: &[R], place: u32) {
    for ((largest, own), &value) in largest.iter_mut().zip(places).zip(values) {
        let mask = u32::from(value > *largest).wrapping_neg();
        *largest = value.max(*largest);
        *own = (*own & !mask) | (place & mask);
    }
}

type A = Arg<PoolShape>;

/// See `shaders/maxpool.wgsl`.
pub struct MaxPool;

impl Kernel for MaxPool {
    type Shape = PoolShape;
    const NAME: &'static str = "maxpool";
    const ARGS: &'static [A] = &[
        A::read("x", PoolShape::inputs).fill(Fill::Coarse).stored().local(),
        A::write("y", PoolShape::outputs).stored(),
        A::write("argmax", PoolShape::outputs).uint(),
    ];
    const SHADERS: &'static [Shader<PoolShape>] = &[
        shader!("maxpool", [], |s| threads(s.outputs())),
        shader!("maxpool.overlap", [], |s| threads(s.outputs() / 4), Needs::Nothing, |s| s.channels.is_multiple_of(4)),
        shader!("maxpool.vec4", [], |s| threads(s.outputs() / 4), Needs::Nothing, |s| {
            s.is_side_by_side() && s.channels.is_multiple_of(4)
        }),
    ];
    const ROUTINES: &'static [Routine<PoolShape>] = &[Routine {
        name: "maxpool.two_by_two",
        fits: |s| s.stride == 2 && s.is_side_by_side() && s.channels.is_multiple_of(routines::LANES),
        together: |_| 1,
        prepare: None,
        widen: 1.0,
        run: routines::two_by_two,
    }];

    fn rows(s: &PoolShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &PoolShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, y, argmax) = (io.read("x"), io.write("y"), io.write_uint("argmax"));
        let (image, pooled) = s.image_sizes();
        for ((n, y), argmax) in batch.zip(y.chunks_mut(pooled)).zip(argmax.chunks_mut(pooled)) {
            let pixel = |place: usize| &x[n * image + place * s.channels..][..s.channels];
            let outputs = y.chunks_mut(s.channels).zip(argmax.chunks_mut(s.channels));
            for ((y, argmax), (_, oy, ox)) in outputs.zip(s.outputs_of_image()) {
                let mut pixels = s.window(oy, ox);
                let (k, first) = pixels.next().expect("a window meets the image");
                y.copy_from_slice(pixel(first));
                argmax.fill(k as u32);
                for (k, place) in pixels {
                    keep_larger(y, argmax, pixel(place), k as u32);
                }
            }
        }
    }

    fn cases() -> Vec<PoolShape> {
        PoolShape::awkward()
    }

    fn work(s: &PoolShape) -> Work {
        Work { flops: s.inputs() as u64, bytes: 4 * (s.inputs() + 2 * s.outputs()) as u64 }
    }

    fn tolerance(_: &PoolShape) -> Tolerance {
        Tolerance::sum(1)
    }
}

/// See `shaders/maxpool_dx.wgsl`.
pub struct MaxPoolDx;

impl Kernel for MaxPoolDx {
    type Shape = PoolShape;
    const NAME: &'static str = "maxpool_dx";
    const ARGS: &'static [A] = &[
        A::read("dy", PoolShape::outputs).local(),
        A::read("argmax", PoolShape::outputs).below(|s| s.area() as u32).local(),
        A::write("dx", PoolShape::inputs),
    ];
    const SHADERS: &'static [Shader<PoolShape>] = &[
        shader!("maxpool_dx", ["pool"], |s| threads(s.inputs())),
        shader!("maxpool_dx.overlap", ["pool"], |s| threads(s.inputs() / 4), Needs::Nothing, |s| s
            .channels
            .is_multiple_of(4)),
        shader!("maxpool_dx.vec4", [], |s| threads(s.windows4()), Needs::Nothing, |s| {
            s.is_side_by_side() && s.channels.is_multiple_of(4)
        }),
    ];
    const ROUTINES: &'static [Routine<PoolShape>] = &[Routine {
        name: "maxpool_dx.two_by_two",
        fits: |s| s.stride == 2 && s.is_side_by_side() && s.channels.is_multiple_of(routines::LANES),
        together: |_| 1,
        prepare: None,
        widen: 1.0,
        run: routines::two_by_two_dx,
    }];

    fn rows(s: &PoolShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &PoolShape, batch: Range<usize>, io: &mut Io<R>) {
        let (dy, argmax, dx) = (io.read("dy"), io.read_uint("argmax"), io.write("dx"));
        let (image, pooled) = s.image_sizes();
        dx.fill(R::default());
        for (n, dx) in batch.zip(dx.chunks_mut(image)) {
            for (output, oy, ox) in s.outputs_of_image() {
                let from = n * pooled + output * s.channels;
                let (dy, argmax) = (&dy[from..][..s.channels], &argmax[from..][..s.channels]);
                for (k, place) in s.window(oy, ox) {
                    let dx = &mut dx[place * s.channels..][..s.channels];
                    for ((dx, &dy), &argmax) in dx.iter_mut().zip(dy).zip(argmax) {
                        *dx += if argmax == k as u32 { dy } else { R::default() };
                    }
                }
            }
        }
    }

    fn cases() -> Vec<PoolShape> {
        PoolShape::awkward()
    }

    fn work(s: &PoolShape) -> Work {
        Work { flops: s.outputs() as u64, bytes: 4 * (s.inputs() + 2 * s.outputs()) as u64 }
    }

    fn tolerance(s: &PoolShape) -> Tolerance {
        Tolerance::sum(s.overlaps())
    }
}

/// See `shaders/avgpool.wgsl`.
pub struct AvgPool;

impl Kernel for AvgPool {
    type Shape = PoolShape;
    const NAME: &'static str = "avgpool";
    const ARGS: &'static [A] =
        &[A::read("x", PoolShape::inputs).stored().local(), A::write("y", PoolShape::outputs).stored()];
    const SHADERS: &'static [Shader<PoolShape>] = &[
        shader!("avgpool", [], |s| threads(s.outputs())),
        shader!("avgpool.vec4", [], |s| threads(s.outputs() / 4), Needs::Nothing, |s| s.channels.is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<PoolShape>] = &[];

    fn rows(s: &PoolShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &PoolShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, y) = (io.read("x"), io.write("y"));
        let (image, pooled) = s.image_sizes();
        let share = R::of(1.0 / s.area() as f64);
        y.fill(R::default());
        for (n, y) in batch.zip(y.chunks_mut(pooled)) {
            for (y, (_, oy, ox)) in y.chunks_mut(s.channels).zip(s.outputs_of_image()) {
                for (_, place) in s.window(oy, ox) {
                    let x = &x[n * image + place * s.channels..][..s.channels];
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
                }
                y.iter_mut().for_each(|y| *y = *y * share);
            }
        }
    }

    fn cases() -> Vec<PoolShape> {
        PoolShape::awkward()
    }

    fn work(s: &PoolShape) -> Work {
        Work { flops: (s.outputs() * s.area()) as u64, bytes: 4 * (s.inputs() + s.outputs()) as u64 }
    }

    fn tolerance(s: &PoolShape) -> Tolerance {
        Tolerance::sum(s.area())
    }
}

/// See `shaders/avgpool_dx.wgsl`.
pub struct AvgPoolDx;

impl Kernel for AvgPoolDx {
    type Shape = PoolShape;
    const NAME: &'static str = "avgpool_dx";
    const ARGS: &'static [A] = &[A::read("dy", PoolShape::outputs), A::write("dx", PoolShape::inputs)];
    const SHADERS: &'static [Shader<PoolShape>] = &[
        shader!("avgpool_dx", ["pool"], |s| threads(s.inputs())),
        shader!("avgpool_dx.vec4", ["pool"], |s| threads(s.inputs() / 4), Needs::Nothing, |s| s
            .channels
            .is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<PoolShape>] = &[];

    fn rows(s: &PoolShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &PoolShape, batch: Range<usize>, io: &mut Io<R>) {
        let (dy, dx) = (io.read("dy"), io.write("dx"));
        let (image, pooled) = s.image_sizes();
        let share = R::of(1.0 / s.area() as f64);
        dx.fill(R::default());
        for (n, dx) in batch.zip(dx.chunks_mut(image)) {
            for (output, oy, ox) in s.outputs_of_image() {
                let dy = &dy[n * pooled + output * s.channels..][..s.channels];
                for (_, place) in s.window(oy, ox) {
                    let dx = &mut dx[place * s.channels..][..s.channels];
                    dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy * share);
                }
            }
        }
    }

    fn cases() -> Vec<PoolShape> {
        PoolShape::awkward()
    }

    fn work(s: &PoolShape) -> Work {
        Work { flops: (s.outputs() * s.area()) as u64, bytes: 4 * (s.inputs() + s.outputs()) as u64 }
    }

    fn tolerance(s: &PoolShape) -> Tolerance {
        Tolerance::sum(s.overlaps())
    }
}

shape! {
    /// Images whose pixels are averaged, channel by channel.
    pub struct MeanShape {
        /// Images.
        batch: usize,
        /// Pixels of an image.
        pixels: usize,
        /// Channels.
        channels: usize,
    }
}

type MeanArg = Arg<MeanShape>;

/// See `shaders/mean.wgsl`. (Its gradient is [`AvgPoolDx`] of one window.)
pub struct Mean;

impl Kernel for Mean {
    type Shape = MeanShape;
    const NAME: &'static str = "mean";
    const ARGS: &'static [MeanArg] = &[
        MeanArg::read("x", |s| s.batch * s.pixels * s.channels).stored().local(),
        MeanArg::write("y", |s| s.batch * s.channels),
    ];
    const SHADERS: &'static [Shader<MeanShape>] = &[
        shader!("mean", [], |s| threads(s.batch * s.channels)),
        shader!("mean.vec4", [], |s| threads(s.batch * s.channels / 4), Needs::Nothing, |s| s
            .channels
            .is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<MeanShape>] = &[];

    fn rows(s: &MeanShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MeanShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, y) = (io.read("x"), io.write("y"));
        let share = R::of(1.0 / s.pixels as f64);
        y.fill(R::default());
        for (n, y) in batch.zip(y.chunks_mut(s.channels)) {
            for x in x[n * s.pixels * s.channels..][..s.pixels * s.channels].chunks(s.channels) {
                y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
            }
            y.iter_mut().for_each(|y| *y = *y * share);
        }
    }

    fn cases() -> Vec<MeanShape> {
        [(1, 1, 1), (3, 35, 5), (2, 49, 36), (70, 4, 64)]
            .into_iter()
            .map(|(batch, pixels, channels)| MeanShape { batch, pixels, channels })
            .collect()
    }

    fn work(s: &MeanShape) -> Work {
        let inputs = s.batch * s.pixels * s.channels;
        Work { flops: inputs as u64, bytes: 4 * (inputs + s.batch * s.channels) as u64 }
    }

    fn tolerance(s: &MeanShape) -> Tolerance {
        Tolerance::sum(s.pixels)
    }
}
