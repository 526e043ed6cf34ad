//! Max pooling over square windows side by side, and its gradient.

use std::ops::Range;

use super::routines::maxpool as routines;
use super::{shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// Images pooled by windows of `size` × `size` that do not overlap.
    pub struct MaxPoolShape {
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
        /// Rows and columns of a window.
        size: usize,
    }
}

impl MaxPoolShape {
    /// The pool over `[batch, height, width, channels]`; rows and columns that fill no whole window are left out.
    /// `None` if the image is smaller than one window.
    pub fn new([batch, in_height, in_width, channels]: [usize; 4], size: usize) -> Option<Self> {
        let (out_height, out_width) = (in_height / size, in_width / size);
        (out_height > 0 && out_width > 0).then_some(MaxPoolShape {
            batch,
            in_height,
            in_width,
            channels,
            out_height,
            out_width,
            size,
        })
    }

    /// Elements of the input.
    pub fn inputs(&self) -> usize {
        self.batch * self.in_height * self.in_width * self.channels
    }

    /// Elements of the output.
    pub fn outputs(&self) -> usize {
        self.batch * self.out_height * self.out_width * self.channels
    }

    /// Windows with those at the lower and right border that are not whole, four channels at a time.
    fn windows4(&self) -> usize {
        self.batch * self.in_height.div_ceil(self.size) * self.in_width.div_ceil(self.size) * self.channels / 4
    }

    fn awkward() -> Vec<MaxPoolShape> {
        [
            ([1, 2, 2, 1], 2),
            ([2, 5, 7, 3], 2),
            ([3, 4, 6, 4], 2),
            ([2, 7, 8, 12], 3),
            ([1, 5, 5, 4], 5),
            ([2, 3, 3, 5], 1),
            ([3, 5, 6, 16], 2),
            ([2, 4, 7, 32], 2),
        ]
        .into_iter()
        .map(|(dims, size)| MaxPoolShape::new(dims, size).unwrap())
        .collect()
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

type A = Arg<MaxPoolShape>;

/// See `shaders/maxpool.wgsl`.
pub struct MaxPool;

impl Kernel for MaxPool {
    type Shape = MaxPoolShape;
    const NAME: &'static str = "maxpool";
    const ARGS: &'static [A] = &[
        A::read("x", MaxPoolShape::inputs).fill(Fill::Coarse).stored().local(),
        A::write("y", MaxPoolShape::outputs).stored(),
        A::write("argmax", MaxPoolShape::outputs).uint(),
    ];
    const SHADERS: &'static [Shader<MaxPoolShape>] = &[
        shader!("maxpool", [], |s| threads(s.outputs())),
        shader!("maxpool.vec4", [], |s| threads(s.outputs() / 4), Needs::Nothing, |s| s.channels.is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<MaxPoolShape>] = &[Routine {
        name: "maxpool.two_by_two",
        fits: |s| s.size == 2 && s.channels.is_multiple_of(routines::LANES),
        together: 1,
        run: routines::two_by_two,
    }];

    fn rows(s: &MaxPoolShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MaxPoolShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, y, argmax) = (io.read("x"), io.write("y"), io.write_uint("argmax"));
        let mut first = 0;
        for n in batch {
            for oy in 0..s.out_height {
                for ox in 0..s.out_width {
                    let (y, argmax) = (&mut y[first..][..s.channels], &mut argmax[first..][..s.channels]);
                    first += s.channels;
                    let pixel = |k: usize| {
                        let (iy, ix) = (oy * s.size + k / s.size, ox * s.size + k % s.size);
                        &x[((n * s.in_height + iy) * s.in_width + ix) * s.channels..][..s.channels]
                    };
                    y.copy_from_slice(pixel(0));
                    argmax.fill(0);
                    for k in 1..s.size * s.size {
                        keep_larger(y, argmax, pixel(k), k as u32);
                    }
                }
            }
        }
    }

    fn cases() -> Vec<MaxPoolShape> {
        MaxPoolShape::awkward()
    }

    fn work(s: &MaxPoolShape) -> Work {
        Work { flops: s.inputs() as u64, bytes: 4 * (s.inputs() + 2 * s.outputs()) as u64 }
    }

    fn tolerance(_: &MaxPoolShape) -> Tolerance {
        Tolerance::sum(1)
    }
}

/// See `shaders/maxpool_dx.wgsl`.
pub struct MaxPoolDx;

impl Kernel for MaxPoolDx {
    type Shape = MaxPoolShape;
    const NAME: &'static str = "maxpool_dx";
    const ARGS: &'static [A] = &[
        A::read("dy", MaxPoolShape::outputs),
        A::read("argmax", MaxPoolShape::outputs).below(|s| (s.size * s.size) as u32),
        A::write("dx", MaxPoolShape::inputs),
    ];
    const SHADERS: &'static [Shader<MaxPoolShape>] = &[
        shader!("maxpool_dx", [], |s| threads(s.inputs())),
        shader!("maxpool_dx.vec4", [], |s| threads(s.windows4()), Needs::Nothing, |s| s.channels.is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<MaxPoolShape>] = &[];

    fn rows(s: &MaxPoolShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MaxPoolShape, batch: Range<usize>, io: &mut Io<R>) {
        let (dy, argmax, dx) = (io.read("dy"), io.read_uint("argmax"), io.write("dx"));
        dx.fill(R::default());
        for (n, dx) in batch.zip(dx.chunks_mut(s.in_height * s.in_width * s.channels)) {
            for oy in 0..s.out_height {
                for ox in 0..s.out_width {
                    let from = ((n * s.out_height + oy) * s.out_width + ox) * s.channels;
                    let (dy, argmax) = (&dy[from..][..s.channels], &argmax[from..][..s.channels]);
                    for k in 0..s.size * s.size {
                        let (iy, ix) = (oy * s.size + k / s.size, ox * s.size + k % s.size);
                        let dx = &mut dx[(iy * s.in_width + ix) * s.channels..][..s.channels];
                        for ((dx, &dy), &argmax) in dx.iter_mut().zip(dy).zip(argmax) {
                            *dx = if argmax == k as u32 { dy } else { R::default() };
                        }
                    }
                }
            }
        }
    }

    fn cases() -> Vec<MaxPoolShape> {
        MaxPoolShape::awkward()
    }

    fn work(s: &MaxPoolShape) -> Work {
        Work { flops: 0, bytes: 4 * (s.inputs() + 2 * s.outputs()) as u64 }
    }

    fn tolerance(_: &MaxPoolShape) -> Tolerance {
        Tolerance::sum(1)
    }
}
