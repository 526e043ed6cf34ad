//! Convolutions of 3×3 taps and stride 1, and their gradients, with 16 products of channels for each 2×2 pixels made,
//! in place of 36: Winograd's minimal filtering F(2×2, 3×3), as Lavin & Gray have it in *Fast Algorithms for
//! Convolutional Neural Networks*, 2016. With `d` the 4×4 pixels under a tile of 2×2 pixels made and `g` the weights
//! of two channels, the tile is `Aᵀ((G g Gᵀ) ⊙ (Bᵀ d B)) A`, and the gradient by `g` the sum over tiles of
//! `Gᵀ((A dz Aᵀ) ⊙ (Bᵀ d B)) G`. For each of the 16 places the products over channels are those of matrices.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::direct::{GROUP, LANES, made, met, vectors};
use super::product::scratch;
use super::walk::{Class, Pixel, Run, Walk};
use crate::kernels::Window;

/// Places of a tile.
const PLACES: usize = 16;
/// Values of transformed pixels that stay in the cache beside the weights that they meet.
const CACHED: usize = 1 << 17;
/// Weights that cost little to transform beside using them for two images.
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
    // Of outputs and, on the way back, of inputs.
    let tiles = (out_height.div_ceil(2) * out_width.div_ceil(2)).max(in_height.div_ceil(2) * in_width.div_ceil(2));
    // The transforms come to some quarter of the products.
    is_made_for && 4 * taps >= 5 * PLACES * tiles
}

/// Images to take together: all, as the weights are then transformed once; where those are few, a couple of images, so
/// that the calls before and after can follow while what they make is in the cache.
pub(crate) fn together(window: &Window) -> usize {
    if window.weights() <= FEW { 2 } else { window.batch }
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
}

/// A tile: its image, and its row and column in units of tiles.
type Tile = [usize; 3];

impl Tiles {
    fn forward(window: &Window) -> Tiles {
        Tiles {
            walk: Walk::forward(window),
            image: [window.in_height, window.in_width],
            channels: window.in_channels,
            pad: [window.pad_y, window.pad_x],
            made: [window.out_height, window.out_width],
        }
    }

    fn backward(window: &Window) -> Tiles {
        Tiles {
            walk: Walk::backward(window),
            image: [window.out_height, window.out_width],
            channels: window.out_channels,
            pad: [2 - window.pad_y, 2 - window.pad_x],
            made: [window.in_height, window.in_width],
        }
    }

    /// All tiles of so many images.
    fn all(&self, images: usize) -> Vec<Tile> {
        let [height, width] = self.made.map(|pixels| pixels.div_ceil(2));
        let mut tiles = Vec::with_capacity(images * height * width);
        for image in 0..images {
            for row in 0..height {
                tiles.extend((0..width).map(|column| [image, row, column]));
            }
        }
        tiles
    }

    /// Tiles to take together.
    fn at_a_time(&self) -> usize {
        (CACHED / (PLACES * self.channels)).max(32)
    }

    /// Values from one transformed tile to the next: a cache line more than they are, as what lies whole pages apart
    /// shares its place in the cache.
    fn stride(&self) -> usize {
        PLACES * self.channels + 16
    }

    /// The transformed tiles in one of the places, of so many.
    fn class(&self, count: usize) -> Class {
        let pixels = (0..count).map(|tile| Pixel { from: tile * self.stride(), to: tile }).collect();
        Class { pixels, runs: vec![Run { offset: 0, row: 0 }], length: self.channels }
    }

    /// Number of the pixel of the images in a place of a tile; `None` outside.
    #[inline(always)]
    fn under(&self, [image, row, column]: Tile, place: usize) -> Option<usize> {
        let [height, width] = self.image;
        let (y, x) = (2 * row + place / 4, 2 * column + place % 4);
        let is_inside = y >= self.pad[0] && y < height + self.pad[0] && x >= self.pad[1] && x < width + self.pad[1];
        is_inside.then(|| (image * height + y - self.pad[0]) * width + x - self.pad[1])
    }

