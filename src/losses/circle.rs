//! The circle loss, see [`Circle`].

use super::{Ailment, Embeddings, Family, Lowered, Objective, Range, SHARPNESS, Stretch, pairs, settings};
use crate::kernels::{Circle, PairLoss};
use crate::plan::Builder;
use crate::sampler::Batch;

impl Objective for Circle {
    const NAME: &'static str = "circle";
    const ABOUT: &'static str = "each pair weighed by how far its cosine is from where it should be";
    const FAMILY: Family = pairs::SOME_ACTIVE;
    const UNIT: bool = true;

    settings! {
        margin = 0.4 in Range::Within(0.0, 1.0), "cosines: positives above 1 less this, negatives below it";
        scale = 80.0 in SHARPNESS, "how sharply pairs are told apart";
    }

    fn cases() -> Vec<(Circle, Batch)> {
        pairs::cases(PairLoss::cases())
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        pairs::lower(*self, builder, embeddings)
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        pairs::ailment(stretch, 1.0)
    }
}
