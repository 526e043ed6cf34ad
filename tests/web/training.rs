//! Ten steps of training in a browser, and by wgpu from the folder alone, are those of the CPU runner: what its trainer
//! writes and runs is written down, and done again there.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Value, json};
use siamese::checkpoint::Checkpoint;
use siamese::config::{Config, PRESETS, Schedule, Update};
use siamese::cpu;
use siamese::data::{Dataset, Origin};
use siamese::error::Result;
use siamese::feed::Residence;
use siamese::host::Array;
use siamese::kernel::At;
use siamese::plan::{Plan, Role, SlotId};
use siamese::run::{Runner, Values};
use siamese::sampler::{Batch, Mining};
use siamese::siamese::slots;
use siamese::train::Trainer;

use crate::browser::{SOFTWARE_WEBGPU, ask, serve, tab};
use crate::replay::{self, Replay};
use crate::{Folder, common};

/// A CPU runner that notes what the host does: `{ write, values }`, `{ run }` or `{ read }`.
struct Noted {
    runner: cpu::Runner,
    events: Vec<Value>,
}

impl Runner for Noted {
    fn plan(&self) -> &Plan {
        self.runner.plan()
    }

    fn write<'a>(&mut self, slot: SlotId, values: impl Into<Values<'a>>) -> Result<()> {
        let values = values.into();
        let own = self.plan().slot(slot);
        // The rest is in the folder.
        if own.role == Role::Input && own.name != slots::RATES {
            let (name, bits): (_, Vec<u32>) = match values {
                Values::Float(values) => (&own.name, values.iter().map(|value| value.to_bits()).collect()),
                Values::Uint(values) => (&own.name, values.to_vec()),
            };
            let event = json!({ "write": name, "values": bits });
            self.events.push(event);
        }
        self.runner.write(slot, values)
    }

    fn write_part(&mut self, _: SlotId, _: usize, _: &[u32]) -> Result<()> {
        panic!("images go up whole")
    }

    fn run(&mut self, calls: Range<usize>) -> Result<()> {
        self.events.push(json!({ "run": [calls.start, calls.end] }));
        self.runner.run(calls)
    }

    fn widen(&self, at: &At) -> f64 {
        self.runner.widen(at)
    }

    fn profile(&mut self, calls: Range<usize>) -> Result<Vec<Duration>> {
        self.runner.profile(calls)
    }

    fn read(&mut self, slot: SlotId) -> Result<Array> {
        self.runner.read(slot)
    }

    fn snapshot(&mut self, slot: SlotId) -> Result<()> {
        self.events.push(json!({ "read": self.plan().slot(slot).name }));
        self.runner.snapshot(slot)
    }

    fn collect(&mut self, keep: usize) -> Result<Vec<Array>> {
        self.runner.collect(keep)
    }

    fn is_on_host(&self) -> bool {
        self.runner.is_on_host()
    }

    fn fork(&self, plan: Arc<Plan>) -> Result<Self> {
        Ok(Noted { runner: self.runner.fork(plan)?, events: vec![] })
    }
}

/// A training and what came of it.
struct Training {
    start: Checkpoint,
    folder: Folder,
    events: Vec<Value>,
    losses: Vec<f32>,
    parameters: Vec<f32>,
}

/// Mined triplets, normalisation, dropout, decay, and a head of the loss's own.
fn trainings() -> Vec<Training> {
    let data: Dataset = common::mnist().train.clone().take(400);
    let Update::Adam { beta1, beta2, weight_decay, .. } = PRESETS[0].config().update;
    let base = Config {
        spec: "conv8 relu pool conv16 relu pool dense32 relu dense16 l2".to_owned(),
        batch: Batch::Mined { labels: 5, images: 4, mining: Mining::SemiHard },
        schedule: Schedule::Constant,
        learning_rate: 3e-4,
        // Adam begins by moving a weight as far for a gradient that is rounding alone as for any other; with this it
        // moves those little.
        update: Update::Adam { beta1, beta2, epsilon: 1e-3, weight_decay },
        ..PRESETS[0].config()
    };
    let headed = Config {
        spec: "conv8 bn relu pool conv16 relu pool dense32 relu drop0.3 dense16 l2".to_owned(),
        loss: "proxy-anchor".parse().unwrap(),
        average: Some(0.9),
        ..base.clone()
    };
    [base, headed].into_iter().map(|config| training(config, &data)).collect()
}

