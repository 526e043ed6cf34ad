//! `pool[<size>][s<stride>][p<border>]`: max pooling, by windows side by side where no stride is said. Beyond the image
//! there is nothing to choose.

use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Operators, Options, Shape, Tensor, Torch, Word};
use crate::graph::Attribute;
use crate::kernel::Element;
use crate::kernels::{MaxPool, MaxPoolDx, PoolShape};

/// Windows as options say them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// Rows and columns of a window.
    size: usize,
    /// Step between neighbouring windows.
    stride: usize,
    /// Rows and columns around the image that windows may cover.
    pad: usize,
}

impl Windows {
    /// `[<size>][s<stride>][p<border>]`: windows of two side by side where nothing is said.
    pub(super) fn read(options: &mut Options) -> Result<Windows, String> {
        let size = if options.begins_with_digit() { options.number("a window size", 255)? } else { 2 };
        let mut windows = Windows { size, stride: size, pad: 0 };
        while let Some(letter) = options.letter() {
            match letter {
                's' => windows.stride = options.number("a stride after s", 255)?,
                'p' => windows.pad = options.number_or_zero("a border after p", 255)?,
                _ => return Err(options.error("needs a window size from 1 to 255, and continues with s or p")),
            }
        }
        if windows.pad > size / 2 {
            return Err(format!("a border of {} is more than half a window of {size}", windows.pad));
        }
        Ok(windows)
    }

    /// The windows on so many images of a shape, if there are any.
    fn fit(&self, rows: usize, input: Shape) -> Result<PoolShape, String> {
        let [height, width, channels] = input.image()?;
        PoolShape::new([rows, height, width, channels], self.size, self.stride, self.pad)
            .ok_or_else(|| format!("the window is larger than the {height}×{width}×{channels} that reaches it"))
    }

    /// The shape of what flows out.
    pub(super) fn output(&self, input: Shape) -> Result<Shape, String> {
        let windows = self.fit(1, input)?;
        Ok(Shape::Image([windows.out_height, windows.out_width, windows.channels]))
    }

    /// The windows on so many images of a shape that has consented.
    pub(super) fn on(&self, rows: usize, input: Shape) -> PoolShape {
        self.fit(rows, input).expect("the shape rule has consented")
    }

    /// The arguments of PyTorch's functions for pooling.
    pub(super) fn in_torch(&self) -> String {
        let Windows { size, stride, pad } = *self;
        if stride == size && pad == 0 { size.to_string() } else { format!("{size}, {stride}, {pad}") }
    }

    /// The attributes of the ONNX operators for pooling.
    pub(super) fn attributes(&self) -> Vec<Attribute> {
        let mut attributes =
            vec![Attribute::ints("kernel_shape", &[self.size; 2]), Attribute::ints("strides", &[self.stride; 2])];
        if self.pad > 0 {
            attributes.push(Attribute::ints("pads", &[self.pad; 4]));
        }
        attributes
    }
}

/// Max pooling.
#[derive(Clone, Debug)]
pub struct Pool {
    windows: Windows,
}

impl Word for Pool {
    const NAME: &'static str = "pool";
    const HELP: &'static str = "pool[<size>][s<stride>][p<border>]";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv4 relu pool conv6k5 relu dense8 relu dense5 l2", [6, 7, 2]),
        // The activation behind the pool; windows of three with a ragged border on both sides.
        ("conv5 pool relu conv6 relu pool3 dense5 l2", [8, 11, 1]),
        ("conv6k1 sigmoid pool3 conv4 relu dense5 l2", [7, 8, 2]),
        ("conv4 relu pool pool dense6 sigmoid dense4", [6, 7, 2]),
        ("conv4 pool pool sigmoid dense6 relu dense4 l2", [7, 9, 2]),
        // Nothing before it wants a gradient.
        ("pool conv4v relu dense6 relu dense4 l2", [7, 8, 2]),
        ("pool dense7", [7, 5, 3]),
        // Windows that overlap, over the border too; windows that lie apart.
        ("conv4s2 relu pool3s2p1 conv5 relu pool3s1 dense5 l2", [13, 12, 2]),
        ("conv3 pool3s2p1 sigmoid pool2s3p1 dense5 l2", [9, 12, 2]),
    ];

    fn read(options: &mut Options) -> Result<Item, String> {
        Ok(Item::Layer(Arc::new(Pool { windows: Windows::read(options)? })))
    }
}

impl Layer for Pool {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.windows.output(inputs[0])
    }

    fn tensors(&self, _: &[Shape]) -> Vec<Tensor> {
        vec![]
    }

    fn activation(&self) -> Follows {
        Follows::Passed
    }

    fn without_bias(&self) -> Option<Arc<dyn Layer>> {
        None
    }

    fn absorbs_bias(&self) -> bool {
        false
    }

    fn folds(&self) -> Option<f32> {
        None
    }

    fn forward(&self, at: &mut Forward) {
        let y = at.y(at.element(0));
        let argmax = at.keep("argmax", Element::U32, &at.dims());
        at.call::<MaxPool>(self.windows.on(at.rows(), at.shape(0)), &[at.x(0), y, argmax]);
    }

    fn backward(&self, at: &mut Backward) {
        if let Some(dx) = at.dx(0) {
            at.call::<MaxPoolDx>(self.windows.on(at.rows(), at.shape(0)), &[at.dy(), at.kept("argmax"), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        at.node(at.name(), "MaxPool", [at.x(0)], self.windows.attributes())
    }

    fn torch(&self, at: &mut Torch) -> String {
        format!("F.max_pool2d({}, {})", at.x(0), self.windows.in_torch())
    }
}
