//! The supervised contrastive loss, see [`SupCon`].

use super::{
    Ailment, Chart, Count, Distance, Embeddings, Lowered, Objective, Range, Setting, Settings, Stretch, SupCon, Term,
    check, pairs,
};
use crate::error::Result;
use crate::kernels;
use crate::layers::Tensor;
use crate::plan::Builder;
use crate::sampler::Batch;

impl Objective for SupCon {
    const NAME: &'static str = "supcon";
    const ABOUT: &'static str = "a softmax over all pairs of an anchor (supervised contrastive)";
    const SETTINGS: &'static [Setting] = &[Setting {
        name: "temperature",
        default: 0.1,
        range: Range::Positive,
        about: "the lower, the more the nearest pairs decide",
    }];
    const UNIT: bool = true;
    const PAIRS: bool = true;
    const TERMS: &'static [Term] = pairs::ALL_ACTIVE;
    const CHARTS: &'static [Chart] = pairs::ALL_ACTIVE_CHARTS;

    fn cases() -> Vec<(SupCon, Batch)> {
        pairs::cases(<SupCon as kernels::PairLoss>::cases())
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

    fn of(settings: &Settings) -> SupCon {
        SupCon { temperature: settings.get("temperature") }
    }

    fn settings(&self) -> Vec<(&'static str, f32)> {
        vec![("temperature", self.temperature)]
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
