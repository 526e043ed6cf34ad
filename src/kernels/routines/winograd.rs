//! Convolutions of 3×3 taps and stride 1, and their gradients, with fewer products of channels than there are taps:
//! Winograd's minimal filtering, as Lavin & Gray have it in *Fast Algorithms for Convolutional Neural Networks*, 2016.
//! With `d` the 6×6 pixels under a tile of 4×4 pixels made and `g` the weights of two channels, the tile is
//! `Aᵀ((G g Gᵀ) ⊙ (Bᵀ d B)) A`, and the gradient by `g` the sum over tiles of `Gᵀ((A dz Aᵀ) ⊙ (Bᵀ d B)) G`: 36 products
//! in place of 144. For each of the 36 places the products over channels are those of matrices. Where four pixels do
//! not divide an axis, tiles of two pixels at its end save the rest: 4 places along that axis, not 6.
//!
//! Tiles of four evaluate polynomials at 0, ±3/4, ±3/2 and ∞. These are exact in binary, as are their powers here, and
//! near 1 on both sides in ratio, which keeps rounding to half of that of the customary 0, ±1, ±2, ∞: Barabasz et
//! al., *Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks*, 2020.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::direct::{GROUP, LANES, made, met, vectors};
use super::product::scratch;
use super::walk::{Class, Pixel, Run, Walk};
use crate::kernels::{Activation, Window};

/// Factor on the tolerance. Each place's sum is rounded at its own size, and an output is a weighted sum of places: at
/// these points the roundings come to up to 8.8 times, in the root of their mean square, what summing the output's own
/// terms makes (`Σ (Aᵀ ‖G‖ ‖B‖)² / 3` over the places of an axis, for both axes; 7.2 times by the weights). The plain
/// rule grants twice what random roundings make of it.
pub(crate) const ROUNDING: f64 = 4.0;
/// Values of transformed pixels that stay in the cache beside the weights that they meet.
const CACHED: usize = 1 << 17;
/// Weights that, transformed, stay in the cache beside a couple of images.
const FEW: usize = 1 << 15;
/// Columns from which on it costs little to transform the images for them.
const WORTHWHILE: usize = 64;
/// Parts of a weights' gradient that are worth a thread each, where there are so many.
const PARTS: usize = 16;

/// Whether that saves work: the taps are 3×3 at stride 1 in one group, whole vectors of channels on both sides, and so
/// few taps look outside the images that they are more than the products of the tiles.
pub(crate) fn pays(window: &Window) -> bool {
    let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, pad_y, pad_x, .. } = *window;
    let is_made_for = window.is_dense()
        && [window.kernel_height, window.kernel_width] == [3, 3]
        && pad_y <= 2
        && pad_x <= 2
        && [in_channels, out_channels].iter().all(|channels| channels.is_multiple_of(LANES));
    let meetings = |count: &dyn Fn(usize) -> usize| (0..3).map(count).sum::<usize>();
    let taps = meetings(&|ky| window.rows(ky).count()) * meetings(&|kx| window.columns(kx).count());
    let places = |size: usize| cut(size).iter().map(|(places, starts)| places * starts.len()).sum::<usize>();
    // Of outputs and, on the way back, of inputs.
    let products = (places(out_height) * places(out_width)).max(places(in_height) * places(in_width));
    // The transforms come to some quarter of the products.
    is_made_for && 4 * taps >= 5 * products
}

/// Images to take together: where the transformed weights stay in the cache, a couple, so that the calls before and
/// after can follow while what they make is there too; else all.
pub(crate) fn together(window: &Window) -> usize {
    if window.weights() <= FEW { 2 } else { window.batch }
}

/// The same on the way back, where no calls follow image by image: so many that reading the transformed weights is
/// small beside the products.
pub(crate) fn together_back(window: &Window) -> usize {
    together(window).max(8)
}

/// Transformed weights, for [`convolve`].
///
/// # Panics
/// If it does not [pay](pays).
pub(crate) fn weights(window: &Window, w: &[f32]) -> Vec<f32> {
    assert!(pays(window), "{window:?}");
    Tiles::forward(window).weights(w)
}

/// Transformed weights, for [`convolve_back`].
///
/// # Panics
/// If it does not [pay](pays).
pub(crate) fn weights_back(window: &Window, w: &[f32]) -> Vec<f32> {
    assert!(pays(window), "{window:?}");
    Tiles::backward(window).weights(w)
}

