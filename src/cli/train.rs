//! `siamese train`

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use siamese::checkpoint::{Checkpoint, Precision, write_atomically};
use siamese::config::Length;
use siamese::data::Split;
use siamese::net::Net;
use siamese::run::Runner;
use siamese::siamese::{Source, training_plan};
use siamese::train::Trainer;
use siamese::{Error, Result, embed};

use super::engine::{Engine, Job};
use super::{AdapterArg, CHECKPOINT, DataArg, Failure, NetworkArgs, Outcome};
use crate::report::{Events, Steps, evaluation_bar, evaluation_table};

/// Trains a network on the training images, saves it, and evaluates it on the test images.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese train                                        the default network on MNIST, on the best adapter
  siamese train --preset notebook --seed 1             the Keras notebook
  siamese train --adapter cpu --epochs 2               without any GPU
  siamese train --spec \"conv16k5 relu pool dense32 l2\" --images 100000 --out runs/mine
  siamese train --out runs/mine --resume               go on after Ctrl-C
  siamese train --data fashion-mnist/                  any folder of IDX files")]
pub struct Train {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArg,
    #[command(flatten)]
    adapter: AdapterArg,
    #[command(flatten)]
    length: LengthArgs,
    /// Triplets of a step, three images each
    #[arg(long, value_name = "TRIPLETS")]
    batch: Option<usize>,
    /// How much farther than the positive the negative must be
    #[arg(long)]
    margin: Option<f32>,
    /// Step size of Adam
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f32>,
    /// Where every random choice comes from
    #[arg(long)]
    seed: Option<u64>,
    /// Recognition thresholds that the evaluation reports, in the loss's distance; may be repeated
    #[arg(long, value_name = "DISTANCE")]
    threshold: Vec<f32>,
    /// Folder of the run [default: runs/<preset>, numbered where that is taken]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in --out
    #[arg(long, requires = "out")]
    #[arg(conflicts_with_all = ["preset", "spec", "batch", "margin", "learning_rate", "seed", "threshold"])]
    resume: bool,
    /// Print events as JSON lines on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(multiple = false)]
struct LengthArgs {
    /// Length of the training in optimiser steps
    #[arg(long)]
    steps: Option<u64>,
    /// Length of the training in passes: as many anchors as there are training images, each
    #[arg(long)]
    epochs: Option<u64>,
    /// Length of the training in images seen, three a triplet
    #[arg(long)]
    images: Option<u64>,
}

impl LengthArgs {
    fn length(&self) -> Option<Length> {
        let steps = self.steps.map(Length::Steps);
        steps.or(self.epochs.map(Length::Epochs)).or(self.images.map(Length::Images))
    }
}

/// A fresh run folder: `runs/<name>`, or `runs/<name>-2` and so on.
fn fresh_folder(name: &str) -> PathBuf {
    let candidates = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}-{number}")));
    let free = candidates.map(|name| Path::new("runs").join(name)).find(|folder| !folder.exists());
    free.expect("one of endlessly many names is free")
}

impl Train {
    pub fn run(self) -> Outcome {
        let split = self.data.load()?;
        let (folder, start) = self.start(&split)?;
        let engine = Engine::open(&self.adapter.adapter)?;
        fs::create_dir_all(&folder).map_err(Error::io("make folder", &folder))?;
        let metrics_file = folder.join("metrics.jsonl");
        let mut options = File::options();
        let options = options.create(true).write(true).append(self.resume).truncate(!self.resume);
        let metrics = options.open(&metrics_file).map_err(Error::io("write", &metrics_file))?;
        let events = Events::new(self.json, Some((metrics, metrics_file)));
        engine.run(Run { split: &split, start, folder, engine: &engine, events })
    }

    /// The run folder, and the weights and settings to start from.
    fn start(&self, split: &Split) -> Result<(PathBuf, Checkpoint)> {
        let resolve = |length: Length, triplets| length.steps(triplets, split.train.len());
        if self.resume {
            let folder = self.out.clone().expect("clap requires --out");
            let mut checkpoint = Checkpoint::load(&folder.join(CHECKPOINT))?;
            if let Some(length) = self.length.length() {
                checkpoint.config.steps = resolve(length, checkpoint.config.triplets);
            }
            let (done, wanted) = (checkpoint.step, checkpoint.config.steps);
            if done > wanted {
                return Err(Error::config("--steps", format!("{done} steps are done, more than the {wanted} wished")));
            }
            return Ok((folder, checkpoint));
        }
        let mut config = self.network.config()?;
        config.triplets = self.batch.unwrap_or(config.triplets);
        if config.triplets == 0 {
            return Err(Error::config("--batch", "0 triplets train nothing"));
        }
        if self.batch.is_some() || self.data.data.is_some() {
            // A preset's length is in images; its steps are those of its own batch.
            let images = 3 * (self.network.preset()?.config().triplets as u64) * config.steps;
            config.steps = resolve(Length::Images(images), config.triplets);
        }
        if let Some(length) = self.length.length() {
            config.steps = resolve(length, config.triplets);
        }
        config.loss.margin = self.margin.unwrap_or(config.loss.margin);
        config.learning_rate = self.learning_rate.unwrap_or(config.learning_rate);
        config.seed = self.seed.unwrap_or(config.seed);
        if !self.threshold.is_empty() {
            config.thresholds.clone_from(&self.threshold);
        }
        config.validate()?;
        let net = Net::parse(&config.spec, [split.train.height, split.train.width, split.train.channels])?;
        let folder = match &self.out {
            None => fresh_folder(self.network.preset()?.name),
            Some(folder) if folder.join(CHECKPOINT).exists() => {
                let reason = format!("{} holds a run already; --resume goes on with it", folder.display());
                return Err(Error::config("--out", reason));
            }
            Some(folder) => folder.clone(),
        };
        Ok((folder, Checkpoint::initial(&config, &net)))
    }
}

