//! The normalised temperature-scaled cross entropy, see [`NtXent`].

use super::{Ailment, Embeddings, Family, Lowered, Objective, Range, Stretch, pairs, settings};
use crate::kernels::{NtXent, PairLoss};
use crate::plan::Builder;
use crate::sampler::Batch;

impl Objective for NtXent {
    const NAME: &'static str = "nt-xent";
    const ABOUT: &'static str = "each positive against all negatives of its anchor (SimCLR; N-pair with temperature 1)";
    const FAMILY: Family = pairs::ALL_ACTIVE;
    const UNIT: bool = true;

    settings! {
        temperature = 0.07 in Range::Within(1e-3, 1e3), "the lower, the more the nearest negatives decide";
    }

    fn cases() -> Vec<(NtXent, Batch)> {
        pairs::cases(PairLoss::cases())
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        pairs::lower(*self, builder, embeddings)
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        pairs::ailment(stretch, 1.0)
    }
}
