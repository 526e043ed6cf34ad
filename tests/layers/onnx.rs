//! Exported ONNX files, run by tract, compute the embeddings that our CPU runner computes.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::config::{Config, PRESETS, Pixels};
use siamese::data::store::Images;
use siamese::embed::Embedder;
use siamese::layers::LAYERS;
use siamese::net::Net;
use siamese::{cpu, import, onnx};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use crate::common::apart;

/// Bound on the difference of two embeddings' values.
const TOLERANCE: f64 = 1e-5;

/// Random weights, none of them zero: biases and running moments too are random.
fn random(config: &Config, input: [usize; 3]) -> Checkpoint {
    let net = Net::parse(&config.spec, input).unwrap_or_else(|error| panic!("{error}"));
    let mut checkpoint = Checkpoint::initial(config, &net);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut noise = || (rng.next_u32() >> 8) as f32 / (1 << 24) as f32 - 0.5;
    checkpoint.parameters.iter_mut().for_each(|value| *value += 0.1 * noise());
    checkpoint.state.iter_mut().for_each(|value| *value += noise());
    if let Some(average) = &mut checkpoint.average {
        average.iter_mut().for_each(|value| *value += 0.1 * noise());
    }
    checkpoint
}

fn with(spec: &str) -> Config {
    Config { spec: spec.to_owned(), ..PRESETS[0].config() }
}

fn bytes(count: usize) -> Vec<u8> {
    let mut images = vec![0; count];
    ChaCha8Rng::seed_from_u64(6).fill_bytes(&mut images);
    images
}

fn ours(checkpoint: &Checkpoint, images: &[u8]) -> Vec<f32> {
    let images = Images::new(images.to_vec(), checkpoint.input.iter().product());
    Embedder::new(checkpoint, 16, |plan| Ok(cpu::Runner::<f32>::new(plan))).unwrap().embed(&images, |_| ()).unwrap()
}

/// What tract makes of the file: images `[rows, height, width, channels]`, `batch` at a time.
fn theirs(file: &[u8], input: [usize; 3], images: &[u8], batch: usize) -> Vec<f32> {
    let [height, width, channels] = input;
    let model = tract_onnx::onnx().model_for_read(&mut &*file).unwrap();
    let model = model.into_optimized().unwrap().into_runnable().unwrap();
    let mut embeddings = Vec::new();
    for part in images.chunks(batch * height * width * channels) {
        let pixel = |place: usize| {
            let (x, y) = (place % width, place / width % height);
            let (c, n) = (place / (width * height) % channels, place / (width * height * channels));
            f32::from(part[((n * height + y) * width + x) * channels + c])
        };
        let values: Vec<f32> = (0..part.len()).map(pixel).collect();
        let rows = part.len() / (height * width * channels);
        let tensor = Tensor::from_shape(&[rows, channels, height, width], &values).unwrap();
        let answer = model.run(tvec!(tensor.into())).unwrap();
        assert_eq!(answer[0].shape()[0], rows);
        embeddings.extend(answer[0].to_plain_array_view::<f32>().unwrap().iter());
    }
    embeddings
}

/// `images` are pictures as they are, which a model may want inverted.
fn compare(name: &str, checkpoint: &Checkpoint, images: &[u8]) {
    let shown: Vec<u8> = match checkpoint.config.pictures.invert {
        true => images.iter().map(|byte| 255 - byte).collect(),
        false => images.to_vec(),
    };
    let wanted = ours(checkpoint, &shown);
    let spread = wanted.iter().fold([f32::MAX, f32::MIN], |[low, high], &value| [low.min(value), high.max(value)]);
    assert!(spread[1] - spread[0] > 0.01, "{name}: the embeddings hardly differ: {spread:?}");
    let file = onnx::model(checkpoint, Precision::F32).unwrap_or_else(|error| panic!("{error}"));
    for batch in [1, 7] {
        let found = theirs(&file, checkpoint.input, images, batch);
        let worst = apart(&found, &wanted);
        assert!(worst <= TOLERANCE, "{name}: they differ by {worst} in batches of {batch}");
    }
}

#[test]
fn presets() {
    for preset in PRESETS {
        compare(
            preset.name,
            &random(&preset.config(), preset.input),
            &bytes(2 * preset.input.iter().product::<usize>()),
        );
    }
}

#[test]
fn every_word() {
    for (spec, input) in LAYERS.iter().flat_map(|word| word.specs) {
        compare(spec, &random(&with(spec), *input), &bytes(15 * input.iter().product::<usize>()));
    }
}

/// A file of any word read back is the network that was written, to the bit.
#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    for (spec, input) in LAYERS.iter().flat_map(|word| word.specs) {
        let mut config = with(spec);
        config.pictures.invert = spec.len() % 2 == 0;
        config.pixels = Pixels { mean: (0..input[2]).map(|c| 117.25 + c as f32).collect(), deviation: vec![57.375] };
        let model = random(&config, *input);
        std::fs::write(&file, onnx::model(&model, Precision::F32).unwrap()).unwrap();
        let read = import::onnx::read(&file, None).unwrap_or_else(|error| panic!("{spec}: {error}"));
        let pixels = read.pixels.expect("the file centres and scales its images");
        // A factor of the network that is the first of all is one of the pixels.
        assert!(pixels == config.pixels || spec.starts_with("scale"), "{spec}: {pixels}");
        assert_eq!((read.input, read.invert), (*input, config.pictures.invert), "{spec}");
        let config = Config { spec: read.spec, pixels, ..config };
        let (back, left) = Checkpoint::import(&read.weights, &config, read.input)
            .unwrap_or_else(|error| panic!("{spec}, read as {}: {error}", config.spec));
        let images = bytes(3 * input.iter().product::<usize>());
        assert_eq!((ours(&back, &images), left), (ours(&model, &images), vec![]), "{spec}, read as {}", config.spec);
    }
}

