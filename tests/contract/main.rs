//! What the house holds itself to: registry and shaders agree, the comparison sees a mistake, and the source keeps the
//! rules of `src/lib.rs`.

#[path = "../common/mod.rs"]
mod common;
mod rows;
mod sabotage;
mod shaders;
mod tidy;
mod unrolled;