/// A training from start to evaluation.
struct Run<'a> {
    split: &'a Split,
    start: Checkpoint,
    folder: PathBuf,
    engine: &'a Engine,
    events: Events,
}

/// A checkpoint is saved at least this often.
const SAVE_EVERY: Duration = Duration::from_secs(30);

impl Job for Run<'_> {
    type Output = ExitCode;

    fn run<R: Runner>(mut self, make: impl Fn(Arc<siamese::plan::Plan>) -> Result<R>) -> Result<ExitCode, Failure> {
        let begin = Instant::now();
        let config = self.start.config.clone();
        let net = self.start.net()?;
        let data = &self.split.train;
        self.announce(&net)?;
        eprintln!("compiling shaders …");
        let mut trainer = Trainer::new(&self.start, data, make)?;

        let stop = interruptible();
        let file = self.folder.join(CHECKPOINT);
        let mut steps = Steps::new(self.start.step, config.steps, 3 * config.triplets as u64);
        let mut saved = Instant::now();
        while trainer.steps() < config.steps && !stop.load(Ordering::Relaxed) {
            let until = (trainer.steps() + 100).min(config.steps);
            let first = trainer.steps() == self.start.step;
            let mut written = Ok(());
            trainer.run(if first { trainer.steps() + 1 } else { until }, stop, |report| {
                let speed = steps.show(&report);
                if written.is_ok() {
                    written = self.events.step(&report, speed);
                }
            })?;
            written?;
            if first {
                steps.first(begin.elapsed());
            }
            if saved.elapsed() > SAVE_EVERY {
                trainer.checkpoint()?.save(&file, Precision::F32)?;
                saved = Instant::now();
            }
        }
        steps.finish();
        trainer.checkpoint()?.save(&file, Precision::F32)?;
        self.events.emit(&json!({
            "event": "saved",
            "path": file,
            "step": trainer.steps(),
            "host_ms": 1e3 * trainer.host_time().as_secs_f64() / (trainer.steps() - self.start.step).max(1) as f64,
        }))?;
        eprintln!("saved {}", file.display());
        if trainer.steps() < config.steps {
            let command = format!("siamese train --out {} --resume", self.folder.display());
            eprintln!("interrupted after step {} of {}; `{command}` goes on", trainer.steps(), config.steps);
            return Ok(ExitCode::from(130));
        }

        let bar = evaluation_bar();
        let evaluation = embed::evaluate(trainer.runner(), &net, &config, self.split, |progress| bar.show(progress))?;
        bar.finish();
        self.events.evaluation(&evaluation)?;
        if !self.events.json() {
            evaluation_table(&evaluation)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Run<'_> {
    /// Says what will run, and writes the run's manifest.
    fn announce(&mut self, net: &Net) -> Result<(), Failure> {
        let config = &self.start.config;
        let data = &self.split.train;
        let source = Source::new(data, config.scale());
        let plan = training_plan(net, &source, config.triplets, config.loss, config.update);
        let images = 3 * config.triplets as u64 * config.steps;
        eprintln!("adapter  {}", self.engine.title());
        eprintln!("network  {} ({} parameters)", net.spec, net.parameter_count());
        eprintln!("data     {} ({} images, {} labels)", data.name, data.len(), data.classes());
        eprintln!("length   {} steps of {} triplets, {images} images", config.steps, config.triplets);
        eprintln!("memory   {:.1} MB in buffers", plan.bytes() as f64 / 1e6);
        eprintln!("folder   {}", self.folder.display());
        let manifest = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "config": config,
            "input": net.input,
            "data": data.name,
            "adapter": self.engine.manifest(),
            "shaders": self.engine.variants(&plan),
        });
        let text = serde_json::to_string_pretty(&manifest).expect("plain data");
        write_atomically(&self.folder.join("run.json"), text.as_bytes())?;
        self.events.emit(&json!({
            "event": "start",
            "adapter": self.engine.title(),
            "spec": net.spec,
            "parameters": net.parameter_count(),
            "steps": config.steps,
            "bytes": plan.bytes(),
            "folder": self.folder,
        }))?;
        Ok(())
    }
}

/// A flag that the first Ctrl-C sets; the second quits.
fn interruptible() -> &'static AtomicBool {
    static STOP: AtomicBool = AtomicBool::new(false);
    let handler = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        // Without a terminal there is nobody to read it, and nothing is lost.
        drop(writeln!(std::io::stderr(), "\nstopping after this step; Ctrl-C again quits at once"));
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        eprintln!("warning: Ctrl-C will not save: {error}");
    }
    &STOP
}
