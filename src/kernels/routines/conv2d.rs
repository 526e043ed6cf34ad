//! Convolutions and their gradients: as products of unfolded images, or straight from the images.

use std::ops::Range;

use rayon::prelude::*;

use super::direct;
use super::narrow::{self, Gradients};
use super::product::{Matrix, product, scratch};
use super::walk::Walk;
use super::winograd;
use super::{compute, fastest};
use crate::host::vectorised;
use crate::kernel::{Io, Kernel, View};
use crate::kernels::conv2d_pool::windows;
use crate::kernels::{Activation, Conv2d, Conv2dDwShape, Conv2dShape, MaxPool, Window, chunk};

/// Images that one thread pools.
const IMAGES: usize = 2;

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

/// Sums in registers.
pub(crate) fn direct(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<f32>) {
    let (x, w, b, y) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"));
    let images = &x[batch.start * s.window.image_sizes().0..];
    direct::convolve(&Walk::forward(&s.window), images, w, b, s.activation, y);
}

/// Fewer products, of transformed images and weights.
pub(crate) fn winograd(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<f32>) {
    let u = io.prepared(|io| winograd_weights(s, io));
    let (x, b, y) = (io.read("x"), io.read("b"), io.write("y"));
    let images = &x[batch.start * s.window.image_sizes().0..];
    winograd::convolve(&s.window, images, &u, b, s.activation, y);
}

/// The weights for [`winograd`].
pub(crate) fn winograd_weights(s: &Conv2dShape, io: &mut Io<f32>) -> Vec<f32> {
    winograd::weights(&s.window, io.read("w"))
}

/// Images of a convolution that [`pool`] takes together.
pub(crate) fn pooled_together(s: &Conv2dShape) -> usize {
    fastest::<Conv2d>(s).map_or(1, |routine| (routine.together)(s))
}

/// What the convolution prepares for [`pool`].
pub(crate) fn pool_prepared(s: &Conv2dShape, io: &mut Io<f32>) -> Vec<f32> {
    let prepare = fastest::<Conv2d>(s).and_then(|routine| routine.prepare);
    prepare.map_or_else(Vec::new, |prepare| prepare(s, io))
}

