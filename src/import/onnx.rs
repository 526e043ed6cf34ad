//! Networks from ONNX files: the graph of operators becomes the text of a network, and its arrays the tensors.
//!
//! Operators that change nothing (`Identity`, `Dropout`, `Flatten` before what flattens, …) go. Others become a word
//! each, or with their neighbours one: `MatMul` and `Add` a dense layer, a division by the length `l2`,
//! `InstanceNormalization` of groups with what scales and shifts behind it `gn`. What is done to
//! the images first, by constants, becomes mean and deviation of the pixels. The text is found by dominators: what all
//! paths to a join go through last is where its branches begin; a graph that is not made of such branches has no text.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use half::f16;
use prost::Message;

use super::{Tensor, Weights};
use crate::config::Pixels;
use crate::error::{Error, Result};
use crate::graph::{FLOAT, FLOAT16, GraphProto, INT64, ModelProto, NodeProto, TensorProto};
use crate::net::Net;

/// What an ONNX file says.
#[derive(Clone, Debug)]
pub struct Model {
    /// The network as text.
    pub spec: String,
    /// Shape of an image, `[height, width, channels]`.
    pub input: [usize; 3],
    /// What becomes of the bytes of an image, where the file does anything to them.
    pub pixels: Option<Pixels>,
    /// Whether it turns images dark on light into light on dark before.
    pub invert: bool,
    /// The network's tensors.
    pub weights: Weights,
}

/// Joins within each other, at most.
const DEEPEST: usize = 32;

/// Reads an ONNX file for images of `input`, `[height, width, channels]`; without it the file must say their shape.
///
/// # Errors
/// [`Error::Io`] where it cannot be read; [`Error::Graph`] naming the operator that no text expresses; [`Error::Spec`]
/// for a text that is no network; [`Error::Config`] for `--input` where it is missing, or another than the file's.
pub fn read(path: &Path, input: Option<[usize; 3]>) -> Result<Model> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let fault = |reason: String| Error::Graph { path: path.to_owned(), reason };
    let model = ModelProto::decode(&*bytes).map_err(|error| fault(format!("not a whole ONNX file: {error}")))?;
    let graph = model.graph.ok_or_else(|| fault("the file holds no graph".to_owned()))?;
    let mut reader = Reader::new(&graph).map_err(fault)?;
    let input = shape(&graph, &reader.images, input)?;
    for node in &graph.node {
        reader.read(node).map_err(|reason| fault(format!("{} (`{}`): {reason}", node.op_type, name(node))))?;
    }
    let last = graph.output.first().and_then(|output| reader.values.get(&output.name));
    let Some(&Value::Made(last)) = last else {
        return Err(fault("its first output is nothing that a layer makes".to_owned()));
    };
    let words = reader.words(last).map_err(fault)?;
    let spec = words.iter().map(Piece::text).collect::<Vec<_>>().join(" ");
    let net = Net::parse(&spec, input)?;
    let weights = Weights::new(path, reader.tensors(&words, &net).map_err(fault)?);
    let (pixels, invert) = reader.pixels();
    Ok(Model { spec: net.spec, input, pixels, invert, weights })
}

/// A node's name, or that of what it makes.
fn name(node: &NodeProto) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}

/// The shape of the images, as the file or the user has it.
fn shape(graph: &GraphProto, images: &str, wanted: Option<[usize; 3]>) -> Result<[usize; 3]> {
    let info = graph.input.iter().find(|input| input.name == images);
    let sizes = info.map(|info| info.sizes()).unwrap_or_default();
    let fixed: Option<Vec<usize>> = sizes.iter().skip(1).map(|size| usize::try_from((*size)?).ok()).collect();
    match (fixed.as_deref(), wanted) {
        (Some(&[channels, height, width]), None) => Ok([height, width, channels]),
        (Some(&[channels, height, width]), Some(wanted)) if wanted != [height, width, channels] => {
            let reason = format!("{wanted:?}, but the file's images are {:?}", [height, width, channels]);
            Err(Error::config("--input", reason))
        }
        (_, Some(wanted)) => Ok(wanted),
        (_, None) => {
            let reason = format!("the file does not say the shape of `{images}`, [batch, channels, height, width]");
            Err(Error::config("--input", reason))
        }
    }
}

/// An array that the file holds.
#[derive(Clone, Debug)]
struct Constant {
    dims: Vec<usize>,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    Real(Vec<f32>),
    Whole(Vec<i64>),
}

