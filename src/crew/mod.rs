//! Several programs, or threads, that train one network together: its ranks. What they compute does not depend on how
//! many they are: a step is cut into shares, which are part of the arithmetic,
//! and who computes which is not.

mod threads;

use std::ops::Range;

use crate::error::Result;

pub use threads::{Threads, crew};

/// What the ranks of a run tell each other. All make the same calls in the same order, with values of equal lengths.
pub trait Crew {
    /// Number of this rank. The first, 0, is the one that leads.
    fn rank(&self) -> usize;

    /// How many there are.
    fn ranks(&self) -> usize;

    /// Hands everyone the bytes of rank 0, whatever was there before.
    ///
    /// # Errors
    /// [`Error::Crew`](crate::Error::Crew) where a rank is gone; likewise below.
    fn broadcast(&mut self, bytes: &mut Vec<u8>) -> Result<()>;

    /// Puts the bytes of all ranks side by side, in their order.
    fn gather(&mut self, own: &[u8], all: &mut [u8]) -> Result<()>;

    /// Makes `values` their [sum](by_halves) over all ranks, the same bits everywhere.
    fn sum(&mut self, values: &mut [f32]) -> Result<()>;

    /// The shares of a step that are this rank's, of so many.
    fn own(&self, shares: usize) -> Range<usize> {
        let own = shares / self.ranks();
        self.rank() * own..(self.rank() + 1) * own
    }
}

impl<C: Crew + ?Sized> Crew for Box<C> {
    fn rank(&self) -> usize {
        (**self).rank()
    }

    fn ranks(&self) -> usize {
        (**self).ranks()
    }

    fn broadcast(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        (**self).broadcast(bytes)
    }

    fn gather(&mut self, own: &[u8], all: &mut [u8]) -> Result<()> {
        (**self).gather(own, all)
    }

    fn sum(&mut self, values: &mut [f32]) -> Result<()> {
        (**self).sum(values)
    }
}

/// The one rank of a run that has no other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Crew for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn ranks(&self) -> usize {
        1
    }

    fn broadcast(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn gather(&mut self, own: &[u8], all: &mut [u8]) -> Result<()> {
        all.copy_from_slice(own);
        Ok(())
    }

    fn sum(&mut self, _: &mut [f32]) -> Result<()> {
        Ok(())
    }
}

/// Whether so many ranks make the sum of so many shares to the bit, each having summed its own: ranks have a power of
/// two of them, or one has all.
pub fn divides(shares: usize, ranks: usize) -> bool {
    ranks == 1 || (ranks > 0 && shares.is_multiple_of(ranks) && (shares / ranks).is_power_of_two())
}

/// Adds equally long rows of values, of which there is at least one: neighbours in pairs, round by round, an odd last
/// one going up as it is. So equally many rows side by side, a power of two of them, may be added first, by whomever,
/// and the bits of the sum of all are the same.
///
/// # Panics
/// If there is none.
pub fn by_halves(mut rows: Vec<Vec<f32>>) -> Vec<f32> {
    while rows.len() > 1 {
        let mut pairs = rows.into_iter();
        let mut sums = Vec::new();
        while let Some(mut sum) = pairs.next() {
            if let Some(other) = pairs.next() {
                sum.iter_mut().zip(&other).for_each(|(sum, other)| *sum += other);
            }
            sums.push(sum);
        }
        rows = sums;
    }
    rows.pop().expect("a row")
}
