//! Networks of others, with their weights: what ours makes of a picture is what theirs makes of it.

use std::path::Path;

use serde_json::Value;
use siamese::checkpoint::Checkpoint;
use siamese::config::{Config, PRESETS, Pixels};
use siamese::cpu;
use siamese::data::store::Images;
use siamese::embed::Embedder;
use siamese::import::{Weights, onnx};

use crate::common::apart;
use crate::golden::golden;

fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden(name)).expect("a file of this folder")).expect("JSON")
}

fn numbers(values: &Value) -> Vec<f32> {
    values.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number") as f32).collect()
}

/// dlib's network takes away the mean byte of each channel.
fn dlib(spec: &str) -> Config {
    let pixels = Pixels { mean: vec![122.782, 117.001, 104.298], deviation: vec![255.0] };
    Config { spec: spec.to_owned(), pixels, ..PRESETS[0].config() }
}

/// Embeds a picture on the CPU runner, and answers the largest difference.
fn off_by(model: &Checkpoint, picture: &[u8], expected: &[f32]) -> f64 {
    let picture = Images::new(picture.to_vec(), picture.len());
    let made =
        Embedder::new(model, 1, |plan| Ok(cpu::Runner::<f32>::new(plan))).unwrap().embed(&picture, |_| ()).unwrap();
    apart(&made, expected)
}

/// A small network with all that dlib's has: its convolutions without borders, the means beside them, extended by
/// channels, and the row and the column of zeros behind a convolution that is too small.
#[test]
fn a_network_like_dlibs() {
    let case = json("dlib.json");
    let config = dlib(case["spec"].as_str().unwrap());
    let weights = Weights::read(&golden("dlib.safetensors")).unwrap();
    let (model, left) = Checkpoint::import(&weights, &config, [45, 45, 3]).unwrap_or_else(|error| panic!("{error}"));
    assert!(left.is_empty());
    let picture: Vec<u8> = numbers(&case["picture"]).into_iter().map(|value| value as u8).collect();
    let expected = numbers(&case["descriptor"]);
    let size = apart(&expected, &vec![0.0; expected.len()]);
    let worst = off_by(&model, &picture, &expected);
    assert!(worst <= 1e-5 * size, "{worst} of {size}");
}

/// The network itself, against what face-api.js computes of a picture on tfjs. Its weights are 22 MB, and not here.
#[test]
#[ignore = "needs dlib's weights: SIAMESE_DLIB names the model that scripts/dlib.sh makes"]
fn dlibs_network() {
    let file = std::env::var("SIAMESE_DLIB").expect("SIAMESE_DLIB names the model that scripts/dlib.sh makes");
    let model = Checkpoint::load(Path::new(&file)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(model.config.pixels, dlib("").pixels);
    let picture = std::fs::read(golden("dlib.rgb")).unwrap();
    let worst = off_by(&model, &picture, &numbers(&json("dlib.tfjs.json")));
    assert!(worst <= 1e-4, "{worst}");
    println!("the descriptor is off by {worst:e}");
}

/// A residual network as torch.onnx writes it, its normalisations folded into the convolutions before them.
#[test]
fn a_network_of_torch() {
    let case = json("foreign.json");
    let read = onnx::read(&golden("foreign.onnx"), None).unwrap_or_else(|error| panic!("{error}"));
    let spec = "conv4k7s2 relu pool3s2p1 add( conv4 relu conv4 | ) relu \
                add( conv8s2 relu conv8 | conv8k1s2 ) relu cat( conv3k1x7 relu | conv2k7x1 ) mean dense6 l2";
    assert_eq!((read.spec.as_str(), read.input), (spec, [40, 36, 3]));
    assert_eq!(read.pixels, Some(Pixels { mean: vec![127.5], deviation: vec![128.0] }));
    let config = Config { spec: read.spec, pixels: read.pixels.unwrap(), ..PRESETS[0].config() };
    let (model, _) = Checkpoint::import(&read.weights, &config, read.input).unwrap_or_else(|error| panic!("{error}"));
    let picture: Vec<u8> = numbers(&case["picture"]).into_iter().map(|value| value as u8).collect();
    let worst = off_by(&model, &picture, &numbers(&case["embedding"]));
    assert!(worst <= 2e-6, "{worst}");
}

/// Normalisations as torch.onnx writes them. Those of groups and channels do not take away the bias of the layer before
/// them, which a text would leave out.
#[test]
fn normalisations_of_torch() {
    let case = json("norms.json");
    let read = onnx::read(&golden("norms.onnx"), None).unwrap_or_else(|error| panic!("{error}"));
    let spec = "conv6 scale1 gn2e0.001 hswish conv4s2 ln hswish mean dense8 scale1 gn4 dense5 scale1 lne0.01";
    assert_eq!((read.spec.as_str(), read.input), (spec, [9, 8, 3]));
    let config = Config { spec: read.spec, pixels: read.pixels.unwrap(), ..PRESETS[0].config() };
    let (model, left) =
        Checkpoint::import(&read.weights, &config, read.input).unwrap_or_else(|error| panic!("{error}"));
    assert!(left.is_empty(), "{left:?}");
    let picture: Vec<u8> = numbers(&case["picture"]).into_iter().map(|value| value as u8).collect();
    let worst = off_by(&model, &picture, &numbers(&case["embedding"]));
    assert!(worst <= 5e-6, "{worst}");
}
