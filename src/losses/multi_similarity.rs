//! The multi-similarity loss with its mining, see [`MultiSimilarity`].

use super::{Ailment, Embeddings, Family, Lowered, Objective, Range, SHARPNESS, Stretch, pairs, settings};
use crate::kernels::{MultiSimilarity, PairLoss};
use crate::plan::Builder;
use crate::sampler::Batch;

impl Objective for MultiSimilarity {
    const NAME: &'static str = "multi-similarity";
    const ABOUT: &'static str =
        "pairs of a batch that are hard beside the others, weighed by how hard (few images a label)";
    const FAMILY: Family = pairs::SOME_ACTIVE;
    const UNIT: bool = true;

    settings! {
        alpha = 2.0 in SHARPNESS, "how sharply positives are told apart";
        beta = 50.0 in SHARPNESS, "how sharply negatives are told apart";
        base = 0.5 in Range::Within(-1.0, 1.0), "the cosine that parts positives from negatives";
        epsilon = 0.1 in Range::Within(0.0, 2.0), "how far in cosine an easy pair may be mined";
    }

    fn cases() -> Vec<(MultiSimilarity, Batch)> {
        pairs::cases(PairLoss::cases())
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        pairs::lower(*self, builder, embeddings)
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        pairs::ailment(stretch, 1.0)
    }
}
