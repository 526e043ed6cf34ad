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
