//! What layers and their kernels compute: against finite differences, against PyTorch, and exported, in an engine of
//! other people.

#[path = "../common/mod.rs"]
mod common;
mod golden;
mod gradients;
mod onnx;
#[path = "../common/reference.rs"]
mod reference;
