//! Convolutions and their gradients on the host's processor, straight from the images: sums that stay in registers, no
//! unfolding into a matrix.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::product::scratch;
use super::walk::{Class, Pixel, Run, Walk};
use crate::kernels::{Activation, Window};

/// The number of columns is a multiple of this, which fills whole vectors of every processor.
pub(crate) const LANES: usize = 16;
/// Input channels of which the weights' gradients are in registers at a time.
pub(crate) const TERMS: usize = 8;
/// Columns up to which weights and gradients are taken as they lie. More than that lie so far apart that few fit into
/// the cache at once: of those the columns at hand are copied together first.
const NEAR: usize = 64;

/// Whether columns are taken two vectors at a time: where there are registers for the sums of both.
#[inline(always)]
fn goes_by_twos<S: Simd>() -> bool {
    S::REGISTER_COUNT >= 32
}

/// Columns of which the weights are copied together.
pub(super) const GROUP: usize = 2 * LANES;

/// Images of so many values, in and out, that fit into the cache beside weights.
fn images_in_cache(inputs: usize, outputs: usize) -> usize {
    ((1 << 17) / inputs.max(outputs)).clamp(1, 32)
}

/// Images to take together where weights are copied for them: all, as that is then done once, unless a couple are work
/// enough; the calls before and after can follow on a couple while what they make is in the cache.
pub(crate) fn together_dx(window: &Window) -> usize {
    let (inputs, outputs) = window.image_sizes();
    if images_in_cache(inputs, outputs) <= 2 { 2 } else { window.batch }
}

/// The same where weights are taken as they lie if their columns are few.
pub(crate) fn together(window: &Window) -> usize {
    if window.out_channels <= NEAR { 1 } else { together_dx(window) }
}

/// `y[pixel, column] = b[column] + sum over terms of images[pixel, term] * w[term, column]`, activated. On all threads.
///
/// # Panics
/// If the columns are no multiple of [`LANES`].
pub(crate) fn convolve(walk: &Walk, images: &[f32], w: &[f32], b: &[f32], activation: Activation, y: &mut [f32]) {
    assert!(walk.columns.is_multiple_of(LANES), "{} columns", walk.columns);
    let is_near = walk.has_rows() && walk.columns <= NEAR;
    let panels = (!is_near).then(|| {
        let mut panels = scratch(walk.terms() * walk.columns);
        panels.par_chunks_mut(walk.terms() * GROUP).enumerate().for_each(|(group, panels)| {
            Arch::new().dispatch(Panels { walk, w, first: group * GROUP, panels });
        });
        panels
    });
    let w = panels.as_deref().unwrap_or(w);
    let (inputs, outputs) = (walk.image, walk.pixels * walk.columns);
    let of_a_thread = (y.len() / outputs).div_ceil(rayon::current_num_threads());
    let count = images_in_cache(inputs, outputs).min(of_a_thread);
    y.par_chunks_mut(count * outputs).zip(images.par_chunks(count * inputs)).for_each(|(y, images)| {
        let rectifies = activation == Activation::Relu;
        Arch::new().dispatch(Convolve { walk, images, w, is_near, b, rectifies, y: &mut *y });
        if !rectifies {
            activation.activate(y);
        }
    });
}

/// Copies the weights of some columns from the first on together: `[blocks, terms, vectors]` of as many vectors as are
/// made at a time.
struct Panels<'a> {
    walk: &'a Walk,
    w: &'a [f32],
    first: usize,
    panels: &'a mut [f32],
}

impl WithSimd for Panels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Panels { walk, w, first, mut panels } = self;
        let mut done = 0;
        while !panels.is_empty() {
            let width = vectors::<S>(panels.len() / (walk.terms() * S::F32_LANES)) * S::F32_LANES;
            let panel;
            (panel, panels) = panels.split_at_mut(walk.terms() * width);
            walk.panel(w, first + done, panel);
            done += width;
        }
    }
}

/// Vectors of columns that are taken at a time, where so many are left.
#[inline(always)]
pub(super) fn vectors<S: Simd>(left: usize) -> usize {
    if goes_by_twos::<S>() && left >= 2 { 2 } else { 1 }
}

