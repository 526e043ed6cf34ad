//! Losses on the pairs of a batch's rows with references, which are the rows themselves or others: what each says of
//! an anchor and all its pairs, and the [kernel](Pairwise) that all of them share.
//!
//! A loss sees the embeddings through their squared distances d alone, so that its gradient is a sum over pairs: a
//! kernel writes w = ∂cost/∂d of every pair, and [`MineDx`](super::MineDx) makes the gradient of that. Of rows of
//! length 1 the cosine is s = 1 - d/2, which is what most of these losses are written in.
//!
//! To add one: `shaders/<name>.wgsl`, a file here beside this one with its settings and their [`PairLoss`], and
//! `Pairwise<Settings>` in the `kernels!` list.

use std::marker::PhantomData;
use std::ops::Range;

use super::routines::exp::exp;
use super::terms::{COST, COUNT};
use crate::host::{Real, vectorised};
use crate::kernel::{Arg, Constants, Fill, Io, Kernel, Registered, Routine, Shader, Tolerance, Work};

/// Columns of the terms of a loss on pairs behind those of every loss, as `shaders/lib/pairs.wgsl` has them.
pub mod pair_terms {
    /// Sum of the squared distances of anchor and positives.
    pub const D_AP: usize = 2;
    /// Sum of the squared distances of anchor and negatives.
    pub const D_AN: usize = 3;
    /// Number of pairs that have a weight, of losses in which not all do.
    pub const ACTIVE: usize = 4;
    /// Columns of a loss in which all have.
    pub const ALL_ACTIVE: usize = 4;
    /// Columns of a loss in which not all have.
    pub const SOME_ACTIVE: usize = 5;
}

/// Why the loss may be farther off than a sum.
pub(super) const EXPONENTIAL: &str =
    "an exponential has the absolute error of its argument as a relative one, a logarithm near 1 one of 2⁻²¹";

/// The label of a reference that is not there yet, as `shaders/lib/pairs.wgsl` has it.
pub const EMPTY: u32 = u32::MAX;

/// Rows of a batch, the references they are paired with, and the settings of a loss on the pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct PairsShape<S> {
    /// Rows, each the anchor of its pairs.
    pub queries: usize,
    /// References.
    pub references: usize,
    /// Whether the references are the queries themselves: then no row is paired with itself.
    pub itself: bool,
    /// The settings.
    pub settings: S,
}

impl<S: 'static> PairsShape<S> {
    pub(super) const DISTANCE: Arg<Self> = Arg::read("distance", Self::pairs).fill(Fill::Uniform(0.0, 4.0));
    pub(super) const LABELS: Arg<Self> = Arg::read("labels", |s: &Self| s.queries).below(|_| 3);
    pub(super) const REFERENCE_LABELS: Arg<Self> = Arg::read("reference_labels", |s: &Self| s.references).below(|_| 3);
    /// Derivatives of the cost by the distances.
    pub(super) const WEIGHTS: Arg<Self> = Arg::write("w", Self::pairs);

    /// Pairs, those of a row with itself included.
    pub fn pairs(&self) -> usize {
        self.queries * self.references
    }

    /// Awkward sizes with each of some settings.
    pub(super) fn awkward(settings: Vec<S>) -> Vec<PairsShape<S>>
    where
        S: Clone,
    {
        let sizes = [(2, 2, true), (5, 7, false), (33, 33, true), (1, 130, false), (70, 70, true), (128, 128, true)];
        let shape = |settings: &S| {
            let settings = settings.clone();
            sizes.map(|(queries, references, itself)| PairsShape {
                queries,
                references,
                itself,
                settings: settings.clone(),
            })
        };
        settings.iter().flat_map(shape).collect()
    }

    /// The references of anchor `a` as (place, whether it is a positive).
    pub(super) fn related(&self, a: usize, labels: &[u32], references: &[u32]) -> impl Iterator<Item = (usize, bool)> {
        let is_pair = move |j: &usize| !(self.itself && *j == a) && references[*j] != EMPTY;
        (0..self.references).filter(is_pair).map(move |j| (j, labels[a] == references[j]))
    }
}

impl<S: Constants> Constants for PairsShape<S> {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let itself = f64::from(u8::from(self.itself));
        let sizes = [("queries", self.queries as f64), ("references", self.references as f64), ("itself", itself)];
        sizes.into_iter().chain(self.settings.constants()).collect()
    }
}

/// What a loss says of an anchor.
pub struct Anchor<R> {
    /// Its part of the sum that is in the loss.
    pub cost: R,
    /// How much it counts in that.
    pub count: R,
    /// How many of its pairs have a weight.
    pub active: usize,
}

impl<R: Real> Anchor<R> {
    /// One that teaches nothing: takes all weights away.
    pub(super) fn idle(count: usize, positives: &mut [R], negatives: &mut [R]) -> Anchor<R> {
        positives.fill(R::default());
        negatives.fill(R::default());
        Anchor { cost: R::default(), count: R::of(count as f64), active: 0 }
    }
}

/// A loss on pairs, by its settings.
pub trait PairLoss: Constants + PartialEq {
    /// See [`Kernel::NAME`].
    const NAME: &'static str;
    /// See [`Kernel::SHADERS`].
    const SHADERS: &'static [Shader<PairsShape<Self>>];
    /// [Columns](pair_terms) of its terms.
    const COLUMNS: usize;
    /// The settings that tests run.
    fn cases() -> Vec<Self>;
    /// What the pairs of one anchor cost. Takes the squared distances to its positives and to its negatives, and puts
    /// in their place the derivatives of [`cost`](Anchor::cost) by them. `exp` is the exponential.
    fn anchor<R: Real>(&self, positives: &mut [R], negatives: &mut [R], exp: impl Fn(R) -> R) -> Anchor<R>;
    /// See [`Kernel::tolerance`].
    fn tolerance(&self, references: usize) -> Tolerance;
}

