//! Images of a batch in other colours, and with a rectangle blanked.

use std::ops::Range;

use super::gather::BY_CHANNEL;
use super::{Scale, shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Fill, Io, Kernel, Routine, Shader, Tolerance, Work};

/// Images of a batch, made numbers by a [`Scale`].
#[derive(Clone, Debug, PartialEq)]
pub struct TintShape {
    /// Rows of the batch.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Values of a pixel.
    pub channels: usize,
    /// How bytes became numbers.
    pub scale: Scale,
}

impl Constants for TintShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let TintShape { batch, height, width, channels, scale } = self;
        let sizes = [("batch", batch), ("height", height), ("width", width), ("channels", channels)];
        sizes.into_iter().map(|(name, &size)| (name, size as f64)).chain(scale.constants()).collect()
    }
}

impl TintShape {
    fn pixels(&self) -> usize {
        self.height * self.width * self.channels
    }

    fn values(&self) -> usize {
        self.batch * self.pixels()
    }
}

type A = Arg<TintShape>;

/// See `shaders/tint.wgsl`.
pub struct Tint;

impl Kernel for Tint {
    type Shape = TintShape;
    const NAME: &'static str = "tint";
    const ARGS: &'static [A] = &[
        A::read("x", TintShape::values).fill(Fill::Uniform(-1.0, 1.5)).stored().local(),
        A::read("colours", |s| 12 * s.batch).fill(Fill::Uniform(-0.5, 1.5)).local(),
        A::read("blanks", |s| 4 * s.batch).fill(Fill::Uniform(-2.0, 9.0)).local(),
        A::write("y", TintShape::values).stored(),
    ];
    const SHADERS: &'static [Shader<TintShape>] =
        &[shader!("tint", ["scaled"], |s| threads(s.batch * s.height * s.width))];
    const ROUTINES: &'static [Routine<TintShape>] = &[];

    fn rows(s: &TintShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &TintShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, colours, blanks, y) = (io.read("x"), io.read("colours"), io.read("blanks"), io.write("y"));
        let (scaled, unscaled) = (s.scale.scaled(), s.scale.unscaled());
        let most = R::of(255.0);
        let cut = |byte: R| if byte < most { byte.max(R::default()) } else { most };
        for (n, y) in batch.zip(y.chunks_mut(s.pixels())) {
            let (colours, blank) = (&colours[12 * n..][..12], &blanks[4 * n..][..4]);
            let x = &x[n * s.pixels()..][..s.pixels()];
            for (place, (x, y)) in x.chunks(s.channels).zip(y.chunks_mut(s.channels)).enumerate() {
                let [column, row] = [place % s.width, place / s.width].map(|at| R::of(at as f64));
                if blank[0] <= column && column < blank[2] && blank[1] <= row && row < blank[3] {
                    y.fill(R::default());
                    continue;
                }
                if let [red, green, blue] = *x {
                    let bytes = [unscaled(red, 0), unscaled(green, 1), unscaled(blue, 2)];
                    for ((channel, y), row) in y.iter_mut().enumerate().zip(colours.chunks(4)) {
                        let sum = row[3] + row[0] * bytes[0] + row[1] * bytes[1] + row[2] * bytes[2];
                        *y = scaled(cut(sum), channel);
                    }
                } else {
                    for ((channel, y), &x) in y.iter_mut().enumerate().zip(x) {
                        let sum = colours[3] + (colours[0] + colours[1] + colours[2]) * unscaled(x, channel);
                        *y = scaled(cut(sum), channel);
                    }
                }
            }
        }
    }

    fn cases() -> Vec<TintShape> {
        let shape =
            |batch, [height, width, channels]: [usize; 3], scale| TintShape { batch, height, width, channels, scale };
        vec![
            shape(1, [1, 1, 1], Scale::by(1.0)),
            shape(5, [9, 6, 3], BY_CHANNEL),
            shape(33, [8, 7, 1], Scale::by(1.0 / 256.0)),
            shape(33, [7, 8, 3], Scale::by(1.0 / 255.0)),
            shape(2, [3, 4, 5], Scale::by(1.0 / 128.0)),
        ]
    }

    fn work(s: &TintShape) -> Work {
        let values = s.values() as u64;
        Work { flops: 12 * values, bytes: 8 * values + 64 * s.batch as u64 }
    }

    fn tolerance(s: &TintShape) -> Tolerance {
        let reason = "sums are of bytes, whose rounding is as large beside the numbers as the mean that is taken away";
        let means = s.scale.mean.iter().zip(s.scale.factor).map(|(mean, factor)| (mean * factor).abs());
        Tolerance::widened(4, 2.0 * (1.0 + f64::from(means.fold(0.0, f32::max))), reason)
    }
}