    /// Number of the pixel made in one of the four places of a tile; `None` outside.
    #[inline(always)]
    fn makes(&self, [image, row, column]: Tile, place: usize) -> Option<usize> {
        let [height, width] = self.made;
        let (y, x) = (2 * row + place / 2, 2 * column + place % 2);
        (y < height && x < width).then(|| (image * height + y) * width + x)
    }
}

/// `Bᵀ` times a column.
#[inline(always)]
fn bt<S: Simd>(simd: S, d: [S::f32s; 4]) -> [S::f32s; 4] {
    [simd.sub_f32s(d[0], d[2]), simd.add_f32s(d[1], d[2]), simd.sub_f32s(d[2], d[1]), simd.sub_f32s(d[1], d[3])]
}

/// `Aᵀ` times a column.
#[inline(always)]
fn at<S: Simd>(simd: S, m: [S::f32s; 4]) -> [S::f32s; 2] {
    [simd.add_f32s(simd.add_f32s(m[0], m[1]), m[2]), simd.sub_f32s(simd.sub_f32s(m[1], m[2]), m[3])]
}

/// `A` times a column.
#[inline(always)]
fn a<S: Simd>(simd: S, z: [S::f32s; 2]) -> [S::f32s; 4] {
    [z[0], simd.add_f32s(z[0], z[1]), simd.sub_f32s(z[0], z[1]), simd.neg_f32s(z[1])]
}

/// `G` times a column.
#[inline(always)]
fn g<S: Simd>(simd: S, g: [S::f32s; 3]) -> [S::f32s; 4] {
    let half = simd.splat_f32s(0.5);
    let (outer, inner) = (simd.mul_f32s(half, simd.add_f32s(g[0], g[2])), simd.mul_f32s(half, g[1]));
    [g[0], simd.add_f32s(outer, inner), simd.sub_f32s(outer, inner), g[2]]
}

/// `Gᵀ` times a column.
#[inline(always)]
fn gt<S: Simd>(simd: S, m: [S::f32s; 4]) -> [S::f32s; 3] {
    let half = simd.splat_f32s(0.5);
    let (sum, difference) = (simd.mul_f32s(half, simd.add_f32s(m[1], m[2])), simd.sub_f32s(m[1], m[2]));
    [simd.add_f32s(m[0], sum), simd.mul_f32s(half, difference), simd.add_f32s(sum, m[3])]
}

/// Transforms the pixels under some tiles: each becomes `[place, channels]`, and they begin [`stride`](Tiles::stride)
/// values apart.
#[inline(always)]
fn transformed<S: Simd>(simd: S, tiles: &Tiles, some: &[Tile], images: &[S::f32s], zeros: &[S::f32s], to: &mut [f32]) {
    let across = zeros.len();
    for (&tile, to) in some.iter().zip(to.chunks_mut(tiles.stride())) {
        let mut from = [zeros; PLACES];
        for (place, from) in from.iter_mut().enumerate() {
            if let Some(pixel) = tiles.under(tile, place) {
                *from = &images[pixel * across..][..across];
            }
        }
        let mut to = S::as_mut_simd_f32s(to).0.chunks_exact_mut(across);
        let to: [&mut [S::f32s]; PLACES] = std::array::from_fn(|_| to.next().expect("sixteen places"));
        for channel in 0..across {
            let mut columns = [[zeros[0]; 4]; 4];
            for x in 0..4 {
                let d = [from[x][channel], from[4 + x][channel], from[8 + x][channel], from[12 + x][channel]];
                columns[x] = bt(simd, d);
            }
            for y in 0..4 {
                let row = bt(simd, [columns[0][y], columns[1][y], columns[2][y], columns[3][y]]);
                for x in 0..4 {
                    to[4 * y + x][channel] = row[x];
                }
            }
        }
    }
}

/// `y[pixel, column] = b[column] + sum over taps and channels of images * w`, from the inputs of a window to its
/// outputs, and what follows on the outputs of some images. On all threads: the weights are transformed once.
///
/// # Panics
/// If it does not [pay](pays).
pub(crate) fn convolve(
    window: &Window,
    images: &[f32],
    w: &[f32],
    b: &[f32],
    y: &mut [f32],
    follow: impl Fn(&mut [f32]) + Sync,
) {
    assert!(pays(window), "{window:?}");
    Tiles::forward(window).convolve(images, w, b, y, follow);
}

