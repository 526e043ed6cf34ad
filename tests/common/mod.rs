//! What several test programs share.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use siamese::config::{Config, PRESETS, Preset, Update};
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

/// [`device`], with cooperative matrices where the adapter has them.
pub fn device_with_matrices() -> Arc<Device> {
    device().with_matrices().unwrap_or_else(|error| panic!("{error}"))
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

/// The largest difference of two arrays at a place: NaN where one has NaN, so that no bound lets it pass.
pub fn apart<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    assert_eq!(a.len(), b.len(), "lengths of two arrays");
    a.iter().zip(b).map(|(&a, &b)| (a.into() - b.into()).abs()).max_by(f64::total_cmp).unwrap_or(0.0)
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
        augment: Augment { elastic: 1.0, ..Augment::PICTURES },
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

/// The plans of the presets on a few images: what holds of their slots and calls holds for any number.
pub fn preset_plans() -> Vec<(String, Plan)> {
    let few = |batch| std::iter::successors(Some(batch), |batch: &Batch| batch.halved()).last().unwrap_or(batch);
    let plans = |preset: &Preset| {
        let config = preset.config();
        let net = Net::parse(&config.spec, preset.input).expect("a preset parses");
        let config = Config { batch: few(config.batch), ..config };
        named(preset.name, &net, &config)
    };
    PRESETS.iter().flat_map(plans).collect()
}

/// The plans of all recipes and losses.
pub fn recipe_plans() -> Vec<(String, Plan)> {
    let mut plans = Vec::new();
    let net = |config: &Config| Net::parse(&config.spec, [28, 28, 1]).expect("a recipe parses");
    for (name, config) in recipes(&Config { spec: "dense16 l2".to_owned(), ..PRESETS[0].config() }) {
        plans.push((name.to_owned(), training_plan(&net(&config), &source(&config), &config)));
    }
    for loss in Loss::all().into_iter().filter(|loss| !matches!(loss, Loss::Triplet(_))) {
        let config = Config { spec: "dense16 l2".to_owned(), loss, ..PRESETS[0].config() };
        plans.push((loss.name().to_owned(), training_plan(&net(&config), &source(&config), &config)));
    }
    plans
}

/// Those, the plans of the networks by which the words of a spec prove themselves, and that of a search.
pub fn other_plans() -> Vec<(String, Plan)> {
    let mut plans = recipe_plans();
    for (spec, input) in LAYERS.iter().flat_map(|word| word.specs) {
        let config = Config { spec: (*spec).to_owned(), batch: random(4), ..PRESETS[0].config() };
        let net = Net::parse(spec, *input).expect("a spec that proves a word");
        plans.extend(named(spec, &net, &config));
    }
    let net = Net { flip: true, ..Net::parse("conv3 relu dense4 l2", [11, 8, 3]).expect("a spec") };
    plans.push(("flip".to_owned(), inference_plan(&net, &source(&PRESETS[0].config()), 3, slots::PARAMETERS)));
    let net =
        Net::parse("conv4 relu pool conv36k5 relu pool conv8k5 relu pool dense4 l2", [11, 12, 3]).expect("a spec");
    plans.push(("pooled".to_owned(), inference_plan(&net, &source(&PRESETS[0].config()), 3, slots::PARAMETERS)));
    plans.push(("neighbours".to_owned(), neighbours_plan(64, 5000, 64, 5)));
    plans
}

/// All of them.
pub fn plans() -> Vec<(String, Plan)> {
    [preset_plans(), other_plans()].concat()
}

fn source(config: &Config) -> Source {
    Source { slot: "test.images".to_owned(), images: 1000, scale: config.scale(), classes: 10 }
}

/// The plans of a training and of an embedding.
fn named(name: &str, net: &Net, config: &Config) -> [(String, Plan); 2] {
    let source = source(config);
    [
        (format!("{name}.train"), training_plan(net, &source, config)),
        (format!("{name}.infer"), inference_plan(net, &source, 3, slots::PARAMETERS)),
    ]
}
