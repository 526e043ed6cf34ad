//! The contrastive loss, see [`Contrastive`].

use super::pairs::Pairs;
use super::{Ailment, Embeddings, Family, Lowered, Objective, Range, Stretch, pairs, settings};
use crate::kernels::{Contrastive, ContrastiveCount, ContrastivePairs, SumRows, SumRowsShape};
use crate::plan::{Builder, Section};
use crate::sampler::Batch;

impl Objective for Contrastive {
    const NAME: &'static str = "contrastive";
    const ABOUT: &'static str = "positives nearer than a margin, negatives farther than another";
    const FAMILY: Family = pairs::SOME_ACTIVE;
    const UNIT: bool = false;

    settings! {
        positive = 0.0 in Range::NotNegative, "the Euclidean distance within which positives should be";
        negative = 1.0 in Range::Positive, "that beyond which negatives should be";
    }

    fn cases() -> Vec<(Contrastive, Batch)> {
        pairs::cases([(0.0, 1.0), (0.3, 1.25)].map(|(positive, negative)| Contrastive { positive, negative }))
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        pairs::gradient(builder, embeddings, Self::FAMILY.terms.len(), |builder, pairs, [weights, terms]| {
            let Pairs { rows, distance, labels, reference_labels, .. } = *pairs;
            let [counts, counted] =
                [("counts", rows), ("counted", 1)].map(|(name, rows)| pairs.activation(builder, name, &[rows, 2]));
            let args = [distance, labels, reference_labels, counts];
            builder.call::<ContrastiveCount>(Section::Loss, pairs.shape(*self), &args);
            builder.call::<SumRows>(Section::Loss, SumRowsShape { rows, columns: 2, splits: 1 }, &[counts, counted]);
            let args = [distance, labels, reference_labels, counted, weights, terms];
            builder.call::<ContrastivePairs>(Section::Loss, pairs.shape(*self), &args);
        })
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        pairs::ailment(stretch, f64::from(self.negative).powi(2))
    }
}
