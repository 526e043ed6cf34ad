//! What a command says, and how it ends: with an exit code, or with a failure that is told on stderr.
//!
//! Of several programs that work together, the ranks of a crew, the first alone says what goes on, and each says what
//! ends it. Who fails leaves at once: then the launcher ends the others, which would wait for it without end.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use siamese::Error;
use siamese::text::{plain, without_passwords};

/// The number of this program among the ranks of a crew, if it is one of several.
static RANK: OnceLock<usize> = OnceLock::new();

/// Makes this program one rank of several, which is to be done before anything is said or can fail.
#[cfg(feature = "mpi")]
pub fn be_rank(rank: usize) {
    RANK.set(rank).expect("a program becomes a rank once");
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(format_args!("error: rank {rank} panicked"));
        hook(panic);
        std::process::exit(101);
    }));
}

/// Says something, unless that is another rank's to say.
pub fn say(words: Arguments) {
    if RANK.get().is_none_or(|rank| *rank == 0) {
        tell(words);
    }
}

/// Lines on stderr, in which no name of a file or class speaks to the terminal, and no password of a database stands.
/// Where nobody can read them any more nothing is lost.
fn tell(words: Arguments) {
    let words = words.to_string();
    let lines: Vec<_> = without_passwords(&words).split('\n').map(|line| plain(line).into_owned()).collect();
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
    let rank = RANK.get().map(|rank| format!("rank {rank}: ")).unwrap_or_default();
    let hint = hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    // At once, so that no words of another rank come between.
    tell(format_args!("error: {rank}{error}{hint}"));
    ExitCode::from(2)
}
