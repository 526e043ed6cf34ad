//! `relu`, `sigmoid`: what follows the bias of a layer before it, or a layer of its own where there is none that could
//! compute it.

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
        let (_, operator) = operator(self.activation).expect("an activation that does something");
        at.node(at.name(), operator, [at.x(0)], vec![])
    }

    fn torch(&self, at: &mut Torch) -> String {
        in_torch(self.activation, at.x(0))
    }
}

/// The word of an activation and its ONNX operator; none of the identity.
pub(crate) fn operator(activation: Activation) -> Option<(&'static str, &'static str)> {
    match activation {
        Activation::None => None,
        Activation::Relu => Some((Relu::NAME, "Relu")),
        Activation::Sigmoid => Some((Sigmoid::NAME, "Sigmoid")),
    }
}

/// An activation of a variable in PyTorch.
pub(crate) fn in_torch(activation: Activation, x: &str) -> String {
    match activation {
        Activation::None => x.to_owned(),
        Activation::Relu => format!("F.relu({x})"),
        Activation::Sigmoid => format!("torch.sigmoid({x})"),
    }
}
