//! `siamese bench`

mod crew;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use siamese::Error;
use siamese::checkpoint::Checkpoint;
use siamese::config::{Config, PRESETS, Preset};
use siamese::data::Dataset;
use siamese::data::store::Images;
use siamese::embed::Embedder;
use siamese::feed::Residence;
use siamese::net::Net;
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::sampler::{Augment, Batch, Positive};
use siamese::siamese::{Source, inference_plan, slots, training_plan};
use siamese::train::Trainer;

use super::crew::CrewArg;
use super::engine::{Engine, Job};
use super::{
    AdapterArg, BatchArgs, DataArg, Failure, MiningArg, NetworkArgs, Outcome, PrecisionArg, Size, TuneArgs, parse_input,
};

/// Measures how fast this machine trains or embeds, and which kernels the time goes to.
///
/// Images a second are the median of five rounds. The time of a kernel is the device's own where it has timestamps.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese bench
  siamese bench --spec \"conv16 relu pool dense32 l2\" --infer
  siamese bench --batch 10x4,10x16,10x64
  siamese bench --workload w2 --json | tail -n 1
  mpirun -n 2 siamese bench --crew mpi                 what two ranks tell each other, and what 1,024 would do")]
pub struct Bench {
    /// A workload that other programs are measured on as well, instead of a preset's training
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with_all = SET_BY_WORKLOAD)]
    workload: Option<Workload>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Which triplets teach [default: the preset's]
    #[arg(long, value_enum, value_name = "WHICH")]
    mining: Option<MiningArg>,
    /// Embed images, do not train
    #[arg(long, conflicts_with = "mining")]
    infer: bool,
    /// Sizes of a batch, measured one after the other: labels x images of each, such as 10x32; triplets for random
    /// mining, images for embedding
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    batch: Vec<Size>,
    /// How images and activations are stored in training
    #[arg(long, value_enum, value_name = "BITS", default_value = "f32", conflicts_with = "infer")]
    precision: PrecisionArg,
    /// Measure what ranks of a training tell each other and what a step computes, and predict what up to 1,024 ranks
    /// would do, here and on other networks
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with_all = NOT_OF_CREWS)]
    crew: Option<CrewArg>,
    /// Seconds of a round
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Print JSON lines, the throughput last
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArg,
    /// Size that pictures are brought to, such as 64x64x3
    #[arg(long, value_name = "HxWxC", value_parser = parse_input)]
    input: Option<[usize; 3]>,
    #[command(flatten)]
    adapter: AdapterArg,
    #[command(flatten)]
    tune: TuneArgs,
}

/// Options that a workload says for itself.
const SET_BY_WORKLOAD: [&str; 6] = ["preset", "spec", "mining", "infer", "data", "input"];

/// Options that have no meaning for a crew, which computes on noise.
const NOT_OF_CREWS: [&str; 4] = ["workload", "infer", "data", "seconds"];

fn seconds(text: &str) -> Result<f64, String> {
    let right = |seconds: &f64| seconds.is_finite() && *seconds > 0.0;
    text.parse().ok().filter(right).ok_or_else(|| format!("`{text}` is no positive number of seconds"))
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
    /// The network of pictures, 32 labels x 4 colour images of 64x64, multi-similarity
    W3,
    /// ResNet-18, otherwise as w3
    W4,
}

/// What the workloads in colour train on, as they are told from each other by their speed alone: noise.
fn noise([height, width, channels]: [usize; 3]) -> Dataset {
    let (labels, each) = (256, 4);
    let mut images = vec![0; labels as usize * each * height * width * channels];
    ChaCha8Rng::seed_from_u64(0).fill(&mut images);
    Dataset {
        name: "noise".to_owned(),
        images: Images::new(images, height * width * channels),
        labels: (0..labels).flat_map(|label| std::iter::repeat_n(label, each)).collect(),
        label_names: Vec::new(),
        height,
        width,
        channels,
    }
}

/// One thing to measure.
#[derive(Clone, Copy)]
enum Task {
    /// Embedding so many images at a time.
    Embed(usize),
    /// Training on such batches.
    Train(Batch),
}

impl Task {
    fn rows(self) -> usize {
        match self {
            Task::Embed(images) => images,
            Task::Train(batch) => batch.rows(),
        }
    }
}

