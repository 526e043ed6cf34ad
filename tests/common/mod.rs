//! What several test programs share.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use siamese::config::{Config, PRESETS, Storage, Update};
use siamese::data::{Split, mnist};
use siamese::gpu::{self, Device};
use siamese::layers::LAYERS;
use siamese::losses::Loss;
use siamese::losses::triplet::Margin;
use siamese::net::Net;
use siamese::plan::Plan;
use siamese::sampler::{Augment, Batch, Mining, Positive};
use siamese::siamese::{Source, inference_plan, neighbours_plan, slots, training_plan};

/// The adapter of the tests: `SIAMESE_ADAPTER`, or the best one. Without one the tests fail: nothing is skipped.
pub fn device() -> Arc<Device> {
    let wanted = std::env::var("SIAMESE_ADAPTER").unwrap_or_else(|_| "auto".to_owned());
    match gpu::open(&wanted) {
        Ok(device) => device,
        Err(error) => panic!("{error}\nhint: {}", error.hint().unwrap_or_default()),
    }
}

/// The files of `data/mnist`, in the order of [`mnist::Files`].
pub fn mnist_files() -> [Vec<u8>; 4] {
    ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/mnist/{name}-ubyte.xz"));
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    })
}

/// The set that these files hold.
pub fn mnist() -> Split {
    let [train_images, train_labels, test_images, test_labels] = &mnist_files();
    let files = mnist::Files { train_images, train_labels, test_images, test_labels };
    mnist::load(&files).unwrap_or_else(|error| panic!("{error}"))
}

/// Batches of `triplets` random triplets.
pub fn random(triplets: usize) -> Batch {
    Batch::Random { triplets, positive: Positive::Other }
}

fn loss(text: &str) -> Loss {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// `base` once with every way to choose triplets, and in one of them everything else that a recipe may have; and losses
/// that keep something besides the network.
pub fn recipes(base: &Config) -> Vec<(&'static str, Config)> {
    let mined = |mining| Config { batch: Batch::Mined { labels: 5, images: 6, mining }, ..base.clone() };
    let everything = Config {
        augment: Augment::ELASTIC,
        warmup: 4,
        clip: Some(0.2),
        average: Some(0.9),
        update: match base.update {
            Update::Adam { beta1, beta2, epsilon, .. } => Update::Adam { beta1, beta2, epsilon, weight_decay: 0.01 },
        },
        ..mined(Mining::SemiHard)
    };
    let mut hard = mined(Mining::BatchHard);
    let Loss::Triplet(triplet) = &mut hard.loss else { panic!("the preset has another loss") };
    triplet.margin = Margin::Soft(5.0);
    vec![
        ("random", Config { batch: random(24), ..base.clone() }),
        ("semi-hard, everything", everything),
        ("batch-hard, soft", hard),
        ("batch-all", mined(Mining::BatchAll)),
        ("memory", Config { loss: loss("multi-similarity"), memory: 70, ..mined(Mining::SemiHard) }),
        ("centre", Config { loss: loss("centre weight=0.1 rate=10"), ..mined(Mining::SemiHard) }),
        ("proxy-anchor", Config { loss: loss("proxy-anchor"), ..mined(Mining::SemiHard) }),
    ]
}

/// Every plan that the presets run, and those of all recipes, on a data set of images of its size; and those of the
/// networks by which the words of a spec prove themselves.
pub fn preset_plans() -> Vec<(String, Plan)> {
    let mut plans = Vec::new();
    let source =
        |config: &Config| Source { slot: "test.images".to_owned(), images: 1000, scale: config.scale(), classes: 10 };
    // Those for large images apart: their hundreds of calls are what `siamese check` proves, on an adapter that can.
    for preset in PRESETS.iter().filter(|preset| !preset.brings) {
        let mut config = preset.config();
        let net = Net::parse(&config.spec, preset.input).expect("a preset parses");
        // Of networks with millions of weights the calls are proven on a few images.
        let few = (net.parameter_count() > 5_000_000).then_some(2);
        if let Some(few) = few {
            config.batch = Batch::Mined { labels: few, images: few, mining: Mining::SemiHard };
        }
        let source = source(&config);
        plans.push((format!("{}.train", preset.name), training_plan(&net, &source, &config)));
        let images = few.unwrap_or(siamese::embed::batch(&net, source.images));
        let inference = inference_plan(&net, &source, images, slots::PARAMETERS);
        plans.push((format!("{}.infer", preset.name), inference));
    }
    let net = |config: &Config| Net::parse(&config.spec, [28, 28, 1]).expect("a recipe parses");
    for (name, config) in recipes(&Config { spec: "dense16 l2".to_owned(), ..PRESETS[0].config() }) {
        plans.push((name.to_owned(), training_plan(&net(&config), &source(&config), &config)));
    }
    for loss in Loss::all().into_iter().filter(|loss| !matches!(loss, Loss::Triplet(_))) {
        let config = Config { spec: "dense16 l2".to_owned(), loss, ..PRESETS[0].config() };
        plans.push((loss.name().to_owned(), training_plan(&net(&config), &source(&config), &config)));
    }
    let half = Config { storage: Storage::F16, ..PRESETS[0].config() };
    plans.push(("half".to_owned(), training_plan(&net(&half), &source(&half), &half)));
    for (spec, input) in LAYERS.iter().flat_map(|word| word.specs) {
        let config = Config { spec: (*spec).to_owned(), batch: random(4), ..PRESETS[0].config() };
        let net = Net::parse(spec, *input).expect("a spec that proves a word");
        plans.push((format!("{spec}.train"), training_plan(&net, &source(&config), &config)));
        let inference = inference_plan(&net, &source(&config), 3, slots::PARAMETERS);
        plans.push((format!("{spec}.infer"), inference));
    }
    plans.push(("neighbours".to_owned(), neighbours_plan(64, 5000, 64, 5)));
    plans
}
