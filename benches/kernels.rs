//! Throughput of each kernel in each shader, at every distinct call of the presets' plans: `cargo bench --bench
//! kernels [FILTER]`. Every output is proven right at the very shape that is timed. Options: see `--help`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use siamese::check;
use siamese::config::PRESETS;
use siamese::gpu::{self, Device, Probe};
use siamese::kernel::{At, ShaderAt};
use siamese::net::Net;
use siamese::siamese::{Source, inference_plan, neighbours_plan, slots, training_plan};

#[derive(Parser)]
#[command(about = "Throughput of each kernel, checked before it is timed")]
struct Options {
    /// Only kernels whose name contains this
    #[arg(default_value = "")]
    filter: String,
    /// Adapter: auto, a backend, an index or a part of a name
    #[arg(long, default_value = "auto")]
    adapter: String,
    /// Only the shader that the adapter is given, not the others of its kernel
    #[arg(long)]
    chosen: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// The distinct calls of all presets, with the preset that makes each.
fn calls() -> Vec<(String, At)> {
    let mut calls: Vec<(String, At)> = Vec::new();
    let mut add = |preset: &str, found: Vec<At>| {
        for at in found {
            if calls.iter().all(|(_, other)| *other != at) {
                calls.push((preset.to_owned(), at));
            }
        }
    };
    for preset in PRESETS {
        let config = preset.config();
        let net = Net::parse(&config.spec, [28, 28, 1]).expect("a preset parses");
        let source = Source { slot: "images".to_owned(), images: 60_000, scale: config.scale() };
        add(preset.name, training_plan(&net, &source, &config).distinct());
        add(preset.name, inference_plan(&net, &source, siamese::embed::BATCH, slots::PARAMETERS).distinct());
    }
    add("eval", neighbours_plan(256, 60_000, 64, 5).distinct());
    calls
}

/// Median seconds of one launch, and the spread of the samples as a share of it.
fn time(probe: &Probe) -> siamese::Result<(f64, f64)> {
    probe.run(1)?;
    let once = probe.run(1)?.as_secs_f64();
    let launches = (0.05 / once).ceil().clamp(1.0, 1000.0) as usize;
    let mut samples = Vec::new();
    for _ in 0..7 {
        samples.push(probe.run(launches)?.as_secs_f64() / launches as f64);
    }
    samples.sort_by(f64::total_cmp);
    let median = samples[samples.len() / 2];
    Ok((median, (samples[samples.len() - 1] - samples[0]) / median))
}

/// Proves and times one shader at a shape, and prints its row.
fn bench(device: &Arc<Device>, preset: &str, at: &At, shader: &ShaderAt) -> Result<(), String> {
    let arrays = check::inputs(at, 1);
    let timed = Probe::new(device.clone(), at, shader, &arrays).and_then(|probe| {
        probe.run(1)?;
        let report = check::compare(at, shader.name, &probe.read()?, &check::expected(at, &arrays));
        Ok((report, time(&probe)?))
    });
    let (report, (seconds, spread)) = timed.map_err(|error| error.to_string())?;
    if !report.passed() {
        return Err(report.to_string());
    }
    let work = at.work();
    let constants: Vec<_> = at.constants().iter().map(|(_, value)| format!("{}", *value as f32)).collect();
    println!(
        "{:<22} {:>10.1} {:>5.0}% {:>9.2} {:>8.2}   {preset} {}",
        shader.name,
        1e6 * seconds,
        100.0 * spread,
        work.flops as f64 / seconds / 1e9,
        work.bytes as f64 / seconds / 1e9,
        constants.join(" "),
    );
    Ok(())
}

fn main() -> ExitCode {
    let options = Options::parse();
    let device = match gpu::open(&options.adapter) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("error: {error}\nhint: {}", error.hint().unwrap_or_default());
            return ExitCode::from(2);
        }
    };
    println!("{}, {}", device.report().title(), device.report().driver);
    println!("{:<22} {:>10} {:>6} {:>9} {:>8}   preset and shape", "shader", "µs", "±", "GFLOP/s", "GB/s");
    let mut wrong = false;
    for (preset, at) in calls() {
        if !at.name().contains(&options.filter) {
            continue;
        }
        let chosen = gpu::variant(&device.features(), &at).name;
        for shader in at.shaders() {
            let offered = shader.fits && device.features().offer(shader.needs);
            if offered
                && (!options.chosen || shader.name == chosen)
                && let Err(reason) = bench(&device, &preset, &at, &shader)
            {
                eprintln!("error: {reason}");
                wrong = true;
            }
        }
    }
    ExitCode::from(u8::from(wrong))
}