impl Constant {
    fn new(tensor: &TensorProto) -> Result<Constant, String> {
        let fault = |what: &str| Err(format!("array `{}` {what}", tensor.name));
        if tensor.data_location != 0 {
            return fault("lies in another file: write the model as one");
        }
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let Some(dims) = dims else { return fault("has a negative size") };
        let raw = &tensor.raw_data;
        let numbers = match tensor.data_type {
            FLOAT if raw.is_empty() => Numbers::Real(tensor.float_data.clone()),
            FLOAT => Numbers::Real(raw.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect()),
            FLOAT16 => Numbers::Real(raw.as_chunks().0.iter().map(|&word| f16::from_le_bytes(word).to_f32()).collect()),
            INT64 if raw.is_empty() => Numbers::Whole(tensor.int64_data.clone()),
            INT64 => Numbers::Whole(raw.as_chunks().0.iter().map(|&word| i64::from_le_bytes(word)).collect()),
            other => return fault(&format!("is of ONNX's type {other}, expected float32, float16 or int64")),
        };
        let len = match &numbers {
            Numbers::Real(values) => values.len(),
            Numbers::Whole(values) => values.len(),
        };
        match dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim)) {
            Some(wanted) if wanted == len => Ok(Constant { dims, numbers }),
            _ => fault(&format!("holds {len} numbers, its shape is {dims:?}")),
        }
    }

    fn real(&self) -> Result<&[f32], String> {
        match &self.numbers {
            Numbers::Real(values) => Ok(values),
            Numbers::Whole(_) => Err("whole numbers where real ones are expected".to_owned()),
        }
    }

    fn whole(&self) -> Result<&[i64], String> {
        match &self.numbers {
            Numbers::Whole(values) => Ok(values),
            Numbers::Real(_) => Err("real numbers where whole ones are expected".to_owned()),
        }
    }

    /// The same numbers as an array of these sizes; as it is where they are not for so many.
    fn shaped(&self, sizes: &[i64]) -> Constant {
        let dims: Option<Vec<usize>> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
        let fitting =
            dims.filter(|dims| dims.iter().try_fold(1, |all: usize, &dim| all.checked_mul(dim)) == Some(self.len()));
        Constant { dims: fitting.unwrap_or_else(|| self.dims.clone()), numbers: self.numbers.clone() }
    }

    /// One number, or one for each channel.
    fn by_channel(&self) -> Result<&[f32], String> {
        let sides = self.dims.iter().filter(|&&dim| dim > 1).count();
        let is_along = self.dims.len() < 2 || self.dims.iter().rev().nth(2).is_some_and(|&dim| dim == self.len());
        match self.real()? {
            values if !values.is_empty() && (sides == 0 || (sides == 1 && is_along)) => Ok(values),
            _ => Err(format!("an array of {:?} is neither a number nor one for each channel", self.dims)),
        }
    }

    fn len(&self) -> usize {
        self.dims.iter().product()
    }

    fn tensor(&self) -> Result<Tensor, String> {
        Ok(Tensor::new(self.dims.clone(), self.real()?))
    }

    /// Whether all numbers are this one.
    fn is_all(&self, number: f32) -> bool {
        matches!(&self.numbers, Numbers::Real(values) if values.iter().all(|&value| value == number))
    }

    fn vector(&self) -> Result<Tensor, String> {
        Ok(Tensor::new(vec![self.len()], self.real()?))
    }
}

/// What becomes of bytes: `(byte - mean) · factor`, by channel or for all.
#[derive(Clone, Debug, PartialEq)]
struct Affine {
    mean: Vec<f32>,
    factor: Vec<f32>,
}

/// Both lists by an operation, one number standing for all.
fn zip(a: &[f32], b: &[f32], by: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let of = |values: &[f32], place: usize| if values.len() == 1 { values[0] } else { values[place] };
    (0..a.len().max(b.len())).map(|place| by(of(a, place), of(b, place))).collect()
}

/// What a name of the graph stands for.
#[derive(Clone, Debug)]
enum Value {
    /// The images, with what was done to their bytes.
    Images(Affine),
    /// What a step makes.
    Made(usize),
    /// What a step makes, with zeros around: ONNX's list of them.
    Padded(usize, Vec<i64>),
    /// The length of a step's rows, or a part of its reckoning.
    Length(usize),
    /// The hard sigmoid of what a step makes.
    Gate(usize),
    /// What a step makes, with channels as the last axis.
    Turned(usize),
    /// What a step makes in so many groups of channels.
    Grouped(usize, i64),
    /// The same, each with a mean of 0 and a variance of 1: the word that does it.
    Unit(usize, String),
    /// Sizes of arrays; whether they are the batch's and one that holds all else.
    Sizes(bool),
    Constant(Constant),
}

/// A word with its tensors, on what earlier steps make; step 0 are the images.
#[derive(Debug)]
struct Step {
    /// The word, a join with its `(`.
    word: String,
    /// Name within the layer, and array. A bias that the file does not have is zero.
    tensors: Vec<(&'static str, Tensor)>,
    inputs: Vec<usize>,
    /// The last step that all paths here go through, and how many such there are.
    dominator: usize,
    depth: usize,
}

impl Step {
    /// Whether a text leaves out the bias of its word before a normalisation.
    fn is_layer(&self) -> bool {
        ["conv", "depth", "dense"].iter().any(|word| self.word.starts_with(word))
    }
}

/// A part of the text.
#[derive(Clone, Debug)]
enum Piece {
    Step(usize, String),
    Mark(&'static str),
}

impl Piece {
    fn text(&self) -> &str {
        match self {
            Piece::Step(_, text) => text,
            Piece::Mark(text) => text,
        }
    }
}

struct Reader {
    /// Name of the input.
    images: String,
    values: HashMap<String, Value>,
    steps: Vec<Step>,
    /// What the first layer gets.
    affine: Option<Affine>,
}

impl Reader {
    fn new(graph: &GraphProto) -> Result<Reader, String> {
        let mut values = HashMap::new();
        for tensor in &graph.initializer {
            values.insert(tensor.name.clone(), Value::Constant(Constant::new(tensor)?));
        }
        let inputs: Vec<_> = graph.input.iter().filter(|input| !values.contains_key(&input.name)).collect();
        let [images] = inputs[..] else { return Err(format!("it has {} inputs, expected one", inputs.len())) };
        let raw = Affine { mean: vec![0.0], factor: vec![1.0] };
        values.insert(images.name.clone(), Value::Images(raw));
        let root = Step { word: String::new(), tensors: vec![], inputs: vec![], dominator: 0, depth: 0 };
        Ok(Reader { images: images.name.clone(), values, steps: vec![root], affine: None })
    }

