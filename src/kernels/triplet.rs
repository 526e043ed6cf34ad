//! The triplet loss of anchor, positive and negative rows, and its gradient.
//!
//! Schroff, Kalenichenko & Philbin, *FaceNet: A Unified Embedding for Face Recognition and Clustering*, 2015, equation
//! 3, averaged over the batch.

use std::ops::Range;

use super::{shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Fill, Io, Kernel, Routine, Shader, Tolerance, Work, shape};

/// Columns of the terms that a loss makes for each row of a batch, as `shaders/lib/loss_terms.wgsl` and
/// `shaders/lib/triplet_terms.wgsl` have them: those that every loss begins with, then those of the triplet loss.
pub mod terms {
    /// Sum of what is in the mean that is the loss.
    pub const COST: usize = 0;
    /// How many are in it.
    pub const COUNT: usize = 1;
    /// Number of active triplets, those that violate the margin.
    pub const ACTIVE: usize = 2;
    /// Sum of distances of anchor and positive.
    pub const D_AP: usize = 3;
    /// Sum of distances of anchor and negative.
    pub const D_AN: usize = 4;
    /// Columns of the triplet loss.
    pub const TRIPLET: usize = 5;
}

/// What a triplet costs at x = d_ap - d_an, and the slope of that; see `shaders/lib/penalty.wgsl`.
pub(crate) fn penalty<R: Real>(x: R, margin: f32, sharpness: f32) -> (R, R) {
    let [zero, one] = [0.0, 1.0].map(R::of);
    if sharpness > 0.0 {
        let sharpness = R::of(f64::from(sharpness));
        let z = sharpness * x;
        let small = (-z.max(-z)).exp();
        let slope = if x > zero { one } else { small } / (one + small);
        return (x.max(zero) + (one + small).ln() / sharpness, slope);
    }
    let violation = x + R::of(f64::from(margin));
    (violation.max(zero), if violation > zero { one } else { zero })
}

/// Why the loss may be farther off where the margin is soft.
pub(crate) const SOFT: &str = "WGSL grants exp an error of 3 + 2·|z| ulp, and log an absolute one of 2⁻²¹ near 1";

/// Why the loss may be farther off than a sum.
const DIFFERENCE: &str = "the cost is a difference of two distances: it has the errors of both";

shape! {
    /// Triplets of embeddings: `[anchors, positives, negatives]`, `triplets` rows each.
    pub struct TripletShape {
        /// Triplets.
        triplets: usize,
        /// Values of an embedding.
        dims: usize,
        /// How much farther the negative must be than the positive; 0 for a soft margin.
        margin: f32,
        /// Of a soft margin; 0 for a hinge.
        sharpness: f32,
        /// Factor on the sum of squared differences: 1, or 1/dims for their mean.
        scale: f32,
    }
}

impl TripletShape {
    fn values(&self) -> usize {
        3 * self.triplets * self.dims
    }

    fn awkward() -> Vec<TripletShape> {
        [
            (1, 1, 0.2, 0.0, 1.0),
            (5, 7, 1.0, 0.0, 1.0),
            (65, 64, 0.2, 0.0, 1.0 / 64.0),
            (130, 33, 5.0, 0.0, 1.0),
            (7, 5, 0.0, 1.0, 1.0),
            (70, 16, 0.0, 10.0, 1.0 / 16.0),
        ]
        .into_iter()
        .map(|(triplets, dims, margin, sharpness, scale)| TripletShape { triplets, dims, margin, sharpness, scale })
        .collect()
    }
}

type A = Arg<TripletShape>;

/// See `shaders/triplet.wgsl`.
pub struct Triplet;

