//! The geometry of convolutions.

use crate::kernel::{Work, shape};

shape! {
    /// How a convolution slides over its images: the geometry that forward pass and gradients share.
    pub struct Window {
        /// Images.
        batch: usize,
        /// Rows of an input image.
        in_height: usize,
        /// Columns of an input image.
        in_width: usize,
        /// Channels of an input image.
        in_channels: usize,
        /// Rows of an output image.
        out_height: usize,
        /// Columns of an output image.
        out_width: usize,
        /// Channels of an output image.
        out_channels: usize,
        /// Rows and columns of the kernel, odd.
        kernel: usize,
        /// Step between neighbouring outputs.
        stride: usize,
        /// Zeros on each side of the input.
        pad: usize,
    }
}

impl Window {
    /// The window over `[batch, height, width, channels]`, with PyTorch's output sizes: `same` pads `(kernel - 1)/2`
    /// zeros on every side, otherwise (valid) none. `None` if the kernel is larger than the padded image.
    pub fn new(
        [batch, in_height, in_width, in_channels]: [usize; 4],
        out_channels: usize,
        kernel: usize,
        stride: usize,
        same: bool,
    ) -> Option<Self> {
        let pad = if same { (kernel - 1) / 2 } else { 0 };
        let out = |size: usize| Some((size + 2 * pad).checked_sub(kernel)? / stride + 1);
        let (out_height, out_width) = (out(in_height)?, out(in_width)?);
        Some(Window {
            batch,
            in_height,
            in_width,
            in_channels,
            out_height,
            out_width,
            out_channels,
            kernel,
            stride,
            pad,
        })
    }

    /// Elements of the input.
    pub fn inputs(&self) -> usize {
        self.batch * self.in_height * self.in_width * self.in_channels
    }

    /// Elements of the output.
    pub fn outputs(&self) -> usize {
        self.batch * self.out_height * self.out_width * self.out_channels
    }

    /// Elements of the weights, `[kernel, kernel, in_channels, out_channels]`.
    pub fn weights(&self) -> usize {
        self.kernel * self.kernel * self.in_channels * self.out_channels
    }

    /// Terms of one output: taps × input channels.
    pub fn terms(&self) -> usize {
        self.kernel * self.kernel * self.in_channels
    }

    /// Pixels of an output image.
    pub(super) fn pixels(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Values of an input and of an output image.
    pub(super) fn image_sizes(&self) -> (usize, usize) {
        (self.in_height * self.in_width * self.in_channels, self.pixels() * self.out_channels)
    }

    pub(super) fn work(&self) -> Work {
        let products = self.outputs() * self.terms();
        Work { flops: 2 * products as u64, bytes: 4 * (self.inputs() + self.outputs() + self.weights()) as u64 }
    }

    /// Pairs of (output coordinate, input coordinate) along one axis that tap `k` connects.
    pub(super) fn tap(
        &self,
        k: usize,
        out_size: usize,
        in_size: usize,
    ) -> impl Iterator<Item = (usize, usize)> + Clone {
        let (stride, pad) = (self.stride, self.pad);
        (0..out_size).filter_map(move |o| {
            let i = (o * stride + k).checked_sub(pad)?;
            (i < in_size).then_some((o, i))
        })
    }

    /// Whether an output image has few pixels and the weights are many, so that one image by itself uses each weight too
    /// seldom for the time that it takes to come.
    pub(super) fn is_deep(&self) -> bool {
        self.pixels() <= 32 && self.weights() >= 1 << 17
    }

    pub(super) fn awkward() -> Vec<Window> {
        let window = |dims, out, kernel, stride, same| Window::new(dims, out, kernel, stride, same).unwrap();
        vec![
            window([1, 1, 1, 1], 1, 1, 1, true),
            window([2, 5, 7, 3], 5, 3, 1, true),
            window([3, 9, 6, 2], 4, 5, 2, true),
            window([2, 8, 11, 1], 6, 3, 3, false),
            window([1, 7, 7, 5], 3, 7, 1, false),
            window([5, 14, 10, 1], 32, 3, 1, true),
            window([7, 6, 5, 32], 64, 3, 1, true),
            window([3, 9, 9, 36], 68, 3, 2, true),
            window([2, 6, 7, 3], 32, 5, 1, true),
            window([3, 7, 19, 1], 16, 5, 1, false),
            window([9, 5, 5, 8], 12, 3, 1, false),
            window([3, 9, 12, 16], 32, 5, 1, false),
            window([3, 2, 3, 128], 132, 3, 1, true),
        ]
    }
}
