//! Everything that reads from outside, against what nobody would write: whole files with their structure changed, texts
//! of all kinds. What is refused must be refused by an error that names the file; what is read is then used. Nothing
//! may panic, take more memory than its kind of file can need, or hang.
//!
//! A trial is a target: a reader, its seeds, and the changes made to them (`mutate.rs`). Each runs for a second or two.
//!
//! ```sh
//! cargo test --test fuzz                                  # as in CI
//! FUZZ_CASES=500000 cargo test --test fuzz png            # one target for long
//! FUZZ_SEED=7 cargo test --test fuzz                      # other cases
//! FUZZ_CASE=123 cargo test --test fuzz -- --exact png     # one case again, with a backtrace; its files are kept
//! ```

#[path = "../common/mod.rs"]
mod common;
mod files;
mod harness;
mod mutate;
mod pictures;
#[path = "../common/program.rs"]
mod program;
mod runs;
mod texts;

use libtest_mimic::Arguments;

fn main() {
    let mut arguments = Arguments::from_args();
    // Memory is counted for the whole program.
    arguments.test_threads = Some(1);
    harness::watch();
    let trials = [files::trials(), pictures::trials(), texts::trials(), runs::trials()].into_iter().flatten().collect();
    libtest_mimic::run(&arguments, trials).exit();
}
