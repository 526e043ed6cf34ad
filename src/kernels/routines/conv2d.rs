//! Convolutions and their gradients: as products of unfolded images, one by one or several, or straight from the images.

use std::ops::Range;

use rayon::prelude::*;

use super::direct::{self, Walk};
use super::product::{Matrix, product, scratch};
use crate::host::vectorised;
use crate::kernel::Io;
use crate::kernels::{Conv2dDwShape, Conv2dShape, Window, chunk};

/// Pixels of the images that are taken together where there are few of an image: enough that each weight, which comes
/// from afar, is used often.
const PIXELS: usize = 256;
/// Parts of a weight gradient that threads make apart.
const PARTS: usize = 16;

/// Several images at a time: unfolded, times the weights.
pub(crate) fn stacked(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<f32>) {
    let (x, w, b, y) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"));
    let window = &s.window;
    let (pixels, taps, (_, outputs)) = (window.pixels(), window.terms(), window.image_sizes());
    let w = Matrix::new(w, taps, window.out_channels);
    let together = PIXELS.div_ceil(pixels);
    let mut terms = scratch(together * pixels * taps);
    for (first, y) in batch.step_by(together).zip(y.chunks_mut(together * outputs)) {
        let images = first..first + y.len() / outputs;
        let rows = images.len() * pixels;
        unfolded(window, x, images, &mut terms);
        product(y, Matrix::new(&terms, rows, taps), w, false);
        vectorised(|| s.activation.finish(y, b));
    }
}

/// Unfolds images below each other.
fn unfolded(window: &Window, x: &[f32], images: Range<usize>, terms: &mut [f32]) {
    let (length, (inputs, _)) = (window.pixels() * window.terms(), window.image_sizes());
    vectorised(|| {
        for (n, terms) in images.zip(terms.chunks_exact_mut(length)) {
            window.unfold(&x[n * inputs..][..inputs], terms);
        }
    });
}

/// Several images at a time: the terms' gradients as a product, folded.
pub(crate) fn stacked_dx(s: &Window, batch: Range<usize>, io: &mut Io<f32>) {
    let (dz, w, dx) = (io.read("dz"), io.read("w"), io.write("dx"));
    let (pixels, taps, (inputs, outputs)) = (s.pixels(), s.terms(), s.image_sizes());
    let w = Matrix::new(w, taps, s.out_channels).transposed();
    let together = PIXELS.div_ceil(pixels);
    let mut terms = scratch(together * pixels * taps);
    for (first, dx) in batch.step_by(together).zip(dx.chunks_mut(together * inputs)) {
        let images = dx.len() / inputs;
        let rows = images * pixels;
        let dz = Matrix::new(&dz[first * outputs..][..images * outputs], rows, s.out_channels);
        product(&mut terms[..rows * taps], dz, w, false);
        vectorised(|| {
            for (terms, dx) in terms.chunks_exact(pixels * taps).zip(dx.chunks_exact_mut(inputs)) {
                s.fold(terms, dx);
            }
        });
    }
}

/// Several images at a time: unfolded, its transpose times the outputs' gradients. The sum over all of them is one, so
/// that threads make parts of it.
pub(crate) fn stacked_dw(s: &Conv2dDwShape, splits: Range<usize>, io: &mut Io<f32>) {
    let (x, dz, dw) = (io.read("x"), io.read("dz"), io.write("dw"));
    let window = &s.window;
    let (pixels, taps, (_, outputs)) = (window.pixels(), window.terms(), window.image_sizes());
    let columns = window.out_channels;
    let (together, part) = (PIXELS.div_ceil(pixels), taps.div_ceil(PARTS));
    let mut terms = scratch(together * pixels * taps);
    for (split, dw) in splits.zip(dw.chunks_mut(window.weights())) {
        dw.fill(0.0);
        let images = chunk(window.batch, s.splits, split);
        for first in images.clone().step_by(together) {
            let images = first..images.end.min(first + together);
            let rows = images.len() * pixels;
            let dz = &dz[images.start * outputs..images.end * outputs];
            unfolded(window, x, images, &mut terms);
            let terms = &terms[..rows * taps];
            dw.par_chunks_mut(part * columns).enumerate().for_each(|(place, dw)| {
                let of_part = Matrix::strided(&terms[place * part..], rows, dw.len() / columns, taps);
                product(dw, of_part.transposed(), Matrix::new(dz, rows, columns), true);
            });
        }
    }
}

/// Image by image: unfolded, times the weights.
pub(crate) fn gemm(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<f32>) {
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

/// Image by image: sums in registers.
pub(crate) fn direct(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<f32>) {
    let (x, w, b, y) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"));
    let x = &x[batch.start * s.window.image_sizes().0..];
    direct::convolve(Walk::forward(&s.window), x, w, b, y, |row| {
        vectorised(|| row.iter_mut().for_each(|y| *y = s.activation.apply(*y)));
    });
}

/// Image by image: the terms' gradients as a product, folded.
pub(crate) fn gemm_dx(s: &Window, batch: Range<usize>, io: &mut Io<f32>) {
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

/// Image by image: sums in registers, a convolution with the kernel turned round.
pub(crate) fn direct_dx(s: &Window, batch: Range<usize>, io: &mut Io<f32>) {
    let (dz, w, dx) = (io.read("dz"), io.read("w"), io.write("dx"));
    let mut turned = vec![0.0; s.weights()];
    direct::turned(s, w, &mut turned);
    let (dz, none) = (&dz[batch.start * s.image_sizes().1..], vec![0.0; s.in_channels]);
    direct::convolve(Walk::backward(s), dz, &turned, &none, dx, |_| ());
}

/// Image by image: unfolded, its transpose times the outputs' gradients.
pub(crate) fn gemm_dw(s: &Conv2dDwShape, splits: Range<usize>, io: &mut Io<f32>) {
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

/// Image by image: sums in registers.
pub(crate) fn direct_dw(s: &Conv2dDwShape, splits: Range<usize>, io: &mut Io<f32>) {
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
