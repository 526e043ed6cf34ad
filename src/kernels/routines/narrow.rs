//! Gradients of convolutions by their weights on the host's processor, for images of few channels and stride 1: sums
//! that stay in registers. The images get a border of zeros first, so that no tap looks outside; the weights of a row
//! of taps then meet a run of neighbouring values.

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};

use super::direct::LANES;
use super::product::scratch;
use crate::kernels::Window;

/// Weights whose sums are in registers at a time.
const TERMS: usize = 8;

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

/// `dw[term, column] = sum over pixels of images[pixel, term] * dz[pixel, column]`, for the terms from `start` on that
/// `dw` has.
///
/// # Panics
/// If the columns are no multiple of [`LANES`].
pub(crate) fn correlate(window: &Window, images: &[f32], dz: &[f32], start: usize, dw: &mut [f32]) {
    assert!(window.out_channels.is_multiple_of(LANES), "{} columns", window.out_channels);
    dw.fill(0.0);
    Arch::new().dispatch(Correlate { walk: Walk::new(window), images, dz, start, dw });
}

struct Correlate<'a> {
    walk: Walk,
    images: &'a [f32],
    dz: &'a [f32],
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
        let Correlate { walk, images, dz, start, dw } = self;
        let (dz, dw) = (S::as_simd_f32s(dz).0, S::as_mut_simd_f32s(dw).0);
        let across = walk.columns / S::F32_LANES;
        let line = walk.kernel[1] * walk.channels;
        let terms = dw.len() / across;
        // Where the first pixel has a term.
        let offset = |t: usize| t / line * walk.width() + t % line;
        // Rows are looked at up to the last channel of their last pixel.
        let mut padded = scratch(walk.padded() + walk.channels);
        padded.fill(0.0);
        let images = images.chunks(walk.image[0] * walk.image[1] * walk.channels);
        for (image, dz) in images.zip(dz.chunks(walk.pixels[0] * walk.pixels[1] * across)) {
            walk.pad(image, &mut padded);
            let mut t = 0;
            while t < terms {
                for first in (0..across).step_by(V) {
                    let (dz, dw) = (&dz[first..], &mut dw[t * across + first..]);
                    if t + TERMS <= terms {
                        outer::<S, TERMS, V>(simd, &walk, &padded, from_fn(|j| offset(start + t + j)), dz, dw);
                    } else {
                        outer::<S, 1, V>(simd, &walk, &padded, [offset(start + t)], dz, dw);
                    }
                }
                t += if t + TERMS <= terms { TERMS } else { 1 };
            }
        }
    }
}

/// Adds the products of an image's terms at `offsets` and of `V` vectors of columns, which begin with `dz`, to `dw`.
#[inline(always)]
fn outer<S: Simd, const T: usize, const V: usize>(
    simd: S,
    walk: &Walk,
    image: &[f32],
    offsets: [usize; T],
    dz: &[S::f32s],
    dw: &mut [S::f32s],
) {
    let (across, [height, width]) = (walk.columns / S::F32_LANES, walk.pixels);
    let mut sums = [[simd.splat_f32s(0.0); V]; T];
    for row in 0..height {
        let terms = offsets.map(|offset| &image[row * walk.width() + offset..][..width * walk.channels]);
        let dz = &dz[row * width * across..][..(width - 1) * across + V];
        for column in 0..width {
            let dz: [S::f32s; V] = from_fn(|v| dz[column * across + v]);
            for (term, sums) in terms.iter().zip(&mut sums) {
                let value = simd.splat_f32s(term[column * walk.channels]);
                sums.iter_mut().zip(dz).for_each(|(sum, dz)| *sum = simd.mul_add_f32s(value, dz, *sum));
            }
        }
    }
    for (j, sums) in sums.iter().enumerate() {
        for (own, &sum) in dw[j * across..][..V].iter_mut().zip(sums) {
            *own = simd.add_f32s(*own, sum);
        }
    }
}
