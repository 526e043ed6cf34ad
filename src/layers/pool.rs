//! `pool[<size>]`: max pooling by windows side by side.

use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Operators, Options, Shape, Tensor, Torch, Word};
use crate::graph::Attribute;
use crate::kernel::Element;
use crate::kernels::{MaxPool, MaxPoolDx, MaxPoolShape};

/// Max pooling.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Rows and columns of a window.
    size: usize,
}

impl Pool {
    /// The windows on so many images of a shape, if there are any.
    fn fit(&self, rows: usize, input: Shape) -> Result<MaxPoolShape, String> {
        let [height, width, channels] = input.image()?;
        MaxPoolShape::new([rows, height, width, channels], self.size)
            .ok_or_else(|| format!("the window is larger than the {height}×{width}×{channels} that reaches it"))
    }

    fn windows(&self, rows: usize, input: Shape) -> MaxPoolShape {
        self.fit(rows, input).expect("the shape rule has consented")
    }
}

impl Word for Pool {
    const NAME: &'static str = "pool";
    const HELP: &'static str = "pool[<size>]";
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
    ];

    fn read(options: &mut Options) -> Result<Item, String> {
        let size = if options.is_empty() { 2 } else { options.last_number("a window size", 255)? };
        Ok(Item::Layer(Arc::new(Pool { size })))
    }
}

impl Layer for Pool {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let windows = self.fit(1, inputs[0])?;
        Ok(Shape::Image([windows.out_height, windows.out_width, windows.channels]))
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
        at.call::<MaxPool>(self.windows(at.rows(), at.shape(0)), &[at.x(0), y, argmax]);
    }

    fn backward(&self, at: &mut Backward) {
        if let Some(dx) = at.dx(0) {
            at.call::<MaxPoolDx>(self.windows(at.rows(), at.shape(0)), &[at.dy(), at.kept("argmax"), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let size = [self.size; 2];
        let attributes = vec![Attribute::ints("kernel_shape", &size), Attribute::ints("strides", &size)];
        at.node(at.name(), "MaxPool", [at.x(0)], attributes)
    }

    fn torch(&self, at: &mut Torch) -> String {
        format!("F.max_pool2d({}, {})", at.x(0), self.size)
    }
}
