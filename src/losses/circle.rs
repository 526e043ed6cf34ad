//! The circle loss, see [`Circle`].

use super::{
    Ailment, Chart, Circle, Count, Distance, Embeddings, Lowered, Objective, Range, Setting, Settings, Stretch, Term,
    check, pairs,
};
use crate::error::Result;
use crate::kernels;
use crate::layers::Tensor;
use crate::plan::Builder;
use crate::sampler::Batch;

impl Objective for Circle {
    const NAME: &'static str = "circle";
    const ABOUT: &'static str = "each pair weighed by how far its cosine is from where it should be";
    const SETTINGS: &'static [Setting] = &[
        Setting {
            name: "margin",
            default: 0.4,
            range: Range::Within(0.0, 1.0),
            about: "cosines: positives above 1 less this, negatives below it",
        },
        Setting { name: "scale", default: 80.0, range: Range::Positive, about: "how sharply pairs are told apart" },
    ];
    const UNIT: bool = true;
    const PAIRS: bool = true;
    const TERMS: &'static [Term] = pairs::SOME_ACTIVE;
    const CHARTS: &'static [Chart] = pairs::SOME_ACTIVE_CHARTS;

    fn cases() -> Vec<(Circle, Batch)> {
        pairs::cases(<Circle as kernels::PairLoss>::cases())
    }

    fn distance(&self) -> Distance {
        Distance::SquaredEuclidean
    }

    fn validate(&self) -> Result<()> {
        check(Self::NAME, Self::SETTINGS, &self.settings())
    }

    fn takes(&self, batch: &Batch) -> Result<()> {
        pairs::takes(Self::NAME, batch)
    }

    fn count(&self, batch: &Batch, of: Count) -> u64 {
        pairs::count(batch, of)
    }

    fn of(settings: &Settings) -> Circle {
        let [margin, scale] = ["margin", "scale"].map(|name| settings.get(name));
        Circle { margin, scale }
    }

    fn settings(&self) -> Vec<(&'static str, f32)> {
        vec![("margin", self.margin), ("scale", self.scale)]
    }

    fn tensors(&self, _: usize, _: usize) -> Vec<Tensor> {
        vec![]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        pairs::lower(*self, builder, embeddings)
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        pairs::ailment(stretch, 1.0)
    }
}
