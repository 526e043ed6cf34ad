//! Images beside their mirror images.

use std::ops::Range;

use super::{shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Io, Kernel, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// Images to be mirrored left to right.
    pub struct MirrorShape {
        /// Images.
        batch: usize,
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
        /// Values of a pixel.
        channels: usize,
    }
}

impl MirrorShape {
    fn values(&self) -> usize {
        self.batch * self.height * self.width * self.channels
    }
}

type A = Arg<MirrorShape>;

/// See `shaders/mirror.wgsl`.
pub struct Mirror;

impl Kernel for Mirror {
    type Shape = MirrorShape;
    const NAME: &'static str = "mirror";
    const ARGS: &'static [A] =
        &[A::read("x", MirrorShape::values).stored().local(), A::write("y", |s| 2 * s.values()).stored()];
    const SHADERS: &'static [Shader<MirrorShape>] = &[shader!("mirror", [], |s| threads(2 * s.values()))];
    const ROUTINES: &'static [Routine<MirrorShape>] = &[];

    fn rows(s: &MirrorShape) -> usize {
        s.batch
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MirrorShape, batch: Range<usize>, io: &mut Io<R>) {
        let (x, y) = (io.read("x"), io.write("y"));
        let (line, image) = (s.width * s.channels, s.height * s.width * s.channels);
        for (n, y) in batch.zip(y.chunks_mut(2 * image)) {
            let x = &x[n * image..][..image];
            let (same, mirrored) = y.split_at_mut(image);
            same.copy_from_slice(x);
            for (y, x) in mirrored.chunks_mut(line).zip(x.chunks(line)) {
                y.chunks_mut(s.channels).rev().zip(x.chunks(s.channels)).for_each(|(y, x)| y.copy_from_slice(x));
            }
        }
    }

    fn cases() -> Vec<MirrorShape> {
        [(1, 1, 1, 1), (3, 5, 4, 3), (2, 7, 9, 1), (33, 2, 31, 2)]
            .into_iter()
            .map(|(batch, height, width, channels)| MirrorShape { batch, height, width, channels })
            .collect()
    }

    fn work(s: &MirrorShape) -> Work {
        Work { flops: 0, bytes: 12 * s.values() as u64 }
    }

    fn tolerance(_: &MirrorShape) -> Tolerance {
        Tolerance::sum(1)
    }
}
