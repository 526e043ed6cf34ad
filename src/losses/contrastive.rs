//! The contrastive loss, see [`Contrastive`].

use super::pairs::Pairs;
use super::{
    Ailment, Chart, Contrastive, Count, Distance, Embeddings, Lowered, Objective, Range, Setting, Settings, Stretch,
    Term, check, pairs,
};
use crate::error::Result;
use crate::kernels::{ContrastiveCount, ContrastivePairs, SumRows, SumRowsShape};
use crate::layers::Tensor;
use crate::plan::{Builder, Section};
use crate::sampler::Batch;

impl Objective for Contrastive {
    const NAME: &'static str = "contrastive";
    const ABOUT: &'static str = "positives nearer than a margin, negatives farther than another";
    const SETTINGS: &'static [Setting] = &[
        Setting {
            name: "positive",
            default: 0.0,
            range: Range::NotNegative,
            about: "the Euclidean distance within which positives should be",
        },
        Setting {
            name: "negative",
            default: 1.0,
            range: Range::Positive,
            about: "that beyond which negatives should be",
        },
    ];
    const UNIT: bool = false;
    const PAIRS: bool = true;
    const TERMS: &'static [Term] = pairs::SOME_ACTIVE;
    const CHARTS: &'static [Chart] = pairs::SOME_ACTIVE_CHARTS;

    fn cases() -> Vec<(Contrastive, Batch)> {
        pairs::cases([(0.0, 1.0), (0.3, 1.25)].map(|(positive, negative)| Contrastive { positive, negative }))
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

    fn of(settings: &Settings) -> Contrastive {
        let [positive, negative] = ["positive", "negative"].map(|name| settings.get(name));
        Contrastive { positive, negative }
    }

    fn settings(&self) -> Vec<(&'static str, f32)> {
        vec![("positive", self.positive), ("negative", self.negative)]
    }

    fn tensors(&self, _: usize, _: usize) -> Vec<Tensor> {
        vec![]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        pairs::gradient(builder, embeddings, Self::TERMS.len(), |builder, pairs, [weights, terms]| {
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
