//! How a convolution or its gradient by input walks over images: which runs of neighbouring values of an image make
//! which pixel. Taps that look outside the image are left out, so that images need no border.

use crate::kernels::Window;

/// What one coordinate of a pixel is made of along its axis: so many neighbouring coordinates of the image from `first`
/// on, under as many taps from the one of rank `rank` on.
#[derive(Clone, Copy)]
struct Span {
    first: usize,
    rank: usize,
    count: usize,
}

/// One axis of a walk.
struct Axis {
    /// The taps by rank: in such an order that neighbours in the image have neighbouring ranks.
    taps: Vec<usize>,
    /// For each coordinate of the pixels made.
    spans: Vec<Span>,
}

impl Axis {
    /// From inputs to outputs.
    fn forward(kernel: usize, stride: usize, pad: usize, inputs: usize, outputs: usize) -> Axis {
        let span = |o: usize| {
            let (rank, end) = (pad.saturating_sub(o * stride), (inputs + pad).saturating_sub(o * stride).min(kernel));
            if rank < end {
                Span { first: o * stride + rank - pad, rank, count: end - rank }
            } else {
                Span { first: 0, rank: 0, count: 0 }
            }
        };
        Axis { taps: (0..kernel).collect(), spans: (0..outputs).map(span).collect() }
    }

    /// From the gradients of outputs to those of inputs. Input `i` reached output `o` under tap `i + pad - o*stride`:
    /// those taps that leave the same remainder by the stride, in descending order.
    fn backward(kernel: usize, stride: usize, pad: usize, inputs: usize, outputs: usize) -> Axis {
        let of_phase = |phase: usize| (phase..kernel).step_by(stride);
        let mut taps = Vec::new();
        let starts: Vec<usize> = (0..stride)
            .map(|phase| {
                taps.extend(of_phase(phase).rev());
                taps.len() - of_phase(phase).len()
            })
            .collect();
        let span = |i: usize| {
            let (phase, quotient) = ((i + pad) % stride, (i + pad) / stride);
            // Of the phase's taps in ascending order, those from `least` to before `end` meet an output.
            let end = of_phase(phase).len().min(quotient + 1);
            let least = (quotient + 1).saturating_sub(outputs);
            if least < end {
                let rank = starts[phase] + of_phase(phase).len() - end;
                Span { first: quotient + 1 - end, rank, count: end - least }
            } else {
                Span { first: 0, rank: 0, count: 0 }
            }
        };
        Axis { spans: (0..inputs).map(span).collect(), taps }
    }

    /// The coordinates that lie under the same taps: rank and number of those, and the coordinates.
    fn classes(&self) -> Vec<(usize, usize, Vec<usize>)> {
        let mut classes: Vec<(usize, usize, Vec<usize>)> = Vec::new();
        for (place, span) in self.spans.iter().enumerate() {
            match classes.iter_mut().find(|class| (class.0, class.1) == (span.rank, span.count)) {
                Some(class) => class.2.push(place),
                None => classes.push((span.rank, span.count, vec![place])),
            }
        }
        classes
    }
}

/// Where a pixel's values begin in the images, and its number.
#[derive(Clone, Copy)]
pub(crate) struct Pixel {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// Neighbouring values of the images under neighbouring weights.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    /// Where they begin, counted from where the pixel's begin.
    pub(crate) offset: usize,
    /// Row of the first one's weights.
    pub(crate) row: usize,
}

/// Pixels that are made in the same way.
pub(crate) struct Class {
    pub(crate) pixels: Vec<Pixel>,
    pub(crate) runs: Vec<Run>,
    /// Values of a run.
    pub(crate) length: usize,
}

/// A walk over images.
pub(crate) struct Walk {
    y: Axis,
    x: Axis,
    /// Columns of an image.
    width: usize,
    /// Channels of an image.
    channels: usize,
    /// Values of an image.
    pub(crate) image: usize,
    /// Channels of the pixels made.
    pub(crate) columns: usize,
    /// Pixels made of an image.
    pub(crate) pixels: usize,
    /// Whether it goes from outputs to inputs.
    is_backward: bool,
}

