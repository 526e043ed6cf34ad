//! Throughput of each kernel in each shader, at every distinct call of the presets' plans: `cargo bench --bench
//! kernels [FILTER]`. What is timed is proven right at the very shape, heavy calls in ten of
//! their rows. Options: see `--help`.

use std::collections::HashSet;
use std::process::ExitCode;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use siamese::check::{self, Case, Report};
use siamese::config::PRESETS;
use siamese::cpu;
use siamese::gpu::{self, Device, Probe};
use siamese::kernel::{At, Roofline, RoutineAt, ShaderAt};
use siamese::net::Net;
use siamese::siamese::{Source, inference_plan, neighbours_plan, slots, training_plan};

#[derive(Parser)]
#[command(about = "Throughput of each kernel, checked before it is timed")]
struct Options {
    /// Only kernels whose name contains this
    #[arg(default_value = "")]
    filter: String,
    /// Adapter: auto, cpu, a backend, an index or a part of a name
    #[arg(long, default_value = "auto")]
    adapter: String,
    /// Only the shader or routine that a run is given, not the others of its kernel
    #[arg(long)]
    chosen: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// The distinct calls of all presets, with the preset that makes each.
fn calls() -> Vec<(String, At)> {
    let mut known = HashSet::new();
    let mut calls: Vec<(String, At)> = Vec::new();
    let mut add = |preset: &str, found: Vec<At>| {
        calls.extend(found.into_iter().filter(|at| known.insert(at.clone())).map(|at| (preset.to_owned(), at)));
    };
    for preset in PRESETS {
        let config = preset.config();
        let net = Net::parse(&config.spec, preset.input).expect("a preset parses");
        let source = Source { slot: "images".to_owned(), images: 60_000, scale: config.scale(), classes: 1 };
        add(preset.name, training_plan(&net, &source, &config).distinct());
        add(
            preset.name,
            inference_plan(&net, &source, siamese::embed::batch(&net, source.images), slots::PARAMETERS).distinct(),
        );
    }
    add("eval", neighbours_plan(256, 60_000, 64, 5).distinct());
    calls
}

/// Median seconds of one launch, and the spread of the samples as a share of it. `run` answers what so many take.
fn time(mut run: impl FnMut(usize) -> siamese::Result<Duration>) -> siamese::Result<(f64, f64)> {
    run(1)?;
    let once = run(1)?.as_secs_f64();
    let launches = (0.05 / once).ceil().clamp(1.0, 1000.0) as usize;
    let mut samples = Vec::new();
    for _ in 0..7 {
        samples.push(run(launches)?.as_secs_f64() / launches as f64);
    }
    samples.sort_by(f64::total_cmp);
    let median = samples[samples.len() / 2];
    Ok((median, (samples[samples.len() - 1] - samples[0]) / median))
}

/// Prints a row, if the outputs were right.
fn row(preset: &str, report: &Report, (seconds, spread): (f64, f64), roofline: &Roofline) -> Result<(), String> {
    if !report.passed() {
        return Err(report.to_string());
    }
    let work = report.at.work();
    let constants: Vec<_> = report.at.constants().iter().map(|(_, value)| format!("{}", *value as f32)).collect();
    println!(
        "{:<22} {:>10.1} {:>5.0}% {:>9.2} {:>8.2} {:>7.0}%   {preset} {}",
        report.shader,
        1e6 * seconds,
        100.0 * spread,
        work.flops as f64 / seconds / 1e9,
        work.bytes as f64 / seconds / 1e9,
        100.0 * roofline.share(work, seconds),
        constants.join(" "),
    );
    Ok(())
}

/// Proves and times one shader at a shape.
fn shader(
    device: &Arc<Device>,
    preset: &str,
    case: &Case,
    shader: &ShaderAt,
    roofline: &Roofline,
) -> Result<(), String> {
    let timed = Probe::new(device.clone(), case.at(), shader, case.arrays()).and_then(|probe| {
        probe.run(1)?;
        let report = case.compare(shader.name, &probe.read()?);
        Ok((report, time(|launches| probe.run(launches))?))
    });
    let (report, timed) = timed.map_err(|error| error.to_string())?;
    row(preset, &report, timed, roofline)
}

/// Proves and times what the processor has for a shape: the reference and the routines, or the last alone.
fn processor(preset: &str, at: &At, chosen: bool, roofline: &Roofline) -> Result<(), String> {
    let routines = at.routines().into_iter().filter(|routine| routine.fits).map(Some);
    let mut ways: Vec<Option<RoutineAt>> = std::iter::once(None).chain(routines).collect();
    if chosen {
        ways.drain(..ways.len() - 1);
    }
    let case = Case::new(at, 1);
    for way in ways {
        let mut arrays = case.arrays().to_vec();
        let timed = time(|launches| {
            let start = Instant::now();
            for _ in 0..launches {
                match way {
                    Some(routine) => cpu::routine(at, routine, check::views(at, &mut arrays)),
                    None => cpu::reference(at, slice::from_ref(&(0..at.rows())), check::views(at, &mut arrays)),
                }
            }
            Ok(start.elapsed())
        });
        let report = match way {
            Some(routine) => case.routine(routine),
            None => Report { shader: at.name().to_owned(), ..case.reference() },
        };
        row(preset, &report, timed.map_err(|error| error.to_string())?, roofline)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let options = Options::parse();
    let device = match options.adapter.as_str() {
        "cpu" => None,
        adapter => match gpu::open(adapter) {
            Ok(device) => Some(device),
            Err(error) => {
                eprintln!("error: {error}\nhint: {}", error.hint().unwrap_or_default());
                return ExitCode::from(2);
            }
        },
    };
    match &device {
        Some(device) => println!("{}, {}", device.report().title(), device.report().driver),
        None => println!("CPU runner"),
    }
    let roofline = match device.as_ref().map_or_else(|| Ok(cpu::roofline()), |device| device.roofline()) {
        Ok(roofline) => roofline,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    println!(
        "at best {:.1} GFLOP/s of multiply-adds and {:.1} GB/s of copied memory",
        roofline.flops_per_s / 1e9,
        roofline.bytes_per_s / 1e9
    );
    println!(
        "{:<22} {:>10} {:>6} {:>9} {:>8} {:>8}   preset and shape",
        "shader", "µs", "±", "GFLOP/s", "GB/s", "of best"
    );
    let mut wrong = false;
    let mut judge = |outcome: Result<(), String>| {
        if let Err(reason) = outcome {
            eprintln!("error: {reason}");
            wrong = true;
        }
    };
    for (preset, at) in calls().into_iter().filter(|(_, at)| at.name().contains(&options.filter)) {
        let Some(device) = &device else {
            judge(processor(&preset, &at, options.chosen, &roofline));
            continue;
        };
        let chosen = device.variant(&at).name;
        let case = Case::new(&at, 1);
        for each in device.offered(&at).iter().filter(|each| !options.chosen || each.name == chosen) {
            judge(shader(device, &preset, &case, each, &roofline));
        }
    }
    ExitCode::from(u8::from(wrong))
}
