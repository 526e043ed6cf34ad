//! Runs of whole plans: training on both runners, and the choice among shaders.

#[path = "../common/mod.rs"]
mod common;
mod compatible;
mod crew;
mod finetune;
mod session;
mod train;
mod tune;