/// The same from the gradients of a window's outputs to those of its inputs, without `b`.
///
/// # Panics
/// If it does not [pay](pays).
pub(crate) fn convolve_back(window: &Window, dz: &[f32], w: &[f32], dx: &mut [f32]) {
    assert!(pays(window), "{window:?}");
    Tiles::backward(window).convolve(dz, w, &vec![0.0; window.in_channels], dx, |_| ());
}

impl Tiles {
    fn convolve(&self, images: &[f32], w: &[f32], b: &[f32], y: &mut [f32], follow: impl Fn(&mut [f32]) + Sync) {
        let columns = self.walk.columns;
        let mut u = scratch(PLACES * self.channels * columns);
        u.par_chunks_mut(PLACES * self.channels * GROUP).enumerate().for_each(|(group, u)| {
            Arch::new().dispatch(Weights { tiles: self, w, first: group * GROUP, u });
        });
        let [[height, width], made] = [self.image, self.made];
        let together = self.at_a_time().div_ceil(made[0].div_ceil(2) * made[1].div_ceil(2));
        let images = images.par_chunks(together * height * width * self.channels);
        y.par_chunks_mut(together * self.walk.pixels * columns).zip(images).for_each(|(y, images)| {
            Arch::new().dispatch(Convolve { tiles: self, images, u: &u, b, y });
            follow(y);
        });
    }
}

/// Transforms the weights of some columns from the first on, as many vectors of them at a time as are made at a time:
/// `[blocks, places, channels, vectors]`.
struct Weights<'a> {
    tiles: &'a Tiles,
    w: &'a [f32],
    first: usize,
    u: &'a mut [f32],
}

impl WithSimd for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Weights { tiles, w, first, mut u } = self;
        let channels = tiles.channels;
        let across = u.len() / (PLACES * channels * S::F32_LANES);
        let mut panel = scratch(9 * channels * 2 * S::F32_LANES);
        let mut done = 0;
        while done < across {
            let vectors = vectors::<S>(across - done);
            let width = vectors * S::F32_LANES;
            let panel = &mut panel[..9 * channels * width];
            tiles.walk.panel(w, first + done * S::F32_LANES, panel);
            let own;
            (own, u) = u.split_at_mut(PLACES * channels * width);
            weights(simd, S::as_simd_f32s(panel).0, S::as_mut_simd_f32s(own).0);
            done += vectors;
        }
    }
}

/// Makes all pixels of some images by transformed weights.
struct Convolve<'a> {
    tiles: &'a Tiles,
    images: &'a [f32],
    u: &'a [f32],
    b: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Convolve { tiles, images, u, b, y } = self;
        let (channels, columns) = (tiles.channels, tiles.walk.columns);
        let across = columns / S::F32_LANES;
        let all = tiles.all(y.len() / (tiles.walk.pixels * columns));
        let at_a_time = tiles.at_a_time().min(all.len());
        let sizes = [at_a_time * tiles.stride(), PLACES * at_a_time * 2 * S::F32_LANES];
        let mut values = scratch(sizes.iter().sum());
        let (v, m) = values.split_at_mut(sizes[0]);
        let (u, m) = (S::as_simd_f32s(u).0, S::as_mut_simd_f32s(m).0);
        let (images, b, y) = (S::as_simd_f32s(images).0, S::as_simd_f32s(b).0, S::as_mut_simd_f32s(y).0);
        let zeros = vec![simd.splat_f32s(0.0); channels / S::F32_LANES];
        for some in all.chunks(at_a_time) {
            let v = &mut v[..some.len() * tiles.stride()];
            transformed(simd, tiles, some, images, &zeros, v);
            let class = tiles.class(some.len());
            let mut first = 0;
            while first < across {
                let vectors = vectors::<S>(across - first);
                let u = &u[first * PLACES * channels..];
                let (b, y) = (&b[first..], &mut y[first..]);
                if vectors == 2 {
                    block::<S, 2>(simd, tiles, some, &class, v, u, m, b, y, across);
                } else {
                    block::<S, 1>(simd, tiles, some, &class, v, u, m, b, y, across);
                }
                first += vectors;
            }
        }
    }
}

