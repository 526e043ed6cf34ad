//! Convolutions of stride 1 on the host's processor, straight from the images: sums that stay in registers, no
//! unfolding into a matrix. The images get a border of zeros first, so that no tap looks outside; a row of taps is then
//! a run of neighbouring values of the image.

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};

use super::product::scratch;
use crate::kernels::Window;

/// The number of columns is a multiple of this, which fills whole vectors of every processor.
pub(crate) const LANES: usize = 16;
/// Pixels whose sums are in registers at a time: with two vectors of columns each, enough chains of multiply-adds to
/// hide how long one takes. Rows of 28, 14 and 7 pixels, those of MNIST, are dealt evenly.
const PIXELS: usize = 7;
/// Weights whose sums are in registers at a time.
const TERMS: usize = 8;

/// How images with their border are walked over.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    /// Rows and columns of an image.
    image: [usize; 2],
    /// Zeros on each side of it.
    border: usize,
    /// Channels of a pixel.
    channels: usize,
    /// Rows and columns of taps.
    kernel: usize,
    /// Rows and columns of the pixels made, or met.
    pixels: [usize; 2],
    /// Values of each.
    columns: usize,
}

impl Walk {
    /// From the inputs to the outputs of a window of stride 1.
    pub(crate) fn forward(window: &Window) -> Walk {
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, kernel, pad, .. } = *window;
        Walk {
            image: [in_height, in_width],
            border: pad,
            channels: in_channels,
            kernel,
            pixels: [out_height, out_width],
            columns: out_channels,
        }
    }

    /// From the gradients of the outputs to those of the inputs, by the weights of [`turned`].
    pub(crate) fn backward(window: &Window) -> Walk {
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, kernel, pad, .. } = *window;
        Walk {
            image: [out_height, out_width],
            border: kernel - 1 - pad,
            channels: out_channels,
            kernel,
            pixels: [in_height, in_width],
            columns: in_channels,
        }
    }

    /// Values of a row of an image with its border.
    fn width(&self) -> usize {
        (self.image[1] + 2 * self.border) * self.channels
    }

    /// Values of an image with its border.
    fn padded(&self) -> usize {
        (self.image[0] + 2 * self.border) * self.width()
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
            padded[(place + self.border) * self.width() + self.border * self.channels..][..row].copy_from_slice(values);
        }
    }
}

/// Rows of a matrix that are turned together.
const TURNED: usize = 16;

/// The weights `[kernel, kernel, in_channels, out_channels]` of a window as [`Walk::backward`] wants them: taps in the
/// opposite order, channels exchanged.
pub(crate) fn turned(window: &Window, w: &[f32], turned: &mut [f32]) {
    let Window { in_channels, out_channels, .. } = *window;
    let taps = in_channels * out_channels;
    for (w, turned) in w.chunks(taps).zip(turned.chunks_mut(taps).rev()) {
        // Some rows at a time: what is written lies together, and not a power of two apart, which a cache minds.
        for first in (0..in_channels).step_by(TURNED) {
            let w = &w[first * out_channels..];
            for (o, row) in turned.chunks_exact_mut(in_channels).enumerate() {
                let row = &mut row[first..in_channels.min(first + TURNED)];
                row.iter_mut().enumerate().for_each(|(i, turned)| *turned = w[i * out_channels + o]);
            }
        }
    }
}

/// `y[pixel, column] = b[column] + sum over terms of images[pixel, term] * w[term, column]`, and then what `finish`
/// makes of each row of pixels.
///
/// # Panics
/// If the columns are no multiple of [`LANES`].
pub(crate) fn convolve(walk: Walk, images: &[f32], w: &[f32], b: &[f32], y: &mut [f32], finish: impl Fn(&mut [f32])) {
    assert!(walk.columns.is_multiple_of(LANES), "{} columns", walk.columns);
    Arch::new().dispatch(Convolve { walk, images, w, b, y, finish });
}

struct Convolve<'a, F> {
    walk: Walk,
    images: &'a [f32],
    w: &'a [f32],
    b: &'a [f32],
    y: &'a mut [f32],
    finish: F,
}

impl<F: Fn(&mut [f32])> WithSimd for Convolve<'_, F> {
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

