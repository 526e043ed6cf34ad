//! `siamese completions`

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Outcome};

/// Prints what makes a shell complete commands and options.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese completions bash > ~/.local/share/bash-completion/completions/siamese
  siamese completions zsh > ~/.zfunc/_siamese
  siamese completions fish > ~/.config/fish/completions/siamese.fish")]
pub struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "siamese", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
