//! A softmax over cosines with a margin, see [`CosFace`].

use super::{Ailment, Embeddings, Family, Lowered, Objective, Range, SHARPNESS, Stretch, TESTED, heads, settings};
use crate::kernels::MarginSoftmaxShape;
use crate::plan::Builder;
use crate::sampler::Batch;

/// A softmax over scaled cosines, that of the own class less a margin (Wang et al., *CosFace: Large Margin Cosine Loss
/// for Deep Face Recognition*, 2018, equation 4). With margin 0 it is NormFace (Wang et al. 2017).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosFace {
    /// What is taken from the cosine of the own class.
    pub margin: f32,
    /// Factor on the cosines.
    pub scale: f32,
    /// See [`Loss::rate`](super::Loss::rate).
    pub rate: f32,
}

impl Objective for CosFace {
    const NAME: &'static str = "cosface";
    const ABOUT: &'static str = "a softmax over the cosines of classes, the own one's less a margin";
    const FAMILY: Family = heads::SOFTMAX;
    const UNIT: bool = true;

    settings! {
        margin = 0.35 in Range::Within(0.0, 1.0), "how much nearer by cosine the own class must be";
        scale = 32.0 in SHARPNESS, heads::SCALE;
        rate = 1.0 in Range::Positive, heads::RATE;
    }

    fn cases() -> Vec<(CosFace, Batch)> {
        vec![(CosFace { margin: 0.35, scale: 8.0, rate: 1.0 }, TESTED)]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        let CosFace { margin, scale, .. } = *self;
        heads::softmax::<Self>(builder, embeddings, |sizes| MarginSoftmaxShape::new(sizes, scale).margin(margin))
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        heads::ailment(stretch)
    }
}