/// Makes all pixels of some images.
struct Convolve<'a> {
    walk: &'a Walk,
    images: &'a [f32],
    w: &'a [f32],
    /// Whether the weights are taken as they lie.
    is_near: bool,
    b: &'a [f32],
    /// Whether negative outputs become zero.
    rectifies: bool,
    y: &'a mut [f32],
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Convolve { walk, images, w, is_near, b, rectifies, y } = self;
        let classes = walk.classes(y.len() / (walk.pixels * walk.columns));
        let across = walk.columns / S::F32_LANES;
        let (w, b, y) = (S::as_simd_f32s(w).0, S::as_simd_f32s(b).0, S::as_mut_simd_f32s(y).0);
        let mut first = 0;
        while first < across {
            let vectors = vectors::<S>(across - first);
            let w = if is_near { (&w[first..], across) } else { (&w[first * walk.terms()..], vectors) };
            for class in &classes {
                let y = &mut y[first..];
                if vectors == 2 {
                    made::<S, 2>(simd, class, images, w, [b[first], b[first + 1]], rectifies, y, across);
                } else {
                    made::<S, 1>(simd, class, images, w, [b[first]], rectifies, y, across);
                }
            }
            first += vectors;
        }
    }
}

/// Makes `V` vectors of columns of all pixels of a class, as many at a time as there are registers for their sums.
#[expect(clippy::too_many_arguments, reason = "what the sums are made of")]
#[inline(always)]
pub(super) fn made<S: Simd, const V: usize>(
    simd: S,
    class: &Class,
    images: &[f32],
    w: (&[S::f32s], usize),
    start: [S::f32s; V],
    rectifies: bool,
    y: &mut [S::f32s],
    across: usize,
) {
    let Class { pixels, runs, length } = class;
    let (eights, rest) = pixels.as_chunks::<8>();
    for pixels in eights {
        sums(simd, images, pixels, runs, *length, w, start, rectifies, y, across);
    }
    let (fours, rest) = rest.as_chunks::<4>();
    for pixels in fours {
        sums(simd, images, pixels, runs, *length, w, start, rectifies, y, across);
    }
    let (twos, rest) = rest.as_chunks::<2>();
    for pixels in twos {
        sums(simd, images, pixels, runs, *length, w, start, rectifies, y, across);
    }
    for pixel in rest {
        sums(simd, images, &[*pixel], runs, *length, w, start, rectifies, y, across);
    }
}

/// The sums of `P` pixels and `V` vectors of columns, which begin with `w` and lie `stride` vectors apart. Plain loops:
/// what is called here must become vector code of the processor at hand, which is sure of nothing but these.
#[expect(clippy::too_many_arguments, reason = "what the sums are made of")]
#[inline(always)]
fn sums<S: Simd, const P: usize, const V: usize>(
    simd: S,
    images: &[f32],
    pixels: &[Pixel; P],
    runs: &[Run],
    length: usize,
    (w, stride): (&[S::f32s], usize),
    start: [S::f32s; V],
    rectifies: bool,
    y: &mut [S::f32s],
    across: usize,
) {
    let mut sums = [start; P];
    for run in runs {
        let mut values: [&[f32]; P] = [&[]; P];
        for p in 0..P {
            values[p] = &images[pixels[p].from + run.offset..][..length];
        }
        let w = &w[run.row * stride..][..(length - 1) * stride + V];
        for t in 0..length {
            let w = &w[t * stride..][..V];
            for p in 0..P {
                let value = simd.splat_f32s(values[p][t]);
                for v in 0..V {
                    sums[p][v] = simd.mul_add_f32s(value, w[v], sums[p][v]);
                }
            }
        }
    }
    if rectifies {
        for sums in &mut sums {
            for sum in sums {
                *sum = simd.max_f32s(*sum, simd.splat_f32s(0.0));
            }
        }
    }
    for p in 0..P {
        y[pixels[p].to * across..][..V].copy_from_slice(&sums[p]);
    }
}

/// Images whose products are summed in registers before they are added to what there is: so many that they have some
/// pixels.
fn images_of_a_sum(window: &Window) -> usize {
    32usize.div_ceil(window.pixels())
}

/// Output rows of the weights' gradient that are made together: so many that each of them is small beside what is
/// copied for all.
pub(crate) fn terms_together(window: &Window, splits: usize) -> usize {
    window.terms().div_ceil(8usize.div_ceil(splits)).next_multiple_of(TERMS)
}

/// `dw[term, column] = sum over pixels of images[pixel, term] * dz[pixel, column]`, for the terms from `start` on that
/// `dw` has.
///
/// # Panics
/// If the columns are no multiple of [`LANES`].
pub(crate) fn correlate(window: &Window, images: &[f32], dz: &[f32], start: usize, dw: &mut [f32]) {
    assert!(window.out_channels.is_multiple_of(LANES), "{} columns", window.out_channels);
    Arch::new().dispatch(Correlate { window, images, dz, start, dw });
}

