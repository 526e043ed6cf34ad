//! The geometry of convolutions.

use super::by_fours;
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
        /// Rows of the kernel.
        kernel_height: usize,
        /// Columns of the kernel.
        kernel_width: usize,
        /// Step between neighbouring outputs.
        stride: usize,
        /// Rows of zeros above and below the input.
        pad_y: usize,
        /// Columns of zeros left and right of the input.
        pad_x: usize,
        /// Groups that the channels are dealt to, in order: the outputs of each see its inputs alone.
        groups: usize,
    }
}

/// What a convolution is but for its channels and its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taps {
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Step between neighbouring outputs.
    pub stride: usize,
    /// Zeros on each side of the input, above and below, left and right.
    pub pad: [usize; 2],
    /// Groups that the channels are dealt to.
    pub groups: usize,
}

impl Taps {
    /// A square kernel in one group, padded with `(kernel - 1)/2` zeros on every side (same) or with none (valid).
    pub fn square(kernel: usize, stride: usize, same: bool) -> Taps {
        let pad = if same { (kernel - 1) / 2 } else { 0 };
        Taps { kernel: [kernel; 2], stride, pad: [pad; 2], groups: 1 }
    }
}

/// Outputs along an axis of `size` inputs, by PyTorch's rule; `None` if the kernel is larger than the padded axis.
pub(super) fn outputs(size: usize, kernel: usize, stride: usize, pad: usize) -> Option<usize> {
    Some((size + 2 * pad).checked_sub(kernel)? / stride + 1)
}

