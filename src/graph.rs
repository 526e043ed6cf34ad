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
        self.graph.initializer.push(TensorProto {
            dims,
            data_type: FLOAT,
            name: name.to_owned(),
            raw_data,
            ..TensorProto::default()
        });
        name.to_owned()
    }

    /// Adds whole numbers in a row, and answers their name.
    pub fn integers(&mut self, name: &str, values: &[usize]) -> String {
        let raw_data = values.iter().flat_map(|&value| (value as i64).to_le_bytes()).collect();
        let dims = vec![values.len() as i64];
        self.graph.initializer.push(TensorProto {
            dims,
            data_type: INT64,
            name: name.to_owned(),
            raw_data,
            ..TensorProto::default()
        });
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
        self.graph.initializer.push(TensorProto {
            dims,
            data_type,
            name: name.to_owned(),
            raw_data,
            ..TensorProto::default()
        });
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
pub(crate) const FLOAT: i32 = 1;
/// Element type int64.
pub(crate) const INT64: i32 = 7;
/// Element type float16.
pub(crate) const FLOAT16: i32 = 10;

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
    pub node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

/// `NodeProto`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
}

impl NodeProto {
    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// A setting of one whole number.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.i
    }

    /// A setting of one number.
    pub fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name)?.f
    }

    /// A setting in words.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attribute(name)?.s.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// A setting of several whole numbers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| &*attribute.ints)
    }

    /// A setting that is an array.
    pub fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attribute(name)?.t.as_ref()
    }
}

/// A setting of an operator: `AttributeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, optional, tag = "2")]
    f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    s: Option<Vec<u8>>,
    #[prost(message, optional, tag = "5")]
    t: Option<TensorProto>,
    // Not packed: the specification's file is in the second version of the protocol buffers' language.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

impl Attribute {
    /// One number.
    pub fn float(name: &str, value: f32) -> Self {
        Attribute { name: name.to_owned(), f: Some(value), kind: 1, ..Attribute::default() }
    }

    /// One whole number.
    pub fn int(name: &str, value: i64) -> Self {
        Attribute { name: name.to_owned(), i: Some(value), kind: 2, ..Attribute::default() }
    }

    /// Whole numbers.
    pub fn ints(name: &str, values: &[usize]) -> Self {
        let ints = values.iter().map(|&value| value as i64).collect();
        Attribute { name: name.to_owned(), ints, kind: 7, ..Attribute::default() }
    }
}

/// `TensorProto`, little-endian
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// 1: the numbers lie in another file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// `ValueInfoProto`
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueInfoProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<TypeProto>,
}

impl ValueInfoProto {
    /// The sizes of an array, `None` where one is free.
    pub fn sizes(&self) -> Vec<Option<i64>> {
        let shape = self.kind.as_ref().and_then(|kind| kind.tensor_type.as_ref()?.shape.as_ref());
        shape.map(|shape| shape.dim.iter().map(|dim| dim.size).collect()).unwrap_or_default()
    }

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
