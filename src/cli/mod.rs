//! The command line: one file a command, and what several share.

mod adapters;
mod check;
mod engine;
mod eval;
mod export;
mod plan;
mod train;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use siamese::Error;
use siamese::config::{Config, PRESETS, Preset};
use siamese::data::{self, Split};

/// Trains Siamese embedding networks with triplet loss on any GPU.
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network, save it, evaluate it
    Train(train::Train),
    /// Evaluate a saved network
    Eval(eval::Eval),
    /// Print what a network runs: calls, arrays, bytes, FLOPs
    Plan(plan::Plan),
    /// Prove every kernel on an adapter against the CPU reference
    Check(check::Check),
    /// List the adapters of this machine
    Adapters(adapters::Adapters),
    /// Write a network's weights alone, in 32 or 16 bits
    Export(export::Export),
}

/// Why a command failed.
pub enum Failure {
    /// The library says why.
    Library(Error),
    /// Standard output could not be written.
    Output(io::Error),
}

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

type Outcome = Result<ExitCode, Failure>;

impl Cli {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        match self.command {
            Command::Train(train) => train.run(),
            Command::Eval(eval) => eval.run(),
            Command::Plan(plan) => plan.run(),
            Command::Check(check) => check.run(),
            Command::Adapters(adapters) => adapters.run(),
            Command::Export(export) => export.run(),
        }
    }
}

/// Which adapter runs the work.
#[derive(Args)]
struct AdapterArg {
    /// auto, vulkan, metal, dx12, gl, cpu, an index of `siamese adapters`, or a part of a name
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    adapter: String,
}

/// Which images.
#[derive(Args)]
struct DataArg {
    /// Folder with the four IDX files of a data set, plain or gzipped [default: MNIST, built in]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataArg {
    fn load(&self) -> siamese::Result<Split> {
        match &self.data {
            Some(folder) => data::idx::load(folder),
            None => data::mnist::load(&data::mnist::Files {
                train_images: include_bytes!("../../data/mnist/train-images-idx3-ubyte.gz"),
                train_labels: include_bytes!("../../data/mnist/train-labels-idx1-ubyte.gz"),
                test_images: include_bytes!("../../data/mnist/t10k-images-idx3-ubyte.gz"),
                test_labels: include_bytes!("../../data/mnist/t10k-labels-idx1-ubyte.gz"),
            }),
        }
    }
}

/// Which network.
#[derive(Args)]
struct NetworkArgs {
    /// Settings to start from: cnn or notebook [default: cnn]
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// The network as text, such as "conv32 relu pool dense64 l2" [default: the preset's]
    #[arg(long, value_name = "TEXT")]
    spec: Option<String>,
}

impl NetworkArgs {
    fn preset(&self) -> siamese::Result<Preset> {
        self.preset.as_deref().map_or(Ok(PRESETS[0]), str::parse)
    }

    fn config(&self) -> siamese::Result<Config> {
        let mut config = self.preset()?.config();
        if let Some(spec) = &self.spec {
            config.spec = spec.clone();
        }
        Ok(config)
    }
}

/// A checkpoint's name in a run folder.
const CHECKPOINT: &str = "checkpoint.safetensors";

/// The checkpoint that a model argument means: the file itself, or the one in a run folder.
fn model_file(model: &Path) -> PathBuf {
    if model.is_dir() { model.join(CHECKPOINT) } else { model.to_owned() }
}