/// The kernel of a loss on pairs, one anchor a row. See its shader in `shaders/`.
pub struct Pairwise<L>(PhantomData<L>);

impl<L: PairLoss> Pairwise<L> {
    #[inline(always)]
    fn anchors<R: Real>(s: &PairsShape<L>, anchors: Range<usize>, io: &mut Io<R>, exp: impl Fn(R) -> R + Copy) {
        let (distance, w, terms) = (io.read("distance"), io.write("w"), io.write("terms"));
        let (labels, references) = (io.read_uint("labels"), io.read_uint("reference_labels"));
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for ((a, w), terms) in anchors.zip(w.chunks_mut(s.references)).zip(terms.chunks_mut(L::COLUMNS)) {
            positives.clear();
            negatives.clear();
            let distance = &distance[a * s.references..][..s.references];
            for (j, is_positive) in s.related(a, labels, references) {
                if is_positive { positives.push(distance[j]) } else { negatives.push(distance[j]) }
            }
            terms[pair_terms::D_AP] = sum(&positives);
            terms[pair_terms::D_AN] = sum(&negatives);
            let anchor = s.settings.anchor(&mut positives, &mut negatives, exp);
            terms[COST] = anchor.cost;
            terms[COUNT] = anchor.count;
            if L::COLUMNS > pair_terms::ACTIVE {
                terms[pair_terms::ACTIVE] = R::of(anchor.active as f64);
            }
            w.fill(R::default());
            let (mut positives, mut negatives) = (positives.iter(), negatives.iter());
            for (j, is_positive) in s.related(a, labels, references) {
                let next = if is_positive { positives.next() } else { negatives.next() };
                w[j] = *next.expect("as many as above");
            }
        }
    }
}

impl<L: PairLoss> Kernel for Pairwise<L>
where
    Pairwise<L>: Registered,
{
    type Shape = PairsShape<L>;
    const NAME: &'static str = L::NAME;
    const ARGS: &'static [Arg<PairsShape<L>>] = &[
        PairsShape::<L>::DISTANCE,
        PairsShape::<L>::LABELS,
        PairsShape::<L>::REFERENCE_LABELS,
        PairsShape::<L>::WEIGHTS,
        Arg::<PairsShape<L>>::write("terms", |s| L::COLUMNS * s.queries).columns(|_| L::COLUMNS),
    ];
    const SHADERS: &'static [Shader<PairsShape<L>>] = L::SHADERS;
    const ROUTINES: &'static [Routine<PairsShape<L>>] = &[Routine {
        name: "pairs.side_by_side",
        fits: |_| true,
        together: |_| 1,
        prepare: None,
        widen: 1.0,
        run: |s, anchors, io| {
            vectorised(
                #[inline(always)]
                || Self::anchors(s, anchors, io, exp),
            )
        },
    }];

    fn rows(s: &PairsShape<L>) -> usize {
        s.queries
    }

    #[inline(always)]
    fn reference<R: Real>(s: &PairsShape<L>, anchors: Range<usize>, io: &mut Io<R>) {
        Self::anchors(s, anchors, io, R::exp);
    }

    fn cases() -> Vec<PairsShape<L>> {
        PairsShape::awkward(L::cases())
    }

    fn work(s: &PairsShape<L>) -> Work {
        // Some eight operations a pair, of which an exponential is one.
        let numbers = 2 * s.pairs() + s.queries + s.references + L::COLUMNS * s.queries;
        Work { flops: 8 * s.pairs() as u64, bytes: 4 * numbers as u64 }
    }

    fn tolerance(s: &PairsShape<L>) -> Tolerance {
        s.settings.tolerance(s.references)
    }
}

/// Partial sums and the like that the compiler turns into vector code.
const LANES: usize = 8;

/// Joins the values, each of eight lanes by itself first.
#[inline(always)]
fn joined<R: Real>(values: &[R], start: R, join: impl Fn(R, R) -> R) -> R {
    let mut lanes = [start; LANES];
    let (chunks, last) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, value);
        }
    }
    let last = last.iter().fold(start, |own, &value| join(own, value));
    lanes.into_iter().fold(last, join)
}

/// The sum.
#[inline(always)]
pub(super) fn sum<R: Real>(values: &[R]) -> R {
    joined(values, R::default(), |a, b| a + b)
}

/// The largest; `None` of no values.
#[inline(always)]
pub(super) fn largest<R: Real>(values: &[R]) -> Option<R> {
    values.first().map(|&first| joined(values, first, |a, b| if b > a { b } else { a }))
}

/// The smallest; `None` of no values.
#[inline(always)]
pub(super) fn smallest<R: Real>(values: &[R]) -> Option<R> {
    values.first().map(|&first| joined(values, first, |a, b| if b < a { b } else { a }))
}

/// `ln(1 + e^u)` and its slope.
#[inline(always)]
pub(super) fn softplus<R: Real>(u: R, exp: impl Fn(R) -> R) -> (R, R) {
    let one = R::of(1.0);
    // Only of numbers below 0 is the exponential taken, so that it cannot overflow.
    let small = exp(-u.max(-u));
    let slope = if u > R::default() { one } else { small } / (one + small);
    (u.max(R::default()) + (one + small).ln(), slope)
}
