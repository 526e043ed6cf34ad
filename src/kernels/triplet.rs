//! The triplet loss of anchor, positive and negative rows, and its gradient.
//!
//! Schroff, Kalenichenko & Philbin, *FaceNet: A Unified Embedding for Face Recognition and Clustering*, 2015, equation
//! 3, averaged over the batch.

use std::ops::Range;

use super::{read, read_as, shader, threads, write};
use crate::host::{Io, Real};
use crate::kernel::{Arg, Fill, Kernel, Shader, Tolerance, Work, shape};

shape! {
    /// Triplets of embeddings: `[anchors, positives, negatives]`, `triplets` rows each.
    pub struct TripletShape {
        /// Triplets.
        triplets: usize,
        /// Values of an embedding.
        dims: usize,
        /// How much farther the negative must be than the positive.
        margin: f32,
        /// Factor on the sum of squared differences: 1, or 1/dims for their mean.
        scale: f32,
    }
}

impl TripletShape {
    fn values(&self) -> usize {
        3 * self.triplets * self.dims
    }

    fn awkward() -> Vec<TripletShape> {
        [(1, 1, 0.2, 1.0), (5, 7, 1.0, 1.0), (65, 64, 0.2, 1.0 / 64.0), (130, 33, 5.0, 1.0)]
            .into_iter()
            .map(|(triplets, dims, margin, scale)| TripletShape { triplets, dims, margin, scale })
            .collect()
    }
}

/// See `shaders/triplet.wgsl`.
pub struct Triplet;

impl Kernel for Triplet {
    type Shape = TripletShape;
    const NAME: &'static str = "triplet";
    const ARGS: &'static [Arg<TripletShape>] = &[read("e", TripletShape::values), write("terms", |s| 4 * s.triplets)];
    const SHADERS: &'static [Shader<TripletShape>] = &[shader!("triplet", [], |s| threads(s.triplets))];

    fn rows(s: &TripletShape) -> usize {
        s.triplets
    }

    fn reference<R: Real>(s: &TripletShape, rows: Range<usize>, io: &mut Io<R>) {
        let (e, terms) = (io.read("e"), io.write("terms"));
        let row = |n: usize| &e[n * s.dims..][..s.dims];
        let distance =
            |a: &[R], b: &[R]| R::of(f64::from(s.scale)) * a.iter().zip(b).map(|(&a, &b)| (a - b) * (a - b)).sum::<R>();
        for (t, terms) in rows.zip(terms.chunks_mut(4)) {
            let ap = distance(row(t), row(s.triplets + t));
            let an = distance(row(t), row(2 * s.triplets + t));
            let violation = ap - an + R::of(f64::from(s.margin));
            let active = violation > R::of(0.0);
            terms.copy_from_slice(&[violation.max(R::of(0.0)), R::of(if active { 1.0 } else { 0.0 }), ap, an]);
        }
    }

    fn cases() -> Vec<TripletShape> {
        TripletShape::awkward()
    }

    fn work(s: &TripletShape) -> Work {
        Work { flops: 2 * s.values() as u64, bytes: 4 * (s.values() + 4 * s.triplets) as u64 }
    }

    fn tolerance(s: &TripletShape) -> Tolerance {
        Tolerance::sum(s.dims)
    }
}

/// See `shaders/triplet_dx.wgsl`.
pub struct TripletDx;

impl Kernel for TripletDx {
    type Shape = TripletShape;
    const NAME: &'static str = "triplet_dx";
    const ARGS: &'static [Arg<TripletShape>] = &[
        read("e", TripletShape::values),
        read_as("terms", |s| 4 * s.triplets, Fill::Rectified),
        write("de", TripletShape::values),
    ];
    const SHADERS: &'static [Shader<TripletShape>] = &[shader!("triplet_dx", [], |s| threads(s.values()))];

    fn rows(s: &TripletShape) -> usize {
        3 * s.triplets
    }

    fn reference<R: Real>(s: &TripletShape, rows: Range<usize>, io: &mut Io<R>) {
        let (e, terms, de) = (io.read("e"), io.read("terms"), io.write("de"));
        let f = R::of(2.0 * f64::from(s.scale) / s.triplets as f64);
        for (row, de) in rows.zip(de.chunks_mut(s.dims)) {
            let (branch, t) = (row / s.triplets, row % s.triplets);
            let active = terms[4 * t + 1] > R::of(0.0);
            for (d, de) in de.iter_mut().enumerate() {
                let [a, p, n] = [0, 1, 2].map(|branch| e[(branch * s.triplets + t) * s.dims + d]);
                let direction = [n - p, p - a, a - n][branch];
                *de = if active { f * direction } else { R::of(0.0) };
            }
        }
    }

    fn cases() -> Vec<TripletShape> {
        TripletShape::awkward()
    }

    fn work(s: &TripletShape) -> Work {
        Work { flops: 2 * s.values() as u64, bytes: 4 * (2 * s.values() + 4 * s.triplets) as u64 }
    }

    fn tolerance(_: &TripletShape) -> Tolerance {
        Tolerance::sum(3)
    }
}
