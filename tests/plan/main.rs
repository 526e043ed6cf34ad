//! Plans: what their builder refuses, what they have in common, and that three branches are rows of one batch.

#[path = "../common/mod.rs"]
mod common;
mod heads;
mod losses;
mod plan;
mod siamese;
