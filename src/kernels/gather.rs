//! A batch of images taken from the data set on the device, as they are or moved and bent.

use std::ops::Range;

use super::{hash, shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work};

/// Channels that have numbers of their own in a [`Scale`].
pub const SCALED: usize = 4;

/// How bytes become numbers: `(byte - mean) · factor`, by channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Taken away from the bytes of each channel. Of more than [`SCALED`] channels all have the first.
    pub mean: [f32; SCALED],
    /// Factor on what is left: 1/255, or 1/256 as in the notebook.
    pub factor: [f32; SCALED],
}

impl Scale {
    /// A factor alone, the same for all channels.
    pub fn by(factor: f32) -> Scale {
        Scale { mean: [0.0; SCALED], factor: [factor; SCALED] }
    }

    /// Makes the number that a byte of a channel is, or what lies between such bytes.
    #[inline(always)]
    pub(super) fn scaled<R: Real>(&self) -> impl Fn(R, usize) -> R + use<R> {
        let [mean, factor] = [self.mean, self.factor].map(|of| of.map(|value| R::of(f64::from(value))));
        move |byte, channel| (byte - mean[channel % SCALED]) * factor[channel % SCALED]
    }

    /// What [`Scale::scaled`] made a number of.
    #[inline(always)]
    pub(super) fn unscaled<R: Real>(&self) -> impl Fn(R, usize) -> R + use<R> {
        let [mean, factor] = [self.mean, self.factor].map(|of| of.map(|value| R::of(f64::from(value))));
        move |value, channel| value / factor[channel % SCALED] + mean[channel % SCALED]
    }

    pub(super) fn constants(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let means = ["mean_0", "mean_1", "mean_2", "mean_3"].into_iter().zip(self.mean.map(f64::from));
        means.chain(["factor_0", "factor_1", "factor_2", "factor_3"].into_iter().zip(self.factor.map(f64::from)))
    }
}

/// Images of `pixels` bytes each, `batch` of them taken by number and made real numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct GatherShape {
    /// Images of the data set.
    pub images: usize,
    /// Rows of the batch.
    pub batch: usize,
    /// Bytes of an image: height × width × channels.
    pub pixels: usize,
    /// Values of a pixel.
    pub channels: usize,
    /// How bytes become numbers.
    pub scale: Scale,
}

impl Constants for GatherShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let GatherShape { images, batch, pixels, channels, scale } = self;
        let sizes = [("images", images), ("batch", batch), ("pixels", pixels), ("channels", channels)];
        sizes.into_iter().map(|(name, &size)| (name, size as f64)).chain(scale.constants()).collect()
    }
}

/// Numbers of each channel's own.
pub(super) const BY_CHANNEL: Scale =
    Scale { mean: [123.0, 116.0, 104.0, 0.0], factor: [1.0 / 58.0, 1.0 / 57.0, 1.0 / 56.0, 0.0] };

type GatherArg = Arg<GatherShape>;

/// See `shaders/gather.wgsl`.
pub struct Gather;

