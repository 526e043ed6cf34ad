//! The networks by which the words prove themselves, and published ones, compute what their twins in PyTorch compute:
//! outputs and gradients of a training, states behind a step of it, and outputs of an embedding. The twins are
//! `tests/golden/layers/<word>.py` and `tests/golden/networks/networks.py`, written here from what each layer says of
//! itself; `tests/golden/layers.py` runs them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use siamese::config::{Config, PRESETS, Preset};
use siamese::cpu;
use siamese::kernels::Scale;
use siamese::layers::{Entry, Kind, LAYERS, Layout};
use siamese::names::Names;
use siamese::net::Net;
use siamese::plan::Section;
use siamese::run::Runner;
use siamese::siamese::{Source, embedding_slot, inference_plan, slots, training_plan};
use siamese::torch::{IMPORTS, class};

use crate::golden::{File, golden};

/// Set, it has the twins written where they are not as the layers say.
const WRITE: &str = "TWINS";
/// Rows of a batch, those of two triplets.
const ROWS: usize = 6;
/// Of the value or of the root mean square of its array: PyTorch's values are stored in 32 bits.
const TOLERANCE: f64 = 1e-6;

fn file(word: &Entry, ending: &str) -> PathBuf {
    golden("layers").join(format!("{}.{ending}", word.name))
}

/// Networks as a Python file, in a list by the name of each.
fn twins(title: &str, nets: impl Iterator<Item = (String, Net)>) -> String {
    let mut text = format!("\"\"\"{title}: written by tests/layers/twins.rs, see there.\"\"\"\n\n{IMPORTS}\n");
    let mut names = Vec::new();
    for (name, net) in nets {
        text += &format!("\n{}\n", class(&name, &net, "images"));
        if net.frozen.is_some() {
            text += &format!("\n{name}.frozen = {:?}\n", frozen(&net));
        }
        names.push(name);
    }
    text + &format!("\nNETWORKS = [{}]\n", names.join(", "))
}

fn nets(word: &Entry) -> impl Iterator<Item = Net> {
    word.specs.iter().map(|(spec, input)| Net::parse(spec, *input).unwrap_or_else(|error| panic!("{error}")))
}

/// Names of the tensors that would be trained, were they not frozen.
fn frozen(net: &Net) -> Vec<String> {
    let is_frozen = |name: &String| net.frozen.as_ref().is_some_and(|names| names.fit(name));
    let states = net.states().into_iter().map(|tensor| tensor.name);
    states.filter(|name| is_frozen(name) && !name.contains(".running_")).collect()
}

/// Networks of which some tensors are frozen, each with its names for them: a normalisation behind another frozen
/// layer; one that gradients pass, behind a layer that is trained and before one; a part of one, which trains on.
const FROZEN: &[(&str, [usize; 3], &str)] = &[
    ("conv4 bn relu pool conv5s2 bn dense6 bn relu dense4 l2", [8, 7, 2], "conv1 bn1"),
    ("conv4 bn relu pool conv5s2 bn relu dense6 bn dense4 l2", [8, 7, 2], "bn2-3"),
    ("conv4 relu bn add( conv4 bn relu | bn ) dense5 l2", [6, 5, 3], "bn1.weight bn2 bn3.bias"),
];

fn partly_frozen() -> impl Iterator<Item = Net> {
    FROZEN.iter().map(|&(spec, input, names)| {
        let net = Net::parse(spec, input).unwrap_or_else(|error| panic!("{error}"));
        net.freeze(&Names(names.to_owned())).unwrap_or_else(|error| panic!("{error}"))
    })
}

