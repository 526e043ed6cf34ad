//! A softmax over cosines with a margin of the angle, see [`ArcFace`].

use super::{
    Ailment, Chart, Count, Distance, Embeddings, Lowered, Objective, Range, Setting, Settings, Stretch, Term, check,
    heads,
};
use crate::error::Result;
use crate::kernels::MarginSoftmaxShape;
use crate::layers::Tensor;
use crate::plan::Builder;
use crate::sampler::{Batch, Mining};

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
    const SETTINGS: &'static [Setting] = &[
        Setting {
            name: "margin",
            default: 0.5,
            range: Range::Within(0.0, 1.5),
            about: "how much nearer by angle the own class must be, in radians",
        },
        heads::SCALE,
        heads::rate(1.0),
    ];
    const UNIT: bool = true;
    const PAIRS: bool = false;
    const TERMS: &'static [Term] = heads::SOFTMAX;
    const CHARTS: &'static [Chart] = heads::SOFTMAX_CHARTS;

    fn cases() -> Vec<(ArcFace, Batch)> {
        let batch = Batch::Mined { labels: 3, images: 4, mining: Mining::SemiHard };
        vec![(ArcFace { margin: 0.5, scale: 8.0, rate: 1.0 }, batch)]
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

    fn of(settings: &Settings) -> ArcFace {
        let [margin, scale, rate] = ["margin", "scale", "rate"].map(|name| settings.get(name));
        ArcFace { margin, scale, rate }
    }

    fn settings(&self) -> Vec<(&'static str, f32)> {
        vec![("margin", self.margin), ("scale", self.scale), ("rate", self.rate)]
    }

    fn tensors(&self, dims: usize, classes: usize) -> Vec<Tensor> {
        vec![heads::vectors(dims, classes)]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        let sizes = [embeddings.batch.rows(), embeddings.classes, Self::TERMS.len()];
        let shape = MarginSoftmaxShape::new(sizes, self.scale, self.margin, 0.0, 0.0);
        heads::softmax(builder, embeddings, Self::UNIT, shape)
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        heads::ailment(stretch)
    }
}
