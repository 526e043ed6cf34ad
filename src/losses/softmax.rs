//! Classification by a softmax over the classes of the training set, see [`Softmax`].

use super::{
    Ailment, Chart, Count, Distance, Embeddings, Lowered, Objective, Range, Setting, Settings, Stretch, Term, check,
    heads,
};
use crate::error::Result;
use crate::kernels::MarginSoftmaxShape;
use crate::layers::Tensor;
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

/// The setting [`Softmax::scale`].
pub(super) const SCALE: Setting = Setting {
    name: "scale",
    default: 1.0,
    range: Range::Positive,
    about: "factor on the products of embeddings and classes",
};

/// The setting [`Softmax::smoothing`].
pub(super) const SMOOTHING: Setting = Setting {
    name: "smoothing",
    default: 0.0,
    range: Range::Within(0.0, 0.9),
    about: "share of each label that is dealt evenly to all classes",
};

impl Objective for Softmax {
    const NAME: &'static str = "softmax";
    const ABOUT: &'static str = "classification: a vector for each class, and a softmax over their products";
    const SETTINGS: &'static [Setting] = &[SCALE, SMOOTHING, heads::rate(1.0)];
    const UNIT: bool = false;
    const PAIRS: bool = false;
    const TERMS: &'static [Term] = heads::SOFTMAX;
    const CHARTS: &'static [Chart] = heads::SOFTMAX_CHARTS;

    fn cases() -> Vec<(Softmax, Batch)> {
        let softmax = Softmax { scale: 4.0, smoothing: 0.0, rate: 1.0 };
        vec![
            (softmax, Batch::Random { triplets: 5, positive: Positive::Other }),
            (Softmax { smoothing: 0.125, ..softmax }, Batch::Mined { labels: 4, images: 1, mining: Mining::SemiHard }),
        ]
    }

    fn distance(&self) -> Distance {
        Distance::SquaredEuclidean
    }

    fn validate(&self) -> Result<()> {
        check(Self::NAME, Self::SETTINGS, &self.settings())
    }

    fn takes(&self, _: &Batch) -> Result<()> {
        Ok(())
    }

    fn count(&self, batch: &Batch, of: Count) -> u64 {
        heads::count(batch, of)
    }

    fn of(settings: &Settings) -> Softmax {
        let [scale, smoothing, rate] = ["scale", "smoothing", "rate"].map(|name| settings.get(name));
        Softmax { scale, smoothing, rate }
    }

    fn settings(&self) -> Vec<(&'static str, f32)> {
        vec![("scale", self.scale), ("smoothing", self.smoothing), ("rate", self.rate)]
    }

    fn tensors(&self, dims: usize, classes: usize) -> Vec<Tensor> {
        vec![heads::vectors(dims, classes)]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        let sizes = [embeddings.batch.rows(), embeddings.classes, Self::TERMS.len()];
        let shape = MarginSoftmaxShape::new(sizes, self.scale, 0.0, 0.0, self.smoothing);
        heads::softmax(builder, embeddings, Self::UNIT, shape)
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        heads::ailment(stretch)
    }
}
