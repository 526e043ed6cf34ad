//! `siamese export`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use siamese::checkpoint::{Checkpoint, Precision};

use super::{Outcome, model_file};

/// Writes the weights of a network alone as safetensors, in the names and layouts of PyTorch.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese export runs/cnn --out cnn.safetensors
  siamese export runs/cnn --out cnn-f16.safetensors --f16")]
pub struct Export {
    /// Run folder, or a checkpoint
    model: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Round the weights to 16 bits
    #[arg(long)]
    f16: bool,
    /// The weights as the last step left them, not their moving average
    #[arg(long)]
    raw: bool,
}

impl Export {
    pub fn run(self) -> Outcome {
        let checkpoint = Checkpoint::load(&model_file(&self.model))?;
        let checkpoint =
            if self.raw { Checkpoint { average: None, ..checkpoint }.export() } else { checkpoint.export() };
        checkpoint.save(&self.out, if self.f16 { Precision::F16 } else { Precision::F32 })?;
        eprintln!("wrote {}", self.out.display());
        Ok(ExitCode::SUCCESS)
    }
}