/// `y[pixel, column] = b[column] + sum over taps and channels of images * w`, from the inputs of a window to its
/// outputs, activated; `u` is made of `w` by [`weights`]. On all threads.
pub(crate) fn convolve(window: &Window, images: &[f32], u: &[f32], b: &[f32], activation: Activation, y: &mut [f32]) {
    Tiles::forward(window).convolve(images, u, b, activation, y);
}

/// The same from the gradients of a window's outputs to those of its inputs, without `b`; `u` is made by
/// [`weights_back`].
pub(crate) fn convolve_back(window: &Window, dz: &[f32], u: &[f32], dx: &mut [f32]) {
    Tiles::backward(window).convolve(dz, u, &vec![0.0; window.in_channels], Activation::None, dx);
}

/// `dw[tap, channel, column] = sum over pixels of images * dz`. On several threads.
///
/// # Panics
/// If it does not [pay](pays), or `dw` has not all rows.
pub(crate) fn correlate(window: &Window, splits: usize, images: &[f32], dz: &[f32], dw: &mut [f32]) {
    assert!(pays(window) && dw.len() == window.weights(), "{window:?}");
    let tiles = Tiles::forward(window);
    let columns = window.out_channels;
    let parts = (PARTS / splits).clamp(1, columns.div_ceil(WORTHWHILE));
    if parts == 1 {
        tiles.correlate(images, dz, 0, dw);
        return;
    }
    let (rows, width) = (window.terms(), columns.div_ceil(parts).next_multiple_of(GROUP));
    let mut own = scratch(rows * columns);
    own.par_chunks_mut(rows * width).enumerate().for_each(|(part, dw)| {
        tiles.correlate(images, dz, part * width, dw);
    });
    dw.par_chunks_mut(columns).enumerate().for_each(|(row, dw)| {
        for (part, dw) in own.chunks(rows * width).zip(dw.chunks_mut(width)) {
            dw.copy_from_slice(&part[row * dw.len()..][..dw.len()]);
        }
    });
}

/// How pixels along an axis are cut into tiles: the places of a tile, two more than its pixels, and where tiles of so
/// many begin.
fn cut(size: usize) -> [(usize, Vec<usize>); 2] {
    let (wide, narrow) = (size / 4 + usize::from(size % 4 == 3), usize::from(matches!(size % 4, 1 | 2)));
    [(6, (0..wide).map(|tile| 4 * tile).collect()), (4, vec![4 * wide; narrow])]
}

/// Tiles of equally many places.
struct Kind {
    /// Rows and columns of them.
    places: [usize; 2],
    /// Rows and columns of pixels where tiles begin.
    starts: [Vec<usize>; 2],
}

impl Kind {
    fn places(&self) -> usize {
        self.places[0] * self.places[1]
    }
}

/// Runs what is compiled for the places of each kind, with the widest vectors that there are. Each is small: as one
/// function the whole takes a compiler many minutes.
macro_rules! dispatch {
    ($kind:expr, $name:ident { $($field:ident $(: $value:expr)?),* }) => {
        match $kind.places {
            [6, 6] => Arch::new().dispatch($name::<6, 6> { $($field $(: $value)?),* }),
            [6, 4] => Arch::new().dispatch($name::<6, 4> { $($field $(: $value)?),* }),
            [4, 6] => Arch::new().dispatch($name::<4, 6> { $($field $(: $value)?),* }),
            _ => Arch::new().dispatch($name::<4, 4> { $($field $(: $value)?),* }),
        }
    };
}

/// How images are cut into tiles.
struct Tiles {
    walk: Walk,
    /// Rows and columns of an image.
    image: [usize; 2],
    /// Channels of its pixels.
    channels: usize,
    /// Rows and columns of zeros above it and left of it.
    pad: [usize; 2],
    /// Rows and columns of the pixels made.
    made: [usize; 2],
    /// The kinds of tiles that cover these.
    kinds: Vec<Kind>,
}

/// A tile: its image, and the row and the column of pixels made at which it begins.
type Tile = [usize; 3];

