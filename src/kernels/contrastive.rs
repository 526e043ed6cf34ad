//! Contrastive: positives nearer than a margin, negatives farther than another, by Euclidean distances.
//!
//! Chopra, Hadsell & LeCun, *Learning a Similarity Metric Discriminatively, with Application to Face Verification*,
//! 2005, with distances as they are and a margin for positives too; the means are over the pairs beyond their margins,
//! as those of pytorch-metric-learning. They are over the whole batch, so that a first kernel counts.

use std::ops::Range;

use super::pairs::{PairsShape, pair_terms};
use super::shader;
use super::terms::{COST, COUNT};
use crate::host::Real;
use crate::kernel::{Arg, Fill, Io, Kernel, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// The mean of max(√d - positive, 0) over the positive pairs where it is above 0, and that of max(negative - √d, 0)
    /// over the negative pairs where it is.
    #[derive(Copy)]
    pub struct Contrastive {
        /// The Euclidean distance within which positives should be.
        positive: f32,
        /// That beyond which negatives should be.
        negative: f32,
    }
}

impl Contrastive {
    /// By how much a pair is beyond its margin, and the slope of that by the squared distance; of equal rows, which
    /// have no direction in which to part, 0.
    fn excess<R: Real>(&self, d: R, is_positive: bool) -> (R, R) {
        let [zero, half] = [0.0, 0.5].map(R::of);
        let root = d.sqrt();
        let (excess, sign) = if is_positive {
            (root - R::of(f64::from(self.positive)), half)
        } else {
            (R::of(f64::from(self.negative)) - root, -half)
        };
        (excess.max(zero), if excess > zero && root > zero { sign / root } else { zero })
    }

    fn awkward() -> Vec<PairsShape<Contrastive>> {
        PairsShape::awkward(
            [(0.0, 1.0), (0.5, 1.75)].map(|(positive, negative)| Contrastive { positive, negative }).into(),
        )
    }
}

/// How far an excess may be off beside the root that it is a difference of.
const DIFFERENCE: &str = "what a pair is beyond its margin is a difference of a root and the margin";

type S = PairsShape<Contrastive>;
type A = Arg<S>;

/// How many pairs are beyond their margins. See `shaders/contrastive_count.wgsl`.
pub struct ContrastiveCount;

impl Kernel for ContrastiveCount {
    type Shape = S;
    const NAME: &'static str = "contrastive_count";
    const ARGS: &'static [A] =
        &[S::DISTANCE, S::LABELS, S::REFERENCE_LABELS, A::write("counts", |s| 2 * s.queries).columns(|_| 2)];
    const SHADERS: &'static [Shader<S>] = &[shader!("contrastive_count", ["pairs", "tree", "excess"], |s| s.queries)];
    const ROUTINES: &'static [Routine<S>] = &[];

    fn rows(s: &S) -> usize {
        s.queries
    }

    #[inline(always)]
    fn reference<R: Real>(s: &S, anchors: Range<usize>, io: &mut Io<R>) {
        let (distance, counts) = (io.read("distance"), io.write("counts"));
        let (labels, references) = (io.read_uint("labels"), io.read_uint("reference_labels"));
        for (a, counts) in anchors.zip(counts.chunks_mut(2)) {
            counts.fill(R::default());
            for (j, is_positive) in s.related(a, labels, references) {
                let (excess, _) = s.settings.excess(distance[a * s.references + j], is_positive);
                if excess > R::default() {
                    counts[usize::from(!is_positive)] += R::of(1.0);
                }
            }
        }
    }

    fn cases() -> Vec<S> {
        Contrastive::awkward()
    }

    fn work(s: &S) -> Work {
        let numbers = s.pairs() + s.queries + s.references + 2 * s.queries;
        Work { flops: 3 * s.pairs() as u64, bytes: 4 * numbers as u64 }
    }

    fn tolerance(s: &S) -> Tolerance {
        Tolerance::sum(s.references)
    }
}

/// The loss, by the counts of the whole batch. See `shaders/contrastive.wgsl`.
pub struct ContrastivePairs;

impl Kernel for ContrastivePairs {
    type Shape = S;
    const NAME: &'static str = "contrastive";
    const ARGS: &'static [A] = &[
        S::DISTANCE,
        S::LABELS,
        S::REFERENCE_LABELS,
        A::read("counts", |_| 2).fill(Fill::Uniform(0.0, 100.0)),
        S::WEIGHTS,
        A::write("terms", |s| pair_terms::SOME_ACTIVE * s.queries).columns(|_| pair_terms::SOME_ACTIVE),
    ];
    const SHADERS: &'static [Shader<S>] =
        &[shader!("contrastive", ["pairs", "tree", "loss_terms", "excess"], |s| s.queries)];
    const ROUTINES: &'static [Routine<S>] = &[];

    fn rows(s: &S) -> usize {
        s.queries
    }

    #[inline(always)]
    fn reference<R: Real>(s: &S, anchors: Range<usize>, io: &mut Io<R>) {
        let (distance, counts, w, terms) = (io.read("distance"), io.read("counts"), io.write("w"), io.write("terms"));
        let (labels, references) = (io.read_uint("labels"), io.read_uint("reference_labels"));
        let one = R::of(1.0);
        let shares = [counts[0], counts[1]].map(|count| one / count.max(one));
        let rows = w.chunks_mut(s.references).zip(terms.chunks_mut(pair_terms::SOME_ACTIVE));
        for (a, (w, terms)) in anchors.zip(rows) {
            w.fill(R::default());
            terms.fill(R::default());
            // The costs of all anchors are parts of one, which the first counts.
            terms[COUNT] = R::of(f64::from(u8::from(a == 0)));
            for (j, is_positive) in s.related(a, labels, references) {
                let d = distance[a * s.references + j];
                let (excess, slope) = s.settings.excess(d, is_positive);
                let share = shares[usize::from(!is_positive)];
                w[j] = share * slope;
                terms[COST] += share * excess;
                terms[if is_positive { pair_terms::D_AP } else { pair_terms::D_AN }] += d;
                if excess > R::default() {
                    terms[pair_terms::ACTIVE] += one;
                }
            }
        }
    }

    fn cases() -> Vec<S> {
        Contrastive::awkward()
    }

    fn work(s: &S) -> Work {
        let numbers = 2 * s.pairs() + s.queries + s.references + pair_terms::SOME_ACTIVE * s.queries;
        Work { flops: 6 * s.pairs() as u64, bytes: 4 * numbers as u64 }
    }

    fn tolerance(s: &S) -> Tolerance {
        Tolerance::widened(s.references, 4.0, DIFFERENCE)
    }
}
