//! ONNX graphs: operators and weights by name, and the messages of the files that hold them.
//!
//! The messages are the parts of ONNX's `onnx.proto` that such a file needs, with the field numbers of the ONNX
//! specification (<https://onnx.ai/onnx/repo-docs/IR.html>) and its names.

use half::f16;
use prost::Message;

/// A graph to which operators are added, each named as the value that it makes.
pub struct Graph {
    graph: GraphProto,
    half: bool,
}

impl Graph {
    /// A graph of this name without operators. Weights are stored in 32 bits or, rounded, in 16.
    pub fn new(name: &str, half: bool) -> Graph {
        Graph { graph: GraphProto { name: name.to_owned(), ..GraphProto::default() }, half }
    }

    /// Adds an operator on values and constants, and answers the name of what it makes: its own.
    pub fn node(&mut self, name: &str, operator: &str, inputs: &[&str], attribute: Vec<Attribute>) -> String {
        let input = inputs.iter().map(|&input| input.to_owned()).collect();
        let (name, op_type) = (name.to_owned(), operator.to_owned());
        self.graph.node.push(NodeProto { input, output: vec![name.clone()], name: name.clone(), op_type, attribute });
        name
    }

    /// Adds a number, and answers its name.
    pub fn number(&mut self, name: &str, value: f32) -> String {
        self.numbers(name, &[], &[value])
    }

    /// Adds an array of numbers, and answers its name.
    pub fn numbers(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let dims = dims.iter().map(|&dim| dim as i64).collect();
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.graph.initializer.push(TensorProto { dims, data_type: FLOAT, name: name.to_owned(), raw_data });
        name.to_owned()
    }

    /// Adds whole numbers in a row, and answers their name.
    pub fn integers(&mut self, name: &str, values: &[usize]) -> String {
        let raw_data = values.iter().flat_map(|&value| (value as i64).to_le_bytes()).collect();
        let dims = vec![values.len() as i64];
        self.graph.initializer.push(TensorProto { dims, data_type: INT64, name: name.to_owned(), raw_data });
        name.to_owned()
    }

    /// Adds a weight, and answers the name of its float32 value: what is stored in 16 bits is made wide again, since an
    /// engine computes in float32.
    pub fn weight(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let (data_type, raw_data) = match self.half {
            false => (FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            true => (FLOAT16, values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect()),
        };
        let dims = dims.iter().map(|&dim| dim as i64).collect();
        self.graph.initializer.push(TensorProto { dims, data_type, name: name.to_owned(), raw_data });
        match self.half {
            false => name.to_owned(),
            true => self.node(&format!("{name}.f32"), "Cast", &[name], vec![Attribute::int("to", i64::from(FLOAT))]),
        }
    }

    /// The message of the graph, from the array `[batch, …dims]` of the first name to that of the second, which the
    /// last operator makes.
    pub(crate) fn finish(mut self, input: (&str, &[usize]), output: (&str, &[usize])) -> GraphProto {
        let last = self.graph.node.last_mut().expect("a graph has an operator");
        last.output = vec![output.0.to_owned()];
        let [input, output] = [input, output].map(|(name, dims)| vec![ValueInfoProto::rows_of(name, dims)]);
        GraphProto { input, output, ..self.graph }
    }
}

/// Element type float32, of `TensorProto.DataType`.
const FLOAT: i32 = 1;
/// Element type int64.
const INT64: i32 = 7;
/// Element type float16.
const FLOAT16: i32 = 10;

/// `ModelProto`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ModelProto {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(string, tag = "6")]
    pub doc_string: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// `OperatorSetIdProto`; without a domain it is ONNX's own.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OperatorSetIdProto {
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// `StringStringEntryProto`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `GraphProto`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

/// `NodeProto`
#[derive(Clone, PartialEq, Message)]
struct NodeProto {
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

/// A setting of an operator, of one number or of several whole ones: `AttributeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, optional, tag = "2")]
    f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    // Not packed: the specification's file is in the second version of the protocol buffers' language.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

impl Attribute {
    /// One number.
    pub fn float(name: &str, value: f32) -> Self {
        Attribute { name: name.to_owned(), f: Some(value), i: None, ints: vec![], kind: 1 }
    }

    /// One whole number.
    pub fn int(name: &str, value: i64) -> Self {
        Attribute { name: name.to_owned(), f: None, i: Some(value), ints: vec![], kind: 2 }
    }

    /// Whole numbers.
    pub fn ints(name: &str, values: &[usize]) -> Self {
        let ints = values.iter().map(|&value| value as i64).collect();
        Attribute { name: name.to_owned(), f: None, i: None, ints, kind: 7 }
    }
}

/// `TensorProto`, little-endian
#[derive(Clone, PartialEq, Message)]
struct TensorProto {
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
struct ValueInfoProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<TypeProto>,
}

impl ValueInfoProto {
    /// A float32 array `[batch, …dims]`.
    fn rows_of(name: &str, dims: &[usize]) -> Self {
        let batch = Dimension { size: None, parameter: Some("batch".to_owned()) };
        let sizes = dims.iter().map(|&size| Dimension { size: Some(size as i64), parameter: None });
        let shape = TensorShapeProto { dim: std::iter::once(batch).chain(sizes).collect() };
        let tensor_type = Some(TensorType { elem_type: FLOAT, shape: Some(shape) });
        ValueInfoProto { name: name.to_owned(), kind: Some(TypeProto { tensor_type }) }
    }
}

/// `TypeProto`
#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

/// `TypeProto.Tensor`
#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShapeProto>,
}

/// `TensorShapeProto`
#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {
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
