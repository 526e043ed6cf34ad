//! The supervised contrastive loss, see [`SupCon`].

use super::{Ailment, Embeddings, Family, Lowered, Objective, Range, Stretch, pairs, settings};
use crate::kernels::{PairLoss, SupCon};
use crate::plan::Builder;
use crate::sampler::Batch;

impl Objective for SupCon {
    const NAME: &'static str = "supcon";
    const ABOUT: &'static str = "a softmax over all pairs of an anchor (supervised contrastive)";
    const FAMILY: Family = pairs::ALL_ACTIVE;
    const UNIT: bool = true;

    settings! {
        temperature = 0.1 in Range::Within(1e-3, 1e3), "the lower, the more the nearest pairs decide";
    }

    fn cases() -> Vec<(SupCon, Batch)> {
        pairs::cases(PairLoss::cases())
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        pairs::lower(*self, builder, embeddings)
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        pairs::ailment(stretch, 1.0)
    }
}
