//! `siamese adapters`

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use siamese::{Error, gpu};

use super::Outcome;

/// Lists the adapters of this machine, with what they offer; `--adapter` takes an index, a backend or a part of a name.
#[derive(Args)]
pub struct Adapters {
    /// Print one JSON line for each
    #[arg(long)]
    json: bool,
}

impl Adapters {
    pub fn run(self) -> Outcome {
        let adapters = gpu::adapters();
        if adapters.is_empty() {
            return Err(Error::NoAdapter { wanted: "auto".to_owned(), found: Vec::new() }.into());
        }
        let mut out = std::io::stdout().lock();
        for adapter in &adapters {
            if self.json {
                writeln!(out, "{}", serde_json::to_string(adapter).expect("plain data"))?;
                continue;
            }
            writeln!(out, "{}: {}", adapter.index, adapter.name)?;
            writeln!(out, "   backend    {}, {}", adapter.backend, adapter.kind)?;
            writeln!(out, "   driver     {}", adapter.driver)?;
            writeln!(out, "   features   {}", adapter.features.join(", "))?;
            let matrices: Vec<_> = adapter.matrices.iter().map(|rows| format!("{rows}×{rows}")).collect();
            if !matrices.is_empty() {
                writeln!(out, "   matrices   {} of 16 bits, sums of 32", matrices.join(", "))?;
            }
            writeln!(out, "   subgroup   {} to {} lanes", adapter.subgroup[0], adapter.subgroup[1])?;
            writeln!(
                out,
                "   limits     {} MiB a binding, {} MiB a buffer, {} KiB of workgroup memory, {} threads a workgroup",
                adapter.max_binding >> 20,
                adapter.max_buffer >> 20,
                adapter.max_workgroup_memory >> 10,
                adapter.max_invocations
            )?;
        }
        if !self.json {
            writeln!(
                out,
                "cpu: the processor on all threads, without any driver; `auto` takes it where there is no GPU"
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