struct Correlate<'a> {
    window: &'a Window,
    images: &'a [f32],
    dz: &'a [f32],
    start: usize,
    dw: &'a mut [f32],
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Correlate { window, images, dz, start, dw } = self;
        let (dz, dw) = (S::as_simd_f32s(dz).0, S::as_mut_simd_f32s(dw).0);
        let across = window.out_channels / S::F32_LANES;
        let end = start + dw.len() / across;
        let mut pixels = Vec::new();
        let mut first = 0;
        dw.fill(simd.splat_f32s(0.0));
        while first < across {
            let vectors = vectors::<S>(across - first);
            let is_near = window.out_channels <= NEAR;
            let mut panel = None;
            let (dz, stride) = if is_near {
                (&dz[first..], across)
            } else {
                let panel = panel.insert(scratch(dz.len() / across * vectors * S::F32_LANES));
                let panel = S::as_mut_simd_f32s(panel).0;
                for (panel, dz) in panel.chunks_mut(vectors).zip(dz.chunks(across)) {
                    panel.copy_from_slice(&dz[first..][..vectors]);
                }
                (&*panel, vectors)
            };
            let mut term = start;
            while term < end {
                let (tap, channel) = (term / window.in_channels, term % window.in_channels);
                let count = (window.in_channels - channel).min(end - term);
                let groups = window.meetings(tap, images_of_a_sum(window), images.len(), &mut pixels);
                let dw = &mut dw[(term - start) * across + first..];
                let images = &images[channel..];
                if vectors == 2 {
                    met::<S, 2>(simd, images, (dz, stride), &pixels, &groups, count, dw, across, true);
                } else {
                    met::<S, 1>(simd, images, (dz, stride), &pixels, &groups, count, dw, across, true);
                }
                term += count;
            }
            first += vectors;
        }
    }
}

impl Window {
    /// The input pixels that tap `tap` meets, with the output pixels, in images of `length` values together; and where
    /// the pixels of each `images` images end.
    fn meetings(&self, tap: usize, images: usize, length: usize, pixels: &mut Vec<Pixel>) -> Vec<usize> {
        let (ky, kx) = (tap / self.kernel_width, tap % self.kernel_width);
        let count = length / self.image_sizes().0;
        pixels.clear();
        let mut ends = Vec::new();
        for image in 0..count {
            for (oy, iy) in self.rows(ky) {
                for (ox, ix) in self.columns(kx) {
                    pixels.push(Pixel {
                        from: ((image * self.in_height + iy) * self.in_width + ix) * self.in_channels,
                        to: (image * self.out_height + oy) * self.out_width + ox,
                    });
                }
            }
            if (image + 1) % images == 0 || image + 1 == count {
                ends.push(pixels.len());
            }
        }
        ends
    }
}

/// Sums the products of `count` channels and `V` vectors of columns to `dw`, as many channels at a time as there are
/// registers for; it `adds` them, or they are all.
#[expect(clippy::too_many_arguments, reason = "what the sums are made of")]
#[inline(always)]
pub(super) fn met<S: Simd, const V: usize>(
    simd: S,
    images: &[f32],
    dz: (&[S::f32s], usize),
    pixels: &[Pixel],
    groups: &[usize],
    count: usize,
    dw: &mut [S::f32s],
    across: usize,
    adds: bool,
) {
    let mut channel = 0;
    while channel < count {
        let (images, dw) = (&images[channel..], &mut dw[channel * across..]);
        let left = count - channel;
        if left >= TERMS {
            outer::<S, TERMS, V>(simd, images, dz, pixels, groups, dw, across, adds);
            channel += TERMS;
        } else if left >= 4 {
            outer::<S, 4, V>(simd, images, dz, pixels, groups, dw, across, adds);
            channel += 4;
        } else {
            outer::<S, 1, V>(simd, images, dz, pixels, groups, dw, across, adds);
            channel += 1;
        }
    }
}

/// Sums the products of `T` neighbouring values of the images and `V` vectors of columns to `dw`. Plain loops, as in
/// [`sums`].
#[expect(clippy::too_many_arguments, reason = "what the sums are made of")]
#[inline(always)]
fn outer<S: Simd, const T: usize, const V: usize>(
    simd: S,
    images: &[f32],
    (dz, stride): (&[S::f32s], usize),
    pixels: &[Pixel],
    groups: &[usize],
    dw: &mut [S::f32s],
    across: usize,
    adds: bool,
) {
    let mut begin = 0;
    for &end in groups {
        let mut sums = [[simd.splat_f32s(0.0); V]; T];
        for pixel in &pixels[begin..end] {
            let values = &images[pixel.from..][..T];
            let dz = &dz[pixel.to * stride..][..V];
            for t in 0..T {
                let value = simd.splat_f32s(values[t]);
                for v in 0..V {
                    sums[t][v] = simd.mul_add_f32s(value, dz[v], sums[t][v]);
                }
            }
        }
        for t in 0..T {
            let dw = &mut dw[t * across..][..V];
            for v in 0..V {
                dw[v] = if adds || begin > 0 { simd.add_f32s(dw[v], sums[t][v]) } else { sums[t][v] };
            }
        }
        begin = end;
    }
}