    /// Takes in a node.
    fn read(&mut self, node: &NodeProto) -> Result<(), String> {
        let value = self.value(node)?;
        let output = node.output.first().ok_or("it makes nothing")?;
        self.values.insert(output.clone(), value);
        Ok(())
    }

    /// What stands at an input of a node; `None` where nothing does.
    fn at(&self, node: &NodeProto, place: usize) -> Result<Option<&Value>, String> {
        match node.input.get(place).filter(|name| !name.is_empty()) {
            None => Ok(None),
            Some(name) => self.values.get(name).map(Some).ok_or_else(|| format!("nothing makes its input `{name}`")),
        }
    }

    fn constant(&self, node: &NodeProto, place: usize) -> Result<Option<&Constant>, String> {
        match self.at(node, place)? {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(_) => Err(format!("its input `{}` is no constant", node.input[place])),
        }
    }

    fn needed(&self, node: &NodeProto, place: usize) -> Result<&Constant, String> {
        self.constant(node, place)?.ok_or_else(|| format!("its input {} is missing", place + 1))
    }

    /// The step that makes an input of a node.
    fn made(&mut self, node: &NodeProto, place: usize) -> Result<usize, String> {
        match self.at(node, place)?.cloned() {
            Some(Value::Made(step)) => Ok(step),
            Some(Value::Images(affine)) => {
                let first = self.affine.get_or_insert_with(|| affine.clone());
                if *first == affine { Ok(0) } else { Err("the images are scaled in two ways".to_owned()) }
            }
            Some(Value::Padded(..)) => Err("zeros around an array go before Conv and Add alone".to_owned()),
            Some(Value::Turned(_)) => Err("channels as the last axis go before LayerNormalization alone".to_owned()),
            Some(Value::Grouped(..)) => Err("groups of channels go before InstanceNormalization alone".to_owned()),
            _ => Err(format!("its input {} is nothing that a layer makes", place + 1)),
        }
    }

