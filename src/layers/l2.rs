//! `l2`: rows of length 1. Nothing follows it.

use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Operators, Options, Shape, Tensor, Torch, Word};
use crate::graph::Attribute;
use crate::kernel::Element;
use crate::kernels::{L2Norm, L2NormDx, L2NormShape};

/// L2 normalisation.
#[derive(Clone, Debug)]
pub struct L2;

impl Word for L2 {
    const NAME: &'static str = "l2";
    const HELP: &'static str = "l2";
    const SPECS: &'static [(&'static str, [usize; 3])] =
        &[("dense6 l2", [6, 7, 2]), ("conv4s2 relu dense5 l2", [9, 12, 1])];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Layer(Arc::new(L2)))
    }
}

impl Layer for L2 {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs[0] {
            Shape::Row(values) => Ok(Shape::Unit(values)),
            _ => Err("`l2` must follow a dense layer".to_owned()),
        }
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
        let (rows, dims) = (at.rows(), at.shape(0).values());
        let y = at.y(Element::F32);
        let norm = at.keep("norm", Element::F32, &[rows]);
        at.call::<L2Norm>(L2NormShape { rows, dims }, &[at.x(0), y, norm]);
    }

    fn backward(&self, at: &mut Backward) {
        let (rows, dims) = (at.rows(), at.shape(0).values());
        if let Some(dx) = at.dx(0) {
            at.call::<L2NormDx>(L2NormShape { rows, dims }, &[at.y(), at.kept("norm"), at.dy(), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let rows = at.x(0);
        let shortest = at.number("shortest", L2Norm::SHORTEST as f32);
        let attributes = vec![Attribute::ints("axes", &[1]), Attribute::int("keepdims", 1)];
        let norm = at.node("norm", "ReduceL2", [rows.clone()], attributes);
        let divisor = at.node("divisor", "Max", [norm, shortest], vec![]);
        at.node(at.name(), "Div", [rows, divisor], vec![])
    }

    fn torch(&self, at: &mut Torch) -> String {
        format!("F.normalize({})", at.x(0))
    }
}
