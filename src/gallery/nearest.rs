//! What of a gallery is nearest to probes: exact, and at the speed of a matrix product.
//!
//! All distances are computed in panels, as the kernel `distances` does it. Those that may be among the least are
//! computed again, in the order that defines them, and only these count: answers do not depend on the processor.

use rayon::prelude::*;

use crate::kernels::routines::distances::each_panel;
use crate::losses::Distance;

/// Probes that the embeddings are read for at once: their values stay in the cache.
const TOGETHER: usize = 128;

/// Enrolled embeddings.
#[derive(Clone, Copy)]
pub(super) struct Enrolled<'a> {
    /// `[rows, dims]`.
    pub embeddings: &'a [f32],
    /// The number of the identity of each.
    pub identity: &'a [u32],
    pub dims: usize,
    pub distance: Distance,
}

/// What is nearest to a probe.
pub(super) struct Nearest {
    /// How many embeddings are wanted.
    pub k: usize,
    /// The nearest embeddings, at most `k` (distance, row, number of the identity); of equally near ones the first.
    pub embeddings: Vec<(f32, u32, u32)>,
    /// The nearest two identities (distance of the nearest embedding, number); of equally near ones the first.
    pub identities: [Option<(f32, u32)>; 2],
    /// Farther embeddings change nothing. In squared distances as panels have them.
    limit: f32,
}

impl Nearest {
    pub(super) fn new(k: usize) -> Nearest {
        Nearest { k, embeddings: Vec::with_capacity(k.min(1024) + 1), identities: [None; 2], limit: f32::INFINITY }
    }

    /// Takes note of an embedding.
    pub(super) fn see(&mut self, distance: f32, row: u32, identity: u32) {
        let is_nearer =
            |&(other, before, _): &(f32, u32, u32)| other.total_cmp(&distance).then(before.cmp(&row)).is_lt();
        let place = self.embeddings.partition_point(is_nearer);
        if place < self.k {
            self.embeddings.truncate(self.k - 1);
            self.embeddings.insert(place, (distance, row, identity));
        }
        let own = (distance, identity);
        let [first, second] = &mut self.identities;
        let beats = |other: &Option<(f32, u32)>| {
            other.is_none_or(|other| distance.total_cmp(&other.0).then(identity.cmp(&other.1)).is_lt())
        };
        match first {
            Some(first) if first.1 == identity => first.0 = first.0.min(distance),
            _ if beats(first) => {
                *second = *first;
                *first = Some(own);
            }
            _ if beats(second) => *second = Some(own),
            _ => {}
        }
    }

    /// The distance of what is farthest of all that counts yet; infinite where there is room for more.
    fn farthest(&self) -> f32 {
        let last = self.embeddings.get(self.k - 1).map_or(f32::INFINITY, |last| last.0);
        self.identities[1].map_or(f32::INFINITY, |second| second.0.max(last))
    }
}

impl Enrolled<'_> {
    /// What is nearest to each of `probes`, `[rows, dims]`: the two nearest identities and the `k` nearest embeddings.
    pub(super) fn nearest(self, probes: &[f32], k: usize) -> Vec<Nearest> {
        let tiles = probes.len().div_ceil(TOGETHER * self.dims).max(1);
        // Where there are fewer tiles of probes than threads, several share the embeddings of one.
        let parts = rayon::current_num_threads().div_ceil(tiles);
        let rows = self.identity.len().div_ceil(parts).max(1);
        let tile = |probes: &[f32]| {
            let parts = (0..self.identity.len()).into_par_iter().step_by(rows);
            let found: Vec<_> = parts.map(|first| self.scan(probes, k, first, rows)).collect();
            found.into_iter().reduce(|all, part| all.into_iter().zip(part).map(united).collect()).unwrap_or_default()
        };
        probes.par_chunks(TOGETHER * self.dims).flat_map_iter(tile).collect()
    }

    /// Of the `rows` embeddings from `first` on.
    fn scan(self, probes: &[f32], k: usize, first: usize, rows: usize) -> Vec<Nearest> {
        let mut found: Vec<Nearest> = probes.chunks(self.dims).map(|_| Nearest::new(k)).collect();
        let last = (first + rows).min(self.identity.len());
        let part = &self.embeddings[first * self.dims..last * self.dims];
        each_panel(
            probes,
            part,
            self.dims,
            #[inline(always)]
            |probe, start, distances| {
                let nearest = &mut found[probe];
                // Not-a-number is no farther.
                #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "as above")]
                let is_any = distances.iter().fold(false, |any, &distance| any | !(distance > nearest.limit));
                if is_any {
                    let probe = &probes[probe * self.dims..][..self.dims];
                    self.look(probe, nearest, first + start, distances);
                }
            },
        );
        found
    }

    /// Computes the distances of those embeddings from `first` on that may count.
    #[cold]
    fn look(self, probe: &[f32], nearest: &mut Nearest, first: usize, distances: &[f32]) {
        for (row, &distance) in (first..).zip(distances) {
            if distance > nearest.limit {
                continue;
            }
            let embedding = &self.embeddings[row * self.dims..][..self.dims];
            // As far as can be where it is not a number.
            let exact = f32::INFINITY.min(self.distance.between(probe, embedding));
            nearest.see(exact, row as u32, self.identity[row]);
            nearest.limit = self.widened(nearest.farthest());
        }
    }

    /// What a panel may have for an embedding at `distance` or nearer: sums of squares are off by half an ULP for each
    /// of their terms, and some for a term itself, on both sides.
    fn widened(self, distance: f32) -> f32 {
        let error = 4.0 * (self.dims as f32 + 4.0);
        distance / self.distance.scale(self.dims) * (1.0 + error * f32::EPSILON) + error * f32::MIN_POSITIVE
    }
}

/// What is nearest of two parts.
fn united((mut all, part): (Nearest, Nearest)) -> Nearest {
    part.embeddings.into_iter().for_each(|(distance, row, identity)| all.see(distance, row, identity));
    // An identity's nearest embedding need not be among the `k`.
    let k = std::mem::replace(&mut all.k, 0);
    part.identities.into_iter().flatten().for_each(|(distance, identity)| all.see(distance, 0, identity));
    Nearest { k, ..all }
}
