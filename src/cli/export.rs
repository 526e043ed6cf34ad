//! `siamese export`

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::data::Origin;
use siamese::{Error, onnx, output, torch};

use super::{Outcome, model_file};

/// Writes a network for other programs. FILE.safetensors: the weights alone, in the names and layouts of PyTorch.
/// FILE.onnx: the whole network from raw pixels [batch, channels, height, width], 0 to 255, to embeddings. FILE.py: the
/// same without weights as a PyTorch module, which loads those of FILE.safetensors.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese export runs/cnn --out cnn.safetensors
  siamese export runs/cnn --out cnn-f16.safetensors --f16
  siamese export runs/cnn --out cnn.onnx
  siamese export runs/cnn --out cnn.py")]
pub struct Export {
    /// Run folder, or a checkpoint
    model: PathBuf,
    /// File to write; its ending, .safetensors, .onnx or .py, says what
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
        let ending = self.out.extension().and_then(OsStr::to_str).unwrap_or_default();
        if !["safetensors", "onnx", "py"].contains(&ending) {
            let reason = format!("{} does not end in .safetensors, .onnx or .py", self.out.display());
            return Err(Error::config("--out", reason).into());
        }
        let mut checkpoint = Checkpoint::load(&model_file(&self.model))?;
        // Where images and another model lie says nothing to those who get the model.
        checkpoint.origin = checkpoint.origin.map(|origin| Origin { path: None, ..origin });
        if let Some(compatible) = &mut checkpoint.config.compatible {
            compatible.path = None;
        }
        let checkpoint =
            if self.raw { Checkpoint { average: None, ..checkpoint }.export() } else { checkpoint.export() };
        let precision = if self.f16 { Precision::F16 } else { Precision::F32 };
        match ending {
            "py" => output::write(&self.out, torch::KIND, torch::source(&checkpoint)?.as_bytes())?,
            "onnx" => output::write(&self.out, onnx::KIND, &onnx::model(&checkpoint, precision)?)?,
            _ => checkpoint.save(&self.out, precision)?,
        }
        say!("wrote {}", self.out.display());
        Ok(ExitCode::SUCCESS)
    }
}
