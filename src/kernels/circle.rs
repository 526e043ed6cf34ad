//! Circle: each pair has a weight of its own by how far its cosine is from where it should be.
//!
//! Sun et al., *Circle Loss: A Unified Perspective of Pair Similarity Optimization*, 2020, equations 5 to 8.

use super::pairs::{Anchor, PairLoss, PairsShape, largest, pair_terms, softplus, sum};
use super::shader;
use crate::host::Real;
use crate::kernel::{Shader, Tolerance, shape};

shape! {
    /// Per anchor ln(1 + Σ e^(γ·a·(s-m)) · Σ e^(-γ·a·(s-1+m))), the first sum over negatives with a = max(s+m, 0), the
    /// second over positives with a = max(1+m-s, 0), s the cosine; the mean over the anchors with positives and
    /// negatives. For the gradient the weights a are constants, as the paper has them.
    #[derive(Copy)]
    pub struct Circle {
        /// m: positives should have a cosine above 1-m, negatives below m.
        margin: f32,
        /// γ: how sharply pairs are told apart.
        scale: f32,
    }
}

/// Why the loss may be farther off than a sum.
const EXPONENTS: &str = "exponents up to γ(1+m)² are subtracted, and an exponential has their absolute error as a \
                         relative one";

impl PairLoss for Circle {
    const NAME: &'static str = "circle";
    const SHADERS: &'static [Shader<PairsShape<Self>>] =
        &[shader!("circle", ["pairs", "tree", "loss_terms"], |s| s.queries)];
    const COLUMNS: usize = pair_terms::SOME_ACTIVE;

    fn cases() -> Vec<Circle> {
        [(0.4, 80.0), (0.25, 8.0)].map(|(margin, scale)| Circle { margin, scale }).into()
    }

    #[inline(always)]
    fn anchor<R: Real>(&self, positives: &mut [R], negatives: &mut [R], exp: impl Fn(R) -> R) -> Anchor<R> {
        if positives.is_empty() || negatives.is_empty() {
            return Anchor::idle(0, positives, negatives);
        }
        let [margin, scale] = [self.margin, self.scale].map(|setting| R::of(f64::from(setting)));
        let [zero, one, half] = [0.0, 1.0, 0.5].map(R::of);
        let cosine = |d: R| one - half * d;
        // γ times the weight of a pair.
        let of_positive = |s: R| scale * (one + margin - s).max(zero);
        let of_negative = |s: R| scale * (s + margin).max(zero);
        let weights: Vec<R> = (positives.iter().map(|&d| of_positive(cosine(d))))
            .chain(negatives.iter().map(|&d| of_negative(cosine(d))))
            .collect();
        let (weights_p, weights_n) = weights.split_at(positives.len());
        for (d, &weight) in positives.iter_mut().zip(weights_p) {
            *d = weight * (one - margin - cosine(*d));
        }
        for (d, &weight) in negatives.iter_mut().zip(weights_n) {
            *d = weight * (cosine(*d) - margin);
        }
        let top = |exponents: &[R]| largest(exponents).expect("there are some");
        let (top_p, top_n) = (top(positives), top(negatives));
        positives.iter_mut().for_each(|x| *x = exp(*x - top_p));
        negatives.iter_mut().for_each(|x| *x = exp(*x - top_n));
        let (sum_p, sum_n) = (sum(positives), sum(negatives));
        let (cost, slope) = softplus(sum_p.ln() + sum_n.ln() + top_p + top_n, exp);
        let (factor_p, factor_n) = (half * slope / sum_p, half * slope / sum_n);
        positives.iter_mut().zip(weights_p).for_each(|(e, &weight)| *e = factor_p * weight * *e);
        negatives.iter_mut().zip(weights_n).for_each(|(e, &weight)| *e = -(factor_n * weight * *e));
        Anchor { cost, count: one, active: weights.iter().filter(|&&weight| weight > zero).count() }
    }

    fn tolerance(&self, references: usize) -> Tolerance {
        let largest = f64::from(self.scale) * (1.0 + f64::from(self.margin)).powi(2);
        Tolerance::widened(references, 16.0_f64.max(largest), EXPONENTS)
    }
}