impl Walk {
    /// From the inputs of a window to its outputs.
    pub(crate) fn forward(window: &Window) -> Walk {
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, stride, .. } = *window;
        Walk {
            y: Axis::forward(window.kernel_height, stride, window.pad_y, in_height, out_height),
            x: Axis::forward(window.kernel_width, stride, window.pad_x, in_width, out_width),
            width: in_width,
            channels: in_channels,
            image: in_height * in_width * in_channels,
            columns: out_channels,
            pixels: out_height * out_width,
            is_backward: false,
        }
    }

    /// From the gradients of a window's outputs to those of its inputs.
    pub(crate) fn backward(window: &Window) -> Walk {
        let Window { in_height, in_width, in_channels, out_height, out_width, out_channels, stride, .. } = *window;
        Walk {
            y: Axis::backward(window.kernel_height, stride, window.pad_y, in_height, out_height),
            x: Axis::backward(window.kernel_width, stride, window.pad_x, in_width, out_width),
            width: out_width,
            channels: out_channels,
            image: out_height * out_width * out_channels,
            columns: in_channels,
            pixels: in_height * in_width,
            is_backward: true,
        }
    }

    /// Terms of a pixel.
    pub(crate) fn terms(&self) -> usize {
        self.y.taps.len() * self.x.taps.len() * self.channels
    }

    /// Whether the weights as they are stored are rows of terms, each with all columns.
    pub(crate) fn has_rows(&self) -> bool {
        !self.is_backward
    }

    /// The pixels of so many images, by what they are made of.
    pub(crate) fn classes(&self, images: usize) -> Vec<Class> {
        let (taps, line) = (self.x.taps.len(), self.width * self.channels);
        let across = self.x.spans.len();
        let (down_classes, across_classes) = (self.y.classes(), self.x.classes());
        let mut classes = Vec::with_capacity(down_classes.len() * across_classes.len());
        for (y_rank, y_count, rows) in &down_classes {
            for (x_rank, x_count, columns) in &across_classes {
                let lines = if *x_count == 0 { 0 } else { *y_count };
                let run = |line_number: usize| Run {
                    offset: line_number * line,
                    row: ((y_rank + line_number) * taps + x_rank) * self.channels,
                };
                let mut pixels = Vec::with_capacity(images * rows.len() * columns.len());
                for image in 0..images {
                    for &row in rows {
                        let start = image * self.image + self.y.spans[row].first * line;
                        for &column in columns {
                            pixels.push(Pixel {
                                from: start + self.x.spans[column].first * self.channels,
                                to: image * self.pixels + row * across + column,
                            });
                        }
                    }
                }
                classes.push(Class { pixels, runs: (0..lines).map(run).collect(), length: x_count * self.channels });
            }
        }
        classes
    }

    /// The weights of `panel.len() / terms` columns from `first` on, term by term.
    pub(crate) fn panel(&self, w: &[f32], first: usize, panel: &mut [f32]) {
        let width = panel.len() / self.terms();
        let (columns, channels) = (self.columns, self.channels);
        let mut taps = panel.chunks_mut(channels * width);
        for &ky in &self.y.taps {
            for (&kx, panel) in self.x.taps.iter().zip(&mut taps) {
                let w = &w[(ky * self.x.taps.len() + kx) * channels * columns..][..channels * columns];
                if !self.is_backward {
                    for (panel, w) in panel.chunks_mut(width).zip(w.chunks(columns)) {
                        panel.copy_from_slice(&w[first..][..width]);
                    }
                    continue;
                }
                // Turned over, some terms at a time, so that both sides stay in the cache.
                for (block, panel) in panel.chunks_mut(16 * width).enumerate() {
                    let terms = panel.len() / width;
                    for column in 0..width {
                        let w = &w[(first + column) * channels + 16 * block..][..terms];
                        for (term, &w) in w.iter().enumerate() {
                            panel[term * width + column] = w;
                        }
                    }
                }
            }
        }
    }
}
