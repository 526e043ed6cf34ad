//! The program: runs a command, prints an error and its hint.
//!
//! Exit codes: 0 done, 1 a check failed or some pictures could not be used, 2 wrong use or environment, 130 interrupted
//! (and saved).

/// Words on stderr, see [`say`].
macro_rules! say {
    ($($words:tt)*) => { crate::say(format_args!($($words)*)) };
}

mod cli;
mod report;

use std::fmt::Arguments;
use std::io::Write;
use std::process::ExitCode;

use siamese::text::plain;

/// Lines on stderr, in which no name of a file or class speaks to the terminal. Where nobody can read them any more
/// nothing is lost.
fn say(words: Arguments) {
    let words = words.to_string();
    let lines: Vec<_> = words.split('\n').map(plain).collect();
    drop(writeln!(std::io::stderr(), "{}", lines.join("\n")));
}

fn main() -> ExitCode {
    match cli::Cli::from_arguments().and_then(cli::Cli::run) {
        Ok(code) => code,
        // Who reads the output has seen enough.
        Err(cli::Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(cli::Failure::Output(error)) => {
            say!("error: cannot write the output: {error}");
            ExitCode::from(2)
        }
        Err(cli::Failure::Library(error)) => {
            say!("error: {error}");
            if let Some(hint) = error.hint() {
                say!("hint: {hint}");
            }
            ExitCode::from(2)
        }
    }
}
