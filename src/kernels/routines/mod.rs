//! Routines of the host's processor: faster ways to what the references compute, where there are some. Each kernel's
//! stand in the file of its name; the others are what those are made of. A kernel lists its routines beside its
//! shaders.

pub(super) mod conv2d;
pub(super) mod dense;
pub(super) mod direct;
pub(crate) mod distances;
pub(super) mod exp;
pub(super) mod maxpool;
pub(super) mod mine;
mod narrow;
pub(crate) mod product;
mod unfold;
mod walk;
pub(super) mod winograd;

use std::ops::Range;

use crate::host::vectorised;
use crate::kernel::{Io, Kernel, Routine};

/// The routine that a kernel takes at a shape.
fn fastest<K: Kernel>(shape: &K::Shape) -> Option<&'static Routine<K::Shape>> {
    K::ROUTINES.iter().rfind(|routine| (routine.fits)(shape))
}

/// Computes output rows of a kernel inside another: by its routine, or its reference where there is none.
fn compute<K: Kernel>(shape: &K::Shape, rows: Range<usize>, io: &mut Io<f32>) {
    match fastest::<K>(shape) {
        Some(routine) => (routine.run)(shape, rows, io),
        None => vectorised(|| K::reference(shape, rows, io)),
    }
}
