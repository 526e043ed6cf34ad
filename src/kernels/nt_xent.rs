//! Normalised temperature-scaled cross entropy: each positive by itself against all negatives of its anchor.
//!
//! Chen, Kornblith, Norouzi & Hinton, *A Simple Framework for Contrastive Learning of Visual Representations*, 2020,
//! equation 1; with temperature 1 the N-pair loss of Sohn, *Improved Deep Metric Learning with Multi-class N-pair Loss
//! Objective*, 2016, on rows of length 1.

use super::pairs::{Anchor, EXPONENTIAL, PairLoss, PairsShape, pair_terms, smallest, softplus, sum};
use super::shader;
use crate::host::Real;
use crate::kernel::{Shader, Tolerance, shape};

shape! {
    /// Per anchor and positive -ln(e^(s/t) / (e^(s/t) + Σ e^(s/t))), the sum over the negatives of the anchor, s the
    /// cosine; the mean over all such pairs.
    #[derive(Copy)]
    pub struct NtXent {
        /// t: the lower, the more the nearest negatives decide.
        temperature: f32,
    }
}

impl PairLoss for NtXent {
    const NAME: &'static str = "nt_xent";
    const SHADERS: &'static [Shader<PairsShape<Self>>] =
        &[shader!("nt_xent", ["pairs", "tree", "loss_terms"], |s| s.queries)];
    const COLUMNS: usize = pair_terms::ALL_ACTIVE;

    fn cases() -> Vec<NtXent> {
        [0.07, 1.0].map(|temperature| NtXent { temperature }).into()
    }

    #[inline(always)]
    fn anchor<R: Real>(&self, positives: &mut [R], negatives: &mut [R], exp: impl Fn(R) -> R) -> Anchor<R> {
        let Some(nearest) = smallest(negatives) else { return Anchor::idle(positives.len(), positives, negatives) };
        // The cosine by the temperature falls by this with the squared distance.
        let slope = R::of(0.5 / f64::from(self.temperature));
        negatives.iter_mut().for_each(|d| *d = exp(slope * (nearest - *d)));
        let all = sum(negatives);
        let log = all.ln();
        let (mut cost, mut slopes) = (R::default(), R::default());
        for p in positives.iter_mut() {
            let (own, own_slope) = softplus(log + slope * (*p - nearest), &exp);
            cost += own;
            slopes += own_slope;
            *p = slope * own_slope;
        }
        let factor = slope * slopes / all;
        negatives.iter_mut().for_each(|e| *e = -(factor * *e));
        Anchor { cost, count: R::of(positives.len() as f64), active: positives.len() + negatives.len() }
    }

    fn tolerance(&self, references: usize) -> Tolerance {
        Tolerance::widened(references, 16.0, EXPONENTIAL)
    }
}
