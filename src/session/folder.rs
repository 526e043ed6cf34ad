//! The folder of a run: its checkpoints, and the right to change them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::checkpoint::{Checkpoint, Precision};
use crate::config::Validation;
use crate::error::{Error, Result};
use crate::output::Lock;

/// The last checkpoint.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The one before that.
pub const PREVIOUS: &str = "checkpoint.previous.safetensors";
/// The one that did best on the validation images.
pub const BEST: &str = "best.safetensors";
/// The events, a line of JSON each.
pub const METRICS: &str = "metrics.jsonl";

/// The folder of a run, which no other program changes while this lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: Lock,
}

/// A run to go on with.
#[derive(Debug)]
pub struct Unfinished {
    /// Its folder.
    pub folder: Folder,
    /// Where it goes on from.
    pub start: Checkpoint,
    /// Why that is not the last checkpoint but the one before.
    pub torn: Option<Error>,
}

impl Folder {
    /// Makes the folder of a new run.
    ///
    /// # Errors
    /// [`Error::Config`] where it holds a run; [`Error::Busy`] where another program has it; [`Error::Io`].
    pub fn create(path: &Path) -> Result<Folder> {
        fs::create_dir_all(path).map_err(Error::io("make folder", path))?;
        let folder = Folder::lock(path)?;
        if folder.file(CHECKPOINT).exists() {
            let reason = format!("{} holds a run already; --resume goes on with it", path.display());
            return Err(Error::config("--out", reason));
        }
        Ok(folder)
    }

    /// Takes the folder of a run to go on with.
    ///
    /// # Errors
    /// [`Error::Run`] where there is none; [`Error::Busy`] where another program has it; as [`Checkpoint::load`] where
    /// neither checkpoint can be read.
    pub fn open(path: &Path) -> Result<Unfinished> {
        if ![CHECKPOINT, PREVIOUS].iter().any(|name| path.join(name).exists()) {
            return Err(Error::run(path, format!("holds no {CHECKPOINT} to go on from")));
        }
        let folder = Folder::lock(path)?;
        let [last, previous] = [CHECKPOINT, PREVIOUS].map(|name| folder.file(name));
        let torn = match Checkpoint::load(&last) {
            Ok(start) => return Ok(Unfinished { folder, start, torn: None }),
            Err(torn) => torn,
        };
        let Ok(start) = Checkpoint::load(&previous) else { return Err(torn) };
        // In the place of the torn one, which must never become the one that is kept.
        fs::rename(&previous, &last).map_err(Error::io("bring back", &previous))?;
        Ok(Unfinished { folder, start, torn: Some(torn) })
    }

    fn lock(path: &Path) -> Result<Folder> {
        let lock = Lock::take(&path.join(CHECKPOINT))?;
        Ok(Folder { path: path.to_owned(), _lock: lock })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Saves over the last checkpoint, which is kept beside it.
    pub(super) fn save(&self, checkpoint: &Checkpoint) -> Result<()> {
        let [last, previous] = [CHECKPOINT, PREVIOUS].map(|name| self.file(name));
        if last.exists() {
            let fault = || Error::io("keep the last checkpoint as", &previous);
            if previous.exists() {
                fs::remove_file(&previous).map_err(fault())?;
            }
            // Not every file system has links.
            fs::hard_link(&last, &previous).or_else(|_| fs::copy(&last, &previous).map(drop)).map_err(fault())?;
        }
        checkpoint.save(&last, Precision::F32)
    }
}

/// The checkpoint that did best on the validation images.
pub(super) struct Best {
    file: PathBuf,
    /// Its score and step.
    pub found: Option<(f64, u64)>,
}

impl Best {
    /// Of a run that goes on from step `done`. What lies in the folder and is not of its past goes: the best of
    /// another run, or of steps that a killed run lost and that are done again.
    pub fn new(folder: &Folder, done: u64) -> Result<Best> {
        let file = folder.file(BEST);
        let mut best = Best { file, found: None };
        if !best.file.exists() {
            return Ok(best);
        }
        let known = if done > 0 { Some(Checkpoint::load(&best.file)?) } else { None };
        match known.filter(|known| known.step <= done) {
            Some(known) => best.found = known.validation.map(|score| (score, known.step)),
            None => fs::remove_file(&best.file).map_err(Error::io("remove", &best.file))?,
        }
        Ok(best)
    }

    pub fn save(&mut self, score: f64, checkpoint: Checkpoint) -> Result<()> {
        let step = checkpoint.step;
        Checkpoint { validation: Some(score), ..checkpoint }.save(&self.file, Precision::F32)?;
        self.found = Some((score, step));
        Ok(())
    }

    /// Whether it is as far back from `step` as patience goes.
    pub fn is_too_old(&self, step: u64, validation: Validation) -> bool {
        let since = self.found.map_or(0, |(_, found)| step.saturating_sub(found));
        validation.patience.is_some_and(|patience| since >= patience.saturating_mul(validation.every))
    }

    pub fn load(&self) -> Result<Option<Checkpoint>> {
        self.found.map(|_| Checkpoint::load(&self.file)).transpose()
    }
}