impl Kernel for Gather {
    type Shape = GatherShape;
    const NAME: &'static str = "gather";
    const ARGS: &'static [GatherArg] = &[
        GatherArg::read("bytes", |s| (s.images * s.pixels).div_ceil(4)).bits(),
        // One number too many: what is out of range must be cut off.
        GatherArg::read("rows", |s| s.batch).below(|s| s.images as u32 + 1).local(),
        GatherArg::write("x", |s| s.batch * s.pixels).stored(),
    ];
    const SHADERS: &'static [Shader<GatherShape>] = &[
        shader!("gather", ["scaled"], |s| threads(s.batch * s.pixels)),
        shader!("gather.vec4", ["scaled"], |s| threads(s.batch * s.pixels / 4), Needs::Nothing, |s| s
            .pixels
            .is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<GatherShape>] = &[];

    fn rows(s: &GatherShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &GatherShape, batch: Range<usize>, io: &mut Io<R>) {
        let (bytes, rows, x) = (io.read_uint("bytes"), io.read_uint("rows"), io.write("x"));
        let scaled = s.scale.scaled();
        for (n, x) in batch.zip(x.chunks_mut(s.pixels)) {
            let row = (rows[n] as usize).min(s.images - 1);
            for ((p, x), channel) in x.iter_mut().enumerate().zip((0..s.channels).cycle()) {
                let byte = row * s.pixels + p;
                *x = scaled(R::of(f64::from(bytes[byte / 4] >> (8 * (byte % 4)) & 0xff)), channel);
            }
        }
    }

    fn cases() -> Vec<GatherShape> {
        let shape = |images, batch, pixels, channels, scale| GatherShape { images, batch, pixels, channels, scale };
        vec![
            shape(1, 1, 1, 1, Scale::by(1.0)),
            shape(7, 5, 9, 3, BY_CHANNEL),
            shape(100, 33, 28 * 28, 1, Scale::by(1.0 / 256.0)),
            shape(3, 130, 5 * 4 * 3, 3, BY_CHANNEL),
            // More channels than have numbers of their own.
            shape(3, 2, 2 * 2 * 5, 5, Scale { mean: [127.5; SCALED], factor: [1.0 / 128.0; SCALED] }),
        ]
    }

    fn work(s: &GatherShape) -> Work {
        let values = (s.batch * s.pixels) as u64;
        Work { flops: values, bytes: 5 * values + 4 * s.batch as u64 }
    }

    fn tolerance(_: &GatherShape) -> Tolerance {
        Tolerance::sum(2)
    }
}

/// Images as for [`GatherShape`], sampled at places of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct WarpShape {
    /// Images of the data set.
    pub images: usize,
    /// Rows of the batch.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Values of a pixel.
    pub channels: usize,
    /// How bytes become numbers; outside of an image they are 0.
    pub scale: Scale,
    /// Largest displacement of a control point of the elastic distortion, in pixels, to each side; 0: none.
    pub elastic: f32,
}

impl Constants for WarpShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let WarpShape { images, batch, height, width, channels, scale, elastic } = self;
        let sizes =
            [("images", images), ("batch", batch), ("height", height), ("width", width), ("channels", channels)];
        let sizes = sizes.into_iter().map(|(name, &size)| (name, size as f64));
        sizes.chain(scale.constants()).chain([("elastic", f64::from(*elastic))]).collect()
    }
}

impl WarpShape {
    fn pixels(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Pixels between the control points of the elastic distortion.
    fn spacing(&self) -> f64 {
        self.height.min(self.width) as f64 / 4.0
    }
}

/// Two displacements of [-1, 1) by 16 bits each, from the key of a row and a control point.
fn displacement(key: u32, x: u32, y: u32) -> [f64; 2] {
    let bits = hash(key ^ (y << 16 | x).wrapping_mul(0x9e37_79b9));
    [bits & 0xffff, bits >> 16].map(|bits| f64::from(bits) / 32768.0 - 1.0)
}

/// Weights of the four control points around a place that lies `t` behind the second.
fn spline<R: Real>(t: R) -> [R; 4] {
    let [one, three, four, six] = [1.0, 3.0, 4.0, 6.0].map(R::of);
    let left = one - t;
    [
        left * left * left / six,
        (three * t * t * t - six * t * t + four) / six,
        (three * left * left * left - six * left * left + four) / six,
        t * t * t / six,
    ]
}

type WarpArg = Arg<WarpShape>;

/// See `shaders/warp.wgsl`.
pub struct Warp;

impl Kernel for Warp {
    type Shape = WarpShape;
    const NAME: &'static str = "warp";
    const ARGS: &'static [WarpArg] = &[
        WarpArg::read("bytes", |s| (s.images * s.pixels()).div_ceil(4)).bits(),
        // One number too many: what is out of range must be cut off.
        WarpArg::read("rows", |s| s.batch).below(|s| s.images as u32 + 1).local(),
        WarpArg::read("maps", |s| 6 * s.batch).fill(Fill::Uniform(-1.5, 1.5)).local(),
        WarpArg::read("keys", |s| s.batch).bits().local(),
        WarpArg::write("x", |s| s.batch * s.pixels()).stored(),
    ];
    const SHADERS: &'static [Shader<WarpShape>] =
        &[shader!("warp", ["scaled", "hash"], |s| threads(s.batch * s.height * s.width))];
    const ROUTINES: &'static [Routine<WarpShape>] = &[];

