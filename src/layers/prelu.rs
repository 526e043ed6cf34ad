//! `prelu`: below zero times a trained slope for each channel, a quarter at the start.

use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Layout, Operators, Options, Shape, Start, Tensor, Torch, Word};
use crate::kernels::{self, PreluDw, PreluDx, PreluShape};

/// The activation with trained slopes.
#[derive(Clone, Debug)]
pub struct Prelu;

impl Prelu {
    fn on(&self, rows: usize, input: Shape) -> PreluShape {
        let [height, width, channels] = input.sides();
        PreluShape::new(rows, height * width, channels)
    }
}

impl Word for Prelu {
    const NAME: &'static str = "prelu";
    const HELP: &'static str = "prelu";
    const SPECS: &'static [(&'static str, [usize; 3])] =
        &[("conv3 prelu dense5 prelu dense4 l2", [5, 4, 2]), ("conv4 prelu conv8s2 prelu dense5", [5, 6, 1])];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Layer(Arc::new(Prelu)))
    }
}

impl Layer for Prelu {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(inputs[0])
    }

    fn tensors(&self, inputs: &[Shape]) -> Vec<Tensor> {
        let [_, _, channels] = inputs[0].sides();
        vec![Tensor::trained("weight", Layout::vector(channels), Start::Quarter)]
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
        at.call::<kernels::Prelu>(self.on(at.rows(), at.shape(0)), &[at.x(0), at.tensor("weight"), y]);
    }

    fn backward(&self, at: &mut Backward) {
        let shape = self.on(at.rows(), at.shape(0));
        let dx = at.dx(0);
        at.sum::<PreluDw>("weight", shape.splits, shape.clone(), [at.x(0), at.dy()]);
        if let Some(dx) = dx {
            at.call::<PreluDx>(shape, &[at.x(0), at.tensor("weight"), at.dy(), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let mut slopes = at.tensor("weight");
        if let Shape::Image([_, _, channels]) = at.shape(0) {
            let sides = at.integers(&format!("{}.sides", at.name()), &[channels, 1, 1]);
            slopes = at.node(&format!("{}.slopes", at.name()), "Reshape", [slopes, sides], vec![]);
        }
        at.node(at.name(), "PRelu", [at.x(0), slopes], vec![])
    }

    fn torch(&self, at: &mut Torch) -> String {
        let [_, _, channels] = at.shape(0).sides();
        format!("{}({})", at.module(format!("nn.PReLU({channels})")), at.x(0))
    }
}