impl Tiles {
    fn forward(window: &Window) -> Tiles {
        Tiles {
            walk: Walk::forward(window),
            image: [window.in_height, window.in_width],
            channels: window.in_channels,
            pad: [window.pad_y, window.pad_x],
            made: [window.out_height, window.out_width],
            kinds: Tiles::kinds([window.out_height, window.out_width]),
        }
    }

    fn backward(window: &Window) -> Tiles {
        Tiles {
            walk: Walk::backward(window),
            image: [window.out_height, window.out_width],
            channels: window.out_channels,
            pad: [2 - window.pad_y, 2 - window.pad_x],
            made: [window.in_height, window.in_width],
            kinds: Tiles::kinds([window.in_height, window.in_width]),
        }
    }

    fn kinds(made: [usize; 2]) -> Vec<Kind> {
        let [down, along] = made.map(cut);
        let mut kinds = Vec::with_capacity(4);
        for (rows, y) in &down {
            for (columns, x) in &along {
                if !y.is_empty() && !x.is_empty() {
                    kinds.push(Kind { places: [*rows, *columns], starts: [y.clone(), x.clone()] });
                }
            }
        }
        kinds
    }

    /// The tiles of a kind of so many images.
    fn all(&self, kind: &Kind, images: usize) -> Vec<Tile> {
        let [rows, columns] = &kind.starts;
        let mut tiles = Vec::with_capacity(images * rows.len() * columns.len());
        for image in 0..images {
            for &row in rows {
                tiles.extend(columns.iter().map(|&column| [image, row, column]));
            }
        }
        tiles
    }

    /// Places of one tile of each kind.
    fn places(&self) -> usize {
        self.kinds.iter().map(Kind::places).sum()
    }

    /// Tiles of so many places to take together.
    fn at_a_time(&self, places: usize) -> usize {
        (CACHED / (places * self.channels)).max(32)
    }

    /// Values from one transformed tile to the next: a cache line more than they are, as what lies whole pages apart
    /// shares its place in the cache.
    fn stride(&self, places: usize) -> usize {
        places * self.channels + 16
    }

    /// The transformed tiles in one of the places, of so many.
    fn class(&self, places: usize, count: usize) -> Class {
        let pixels = (0..count).map(|tile| Pixel { from: tile * self.stride(places), to: tile }).collect();
        Class { pixels, runs: vec![Run { offset: 0, row: 0 }], length: self.channels }
    }

    /// Number of the pixel of the images in a place of a tile; `None` outside.
    #[inline(always)]
    fn under(&self, [image, row, column]: Tile, [y, x]: [usize; 2]) -> Option<usize> {
        let [height, width] = self.image;
        let (y, x) = (row + y, column + x);
        let is_inside = y >= self.pad[0] && y < height + self.pad[0] && x >= self.pad[1] && x < width + self.pad[1];
        is_inside.then(|| (image * height + y - self.pad[0]) * width + x - self.pad[1])
    }

    /// Number of one of the pixels that a tile makes; `None` outside.
    #[inline(always)]
    fn makes(&self, [image, row, column]: Tile, [y, x]: [usize; 2]) -> Option<usize> {
        let [height, width] = self.made;
        let (y, x) = (row + y, column + x);
        (y < height && x < width).then(|| (image * height + y) * width + x)
    }

    /// Weights transformed, `[groups, kinds, blocks, places, channels, vectors]`: a block has as many vectors as are
    /// made at a time.
    fn weights(&self, w: &[f32]) -> Vec<f32> {
        let rows = self.places() * self.channels;
        let mut u = vec![0.0; rows * self.walk.columns];
        u.par_chunks_mut(rows * GROUP).enumerate().for_each(|(group, mut u)| {
            let width = u.len() / rows;
            let mut panel = scratch(9 * self.channels * width);
            self.walk.panel(w, group * GROUP, &mut panel);
            for kind in &self.kinds {
                let own;
                (own, u) = u.split_at_mut(kind.places() * self.channels * width);
                dispatch!(kind, Weights { w: &panel, channels: self.channels, u: own });
            }
        });
        u
    }