/// The convolution of as many images as are taken together, then their pooling. The activation is that of the largest
/// values alone, since it never falls.
pub(crate) fn pool(s: &Conv2dShape, batch: Range<usize>, io: &mut Io<f32>) {
    let prepared = io.prepared(|io| pool_prepared(s, io));
    let (x, w, b, y, argmax) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"), io.write_uint("argmax"));
    let (windows, plain) = (windows(&s.window), Conv2dShape { activation: Activation::None, ..s.clone() });
    let (made, left) = (s.window.image_sizes().1, windows.image_sizes().1);
    let together = pooled_together(s);
    let mut z = scratch(made * together.min(batch.len()));
    let outputs = y.chunks_mut(together * left).zip(argmax.chunks_mut(together * left));
    for (first, (y, argmax)) in batch.step_by(together).zip(outputs) {
        let count = y.len() / left;
        let z = &mut z[..count * made];
        let args = [("x", View::Read(x)), ("w", View::Read(w)), ("b", View::Read(b)), ("y", View::Write(z))];
        let mut io = Io::new(Conv2d::NAME, args).with_prepared(&prepared);
        compute::<Conv2d>(&plain, first..first + count, &mut io);
        let outputs = y.par_chunks_mut(IMAGES * left).zip(argmax.par_chunks_mut(IMAGES * left));
        outputs.zip(z.par_chunks(IMAGES * made)).for_each(|((y, argmax), z)| {
            let count = y.len() / left;
            let args = [("x", View::Read(z)), ("y", View::Write(y)), ("argmax", View::WriteUint(argmax))];
            compute::<MaxPool>(&windows, 0..count, &mut Io::new(MaxPool::NAME, args));
            s.activation.activate(y);
        });
    }
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

/// Sums in registers.
pub(crate) fn direct_dx(s: &Window, batch: Range<usize>, io: &mut Io<f32>) {
    let (dz, w, dx) = (io.read("dz"), io.read("w"), io.write("dx"));
    let (dz, zeros) = (&dz[batch.start * s.image_sizes().1..], vec![0.0; s.in_channels]);
    direct::convolve(&Walk::backward(s), dz, w, &zeros, Activation::None, dx);
}

/// Fewer products, of transformed gradients and weights.
pub(crate) fn winograd_dx(s: &Window, batch: Range<usize>, io: &mut Io<f32>) {
    let u = io.prepared(|io| winograd_dx_weights(s, io));
    let (dz, dx) = (io.read("dz"), io.write("dx"));
    winograd::convolve_back(s, &dz[batch.start * s.image_sizes().1..], &u, dx);
}

/// The weights for [`winograd_dx`].
pub(crate) fn winograd_dx_weights(s: &Window, io: &mut Io<f32>) -> Vec<f32> {
    winograd::weights_back(s, io.read("w"))
}

/// The parts of some rows of a weights' gradient that belong to one split each: its images, the first term, and the
/// rows.
fn parts<'a>(
    s: &Conv2dDwShape,
    rows: Range<usize>,
    mut dw: &'a mut [f32],
    mut each: impl FnMut(Range<usize>, usize, &'a mut [f32]),
) {
    let terms = s.window.terms();
    let mut row = rows.start;
    while row < rows.end {
        let (split, first) = (row / terms, row % terms);
        let count = (terms - first).min(rows.end - row);
        let part;
        (part, dw) = dw.split_at_mut(count * s.window.out_channels);
        each(chunk(s.window.batch, s.splits, split), first, part);
        row += count;
    }
}

/// The values of some images.
fn of_images<T>(values: &[T], images: Range<usize>, size: usize) -> &[T] {
    &values[images.start * size..images.end * size]
}

/// [`parts`] with the values of the images and of their gradients.
fn splits<'a>(
    s: &Conv2dDwShape,
    rows: Range<usize>,
    [x, dz]: [&'a [f32]; 2],
    dw: &'a mut [f32],
    mut each: impl FnMut(&'a [f32], &'a [f32], usize, &'a mut [f32]),
) {
    let (inputs, outputs) = s.window.image_sizes();
    parts(s, rows, dw, |images, first, dw| {
        each(of_images(x, images.clone(), inputs), of_images(dz, images, outputs), first, dw);
    });
}

/// Image by image: unfolded, its transpose times the outputs' gradients.
pub(crate) fn gemm_dw(s: &Conv2dDwShape, rows: Range<usize>, io: &mut Io<f32>) {
    let (x, dz, dw) = (io.read("x"), io.read("dz"), io.write("dw"));
    let window = &s.window;
    let (pixels, taps, (inputs, outputs)) = (window.pixels(), window.terms(), window.image_sizes());
    let mut terms = scratch(pixels * taps);
    vectorised(|| {
        splits(s, rows, [x, dz], dw, |x, dz, first, dw| {
            dw.fill(0.0);
            for (x, dz) in x.chunks(inputs).zip(dz.chunks(outputs)) {
                window.unfold(x, &mut terms);
                let own = Matrix::strided(&terms[first..], pixels, dw.len() / window.out_channels, taps);
                product(dw, own.transposed(), Matrix::new(dz, pixels, window.out_channels), true);
            }
        });
    });
}

/// Image by image: sums in registers, of few input channels.
pub(crate) fn narrow_dw(s: &Conv2dDwShape, rows: Range<usize>, io: &mut Io<f32>) {
    let (x, dz, dw) = (io.read("x"), io.read("dz"), io.write("dw"));
    splits(s, rows, [x, dz], dw, |x, dz, first, dw| {
        narrow::correlate(&s.window, x, Gradients::Whole(dz), first, dw);
    });
}

/// The same through the pooling behind the convolution.
pub(crate) fn narrow_pool_dw(s: &Conv2dDwShape, rows: Range<usize>, io: &mut Io<f32>) {
    let (x, dy, argmax, dw) = (io.read("x"), io.read("dy"), io.read_uint("argmax"), io.write("dw"));
    let (inputs, outputs) = (s.window.image_sizes().0, windows(&s.window).image_sizes().1);
    parts(s, rows, dw, |images, first, dw| {
        let (x, dy) = (of_images(x, images.clone(), inputs), of_images(dy, images.clone(), outputs));
        let gradients = Gradients::Pooled(dy, of_images(argmax, images, outputs));
        narrow::correlate(&s.window, x, gradients, first, dw);
    });
}

/// Sums in registers.
pub(crate) fn direct_dw(s: &Conv2dDwShape, rows: Range<usize>, io: &mut Io<f32>) {
    let (x, dz, dw) = (io.read("x"), io.read("dz"), io.write("dw"));
    splits(s, rows, [x, dz], dw, |x, dz, first, dw| direct::correlate(&s.window, x, dz, first, dw));
}

/// Fewer products, of transformed images and gradients. Whole splits alone.
pub(crate) fn winograd_dw(s: &Conv2dDwShape, rows: Range<usize>, io: &mut Io<f32>) {
    let (x, dz, dw) = (io.read("x"), io.read("dz"), io.write("dw"));
    splits(s, rows, [x, dz], dw, |x, dz, _, dw| winograd::correlate(&s.window, s.splits, x, dz, dw));
}