    /// Adds a step.
    fn step(&mut self, word: String, inputs: Vec<usize>, tensors: Vec<(&'static str, Tensor)>) -> Value {
        let dominator = inputs.iter().copied().reduce(|a, b| self.common(a, b)).expect("a step has inputs");
        let depth = self.steps[dominator].depth + 1;
        self.steps.push(Step { word, tensors, inputs, dominator, depth });
        Value::Made(self.steps.len() - 1)
    }

    /// The last step that all paths to both go through.
    fn common(&self, mut a: usize, mut b: usize) -> usize {
        while a != b {
            let deeper = if self.steps[a].depth >= self.steps[b].depth { &mut a } else { &mut b };
            *deeper = self.steps[*deeper].dominator;
        }
        a
    }

    /// A layer of one input without tensors.
    fn plain(&mut self, node: &NodeProto, word: &str) -> Result<Value, String> {
        let x = self.made(node, 0)?;
        Ok(self.step(word.to_owned(), vec![x], vec![]))
    }

    fn value(&mut self, node: &NodeProto) -> Result<Value, String> {
        match node.op_type.as_str() {
            "Identity" | "Dropout" | "Cast" => Ok(self.at(node, 0)?.ok_or("it has no input")?.clone()),
            "Constant" => {
                let tensor = node.tensor("value").ok_or("it is no array")?;
                Ok(Value::Constant(Constant::new(tensor)?))
            }
            "Flatten" if node.int("axis").unwrap_or(1) == 1 => self.made(node, 0).map(Value::Made),
            "Flatten" => Err("its axis is not 1".to_owned()),
            "Squeeze" => self.made(node, 0).map(Value::Made),
            "Reshape" => match self.at(node, 0)? {
                Some(Value::Constant(constant)) => {
                    let sizes = self.constant(node, 1)?.map(Constant::whole).transpose()?.unwrap_or_default();
                    Ok(Value::Constant(constant.shaped(sizes)))
                }
                _ => self.reshape(node),
            },
            "Shape" => Ok(Value::Sizes(false)),
            "Gather" | "Unsqueeze" | "Slice" if matches!(self.at(node, 0)?, Some(Value::Sizes(_))) => {
                Ok(Value::Sizes(false))
            }
            "Expand" => match self.at(node, 0)? {
                Some(&Value::Length(step)) => Ok(Value::Length(step)),
                _ => Err("only a length is expanded".to_owned()),
            },
            "Concat" => self.concat(node),
            "Conv" => self.conv(node),
            "BatchNormalization" => self.norm(node),
            "LayerNormalization" => self.layer_norm(node),
            "InstanceNormalization" => self.instance_norm(node),
            "GroupNormalization" => self.group_norm(node),
            "Transpose" => self.transpose(node),
            "HardSigmoid" => {
                let is_near = |name: &str, otherwise: f32, wanted: f32| {
                    (node.float(name).unwrap_or(otherwise) - wanted).abs() < 1e-6
                };
                match is_near("alpha", 0.2, 1.0 / 6.0) && is_near("beta", 0.5, 0.5) {
                    true => self.made(node, 0).map(Value::Gate),
                    false => Err("no word has its slope".to_owned()),
                }
            }
            "Relu" => self.plain(node, "relu"),
            "Sigmoid" => self.plain(node, "sigmoid"),
            "HardSwish" => self.plain(node, "hswish"),
            "LeakyRelu" => self.plain(node, &format!("leaky{}", node.float("alpha").unwrap_or(0.01))),
            "PRelu" => {
                let (x, slope) = (self.made(node, 0)?, self.needed(node, 1)?.vector()?);
                match slope.values()?[..] {
                    [slope] => Ok(self.step(format!("leaky{slope}"), vec![x], vec![])),
                    _ => Ok(self.step("prelu".to_owned(), vec![x], vec![("weight", slope)])),
                }
            }
            "Clip" => self.clip(node),
            "MaxPool" | "AveragePool" => self.pool(node),
            "GlobalAveragePool" => self.plain(node, "mean"),
            "ReduceMean" => self.mean(node),
            "Gemm" | "MatMul" => self.dense(node),
            "LpNormalization" => {
                let (axis, p) = (node.int("axis").unwrap_or(-1), node.int("p").unwrap_or(2));
                if p == 2 && matches!(axis, 1 | -1) { self.plain(node, "l2") } else { Err("it is no l2".to_owned()) }
            }
            "ReduceL2" => self.made(node, 0).map(Value::Length),
            "Max" if matches!(self.at(node, 0)?, Some(Value::Length(_))) => {
                Ok(self.at(node, 0)?.expect("there").clone())
            }
            "Max" if matches!(self.at(node, 1)?, Some(Value::Length(_))) => {
                Ok(self.at(node, 1)?.expect("there").clone())
            }
            "Pad" => self.pad(node),
            "Neg" => match self.at(node, 0)? {
                Some(Value::Images(affine)) => {
                    let factor = affine.factor.iter().map(|factor| -factor).collect();
                    Ok(Value::Images(Affine { factor, ..affine.clone() }))
                }
                _ => Err("only images are turned to their negative".to_owned()),
            },
            "Add" | "Sum" | "Sub" | "Mul" | "Div" => self.arithmetic(node),
            _ => Err("no word of a spec does this".to_owned()),
        }
    }

    fn reshape(&mut self, node: &NodeProto) -> Result<Value, String> {
        if let Some(Value::Unit(x, word)) = self.at(node, 0)? {
            let (x, word) = (*x, word.clone());
            return Ok(self.step(word, vec![x], vec![]));
        }
        if let Some(Value::Constant(sizes)) = self.at(node, 1)?
            && let &[0 | 1, groups, _] = sizes.whole()?
        {
            return self.made(node, 0).map(|x| Value::Grouped(x, groups));
        }
        let is_flat = match self.at(node, 1)? {
            Some(&Value::Sizes(is_flat)) => is_flat,
            Some(Value::Constant(sizes)) => sizes.whole()?.len() == 2,
            _ => false,
        };
        if is_flat {
            self.made(node, 0).map(Value::Made)
        } else {
            Err("only rows of all values are made of images".to_owned())
        }
    }

    fn concat(&mut self, node: &NodeProto) -> Result<Value, String> {
        if matches!(self.at(node, 0)?, Some(Value::Sizes(_))) {
            return Ok(Value::Sizes(node.input.len() == 2));
        }
        if node.int("axis") != Some(1) {
            return Err("only channels are put side by side, axis 1".to_owned());
        }
        let inputs = (0..node.input.len()).map(|place| self.made(node, place)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.step("cat(".to_owned(), inputs, vec![]))
    }

    fn conv(&mut self, node: &NodeProto) -> Result<Value, String> {
        let weight = self.needed(node, 1)?.tensor()?;
        let bias = self.constant(node, 2)?.map(Constant::vector).transpose()?;
        let &[outputs, inputs, height, width] = &weight.dims[..] else {
            return Err(format!("its kernel is {:?}, expected four sizes", weight.dims));
        };
        let groups = usize::try_from(node.int("group").unwrap_or(1)).map_err(|_| "its groups are negative")?;
        let (x, mut pads) = match self.at(node, 0)?.cloned() {
            Some(Value::Padded(step, pads)) => match pads[..] {
                [0, 0, top, left, 0, 0, bottom, right] => (step, vec![top, left, bottom, right]),
                _ => return Err("zeros are put beside its channels".to_owned()),
            },
            _ => (self.made(node, 0)?, vec![0; 4]),
        };
        for (pad, more) in pads.iter_mut().zip(self.pads(node, [height, width])?) {
            *pad += more;
        }
        let pad = match pads[..] {
            [top, left, bottom, right] if top == bottom && left == right => [top, left].map(|pad| pad as usize),
            _ => return Err(format!("its zeros {pads:?} are others at one border than at the other")),
        };
        let kernel = [height, width];
        let is_same = kernel.iter().all(|size| size % 2 == 1) && pad == kernel.map(|size| (size - 1) / 2);
        let padded = match pad {
            _ if is_same => String::new(),
            [0, 0] => "v".to_owned(),
            [rows, columns] if rows == columns => format!("p{rows}"),
            _ => return Err(format!("its zeros are {} rows and {} columns", pad[0], pad[1])),
        };
        let stride = match self.stride(node, 1)? {
            1 => String::new(),
            stride => format!("s{stride}"),
        };
        let word = if groups > 1 && groups == outputs && inputs == 1 && height == width {
            format!("depth{height}{stride}{padded}")
        } else {
            let size = match kernel {
                [3, 3] => String::new(),
                [height, width] if height == width => format!("k{height}"),
                [height, width] => format!("k{height}x{width}"),
            };
            let grouped = if groups > 1 { format!("g{groups}") } else { String::new() };
            format!("conv{outputs}{size}{stride}{padded}{grouped}")
        };
        let tensors = std::iter::once(("weight", weight)).chain(bias.map(|bias| ("bias", bias)));
        Ok(self.step(word, vec![x], tensors.collect()))
    }

    /// Zeros at the borders, `[top, left, bottom, right]`.
    fn pads(&self, node: &NodeProto, kernel: [usize; 2]) -> Result<Vec<i64>, String> {
        if let Some(dilations) = node.ints("dilations").filter(|dilations| dilations.iter().any(|&step| step != 1)) {
            return Err(format!("its taps are {dilations:?} apart"));
        }
        match node.text("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" => match node.ints("pads").unwrap_or(&[0; 4]) {
                pads if pads.len() == 4 && pads.iter().all(|pad| (0..256).contains(pad)) => Ok(pads.to_vec()),
                pads => Err(format!("its zeros {pads:?} are not four numbers")),
            },
            "VALID" => Ok(vec![0; 4]),
            "SAME_UPPER" | "SAME_LOWER" if kernel.iter().all(|size| size % 2 == 1) && self.stride(node, 1)? == 1 => {
                let [rows, columns] = kernel.map(|size| (size as i64 - 1) / 2);
                Ok(vec![rows, columns, rows, columns])
            }
            other => Err(format!("its zeros are said as {other}: write their numbers")),
        }
    }

    fn stride(&self, node: &NodeProto, otherwise: usize) -> Result<usize, String> {
        match node.ints("strides") {
            None | Some([]) => Ok(otherwise),
            Some(&[rows, columns]) if rows == columns && (1..256).contains(&rows) => Ok(rows as usize),
            Some(strides) => Err(format!("its strides {strides:?} are not one number twice")),
        }
    }

    fn norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.made(node, 0)?;
        let mut tensors = Vec::new();
        for (name, place) in ["weight", "bias", "running_mean", "running_var"].into_iter().zip(1..) {
            tensors.push((name, self.needed(node, place)?.vector()?));
        }
        Ok(self.step(format!("bn{}", epsilon(node)), vec![x], tensors))
    }