impl<F: Fn(&mut [f32])> Convolve<'_, F> {
    /// With `V` vectors of columns at a time.
    #[inline(always)]
    fn by<S: Simd, const V: usize>(self, simd: S) {
        let Convolve { walk, images, w, b, y, finish } = self;
        let (w, b) = (S::as_simd_f32s(w).0, S::as_simd_f32s(b).0);
        let (across, [height, width]) = (walk.columns / S::F32_LANES, walk.pixels);
        let mut padded = scratch(walk.padded());
        padded.fill(0.0);
        let images = images.chunks(walk.image[0] * walk.image[1] * walk.channels);
        for (image, y) in images.zip(y.chunks_mut(height * width * walk.columns)) {
            walk.pad(image, &mut padded);
            for (row, y) in y.chunks_mut(width * walk.columns).enumerate() {
                let sums = S::as_mut_simd_f32s(y).0;
                for first in (0..across).step_by(V) {
                    let start: [S::f32s; V] = from_fn(|v| b[first + v]);
                    let mut column = 0;
                    while column < width {
                        let image = &padded[row * walk.width() + column * walk.channels..];
                        let place = column * across + first;
                        if width < PIXELS {
                            pixels::<S, 1, V>(simd, &walk, image, &w[first..], start, &mut sums[place..]);
                            column += 1;
                        } else {
                            pixels::<S, PIXELS, V>(simd, &walk, image, &w[first..], start, &mut sums[place..]);
                            // The last ones may be made twice.
                            let left = width - (column + PIXELS);
                            column += if left > 0 { left.min(PIXELS) } else { PIXELS };
                        }
                    }
                }
                finish(y);
            }
        }
    }
}

/// The sums of `P` neighbouring pixels, whose terms begin with `image`, and `V` vectors of columns, which begin with
/// `w`, from `start` on.
#[inline(always)]
fn pixels<S: Simd, const P: usize, const V: usize>(
    simd: S,
    walk: &Walk,
    image: &[f32],
    w: &[S::f32s],
    start: [S::f32s; V],
    y: &mut [S::f32s],
) {
    let (across, terms) = (walk.columns / S::F32_LANES, walk.kernel * walk.channels);
    let mut sums = [start; P];
    for ky in 0..walk.kernel {
        let row = &image[ky * walk.width()..];
        let pixels: [&[f32]; P] = from_fn(|p| &row[p * walk.channels..][..terms]);
        let w = &w[ky * terms * across..][..(terms - 1) * across + V];
        for t in 0..terms {
            let w: [S::f32s; V] = from_fn(|v| w[t * across + v]);
            for (pixel, sums) in pixels.iter().zip(&mut sums) {
                let value = simd.splat_f32s(pixel[t]);
                sums.iter_mut().zip(w).for_each(|(sum, w)| *sum = simd.mul_add_f32s(value, w, *sum));
            }
        }
    }
    for (p, sums) in sums.iter().enumerate() {
        y[p * across..][..V].copy_from_slice(sums);
    }
}

/// `dw[term, column] += sum over pixels of images[pixel, term] * dz[pixel, column]`.
///
/// # Panics
/// If the columns are no multiple of [`LANES`].
pub(crate) fn correlate(walk: Walk, images: &[f32], dz: &[f32], dw: &mut [f32]) {
    assert!(walk.columns.is_multiple_of(LANES), "{} columns", walk.columns);
    Arch::new().dispatch(Correlate { walk, images, dz, dw });
}

struct Correlate<'a> {
    walk: Walk,
    images: &'a [f32],
    dz: &'a [f32],
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
        let Correlate { walk, images, dz, dw } = self;
        let (dz, dw) = (S::as_simd_f32s(dz).0, S::as_mut_simd_f32s(dw).0);
        let across = walk.columns / S::F32_LANES;
        let line = walk.kernel * walk.channels;
        let terms = walk.kernel * line;
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
                        outer::<S, TERMS, V>(simd, &walk, &padded, from_fn(|j| offset(t + j)), dz, dw);
                    } else {
                        outer::<S, 1, V>(simd, &walk, &padded, [offset(t)], dz, dw);
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
