//! Several programs, or threads, that train one network together: its ranks. What they compute does not depend on how
//! many they are: a step is cut into shares, which are part of the arithmetic, and who computes which is not.

pub mod model;
#[cfg(feature = "mpi")]
mod mpi;
mod threads;

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

#[cfg(feature = "mpi")]
pub use mpi::Mpi;
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

    /// Leaves, as all ranks do when nothing is left to be said; each goes on alone. A program that ends without having
    /// left has failed, and so have the others.
    fn leave(&mut self);

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

    fn leave(&mut self) {
        (**self).leave();
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

    fn leave(&mut self) {}
}

/// Makes sure that all ranks have the same of everything that is named.
///
/// # Errors
/// [`Error::Crew`] with the first rank that has something else than rank 0, and the name of what that is.
pub fn agree(crew: &mut dyn Crew, have: &[(&str, &[u8])]) -> Result<()> {
    let own: Vec<u8> = have.iter().flat_map(|(_, bytes)| Sha256::digest(bytes)).collect();
    let mut all = vec![0; own.len() * crew.ranks()];
    crew.gather(&own, &mut all)?;
    let first = own.len();
    for (rank, others) in all.chunks(own.len()).enumerate() {
        let digests = all[..first].chunks(32).zip(others.chunks(32));
        if let Some(((name, _), _)) = have.iter().zip(digests).find(|(_, (first, other))| first != other) {
            return Err(Error::Crew { rank, reason: format!("it has {name} than rank 0") });
        }
    }
    Ok(())
}

/// Whether so many ranks make the sum of so many shares to the bit, each having summed its own: ranks have a power of
/// two of them, or one has all.
pub fn divides(shares: usize, ranks: usize) -> bool {
    ranks == 1 || (ranks > 0 && shares.is_multiple_of(ranks) && (shares / ranks).is_power_of_two())
}

/// A sum of equally long rows of values, by halves: neighbours in pairs, round by round, an odd last one going up as it
/// is. So equally many rows side by side, a power of two of them, may be added first, by whomever, and the bits of the
/// sum of all are the same.
#[derive(Clone, Debug)]
pub struct Halves<R> {
    /// Sums, and of how many rows each is: powers of two, that fall.
    sums: Vec<(usize, R)>,
}

impl<R> Default for Halves<R> {
    fn default() -> Self {
        Halves { sums: Vec::new() }
    }
}

impl<R: AsRef<[f32]> + AsMut<[f32]>> Halves<R> {
    /// Takes in the next row.
    pub fn push(&mut self, row: R) {
        let mut own = (1, row);
        while let Some((rows, before)) = self.sums.pop_if(|(rows, _)| *rows == own.0) {
            own = (2 * rows, added(before, &own.1));
        }
        self.sums.push(own);
    }

    /// The sum of all rows, in place of one of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn sum(self) -> R {
        let sums = self.sums.into_iter().map(|(_, sum)| sum);
        sums.rev().reduce(|behind, before| added(before, &behind)).expect("a row")
    }
}

fn added<R: AsRef<[f32]> + AsMut<[f32]>>(mut a: R, b: &R) -> R {
    a.as_mut().iter_mut().zip(b.as_ref()).for_each(|(a, b)| *a += b);
    a
}

/// The sum of rows by [`Halves`].
///
/// # Panics
/// If there is none.
pub fn by_halves<R: AsRef<[f32]> + AsMut<[f32]>>(rows: impl IntoIterator<Item = R>) -> R {
    let mut halves = Halves::default();
    rows.into_iter().for_each(|row| halves.push(row));
    halves.sum()
}
