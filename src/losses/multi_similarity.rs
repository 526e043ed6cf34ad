//! The multi-similarity loss with its mining, see [`MultiSimilarity`].

use super::{
    Ailment, Chart, Count, Distance, Embeddings, Lowered, MultiSimilarity, Objective, Range, Setting, Settings,
    Stretch, Term, check, pairs,
};
use crate::error::Result;
use crate::kernels;
use crate::layers::Tensor;
use crate::plan::Builder;
use crate::sampler::Batch;

impl Objective for MultiSimilarity {
    const NAME: &'static str = "multi-similarity";
    const ABOUT: &'static str =
        "pairs of a batch that are hard beside the others, weighed by how hard (few images a label)";
    const SETTINGS: &'static [Setting] = &[
        Setting { name: "alpha", default: 2.0, range: Range::Positive, about: "how sharply positives are told apart" },
        Setting { name: "beta", default: 50.0, range: Range::Positive, about: "how sharply negatives are told apart" },
        Setting {
            name: "base",
            default: 0.5,
            range: Range::Within(-1.0, 1.0),
            about: "the cosine that parts positives from negatives",
        },
        Setting {
            name: "epsilon",
            default: 0.1,
            range: Range::Within(0.0, 2.0),
            about: "how far in cosine an easy pair may be mined",
        },
    ];
    const UNIT: bool = true;
    const PAIRS: bool = true;
    const TERMS: &'static [Term] = pairs::SOME_ACTIVE;
    const CHARTS: &'static [Chart] = pairs::SOME_ACTIVE_CHARTS;

    fn cases() -> Vec<(MultiSimilarity, Batch)> {
        pairs::cases(<MultiSimilarity as kernels::PairLoss>::cases())
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

    fn of(settings: &Settings) -> MultiSimilarity {
        let [alpha, beta, base, epsilon] = ["alpha", "beta", "base", "epsilon"].map(|name| settings.get(name));
        MultiSimilarity { alpha, beta, base, epsilon }
    }

    fn settings(&self) -> Vec<(&'static str, f32)> {
        vec![("alpha", self.alpha), ("beta", self.beta), ("base", self.base), ("epsilon", self.epsilon)]
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
