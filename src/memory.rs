//! How much memory the machine has to give, asked before much is taken: an allocation that fails ends a program without
//! a word.

use sysinfo::System;

use crate::error::{Error, Result};

/// Bytes that can be had: by what is free or can be freed, swap included, and by what a container is allowed.
pub fn available() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    let free = system.available_memory().saturating_add(system.free_swap());
    system.cgroup_limits().map_or(free, |limits| free.min(limits.total_memory))
}

/// Says whether `needed` bytes are [available]. `what` is what they are for.
///
/// # Errors
/// [`Error::Memory`] where they are not.
pub fn check(what: &str, needed: u64) -> Result<()> {
    let available = available();
    if needed <= available {
        return Ok(());
    }
    Err(Error::Memory { what: what.to_owned(), needed, available })
}
