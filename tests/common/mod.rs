//! What several test programs share.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::sync::Arc;

use siamese::config::PRESETS;
use siamese::gpu::{self, Device};
use siamese::net::Net;
use siamese::plan::Plan;
use siamese::siamese::{Source, inference_plan, neighbours_plan, training_plan};

/// The adapter of the tests: `SIAMESE_ADAPTER`, or the best one. Without one the tests fail: nothing is skipped.
pub fn device() -> Arc<Device> {
    let wanted = std::env::var("SIAMESE_ADAPTER").unwrap_or_else(|_| "auto".to_owned());
    match gpu::open(&wanted) {
        Ok(device) => device,
        Err(error) => panic!("{error}\nhint: {}", error.hint().unwrap_or_default()),
    }
}

/// Every plan that the presets run, on a data set of `images` MNIST-sized images.
pub fn preset_plans() -> Vec<(String, Plan)> {
    let mut plans = Vec::new();
    for preset in PRESETS {
        let config = preset.config();
        let net = Net::parse(&config.spec, [28, 28, 1]).expect("a preset parses");
        let source = Source { slot: "test.images".to_owned(), images: 1000, scale: config.scale() };
        let training = training_plan(&net, &source, config.triplets, config.loss, config.update);
        plans.push((format!("{}.train", preset.name), training));
        plans.push((format!("{}.infer", preset.name), inference_plan(&net, &source, siamese::embed::BATCH)));
    }
    plans.push(("neighbours".to_owned(), neighbours_plan(64, 5000, 64, 5)));
    plans
}
