//! Supervised contrastive: a softmax over all pairs of an anchor, of which each positive should have its part.
//!
//! Khosla et al., *Supervised Contrastive Learning*, 2020, equation 2.

use super::pairs::{Anchor, EXPONENTIAL, PairLoss, PairsShape, pair_terms, smallest, sum};
use super::shader;
use crate::host::Real;
use crate::kernel::{Shader, Tolerance, shape};

shape! {
    /// Per anchor the mean over its positives of -ln(e^(s/t) / Σ e^(s/t)), the sum over all its pairs, s the cosine;
    /// the mean over the anchors with positives and negatives.
    #[derive(Copy)]
    pub struct SupCon {
        /// t: the lower, the more the nearest pairs decide.
        temperature: f32,
    }
}

impl PairLoss for SupCon {
    const NAME: &'static str = "supcon";
    const SHADERS: &'static [Shader<PairsShape<Self>>] =
        &[shader!("supcon", ["pairs", "tree", "loss_terms"], |s| s.queries)];
    const COLUMNS: usize = pair_terms::ALL_ACTIVE;

    fn cases() -> Vec<SupCon> {
        [0.1, 1.0].map(|temperature| SupCon { temperature }).into()
    }

    #[inline(always)]
    fn anchor<R: Real>(&self, positives: &mut [R], negatives: &mut [R], exp: impl Fn(R) -> R) -> Anchor<R> {
        let (Some(positive), Some(negative)) = (smallest(positives), smallest(negatives)) else {
            return Anchor::idle(0, positives, negatives);
        };
        let nearest = -(-positive).max(-negative);
        // The cosine by the temperature falls by this with the squared distance.
        let slope = R::of(0.5 / f64::from(self.temperature));
        let share = R::of(1.0 / positives.len() as f64);
        let mean = slope * (share * sum(positives) - nearest);
        positives.iter_mut().chain(negatives.iter_mut()).for_each(|d| *d = exp(slope * (nearest - *d)));
        let all = sum(positives) + sum(negatives);
        let factor = slope / all;
        positives.iter_mut().for_each(|e| *e = slope * share - factor * *e);
        negatives.iter_mut().for_each(|e| *e = -(factor * *e));
        Anchor { cost: all.ln() + mean, count: R::of(1.0), active: positives.len() + negatives.len() }
    }

    fn tolerance(&self, references: usize) -> Tolerance {
        Tolerance::widened(references, 16.0, EXPONENTIAL)
    }
}