    fn rows(s: &WarpShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &WarpShape, batch: Range<usize>, io: &mut Io<R>) {
        let (bytes, rows) = (io.read_uint("bytes"), io.read_uint("rows"));
        let (maps, keys, x) = (io.read("maps"), io.read_uint("keys"), io.write("x"));
        let [centre_x, centre_y] = [s.width, s.height].map(|side| R::of((side - 1) as f64 / 2.0));
        let whole = |value: R| value.f64().floor();
        let scaled = s.scale.scaled();
        for (n, out) in batch.zip(x.chunks_mut(s.pixels())) {
            let image = (rows[n] as usize).min(s.images - 1) * s.pixels();
            let pixel = |x: f64, y: f64, channel: usize| {
                if x < 0.0 || y < 0.0 || x >= s.width as f64 || y >= s.height as f64 {
                    return R::default();
                }
                let byte = image + (y as usize * s.width + x as usize) * s.channels + channel;
                R::of(f64::from(bytes[byte / 4] >> (8 * (byte % 4)) & 0xff))
            };
            let map = &maps[6 * n..][..6];
            for (place, out) in out.chunks_mut(s.channels).enumerate() {
                let (column, row) = (place % s.width, place / s.width);
                let [u, v] = [R::of(column as f64) - centre_x, R::of(row as f64) - centre_y];
                let mut from_x = map[0] * u + map[1] * v + map[2] + centre_x;
                let mut from_y = map[3] * u + map[4] * v + map[5] + centre_y;
                if s.elastic > 0.0 {
                    let [at_x, at_y] = [column, row].map(|at| R::of(at as f64 / s.spacing()));
                    let [weights_x, weights_y] = [at_x, at_y].map(|at| spline(at - R::of(whole(at))));
                    for (j, &weight_y) in weights_y.iter().enumerate() {
                        for (i, &weight_x) in weights_x.iter().enumerate() {
                            let (point_x, point_y) = (whole(at_x) as u32 + i as u32, whole(at_y) as u32 + j as u32);
                            let [dx, dy] = displacement(keys[n], point_x, point_y);
                            let weight = R::of(f64::from(s.elastic)) * weight_x * weight_y;
                            from_x += weight * R::of(dx);
                            from_y += weight * R::of(dy);
                        }
                    }
                }
                let (left, top) = (whole(from_x), whole(from_y));
                let (right_share, low_share) = (from_x - R::of(left), from_y - R::of(top));
                let (left_share, top_share) = (R::of(1.0) - right_share, R::of(1.0) - low_share);
                for (channel, out) in out.iter_mut().enumerate() {
                    let upper = left_share * pixel(left, top, channel) + right_share * pixel(left + 1.0, top, channel);
                    let lower = left_share * pixel(left, top + 1.0, channel)
                        + right_share * pixel(left + 1.0, top + 1.0, channel);
                    *out = scaled(top_share * upper + low_share * lower, channel);
                }
            }
        }
    }

    fn cases() -> Vec<WarpShape> {
        let shape = |images, batch, [height, width, channels]: [usize; 3], elastic| {
            let scale = if channels == 3 { BY_CHANNEL } else { Scale::by(1.0 / 255.0) };
            WarpShape { images, batch, height, width, channels, scale, elastic }
        };
        vec![
            shape(1, 1, [4, 4, 1], 0.0),
            shape(7, 5, [9, 6, 3], 2.0),
            shape(50, 33, [28, 28, 1], 0.0),
            shape(50, 33, [28, 28, 1], 5.0),
            shape(3, 3, [8, 31, 1], 1.0),
        ]
    }

    fn work(s: &WarpShape) -> Work {
        let values = (s.batch * s.pixels()) as u64;
        let places = (s.batch * s.height * s.width) as u64;
        let elastic = if s.elastic > 0.0 { 100 } else { 0 };
        Work { flops: 8 * values + (8 + elastic) * places, bytes: 5 * values + 32 * s.batch as u64 }
    }

    fn tolerance(s: &WarpShape) -> Tolerance {
        let reason = "a place is rounded at the image's size, and moves the value by the contrast of its neighbours";
        Tolerance::widened(4, (s.height + s.width) as f64, reason)
    }
}
