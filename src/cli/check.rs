//! `siamese check`

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use siamese::Error;
use siamese::check::{Case, HEAVY, Report, plan_calls};
use siamese::config::PRESETS;
use siamese::kernel::At;
use siamese::kernels;

use super::engine::Engine;
use super::{AdapterArg, Outcome};
use crate::report::counter;

/// Proves every kernel in every shader that the adapter can run, or every routine of the processor, at awkward
/// shapes and at those of the presets, against the CPU reference in 64 bits. Of heavy calls some rows stand for all;
/// shaders that a processor runs are proven on fewer images. Ends with exit code 1 if one is wrong.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese check
  siamese check --adapter nvidia --kernel conv2d")]
pub struct Check {
    #[command(flatten)]
    adapter: AdapterArg,
    /// Only kernels whose name contains this
    #[arg(long, value_name = "NAME", default_value = "")]
    kernel: String,
}

/// All cases of the registry, and the distinct calls of the presets, on fewer images where a processor runs shaders.
fn calls(engine: &Engine) -> siamese::Result<Vec<At>> {
    let is_slow = matches!(engine, Engine::Gpu(device) if device.features().on_cpu);
    let most = is_slow.then_some(HEAVY);
    let mut calls: Vec<At> = kernels::all().into_iter().flat_map(|entry| entry.cases).collect();
    for preset in PRESETS {
        calls.extend(plan_calls(&preset.config(), preset.input, most)?);
    }
    let mut known = HashSet::new();
    calls.retain(|at| known.insert(at.clone()));
    Ok(calls)
}

impl Check {
    pub fn run(self) -> Outcome {
        let engine = Engine::open(&self.adapter.adapter)?.with_matrices()?;
        let calls: Vec<_> = calls(&engine)?.into_iter().filter(|at| at.name().contains(&self.kernel)).collect();
        if calls.is_empty() {
            return Err(Error::config("--kernel", format!("no kernel's name contains `{}`", self.kernel)).into());
        }
        say!("{}", engine.title());
        let bar = counter(calls.len() as u64, "calls");
        let mut worst: BTreeMap<(String, String), (usize, f64)> = BTreeMap::new();
        let mut wrong = 0;
        let mut note = |report: Report| {
            let entry = worst.entry((report.at.name().to_owned(), report.shader.clone())).or_default();
            *entry = (entry.0 + 1, entry.1.max(report.share));
            if !report.passed() {
                wrong += 1;
                bar.suspend(|| say!("wrong: {report}"));
            }
        };
        for at in &calls {
            let case = Case::new(at, 1);
            match &engine {
                Engine::Cpu => {
                    note(case.reference());
                    for routine in at.routines().into_iter().filter(|routine| routine.fits) {
                        note(case.routine(routine));
                    }
                }
                Engine::Gpu(device) => {
                    for shader in at.shaders() {
                        if device.features().offer(&shader) {
                            note(case.shader(device, &shader)?);
                        }
                    }
                }
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        let mut out = std::io::stdout().lock();
        writeln!(out, "{:<12} {:<26} {:>6} {:>16}", "kernel", "shader", "cases", "tolerance used")?;
        for ((kernel, shader), (cases, share)) in &worst {
            writeln!(out, "{kernel:<12} {shader:<26} {cases:>6} {:>14.0} %", 100.0 * share)?;
        }
        let total: usize = worst.values().map(|(cases, _)| cases).sum();
        writeln!(out, "{} of {total} right", total - wrong)?;
        Ok(ExitCode::from(u8::from(wrong > 0)))
    }
}
