//! `siamese embed`

use std::path::PathBuf;

use clap::Args;
use siamese::vectors::{Destination, Precision, Shard, Vectors};

use super::engine::Engine;
use super::images::{self, ImagesArgs, Tally};
use super::{AdapterArg, ModelArg, Outcome};

/// Writes the embeddings of images, with their names and classes.
///
/// FILE.npy: [rows, dims], and beside it FILE.npy.json with the rest. FILE.csv, FILE.parquet: a row an image. A name
/// without ending: a folder for TensorBoard's projector, with a sprite of the images.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese embed runs/cnn --set test --out test.npy
  siamese embed runs/faces people/ --out people.parquet --precision i8
  siamese embed runs/cnn --set test --out projector && tensorboard --logdir projector
  siamese embed runs/faces people/ --out part-1.npy --shard 1/4        one of four machines")]
pub struct Embed {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    images: ImagesArgs,
    /// File or folder to write
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Bits of a value: f32, f16 or i8 (whole numbers with one scale); what the rounding costs is measured and said
    #[arg(long, value_name = "BITS", default_value = "f32")]
    precision: Precision,
    /// Only part I of N of the images, in order
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    adapter: AdapterArg,
}

impl Embed {
    pub fn run(self) -> Outcome {
        self.images.check(None)?;
        let destination = Destination::prepare(&self.out)?;
        let model = self.model.load()?.export();
        let mut tally = Tally::new(false);
        let images = self.images.load_part(&model, self.shard, &mut tally)?;
        let engine = Engine::open(&self.adapter.adapter)?;
        let values = images::embed(&engine, &model, &images)?;
        let vectors = Vectors {
            dims: values.len() / images.names.len(),
            values,
            classes: if images.labelled { images.classes() } else { Vec::new() },
            model: model.fingerprint(),
            names: images.names,
        };
        vectors.write(destination, self.precision, &images.data)?;
        let bytes = vectors.dims
            * match self.precision {
                Precision::F32 => 4,
                Precision::F16 => 2,
                Precision::I8 => 1,
            };
        say!("wrote {}: {} x {} values, {bytes} bytes each", self.out.display(), vectors.names.len(), vectors.dims);
        if self.precision != Precision::F32 {
            let loss = vectors.loss(self.precision);
            let quality = loss.map_at_r.map(|[before, after]| format!("; MAP@R {before:.5} before, {after:.5} after"));
            say!("rounding changes a value by {:.2e} at most{}", loss.max_error, quality.unwrap_or_default());
        }
        Ok(tally.exit())
    }
}