impl Bench {
    /// The settings for images of a shape.
    fn config(&self, preset: Preset, input: [usize; 3]) -> Config {
        let named = |name: &str| PRESETS.iter().find(|preset| preset.name == name).expect("a preset").config();
        let triplets = Batch::Random { triplets: 128, positive: Positive::Other };
        let config = match self.workload {
            None => self.network.config(preset, input),
            Some(Workload::W0) => named("notebook"),
            Some(Workload::W1) => Config { batch: triplets, ..named("cnn") },
            Some(Workload::W1Infer | Workload::W2) => named("cnn"),
            Some(Workload::W3) => Config { augment: Augment::NONE, ..named("pictures") },
            Some(Workload::W4) => Config { augment: Augment::NONE, ..named("resnet18") },
        };
        Config { storage: self.precision.storage(), ..config }
    }

    /// What to measure, in order, with settings of any shape.
    fn tasks(&self, config: &Config) -> siamese::Result<Vec<Task>> {
        let infer = self.infer || matches!(self.workload, Some(Workload::W1Infer));
        if infer && self.precision != PrecisionArg::F32 {
            return Err(Error::config("--precision", "16 bits are for training; this workload embeds"));
        }
        let mut sizes: Vec<_> = self.batch.iter().copied().map(Some).collect();
        if sizes.is_empty() {
            sizes.push(None);
        }
        let task = |size: Option<Size>| match (infer, size) {
            (true, None) => Ok(Task::Embed(ROWS)),
            (true, Some(Size::Triplets(images))) if images > 0 => Ok(Task::Embed(images)),
            (true, Some(_)) => Err(Error::config("--batch", "embedding takes a number of images, such as 1000")),
            (false, batch) => {
                let batch = BatchArgs { mining: self.mining, batch }.apply(&config.loss, config.batch)?;
                Config { batch, ..config.clone() }.validate()?;
                Ok(Task::Train(batch))
            }
        };
        sizes.into_iter().map(task).collect()
    }

    pub fn run(self) -> Outcome {
        let preset = self.network.preset()?;
        let brought = preset.brings.then_some(preset.input);
        // What is wrong with the options is said before images are read.
        let tasks = self.tasks(&self.config(preset, preset.input))?;
        if let Some(crew) = self.crew {
            return self.scale(crew, preset, &tasks);
        }
        let train = match self.workload {
            Some(Workload::W3 | Workload::W4) => noise([64, 64, 3]),
            _ => self.data.open(self.input.or(brought), siamese::data::pictures::Pictures::default(), None)?.train,
        };
        let config = self.config(preset, [train.height, train.width, train.channels]);
        let engine = Engine::open(&self.adapter.adapter)?.storing(self.precision.storage())?;
        say!("{}", engine.title());
        tasks.iter().try_for_each(|task| self.measure(&engine, *task, &config, &train))?;
        Ok(ExitCode::SUCCESS)
    }

