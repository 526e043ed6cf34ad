//! The triplets of mined batches, those of one positive side by side.

use std::ops::Range;

use crate::host::vectorised;
use crate::kernel::Io;
use crate::kernels::{MineShape, terms};

/// Sums of one positive's triplets in interleaved partial sums, which the compiler turns into vector code.
struct Sums<const N: usize> {
    cost: [f32; N],
    counting: [f32; N],
    violating: [f32; N],
}

impl<const N: usize> Sums<N> {
    const ZERO: Sums<N> = Sums { cost: [0.0; N], counting: [0.0; N], violating: [0.0; N] };

    /// Adds the triplets of a hinge with the negatives at `distances`, and takes those that count from `weights`.
    #[inline(always)]
    fn add(&mut self, s: &MineShape, d_ap: f32, distances: &[f32; N], weights: &mut [f32; N]) {
        for lane in 0..N {
            let violation = d_ap - distances[lane] + s.margin;
            let violates = if violation > 0.0 { 1.0 } else { 0.0 };
            let is_hard = if s.semi_hard == 0 || distances[lane] > d_ap { 1.0 } else { 0.0 };
            let counts = violates * is_hard;
            self.cost[lane] += is_hard * violation.max(0.0);
            self.counting[lane] += counts;
            self.violating[lane] += violates;
            weights[lane] -= counts;
        }
    }

    /// Cost, number of triplets that count, number that violate the margin.
    fn totals(&self) -> [f32; 3] {
        [self.cost, self.counting, self.violating].map(|lanes| lanes.iter().sum())
    }
}

/// The sums over any number of negatives.
#[inline(always)]
fn triplets(s: &MineShape, d_ap: f32, distances: &[f32], weights: &mut [f32]) -> [f32; 3] {
    let (mut wide, mut single) = (Sums::<16>::ZERO, Sums::<1>::ZERO);
    let (distances, last) = distances.as_chunks();
    let (weights, last_weights) = weights.as_chunks_mut();
    for (distances, weights) in distances.iter().zip(weights) {
        wide.add(s, d_ap, distances, weights);
    }
    for (distance, weight) in last.iter().zip(last_weights) {
        single.add(s, d_ap, std::array::from_ref(distance), std::array::from_mut(weight));
    }
    let (wide, single) = (wide.totals(), single.totals());
    [0, 1, 2].map(|place| wide[place] + single[place])
}

/// Positive by positive, the negatives side by side.
pub(crate) fn side_by_side(s: &MineShape, anchors: Range<usize>, io: &mut Io<f32>) {
    let (distance, w, terms) = (io.read("distance"), io.write("w"), io.write("terms"));
    let rows = s.rows();
    w.fill(0.0);
    vectorised(
        #[inline(always)]
        || {
            for ((a, w), terms) in anchors.zip(w.chunks_mut(rows)).zip(terms.chunks_mut(terms::TRIPLET)) {
                let d: Vec<f32> = distance[a * rows..][..rows].iter().map(|&d| s.scale * d).collect();
                let own = a / s.images * s.images..(a / s.images + 1) * s.images;
                let mut sums = [0.0; 3];
                for p in own.clone().filter(|&p| p != a) {
                    let before = triplets(s, d[p], &d[..own.start], &mut w[..own.start]);
                    let behind = triplets(s, d[p], &d[own.end..], &mut w[own.end..]);
                    w[p] = before[1] + behind[1];
                    sums = [0, 1, 2].map(|place| sums[place] + before[place] + behind[place]);
                }
                let positives = d[own.clone()].iter().sum::<f32>() - d[a];
                let negatives = d[..own.start].iter().sum::<f32>() + d[own.end..].iter().sum::<f32>();
                terms.copy_from_slice(&[sums[0], sums[1], sums[2], positives, negatives]);
            }
        },
    );
}
