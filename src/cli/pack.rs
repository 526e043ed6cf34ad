//! `siamese pack`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use siamese::data::pictures::Pictures;
use siamese::data::{SplitBy, packed};
use siamese::output::Output;

use super::{DataArg, Outcome, PictureArgs, size};
use crate::report::counter;

/// Writes a data set to one file, every picture decoded and brought to one size: `train --data FILE` starts at once and
/// reads of it what a step needs.
///
/// It is a safetensors file: train.images and test.images [rows, height, width, channels], train.labels, test.labels.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese pack pets/ --out pets.set
  siamese pack faces/ --out faces.set --input 160x160x3 --skip-bad
  siamese train --data faces.set --preset facenet")]
pub struct Pack {
    /// Folder with a folder of pictures for each class, or any other that `train --data` takes
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    pictures: PictureArgs,
    /// What a folder that does not say so itself is divided by, see `siamese help train`
    #[arg(long, value_name = "HOW")]
    split: Option<SplitBy>,
    /// Leave out pictures that cannot be used, instead of stopping at them; each is named
    #[arg(long)]
    skip_bad: bool,
}

impl Pack {
    pub fn run(self) -> Outcome {
        let output = Output::prepare(&self.out, packed::KIND)?;
        let data = DataArg { data: Some(self.folder), skip_bad: self.skip_bad };
        let pictures = self.pictures.over(Pictures::default());
        let split = data.open(self.pictures.input, pictures, self.split)?;
        let known = split.remarks.len();
        let bar = counter(split.sets().iter().map(|set| set.len() as u64).sum(), "images");
        let written = packed::write(split, pictures, data.bad(), output, || bar.inc(1));
        bar.finish_and_clear();
        let written = written?;
        super::say_remarks(&written.remarks[known..]);
        let path: &Path = &self.out;
        say!("wrote {}: {}, {}", path.display(), written.origin, size(written.total()));
        if written.left_out > 0 {
            say!("{} pictures could not be used and were left out", written.left_out);
        }
        Ok(ExitCode::SUCCESS)
    }
}