    /// What a crew does with the steps of the tasks.
    fn scale(&self, crew: CrewArg, preset: Preset, tasks: &[Task]) -> Outcome {
        let (mut crew, _) = crew.join()?;
        let out = crew::Out { json: self.json };
        let link = crew::exchanges(&mut *crew, &out)?;
        crew.leave();
        // What a step computes the first rank measures with the whole machine.
        if crew.rank() > 0 {
            return Ok(ExitCode::SUCCESS);
        }
        let data = noise(self.input.unwrap_or(preset.input));
        let config = self.config(preset, [data.height, data.width, data.channels]);
        let engine = Engine::open(&self.adapter.adapter)?.storing(self.precision.storage())?;
        say!("{}", engine.title());
        for task in tasks {
            let Task::Train(batch) = *task else { unreachable!("a crew does not embed") };
            let config = Config { batch, ..config.clone() };
            let net = Net::parse(&config.spec, [data.height, data.width, data.channels])?;
            net.check(task.rows())?;
            engine.tune(&training_plan(&net, &Source::new(&data, config.scale()), &config), &self.tune)?;
            let step = engine.run(crew::Compute { config: &config, data: &data })?;
            let name = if self.network.has_spec() { &net.spec } else { preset.name };
            crew::predict(name, step, link, &out)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn measure(&self, engine: &Engine, task: Task, config: &Config, data: &Dataset) -> Result<(), Failure> {
        let config = match task {
            Task::Embed(_) => config,
            Task::Train(batch) => &Config { batch, ..config.clone() },
        };
        let net = Net::parse(&config.spec, [data.height, data.width, data.channels])?;
        net.check(task.rows())?;
        let model = Checkpoint::initial(config, &net);
        let plan = match task {
            Task::Embed(rows) => {
                let source = Source { slot: "images".to_owned(), images: rows, scale: config.scale(), classes: 10 };
                inference_plan(&net, &source, rows, slots::PARAMETERS)
            }
            Task::Train(_) => training_plan(&net, &Source::new(data, config.scale()), config),
        };
        engine.tune(&plan, &self.tune)?;
        let found = engine.run(Measure { seconds: self.seconds, task, model, data })?;
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
        let workload = self.workload.and_then(|workload| workload.to_possible_value());
        let workload = workload.as_ref().map(|value| value.get_name());
        let (rows, first) = (task.rows(), found.first.as_secs_f64());
        if self.json {
            let event = json!({
                "event": "throughput",
                "workload": workload,
                "spec": net.spec,
                "rows": rows,
                "images_per_s": found.images_per_s,
                "first_step_s": first,
                "host_ms": found.host_ms,
                "bytes": plan.bytes(),
            });
            writeln!(out, "{event}")?;
        } else {
            let name = workload.unwrap_or(&net.spec);
            let (speed, host, megabytes) = (found.images_per_s, found.host_ms, plan.bytes() as f64 / 1e6);
            writeln!(
                out,
                "{name}: {speed:.0} images/s, {rows} at a time; first step after {first:.2} s, {host:.3} ms of the \
                 host a step, {megabytes:.1} MB"
            )?;
        }
        Ok(())
    }
}

/// Rounds of which the median counts.
const ROUNDS: usize = 5;
/// Images embedded at a time.
const ROWS: usize = 1000;

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
    /// Of a round.
    seconds: f64,
    task: Task,
    model: Checkpoint,
    data: &'a Dataset,
}

impl Job for Measure<'_> {
    type Output = Measured;

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> siamese::Result<R>) -> Result<Measured, Failure> {
        let begin = Instant::now();
        if let Task::Embed(rows) = self.task {
            let mut embedder = Embedder::new(&self.model, rows, make)?;
            let first = begin.elapsed();
            let images = self.data.images.subset(&(0..rows).map(|row| row % self.data.len()).collect::<Vec<_>>());
            let images_per_s = rows as f64 * self.per_second(|| embedder.embed(&images, |_| ()).map(drop))?;
            let kernels = kernels(embedder.runner())?;
            return Ok(Measured { images_per_s, first, host_ms: 0.0, kernels });
        }
        let mut trainer = Trainer::new(&self.model, self.data, Residence::Device, make)?;
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
        let images_per_s = bursts * (burst * self.task.rows() as u64) as f64;
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
            while start.elapsed().as_secs_f64() < self.seconds {
                work()?;
                done += 1;
            }
            rounds.push(f64::from(done) / start.elapsed().as_secs_f64());
        }
        rounds.sort_by(f64::total_cmp);
        Ok(rounds[ROUNDS / 2])
    }
}

/// The time of each call in a run of the whole plan, the median of the rounds.
fn times<R: Runner>(runner: &mut R) -> siamese::Result<Vec<Duration>> {
    let calls = runner.plan().all();
    let rounds = (0..ROUNDS).map(|_| runner.profile(calls.clone())).collect::<siamese::Result<Vec<_>>>()?;
    let median = |place: usize| {
        let mut times: Vec<_> = rounds.iter().map(|round| round[place]).collect();
        times.sort();
        times[ROUNDS / 2]
    };
    Ok(calls.map(median).collect())
}

/// The time of each kernel in a run of the whole plan.
fn kernels<R: Runner>(runner: &mut R) -> siamese::Result<Vec<(String, Duration)>> {
    let times = times(runner)?;
    let mut kernels: Vec<(String, Duration)> = Vec::new();
    for (call, spent) in runner.plan().calls().iter().zip(times) {
        let name = call.at.name();
        match kernels.iter_mut().find(|(known, _)| known == name) {
            Some((_, time)) => *time += spent,
            None => kernels.push((name.to_owned(), spent)),
        }
    }
    kernels.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    Ok(kernels)
}