#[test]
fn pixels_by_channel() {
    for (mean, deviation, invert) in [
        (vec![122.782, 117.001, 104.298], vec![255.0], false),
        (vec![127.5], vec![58.395, 57.12, 57.375], true),
        (vec![100.0], vec![128.0], true),
    ] {
        let mut config = with("conv3 relu dense4 l2");
        (config.pixels, config.pictures.invert) = (Pixels { mean, deviation }, invert);
        compare(&config.pixels.to_string(), &random(&config, [6, 5, 3]), &bytes(8 * 90));
    }
    let wrong = Config { pixels: Pixels { mean: vec![1.0, 2.0], deviation: vec![1.0] }, ..with("dense4 l2") };
    let error = Net::of(&wrong, [6, 5, 3]).unwrap_err().to_string();
    assert!(error.contains("--mean") && error.contains('3'), "{error}");
}

/// The file takes pictures as they are, of a model that wants them inverted too.
#[test]
fn inverted_pictures() {
    let mut config = with("conv3 relu dense4 l2");
    config.pictures.invert = true;
    compare("inverted", &random(&config, [6, 5, 3]), &bytes(8 * 90));
}

/// Rows shorter than the shortest that has a direction, and rows of zeros.
#[test]
fn tiny_rows() {
    let input = [2, 2, 1];
    let images = bytes(8 * 4);
    for factor in [1e-13, 1e-12, 1e-10] {
        let mut checkpoint = random(&with("dense4 l2"), input);
        let (weights, biases) = checkpoint.parameters.split_at_mut(16);
        weights.iter_mut().for_each(|value| *value *= factor);
        biases.fill(0.0);
        compare(&format!("norms of about {factor}"), &checkpoint, &images);
    }
    let mut zero = random(&with("dense4 l2"), input);
    zero.parameters.fill(0.0);
    let file = onnx::model(&zero, Precision::F32).unwrap();
    assert_eq!(ours(&zero, &images), [0.0; 32]);
    assert_eq!(theirs(&file, input, &images, 7), [0.0; 32]);
}

#[test]
fn the_average_is_exported() {
    let (config, input) = (Config { average: Some(0.9), ..with("conv2 relu dense4 l2") }, [6, 5, 1]);
    let checkpoint = random(&config, input);
    let file = onnx::model(&checkpoint, Precision::F32).unwrap();
    assert!(file == onnx::model(&checkpoint.export(), Precision::F32).unwrap());
    let raw = Checkpoint { average: None, ..checkpoint.clone() };
    assert!(file != onnx::model(&raw, Precision::F32).unwrap(), "the last step's weights are others");
    compare("average", &checkpoint.export(), &bytes(9 * 30));
}

/// With 16 bits the file computes what the weights, rounded, compute.
#[test]
fn half_precision() {
    let (config, input) = (with("conv4 relu pool dense16 relu dense6 l2"), [12, 11, 3]);
    let mut checkpoint = random(&config, input);
    let [whole, half] = [Precision::F32, Precision::F16].map(|precision| onnx::model(&checkpoint, precision).unwrap());
    assert!(half.len() < whole.len() * 2 / 3);
    let images = bytes(10 * 12 * 11 * 3);
    checkpoint.parameters.iter_mut().for_each(|value| *value = half::f16::from_f32(*value).to_f32());
    let (found, wanted) = (theirs(&half, input, &images, 7), ours(&checkpoint, &images));
    let worst = apart(&found, &wanted);
    assert!(worst <= TOLERANCE, "they differ by {worst}");
}

/// Names, versions, weights and metadata, as a reader of the format sees them.
#[test]
fn what_the_file_says() {
    let checkpoint = random(&PRESETS[1].config(), [28, 28, 1]);
    let file = onnx::model(&checkpoint, Precision::F32).unwrap();
    let model: ModelProto = prost::Message::decode(&*file).unwrap();
    assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
    let said = |key: &str| {
        let entry = model.metadata_props.iter().find(|entry| entry.key == key);
        entry.unwrap_or_else(|| panic!("no metadata `{key}`")).value.clone()
    };
    for (key, value) in [
        ("spec", "dense64 relu dense64 sigmoid"),
        ("input", "28x28x1"),
        ("divisor", "256"),
        ("distance", "mean-square"),
        ("loss", "triplet margin=0.2"),
        ("thresholds", "[0.03,0.07]"),
        ("version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(said(key), value, "{key}");
    }
    let graph = model.graph.unwrap();
    for (parameter, values) in checkpoint.tensors().unwrap() {
        let tensor =
            graph.initializer.iter().find(|tensor| tensor.name == parameter.name).expect("a weight by its name");
        let stored: Vec<f32> =
            tensor.raw_data.as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        assert_eq!(stored, values);
    }
    assert_eq!((graph.input.len(), &*graph.input[0].name), (1, "images"));
    assert_eq!((graph.output.len(), &*graph.output[0].name), (1, "embedding"));
}
