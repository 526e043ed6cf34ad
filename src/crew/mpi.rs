//! A crew of programs that `mpirun`, `srun` or another launcher of MPI started, on one machine or many.
//!
//! No sum is left to the MPI library, whose order is its own: values are passed on by it, and added here.

use std::sync::{Mutex, PoisonError};

use mpi::Threading;
use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use super::model::BLOCK;
use super::{Crew, by_halves};
use crate::error::Result;

/// Bytes that are handed on at once; MPI counts in `i32`.
const PIECE: usize = 1 << 30;

/// Bytes that are broadcast with their length.
const FEW: usize = 56;

/// What ends the part of this process in MPI when it is dropped. It waits for all ranks then: only who has done its
/// work may do so. A rank that leaves the process without makes the launcher end the others.
static UNIVERSE: Mutex<Option<Universe>> = Mutex::new(None);

/// One rank among the processes of an MPI job. MPI ends them all where one is gone, so nothing here is an error.
pub struct Mpi {
    rank: usize,
    ranks: usize,
    local: (usize, usize),
    /// Room for what the ranks have for this one to add.
    received: Vec<f32>,
}

impl Mpi {
    /// Joins the other processes of the job; the only one of a process that no launcher started.
    ///
    /// # Panics
    /// If this process has joined before, or MPI has no threads beside its own.
    pub fn join() -> Mpi {
        // Whoever holds the crew talks, whichever thread that is.
        let (universe, threading) =
            mpi::initialize_with_threading(Threading::Serialized).expect("a process joins once");
        assert!(threading >= Threading::Serialized, "the MPI library lets no thread but the first one talk");
        let world = universe.world();
        let (rank, ranks) = place(&world);
        let local = place(&world.split_shared(world.rank()));
        *UNIVERSE.lock().unwrap_or_else(PoisonError::into_inner) = Some(universe);
        Mpi { rank, ranks, local, received: Vec::new() }
    }

    /// Number of this rank among those of its machine, and how many they are.
    pub fn local(&self) -> (usize, usize) {
        self.local
    }

    /// As [`Crew::sum`], of values that fit the room.
    fn sum_block(&mut self, values: &mut [f32]) {
        // Each rank adds a piece of the values.
        let cut = |rank: usize| (values.len() * rank / self.ranks) as i32;
        let starts: Vec<i32> = (0..self.ranks).map(cut).collect();
        let counts: Vec<i32> = (0..self.ranks).map(|rank| cut(rank + 1) - cut(rank)).collect();
        let own = counts[self.rank];
        let own_counts = vec![own; self.ranks];
        let own_starts: Vec<i32> = (0..self.ranks as i32).map(|rank| rank * own).collect();
        let world = SimpleCommunicator::world();
        self.received.resize(own as usize * self.ranks, 0.0);
        let parts = Partition::new(&*values, &counts[..], &starts[..]);
        let mut received = PartitionMut::new(&mut self.received[..], own_counts, own_starts);
        world.all_to_all_varcount_into(&parts, &mut received);
        let sum = match own {
            0 => &[][..],
            own => &*by_halves(self.received.chunks_exact_mut(own as usize)),
        };
        world.all_gather_varcount_into(sum, &mut PartitionMut::new(values, &counts[..], &starts[..]));
    }
}

/// Rank and number of ranks.
fn place(world: &impl Communicator) -> (usize, usize) {
    (world.rank() as usize, world.size() as usize)
}

impl Crew for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn broadcast(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let world = SimpleCommunicator::world();
        let first = world.process_at_rank(0);
        // The length, and with it already the first bytes: few are one message.
        let few = bytes.len().min(FEW);
        let mut head = [0; 8 + FEW];
        head[..8].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        head[8..][..few].copy_from_slice(&bytes[..few]);
        first.broadcast_into(&mut head);
        bytes.resize(u64::from_le_bytes(head[..8].try_into().expect("eight bytes")) as usize, 0);
        let few = bytes.len().min(FEW);
        bytes[..few].copy_from_slice(&head[8..][..few]);
        bytes[few..].chunks_mut(PIECE).for_each(|piece| first.broadcast_into(piece));
        Ok(())
    }

    fn gather(&mut self, own: &[u8], all: &mut [u8]) -> Result<()> {
        let world = SimpleCommunicator::world();
        if all.len() <= PIECE {
            // MPI takes no buffer of nothing.
            if !own.is_empty() {
                world.all_gather_into(own, all);
            }
            return Ok(());
        }
        // Of each rank so much at a time that all of it is a piece.
        let (length, most) = (own.len(), PIECE / self.ranks);
        let mut piece = vec![0; most * self.ranks];
        for (start, own) in own.chunks(most).enumerate().map(|(place, own)| (place * most, own)) {
            let piece = &mut piece[..own.len() * self.ranks];
            world.all_gather_into(own, piece);
            for (all, part) in all.chunks_exact_mut(length).zip(piece.chunks_exact(own.len())) {
                all[start..start + own.len()].copy_from_slice(part);
            }
        }
        Ok(())
    }

    fn sum(&mut self, values: &mut [f32]) -> Result<()> {
        if self.ranks > 1 {
            values.chunks_mut(BLOCK).for_each(|block| self.sum_block(block));
        }
        Ok(())
    }

    fn leave(&mut self) {
        drop(UNIVERSE.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
