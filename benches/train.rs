//! Whole steps: images a second of every preset, training and embedding, and what the host spends on a step. `cargo
//! bench --bench train [PRESET]`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::Parser;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siamese::checkpoint::Checkpoint;
use siamese::config::PRESETS;
use siamese::data::Dataset;
use siamese::data::store::Images;
use siamese::feed::Residence;
use siamese::net::Net;
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::train::Trainer;
use siamese::{Result, cpu, embed, gpu};

#[derive(Parser)]
#[command(about = "Images a second of every preset")]
struct Options {
    /// Only presets whose name contains this
    #[arg(default_value = "")]
    filter: String,
    /// Adapter: auto, cpu, a backend, an index or a part of a name
    #[arg(long, default_value = "auto")]
    adapter: String,
    /// Seconds of training measured
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// Random images of a shape, some 8 MB of them: throughput does not depend on what they show.
fn data([height, width, channels]: [usize; 3]) -> Dataset {
    let pixels = height * width * channels;
    let rows = (8_000_000 / pixels).max(256);
    let images = ChaCha8Rng::seed_from_u64(0).random_iter().take(rows * pixels).collect();
    let images = Images::new(images, pixels);
    let labels = (0..rows as u32).map(|row| row % 50).collect();
    Dataset { name: "random".to_owned(), images, labels, label_names: Vec::new(), height, width, channels }
}

fn bench<R: Runner>(options: &Options, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<()> {
    println!(
        "{:<10} {:>14} {:>14} {:>14} {:>14}",
        "preset", "train img/s", "embed img/s", "host ms/step", "first step s"
    );
    for preset in PRESETS.iter().filter(|preset| preset.name.contains(&options.filter)) {
        let config = preset.config();
        let data = data(preset.input);
        let net = Net::parse(&config.spec, preset.input)?;
        let begin = Instant::now();
        let mut trainer = Trainer::new(&Checkpoint::initial(&config, &net), &data, Residence::Device, &make)?;
        let stop = AtomicBool::new(false);
        trainer.run(1, &stop, |_| ())?;
        let first = begin.elapsed().as_secs_f64();
        trainer.run(5, &stop, |_| ())?;

        let (start, host, before) = (Instant::now(), trainer.host_time(), trainer.steps());
        while start.elapsed().as_secs_f64() < options.seconds {
            let until = trainer.steps() + 5;
            trainer.run(until, &stop, |_| ())?;
        }
        let steps = (trainer.steps() - before) as f64;
        let trained = steps * config.batch.rows() as f64 / start.elapsed().as_secs_f64();
        let host = 1e3 * (trainer.host_time() - host).as_secs_f64() / steps;

        embed::embed(trainer.runner(), &net, &data.clone().take(embed::BATCH), config.scale(), |_| ())?;
        let start = Instant::now();
        embed::embed(trainer.runner(), &net, &data, config.scale(), |_| ())?;
        let embedded = data.len() as f64 / start.elapsed().as_secs_f64();
        println!("{:<10} {trained:>14.0} {embedded:>14.0} {host:>14.3} {first:>14.2}", preset.name);
    }
    Ok(())
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = if options.adapter == "cpu" {
        bench(&options, |plan| Ok(cpu::Runner::<f32>::new(plan)))
    } else {
        gpu::open(&options.adapter).and_then(|device| {
            println!("{}, {}", device.report().title(), device.report().driver);
            bench(&options, |plan| gpu::Runner::new(device.clone(), plan))
        })
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}\nhint: {}", error.hint().unwrap_or_default());
            ExitCode::from(2)
        }
    }
}
