//! An image unfolded into the terms of a convolution, which is a product then, and folded back.

use crate::kernels::Window;

/// Values of an image's row that a row of taps meets: where they begin in the image's row, where in the row of taps,
/// and how many they are.
struct Overlap {
    from: usize,
    to: usize,
    values: usize,
}

impl Window {
    /// Calls `each` for every row of taps of every output pixel: with where the row begins in `[pixels, terms]`, and,
    /// if it meets the image, with where the image's row begins and what they have in common.
    #[inline(always)]
    fn tap_rows(&self, mut each: impl FnMut(usize, Option<(usize, Overlap)>)) {
        let Window { in_height, in_width, in_channels, kernel_height, kernel_width, stride, pad_y, pad_x, .. } = *self;
        for oy in 0..self.out_height {
            for ox in 0..self.out_width {
                // The columns of taps that are inside the image.
                let first = pad_x.saturating_sub(ox * stride);
                let end = (in_width + pad_x).saturating_sub(ox * stride).min(kernel_width);
                for ky in 0..kernel_height {
                    let place = ((oy * self.out_width + ox) * kernel_height + ky) * kernel_width * in_channels;
                    let iy = (oy * stride + ky).checked_sub(pad_y).filter(|&iy| iy < in_height);
                    let overlap = || Overlap {
                        from: (ox * stride + first - pad_x) * in_channels,
                        to: first * in_channels,
                        values: (end - first) * in_channels,
                    };
                    each(place, iy.filter(|_| first < end).map(|iy| (iy * in_width * in_channels, overlap())));
                }
            }
        }
    }

    /// Unfolds an image into the terms of every output pixel, `[pixels, terms]`: the convolution is then a product.
    pub(super) fn unfold(&self, image: &[f32], terms: &mut [f32]) {
        let length = self.kernel_width * self.in_channels;
        self.tap_rows(|place, row| {
            let taps = &mut terms[place..][..length];
            match row {
                Some((start, Overlap { from, to, values })) => {
                    taps[..to].fill(0.0);
                    taps[to..to + values].copy_from_slice(&image[start + from..][..values]);
                    taps[to + values..].fill(0.0);
                }
                None => taps.fill(0.0),
            }
        });
    }

    /// Adds the terms of every output pixel, `[pixels, terms]`, up where they come from in an image.
    pub(super) fn fold(&self, terms: &[f32], image: &mut [f32]) {
        image.fill(0.0);
        self.tap_rows(|place, row| {
            if let Some((start, Overlap { from, to, values })) = row {
                let taps = &terms[place + to..][..values];
                image[start + from..][..values].iter_mut().zip(taps).for_each(|(value, tap)| *value += tap);
            }
        });
    }
}
