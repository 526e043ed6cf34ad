//! Multi-similarity: pairs are mined by how they lie to the anchor's others, and weighed by that.
//!
//! Wang, Han, Huang, Dong & Scott, *Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning*, 2019,
//! equations 10 to 15.

use super::pairs::{Anchor, EXPONENTIAL, PairLoss, PairsShape, largest, pair_terms, smallest, sum};
use super::shader;
use crate::host::Real;
use crate::kernel::{Shader, Tolerance, shape};

shape! {
    /// Per anchor 1/α·ln(1 + Σ e^(-α(s-λ))) over mined positives, and 1/β·ln(1 + Σ e^(β(s-λ))) over mined negatives, s
    /// the cosine; the mean over all anchors. Mined are positives whose cosine is below that of the nearest negative
    /// and ε more, and negatives whose cosine is above that of the farthest positive less ε.
    #[derive(Copy)]
    pub struct MultiSimilarity {
        /// α: how sharply positives are told apart.
        alpha: f32,
        /// β: how sharply negatives are.
        beta: f32,
        /// λ: the cosine that positives should be above and negatives below.
        base: f32,
        /// ε of the mining.
        epsilon: f32,
    }
}

impl PairLoss for MultiSimilarity {
    const NAME: &'static str = "multi_similarity";
    const SHADERS: &'static [Shader<PairsShape<Self>>] =
        &[shader!("multi_similarity", ["pairs", "tree", "loss_terms"], |s| s.queries)];
    const COLUMNS: usize = pair_terms::SOME_ACTIVE;

    fn cases() -> Vec<MultiSimilarity> {
        vec![
            MultiSimilarity { alpha: 2.0, beta: 50.0, base: 0.5, epsilon: 0.1 },
            MultiSimilarity { alpha: 4.0, beta: 20.0, base: 0.75, epsilon: 0.02 },
        ]
    }

    #[inline(always)]
    fn anchor<R: Real>(&self, positives: &mut [R], negatives: &mut [R], exp: impl Fn(R) -> R) -> Anchor<R> {
        let [alpha, beta, base, epsilon] =
            [self.alpha, self.beta, self.base, self.epsilon].map(|setting| R::of(f64::from(setting)));
        let [one, two, half] = [1.0, 2.0, 0.5].map(R::of);
        let (far, near) = (largest(positives), smallest(negatives));
        let (Some(far), Some(near)) = (far, near) else { return Anchor::idle(1, positives, negatives) };
        if far + two * epsilon <= near {
            return Anchor::idle(1, positives, negatives);
        }
        // The distance of cosine λ; the largest exponents are there, or at the farthest positive and nearest negative.
        let edge = two * (one - base);
        let (mined_beyond, mined_below) = (near, far + two * epsilon);
        let (far, near) = (far.max(edge), -(-near).max(-edge));
        let (alpha_half, beta_half) = (half * alpha, half * beta);
        let mut active = 0;
        for p in positives.iter_mut() {
            let is_mined = *p + two * epsilon > mined_beyond;
            let e = exp(alpha_half * (*p - far));
            active += usize::from(is_mined);
            *p = if is_mined { e } else { R::default() };
        }
        for n in negatives.iter_mut() {
            let is_mined = *n < mined_below;
            let e = exp(beta_half * (near - *n));
            active += usize::from(is_mined);
            *n = if is_mined { e } else { R::default() };
        }
        let of_positives = exp(alpha_half * (edge - far)) + sum(positives);
        let of_negatives = exp(beta_half * (near - edge)) + sum(negatives);
        let cost = of_positives.ln() / alpha + half * (far - edge) + of_negatives.ln() / beta + half * (edge - near);
        let (of_positive, of_negative) = (half / of_positives, -half / of_negatives);
        positives.iter_mut().for_each(|p| *p = of_positive * *p);
        negatives.iter_mut().for_each(|n| *n = of_negative * *n);
        Anchor { cost, count: one, active }
    }

    fn tolerance(&self, references: usize) -> Tolerance {
        Tolerance::widened(references, 16.0, EXPONENTIAL)
    }
}
