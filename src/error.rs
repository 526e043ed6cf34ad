//! The one error type of the library. Each variant carries the names and numbers that explain it, and
//! [`Error::hint`] says what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The first value of a training that is not finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// The step that made it, from 1.
    pub step: u64,
    /// The kernel that made it.
    pub kernel: &'static str,
    /// The array that holds it.
    pub slot: String,
}

/// Something in the world is wrong: files, adapters, memory, arguments. Mistakes inside the program panic instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A data file does not hold what its format promises.
    #[error("{}: found {found}, expected {expected}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },

    /// A folder is not laid out as a data set.
    #[error("{}: found {found}, expected {expected}", path.display())]
    DataSet {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },

    /// Pictures of a data set cannot be used.
    #[error("{}", listed(faults))]
    Pictures {
        /// What is wrong with each.
        faults: Vec<Error>,
    },

    /// The operating system refused a file operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },

    /// A network spec cannot be understood; `start..end` are the bytes of the word at fault.
    #[error("{reason}\n  {spec}\n  {}", carets(spec, *start, *end))]
    Spec {
        /// The whole spec.
        spec: String,
        /// First byte of the word.
        start: usize,
        /// The byte behind the word.
        end: usize,
        /// What is wrong with it.
        reason: String,
        /// The words that there are, with their options.
        words: String,
    },

    /// A setting is out of its range, or two settings contradict each other.
    #[error("{setting}: {reason}")]
    Config {
        /// The option that sets it.
        setting: String,
        /// What is wrong with it.
        reason: String,
    },

    /// No adapter fits the request.
    #[error("no adapter matches `{wanted}`; {}", found_adapters(found))]
    NoAdapter {
        /// The request.
        wanted: String,
        /// Every adapter there is.
        found: Vec<String>,
    },

    /// The adapter cannot hold or run the plan.
    #[error("{adapter}: {what} needs {needed} bytes, the adapter allows {allowed}")]
    Limit {
        /// The adapter.
        adapter: String,
        /// What is too large.
        what: String,
        /// Bytes it needs.
        needed: u64,
        /// Bytes it may have.
        allowed: u64,
        /// What makes it smaller.
        remedy: &'static str,
    },

    /// The machine has too little memory.
    #[error("{what} needs {} of memory, this machine has {} to give", gigabytes(*needed), gigabytes(*available))]
    Memory {
        /// What is too large.
        what: String,
        /// Bytes it needs.
        needed: u64,
        /// Bytes that can be had.
        available: u64,
    },

    /// The device reported an error, or was lost.
    #[error("{adapter}: {reason}")]
    Device {
        /// The adapter.
        adapter: String,
        /// What the driver says.
        reason: String,
    },

    /// A training left the finite numbers.
    #[error("the numbers of step {step} are not finite; {}", first_non_finite(*step, first.as_ref()))]
    Diverged {
        /// The first step whose loss, gradient or weights are not finite, from 1.
        step: u64,
        /// Where that began, if it is known.
        first: Option<NonFinite>,
    },

    /// An embedding that nothing can be compared with.
    #[error("{image}: its embedding {reason}")]
    Embedding {
        /// Whose it is: a picture's name, or its row in a data set.
        image: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A picture is enrolled as another identity's.
    #[error("{image}: it is enrolled as a picture of `{identity}`, by the name {known}")]
    Enrolled {
        /// The picture.
        image: String,
        /// Whose it is.
        identity: String,
        /// What it was called when it was enrolled.
        known: String,
    },

    /// Another program is changing a file or folder.
    #[error("{}: another program is changing it", path.display())]
    Busy {
        /// The file or folder.
        path: PathBuf,
    },

    /// A file cannot be written where it should be.
    #[error("{}: {reason}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },

    /// A gallery cannot be used.
    #[error("{}: {reason}", path.display())]
    Gallery {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A database cannot be reached, or refuses.
    #[error("{place}: {reason}")]
    Database {
        /// Its URL, without what is secret.
        place: String,
        /// What it says.
        reason: String,
    },

    /// The folder of a run cannot be used.
    #[error("{}: {reason}", path.display())]
    Run {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A checkpoint cannot be used.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A rank of a crew cannot go on.
    #[error("rank {rank}: {reason}")]
    Crew {
        /// Its number, from 0.
        rank: usize,
        /// What is the matter with it.
        reason: String,
    },

    /// A network of another program cannot be expressed.
    #[error("{}: {reason}", path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// Which of its operators is in the way, and why.
        reason: String,
    },

    /// Weights of another program cannot be used.
    #[error("{}: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Errors in lines, the first twenty of many.
fn listed(faults: &[Error]) -> String {
    const SHOWN: usize = 20;
    let mut lines: Vec<String> = faults.iter().take(SHOWN).map(Error::to_string).collect();
    if faults.len() > SHOWN {
        lines.push(format!("… and {} more", faults.len() - SHOWN));
    }
    if faults.len() > 1 {
        lines.push(format!("{} pictures cannot be used", faults.len()));
    }
    lines.join("\n")
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

fn first_non_finite(step: u64, first: Option<&NonFinite>) -> String {
    let Some(NonFinite { step: at, kernel, slot }) = first else { return "where that began is not known".to_owned() };
    let when = if *at == step { String::new() } else { format!(" at step {at}") };
    format!("the first array with such a value is `{slot}`, which `{kernel}` made{when}")
}

/// Carets below the bytes `start..end` of a line, one where they are none.
fn carets(line: &str, start: usize, end: usize) -> String {
    let (before, marked) = (line[..start].chars().count(), line[start..end].chars().count());
    format!("{}{}", " ".repeat(before), "^".repeat(marked.max(1)))
}

fn found_adapters(found: &[String]) -> String {
    if found.is_empty() { "none was found".to_owned() } else { format!("found: {}", found.join("; ")) }
}

impl Error {
    /// An [`Error::Io`] from what was tried and on which path; for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }

    /// An [`Error::Data`].
    pub fn data(path: &Path, found: impl fmt::Display, expected: impl fmt::Display) -> Error {
        Error::Data { path: path.to_owned(), found: found.to_string(), expected: expected.to_string() }
    }

    /// An [`Error::DataSet`].
    pub fn data_set(path: &Path, found: impl fmt::Display, expected: impl fmt::Display) -> Error {
        Error::DataSet { path: path.to_owned(), found: found.to_string(), expected: expected.to_string() }
    }

    /// An [`Error::Config`].
    pub fn config(setting: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Config { setting: setting.into(), reason: reason.into() }
    }

    /// An [`Error::Output`].
    pub fn output(path: &Path, reason: impl Into<String>) -> Error {
        Error::Output { path: path.to_owned(), reason: reason.into() }
    }

    /// An [`Error::Run`].
    pub fn run(path: &Path, reason: impl Into<String>) -> Error {
        Error::Run { path: path.to_owned(), reason: reason.into() }
    }

    /// What to do about it, as one sentence.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Data { .. } => "give another file, or fetch or write this one again".into(),
            Error::DataSet { .. } => {
                "a data set is a folder with a folder of pictures for each class, or with folders train/ and test/ \
                 that hold such, or with the four IDX files of a set"
                    .into()
            }
            Error::Pictures { .. } => "`--skip-bad` leaves such pictures out".into(),
            Error::Io { .. } => return None,
            Error::Spec { words, .. } => format!("layers are {words}"),
            Error::Config { .. } => "`siamese help COMMAND` has the settings and their ranges".into(),
            Error::NoAdapter { found, .. } if found.is_empty() => {
                "run `scripts/setup.sh`, which installs a Vulkan loader and the software driver on Debian and Ubuntu; \
                 for a GPU install its vendor's Vulkan driver; `--adapter cpu` needs no driver at all"
                    .into()
            }
            Error::NoAdapter { .. } => {
                "`siamese adapters` lists what can be chosen; `--adapter auto` takes the best, `--adapter cpu` needs \
                 no driver"
                    .into()
            }
            Error::Limit { remedy, .. } => format!("choose {remedy}, or another adapter"),
            Error::Memory { .. } => "choose a smaller `--batch`, `--input` or network, or fewer images".into(),
            Error::Device { .. } => {
                "`siamese check` proves every kernel on this adapter; a smaller `--batch` needs less memory".into()
            }
            Error::Diverged { .. } => "train with a lower `--learning-rate`".into(),
            Error::Embedding { .. } => {
                "train again with a lower `--learning-rate`, or with `l2` at the end of `--spec`, which keeps \
                 embeddings at length 1"
                    .into()
            }
            Error::Enrolled { .. } => "leave it out, or take that identity out by `siamese enroll --remove`".into(),
            Error::Busy { .. } => "wait until that is done, or choose another name".into(),
            Error::Output { .. } => "choose another name, or move away what is there".into(),
            Error::Gallery { .. } => {
                "give the gallery with the model that it was made with, or make a new one with `siamese enroll`".into()
            }
            Error::Database { .. } => {
                "check that PostgreSQL with pgvector runs there, that the user may make and change tables, and that \
                 the password is in `PGPASSWORD` if it takes one"
                    .into()
            }
            Error::Run { .. } => {
                "give the folder of a run that `siamese train` made; it holds run.json and metrics.jsonl".into()
            }
            Error::Checkpoint { .. } => {
                "give a checkpoint.safetensors that `siamese train` wrote; weights of other programs become \
                 a model file by `siamese import`"
                    .into()
            }
            Error::Crew { .. } => {
                "start all ranks with the same program, options and images; `--resume` goes on from the last \
                 checkpoint, with other ranks as well"
                    .into()
            }
            Error::Graph { .. } => {
                "export the network for evaluation, with images of a fixed size and constants folded, or write its \
                 `--spec` and import its weights as safetensors by `--map`"
                    .into()
            }
            Error::Weights { .. } => {
                "give the `--spec` and `--input` that the weights belong to, and tensors named and laid out as \
                 `siamese export` does it: conv1.weight [out, in, height, width], dense1.weight [out, in], a bias \
                 to each that no normalisation follows; other names are brought to these by `--map`"
                    .into()
            }
        })
    }
}