impl Window {
    /// The window over `[batch, height, width, channels]`, with PyTorch's output sizes. `None` if the kernel is larger
    /// than the padded image.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    pub fn new(
        [batch, in_height, in_width, in_channels]: [usize; 4],
        out_channels: usize,
        taps: &Taps,
    ) -> Option<Self> {
        let Taps { kernel: [kernel_height, kernel_width], stride, pad: [pad_y, pad_x], groups } = *taps;
        let divides = in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups);
        assert!(divides, "{groups} groups of {in_channels} and {out_channels} channels");
        Some(Window {
            batch,
            in_height,
            in_width,
            in_channels,
            out_height: outputs(in_height, kernel_height, stride, pad_y)?,
            out_width: outputs(in_width, kernel_width, stride, pad_x)?,
            out_channels,
            kernel_height,
            kernel_width,
            stride,
            pad_y,
            pad_x,
            groups,
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

    /// Elements of the weights, `[kernel_height, kernel_width, in_channels/groups, out_channels]`.
    pub fn weights(&self) -> usize {
        self.terms() * self.out_channels
    }

    /// Terms of one output: taps × input channels of a group.
    pub fn terms(&self) -> usize {
        self.taps() * self.group().0
    }

    /// Input and output channels of a group.
    pub(super) fn group(&self) -> (usize, usize) {
        (self.in_channels / self.groups, self.out_channels / self.groups)
    }

    /// Pixels of the kernel.
    pub(super) fn taps(&self) -> usize {
        self.kernel_height * self.kernel_width
    }

    /// Whether each output channel sees one input channel, its own.
    pub(super) fn is_depthwise(&self) -> bool {
        self.group() == (1, 1)
    }

    /// Whether it is [depthwise](Self::is_depthwise), and channels can be taken four at a time.
    pub(super) fn is_depthwise_by_fours(&self) -> bool {
        self.is_depthwise() && self.out_channels.is_multiple_of(4)
    }

    /// Whether it has one group of channels that can be taken four at a time.
    pub(super) fn by_fours(&self) -> bool {
        self.groups == 1 && by_fours(self.in_channels, self.out_channels)
    }

    /// Whether a word holds a bit for each line and each column of its taps, and of those that the terms that fill up
    /// a block of so many would have.
    pub(super) fn has_few_taps(&self, block: usize) -> bool {
        self.kernel_height.max(self.kernel_width) + block / 4 <= 16
    }

    /// Whether it goes [by fours](Self::by_fours), and [has few taps](Self::has_few_taps).
    pub(super) fn by_fours_in_blocks(&self) -> bool {
        self.by_fours() && self.has_few_taps(16)
    }

    /// Whether it goes [by fours](Self::by_fours), and [has few taps](Self::has_few_taps) for the blocks of matrices.
    pub(super) fn by_fours_in_matrices(&self) -> bool {
        self.by_fours() && self.has_few_taps(32)
    }

    /// Whether its outputs go by fours alone, it [has few taps](Self::has_few_taps), and more than two blocks of eight
    /// terms would hold.
    pub(super) fn outputs_by_fours_in_blocks(&self) -> bool {
        self.outputs_by_fours() && !self.by_fours() && self.has_few_taps(16) && self.terms() > 16
    }

    /// Whether it has few input channels, and windows of two by two outputs, of which sixteen channels go together, see
    /// no more than six lines and columns of inputs.
    pub(super) fn by_windows(&self) -> bool {
        let sees = self.kernel_height.max(self.kernel_width) + self.stride;
        self.groups == 1 && self.out_channels.is_multiple_of(16) && !self.by_fours() && sees <= 6
    }

    /// Whether it has 3×3 taps at a stride of 1 or 2 and so few input channels that each can go by itself, and
    /// workgroup memory holds the inputs of a line of windows, see `shaders/lib/conv2d_dw_taps.wgsl`.
    pub(super) fn by_cells(&self) -> bool {
        let is_made_for = [self.kernel_height, self.kernel_width] == [3, 3] && self.stride <= 2;
        let fits = self.stride * self.out_width.div_ceil(2) < 341;
        is_made_for && fits && self.outputs_by_fours() && self.in_channels <= 4
    }

    /// Whether it goes [by fours in blocks](Self::by_fours_in_blocks), and the stride divides the image.
    pub(super) fn by_phases_in_blocks(&self) -> bool {
        self.by_fours_in_blocks() && self.by_fours_in_phases()
    }

    /// Whether it goes [by fours](Self::by_fours), and the stride divides the image.
    pub(super) fn by_fours_in_phases(&self) -> bool {
        let divides = |size: usize| size.is_multiple_of(self.stride);
        self.by_fours() && divides(self.in_height) && divides(self.in_width)
    }

    /// Whether it has one group, and its output channels can be taken four at a time.
    pub(super) fn outputs_by_fours(&self) -> bool {
        self.groups == 1 && self.out_channels.is_multiple_of(4)
    }

    /// Whether it has one group and leaves no place of the image out.
    pub(super) fn is_dense(&self) -> bool {
        self.groups == 1 && self.stride == 1
    }

    /// Pixels of an output image.
    pub(super) fn pixels(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Tiles of 2×2 pixels that cover the outputs.
    pub(super) fn output_tiles(&self) -> usize {
        self.batch * self.out_height.div_ceil(2) * self.out_width.div_ceil(2)
    }

    /// Tiles of 2×2 pixels that cover the inputs.
    pub(super) fn input_tiles(&self) -> usize {
        self.batch * self.in_height.div_ceil(2) * self.in_width.div_ceil(2)
    }

    /// Whether to make its outputs by F(2×2, 3×3), see `shaders/lib/winograd.wgsl`.
    pub(super) fn by_tiles(&self) -> bool {
        self.pays_by_tiles([self.out_height, self.out_width])
    }

    /// Whether to make the gradients of its inputs so, which have `2 - pad` zeros around them.
    pub(super) fn by_tiles_back(&self) -> bool {
        self.pays_by_tiles([self.in_height, self.in_width])
    }

    /// Whether it goes [by tiles](Self::by_tiles), and there are zeros left and right: what a lane has of its
    /// neighbours is not asked for there.
    pub(super) fn by_tiles_in_lanes(&self) -> bool {
        self.pad_x >= 1 && self.by_tiles()
    }

    /// Whether it goes [back by tiles](Self::by_tiles_back), with zeros left and right.
    pub(super) fn by_tiles_back_in_lanes(&self) -> bool {
        self.pad_x <= 1 && self.by_tiles_back()
    }

    /// Whether tiles of 2 × 2 pixels are of use: 16 products of each cost as much as 25 by themselves, and at the edge
    /// of images of so many pixels some reach beyond. With few channels most lanes have none, and there is little to
    /// save.
    fn pays_by_tiles(&self, [height, width]: [usize; 2]) -> bool {
        let is_made_for = self.by_fours()
            && self.is_dense()
            && [self.kernel_height, self.kernel_width] == [3, 3]
            && self.in_channels.min(self.out_channels) >= 16;
        is_made_for && 9 * height * width > 25 * height.div_ceil(2) * width.div_ceil(2)
    }

    /// Values of an input and of an output image.
    pub(super) fn image_sizes(&self) -> (usize, usize) {
        (self.in_height * self.in_width * self.in_channels, self.pixels() * self.out_channels)
    }

    pub(super) fn work(&self) -> Work {
        let products = self.outputs() * self.terms();
        Work { flops: 2 * products as u64, bytes: 4 * (self.inputs() + self.outputs() + self.weights()) as u64 }
    }

    /// Pairs of (output row, input row) that row `ky` of the kernel connects.
    pub(super) fn rows(&self, ky: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
        self.tap(ky, self.pad_y, self.out_height, self.in_height)
    }

    /// Pairs of (output column, input column) that column `kx` of the kernel connects.
    pub(super) fn columns(&self, kx: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
        self.tap(kx, self.pad_x, self.out_width, self.in_width)
    }

    fn tap(
        &self,
        k: usize,
        pad: usize,
        out_size: usize,
        in_size: usize,
    ) -> impl Iterator<Item = (usize, usize)> + Clone {
        let stride = self.stride;
        (0..out_size).filter_map(move |o| {
            let i = (o * stride + k).checked_sub(pad)?;
            (i < in_size).then_some((o, i))
        })
    }

    pub(super) fn awkward() -> Vec<Window> {
        let square = |dims, out, kernel, stride, same| Window::new(dims, out, &Taps::square(kernel, stride, same));
        let taps =
            |dims, out, kernel, stride, pad, groups| Window::new(dims, out, &Taps { kernel, stride, pad, groups });
        let windows = [
            square([1, 1, 1, 1], 1, 1, 1, true),
            square([2, 5, 7, 3], 5, 3, 1, true),
            square([3, 9, 6, 2], 4, 5, 2, true),
            square([2, 8, 11, 1], 6, 3, 3, false),
            square([1, 7, 7, 5], 3, 7, 1, false),
            square([5, 14, 10, 1], 32, 3, 1, true),
            square([7, 6, 5, 32], 64, 3, 1, true),
            square([3, 9, 9, 36], 68, 3, 2, true),
            square([2, 6, 7, 3], 32, 5, 1, true),
            square([3, 7, 19, 1], 16, 5, 1, false),
            square([9, 5, 5, 8], 12, 3, 1, false),
            square([3, 9, 12, 16], 32, 5, 1, false),
            // Kernels that are not square or even, paddings that differ or are more than the kernel.
            taps([2, 5, 9, 8], 16, [1, 7], 1, [0, 3], 1),
            taps([3, 9, 4, 16], 32, [7, 1], 1, [3, 0], 1),
            taps([2, 7, 8, 3], 20, [2, 4], 2, [0, 1], 1),
            taps([2, 4, 3, 16], 16, [2, 2], 1, [2, 3], 1),
            // 3×3 taps on images of odd sizes, without and with much padding.
            taps([2, 13, 11, 48], 16, [3, 3], 1, [0, 0], 1),
            taps([3, 8, 10, 16], 48, [3, 3], 1, [2, 0], 1),
            // One pixel a tap, side by side and apart.
            taps([5, 3, 4, 20], 36, [1, 1], 1, [0, 0], 1),
            taps([3, 7, 6, 12], 64, [1, 1], 2, [0, 0], 1),
            // Wide channels on images of a few pixels.
            taps([19, 2, 2, 36], 32, [3, 3], 1, [1, 1], 1),
            taps([6, 4, 3, 32], 96, [3, 3], 2, [1, 1], 1),
            square([3, 2, 3, 128], 132, 3, 1, true),
            // Strides that divide the image: more pixels of a phase than go together, and fewer.
            taps([5, 8, 6, 32], 20, [3, 3], 2, [1, 1], 1),
            taps([2, 9, 6, 12], 36, [5, 4], 3, [2, 0], 1),
            taps([3, 12, 14, 68], 64, [1, 1], 2, [0, 0], 1),
            // Kernels as long as blocks take, and with terms behind the last.
            taps([2, 12, 5, 4], 36, [11, 1], 1, [4, 0], 1),
            taps([2, 4, 13, 8], 12, [3, 12], 1, [1, 5], 1),
            // As many taps as have a bit each in blocks, and more; for matrices, with terms behind the last.
            taps([2, 9, 6, 4], 4, [7, 4], 1, [3, 1], 1),
            taps([2, 8, 7, 4], 4, [7, 5], 1, [3, 2], 1),
            // Few channels: a kernel as long as blocks take, and more pixels than go together.
            taps([2, 16, 6, 2], 36, [12, 1], 1, [5, 0], 1),
            taps([3, 20, 17, 3], 36, [3, 3], 2, [1, 1], 1),
            taps([2, 11, 8, 3], 12, [7, 7], 2, [3, 3], 1),
            // More terms of an odd number of channels than blocks look up.
            taps([2, 4, 5, 43], 8, [3, 3], 1, [1, 1], 1),
            // Few channels: windows of two by two outputs that reach beyond the last, and more lines of them than go
            // together.
            taps([3, 9, 11, 3], 48, [3, 4], 2, [1, 2], 1),
            taps([2, 57, 37, 2], 16, [3, 3], 1, [1, 1], 1),
            // Groups, and as many as there are channels.
            taps([2, 6, 5, 6], 9, [3, 2], 1, [1, 0], 3),
            taps([3, 5, 6, 16], 32, [3, 3], 2, [1, 1], 4),
            taps([2, 7, 9, 5], 5, [3, 3], 2, [1, 1], 5),
            taps([3, 9, 8, 36], 36, [5, 3], 1, [2, 1], 36),
            taps([3, 9, 7, 12], 12, [3, 3], 2, [1, 1], 12),
            taps([4, 11, 7, 64], 64, [3, 3], 1, [1, 1], 64),
            taps([5, 7, 7, 20], 20, [7, 7], 1, [0, 0], 20),
        ];
        windows.into_iter().map(|window| window.expect("a kernel no larger than the image")).collect()
    }
}