#[test]
fn twins_are_as_the_layers_say() {
    let mut faults = Vec::new();
    let words = LAYERS.iter().map(|word| {
        let nets = nets(word).enumerate().map(|(place, net)| (format!("Network{place}"), net));
        (file(word, "py"), twins(&format!("What `{}` is in PyTorch", word.name), nets))
    });
    let published = PUBLISHED.iter().map(|published| (published.name.to_owned(), published.net()));
    let published = twins("Published networks as their texts have them", published);
    let numbered = partly_frozen().enumerate().map(|(place, net)| (format!("Network{place}"), net));
    let frozen = twins("Networks of which some tensors are frozen", numbered);
    let networks = [("networks.py", published), ("frozen.py", frozen)];
    for (path, text) in words.chain(networks.map(|(name, text)| (golden("networks").join(name), text))) {
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
        // Where all is zero but for rounding, as the gradient of what a normalisation takes away.
        let bound = TOLERANCE * expected.abs().max(rms).max(1e-4);
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
            prove(&net, |name| golden.get(&format!("{place}.{name}")).values, |_, values| values);
        }
    }
}

/// A frozen normalisation takes its running moments in training too and leaves them, as a module of PyTorch that is set
/// to `eval()`; gradients pass it.
#[test]
fn frozen_layers_compute_what_their_twins_do() {
    let golden = File::open(&golden("networks").join("frozen.safetensors"));
    for (place, net) in partly_frozen().enumerate() {
        prove(&net, |name| golden.get(&format!("{place}.{name}")).values, |_, values| values);
    }
}

/// Compares a network with what is `expected` of its twin, by name: outputs of a training and an embedding, states; and
/// of each gradient what is `told` of the values of a name.
fn prove(net: &Net, expected: impl Fn(&str) -> Vec<f64>, told: impl Fn(&str, Vec<f64>) -> Vec<f64>) {
    let spec = &net.spec;
    let config = Config { batch: crate::common::random(ROWS / 3), ..PRESETS[0].config() };
    let source = Source { slot: "images".to_owned(), images: ROWS, scale: Scale::by(1.0), classes: 1 };
    let plan = Arc::new(training_plan(net, &source, &config).unshared());
    let mut runner = cpu::Runner::<f64>::new(plan.clone());
    for tensor in net.parameters() {
        runner.set(plan.id(&tensor.name), &values(&tensor.name, &tensor.layout));
    }
    let frozen = frozen(net);
    for tensor in net.states() {
        if frozen.contains(&tensor.name) {
            runner.set(plan.id(&tensor.name), &values(&tensor.name, &tensor.layout));
            continue;
        }
        let mut start = vec![0.0f32; tensor.layout.len()];
        tensor.fill(config.initialisation, 1.0, 0, &mut start);
        runner.set(plan.id(&tensor.name), &start.into_iter().map(f64::from).collect::<Vec<_>>());
    }
    runner.set(plan.id("batch"), &images(net));
    if let Some(keys) = plan.find(slots::KEYS) {
        let numbers: Vec<u32> = (1..=ROWS as u32).map(|row| row.wrapping_mul(0x9e37_79b9)).collect();
        runner.write(keys, numbers.as_slice()).unwrap();
    }
    runner.run(plan.section(Section::Forward)).unwrap();
    let floats = |runner: &cpu::Runner<f64>, name: &str| runner.get(runner.plan().id(name)).floats().to_vec();
    assert_close(&format!("{spec}: embeddings"), &floats(&runner, embedding_slot(net, &plan)), &expected("training"));
    let gradient: Vec<f64> = numbers(ROWS * net.dims(), "gradient").map(|value| f64::from(value as f32)).collect();
    runner.set(plan.id("embedding.dx"), &gradient);
    runner.run(plan.section(Section::Backward)).unwrap();
    for tensor in net.parameters() {
        let gradient = floats(&runner, &format!("{}.gradient", tensor.name));
        let got = told(&tensor.name, in_file(&tensor.layout, &gradient));
        let what = format!("{spec}: gradient of {}", tensor.name);
        assert_close(&what, &got, &expected(&format!("gradient.{}", tensor.name)));
    }
    runner.run(plan.section(Section::Update)).unwrap();

    let plan = Arc::new(inference_plan(net, &source, ROWS, slots::PARAMETERS).unshared());
    let mut inference = cpu::Runner::<f64>::new(plan.clone());
    for tensor in net.placed() {
        if tensor.kind == Kind::Trained {
            inference.set(plan.id(&tensor.name), &values(&tensor.name, &tensor.layout));
            continue;
        }
        let state = floats(&runner, &tensor.name);
        let got = in_file(&tensor.layout, &state);
        assert_close(&format!("{spec}: {}", tensor.name), &got, &expected(&format!("state.{}", tensor.name)));
        inference.set(plan.id(&tensor.name), &state);
    }
    inference.set(plan.id("batch"), &images(net));
    inference.run(plan.section(Section::Prepare)).unwrap();
    inference.run(plan.section(Section::Forward)).unwrap();
    let got = floats(&inference, embedding_slot(net, &plan));
    assert_close(&format!("{spec}: inference"), &got, &expected("inference"));
}

