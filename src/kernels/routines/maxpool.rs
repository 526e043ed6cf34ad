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

/// The gradient by the inputs: each pixel is written once, the four of a window side by side.
pub(crate) fn two_by_two_dx(s: &PoolShape, batch: Range<usize>, io: &mut Io<f32>) {
    let (dy, argmax, dx) = (io.read("dy"), io.read_uint("argmax"), io.write("dx"));
    let (row, outputs) = (s.in_width * s.channels, s.out_width * s.channels);
    let image = s.in_height * row;
    vectorised(
        #[inline(always)]
        || {
            for (n, dx) in batch.zip(dx.chunks_mut(image)) {
                for (oy, rows) in dx.chunks_mut(2 * row).enumerate() {
                    if oy == s.out_height {
                        // The last row of an odd number is in no window.
                        rows.fill(0.0);
                        continue;
                    }
                    let from = (n * s.out_height + oy) * outputs;
                    let windows = dy[from..][..outputs].chunks(s.channels).zip(argmax[from..].chunks(s.channels));
                    for (ox, (dy, argmax)) in windows.enumerate() {
                        let ((dy, _), (argmax, _)) = (dy.as_chunks::<LANES>(), argmax.as_chunks::<LANES>());
                        for (first, (dy, argmax)) in dy.iter().zip(argmax).enumerate() {
                            let corner = 2 * ox * s.channels + first * LANES;
                            for (k, place) in [0, s.channels, row, row + s.channels].into_iter().enumerate() {
                                let mut pixel = [0.0; LANES];
                                for lane in 0..LANES {
                                    pixel[lane] = if argmax[lane] == k as u32 { dy[lane] } else { 0.0 };
                                }
                                rows[corner + place..][..LANES].copy_from_slice(&pixel);
                            }
                        }
                    }
                    for row in rows.chunks_mut(row) {
                        row[2 * outputs..].fill(0.0);
                    }
                }
            }
        },
    );
}
