//! Networks as ONNX files, which other engines run: onnxruntime, tract, browsers.
//!
//! The file holds the network from raw pixels to embeddings: the input `images` is `[batch, channels, height, width]`
//! of float32 from 0 to 255, the division by the configuration's divisor is part of the graph, and so is the L2
//! normalisation; the output `embedding` is `[batch, dims]`. The number of rows is free. Weights have the names and
//! layouts of the safetensors file. The metadata says what the loss was, so that a reader of the file knows how
//! distances between embeddings are meant.
//!
//! The messages below are the parts of ONNX's `onnx.proto` that such a file needs, with the field numbers of the ONNX
//! specification (<https://onnx.ai/onnx/repo-docs/IR.html>); the operators are those of its operator set 17.

use half::f16;
use prost::Message;
use serde::Serialize;

use crate::checkpoint::{Checkpoint, Precision};
use crate::error::{Error, Result};
use crate::kernels::{Activation, L2Norm};
use crate::net::Layer;
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
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: description(checkpoint)?,
        graph: Some(graph(checkpoint, precision)?),
        opset_import: vec![OperatorSet { version: OPERATORS }],
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
fn metadata(checkpoint: &Checkpoint) -> Vec<Entry> {
    let (config, [height, width, channels]) = (&checkpoint.config, checkpoint.input);
    [
        ("spec", config.spec.clone()),
        ("input", format!("{height}x{width}x{channels}")),
        ("divisor", config.divisor.to_string()),
        ("pictures", json(&config.pictures)),
        ("distance", json(&config.loss.distance).replace('"', "")),
        ("margin", json(&config.loss.margin)),
        ("thresholds", json(&config.thresholds)),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ]
    .map(|(key, value)| Entry { key: key.to_owned(), value })
    .to_vec()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

fn graph(checkpoint: &Checkpoint, precision: Precision) -> Result<Graph> {
    let net = checkpoint.net()?;
    let mut graph =
        Builder { graph: Graph { name: "siamese".to_owned(), ..Graph::default() }, value: INPUT.to_owned() };
    for (parameter, values) in checkpoint.tensors()? {
        graph.weight(&parameter.name, &parameter.layout.file_dims(), &values, precision);
    }
    // As the gather kernel does, by a factor: the same rounding.
    graph.constant("scale", checkpoint.config.scale());
    graph.node("scaled", "Mul", &["scale"], vec![]);
    let mut flat = false;
    for node in &net.nodes {
        let name = &node.name;
        let [weight, bias] = ["weight", "bias"].map(|kind| weight_of(name, kind, precision));
        let mut own = Activation::None;
        match node.layer {
            Layer::Conv { kernel, stride, activation, .. } => {
                let window = node.window(1);
                let attributes = vec![
                    Attribute::ints("kernel_shape", &[kernel; 2]),
                    Attribute::ints("strides", &[stride; 2]),
                    Attribute::ints("pads", &[window.pad; 4]),
                ];
                graph.node(name, "Conv", &[&weight, &bias], attributes);
                own = activation;
            }
            Layer::Pool { size } => {
                let attributes =
                    vec![Attribute::ints("kernel_shape", &[size; 2]), Attribute::ints("strides", &[size; 2])];
                graph.node(name, "MaxPool", &[], attributes);
            }
            Layer::Dense { activation, .. } => {
                if !flat {
                    graph.node("flat", "Flatten", &[], vec![Attribute::int("axis", 1)]);
                    flat = true;
                }
                graph.node(name, "Gemm", &[&weight, &bias], vec![Attribute::int("transB", 1)]);
                own = activation;
            }
            Layer::L2 => {
                let rows = graph.value.clone();
                graph.constant("shortest", L2Norm::SHORTEST as f32);
                let attributes = vec![Attribute::ints("axes", &[1]), Attribute::int("keepdims", 1)];
                graph.node("norm", "ReduceL2", &[], attributes);
                graph.node("divisor", "Max", &["shortest"], vec![]);
                let divisor = std::mem::replace(&mut graph.value, rows);
                graph.node(name, "Div", &[&divisor], vec![]);
            }
        }
        match own {
            Activation::None => {}
            Activation::Relu => graph.node(&format!("{name}.relu"), "Relu", &[], vec![]),
            Activation::Sigmoid => graph.node(&format!("{name}.sigmoid"), "Sigmoid", &[], vec![]),
        }
    }
    let [height, width, channels] = net.input;
    let mut graph = graph.finish();
    graph.input = vec![ValueInfo::rows_of(INPUT, &[channels, height, width])];
    graph.output = vec![ValueInfo::rows_of(OUTPUT, &[net.dims()])];
    Ok(graph)
}

/// The float32 value of a weight in the graph.
fn weight_of(layer: &str, kind: &str, precision: Precision) -> String {
    match precision {
        Precision::F32 => format!("{layer}.{kind}"),
        Precision::F16 => format!("{layer}.{kind}.f32"),
    }
}

/// A graph whose nodes are a chain, each taking what the one before it made, and constants.
struct Builder {
    graph: Graph,
    /// What the last node made.
    value: String,
}

impl Builder {
    fn node(&mut self, name: &str, operator: &str, constants: &[&str], attribute: Vec<Attribute>) {
        let input = std::iter::once(self.value.as_str()).chain(constants.iter().copied()).map(str::to_owned).collect();
        self.push(name, operator, input, name, attribute);
        self.value = name.to_owned();
    }

    fn push(&mut self, name: &str, operator: &str, input: Vec<String>, output: &str, attribute: Vec<Attribute>) {
        let (name, op_type, output) = (name.to_owned(), operator.to_owned(), vec![output.to_owned()]);
        self.graph.node.push(Operation { input, output, name, op_type, attribute });
    }

    fn constant(&mut self, name: &str, value: f32) {
        self.weight(name, &[], &[value], Precision::F32);
    }

    fn weight(&mut self, name: &str, dims: &[usize], values: &[f32], precision: Precision) {
        let (data_type, raw_data) = match precision {
            Precision::F32 => (FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Precision::F16 => (FLOAT16, values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect()),
        };
        let dims = dims.iter().map(|&dim| dim as i64).collect();
        self.graph.initializer.push(Constant { dims, data_type, name: name.to_owned(), raw_data });
        if precision == Precision::F16 {
            let wide = format!("{name}.f32");
            self.push(&wide, "Cast", vec![name.to_owned()], &wide, vec![Attribute::int("to", i64::from(FLOAT))]);
        }
    }

    /// The graph; its last node makes the output.
    fn finish(mut self) -> Graph {
        let last = self.graph.node.last_mut().expect("a network has a layer");
        last.output = vec![OUTPUT.to_owned()];
        self.graph
    }
}

/// Element type float32, of `TensorProto.DataType`.
const FLOAT: i32 = 1;
/// Element type float16.
const FLOAT16: i32 = 10;

/// Begins with version of the format and producer, as ours do.
pub const KIND: Kind = Kind { name: "an ONNX model", is: |head| matches!(head, [0x08, _, 0x12, ..]) };

/// `ModelProto`
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(string, tag = "6")]
    doc_string: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<Entry>,
}