/// Transforms weights `[taps, terms]` to `[places, terms]`.
#[inline(always)]
fn weights<S: Simd>(simd: S, w: &[S::f32s], u: &mut [S::f32s]) {
    let terms = w.len() / 9;
    for term in 0..terms {
        let mut columns = [[simd.splat_f32s(0.0); 4]; 3];
        for x in 0..3 {
            columns[x] = g(simd, [w[x * terms + term], w[(3 + x) * terms + term], w[(6 + x) * terms + term]]);
        }
        for y in 0..4 {
            let row = g(simd, [columns[0][y], columns[1][y], columns[2][y]]);
            for x in 0..4 {
                u[(4 * y + x) * terms + term] = row[x];
            }
        }
    }
}

/// Makes `V` vectors of columns of some tiles.
#[expect(clippy::too_many_arguments, reason = "what the sums are made of")]
#[inline(always)]
fn block<S: Simd, const V: usize>(
    simd: S,
    tiles: &Tiles,
    some: &[Tile],
    class: &Class,
    v: &[f32],
    u: &[S::f32s],
    m: &mut [S::f32s],
    b: &[S::f32s],
    y: &mut [S::f32s],
    across: usize,
) {
    let zero = simd.splat_f32s(0.0);
    for place in 0..PLACES {
        let u = &u[place * tiles.channels * V..][..tiles.channels * V];
        made::<S, V>(simd, class, &v[place * tiles.channels..], (u, V), [zero; V], &mut m[place * V..], PLACES * V);
    }
    for (&tile, m) in some.iter().zip(m.chunks_exact(PLACES * V)) {
        let mut to = [None; 4];
        for (place, to) in to.iter_mut().enumerate() {
            *to = tiles.makes(tile, place);
        }
        for vector in 0..V {
            let mut columns = [[zero; 2]; 4];
            for x in 0..4 {
                let m = &m[x * V + vector..][..12 * V + 1];
                columns[x] = at(simd, [m[0], m[4 * V], m[8 * V], m[12 * V]]);
            }
            for row in 0..2 {
                let own = at(simd, [columns[0][row], columns[1][row], columns[2][row], columns[3][row]]);
                for column in 0..2 {
                    if let Some(pixel) = to[2 * row + column] {
                        y[pixel * across + vector] = simd.add_f32s(own[column], b[vector]);
                    }
                }
            }
        }
    }
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
    let width = columns.div_ceil(parts).next_multiple_of(GROUP);
    let mut m = scratch(PLACES * tiles.channels * columns);
    m.par_chunks_mut(PLACES * tiles.channels * width).enumerate().for_each(|(part, m)| {
        Arch::new().dispatch(Correlate { tiles: &tiles, images, dz, first: part * width, m });
    });
    Arch::new().dispatch(Gradients { tiles: &tiles, m: &m, dw });
}

/// Sums the products of all tiles and some columns from the first on: `[blocks, places, channels, vectors]`.
struct Correlate<'a> {
    tiles: &'a Tiles,
    images: &'a [f32],
    dz: &'a [f32],
    first: usize,
    m: &'a mut [f32],
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Correlate { tiles, images, dz, first, m } = self;
        let (channels, columns) = (tiles.channels, tiles.walk.columns);
        let across = columns / S::F32_LANES;
        let own = m.len() / (PLACES * channels * S::F32_LANES);
        let all = tiles.all(dz.len() / (tiles.walk.pixels * columns));
        let at_a_time = tiles.at_a_time().min(all.len());
        let sizes = [at_a_time * tiles.stride(), PLACES * at_a_time * 2 * S::F32_LANES];
        let mut values = scratch(sizes.iter().sum());
        let (v, z) = values.split_at_mut(sizes[0]);
        let (m, z) = (S::as_mut_simd_f32s(m).0, S::as_mut_simd_f32s(z).0);
        let (images, dz) = (S::as_simd_f32s(images).0, &S::as_simd_f32s(dz).0[first / S::F32_LANES..]);
        m.fill(simd.splat_f32s(0.0));
        let zeros = vec![simd.splat_f32s(0.0); channels / S::F32_LANES];
        for some in all.chunks(at_a_time) {
            let v = &mut v[..some.len() * tiles.stride()];
            transformed(simd, tiles, some, images, &zeros, v);
            let Class { pixels, .. } = tiles.class(some.len());
            let mut done = 0;
            while done < own {
                let (m, dz) = (&mut m[done * PLACES * channels..], &dz[done..]);
                let vectors = vectors::<S>(own - done);
                if vectors == 2 {
                    meet::<S, 2>(simd, tiles, some, &pixels, v, dz, z, m, across);
                } else {
                    meet::<S, 1>(simd, tiles, some, &pixels, v, dz, z, m, across);
                }
                done += vectors;
            }
        }
    }
}

