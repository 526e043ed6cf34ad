//! `siamese export`

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::data::Origin;
use siamese::output::Kind;
use siamese::{Error, Result, gallery, onnx, output, torch, web};

use super::{GalleryArg, Outcome, model_file};

/// Writes a network for other programs. FILE.safetensors: the weights alone, in the names and layouts of PyTorch.
/// FILE.onnx: the whole network from raw pixels [batch, channels, height, width], 0 to 255, to embeddings. FILE.py: the
/// same without weights as a PyTorch module, which loads those of FILE.safetensors.
///
/// --web DIR: a web page that embeds and recognises by the same shaders on WebGPU, in a folder that any static server
/// serves as it is.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese export runs/cnn --out cnn.safetensors
  siamese export runs/cnn --out cnn-f16.safetensors --precision f16
  siamese export runs/cnn --out cnn.onnx
  siamese export runs/cnn --out cnn.py
  siamese export runs/cnn --web page --gallery digits.gallery && python3 -m http.server --directory page")]
pub struct Export {
    /// Run folder, or a checkpoint
    model: PathBuf,
    /// File to write; its ending, .safetensors, .onnx or .py, says what
    #[arg(long, value_name = "FILE", required_unless_present = "web")]
    out: Option<PathBuf>,
    /// Folder of a web page to write
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    web: Option<PathBuf>,
    /// Gallery of those whom the page knows from the start: a file, or one in a database as `recognize` takes it
    #[arg(long, value_name = "GALLERY", requires = "web")]
    gallery: Option<OsString>,
    /// The plan of a training step is in the page's folder too
    #[arg(long, requires = "web")]
    training: bool,
    /// The weights are written in so many bits
    #[arg(long, value_enum, value_name = "PRECISION", default_value = "f32")]
    precision: PrecisionArg,
    #[arg(long, hide = true, conflicts_with = "precision")]
    f16: bool,
    /// The weights as the last step left them, not their moving average
    #[arg(long)]
    raw: bool,
}

/// See [`Precision`].
#[derive(Clone, Copy, ValueEnum)]
enum PrecisionArg {
    /// 32 bits, exact
    F32,
    /// 16 bits, rounded to nearest
    F16,
}

impl Export {
    pub fn run(self) -> Outcome {
        let precision = match self.precision {
            PrecisionArg::F32 if !self.f16 => Precision::F32,
            _ => Precision::F16,
        };
        match (&self.out, &self.web) {
            (Some(out), _) => self.file(out, precision)?,
            (None, Some(folder)) => self.page(folder, precision)?,
            (None, None) => unreachable!("one of them is required"),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn model(&self) -> Result<Checkpoint> {
        let mut checkpoint = Checkpoint::load(&model_file(&self.model))?;
        if self.raw {
            checkpoint.average = None;
        }
        Ok(checkpoint)
    }

    fn file(&self, out: &Path, precision: Precision) -> Result<()> {
        let ending = out.extension().and_then(OsStr::to_str).unwrap_or_default();
        if !["safetensors", "onnx", "py"].contains(&ending) {
            let reason = format!("{} does not end in .safetensors, .onnx or .py", out.display());
            return Err(Error::config("--out", reason));
        }
        let mut checkpoint = self.model()?;
        // Where images and another model lie says nothing to those who get the model.
        checkpoint.origin = checkpoint.origin.map(|origin| Origin { path: None, ..origin });
        if let Some(compatible) = &mut checkpoint.config.compatible {
            compatible.path = None;
        }
        let checkpoint = checkpoint.export();
        match ending {
            "py" => output::write(out, torch::KIND, torch::source(&checkpoint)?.as_bytes())?,
            "onnx" => output::write(out, onnx::KIND, &onnx::model(&checkpoint, precision)?)?,
            _ => checkpoint.save(out, precision)?,
        }
        say!("wrote {}", out.display());
        Ok(())
    }

    fn page(&self, folder: &Path, precision: Precision) -> Result<()> {
        let model = self.model()?;
        let gallery = self.gallery.as_ref().map(|gallery| {
            let place = GalleryArg { gallery: gallery.clone() }.place()?;
            let gallery = place.load()?;
            gallery.check_model(Path::new(&place.to_string()), &model.export())?;
            Ok::<gallery::Gallery, Error>(gallery)
        });
        let gallery = gallery.transpose()?;
        let options = web::Options { precision, training: self.training };
        let files = web::files(&model, gallery.as_ref(), options)?;
        // What a folder holds beside a page is not for others to see, nor to be written over.
        let is_page = folder.join(web::PLAN).exists();
        let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
        if !is_page && !is_empty {
            return Err(Error::output(folder, "there is something else in it; give a new folder"));
        }
        let shaders = folder.join(web::SHADERS);
        fs::create_dir_all(&shaders).map_err(Error::io("make folder", &shaders))?;
        for (name, bytes) in &files {
            output::write(&folder.join(name), Kind::OWN, bytes)?;
        }
        // Of an earlier page, whose network may have been another.
        let gallery = folder.join(web::GALLERY);
        if !files.contains_key(web::GALLERY) && gallery.exists() {
            fs::remove_file(&gallery).map_err(Error::io("remove", &gallery))?;
        }
        for entry in fs::read_dir(&shaders).map_err(Error::io("read folder", &shaders))?.flatten() {
            let name = format!("{}/{}", web::SHADERS, entry.file_name().to_string_lossy());
            if !files.contains_key(&name) {
                fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
            }
        }
        let bytes: usize = files.values().map(Vec::len).sum();
        let weights = files[web::WEIGHTS].len();
        say!(
            "wrote {}: {} files of {:.1} kB, and {:.1} kB of weights; any static server shows it, such as `python3 -m \
             http.server --directory {0}`",
            folder.display(),
            files.len(),
            (bytes - weights) as f64 / 1e3,
            weights as f64 / 1e3
        );
        Ok(())
    }
}
