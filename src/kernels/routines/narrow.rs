//! Gradients of convolutions by their weights on the host's processor, for images of few channels and stride 1: sums
//! that stay in registers. The images get a border of zeros first, so that no tap looks outside; the weights of a row
//! of taps then meet a run of neighbouring values.

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};

use super::direct::LANES;
use super::product::scratch;
use crate::kernels::Window;

/// Weights whose sums are in registers at a time: those of 3×3 taps on one channel.
const TERMS: usize = 9;

/// How images with their border are walked over.
#[derive(Clone, Copy)]
struct Walk {
    /// Rows and columns of an image.
    image: [usize; 2],
    /// Rows and columns of zeros on each side of it.
    border: [usize; 2],
    /// Channels of a pixel.
    channels: usize,
    /// Rows and columns of taps.
    kernel: [usize; 2],
    /// Rows and columns of the pixels made, or met.
    pixels: [usize; 2],
    /// Values of each.
    columns: usize,
}

impl Walk {
    /// That of a window of stride 1.
    fn new(window: &Window) -> Walk {
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, .. } = *window;
        Walk {
            image: [in_height, in_width],
            border: [window.pad_y, window.pad_x],
            channels: in_channels,
            kernel: [window.kernel_height, window.kernel_width],
            pixels: [out_height, out_width],
            columns: out_channels,
        }
    }

    /// Values of a row of an image with its border.
    fn width(&self) -> usize {
        (self.image[1] + 2 * self.border[1]) * self.channels
    }

    /// Values of an image with its border.
    fn padded(&self) -> usize {
        (self.image[0] + 2 * self.border[0]) * self.width()
    }

    /// Whether columns are taken two vectors at a time: where there are registers for the sums of both.
    #[inline(always)]
    fn goes_by_twos<S: Simd>(&self) -> bool {
        S::REGISTER_COUNT >= 32 && self.columns.is_multiple_of(2 * S::F32_LANES)
    }

    /// Puts an image into its border of zeros, which is there already.
    fn pad(&self, image: &[f32], padded: &mut [f32]) {
        let row = self.image[1] * self.channels;
        for (place, values) in image.chunks(row).enumerate() {
            let start = (place + self.border[0]) * self.width() + self.border[1] * self.channels;
            padded[start..][..row].copy_from_slice(values);
        }
    }
}

/// Gradients of some images' pixels.
#[derive(Clone, Copy)]
pub(crate) enum Gradients<'a> {
    /// Of each pixel, `[pixels, columns]`.
    Whole(&'a [f32]),
    /// Of windows of two by two, each of which belongs to one of its pixels: gradients and pixels `[windows, columns]`.
    /// Those of rows and columns that fill no whole window are 0.
    Pooled(&'a [f32], &'a [u32]),
}

/// `dw[term, column] = sum over pixels of images[pixel, term] * gradient[pixel, column]`, for the terms from `start` on
/// that `dw` has.
///
/// # Panics
/// If the columns are no multiple of [`LANES`].
pub(crate) fn correlate(window: &Window, images: &[f32], gradients: Gradients, start: usize, dw: &mut [f32]) {
    assert!(window.out_channels.is_multiple_of(LANES), "{} columns", window.out_channels);
    dw.fill(0.0);
    Arch::new().dispatch(Correlate { walk: Walk::new(window), images, gradients, start, dw });
}

struct Correlate<'a> {
    walk: Walk,
    images: &'a [f32],
    gradients: Gradients<'a>,
    start: usize,
    dw: &'a mut [f32],
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.walk.goes_by_twos::<S>() {
            self.by::<S, 2>(simd);
        } else {
            self.by::<S, 1>(simd);
        }
    }
}

impl Correlate<'_> {
    /// With `V` vectors of columns at a time.
    #[inline(always)]
    fn by<S: Simd, const V: usize>(self, simd: S) {
        let Correlate { walk, images, gradients, start, dw } = self;
        let dw = S::as_mut_simd_f32s(dw).0;
        let across = walk.columns / S::F32_LANES;
        let line = walk.kernel[1] * walk.channels;
        let terms = dw.len() / across;
        // Where the first pixel has a term.
        let offset = |t: usize| t / line * walk.width() + t % line;
        // Rows are looked at up to the last channel of their last pixel.
        let mut padded = scratch(walk.padded() + walk.channels);
        padded.fill(0.0);
        for (n, image) in images.chunks(walk.image[0] * walk.image[1] * walk.channels).enumerate() {
            walk.pad(image, &mut padded);
            let mut t = 0;
            while t < terms {
                for first in (0..across).step_by(V) {
                    let own = Own { walk: &walk, image: &padded, n, first, gradients };
                    let dw = &mut dw[t * across + first..];
                    if t + TERMS <= terms {
                        own.add::<S, TERMS, V>(simd, from_fn(|j| offset(start + t + j)), dw);
                    } else {
                        own.add::<S, 1, V>(simd, [offset(start + t)], dw);
                    }
                }
                t += if t + TERMS <= terms { TERMS } else { 1 };
            }
        }
    }
}

