//! `avg[<size>][s<stride>][p<border>]`: mean pooling, by windows side by side where no stride is said. Beyond the image
//! there are zeros, which count.

use std::sync::Arc;

use super::pool::Windows;
use super::{Backward, Follows, Forward, Item, Layer, Operators, Options, Shape, Tensor, Torch, Word};
use crate::graph::Attribute;
use crate::kernels::{AvgPool, AvgPoolDx};

/// Mean pooling.
#[derive(Clone, Debug)]
pub struct Avg {
    windows: Windows,
}

impl Word for Avg {
    const NAME: &'static str = "avg";
    const HELP: &'static str = "avg[<size>][s<stride>][p<border>]";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv4 relu avg conv5 relu dense5 l2", [7, 8, 2]),
        ("conv3 avg3s2p1 relu avg3s1 dense5 l2", [9, 12, 2]),
        // Nothing before it wants a gradient.
        ("avg3s2 conv4v sigmoid dense5 l2", [9, 10, 3]),
    ];

    fn read(options: &mut Options) -> Result<Item, String> {
        Ok(Item::Layer(Arc::new(Avg { windows: Windows::read(options)? })))
    }
}

impl Layer for Avg {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.windows.output(inputs[0])
    }

    fn tensors(&self, _: &[Shape]) -> Vec<Tensor> {
        vec![]
    }

    fn activation(&self) -> Follows {
        Follows::Apart
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
        at.call::<AvgPool>(self.windows.on(at.rows(), at.shape(0)), &[at.x(0), y]);
    }

    fn backward(&self, at: &mut Backward) {
        if let Some(dx) = at.dx(0) {
            at.call::<AvgPoolDx>(self.windows.on(at.rows(), at.shape(0)), &[at.dy(), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let mut attributes = self.windows.attributes();
        attributes.push(Attribute::int("count_include_pad", 1));
        at.node(at.name(), "AveragePool", [at.x(0)], attributes)
    }

    fn torch(&self, at: &mut Torch) -> String {
        format!("F.avg_pool2d({}, {})", at.x(0), self.windows.in_torch())
    }
}
