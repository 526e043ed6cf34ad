//! Max pooling by windows of two by two.

use std::ops::Range;

use crate::host::vectorised;
use crate::kernel::Io;
use crate::kernels::PoolShape;

/// Channels that a window is compared in at a time: the number of channels is a multiple of this.
pub(crate) const LANES: usize = 16;

/// Windows of two by two, sixteen channels of one at a time, in registers.
pub(crate) fn two_by_two(s: &PoolShape, batch: Range<usize>, io: &mut Io<f32>) {
    let (x, y, argmax) = (io.read("x"), io.write("y"), io.write_uint("argmax"));
    let (row, outputs) = (s.in_width * s.channels, s.out_width * s.channels);
    vectorised(
        #[inline(always)]
        || {
            let rows = y.chunks_mut(outputs).zip(argmax.chunks_mut(outputs)).enumerate();
            for (place, (y, argmax)) in rows {
                let (n, oy) = (batch.start + place / s.out_height, place % s.out_height);
                let x = &x[(n * s.in_height + 2 * oy) * row..][..2 * row];
                let windows = y.chunks_mut(s.channels).zip(argmax.chunks_mut(s.channels)).enumerate();
                for (ox, (y, argmax)) in windows {
                    let corner = 2 * ox * s.channels;
                    let pixels = [0, s.channels, row, row + s.channels].map(|k| &x[corner + k..][..s.channels]);
                    let (y, _) = y.as_chunks_mut::<LANES>();
                    let (argmax, _) = argmax.as_chunks_mut::<LANES>();
                    for (first, (y, argmax)) in y.iter_mut().zip(argmax).enumerate() {
                        let lanes = pixels.map(|pixel| -> &[f32; LANES] {
                            pixel[first * LANES..][..LANES].try_into().expect("as many")
                        });
                        let (mut largest, mut at) = (*lanes[0], [0; LANES]);
                        for (k, values) in lanes.into_iter().enumerate().skip(1) {
                            for lane in 0..LANES {
                                let is_larger = values[lane] > largest[lane];
                                at[lane] = if is_larger { k as u32 } else { at[lane] };
                                largest[lane] = if is_larger { values[lane] } else { largest[lane] };
                            }
                        }
                        (*y, *argmax) = (largest, at);
                    }
                }
            }
        },
    );
}