/// The gradients by weights, from what their tiles come to.
struct Gradients<'a> {
    tiles: &'a Tiles,
    m: &'a [f32],
    dw: &'a mut [f32],
}

impl WithSimd for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Gradients { tiles, m, dw } = self;
        let (m, dw) = (S::as_simd_f32s(m).0, S::as_mut_simd_f32s(dw).0);
        let (channels, across) = (tiles.channels, tiles.walk.columns / S::F32_LANES);
        let mut first = 0;
        while first < across {
            let vectors = vectors::<S>(across - first);
            let m = &m[first * PLACES * channels..][..vectors * PLACES * channels];
            gradients(simd, m, vectors, &mut dw[first..], across);
            first += vectors;
        }
    }
}

/// Adds the products of some tiles and `V` vectors of columns to `m`, `[places, channels, V]`.
#[expect(clippy::too_many_arguments, reason = "what the sums are made of")]
#[inline(always)]
fn meet<S: Simd, const V: usize>(
    simd: S,
    tiles: &Tiles,
    some: &[Tile],
    pixels: &[Pixel],
    v: &[f32],
    dz: &[S::f32s],
    z: &mut [S::f32s],
    m: &mut [S::f32s],
    across: usize,
) {
    let (zero, channels) = (simd.splat_f32s(0.0), tiles.channels);
    for (&tile, z) in some.iter().zip(z.chunks_exact_mut(PLACES * V)) {
        let mut from = [None; 4];
        for (place, from) in from.iter_mut().enumerate() {
            *from = tiles.makes(tile, place);
        }
        for vector in 0..V {
            let mut columns = [[zero; 4]; 2];
            for x in 0..2 {
                let mut own = [zero; 2];
                for y in 0..2 {
                    if let Some(pixel) = from[2 * y + x] {
                        own[y] = dz[pixel * across + vector];
                    }
                }
                columns[x] = a(simd, own);
            }
            for y in 0..4 {
                let row = a(simd, [columns[0][y], columns[1][y]]);
                for x in 0..4 {
                    z[(4 * y + x) * V + vector] = row[x];
                }
            }
        }
    }
    for place in 0..PLACES {
        let m = &mut m[place * channels * V..][..channels * V];
        let (v, z) = (&v[place * channels..], &z[place * V..]);
        met::<S, V>(simd, v, (z, PLACES * V), pixels, &[some.len()], channels, m, V);
    }
}

/// The gradients by some vectors of columns of the weights, with which `dw` begins.
#[inline(always)]
fn gradients<S: Simd>(simd: S, m: &[S::f32s], vectors: usize, dw: &mut [S::f32s], across: usize) {
    let terms = m.len() / PLACES;
    let channels = terms / vectors;
    for term in 0..terms {
        let mut columns = [[simd.splat_f32s(0.0); 3]; 4];
        for x in 0..4 {
            let own = |y: usize| m[(4 * y + x) * terms + term];
            columns[x] = gt(simd, [own(0), own(1), own(2), own(3)]);
        }
        for y in 0..3 {
            let row = gt(simd, [columns[0][y], columns[1][y], columns[2][y], columns[3][y]]);
            for x in 0..3 {
                dw[((3 * y + x) * channels + term / vectors) * across + term % vectors] = row[x];
            }
        }
    }
}