    fn convolve(&self, images: &[f32], u: &[f32], b: &[f32], activation: Activation, y: &mut [f32]) {
        let [[height, width], made] = [self.image, self.made];
        let together = self.at_a_time(36).div_ceil(made[0].div_ceil(4) * made[1].div_ceil(4));
        let images = images.par_chunks(together * height * width * self.channels);
        y.par_chunks_mut(together * self.walk.pixels * self.walk.columns).zip(images).for_each(|(y, images)| {
            let rectifies = activation == Activation::Relu;
            let mut before = 0;
            for kind in &self.kinds {
                self.convolve_kind(kind, images, (u, before), b, rectifies, y);
                before += kind.places();
            }
            if !rectifies {
                activation.activate(y);
            }
        });
    }

    /// Makes the pixels of all tiles of a kind, before whose places of the weights there are so many.
    fn convolve_kind(
        &self,
        kind: &Kind,
        images: &[f32],
        (u, before): (&[f32], usize),
        b: &[f32],
        rectifies: bool,
        y: &mut [f32],
    ) {
        let (places, columns) = (kind.places(), self.walk.columns);
        let all = self.all(kind, y.len() / (self.walk.pixels * columns));
        let at_a_time = self.at_a_time(places).min(all.len());
        let mut v = scratch(at_a_time * self.stride(places));
        let mut m = scratch(at_a_time * apart(places, GROUP));
        for some in all.chunks(at_a_time) {
            dispatch!(kind, Pixels { tiles: self, some, images, v: &mut v });
            let class = self.class(places, some.len());
            for first in (0..columns).step_by(GROUP) {
                let width = GROUP.min(columns - first);
                let u = &u[(first * self.places() + before * width) * self.channels..];
                let u = &u[..places * self.channels * width];
                Arch::new().dispatch(Products { class: &class, places, v: &v, u, m: &mut m });
                dispatch!(kind, Outputs { tiles: self, some, m: &m, b, rectifies, first, width, y: &mut *y });
            }
        }
    }

    /// Sums the products of all tiles and the columns from the first on: `[taps, channels, columns]`.
    fn correlate(&self, images: &[f32], dz: &[f32], first: usize, dw: &mut [f32]) {
        if dz.is_empty() {
            dw.fill(0.0);
        }
        for (place, kind) in self.kinds.iter().enumerate() {
            self.correlate_kind(kind, images, dz, first, dw, place > 0);
        }
    }

    /// Sums the products of all tiles of a kind; it `adds` them, or they are all.
    fn correlate_kind(&self, kind: &Kind, images: &[f32], dz: &[f32], first: usize, dw: &mut [f32], adds: bool) {
        let (places, channels) = (kind.places(), self.channels);
        let columns = dw.len() / (9 * channels);
        let all = self.all(kind, dz.len() / (self.walk.pixels * self.walk.columns));
        let at_a_time = self.at_a_time(places).min(all.len()).max(1);
        let mut v = scratch(at_a_time * self.stride(places));
        let mut z = scratch(at_a_time * apart(places, GROUP));
        let mut m = scratch(places * channels * columns);
        let groups = |part: usize| (part * GROUP, GROUP.min(columns - part * GROUP));
        for (number, some) in all.chunks(at_a_time).enumerate() {
            dispatch!(kind, Pixels { tiles: self, some, images, v: &mut v });
            let Class { pixels, .. } = self.class(places, some.len());
            for (part, m) in m.chunks_mut(places * channels * GROUP).enumerate() {
                let (start, width) = groups(part);
                dispatch!(kind, Gradients { tiles: self, some, dz, first: first + start, width, z: &mut z });
                let adds = number > 0;
                Arch::new().dispatch(Meetings { channels, places, pixels: &pixels, v: &v, z: &z, m, adds });
            }
        }
        if !all.is_empty() {
            for (part, m) in m.chunks(places * channels * GROUP).enumerate() {
                let (first, width) = groups(part);
                dispatch!(kind, Sums { channels, m, first, width, dw: &mut *dw, columns, adds });
            }
        }
    }
}

/// Values from the sums of a tile to those of the next: a cache line more than they are, as in
/// [`stride`](Tiles::stride).
fn apart(places: usize, columns: usize) -> usize {
    places * columns + LANES
}

// The points of tiles of four pixels, their squares, and what these come to.
const A1: f32 = 0.75;
const B1: f32 = 1.5;
const A2: f32 = A1 * A1;
const B2: f32 = B1 * B1;
const SUM: f32 = A2 + B2;
const PRODUCT: f32 = A2 * B2;
/// By what the product of one is divided that is evaluated at a point.
const BY_0: f32 = 1.0 / PRODUCT;
const BY_A: f32 = 1.0 / (2.0 * A2 * (A2 - B2));
const BY_B: f32 = 1.0 / (2.0 * B2 * (B2 - A2));