    /// What a normalisation of groups or layers takes. One that takes no mean of each channel does not make up for the
    /// bias of a layer right before, which a text leaves out there: a word between keeps them apart.
    fn before_norm(&mut self, x: usize) -> Result<usize, String> {
        let before = &self.steps[x];
        let bias = before.tensors.iter().find(|(name, _)| *name == "bias" && before.is_layer());
        let Some((_, bias)) = bias else { return Ok(x) };
        if bias.values()?.iter().all(|&value| value == 0.0) {
            return Ok(x);
        }
        self.step("scale1".to_owned(), vec![x], vec![]);
        Ok(self.steps.len() - 1)
    }

    /// Whether what a step makes is a row without a place in an image.
    fn is_row(&self, mut step: usize) -> bool {
        while step > 0 && !["conv", "depth", "pool", "avg"].iter().any(|word| self.steps[step].word.starts_with(word)) {
            if ["dense", "mean"].iter().any(|word| self.steps[step].word.starts_with(word)) {
                return true;
            }
            step = self.steps[step].inputs[0];
        }
        false
    }

    fn layer_norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let mut tensors = vec![("weight", self.needed(node, 1)?.vector()?)];
        tensors.extend(self.constant(node, 2)?.map(Constant::vector).transpose()?.map(|bias| ("bias", bias)));
        let axis = node.int("axis").unwrap_or(-1);
        let (x, is_turned, last) = match self.at(node, 0)? {
            Some(&Value::Turned(x)) => (x, true, 3),
            _ => (self.made(node, 0)?, false, 1),
        };
        if axis != -1 && axis != last {
            return Err(format!("its axis is {axis}, expected the last"));
        }
        if !is_turned && !self.is_row(x) {
            return Err("it goes along the columns of an image, not its channels".to_owned());
        }
        let x = self.before_norm(x)?;
        match self.step(format!("ln{}", epsilon(node)), vec![x], tensors) {
            Value::Made(step) if is_turned => Ok(Value::Turned(step)),
            made => Ok(made),
        }
    }

