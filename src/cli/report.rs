//! `siamese report`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use siamese::output::{self, Kind};

use super::Outcome;
use crate::report::run::{PAGE, Run};
use crate::report::{page, text};

/// Makes the page of a run anew from the files in its folder, without device and data; of several runs one page that
/// compares them.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese report runs/cnn                              runs/cnn/report.html
  siamese report runs/cnn runs/best                    both on one page, compare.html
  siamese report runs/cnn --text                       curves and key figures in the terminal")]
pub struct Report {
    /// Run folder
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The page [default: report.html in the run folder; compare.html for several runs]
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Print the curves and key figures instead
    #[arg(long, conflicts_with = "out")]
    text: bool,
}

impl Report {
    pub fn run(self) -> Outcome {
        let runs = self.runs.iter().map(|folder| Run::load(folder)).collect::<siamese::Result<Vec<_>>>()?;
        if self.text {
            for run in &runs {
                text::print(run)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let own = match self.runs.as_slice() {
            [folder] => folder.join(PAGE),
            _ => PathBuf::from("compare.html"),
        };
        let file = self.out.unwrap_or(own);
        output::write(&file, Kind::HTML, page::render(&runs).as_bytes())?;
        say!("report {}", file.display());
        Ok(ExitCode::SUCCESS)
    }
}