/// `x + factor * y`.
#[inline(always)]
fn plus<S: Simd>(simd: S, x: S::f32s, factor: f32, y: S::f32s) -> S::f32s {
    simd.mul_add_f32s(simd.splat_f32s(factor), y, x)
}

/// `Bᵀ` times a column.
#[inline(always)]
fn bt<S: Simd, const N: usize>(simd: S, d: [S::f32s; N]) -> [S::f32s; N] {
    let mut to = d;
    if N == 4 {
        to[0] = simd.sub_f32s(d[0], d[2]);
        to[1] = simd.add_f32s(d[1], d[2]);
        to[2] = simd.sub_f32s(d[2], d[1]);
        to[3] = simd.sub_f32s(d[1], d[3]);
    } else {
        let (even, odd) = (plus(simd, d[4], -B2, d[2]), plus(simd, d[3], -B2, d[1]));
        to[0] = plus(simd, plus(simd, d[4], -SUM, d[2]), PRODUCT, d[0]);
        to[1] = plus(simd, even, A1, odd);
        to[2] = plus(simd, even, -A1, odd);
        let (even, odd) = (plus(simd, d[4], -A2, d[2]), plus(simd, d[3], -A2, d[1]));
        to[3] = plus(simd, even, B1, odd);
        to[4] = plus(simd, even, -B1, odd);
        to[5] = plus(simd, plus(simd, d[5], -SUM, d[3]), PRODUCT, d[1]);
    }
    to
}

/// `Aᵀ` times a column: as many as there are pixels.
#[inline(always)]
fn at<S: Simd, const N: usize>(simd: S, m: [S::f32s; N]) -> [S::f32s; 4] {
    let mut to = [m[0]; 4];
    if N == 4 {
        to[0] = simd.add_f32s(simd.add_f32s(m[0], m[1]), m[2]);
        to[1] = simd.sub_f32s(simd.sub_f32s(m[1], m[2]), m[3]);
    } else {
        let (sum_a, sum_b) = (simd.add_f32s(m[1], m[2]), simd.add_f32s(m[3], m[4]));
        let (slope_a, slope_b) = (simd.sub_f32s(m[1], m[2]), simd.sub_f32s(m[3], m[4]));
        to[0] = simd.add_f32s(m[0], simd.add_f32s(sum_a, sum_b));
        to[1] = plus(simd, simd.mul_f32s(simd.splat_f32s(A1), slope_a), B1, slope_b);
        to[2] = plus(simd, simd.mul_f32s(simd.splat_f32s(A2), sum_a), B2, sum_b);
        to[3] = plus(simd, plus(simd, m[5], A1 * A2, slope_a), B1 * B2, slope_b);
    }
    to
}

/// `A` times a column of as many as there are pixels.
#[inline(always)]
fn a<S: Simd, const N: usize>(simd: S, z: [S::f32s; 4]) -> [S::f32s; N] {
    let mut to = [z[0]; N];
    if N == 4 {
        to[1] = simd.add_f32s(z[0], z[1]);
        to[2] = simd.sub_f32s(z[0], z[1]);
        to[3] = simd.neg_f32s(z[1]);
    } else {
        let (even, odd) = (plus(simd, z[0], A2, z[2]), plus(simd, z[1], A2, z[3]));
        to[1] = plus(simd, even, A1, odd);
        to[2] = plus(simd, even, -A1, odd);
        let (even, odd) = (plus(simd, z[0], B2, z[2]), plus(simd, z[1], B2, z[3]));
        to[3] = plus(simd, even, B1, odd);
        to[4] = plus(simd, even, -B1, odd);
        to[5] = z[3];
    }
    to
}

