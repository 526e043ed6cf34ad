//! Trainings that are to be compatible with an older model: on both runners, resumed, and what they are for. On real
//! MNIST.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use siamese::checkpoint::Checkpoint;
use siamese::config::{Compatible, Config, PRESETS};
use siamese::data::Dataset;
use siamese::embed::Embedder;
use siamese::eval::{Embedded, across, verification_pairs};
use siamese::feed::Residence;
use siamese::gpu;
use siamese::losses::LOSS;
use siamese::net::Net;
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::sampler::{Batch, Mining};
use siamese::train::{StepReport, Trainer};
use siamese::{Result, cpu};

use crate::common;

static NEVER: AtomicBool = AtomicBool::new(false);

fn config(spec: &str, seed: u64) -> Config {
    Config {
        spec: spec.to_owned(),
        seed,
        loss: "multi-similarity".parse().unwrap(),
        batch: Batch::Mined { labels: 10, images: 6, mining: Mining::SemiHard },
        steps: 120,
        ..PRESETS[0].config()
    }
}

/// The network as it was, and another one.
const OLD: &str = "conv6 relu pool dense16 l2";
const NEW: &str = "conv8k5s2 relu pool conv12 relu dense16 l2";

fn start(config: &Config) -> Checkpoint {
    Checkpoint::initial(config, &Net::parse(&config.spec, [28, 28, 1]).unwrap())
}

fn on_cpu(plan: Arc<Plan>) -> Result<cpu::Runner> {
    Ok(cpu::Runner::new(plan))
}

fn trainer<R: Runner>(
    start: &Checkpoint,
    data: &Dataset,
    old: Option<&[f32]>,
    make: impl FnOnce(Arc<Plan>) -> Result<R>,
) -> Trainer<R> {
    let mut trainer = Trainer::new(start, data, Residence::Device, make).unwrap();
    old.into_iter().for_each(|old| trainer.compare_with(old.to_vec()));
    trainer
}

fn train<R: Runner>(trainer: &mut Trainer<R>, until: u64) -> Vec<StepReport> {
    let mut reports = Vec::new();
    trainer.run(until, &NEVER, |report| reports.push(report)).unwrap();
    reports
}

fn embed(model: &Checkpoint, data: &Dataset) -> Vec<f32> {
    Embedder::new(model, 100, on_cpu).unwrap().embed(&data.images, |_| ()).unwrap()
}

/// A model that has learned, and its embeddings of the images trained on.
fn old(data: &Dataset) -> (Checkpoint, Vec<f32>) {
    let mut trainer = trainer(&start(&config(OLD, 1)), data, None, on_cpu);
    train(&mut trainer, 120);
    let model = trainer.checkpoint().unwrap();
    let embeddings = embed(&model, data);
    (model, embeddings)
}

/// A training that is to be compatible with `old`.
fn compatible(old: &Checkpoint) -> Config {
    Config { compatible: Some(Compatible { path: None, model: old.fingerprint() }), ..config(NEW, 2) }
}

#[test]
fn new_probes_are_found_in_an_old_gallery() {
    let split = common::mnist();
    let (data, test) = (split.train.take(2000), split.test.take(600));
    let (old, embeddings) = old(&data);
    let made = |config: &Config, with: Option<&[f32]>| {
        let mut trainer = trainer(&start(config), &data, with, on_cpu);
        train(&mut trainer, config.steps);
        embed(&trainer.checkpoint().unwrap(), &test)
    };
    let [gallery, alone, new] =
        [embed(&old, &test), made(&config(NEW, 2), None), made(&compatible(&old), Some(&embeddings))];
    let pairs = verification_pairs(&test.labels, 20_000, 0).unwrap();
    let between = |probes: &[f32], gallery: &[f32]| {
        let [probes, gallery] = [probes, gallery].map(|values| Embedded { values, dims: 16, labels: &test.labels });
        let found = across(probes, gallery, Some(&pairs));
        [found.recall_at_1, found.tar_at_far_1e3].map(Option::unwrap)
    };
    let (own, apart) = (between(&gallery, &gallery), between(&alone, &gallery));
    let (found, itself) = (between(&new, &gallery), between(&new, &new));
    println!("old {own:?}, alone in old {apart:?}, new in old {found:?}, new {itself:?}");
    assert!(apart[0] < 0.3 && apart[1] < 0.02, "networks trained apart have nothing in common: {apart:?}");
    assert!(found[0] > 0.65 && found[1] > 0.08, "new probes in the old gallery: {found:?}");
    assert!(itself[0] > 0.75, "new among themselves: {itself:?}");
}

#[test]
fn both_runners_make_the_same_steps() {
    let device = common::device();
    let data = common::mnist().train.take(1000);
    let (old, embeddings) = old(&data);
    let config = Config { learning_rate: 3e-4, memory: 100, ..compatible(&old) };
    let start = start(&config);
    let mut on_cpu = trainer(&start, &data, Some(&embeddings), on_cpu);
    let mut on_gpu = trainer(&start, &data, Some(&embeddings), |plan| gpu::Runner::new(device, plan));
    let mut bound = 1e-6;
    for (expected, got) in train(&mut on_cpu, 10).iter().zip(&train(&mut on_gpu, 10)) {
        let [expected, got] = [expected, got].map(|report| report.stats.get(LOSS));
        assert!((got - expected).abs() <= bound * expected, "{got} and {expected}, {bound:e} allowed");
        bound *= 1.5;
    }
    let [cpu, gpu] = [on_cpu.checkpoint().unwrap(), on_gpu.checkpoint().unwrap()].map(|made| made.parameters);
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    let (moved, apart) = (distance(&cpu, &start.parameters), distance(&cpu, &gpu));
    assert!(moved > 0.02 && apart <= 1e-3 * moved, "{apart:e} apart after moving by {moved:e}");
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one() {
    let data = common::mnist().train.take(1000);
    let (old, embeddings) = old(&data);
    let config = Config { memory: 100, ..compatible(&old) };
    let run = |start: &Checkpoint, until| {
        let mut trainer = trainer(start, &data, Some(&embeddings), on_cpu);
        let reports = train(&mut trainer, until);
        (reports, trainer.checkpoint().unwrap())
    };
    let (whole, end) = run(&start(&config), 8);
    let (mut halves, middle) = run(&start(&config), 4);
    let (rest, again) = run(&middle, 8);
    halves.extend(rest);
    assert_eq!(halves, whole);
    assert!(end.parameters == again.parameters, "stopped and resumed");
}
