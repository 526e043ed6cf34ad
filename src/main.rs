//! The program: runs a command, prints an error and its hint.
//!
//! Exit codes: 0 done, 1 a check failed or some pictures could not be used, 2 wrong use or environment, 3 a training
//! ended by `--stop-on` (and saved), 130 interrupted (and saved; a service ends with 0).

/// Words on stderr, see [`outcome::say`].
macro_rules! say {
    ($($words:tt)*) => { crate::outcome::say(format_args!($($words)*)) };
}

mod cli;
mod outcome;
mod report;
mod serve;

use std::process::ExitCode;

use outcome::Failure;

fn main() -> ExitCode {
    cli::Cli::from_arguments().and_then(cli::Cli::run).unwrap_or_else(Failure::tell)
}