/// `G` times a column.
#[inline(always)]
fn g<S: Simd, const N: usize>(simd: S, g: [S::f32s; 3]) -> [S::f32s; N] {
    let mut to = [g[0]; N];
    if N == 4 {
        let half = simd.splat_f32s(0.5);
        let (outer, inner) = (simd.mul_f32s(half, simd.add_f32s(g[0], g[2])), simd.mul_f32s(half, g[1]));
        to[1] = simd.add_f32s(outer, inner);
        to[2] = simd.sub_f32s(outer, inner);
        to[3] = g[2];
    } else {
        to[0] = simd.mul_f32s(simd.splat_f32s(BY_0), g[0]);
        let even = simd.mul_f32s(simd.splat_f32s(BY_A), plus(simd, g[0], A2, g[2]));
        to[1] = plus(simd, even, BY_A * A1, g[1]);
        to[2] = plus(simd, even, -BY_A * A1, g[1]);
        let even = simd.mul_f32s(simd.splat_f32s(BY_B), plus(simd, g[0], B2, g[2]));
        to[3] = plus(simd, even, BY_B * B1, g[1]);
        to[4] = plus(simd, even, -BY_B * B1, g[1]);
        to[5] = g[2];
    }
    to
}

/// `Gᵀ` times a column.
#[inline(always)]
fn gt<S: Simd, const N: usize>(simd: S, m: [S::f32s; N]) -> [S::f32s; 3] {
    if N == 4 {
        let half = simd.splat_f32s(0.5);
        let (sum, slope) = (simd.mul_f32s(half, simd.add_f32s(m[1], m[2])), simd.sub_f32s(m[1], m[2]));
        [simd.add_f32s(m[0], sum), simd.mul_f32s(half, slope), simd.add_f32s(sum, m[3])]
    } else {
        let (sum_a, sum_b) = (simd.add_f32s(m[1], m[2]), simd.add_f32s(m[3], m[4]));
        let (slope_a, slope_b) = (simd.sub_f32s(m[1], m[2]), simd.sub_f32s(m[3], m[4]));
        let first = plus(simd, simd.mul_f32s(simd.splat_f32s(BY_0), m[0]), BY_A, sum_a);
        [
            plus(simd, first, BY_B, sum_b),
            plus(simd, simd.mul_f32s(simd.splat_f32s(BY_A * A1), slope_a), BY_B * B1, slope_b),
            plus(simd, plus(simd, m[5], BY_A * A2, sum_a), BY_B * B2, sum_b),
        ]
    }
}

/// Transforms the pixels under some tiles: each becomes `[place, channels]`, and they begin [`stride`](Tiles::stride)
/// values apart.
struct Pixels<'a, const Y: usize, const X: usize> {
    tiles: &'a Tiles,
    some: &'a [Tile],
    images: &'a [f32],
    v: &'a mut [f32],
}

impl<const Y: usize, const X: usize> WithSimd for Pixels<'_, Y, X> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Pixels { tiles, some, images, v } = self;
        let (zero, images) = (simd.splat_f32s(0.0), S::as_simd_f32s(images).0);
        let across = tiles.channels / S::F32_LANES;
        let zeros = vec![zero; across];
        for (&tile, v) in some.iter().zip(v.chunks_mut(tiles.stride(Y * X))) {
            let mut from = [[zeros.as_slice(); X]; Y];
            for (y, from) in from.iter_mut().enumerate() {
                for (x, from) in from.iter_mut().enumerate() {
                    if let Some(pixel) = tiles.under(tile, [y, x]) {
                        *from = &images[pixel * across..][..across];
                    }
                }
            }
            let v = S::as_mut_simd_f32s(v).0;
            for channel in 0..across {
                let mut columns = [[zero; Y]; X];
                for x in 0..X {
                    let mut d = [zero; Y];
                    for y in 0..Y {
                        d[y] = from[y][x][channel];
                    }
                    columns[x] = bt(simd, d);
                }
                for y in 0..Y {
                    let mut d = [zero; X];
                    for x in 0..X {
                        d[x] = columns[x][y];
                    }
                    let row = bt(simd, d);
                    for x in 0..X {
                        v[(X * y + x) * across + channel] = row[x];
                    }
                }
            }
        }
    }
}

/// Transforms the weights of some columns, `[taps, channels, columns]`, to `[blocks, places, channels, vectors]`.
struct Weights<'a, const Y: usize, const X: usize> {
    w: &'a [f32],
    channels: usize,
    u: &'a mut [f32],
}