    fn instance_norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let Some(&Value::Grouped(x, groups)) = self.at(node, 0)? else {
            return Err("only groups of channels are normalised by themselves, as Reshape makes them".to_owned());
        };
        if !self.needed(node, 1)?.is_all(1.0) || !self.needed(node, 2)?.is_all(0.0) {
            return Err("its groups have factors or biases".to_owned());
        }
        let x = self.before_norm(x)?;
        Ok(Value::Unit(x, format!("gn{groups}{}", epsilon(node))))
    }

    fn group_norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.made(node, 0)?;
        let tensors = vec![("weight", self.needed(node, 1)?.vector()?), ("bias", self.needed(node, 2)?.vector()?)];
        let groups = node.int("num_groups").ok_or("it does not say how many groups")?;
        let x = self.before_norm(x)?;
        Ok(self.step(format!("gn{groups}{}", epsilon(node)), vec![x], tensors))
    }

    fn transpose(&mut self, node: &NodeProto) -> Result<Value, String> {
        match (node.ints("perm"), self.at(node, 0)?) {
            (Some([0, 3, 1, 2]), Some(&Value::Turned(x))) => Ok(Value::Made(x)),
            (Some([0, 2, 3, 1]), _) => self.made(node, 0).map(Value::Turned),
            (axes, _) => {
                Err(format!("its axes become {:?}, expected channels last and back", axes.unwrap_or_default()))
            }
        }
    }

    fn clip(&mut self, node: &NodeProto) -> Result<Value, String> {
        if let Some(&Value::Length(step)) = self.at(node, 0)? {
            return Ok(Value::Length(step));
        }
        let bound = |place: usize, name: &str, otherwise: f32| match self.constant(node, place)? {
            Some(constant) => constant.real()?.first().copied().ok_or_else(|| "a bound holds nothing".to_owned()),
            None => Ok(node.float(name).unwrap_or(otherwise)),
        };
        let (low, high) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
        match (low, high) {
            (0.0, 6.0) => self.plain(node, "relu6"),
            (0.0, f32::MAX..) => self.plain(node, "relu"),
            _ => Err(format!("its bounds are {low} and {high}, expected 0 and 6")),
        }
    }

    fn pool(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.made(node, 0)?;
        let size = match node.ints("kernel_shape") {
            Some(&[height, width]) if height == width && (1..256).contains(&height) => height as usize,
            other => return Err(format!("its window is {other:?}, expected a square")),
        };
        if node.int("ceil_mode").unwrap_or(0) != 0 {
            return Err("its last windows reach beyond the image (ceil_mode)".to_owned());
        }
        let pad = match self.pads(node, [size; 2])?[..] {
            [top, left, bottom, right] if [left, bottom, right] == [top; 3] => top,
            ref pads => return Err(format!("its borders {pads:?} are not one number")),
        };
        let is_mean = node.op_type == "AveragePool";
        if is_mean && pad > 0 && node.int("count_include_pad").unwrap_or(0) == 0 {
            return Err("its means leave the zeros at the border out (count_include_pad is 0)".to_owned());
        }
        let stride = match self.stride(node, 1)? {
            stride if stride == size => String::new(),
            stride => format!("s{stride}"),
        };
        let border = if pad > 0 { format!("p{pad}") } else { String::new() };
        let word = if is_mean { "avg" } else { "pool" };
        let size = if size == 2 { String::new() } else { size.to_string() };
        Ok(self.step(format!("{word}{size}{stride}{border}"), vec![x], vec![]))
    }

    fn mean(&mut self, node: &NodeProto) -> Result<Value, String> {
        let mut axes = match (node.ints("axes"), self.constant(node, 1)?) {
            (Some(axes), _) => axes.to_vec(),
            (None, Some(axes)) => axes.whole()?.to_vec(),
            (None, None) => vec![],
        };
        axes.iter_mut().filter(|axis| **axis < 0).for_each(|axis| *axis += 4);
        axes.sort_unstable();
        if axes == [2, 3] { self.plain(node, "mean") } else { Err(format!("its axes are {axes:?}, expected 2 and 3")) }
    }

    fn dense(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.made(node, 0)?;
        let weight = self.needed(node, 1)?;
        let &[rows, columns] = &weight.dims[..] else {
            return Err(format!("its matrix is {:?}, expected two sizes", weight.dims));
        };
        let is_one = |name: &str| node.float(name).unwrap_or(1.0) == 1.0;
        if node.op_type == "Gemm" && !(is_one("alpha") && is_one("beta") && node.int("transA").unwrap_or(0) == 0) {
            return Err("it has factors, or turns what comes in".to_owned());
        }
        let weight = if node.int("transB").unwrap_or(0) == 1 {
            weight.tensor()?
        } else {
            let values = weight.real()?;
            let turned: Vec<f32> =
                (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect();
            Tensor::new(vec![columns, rows], &turned)
        };
        let bias = self.constant(node, 2)?.map(Constant::vector).transpose()?;
        let word = format!("dense{}", weight.dims[0]);
        let tensors = std::iter::once(("weight", weight)).chain(bias.map(|bias| ("bias", bias)));
        Ok(self.step(word, vec![x], tensors.collect()))
    }

    fn pad(&mut self, node: &NodeProto) -> Result<Value, String> {
        let pads = match (node.ints("pads"), self.constant(node, 1)?) {
            (Some(pads), _) => pads.to_vec(),
            (None, Some(pads)) => pads.whole()?.to_vec(),
            (None, None) => return Err("it does not say how many zeros".to_owned()),
        };
        let value = match self.constant(node, 2)? {
            Some(value) => value.real()?.first().copied().unwrap_or(0.0),
            None => node.float("value").unwrap_or(0.0),
        };
        if node.text("mode").unwrap_or("constant") != "constant" || value != 0.0 || pads.iter().any(|&pad| pad < 0) {
            return Err("only zeros are put around an array".to_owned());
        }
        let x = self.made(node, 0)?;
        Ok(if pads.iter().all(|&pad| pad == 0) { Value::Made(x) } else { Value::Padded(x, pads) })
    }

    /// Sums, products and what is done by constants.
    fn arithmetic(&mut self, node: &NodeProto) -> Result<Value, String> {
        let operator = node.op_type.as_str();
        let values = (0..node.input.len())
            .map(|place| Ok(self.at(node, place)?.cloned()))
            .collect::<Result<Vec<_>, String>>()?;
        match (operator, &values[..]) {
            ("Div", [Some(Value::Made(x)), Some(Value::Length(of))]) if x == of => self.plain(node, "l2"),
            ("Mul", [Some(Value::Made(x)), Some(Value::Gate(of))] | [Some(Value::Gate(of)), Some(Value::Made(x))])
                if x == of =>
            {
                Ok(self.step("hswish".to_owned(), vec![*x], vec![]))
            }
            ("Mul", [Some(Value::Made(x)), Some(Value::Made(y))]) => match self.gate(*x, *y).or(self.gate(*y, *x)) {
                Some(x) => Ok(self.step("silu".to_owned(), vec![x], vec![])),
                None => Err("no word multiplies what two layers make".to_owned()),
            },
            ("Add" | "Mul", [Some(Value::Constant(constant)), Some(other)])
            | (_, [Some(other), Some(Value::Constant(constant))]) => match other {
                Value::Images(affine) => by_constant(operator, affine, constant).map(Value::Images),
                Value::Length(step) => Ok(Value::Length(*step)),
                &Value::Made(step) => self.shifted(operator, step, constant),
                _ => Err("its inputs are nothing that a layer makes".to_owned()),
            },
            ("Add" | "Sum", _) => {
                let mut word = "add(";
                let mut inputs = Vec::new();
                for (place, value) in values.iter().enumerate() {
                    inputs.push(match value {
                        Some(Value::Padded(step, pads)) if pads[..pads.len() / 2].iter().all(|&pad| pad == 0) => {
                            word = "add0(";
                            *step
                        }
                        _ => self.made(node, place)?,
                    });
                }
                Ok(self.step(word.to_owned(), inputs, vec![]))
            }
            _ => Err("no word does this to what layers make".to_owned()),
        }
    }

    /// What `y` is the sigmoid of, if that is `x`.
    fn gate(&self, x: usize, y: usize) -> Option<usize> {
        let gate = &self.steps[y];
        (gate.word == "sigmoid" && gate.inputs == [x]).then_some(x)
    }

    /// What a step makes, by a constant: the bias of a product of matrices, what scales and shifts behind a
    /// normalisation of groups, or a factor.
    fn shifted(&mut self, operator: &str, step: usize, constant: &Constant) -> Result<Value, String> {
        let made = &mut self.steps[step];
        let is_bare = made.word.starts_with("dense") && made.tensors.len() == 1;
        match (operator, made.tensors.len()) {
            ("Mul" | "Div", _) if constant.len() == 1 && constant.is_all(1.0) => return Ok(Value::Made(step)),
            ("Add" | "Sub", _) if constant.len() == 1 && constant.is_all(0.0) => return Ok(Value::Made(step)),
            ("Mul", 0) if made.word.starts_with("gn") && !constant.dims.is_empty() => {
                made.tensors.push(("weight", Tensor::new(vec![constant.len()], constant.by_channel()?)));
                return Ok(Value::Made(step));
            }
            ("Add", 1) if made.word.starts_with("gn") => {
                made.tensors.push(("bias", Tensor::new(vec![constant.len()], constant.by_channel()?)));
                return Ok(Value::Made(step));
            }
            _ => {}
        }
        match operator {
            "Add" if is_bare && constant.len() == made.tensors[0].1.dims[0] => {
                made.tensors.push(("bias", constant.vector()?));
                Ok(Value::Made(step))
            }
            "Mul" | "Div" if constant.len() == 1 => {
                let factor = constant.real()?[0];
                let factor = if operator == "Mul" { factor } else { 1.0 / factor };
                Ok(self.step(format!("scale{factor}"), vec![step], vec![]))
            }
            _ => Err(format!("no word does this by an array of {:?}", constant.dims)),
        }
    }

    /// The parts of the text from the images to a step.
    fn words(&self, last: usize) -> Result<Vec<Piece>, String> {
        let (mut words, mut is_said) = (Vec::new(), vec![false; self.steps.len()]);
        self.say(last, 0, 0, &mut words, &mut is_said)?;
        Ok(words)
    }

    /// Adds what lies between a step that dominates another, and that other.
    fn say(
        &self,
        to: usize,
        from: usize,
        depth: usize,
        words: &mut Vec<Piece>,
        is_said: &mut [bool],
    ) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("more than {DEEPEST} joins stand within each other"));
        }
        let mut chain: Vec<usize> = std::iter::successors(Some(to), |&step| Some(self.steps[step].dominator))
            .take_while(|&step| step != from)
            .collect();
        chain.reverse();
        for place in chain {
            let step = &self.steps[place];
            let word = step.word.clone();
            if std::mem::replace(&mut is_said[place], true) {
                return Err(format!(
                    "what `{word}` makes goes into two branches that begin before it: no text says that"
                ));
            }
            let is_join = word.ends_with('(');
            words.push(Piece::Step(place, word));
            if is_join {
                for (branch, &input) in step.inputs.iter().enumerate() {
                    if branch > 0 {
                        words.push(Piece::Mark("|"));
                    }
                    self.say(input, step.dominator, depth + 1, words, is_said)?;
                }
                words.push(Piece::Mark(")"));
            }
        }
        Ok(())
    }

    /// The tensors of a network that has these words, by its names for them.
    fn tensors(&self, words: &[Piece], net: &Net) -> Result<BTreeMap<String, Tensor>, String> {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut found = BTreeMap::new();
        // The layer right before, whose bias a normalisation takes in.
        let mut before: Option<String> = None;
        for piece in words {
            let Piece::Step(step, word) = piece else {
                before = None;
                continue;
            };
            let kind =
                ["conv", "depth", "dense", "bn", "gn", "ln", "prelu"].into_iter().find(|kind| word.starts_with(kind));
            let Some(kind) = kind else {
                before = None;
                continue;
            };
            let number = numbers.entry(kind).and_modify(|number| *number += 1).or_insert(1);
            let layer = format!("{kind}{number}");
            for (name, tensor) in &self.steps[*step].tensors {
                found.insert(format!("{layer}.{name}"), tensor.clone());
            }
            if let (Some(before), "bn") = (&before, kind)
                && let Some(bias) = found.remove(&format!("{before}.bias"))
            {
                let mean = found.get_mut(&format!("{layer}.running_mean")).expect("a normalisation has a mean");
                if mean.dims != bias.dims {
                    return Err(format!("`{layer}` has means of {:?} for biases of {:?}", mean.dims, bias.dims));
                }
                let moved = zip(&mean.values()?, &bias.values()?, |mean, bias| mean - bias);
                *mean = Tensor::new(bias.dims, &moved);
            }
            // One that is not zero is kept apart, see `before_norm`.
            if let (Some(before), "gn" | "ln") = (&before, kind) {
                found.remove(&format!("{before}.bias"));
            }
            before = Some(layer);
        }
        for parameter in net.placed() {
            let wanted = parameter.layout.file_dims();
            let found = found.entry(parameter.name.clone());
            let missing = match parameter.name.split_once('.') {
                Some((_, "bias")) => 0.0,
                Some((layer, "weight")) if layer.starts_with("gn") => 1.0,
                _ => continue,
            };
            found.or_insert_with(|| Tensor::new(wanted, &vec![missing; parameter.layout.len()]));
        }
        Ok(found)
    }

    /// Mean and deviation of the pixels, unless they stay as they are, and whether images are inverted before.
    fn pixels(&self) -> (Option<Pixels>, bool) {
        let Some(Affine { mean, factor }) = &self.affine else { return (None, false) };
        if *mean == [0.0] && *factor == [1.0] {
            return (None, false);
        }
        let invert = factor.iter().all(|&factor| factor < 0.0);
        let turned = |mean: f32| if invert { 255.0 - mean } else { mean };
        let deviation = factor.iter().map(|factor| deviation(factor.abs()));
        let pixels = Pixels { mean: mean.iter().map(|&mean| turned(mean)).collect(), deviation: deviation.collect() };
        (Some(pixels), invert)
    }
}

