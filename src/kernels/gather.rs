//! A batch of images taken from the data set on the device.

use std::ops::Range;

use super::{read_uint, shader, threads, write};
use crate::host::{Io, Real};
use crate::kernel::{Arg, Fill, Kernel, Shader, Tolerance, Work, shape};

shape! {
    /// Images of `pixels` bytes each, `batch` of them taken by number and scaled to real numbers.
    pub struct GatherShape {
        /// Images of the data set.
        images: usize,
        /// Rows of the batch.
        batch: usize,
        /// Bytes of an image: height × width × channels.
        pixels: usize,
        /// Factor on the bytes: 1/255, or 1/256 as in the notebook.
        scale: f32,
    }
}

/// See `shaders/gather.wgsl`.
pub struct Gather;

impl Kernel for Gather {
    type Shape = GatherShape;
    const NAME: &'static str = "gather";
    const ARGS: &'static [Arg<GatherShape>] = &[
        read_uint("bytes", |s| (s.images * s.pixels).div_ceil(4), Fill::Bits),
        // One number too many: what is out of range must be cut off.
        read_uint("rows", |s| s.batch, Fill::Below(|s| s.images as u32 + 1)),
        write("x", |s| s.batch * s.pixels),
    ];
    const SHADERS: &'static [Shader<GatherShape>] = &[shader!("gather", [], |s| threads(s.batch * s.pixels))];

    fn rows(s: &GatherShape) -> usize {
        s.batch
    }

    fn reference<R: Real>(s: &GatherShape, batch: Range<usize>, io: &mut Io<R>) {
        let (bytes, rows, x) = (io.read_uint("bytes"), io.read_uint("rows"), io.write("x"));
        for (n, x) in batch.zip(x.chunks_mut(s.pixels)) {
            let row = (rows[n] as usize).min(s.images - 1);
            for (p, x) in x.iter_mut().enumerate() {
                let byte = row * s.pixels + p;
                *x = R::of(f64::from(s.scale)) * R::of(f64::from(bytes[byte / 4] >> (8 * (byte % 4)) & 0xff));
            }
        }
    }

    fn cases() -> Vec<GatherShape> {
        vec![
            GatherShape { images: 1, batch: 1, pixels: 1, scale: 1.0 },
            GatherShape { images: 7, batch: 5, pixels: 9, scale: 1.0 / 255.0 },
            GatherShape { images: 100, batch: 33, pixels: 28 * 28, scale: 1.0 / 256.0 },
            GatherShape { images: 3, batch: 130, pixels: 5 * 4 * 3, scale: 1.0 / 255.0 },
        ]
    }

    fn work(s: &GatherShape) -> Work {
        let values = (s.batch * s.pixels) as u64;
        Work { flops: values, bytes: 5 * values + 4 * s.batch as u64 }
    }

    fn tolerance(_: &GatherShape) -> Tolerance {
        Tolerance::sum(1)
    }
}
