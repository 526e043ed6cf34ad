//! The networks by which the words prove themselves compute what their twins in PyTorch compute: outputs and gradients of
//! a training, states behind a step of it, and outputs of an embedding. The twins are `tests/golden/layers/<word>.py`,
//! written here from what each layer says of itself; `tests/golden/layers.py` runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use siamese::config::{Config, PRESETS};
use siamese::cpu;
use siamese::layers::{Entry, Kind, LAYERS, Layout};
use siamese::net::Net;
use siamese::plan::Section;
use siamese::run::Runner;
use siamese::siamese::{Source, embedding_slot, inference_plan, slots, training_plan};
use siamese::torch::{IMPORTS, class};

use crate::golden::File;

/// Set, it has the twins written where they are not as the layers say.
const WRITE: &str = "TWINS";
/// Rows of a batch, those of two triplets.
const ROWS: usize = 6;
/// Of the value or of the root mean square of its array: PyTorch's values are stored in 32 bits.
const TOLERANCE: f64 = 1e-6;

fn file(word: &Entry, ending: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/layers").join(format!("{}.{ending}", word.name))
}

fn nets(word: &Entry) -> impl Iterator<Item = Net> {
    word.specs.iter().map(|(spec, input)| Net::parse(spec, *input).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn twins_are_as_the_layers_say() {
    let mut faults = Vec::new();
    for word in LAYERS {
        let mut text = format!(
            "\"\"\"What `{}` is in PyTorch: written by tests/layers/twins.rs, see there.\"\"\"\n\n{IMPORTS}\n",
            word.name
        );
        for (place, net) in nets(word).enumerate() {
            text += &format!("\n{}\n", class(&format!("Network{place}"), &net, "images"));
        }
        let names: Vec<_> = (0..word.specs.len()).map(|place| format!("Network{place}")).collect();
        text += &format!("\nNETWORKS = [{}]\n", names.join(", "));
        let path = file(word, "py");
        if std::env::var_os(WRITE).is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, text).expect("a writable file");
        } else if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            faults.push(path.display().to_string());
        }
    }
    assert!(
        faults.is_empty(),
        "not as the layers say:\n{}\nhint: `{WRITE}=1 cargo test --test layers twins_are` writes them, and `python \
         tests/golden/layers.py` what they compute",
        faults.join("\n")
    );
}

/// Numbers from -1 to 1 that the script makes alike, others for each name.
fn numbers(count: usize, name: &str) -> impl Iterator<Item = f64> {
    let start = f64::from(name.bytes().map(u32::from).sum::<u32>());
    (0..count).map(move |place| (0.37 * (place * place) as f64 + start).sin())
}

/// The values of a tensor in device order: about as large as those of a training.
fn values(name: &str, layout: &Layout) -> Vec<f64> {
    let dims = layout.file_dims();
    let (centre, size) = match dims.len() {
        1 => (f64::from(u8::from(name.ends_with("weight"))), 0.1),
        _ => (0.0, 2.0 / (dims[1..].iter().product::<usize>() as f64).sqrt()),
    };
    let values: Vec<f32> = numbers(layout.len(), name).map(|value| (centre + size * value) as f32).collect();
    layout.to_device(&values).into_iter().map(f64::from).collect()
}

/// Images by numbers of channels, rows and columns, as layers take them.
fn images(net: &Net) -> Vec<f64> {
    let [height, width, channels] = net.input;
    let layout = Layout::new(&[&[ROWS], &[height], &[width], &[channels]], &[&[0], &[3], &[1], &[2]]);
    let values: Vec<f32> = numbers(ROWS * net.pixels(), "images").map(|value| value as f32).collect();
    layout.to_device(&values).into_iter().map(f64::from).collect()
}

fn assert_close(what: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}: number of elements");
    let rms = (expected.iter().map(|value| value * value).sum::<f64>() / expected.len() as f64).sqrt();
    for (place, (got, expected)) in got.iter().zip(expected).enumerate() {
        // Where all is zero but for rounding.
        let bound = TOLERANCE * expected.abs().max(rms).max(1e-6);
        assert!((got - expected).abs() <= bound, "{what}[{place}] is {got:e}, PyTorch has {expected:e}");
    }
}

/// A tensor's values in file order.
fn in_file(layout: &Layout, values: &[f64]) -> Vec<f64> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    layout.to_file(&values).into_iter().map(f64::from).collect()
}

#[test]
fn layers_compute_what_their_twins_do() {
    for word in LAYERS {
        let golden = File::open(&file(word, "safetensors"));
        for (place, net) in nets(word).enumerate() {
            let spec = &net.spec;
            let expected = |name: &str| golden.get(&format!("{place}.{name}")).values;
            let config = Config { batch: crate::common::random(ROWS / 3), ..PRESETS[0].config() };
            let source =
                Source { slot: "images".to_owned(), images: ROWS, scale: siamese::kernels::Scale::by(1.0), classes: 1 };
            let plan = Arc::new(training_plan(&net, &source, &config).unshared());
            let mut runner = cpu::Runner::<f64>::new(plan.clone());
            for tensor in net.parameters() {
                runner.set(plan.id(&tensor.name), &values(&tensor.name, &tensor.layout));
            }
            for tensor in net.states() {
                let mut start = vec![0.0f32; tensor.layout.len()];
                tensor.fill(config.initialisation, 1.0, 0, &mut start);
                runner.set(plan.id(&tensor.name), &start.into_iter().map(f64::from).collect::<Vec<_>>());
            }
            runner.set(plan.id("batch"), &images(&net));
            runner.run(plan.section(Section::Forward)).unwrap();
            let floats = |runner: &cpu::Runner<f64>, name: &str| runner.get(runner.plan().id(name)).floats().to_vec();
            assert_close(&format!("{spec}: embeddings"), &floats(&runner, embedding_slot(&net)), &expected("training"));
            let gradient: Vec<f64> =
                numbers(ROWS * net.dims(), "gradient").map(|value| f64::from(value as f32)).collect();
            runner.set(plan.id("embedding.dx"), &gradient);
            runner.run(plan.section(Section::Backward)).unwrap();
            for tensor in net.parameters() {
                let gradient = floats(&runner, &format!("{}.gradient", tensor.name));
                let what = format!("{spec}: gradient of {}", tensor.name);
                assert_close(
                    &what,
                    &in_file(&tensor.layout, &gradient),
                    &expected(&format!("gradient.{}", tensor.name)),
                );
            }
            runner.run(plan.section(Section::Update)).unwrap();

            let plan = Arc::new(inference_plan(&net, &source, ROWS, slots::PARAMETERS).unshared());
            let mut inference = cpu::Runner::<f64>::new(plan.clone());
            for tensor in net.placed() {
                if tensor.kind == Kind::Trained {
                    inference.set(plan.id(&tensor.name), &values(&tensor.name, &tensor.layout));
                    continue;
                }
                let state = floats(&runner, &tensor.name);
                let what = format!("{spec}: {}", tensor.name);
                assert_close(&what, &in_file(&tensor.layout, &state), &expected(&format!("state.{}", tensor.name)));
                inference.set(plan.id(&tensor.name), &state);
            }
            inference.set(plan.id("batch"), &images(&net));
            inference.run(plan.section(Section::Prepare)).unwrap();
            inference.run(plan.section(Section::Forward)).unwrap();
            assert_close(
                &format!("{spec}: inference"),
                &floats(&inference, embedding_slot(&net)),
                &expected("inference"),
            );
        }
    }
}
