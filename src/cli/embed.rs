//! `siamese embed`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use siamese::Error;
use siamese::bulk::{Manifest, Place, Shard, State, Whole, set_digest};
use siamese::embed::batch;
use siamese::vectors::{Destination, Precision, Vectors};

use super::engine::Engine;
use super::images::{self, ImagesArgs, Tally};
use super::{AdapterArg, Failure, ModelArg, Outcome};

/// Writes the embeddings of images, with their names and classes.
///
/// FILE.npy: [rows, dims], and beside it FILE.npy.json with the rest. FILE.csv, FILE.parquet: a row an image. A name
/// without ending: a folder for TensorBoard's projector, with a sprite of the images.
///
/// With --shard a folder for Parquet files, shard-I-of-N.parquet, each with its manifest, shard-I-of-N.json. What is in
/// a shard follows from model, images and I/N alone, and all shards together are the embeddings of all images. One that
/// is whole is left as it is, so that whatever was stopped can be started again as it was.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese embed runs/cnn --set test --out test.npy
  siamese embed runs/faces people/ --out people.parquet --precision i8
  siamese embed runs/cnn --set test --out projector && tensorboard --logdir projector
  siamese embed runs/faces people/ --out people --shard 3/10           one of ten machines, or of a job array")]
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
    /// Only part I of N of the images, in order, as a Parquet file in the folder --out
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    adapter: AdapterArg,
}

impl Embed {
    pub fn run(self) -> Outcome {
        self.images.check(None)?;
        let mut tally = Tally::new(false);
        match self.shard {
            Some(shard) => self.one_of_many(shard, &mut tally)?,
            None => self.all(&mut tally)?,
        }
        let code = tally.exit();
        Ok(if self.images.skips_bad() { ExitCode::SUCCESS } else { code })
    }

    fn all(&self, tally: &mut Tally) -> Result<(), Failure> {
        let destination = Destination::prepare(&self.out)?;
        let model = self.model.load()?.export();
        let images = self.images.list(&model, tally)?;
        let engine = Engine::open(&self.adapter.adapter)?;
        let (net, mut rows) = (model.net()?, Vec::new());
        let mut vectors = Vectors {
            values: Vec::with_capacity(images.names.len() * net.dims()),
            dims: net.dims(),
            names: Vec::new(),
            classes: Vec::new(),
            model: model.fingerprint(),
        };
        images::stream(&engine, &model, &images, batch(&net, images.names.len()), tally, |row, embedding| {
            vectors.values.extend_from_slice(embedding);
            vectors.names.push(images.names[row].clone());
            vectors.classes.extend(images.labelled.then(|| images.class(row)));
            rows.push(row);
            Ok(())
        })?;
        images::some_left(rows.len())?;
        vectors.write(destination, self.precision, &images.data.subset(String::new(), &rows))?;
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
        Ok(())
    }

    fn one_of_many(&self, shard: Shard, tally: &mut Tally) -> Result<(), Failure> {
        if self.images.takes_some() {
            let reason = "it asks for what can be used of all images, and a shard reads no more than its own";
            return Err(Error::config("--take", reason).into());
        }
        if self.out.extension().is_some_and(|ending| ["npy", "csv", "parquet"].iter().any(|other| ending == *other)) {
            let reason = format!("shards are Parquet files in a folder, and {} is a file", self.out.display());
            return Err(Error::config("--out", reason).into());
        }
        let model = self.model.load()?.export();
        let images = self.images.list(&model, tally)?;
        if tally.has_refused() {
            return Err(Error::config("IMAGES", "a shard is a part of all of them, and not all are there").into());
        }
        let net = model.net()?;
        let count = images.names.len();
        let known = (0..count).map(|row| (images.names[row].as_str(), images.class(row)));
        let whole = Whole {
            model: model.fingerprint(),
            set: set_digest(&images.origin, known),
            images: count,
            of: shard.of,
            dims: net.dims(),
            precision: self.precision,
        };
        let part = shard.rows(count);
        let (number, of, out) = (shard.number, shard.of, self.out.display());
        let title = format!("shard {number}/{of} in {out}: {} of {count} images", part.len());
        let place = match Place::find(&self.out, shard.number, whole)? {
            State::Open(place) => place,
            State::Done(Manifest { rows, left_out, .. }) => {
                say!("{title}, done already: {rows} rows");
                tally.know(rows, left_out.len());
                return Ok(());
            }
        };
        say!("{title}");
        let images = images.subset(&part.collect::<Vec<_>>());
        let engine = Engine::open(&self.adapter.adapter)?;
        // Batches are those of the whole set, or a device might choose other shaders for them.
        let batch = batch(&net, count);
        let made = place.write(|rows| {
            let push = |row: usize, embedding: &[f32]| rows.push(&images.names[row], images.class(row), embedding);
            let left_out = images::stream(&engine, &model, &images, batch, tally, push)?;
            left_out.into_iter().for_each(|row| rows.leave_out(images.names[row].clone()));
            Ok::<_, Failure>(())
        })?;
        say!("wrote {} x {} values", made.rows, net.dims());
        Ok(())
    }
}
