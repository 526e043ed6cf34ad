//! What a browser gets: that the folder of a page is complete and right by itself, and that browsers take its shaders.

#[path = "../common/browser.rs"]
mod browser;
mod chromium;
#[path = "../common/mod.rs"]
mod common;
mod page;
#[path = "../common/program.rs"]
mod program;
mod reference;
mod replay;
mod training;

use std::collections::BTreeMap;

use serde_json::Value;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::config::Config;
use siamese::host::pack;
use siamese::net::Net;
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::siamese::{Source, embedding_slot, inference_plan, slots};
use siamese::{cpu, web};

/// A folder, with its description parsed.
pub struct Folder {
    pub files: BTreeMap<String, Vec<u8>>,
    pub page: Value,
}

impl Folder {
    pub fn of(model: &Checkpoint, training: bool) -> Folder {
        let options = web::Options { precision: Precision::F32, training };
        let files = web::files(model, None, options).unwrap();
        let page = serde_json::from_slice(&files[web::PLAN]).unwrap();
        Folder { files, page }
    }
}

/// A network that nobody has trained; its biases, and what it keeps of its normalisations, are not what it starts with.
pub fn model(config: &Config, input: [usize; 3]) -> Checkpoint {
    let net = Net::of(config, input).unwrap();
    let mut model = Checkpoint::initial(config, &net);
    for (place, value) in model.parameters.iter_mut().chain(&mut model.state).enumerate() {
        *value += 0.03 * (1 + place % 7) as f32;
    }
    model
}

/// Bytes of images that look like noise.
pub fn images(count: usize, pixels: usize) -> Vec<u8> {
    (0..(count * pixels) as u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 23) as u8).collect()
}

/// What the CPU runner makes of images, and how far a device may be from that: the sum of the tolerances of the calls.
pub fn expected(model: &Checkpoint, images: &[u8]) -> (Vec<f32>, f64) {
    let net = model.net().unwrap();
    let count = images.len() / net.pixels();
    let source = Source::streamed(count, 1, model.config.scale());
    let plan: Plan = inference_plan(&net, &source, count, slots::PARAMETERS);
    let tolerance = plan.calls().iter().map(|call| call.at.tolerance().relative()).sum();
    let mut runner = cpu::Runner::<f32>::new(plan.into());
    model.export().restore(&mut runner).unwrap();
    let words = pack(images);
    let [images, rows, embedding] =
        [slots::IMAGES, slots::ROWS, embedding_slot(&net, runner.plan())].map(|name| runner.plan().id(name));
    runner.write(images, words.as_slice()).unwrap();
    runner.write(rows, (0..count as u32).collect::<Vec<_>>().as_slice()).unwrap();
    runner.run(runner.plan().all()).unwrap();
    (runner.read(embedding).unwrap().floats().to_vec(), tolerance)
}

/// Compares embeddings with those expected.
pub fn assert_near(what: &str, found: &[f32], (expected, tolerance): &(Vec<f32>, f64)) {
    let squares: f64 = expected.iter().map(|&value| f64::from(value).powi(2)).sum();
    let typical = (squares / expected.len() as f64).sqrt();
    assert_eq!(found.len(), expected.len(), "{what}: values");
    let off = |(&found, &expected): (&f32, &f32)| {
        (f64::from(found) - f64::from(expected)).abs() / f64::from(expected).abs().max(typical).max(f64::MIN_POSITIVE)
    };
    let worst = found.iter().zip(expected).map(off).max_by(f64::total_cmp).unwrap();
    println!("{what}: {worst:.1e} apart, {tolerance:.1e} allowed");
    assert!(worst <= *tolerance, "{what}: {worst:e} apart, {tolerance:e} allowed");
}
