//! A gallery that is asked: exactly, in memory, or by the index of a database.

use super::nearest::Nearest;
use super::{Answer, Gallery};
use crate::error::Result;

/// Embeddings that an index is judged by.
const SAMPLE: usize = 1000;

/// An embedding that may be near.
pub struct Candidate {
    /// Its place in the order of enrolment.
    pub row: u32,
    /// The place of its identity among [`Gallery::identities`].
    pub identity: u32,
    /// Itself.
    pub embedding: Vec<f32>,
}

/// What finds embeddings near a probe without looking at all.
pub trait Approximate {
    /// The `k` nearest, or nearly so, and the nearest one of a second identity.
    ///
    /// # Errors
    /// What the database says.
    fn near(&mut self, probe: &[f32], k: usize) -> Result<Vec<Candidate>>;
}

/// A gallery and what finds the nearest of its embeddings.
pub struct Search {
    /// The gallery; where an index finds, it holds no embeddings.
    pub gallery: Gallery,
    index: Option<Box<dyn Approximate>>,
}

impl Search {
    /// Compares each probe with every embedding.
    pub fn exact(gallery: Gallery) -> Search {
        Search { gallery, index: None }
    }

    /// Compares each probe with what an index finds; `gallery` needs no embeddings.
    pub fn approximate(gallery: Gallery, index: Box<dyn Approximate>) -> Search {
        Search { gallery, index: Some(index) }
    }

    /// [`Gallery::recognise_all`]; where an index finds, of what it finds, at distances that are exact.
    ///
    /// # Errors
    /// What the database says.
    ///
    /// # Panics
    /// As [`Gallery::recognise`].
    pub fn recognise_all(&mut self, probes: &[f32], k: usize) -> Result<Vec<Answer>> {
        let Search { gallery, index } = self;
        let Some(index) = index else { return Ok(gallery.recognise_all(probes, k)) };
        let probes = probes.chunks_exact(gallery.dims);
        probes.map(|probe| Ok(gallery.answer(&nearest(gallery, &mut **index, probe, k)?))).collect()
    }

    /// The share of embeddings whose nearest other one is found, of up to 1,000 of `whole`, the gallery with its
    /// embeddings; and of how many.
    ///
    /// # Errors
    /// As [`Search::recognise_all`].
    pub fn recall_at_1(&mut self, whole: &Gallery) -> Result<(f64, usize)> {
        let Search { gallery, index } = self;
        let rows = whole.identity.len();
        let Some(index) = index.as_mut().filter(|_| rows > 1) else { return Ok((1.0, 0)) };
        let asked = rows.min(SAMPLE);
        let rows = (0..asked).map(|place| place * rows / asked);
        let probes: Vec<f32> =
            rows.flat_map(|row| &whole.embeddings[row * whole.dims..][..whole.dims]).copied().collect();
        let mut right = 0;
        // The nearest is the embedding itself.
        for (probe, exact) in probes.chunks_exact(whole.dims).zip(whole.nearest(&probes, 2)) {
            let found = nearest(gallery, &mut **index, probe, 2)?;
            right += usize::from(found.embeddings.get(1).is_some_and(|found| found.0 <= exact.embeddings[1].0));
        }
        Ok((right as f64 / asked as f64, asked))
    }
}

/// What is nearest of what an index finds.
fn nearest(gallery: &Gallery, index: &mut dyn Approximate, probe: &[f32], k: usize) -> Result<Nearest> {
    let mut nearest = Nearest::new(k);
    for Candidate { row, identity, embedding } in index.near(probe, k)? {
        nearest.see(gallery.distance.between(probe, &embedding), row, identity);
    }
    Ok(nearest)
}