/// An image in its border, with the gradients of its pixels in some vectors of columns.
struct Own<'a> {
    walk: &'a Walk,
    image: &'a [f32],
    /// Its place.
    n: usize,
    /// The first vector.
    first: usize,
    /// Those of all images.
    gradients: Gradients<'a>,
}

impl Own<'_> {
    /// Adds the products of the terms at `offsets` and of `V` vectors of columns to `dw`.
    #[inline(always)]
    fn add<S: Simd, const T: usize, const V: usize>(&self, simd: S, offsets: [usize; T], dw: &mut [S::f32s]) {
        let sums = match self.gradients {
            Gradients::Whole(dz) => self.whole::<S, T, V>(simd, S::as_simd_f32s(dz).0, offsets),
            Gradients::Pooled(dy, argmax) => {
                self.pooled::<S, T, V>(simd, S::as_simd_f32s(dy).0, S::as_simd_u32s(argmax).0, offsets)
            }
        };
        for (j, sums) in sums.iter().enumerate() {
            for (own, &sum) in dw[j * self.walk.columns / S::F32_LANES..][..V].iter_mut().zip(sums) {
                *own = simd.add_f32s(*own, sum);
            }
        }
    }

    /// The values of terms under a row of pixels.
    #[inline(always)]
    fn row<const T: usize>(&self, row: usize, offsets: [usize; T]) -> [&[f32]; T] {
        let Walk { channels, pixels: [_, width], .. } = *self.walk;
        offsets.map(|offset| &self.image[row * self.walk.width() + offset..][..width * channels])
    }

    #[inline(always)]
    fn whole<S: Simd, const T: usize, const V: usize>(
        &self,
        simd: S,
        dz: &[S::f32s],
        offsets: [usize; T],
    ) -> [[S::f32s; V]; T] {
        let Walk { channels, columns, pixels: [height, width], .. } = *self.walk;
        let across = columns / S::F32_LANES;
        let dz = &dz[self.n * height * width * across + self.first..];
        let mut sums = [[simd.splat_f32s(0.0); V]; T];
        for row in 0..height {
            let terms = self.row(row, offsets);
            let dz = &dz[row * width * across..][..(width - 1) * across + V];
            for column in 0..width {
                let dz = from_fn(|v| dz[column * across + v]);
                outer(simd, terms.map(|term| term[column * channels]), dz, &mut sums);
            }
        }
        sums
    }

    #[inline(always)]
    fn pooled<S: Simd, const T: usize, const V: usize>(
        &self,
        simd: S,
        dy: &[S::f32s],
        argmax: &[S::u32s],
        offsets: [usize; T],
    ) -> [[S::f32s; V]; T] {
        let Walk { channels, columns, pixels, .. } = *self.walk;
        let across = columns / S::F32_LANES;
        let [height, width] = pixels.map(|size| size / 2);
        let start = self.n * height * width * across + self.first;
        let (zero, places) = (simd.splat_f32s(0.0), [0, 1, 2, 3].map(|place| simd.splat_u32s(place)));
        let mut sums = [[zero; V]; T];
        for row in 0..height {
            let terms = [self.row(2 * row, offsets), self.row(2 * row + 1, offsets)];
            let start = start + row * width * across;
            let (dy, argmax) = (&dy[start..][..(width - 1) * across + V], &argmax[start..][..(width - 1) * across + V]);
            for column in 0..width {
                for (place, &at) in places.iter().enumerate() {
                    let dz = from_fn(|v| {
                        let own = column * across + v;
                        simd.select_f32s(simd.equal_u32s(argmax[own], at), dy[own], zero)
                    });
                    let pixel = (2 * column + place % 2) * channels;
                    outer(simd, terms[place / 2].map(|term| term[pixel]), dz, &mut sums);
                }
            }
        }
        sums
    }
}

/// Adds the products of the terms of a pixel and of its gradient in `V` vectors of columns.
#[inline(always)]
fn outer<S: Simd, const T: usize, const V: usize>(
    simd: S,
    terms: [f32; T],
    dz: [S::f32s; V],
    sums: &mut [[S::f32s; V]; T],
) {
    for (value, sums) in terms.into_iter().zip(sums) {
        let value = simd.splat_f32s(value);
        sums.iter_mut().zip(dz).for_each(|(sum, dz)| *sum = simd.mul_add_f32s(value, dz, *sum));
    }
}
