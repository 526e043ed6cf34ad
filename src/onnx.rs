//! Networks as ONNX files, which other engines run: onnxruntime, tract, browsers.
//!
//! The file holds the network from raw pixels to embeddings: the input `images` is `[batch, channels, height, width]`
//! of float32 from 0 to 255. The inversion of pictures that the model wants inverted, what the configuration does to
//! [pixels](crate::config::Pixels) and the L2 normalisation are part of the graph. The output `embedding` is
//! `[batch, dims]`. The number of rows is free. Weights have the names and layouts of the safetensors file. The
//! metadata says what the loss was, so that a reader of the file knows how distances between embeddings are meant.
//!
//! The operators are those of ONNX's operator set 17; each layer adds its own by [`Layer::onnx`](layers::Layer::onnx).

use prost::Message;
use serde::Serialize;

use crate::checkpoint::{Checkpoint, Precision};
use crate::error::{Error, Result};
use crate::graph::{Graph, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};
use crate::kernels::{SCALED, Scale};
use crate::layers::{self, Operators};
use crate::output::Kind;

/// Version of the file format; the first that belongs to operator set 17.
const IR_VERSION: i64 = 8;
/// Version of the operators.
const OPERATORS: i64 = 17;
/// Bytes of the largest message that readers of protocol buffers take.
const LONGEST: usize = i32::MAX as usize;

const INPUT: &str = "images";
const OUTPUT: &str = "embedding";

/// The network of `checkpoint` with the weights to be used (their average where there is one) as an ONNX file. In
/// 16 bits the weights are stored rounded and made float32 when the file is loaded: an engine computes in float32.
///
/// # Errors
/// [`Error::Spec`] if the network cannot be understood; [`Error::Config`] if its weights are more than the 2 GiB that
/// an ONNX file may hold.
pub fn model(checkpoint: &Checkpoint, precision: Precision) -> Result<Vec<u8>> {
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: description(checkpoint)?,
        graph: Some(graph(checkpoint, precision)?),
        opset_import: vec![OperatorSetIdProto { version: OPERATORS }],
        metadata_props: metadata(checkpoint),
    };
    let length = model.encoded_len();
    if length > LONGEST {
        let reason = format!("the model takes {length} bytes, ONNX files at most {LONGEST}; write .safetensors");
        return Err(Error::config("--out", reason));
    }
    Ok(model.encode_to_vec())
}

fn description(checkpoint: &Checkpoint) -> Result<String> {
    let (net, [height, width, channels]) = (checkpoint.net()?, checkpoint.input);
    let unit = if net.normalises() { " of length 1" } else { "" };
    Ok(format!(
        "Siamese embedding network: {}. Feed `{INPUT}`, float32 [batch, {channels}, {height}, {width}], raw pixel \
         values from 0 to 255; read `{OUTPUT}`, float32 [batch, {}]{unit}.",
        net.spec,
        net.dims()
    ))
}

/// What a user of the embeddings has to know, by name; settings as JSON.
fn metadata(checkpoint: &Checkpoint) -> Vec<StringStringEntryProto> {
    let (config, [height, width, channels]) = (&checkpoint.config, checkpoint.input);
    [
        ("spec", config.spec.clone()),
        ("input", format!("{height}x{width}x{channels}")),
        ("divisor", config.pixels.to_string()),
        ("pictures", json(&config.pictures)),
        ("distance", json(&config.loss.distance()).replace('"', "")),
        ("loss", config.loss.to_string()),
        ("thresholds", json(&config.thresholds)),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ]
    .map(|(key, value)| StringStringEntryProto { key: key.to_owned(), value })
    .to_vec()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

fn graph(checkpoint: &Checkpoint, precision: Precision) -> Result<GraphProto> {
    let net = checkpoint.net()?;
    let mut graph = Graph::new("siamese", precision == Precision::F16);
    let mut weights = Vec::new();
    for (parameter, values) in checkpoint.tensors()? {
        weights.push(graph.weight(&parameter.name, &parameter.layout.file_dims(), &values));
    }
    let mut pixels = INPUT.to_owned();
    if checkpoint.config.pictures.invert {
        let negative = graph.node("negative", "Neg", &[&pixels], vec![]);
        let white = graph.number("white", 255.0);
        pixels = graph.node("inverted", "Add", &[&negative, &white], vec![]);
    }
    // As the gather kernel does, by a factor: the same rounding.
    let Scale { mean, factor } = checkpoint.config.scale();
    if mean != [0.0; SCALED] {
        let mean = by_channel(&mut graph, "mean", mean, net.input[2]);
        pixels = graph.node("centred", "Sub", &[&pixels, &mean], vec![]);
    }
    let factor = by_channel(&mut graph, "scale", factor, net.input[2]);
    let mut values = vec![graph.node("scaled", "Mul", &[&pixels, &factor], vec![])];
    let mut weights = weights.iter().map(String::as_str);
    for node in &net.nodes {
        let inputs = node.inputs.iter().map(|&value| (values[value].as_str(), net.shape(value))).collect();
        let tensors = net.tensors(node).iter().map(|tensor| tensor.name).zip(&mut weights).collect();
        let mut at = Operators::new(&mut graph, &node.name, inputs, tensors);
        let mut value = node.layer.onnx(&mut at);
        if let Some(word) = layers::word(node.activation) {
            value = layers::in_onnx(node.activation, &mut at, &format!("{}.{word}", node.name), value);
        }
        values.push(value);
    }
    let [height, width, channels] = net.input;
    Ok(graph.finish((INPUT, &[channels, height, width]), (OUTPUT, &[net.dims()])))
}

/// Adds a number for each channel, or for all where they are the same, and answers its name.
fn by_channel(graph: &mut Graph, name: &str, values: [f32; SCALED], channels: usize) -> String {
    match values.iter().all(|value| *value == values[0]) {
        true => graph.number(name, values[0]),
        false => graph.numbers(name, &[1, channels, 1, 1], &values[..channels]),
    }
}

/// Begins with version of the format and producer, as ours do.
pub const KIND: Kind = Kind { name: "an ONNX model", is: |head| matches!(head, [0x08, _, 0x12, ..]) };
