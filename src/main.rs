//! The program; see `siamese help`.

fn main() {}
