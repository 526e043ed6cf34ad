//! `dense<outputs>`: dense layer, with a bias and the activation that follows. The first one flattens the image.

use std::iter;
use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Layout, Operators, Options, Shape, Tensor, Torch, Word};
use crate::graph::Attribute;
use crate::kernel::Element;
use crate::kernels::{self, DenseDw, DenseDwShape, DenseDx, DenseDxShape, DenseShape};

/// A dense layer.
#[derive(Clone, Debug)]
pub struct Dense {
    /// Values of an output row.
    outputs: usize,
    /// Whether it has a bias.
    bias: bool,
}

impl Word for Dense {
    const NAME: &'static str = "dense";
    const HELP: &'static str = "dense<outputs>";
    const SPECS: &'static [(&'static str, [usize; 3])] =
        &[("dense8 relu dense6 sigmoid", [6, 7, 2]), ("dense3 l2", [2, 3, 3])];

    fn read(options: &mut Options) -> Result<Item, String> {
        let outputs = options.last_number("a number of outputs", 65_536)?;
        Ok(Item::Layer(Arc::new(Dense { outputs, bias: true })))
    }
}

impl Layer for Dense {
    fn shape(&self, _: &[Shape]) -> Result<Shape, String> {
        Ok(Shape::Row(self.outputs))
    }

    fn tensors(&self, inputs: &[Shape]) -> Vec<Tensor> {
        let outputs = self.outputs;
        let layout = match inputs[0] {
            Shape::Image(sides) => Layout::new(&[&sides, &[outputs]], &[&[3], &[2, 0, 1]]),
            row => Layout::new(&[&[row.values()], &[outputs]], &[&[1], &[0]]),
        };
        let weight = Tensor::weight(layout, inputs[0].values(), outputs);
        iter::once(weight).chain(self.bias.then(|| Tensor::bias(outputs))).collect()
    }

    fn activation(&self) -> Follows {
        Follows::Fused
    }

    fn without_bias(&self) -> Option<Arc<dyn Layer>> {
        Some(Arc::new(Dense { bias: false, ..self.clone() }))
    }

    fn absorbs_bias(&self) -> bool {
        false
    }

    fn folds(&self) -> Option<f32> {
        None
    }

    fn forward(&self, at: &mut Forward) {
        // What dense layers make is small.
        let y = at.y(Element::F32);
        let bias = if self.bias { at.tensor("bias") } else { at.zeros(self.outputs) };
        let (rows, inputs) = (at.rows(), at.shape(0).values());
        let shape = DenseShape { rows, inputs, outputs: self.outputs, activation: at.activation() };
        at.call::<kernels::Dense>(shape, &[at.x(0), at.tensor("weight"), bias, y]);
    }

    fn backward(&self, at: &mut Backward) {
        let (rows, inputs, outputs) = (at.rows(), at.shape(0).values(), self.outputs);
        if self.bias {
            at.bias();
        }
        let dx = at.dx(0);
        let shape = DenseDwShape::new(rows, inputs, outputs);
        at.sum::<DenseDw>("weight", shape.splits, shape, [at.x(0), at.dy()]);
        if let Some(dx) = dx {
            at.call::<DenseDx>(DenseDxShape { rows, inputs, outputs }, &[at.dy(), at.tensor("weight"), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let mut x = at.x(0);
        if let Shape::Image(_) = at.shape(0) {
            x = at.node("flat", "Flatten", [x], vec![Attribute::int("axis", 1)]);
        }
        let bias = self.bias.then(|| at.tensor("bias"));
        let inputs = [x, at.tensor("weight")].into_iter().chain(bias);
        at.node(at.name(), "Gemm", inputs, vec![Attribute::int("transB", 1)])
    }

    fn torch(&self, at: &mut Torch) -> String {
        let bias = if self.bias { "" } else { ", bias=False" };
        let layer = at.module(format!("nn.Linear({}, {}{bias})", at.shape(0).values(), self.outputs));
        match at.shape(0) {
            Shape::Image(_) => format!("{layer}({}.flatten(1))", at.x(0)),
            _ => format!("{layer}({})", at.x(0)),
        }
    }
}