/// A network that others have published: its name, its text without what classifies, the number of its trained values,
/// and images that it can take.
struct Published {
    name: &'static str,
    spec: &'static str,
    parameters: usize,
    input: [usize; 3],
}

/// ResNets (He et al. 2016) and MobileNetV2 (Sandler et al. 2018) as torchvision has them, Inception-ResNet v1 (Szegedy
/// et al. 2017) as facenet-pytorch has it.
const PUBLISHED: &[Published] = &[
    Published {
        name: "resnet18",
        spec: "conv64k7s2 bn relu pool3s2p1 2*{ add( conv64 bn relu conv64 bn | ) relu } \
               add( conv128s2 bn relu conv128 bn | conv128k1s2 bn ) relu add( conv128 bn relu conv128 bn | ) relu \
               add( conv256s2 bn relu conv256 bn | conv256k1s2 bn ) relu add( conv256 bn relu conv256 bn | ) relu \
               add( conv512s2 bn relu conv512 bn | conv512k1s2 bn ) relu add( conv512 bn relu conv512 bn | ) relu mean",
        parameters: 11_176_512,
        input: [32, 32, 3],
    },
    Published {
        name: "resnet34",
        spec: "conv64k7s2 bn relu pool3s2p1 3*{ add( conv64 bn relu conv64 bn | ) relu } \
               add( conv128s2 bn relu conv128 bn | conv128k1s2 bn ) relu \
               3*{ add( conv128 bn relu conv128 bn | ) relu } \
               add( conv256s2 bn relu conv256 bn | conv256k1s2 bn ) relu \
               5*{ add( conv256 bn relu conv256 bn | ) relu } \
               add( conv512s2 bn relu conv512 bn | conv512k1s2 bn ) relu \
               2*{ add( conv512 bn relu conv512 bn | ) relu } \
               mean",
        parameters: 21_284_672,
        input: [32, 32, 3],
    },
    Published {
        name: "resnet50",
        spec: "conv64k7s2 bn relu pool3s2p1 \
               add( conv64k1 bn relu conv64 bn relu conv256k1 bn | conv256k1 bn ) relu \
               2*{ add( conv64k1 bn relu conv64 bn relu conv256k1 bn | ) relu } \
               add( conv128k1 bn relu conv128s2 bn relu conv512k1 bn | conv512k1s2 bn ) relu \
               3*{ add( conv128k1 bn relu conv128 bn relu conv512k1 bn | ) relu } \
               add( conv256k1 bn relu conv256s2 bn relu conv1024k1 bn | conv1024k1s2 bn ) relu \
               5*{ add( conv256k1 bn relu conv256 bn relu conv1024k1 bn | ) relu } \
               add( conv512k1 bn relu conv512s2 bn relu conv2048k1 bn | conv2048k1s2 bn ) relu \
               2*{ add( conv512k1 bn relu conv512 bn relu conv2048k1 bn | ) relu } mean",
        parameters: 23_508_032,
        input: [32, 32, 3],
    },
    Published {
        name: "mobilenet_v2",
        spec: "conv32s2 bn relu6 depth bn relu6 conv16k1 bn \
               conv96k1 bn relu6 depth3s2 bn relu6 conv24k1 bn \
               add( | conv144k1 bn relu6 depth bn relu6 conv24k1 bn ) \
               conv144k1 bn relu6 depth3s2 bn relu6 conv32k1 bn \
               2*{ add( | conv192k1 bn relu6 depth bn relu6 conv32k1 bn ) } \
               conv192k1 bn relu6 depth3s2 bn relu6 conv64k1 bn \
               3*{ add( | conv384k1 bn relu6 depth bn relu6 conv64k1 bn ) } \
               conv384k1 bn relu6 depth bn relu6 conv96k1 bn \
               2*{ add( | conv576k1 bn relu6 depth bn relu6 conv96k1 bn ) } \
               conv576k1 bn relu6 depth3s2 bn relu6 conv160k1 bn \
               2*{ add( | conv960k1 bn relu6 depth bn relu6 conv160k1 bn ) } \
               conv960k1 bn relu6 depth bn relu6 conv320k1 bn conv1280k1 bn relu6 mean",
        parameters: 2_223_872,
        input: [32, 32, 3],
    },
    Published {
        name: "inception_resnet_v1",
        spec: "conv32s2v bne0.001 relu conv32v bne0.001 relu conv64 bne0.001 relu pool3s2 conv80k1 bne0.001 relu \
               conv192v bne0.001 relu conv256s2v bne0.001 relu \
               5*{ add( cat( conv32k1 bne0.001 relu | conv32k1 bne0.001 relu conv32 bne0.001 relu | \
               conv32k1 bne0.001 relu conv32 bne0.001 relu conv32 bne0.001 relu ) conv256k1 scale0.17 | ) relu } \
               cat( conv384s2v bne0.001 relu | \
               conv192k1 bne0.001 relu conv192 bne0.001 relu conv256s2v bne0.001 relu | pool3s2 ) \
               10*{ add( cat( conv128k1 bne0.001 relu | \
               conv128k1 bne0.001 relu conv128k1x7 bne0.001 relu conv128k7x1 bne0.001 relu ) \
               conv896k1 scale0.1 | ) relu } \
               cat( conv256k1 bne0.001 relu conv384s2v bne0.001 relu | \
               conv256k1 bne0.001 relu conv256s2v bne0.001 relu | \
               conv256k1 bne0.001 relu conv256 bne0.001 relu conv256s2v bne0.001 relu | pool3s2 ) \
               5*{ add( cat( conv192k1 bne0.001 relu | \
               conv192k1 bne0.001 relu conv192k1x3 bne0.001 relu conv192k3x1 bne0.001 relu ) \
               conv1792k1 scale0.2 | ) relu } \
               add( cat( conv192k1 bne0.001 relu | \
               conv192k1 bne0.001 relu conv192k1x3 bne0.001 relu conv192k3x1 bne0.001 relu ) conv1792k1 | ) \
               mean drop0.6 dense512 bne0.001 l2",
        parameters: 23_482_624,
        input: [80, 80, 3],
    },
];

