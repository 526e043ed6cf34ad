//! `relu`, `relu6`, `sigmoid`: what follows the bias of a layer before it, or a layer of its own where there is none
//! that could compute it.

use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Operators, Options, Shape, Tensor, Torch, Word};
use crate::kernels::{self, ActDx, ActDxShape, ActShape, Activation};

/// `max(z, 0)`.
pub struct Relu;

impl Word for Relu {
    const NAME: &'static str = "relu";
    const HELP: &'static str = "relu";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv3 relu dense5 relu", [5, 4, 2]),
        // By itself: others take what it is of, or nothing before it computes it.
        ("conv3 add( relu conv3 | ) relu relu dense5", [5, 4, 2]),
        ("relu conv4 add( relu pool1 relu | pool1 ) dense5 sigmoid relu", [5, 4, 2]),
    ];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Activation(Activation::Relu))
    }
}

/// `min(max(z, 0), 6)`.
pub struct Relu6;

impl Word for Relu6 {
    const NAME: &'static str = "relu6";
    const HELP: &'static str = "relu6";
    const SPECS: &'static [(&'static str, [usize; 3])] =
        &[("conv3 relu6 dense5 relu6", [5, 4, 2]), ("conv4 add( conv4 | ) relu6 relu6 dense5 l2", [5, 4, 2])];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Activation(Activation::Relu6))
    }
}

/// `1 / (1 + exp(-z))`.
pub struct Sigmoid;

impl Word for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const HELP: &'static str = "sigmoid";
    const SPECS: &'static [(&'static str, [usize; 3])] =
        &[("conv4k5s3 sigmoid pool3 dense8 relu dense3 sigmoid", [13, 11, 3])];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Activation(Activation::Sigmoid))
    }
}

/// An activation by itself.
#[derive(Clone, Debug)]
pub struct Act {
    activation: Activation,
}

impl Act {
    /// Of this kind.
    pub(crate) fn new(activation: Activation) -> Act {
        Act { activation }
    }
}

impl Layer for Act {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(inputs[0])
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
        let shape = ActShape { rows: at.rows(), columns: at.shape(0).values(), activation: self.activation };
        at.call::<kernels::Act>(shape, &[at.x(0), y]);
    }

    fn backward(&self, at: &mut Backward) {
        let length = at.rows() * at.shape(0).values();
        if let Some(dx) = at.dx(0) {
            at.call::<ActDx>(ActDxShape { length, activation: self.activation }, &[at.y(), at.dy(), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        in_onnx(self.activation, at, at.name(), at.x(0))
    }

    fn torch(&self, at: &mut Torch) -> String {
        in_torch(self.activation, at.x(0))
    }
}

/// The word of an activation; none of the identity.
pub(crate) fn word(activation: Activation) -> Option<&'static str> {
    match activation {
        Activation::None => None,
        Activation::Relu => Some(Relu::NAME),
        Activation::Sigmoid => Some(Sigmoid::NAME),
        Activation::Relu6 => Some(Relu6::NAME),
    }
}

/// Adds the ONNX operator of an activation of a value, and answers the name of what it makes.
pub(crate) fn in_onnx(activation: Activation, at: &mut Operators, name: &str, x: String) -> String {
    match activation {
        Activation::None => x,
        Activation::Relu => at.node(name, "Relu", [x], vec![]),
        Activation::Sigmoid => at.node(name, "Sigmoid", [x], vec![]),
        Activation::Relu6 => {
            let ends = [("least", 0.0), ("most", 6.0)];
            let [least, most] = ends.map(|(end, value)| at.number(&format!("{name}.{end}"), value));
            at.node(name, "Clip", [x, least, most], vec![])
        }
    }
}

/// An activation of a variable in PyTorch.
pub(crate) fn in_torch(activation: Activation, x: &str) -> String {
    match activation {
        Activation::None => x.to_owned(),
        Activation::Relu => format!("F.relu({x})"),
        Activation::Sigmoid => format!("torch.sigmoid({x})"),
        Activation::Relu6 => format!("F.relu6({x})"),
    }
}
