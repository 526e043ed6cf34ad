//! A softmax over cosines with a margin of the angle, see [`ArcFace`].

use super::{Ailment, Embeddings, Family, Lowered, Objective, Range, SHARPNESS, Stretch, TESTED, heads, settings};
use crate::kernels::MarginSoftmaxShape;
use crate::plan::Builder;
use crate::sampler::Batch;

/// A softmax over scaled cosines, the angle to the own class enlarged by a margin (Deng et al., *ArcFace: Additive
/// Angular Margin Loss for Deep Face Recognition*, 2019, equation 3). Where the angle would pass π, the cosine is taken
/// less margin · sin(margin) instead, which goes on falling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArcFace {
    /// What is added to the angle to the own class, in radians.
    pub margin: f32,
    /// Factor on the cosines.
    pub scale: f32,
    /// See [`Loss::rate`](super::Loss::rate).
    pub rate: f32,
}

impl Objective for ArcFace {
    const NAME: &'static str = "arcface";
    const ABOUT: &'static str = "a softmax over the cosines of classes, the own one's with a larger angle";
    const FAMILY: Family = heads::SOFTMAX;
    const UNIT: bool = true;

    settings! {
        margin = 0.5 in Range::Within(0.0, 1.5), "how much nearer by angle the own class must be, in radians";
        scale = 32.0 in SHARPNESS, heads::SCALE;
        rate = 1.0 in Range::Positive, heads::RATE;
    }

    fn cases() -> Vec<(ArcFace, Batch)> {
        vec![(ArcFace { margin: 0.5, scale: 8.0, rate: 1.0 }, TESTED)]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        let ArcFace { margin, scale, .. } = *self;
        heads::softmax::<Self>(builder, embeddings, |sizes| MarginSoftmaxShape::new(sizes, scale).angle(margin))
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        heads::ailment(stretch)
    }
}