/// `OperatorSetIdProto`; without a domain it is ONNX's own.
#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(int64, tag = "2")]
    version: i64,
}

/// `StringStringEntryProto`
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// `GraphProto`
#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Operation>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Constant>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

/// `NodeProto`
#[derive(Clone, PartialEq, Message)]
struct Operation {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

/// `AttributeProto`, of one whole number or of several
#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    // Not packed: the specification's file is in the second version of the protocol buffers' language.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

impl Attribute {
    fn int(name: &str, value: i64) -> Self {
        Attribute { name: name.to_owned(), i: Some(value), ints: vec![], kind: 2 }
    }

    fn ints(name: &str, values: &[usize]) -> Self {
        let ints = values.iter().map(|&value| value as i64).collect();
        Attribute { name: name.to_owned(), i: None, ints, kind: 7 }
    }
}

/// `TensorProto`, little-endian
#[derive(Clone, PartialEq, Message)]
struct Constant {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

/// `ValueInfoProto`
#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Type>,
}

impl ValueInfo {
    /// A float32 array `[batch, …dims]`.
    fn rows_of(name: &str, dims: &[usize]) -> Self {
        let batch = Dimension { size: None, parameter: Some("batch".to_owned()) };
        let sizes = dims.iter().map(|&size| Dimension { size: Some(size as i64), parameter: None });
        let shape = Shape { dim: std::iter::once(batch).chain(sizes).collect() };
        let tensor_type = Some(TensorType { elem_type: FLOAT, shape: Some(shape) });
        ValueInfo { name: name.to_owned(), kind: Some(Type { tensor_type }) }
    }
}

/// `TypeProto`
#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

/// `TypeProto.Tensor`
#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

/// `TensorShapeProto`
#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension`: a size, or the name of one that is free
#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    size: Option<i64>,
    #[prost(string, optional, tag = "2")]
    parameter: Option<String>,
}
