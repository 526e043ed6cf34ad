//! The library's rooms, one by one.

mod audit;
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod config;
mod crew;
mod data;
mod duplicates;
mod eval;
mod figures;
mod folders;
mod gallery;
mod heap;
mod lfw;
mod memory;
mod output;
mod pictures;
mod scaling;
mod store;
mod tensorboard;
mod vectors;
