//! `siamese import`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use siamese::checkpoint::{Checkpoint, Precision};

use super::{NetworkArgs, Outcome, PixelArgs, parse_input};

/// Makes a model file of weights that another program wrote as safetensors, in the names and layouts of PyTorch:
/// conv1.weight, conv1.bias, dense1.weight, … What neither network nor options say (distance, thresholds) comes from
/// the preset.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese import torch.safetensors --spec \"conv16 relu pool dense32 l2\" --input 28x28x1 --out model.safetensors
  siamese eval model.safetensors")]
pub struct Import {
    /// Safetensors file with the weights, as F16, BF16, F32 or F64
    weights: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Shape of an image
    #[arg(long, value_name = "HxWxC", value_parser = parse_input)]
    input: [usize; 3],
    #[command(flatten)]
    pixels: PixelArgs,
    /// Model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Import {
    pub fn run(self) -> Outcome {
        let mut config = self.network.config(self.network.preset()?, self.input);
        self.pixels.apply(&mut config);
        let checkpoint = Checkpoint::import(&self.weights, &config, self.input)?;
        checkpoint.save(&self.out, Precision::F32)?;
        say!("wrote {}", self.out.display());
        Ok(ExitCode::SUCCESS)
    }
}
