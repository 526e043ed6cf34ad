//! What executes a plan.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::host::Array;
use crate::kernel::At;
use crate::plan::{Plan, SlotId};

/// Values that the host hands to a slot.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Real numbers.
    Float(&'a [f32]),
    /// Integers.
    Uint(&'a [u32]),
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Self {
        Values::Float(values)
    }
}

impl<'a> From<&'a [u32]> for Values<'a> {
    fn from(values: &'a [u32]) -> Self {
        Values::Uint(values)
    }
}

impl<'a> From<&'a Array> for Values<'a> {
    fn from(array: &'a Array) -> Self {
        match array {
            Array::Float(values) => Values::Float(values),
            Array::Uint(values) => Values::Uint(values),
        }
    }
}

/// Executes a plan. Writes, runs and reads take effect in the order in which they are called.
pub trait Runner: Sized {
    /// The plan it was made for.
    fn plan(&self) -> &Plan;

    /// Overwrites a slot.
    fn write<'a>(&mut self, slot: SlotId, values: impl Into<Values<'a>>) -> Result<()>;

    /// Overwrites the integers of a slot from place `start` on, and waits until they are there, so that what is on its
    /// way does not pile up where much is written piece by piece.
    fn write_part(&mut self, slot: SlotId, start: usize, values: &[u32]) -> Result<()>;

    /// Runs calls of the plan: [`Plan::all`], a [`Plan::section`], or a single one. May return before they are done.
    fn run(&mut self, calls: Range<usize>) -> Result<()>;

    /// Factor on the [tolerance](crate::kernel::Kernel::tolerance) of a call, by what runs it here.
    fn widen(&self, at: &At) -> f64;

    /// Runs calls one after the other and tells how long each took.
    fn profile(&mut self, calls: Range<usize>) -> Result<Vec<Duration>>;

    /// Reads a slot after all that was run.
    fn read(&mut self, slot: SlotId) -> Result<Array>;

    /// Takes a copy of a statistic slot as the runs so far leave it, to be collected later.
    fn snapshot(&mut self, slot: SlotId) -> Result<()>;

    /// Hands over the oldest snapshots, waiting for them, until no more than `keep` are outstanding.
    fn collect(&mut self, keep: usize) -> Result<Vec<Array>>;

    /// Whether its device is the host's processor, if by way of a driver.
    fn is_on_host(&self) -> bool;

    /// A runner of another plan on the same device. Slots with the same name and length, of a role that
    /// [is shared](crate::plan::Role::is_shared), are one: what one writes, the other sees.
    fn fork(&self, plan: Arc<Plan>) -> Result<Self>;
}