impl Kernel for Triplet {
    type Shape = TripletShape;
    const NAME: &'static str = "triplet";
    const ARGS: &'static [A] = &[
        A::read("e", TripletShape::values),
        A::write("terms", |s| terms::TRIPLET * s.triplets).columns(|_| terms::TRIPLET),
    ];
    const SHADERS: &'static [Shader<TripletShape>] =
        &[shader!("triplet", ["penalty", "loss_terms", "triplet_terms"], |s| threads(s.triplets))];
    const ROUTINES: &'static [Routine<TripletShape>] = &[];

    fn rows(s: &TripletShape) -> usize {
        s.triplets
    }

    #[inline(always)]
    fn reference<R: Real>(s: &TripletShape, rows: Range<usize>, io: &mut Io<R>) {
        let (e, terms) = (io.read("e"), io.write("terms"));
        let row = |n: usize| &e[n * s.dims..][..s.dims];
        let distance =
            |a: &[R], b: &[R]| R::of(f64::from(s.scale)) * a.iter().zip(b).map(|(&a, &b)| (a - b) * (a - b)).sum::<R>();
        for (t, terms) in rows.zip(terms.chunks_mut(terms::TRIPLET)) {
            let ap = distance(row(t), row(s.triplets + t));
            let an = distance(row(t), row(2 * s.triplets + t));
            let (cost, _) = penalty(ap - an, s.margin, s.sharpness);
            let active = ap - an + R::of(f64::from(s.margin)) > R::of(0.0);
            terms.copy_from_slice(&[cost, R::of(1.0), R::of(f64::from(u8::from(active))), ap, an]);
        }
    }

    fn cases() -> Vec<TripletShape> {
        TripletShape::awkward()
    }

    fn work(s: &TripletShape) -> Work {
        Work { flops: 2 * s.values() as u64, bytes: 4 * (s.values() + terms::TRIPLET * s.triplets) as u64 }
    }

    fn tolerance(s: &TripletShape) -> Tolerance {
        Tolerance::widened(s.dims, 4.0, if s.sharpness > 0.0 { SOFT } else { DIFFERENCE })
    }
}

/// See `shaders/triplet_dx.wgsl`.
pub struct TripletDx;

impl Kernel for TripletDx {
    type Shape = TripletShape;
    const NAME: &'static str = "triplet_dx";
    const ARGS: &'static [A] = &[
        A::read("e", TripletShape::values),
        A::read("terms", |s| terms::TRIPLET * s.triplets).fill(Fill::Coarse),
        A::write("de", TripletShape::values),
    ];
    const SHADERS: &'static [Shader<TripletShape>] =
        &[shader!("triplet_dx", ["penalty", "triplet_terms"], |s| threads(s.values()))];
    const ROUTINES: &'static [Routine<TripletShape>] = &[];

    fn rows(s: &TripletShape) -> usize {
        3 * s.triplets
    }

    #[inline(always)]
    fn reference<R: Real>(s: &TripletShape, rows: Range<usize>, io: &mut Io<R>) {
        let (e, terms, de) = (io.read("e"), io.read("terms"), io.write("de"));
        for (row, de) in rows.zip(de.chunks_mut(s.dims)) {
            let (branch, t) = (row / s.triplets, row % s.triplets);
            let terms = &terms[terms::TRIPLET * t..];
            let (_, slope) = penalty(terms[terms::D_AP] - terms[terms::D_AN], s.margin, s.sharpness);
            let f = R::of(2.0 * f64::from(s.scale) / s.triplets as f64) * slope;
            for (d, de) in de.iter_mut().enumerate() {
                let [a, p, n] = [0, 1, 2].map(|branch| e[(branch * s.triplets + t) * s.dims + d]);
                *de = f * [n - p, p - a, a - n][branch];
            }
        }
    }

    fn cases() -> Vec<TripletShape> {
        TripletShape::awkward()
    }

    fn work(s: &TripletShape) -> Work {
        Work { flops: 2 * s.values() as u64, bytes: 4 * (2 * s.values() + terms::TRIPLET * s.triplets) as u64 }
    }

    fn tolerance(s: &TripletShape) -> Tolerance {
        if s.sharpness > 0.0 { Tolerance::widened(3, 4.0, SOFT) } else { Tolerance::sum(3) }
    }
}
