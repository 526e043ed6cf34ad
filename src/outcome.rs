//! What a command says, and how it ends: with an exit code, or with a failure that is told on stderr.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::process::ExitCode;

use siamese::Error;
use siamese::text::plain;

/// Lines on stderr, in which no name of a file or class speaks to the terminal. Where nobody can read them any more
/// nothing is lost.
pub fn say(words: Arguments) {
    let words = words.to_string();
    let lines: Vec<_> = words.split('\n').map(plain).collect();
    drop(writeln!(io::stderr(), "{}", lines.join("\n")));
}

/// Why a command failed.
pub enum Failure {
    /// The library says why.
    Library(Error),
    /// Standard output could not be written.
    Output(io::Error),
}

/// What a command answers.
pub type Outcome = Result<ExitCode, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Library(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}

impl Failure {
    /// Says what went wrong and what to do about it; answers the exit code.
    pub fn tell(self) -> ExitCode {
        match self {
            // Who reads the output has seen enough.
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Failure::Output(error) => explain(&format!("cannot write the output: {error}"), None),
            Failure::Library(error) => explain(&error.to_string(), error.hint()),
        }
    }
}

/// Says what went wrong and, if it is known, what to do about it; answers the exit code.
pub fn explain(error: &str, hint: Option<String>) -> ExitCode {
    say!("error: {error}");
    if let Some(hint) = hint {
        say!("hint: {hint}");
    }
    ExitCode::from(2)
}