/// The preset is the published network.
#[test]
fn preset_facenet_is_inception_resnet_v1() {
    let preset: Preset = "facenet".parse().unwrap();
    let spec = preset.config().spec;
    let published = PUBLISHED.iter().find(|published| published.name == "inception_resnet_v1").expect("it is there");
    assert_eq!(spec, published.net().spec);
}

impl Published {
    fn net(&self) -> Net {
        Net::parse(self.spec, self.input).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// What a golden file has of a gradient of millions of values: its length, and where it points.
fn summary(name: &str, gradient: Vec<f64>) -> Vec<f64> {
    let length = gradient.iter().map(|value| value * value).sum::<f64>().sqrt();
    let along: f64 = numbers(gradient.len(), &format!("{name}.along")).zip(&gradient).map(|(a, b)| a * b).sum();
    vec![length, along]
}

#[test]
fn published_networks_have_their_parameters() {
    for published in PUBLISHED {
        assert_eq!(published.net().parameter_count(), published.parameters, "{}", published.name);
    }
}

/// Networks of their authors, by torchvision where it has them, with other weights than theirs: outputs, states and
/// gradients.
#[test]
fn published_networks_compute_what_pytorch_does() {
    let golden = File::open(&golden("networks").join("networks.safetensors"));
    for published in PUBLISHED {
        prove(&published.net(), |name| golden.get(&format!("{}.{name}", published.name)).values, summary);
    }
}
