//! `siamese man`

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use siamese::Error;

use super::{Cli, Outcome};

/// Writes the man pages, one for the program and one for each command.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese man ~/.local/share/man/man1 && man siamese-train")]
pub struct Man {
    /// Folder for them; made if it is not there
    folder: PathBuf,
}

impl Man {
    pub fn run(self) -> Outcome {
        fs::create_dir_all(&self.folder).map_err(Error::io("make folder", &self.folder))?;
        clap_mangen::generate_to(Cli::command(), &self.folder).map_err(Error::io("write", &self.folder))?;
        Ok(ExitCode::SUCCESS)
    }
}