impl<const Y: usize, const X: usize> WithSimd for Weights<'_, Y, X> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Weights { w, channels, u } = self;
        let (w, mut u) = (S::as_simd_f32s(w).0, S::as_mut_simd_f32s(u).0);
        let across = w.len() / (9 * channels);
        let mut first = 0;
        while first < across {
            let vectors = vectors::<S>(across - first);
            let own;
            (own, u) = u.split_at_mut(Y * X * channels * vectors);
            for term in 0..channels * vectors {
                let from = term / vectors * across + first + term % vectors;
                let mut columns = [[simd.splat_f32s(0.0); Y]; 3];
                for x in 0..3 {
                    let tap = |y: usize| w[(3 * y + x) * channels * across + from];
                    columns[x] = g(simd, [tap(0), tap(1), tap(2)]);
                }
                for y in 0..Y {
                    let row: [S::f32s; X] = g(simd, [columns[0][y], columns[1][y], columns[2][y]]);
                    for x in 0..X {
                        own[(X * y + x) * channels * vectors + term] = row[x];
                    }
                }
            }
            first += vectors;
        }
    }
}

/// Sums the products of tiles and of weights of up to [`GROUP`] columns: `[tile, places, columns]`, [`apart`].
struct Products<'a> {
    class: &'a Class,
    places: usize,
    v: &'a [f32],
    u: &'a [f32],
    m: &'a mut [f32],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Products { class, places, v, u, m } = self;
        let (u, m) = (S::as_simd_f32s(u).0, S::as_mut_simd_f32s(m).0);
        let (zero, channels) = (simd.splat_f32s(0.0), class.length);
        let across = u.len() / (places * channels);
        let apart = apart(places, across * S::F32_LANES) / S::F32_LANES;
        let mut first = 0;
        while first < across {
            let vectors = vectors::<S>(across - first);
            for place in 0..places {
                let (v, m) = (&v[place * channels..], &mut m[place * across + first..]);
                let u = &u[(first * places + place * vectors) * channels..][..channels * vectors];
                if vectors == 2 {
                    made::<S, 2>(simd, class, v, (u, 2), [zero; 2], false, m, apart);
                } else {
                    made::<S, 1>(simd, class, v, (u, 1), [zero; 1], false, m, apart);
                }
            }
            first += vectors;
        }
    }
}

/// Makes `width` columns from `first` on of the pixels of some tiles.
struct Outputs<'a, const Y: usize, const X: usize> {
    tiles: &'a Tiles,
    some: &'a [Tile],
    m: &'a [f32],
    b: &'a [f32],
    /// Whether negative ones become zero.
    rectifies: bool,
    first: usize,
    width: usize,
    y: &'a mut [f32],
}

impl<const Y: usize, const X: usize> WithSimd for Outputs<'_, Y, X> {
    type Output = ();

    #[expect(clippy::needless_range_loop, reason = "a row of an array of columns")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Outputs { tiles, some, m, b, rectifies, first, width, y } = self;
        let (m, b, pixels) = (S::as_simd_f32s(m).0, S::as_simd_f32s(b).0, S::as_mut_simd_f32s(y).0);
        let (across, vectors, first) = (b.len(), width / S::F32_LANES, first / S::F32_LANES);
        let zero = simd.splat_f32s(0.0);
        for (&tile, m) in some.iter().zip(m.chunks(apart(Y * X, width) / S::F32_LANES)) {
            for vector in 0..vectors {
                let mut columns = [[zero; 4]; X];
                for x in 0..X {
                    let mut own = [zero; Y];
                    for y in 0..Y {
                        own[y] = m[(X * y + x) * vectors + vector];
                    }
                    columns[x] = at(simd, own);
                }
                let bias = b[first + vector];
                for y in 0..Y - 2 {
                    let mut own = [zero; X];
                    for x in 0..X {
                        own[x] = columns[x][y];
                    }
                    let own = at(simd, own);
                    for (x, &own) in own.iter().take(X - 2).enumerate() {
                        if let Some(pixel) = tiles.makes(tile, [y, x]) {
                            let own = simd.add_f32s(own, bias);
                            let own = if rectifies { simd.max_f32s(own, zero) } else { own };
                            pixels[pixel * across + first + vector] = own;
                        }
                    }
                }
            }
        }
    }
}

/// Transforms `width` columns from `first` on of the gradients of some tiles: `[tile, places, columns]`, [`apart`].
struct Gradients<'a, const Y: usize, const X: usize> {
    tiles: &'a Tiles,
    some: &'a [Tile],
    dz: &'a [f32],
    first: usize,
    width: usize,
    z: &'a mut [f32],
}

