//! `relu`, `sigmoid`: what follows the bias of a layer before it.

use super::{Item, Options, Word};
use crate::kernels::Activation;

/// `max(z, 0)`.
pub struct Relu;

impl Word for Relu {
    const NAME: &'static str = "relu";
    const HELP: &'static str = "relu";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[("conv3 relu dense5 relu", [5, 4, 2])];

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

/// The word of an activation and its ONNX operator; none of the identity.
pub(crate) fn operator(activation: Activation) -> Option<(&'static str, &'static str)> {
    match activation {
        Activation::None => None,
        Activation::Relu => Some((Relu::NAME, "Relu")),
        Activation::Sigmoid => Some((Sigmoid::NAME, "Sigmoid")),
    }
}
