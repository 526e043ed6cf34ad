//! Classification by a softmax over the classes of the training set, see [`Softmax`].

use super::{Ailment, Embeddings, Family, Lowered, Objective, Range, SHARPNESS, Stretch, heads, settings};
use crate::kernels::MarginSoftmaxShape;
use crate::plan::Builder;
use crate::sampler::{Batch, Mining, Positive};

/// Cross-entropy of a softmax over the products of embedding and classes, with smoothed labels (Szegedy et al.,
/// *Rethinking the Inception Architecture for Computer Vision*, 2016, section 7).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softmax {
    /// Factor on the products.
    pub scale: f32,
    /// Share of each label that is dealt evenly to all classes.
    pub smoothing: f32,
    /// See [`Loss::rate`](super::Loss::rate).
    pub rate: f32,
}

/// What the setting [`Softmax::scale`] does.
pub(super) const SCALE: &str = "factor on the products of embeddings and classes";

impl Objective for Softmax {
    const NAME: &'static str = "softmax";
    const ABOUT: &'static str = "classification: a vector for each class, and a softmax over their products";
    const FAMILY: Family = heads::SOFTMAX;
    const UNIT: bool = false;

    settings! {
        scale = 1.0 in SHARPNESS, SCALE;
        smoothing = 0.0 in Range::Within(0.0, 0.9), "share of each label that is dealt evenly to all classes";
        rate = 1.0 in Range::Positive, heads::RATE;
    }

    fn cases() -> Vec<(Softmax, Batch)> {
        let softmax = Softmax { scale: 4.0, smoothing: 0.0, rate: 1.0 };
        vec![
            (softmax, Batch::Random { triplets: 5, positive: Positive::Other }),
            (Softmax { smoothing: 0.125, ..softmax }, Batch::Mined { labels: 4, images: 1, mining: Mining::SemiHard }),
        ]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        let Softmax { scale, smoothing, .. } = *self;
        heads::softmax::<Self>(builder, embeddings, |sizes| MarginSoftmaxShape::new(sizes, scale).smoothing(smoothing))
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        heads::ailment(stretch)
    }
}