impl<const Y: usize, const X: usize> WithSimd for Gradients<'_, Y, X> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Gradients { tiles, some, dz, first, width, z } = self;
        let (dz, z) = (S::as_simd_f32s(dz).0, S::as_mut_simd_f32s(z).0);
        let across = tiles.walk.columns / S::F32_LANES;
        let (vectors, first) = (width / S::F32_LANES, first / S::F32_LANES);
        let zero = simd.splat_f32s(0.0);
        for (&tile, z) in some.iter().zip(z.chunks_mut(apart(Y * X, width) / S::F32_LANES)) {
            for vector in 0..vectors {
                let mut columns = [[zero; Y]; 4];
                for (x, column) in columns.iter_mut().take(X - 2).enumerate() {
                    let mut own = [zero; 4];
                    for (y, own) in own.iter_mut().take(Y - 2).enumerate() {
                        if let Some(pixel) = tiles.makes(tile, [y, x]) {
                            *own = dz[pixel * across + first + vector];
                        }
                    }
                    *column = a(simd, own);
                }
                for y in 0..Y {
                    let row: [S::f32s; X] = a(simd, [columns[0][y], columns[1][y], columns[2][y], columns[3][y]]);
                    for x in 0..X {
                        z[(X * y + x) * vectors + vector] = row[x];
                    }
                }
            }
        }
    }
}

/// Sums the products of transformed tiles and of their gradients of up to [`GROUP`] columns: `[places, channels,
/// columns]`. It `adds` them, or they are all.
struct Meetings<'a> {
    channels: usize,
    places: usize,
    pixels: &'a [Pixel],
    v: &'a [f32],
    z: &'a [f32],
    m: &'a mut [f32],
    adds: bool,
}

impl WithSimd for Meetings<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Meetings { channels, places, pixels, v, z, m, adds } = self;
        let (z, m) = (S::as_simd_f32s(z).0, S::as_mut_simd_f32s(m).0);
        let across = m.len() / (places * channels);
        let apart = apart(places, across * S::F32_LANES) / S::F32_LANES;
        let groups = [pixels.len()];
        for place in 0..places {
            let mut first = 0;
            while first < across {
                let vectors = vectors::<S>(across - first);
                let (v, z) = (&v[place * channels..], (&z[place * across + first..], apart));
                let m = &mut m[place * channels * across + first..];
                if vectors == 2 {
                    met::<S, 2>(simd, v, z, pixels, &groups, channels, m, across, adds);
                } else {
                    met::<S, 1>(simd, v, z, pixels, &groups, channels, m, across, adds);
                }
                first += vectors;
            }
        }
    }
}

/// The gradients by `width` columns of the weights from `first` on, of `columns`, from the sums of the products. It
/// `adds` them, or they are all.
struct Sums<'a, const Y: usize, const X: usize> {
    channels: usize,
    m: &'a [f32],
    first: usize,
    width: usize,
    dw: &'a mut [f32],
    columns: usize,
    adds: bool,
}

impl<const Y: usize, const X: usize> WithSimd for Sums<'_, Y, X> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Sums { channels, m, first, width, dw, columns, adds } = self;
        let (m, dw) = (S::as_simd_f32s(m).0, S::as_mut_simd_f32s(dw).0);
        let [first, vectors, across] = [first, width, columns].map(|columns| columns / S::F32_LANES);
        let (zero, terms) = (simd.splat_f32s(0.0), channels * vectors);
        for term in 0..terms {
            let mut columns = [[zero; 3]; X];
            for x in 0..X {
                let mut own = [zero; Y];
                for y in 0..Y {
                    own[y] = m[(X * y + x) * terms + term];
                }
                columns[x] = gt(simd, own);
            }
            let to = term / vectors * across + first + term % vectors;
            for y in 0..3 {
                let mut own = [zero; X];
                for x in 0..X {
                    own[x] = columns[x][y];
                }
                let row = gt(simd, own);
                for x in 0..3 {
                    let dw = &mut dw[(3 * y + x) * channels * across + to];
                    *dw = if adds { simd.add_f32s(*dw, row[x]) } else { row[x] };
                }
            }
        }
    }
}
