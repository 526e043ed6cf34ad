//! `siamese bench`

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::json;
use siamese::checkpoint::Checkpoint;
use siamese::config::{Config, PRESETS};
use siamese::data::Dataset;
use siamese::embed::Embedder;
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::sampler::{Batch, Positive};
use siamese::siamese::{Source, inference_plan, slots, training_plan};
use siamese::train::Trainer;

use super::engine::{Engine, Job};
use super::{AdapterArg, DataArg, Failure, Outcome, TuneArgs};

/// Measures how fast this machine trains or embeds, and which kernels the time goes to.
///
/// Images a second are the median of five rounds. The shares are of kernels run one by one, each waited for, so that
/// they add up to a little more than a step.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese bench
  siamese bench --workload w1-infer --adapter cpu
  siamese bench --workload w2 --json | tail -n 1")]
pub struct Bench {
    /// What is measured
    #[arg(long, value_enum, default_value = "w2", value_name = "WHAT")]
    workload: Workload,
    /// Seconds of a round
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    seconds: f64,
    /// Print JSON lines, the throughput last
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArg,
    #[command(flatten)]
    adapter: AdapterArg,
    #[command(flatten)]
    tune: TuneArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// The notebook's network, 2048 random triplets
    W0,
    /// The network of cnn, 128 random triplets
    W1,
    /// The network of cnn, embedding 1000 images at a time
    W1Infer,
    /// The network of cnn, 10 labels x 32 images, semi-hard
    W2,
}

impl Workload {
    fn config(self) -> Config {
        let preset = |name: &str| PRESETS.iter().find(|preset| preset.name == name).expect("a preset").config();
        match self {
            Workload::W0 => preset("notebook"),
            Workload::W1 => {
                Config { batch: Batch::Random { triplets: 128, positive: Positive::Other }, ..preset("cnn") }
            }
            Workload::W1Infer | Workload::W2 => preset("cnn"),
        }
    }
}

/// Rounds of which the median counts.
const ROUNDS: usize = 5;
/// Images embedded at a time.
const ROWS: usize = 1000;

impl Bench {
    pub fn run(self) -> Outcome {
        let train = self.data.load(None, siamese::data::pictures::Pictures::default())?.train;
        let engine = Engine::open(&self.adapter.adapter)?;
        eprintln!("{}", engine.title());
        let config = self.workload.config();
        let net = siamese::net::Net::parse(&config.spec, [train.height, train.width, train.channels])?;
        let model = Checkpoint::initial(&config, &net);
        let plan = if self.workload == Workload::W1Infer {
            let source = Source { slot: "images".to_owned(), images: ROWS, scale: config.scale() };
            inference_plan(&net, &source, ROWS, slots::PARAMETERS)
        } else {
            training_plan(&net, &Source::new(&train, config.scale()), &config)
        };
        engine.tune(&plan, &self.tune)?;
        let found = engine.run(Measure { bench: &self, model, data: &train })?;
        let mut out = std::io::stdout().lock();
        let total: f64 = found.kernels.iter().map(|(_, time)| time.as_secs_f64()).sum();
        for (kernel, time) in &found.kernels {
            let (ms, share) = (1e3 * time.as_secs_f64(), time.as_secs_f64() / total);
            if self.json {
                writeln!(out, "{}", json!({ "event": "kernel", "kernel": kernel, "ms": ms, "share": share }))?;
            } else {
                writeln!(out, "{kernel:<14} {ms:>10.3} ms {:>6.1} %", 100.0 * share)?;
            }
        }
        let name = self.workload.to_possible_value().expect("a name").get_name().to_owned();
        if self.json {
            let event = json!({
                "event": "throughput",
                "workload": name,
                "images_per_s": found.images_per_s,
                "first_step_s": found.first.as_secs_f64(),
                "host_ms": found.host_ms,
            });
            writeln!(out, "{event}")?;
        } else {
            writeln!(
                out,
                "{name}: {:.0} images/s, first step after {:.2} s, {:.3} ms of the host a step",
                found.images_per_s,
                found.first.as_secs_f64(),
                found.host_ms
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What was measured.
struct Measured {
    images_per_s: f64,
    /// From nothing made to the first result.
    first: Duration,
    /// Writing inputs, encoding and submitting a step; 0 for embedding.
    host_ms: f64,
    /// Time of each kernel in a step, the longest first.
    kernels: Vec<(String, Duration)>,
}

struct Measure<'a> {
    bench: &'a Bench,
    model: Checkpoint,
    data: &'a Dataset,
}

impl Job for Measure<'_> {
    type Output = Measured;

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> siamese::Result<R>) -> Result<Measured, Failure> {
        let begin = Instant::now();
        if self.bench.workload == Workload::W1Infer {
            let mut embedder = Embedder::new(&self.model, ROWS, make)?;
            let first = begin.elapsed();
            let images = &self.data.images[..(ROWS * self.data.pixels()).min(self.data.images.len())];
            let rows = (images.len() / self.data.pixels()) as f64;
            let images_per_s = rows * self.per_second(|| embedder.embed(images, |_| ()).map(drop))?;
            let kernels = kernels(embedder.runner())?;
            return Ok(Measured { images_per_s, first, host_ms: 0.0, kernels });
        }
        let mut trainer = Trainer::new(&self.model, self.data, make)?;
        let stop = AtomicBool::new(false);
        trainer.run(1, &stop, |_| ())?;
        let first = begin.elapsed();
        let (host, before) = (trainer.host_time(), trainer.steps());
        // Some steps at once, so that several are in flight.
        let burst = 5;
        let bursts = self.per_second(|| {
            let until = trainer.steps() + burst;
            trainer.run(until, &stop, |_| ())
        })?;
        let steps = (trainer.steps() - before) as f64;
        let host_ms = 1e3 * (trainer.host_time() - host).as_secs_f64() / steps;
        let images_per_s = bursts * (burst * self.model.config.batch.rows() as u64) as f64;
        Ok(Measured { images_per_s, first, host_ms, kernels: kernels(trainer.runner_mut())? })
    }
}

impl Measure<'_> {
    /// How often a second `work` can be done: the median of the rounds.
    fn per_second(&self, mut work: impl FnMut() -> siamese::Result<()>) -> siamese::Result<f64> {
        work()?;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let (start, mut done) = (Instant::now(), 0);
            while start.elapsed().as_secs_f64() < self.bench.seconds {
                work()?;
                done += 1;
            }
            rounds.push(f64::from(done) / start.elapsed().as_secs_f64());
        }
        rounds.sort_by(f64::total_cmp);
        Ok(rounds[ROUNDS / 2])
    }
}

/// The time of each kernel in a run of the whole plan, its calls run one by one.
fn kernels<R: Runner>(runner: &mut R) -> siamese::Result<Vec<(String, Duration)>> {
    let calls = runner.plan().calls().to_vec();
    let mut kernels: Vec<(String, Duration)> = Vec::new();
    for (place, call) in calls.iter().enumerate() {
        // Reading the smallest array waits for the call.
        let smallest = *call.args.iter().min_by_key(|&&slot| runner.plan().slot(slot).len()).expect("an argument");
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            runner.read(smallest)?;
            let start = Instant::now();
            runner.run(place..place + 1)?;
            runner.read(smallest)?;
            times.push(start.elapsed());
        }
        times.sort();
        let name = call.at.name();
        match kernels.iter_mut().find(|(known, _)| known == name) {
            Some((_, time)) => *time += times[ROUNDS / 2],
            None => kernels.push((name.to_owned(), times[ROUNDS / 2])),
        }
    }
    kernels.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    Ok(kernels)
}
