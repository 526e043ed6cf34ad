//! A crew of threads of one program.

use std::sync::mpsc::{self, Receiver, Sender};

use super::{Crew, by_halves};
use crate::error::{Error, Result};

/// One rank of a [`crew`] of threads.
pub struct Threads {
    rank: usize,
    /// To each rank, and from each.
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
}

/// The ranks of a crew, each for a thread of its own. A rank that is dropped is an error for those that wait for it.
pub fn crew(ranks: usize) -> Vec<Threads> {
    let mut crew: Vec<Threads> = (0..ranks).map(|rank| Threads { rank, to: Vec::new(), from: Vec::new() }).collect();
    for to in 0..ranks {
        for from in 0..ranks {
            let (sender, receiver) = mpsc::channel();
            crew[from].to.push(sender);
            crew[to].from.push(receiver);
        }
    }
    crew
}

impl Threads {
    fn send(&self, rank: usize, bytes: &[u8]) -> Result<()> {
        self.to[rank].send(bytes.to_vec()).map_err(|_| gone(rank))
    }

    fn receive(&self, rank: usize) -> Result<Vec<u8>> {
        self.from[rank].recv().map_err(|_| gone(rank))
    }

    /// What every rank has, in their order.
    fn all(&self, own: &[u8]) -> Result<Vec<Vec<u8>>> {
        (0..self.to.len()).try_for_each(|rank| self.send(rank, own))?;
        (0..self.from.len()).map(|rank| self.receive(rank)).collect()
    }
}

fn gone(rank: usize) -> Error {
    Error::Crew { rank, reason: "it has ended".to_owned() }
}

impl Crew for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.to.len()
    }

    fn broadcast(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        if self.rank == 0 {
            return (1..self.to.len()).try_for_each(|rank| self.send(rank, bytes));
        }
        *bytes = self.receive(0)?;
        Ok(())
    }

    fn gather(&mut self, own: &[u8], all: &mut [u8]) -> Result<()> {
        all.copy_from_slice(&self.all(own)?.concat());
        Ok(())
    }

    fn sum(&mut self, values: &mut [f32]) -> Result<()> {
        let all = self.all(bytemuck::cast_slice(values))?;
        let rows = all.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes));
        values.copy_from_slice(&by_halves(rows));
        Ok(())
    }

    fn leave(&mut self) {}
}
