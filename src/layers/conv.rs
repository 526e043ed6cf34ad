//! `conv<channels>[k<size>][s<stride>][v]`: convolution, with a bias and the activation that follows.

use std::iter;
use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Layout, Operators, Options, Shape, Tensor, Torch, Word};
use crate::graph::Attribute;
use crate::kernels::{Conv2d, Conv2dDw, Conv2dDwShape, Conv2dDx, Conv2dShape, Window};

/// A convolution.
#[derive(Clone, Debug)]
pub struct Conv {
    /// Output channels.
    channels: usize,
    /// Rows and columns of the kernel, odd.
    kernel: usize,
    /// Step between neighbouring outputs.
    stride: usize,
    /// Padded with `(kernel - 1) / 2` zeros on each side, or not at all.
    same: bool,
    /// Whether it has a bias.
    bias: bool,
}

impl Conv {
    /// The geometry for so many images of a shape, if it fits them.
    fn fit(&self, rows: usize, input: Shape) -> Result<Window, String> {
        let [height, width, channels] = input.image()?;
        Window::new([rows, height, width, channels], self.channels, self.kernel, self.stride, self.same)
            .ok_or_else(|| format!("the kernel is larger than the {height}×{width}×{channels} that reaches it"))
    }

    fn window(&self, rows: usize, input: Shape) -> Window {
        self.fit(rows, input).expect("the shape rule has consented")
    }
}

impl Word for Conv {
    const NAME: &'static str = "conv";
    const HELP: &'static str = "conv<channels>[k<size>][s<stride>][v]";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        // A stride that leaves columns out at one border, valid padding behind it.
        ("conv4k5s2 relu conv6v sigmoid dense5", [9, 10, 2]),
        ("conv5s2v relu conv4s3 dense6 l2", [8, 11, 3]),
        ("conv2k3s3v sigmoid dense9 l2", [11, 8, 3]),
        // Kernels larger than what reaches them.
        ("conv3 conv4k5 dense5 dense4 l2", [3, 4, 2]),
        // Behind it the image is of one pixel.
        ("conv5k5v relu dense4 sigmoid dense2 l2", [5, 5, 1]),
        ("conv6k1 relu pool conv2k7 relu dense4 l2", [7, 5, 1]),
    ];

    fn read(options: &mut Options) -> Result<Item, String> {
        let channels = options.number("a number of channels", 65_536)?;
        let (mut kernel, mut stride, mut same) = (3, 1, true);
        while let Some(letter) = options.letter() {
            match letter {
                'k' => kernel = options.number("a kernel size after k", 255)?,
                's' => stride = options.number("a stride after s", 255)?,
                'v' => same = false,
                _ => return Err(options.error("does not continue with k, s or v")),
            }
        }
        if kernel % 2 == 0 {
            return Err(format!("the kernel size {kernel} is not odd"));
        }
        Ok(Item::Layer(Arc::new(Conv { channels, kernel, stride, same, bias: true })))
    }
}

impl Layer for Conv {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let window = self.fit(1, inputs[0])?;
        Ok(Shape::Image([window.out_height, window.out_width, self.channels]))
    }

    fn tensors(&self, inputs: &[Shape]) -> Vec<Tensor> {
        let Window { kernel, in_channels, out_channels, .. } = self.window(1, inputs[0]);
        let taps = kernel * kernel;
        let layout = Layout::new(&[&[kernel], &[kernel], &[in_channels], &[out_channels]], &[&[3], &[2], &[0], &[1]]);
        let weight = Tensor::weight(layout, taps * in_channels, taps * out_channels);
        iter::once(weight).chain(self.bias.then(|| Tensor::bias(out_channels))).collect()
    }

    fn activation(&self) -> Follows {
        Follows::Fused
    }

    fn without_bias(&self) -> Option<Arc<dyn Layer>> {
        Some(Arc::new(Conv { bias: false, ..self.clone() }))
    }

    fn absorbs_bias(&self) -> bool {
        false
    }

    fn folds(&self) -> Option<f32> {
        None
    }

    fn forward(&self, at: &mut Forward) {
        let y = at.y(at.element(0));
        let bias = if self.bias { at.tensor("bias") } else { at.zeros(self.channels) };
        let shape = Conv2dShape { window: self.window(at.rows(), at.shape(0)), activation: at.activation() };
        at.call::<Conv2d>(shape, &[at.x(0), at.tensor("weight"), bias, y]);
    }

    fn backward(&self, at: &mut Backward) {
        let window = self.window(at.rows(), at.shape(0));
        if self.bias {
            at.bias();
        }
        let dx = at.dx(0);
        let shape = Conv2dDwShape::new(window.clone());
        at.sum::<Conv2dDw>("weight", shape.splits, shape, [at.x(0), at.dy()]);
        if let Some(dx) = dx {
            at.call::<Conv2dDx>(window, &[at.dy(), at.tensor("weight"), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let window = self.window(1, at.shape(0));
        let attributes = vec![
            Attribute::ints("kernel_shape", &[self.kernel; 2]),
            Attribute::ints("strides", &[self.stride; 2]),
            Attribute::ints("pads", &[window.pad; 4]),
        ];
        let bias = self.bias.then(|| at.tensor("bias"));
        let inputs = [at.x(0), at.tensor("weight")].into_iter().chain(bias);
        at.node(at.name(), "Conv", inputs, attributes)
    }

    fn torch(&self, at: &mut Torch) -> String {
        let Window { in_channels, out_channels, kernel, stride, pad, .. } = self.window(1, at.shape(0));
        let bias = if self.bias { "" } else { ", bias=False" };
        let make = format!("nn.Conv2d({in_channels}, {out_channels}, {kernel}, {stride}, {pad}{bias})");
        format!("{}({})", at.module(make), at.x(0))
    }
}