fn training(config: Config, data: &Dataset) -> Training {
    let net = siamese::net::Net::of(&config, [28, 28, 1]).unwrap();
    let origin = Some(Origin::new("mnist", None, data, data, String::new()));
    let start = Checkpoint { origin, ..Checkpoint::initial(&config, &net) };
    let make = |plan: Arc<Plan>| Ok(Noted { runner: cpu::Runner::new(plan), events: vec![] });
    let mut trainer = Trainer::new(&start, data, Residence::Host { workers: 1 }, make).unwrap();
    let mut losses = Vec::new();
    let never = AtomicBool::new(false);
    trainer.run(10, &never, |report| losses.push(report.stats.get("loss"))).unwrap();
    let events = std::mem::take(&mut trainer.runner_mut().events);
    let parameters = trainer.checkpoint().unwrap().parameters;
    assert_eq!(losses.len(), 10);
    Training { folder: Folder::of(&start, true), start, events, losses, parameters }
}

impl Training {
    /// Compares the loss, the first of the statistics, after each step, and the parameters at the end: the bounds are
    /// those of two runners of the program.
    fn assert_same(&self, what: &str, losses: &[f32], parameters: &[f32]) {
        let mut bound = 1e-6;
        assert_eq!(losses.len(), self.losses.len(), "{what}: steps");
        for (step, (found, expected)) in losses.iter().zip(&self.losses).enumerate() {
            let apart = f64::from((found - expected).abs() / expected);
            assert!(apart <= bound, "{what}: step {step}: the loss is {found}, expected {expected}");
            bound *= 1.5;
        }
        let distance =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
        let moved = distance(&self.parameters, &self.start.parameters);
        let apart = distance(&self.parameters, parameters);
        println!("{what}: the parameters moved by {moved:.3}, and are {apart:.1e} apart");
        assert!(moved > 0.02, "{what}: steps that change nothing compare nothing");
        assert!(apart <= 1e-3 * moved, "{what}: parameters {apart:e} apart after moving by {moved:e}");
    }
}

#[test]
fn ten_steps_from_the_folder() {
    let device = replay::device();
    for (number, training) in trainings().iter().enumerate() {
        let replay = Replay::new(device.clone(), &training.folder, &training.folder.page["training"], 0);
        let mut losses = Vec::new();
        for event in &training.events {
            if let Some(name) = event["write"].as_str() {
                let values: Vec<u32> = serde_json::from_value(event["values"].clone()).unwrap();
                replay.write(name, bytemuck::cast_slice(&values));
            } else if let Some(name) = event["read"].as_str() {
                losses.push(replay.read(name)[0]);
            } else {
                let [start, end]: [usize; 2] = serde_json::from_value(event["run"].clone()).unwrap();
                replay.run(start..end);
            }
        }
        training.assert_same(&format!("training {number}"), &losses, &replay.read(slots::PARAMETERS));
    }
}

/// Does again what `events.json` lists; answers what was read, and the parameters.
const TRAIN: &str = r#"
const base = location.href;
const { open } = await import(new URL("network.js", base));
const network = await open(base);
const trainer = await network.training();
const read = [];
for (const event of await (await fetch("events.json")).json()) {
    if (event.write) trainer.write(event.write, Uint32Array.from(event.values));
    else if (event.run) trainer.run(...event.run);
    else read.push([...await trainer.read(event.read)]);
}
return { kind: network.kind, read, parameters: [...await trainer.read("parameters")] };
"#;

#[test]
#[ignore = "needs Chromium: apt-get install chromium; run with --ignored"]
fn ten_steps_in_a_browser() {
    for (number, training) in trainings().iter().enumerate() {
        let mut files = training.folder.files.clone();
        files.insert("index.html".to_owned(), b"<!doctype html><title>training</title>".to_vec());
        files.insert("events.json".to_owned(), Value::from(training.events.clone()).to_string().into_bytes());
        let profile = tempfile::tempdir().unwrap();
        let (_browser, tab) = tab(profile.path(), SOFTWARE_WEBGPU);
        tab.navigate_to(&serve(files)).unwrap().wait_until_navigated().unwrap();
        let answer = ask(&tab, TRAIN);
        assert_eq!(answer["kind"], "WebGPU", "{answer}");
        let read: Vec<Vec<f32>> = serde_json::from_value(answer["read"].clone()).unwrap();
        let losses: Vec<f32> = read.iter().map(|stats| stats[0]).collect();
        let parameters: Vec<f32> = serde_json::from_value(answer["parameters"].clone()).unwrap();
        training.assert_same(&format!("training {number}"), &losses, &parameters);
        assert_eq!(ask(&tab, "return faults"), json!([]), "script errors");
    }
}
