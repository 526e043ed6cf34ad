//! `mean`: the mean of each channel over the whole image.

use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Operators, Options, Shape, Tensor, Torch, Word};
use crate::graph::Attribute;
use crate::kernel::Element;
use crate::kernels::{self, AvgPoolDx, MeanShape, PoolShape};

/// The mean of an image by channel.
#[derive(Clone, Debug)]
pub struct Mean;

impl Word for Mean {
    const NAME: &'static str = "mean";
    const HELP: &'static str = "mean";
    const SPECS: &'static [(&'static str, [usize; 3])] =
        &[("conv5 relu mean dense4 l2", [6, 5, 2]), ("conv4s2 mean sigmoid dense5 l2", [7, 8, 1])];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Layer(Arc::new(Mean)))
    }
}

impl Layer for Mean {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let [_, _, channels] = inputs[0].image()?;
        Ok(Shape::Row(channels))
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
        let [height, width, channels] = at.shape(0).sides();
        let y = at.y(Element::F32);
        let shape = MeanShape { batch: at.rows(), pixels: height * width, channels };
        at.call::<kernels::Mean>(shape, &[at.x(0), y]);
    }

    fn backward(&self, at: &mut Backward) {
        let [height, width, channels] = at.shape(0).sides();
        if let Some(dx) = at.dx(0) {
            at.call::<AvgPoolDx>(PoolShape::whole([at.rows(), height, width, channels]), &[at.dy(), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let pixel = at.node("pixel", "GlobalAveragePool", [at.x(0)], vec![]);
        at.node(at.name(), "Flatten", [pixel], vec![Attribute::int("axis", 1)])
    }

    fn torch(&self, at: &mut Torch) -> String {
        format!("{}.mean((2, 3))", at.x(0))
    }
}
