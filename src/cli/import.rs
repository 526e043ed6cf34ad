//! `siamese import`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use siamese::Error;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::import::{Map, Weights, onnx};

use super::{NetworkArgs, Outcome, PixelArgs, parse_input};

/// Makes a model file of weights that another program wrote.
///
/// Of safetensors, in the names and layouts of PyTorch: conv1.weight, conv1.bias, dense1.weight, …, or in other names
/// that --map brings to these; the network is said by --spec. Or of an ONNX file, which says the network itself. What
/// neither network nor options say (distance, thresholds) comes from the preset.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese import torch.safetensors --spec \"conv16 relu pool dense32 l2\" --input 28x28x1 --out model.safetensors
  siamese import resnet18.safetensors --map data/maps/resnet18.map --spec \"…\" --input 224x224x3 \\
    --mean 123.675,116.28,103.53 --deviation 58.395,57.12,57.375 --out resnet18.model
  siamese import network.onnx --out model.safetensors
  siamese eval model.safetensors")]
pub struct Import {
    /// Safetensors file with the weights, as F16, BF16, F32 or F64; or an ONNX file, FILE.onnx
    weights: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Shape of an image; an ONNX file has it
    #[arg(long, value_name = "HxWxC", value_parser = parse_input)]
    input: Option<[usize; 3]>,
    /// Names of the tensors: lines `ours = theirs`, where `- = theirs` leaves one out
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    #[command(flatten)]
    pixels: PixelArgs,
    /// Model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Import {
    pub fn run(self) -> Outcome {
        let is_onnx = self.weights.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"));
        let checkpoint = if is_onnx { self.graph()? } else { self.tensors()? };
        checkpoint.save(&self.out, Precision::F32)?;
        say!("wrote {}", self.out.display());
        Ok(ExitCode::SUCCESS)
    }

    fn tensors(&self) -> siamese::Result<Checkpoint> {
        let input = self.input.ok_or_else(|| Error::config("--input", "the shape of an image is missing"))?;
        let mut config = self.network.config(self.network.preset()?, input);
        self.pixels.apply(&mut config);
        let weights = Weights::read(&self.weights)?;
        let weights = match &self.map {
            Some(map) => weights.mapped(&Map::read(map)?)?,
            None => weights,
        };
        let (model, left) = Checkpoint::import(&weights, &config, input)?;
        if !left.is_empty() {
            say!("left out, the network has none such: {}", left.join(", "));
        }
        Ok(model)
    }

    fn graph(&self) -> siamese::Result<Checkpoint> {
        for (option, given) in [("--spec", self.network.has_spec()), ("--map", self.map.is_some())] {
            if given {
                return Err(Error::config(option, "an ONNX file says network and names itself"));
            }
        }
        let read = onnx::read(&self.weights, self.input)?;
        let mut config = self.network.config(self.network.preset()?, read.input);
        config.spec = read.spec;
        config.pixels = read.pixels.unwrap_or(config.pixels);
        config.pictures.invert = read.invert;
        self.pixels.apply(&mut config);
        let (model, _) = Checkpoint::import(&read.weights, &config, read.input)?;
        say!("network  {}", model.config.spec);
        say!("pixels   {}", model.config.pixels);
        Ok(model)
    }
}
