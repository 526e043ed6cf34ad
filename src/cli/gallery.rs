//! `siamese gallery`

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Outcome, place};

/// Copies galleries.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese gallery copy faces.gallery 'postgres://user@host/db?gallery=faces'
  siamese gallery copy 'postgres://user@host/db?gallery=faces' backup.gallery")]
pub struct Gallery {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Copy a gallery to where none is: a file, or postgres://user@host/db?gallery=NAME; equal to the bit
    Copy {
        /// The gallery
        from: OsString,
        /// Where it is copied to
        to: OsString,
    },
}

impl Gallery {
    pub fn run(self) -> Outcome {
        let Action::Copy { from, to } = self.action;
        let (from, to) = (place(&from)?, place(&to)?);
        let gallery = from.load()?;
        to.create(&gallery)?;
        say!("{to}: {} identities, {} images", gallery.identities().len(), gallery.images());
        Ok(ExitCode::SUCCESS)
    }
}