/// How a word says the epsilon of a normalisation.
fn epsilon(node: &NodeProto) -> String {
    match node.float("epsilon").unwrap_or(1e-5) {
        1e-5 => String::new(),
        epsilon => format!("e{epsilon}"),
    }
}

/// The number whose inverse is nearest to a factor.
fn deviation(factor: f32) -> f32 {
    let near = 1.0 / factor;
    let candidates = [near, near.next_up(), near.next_down()];
    candidates.into_iter().find(|deviation| 1.0 / deviation == factor).unwrap_or(near)
}

/// The images by one more constant.
fn by_constant(operator: &str, affine: &Affine, constant: &Constant) -> Result<Affine, String> {
    let by = constant.by_channel()?;
    let Affine { mean, factor } = affine;
    for values in [mean, factor] {
        if values.len() > 1 && by.len() > 1 && values.len() != by.len() {
            return Err(format!("{} numbers for images of {} channels", by.len(), values.len()));
        }
    }
    Ok(match operator {
        "Mul" => Affine { mean: mean.clone(), factor: zip(factor, by, |factor, by| factor * by) },
        "Div" => Affine { mean: mean.clone(), factor: zip(factor, by, |factor, by| factor / by) },
        _ => {
            let step = zip(by, factor, |by, factor| if operator == "Sub" { by / factor } else { -by / factor });
            Affine { mean: zip(mean, &step, |mean, step| mean + step), factor: factor.clone() }
        }
    })
}
