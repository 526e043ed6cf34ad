//! A network as text: parsed into layers, shapes and parameters, lowered to the calls of its forward and backward
//! passes.
//!
//! ```text
//! conv<channels>[k<size>][s<stride>][v]   convolution; kernel 3, stride 1, padding "same"; v: valid, no padding
//! pool[<size>]                            max pooling by windows side by side; size 2
//! dense<outputs>                          dense layer; the first one flattens the image
//! relu  sigmoid                           activation of the conv or dense layer before it
//! l2                                      rows of length 1; last
//! ```
//!
//! Images are `[rows, height, width, channels]` on the device. Activations are fused into the layer they follow. They
//! commute with max pooling (none of them falls), so `conv pool relu` and `conv relu pool` are one network.

use std::collections::HashMap;

use crate::config::Initialisation;
use crate::error::{Error, Result};
use crate::init::Init;
use crate::kernel::{Element, Kernel};
use crate::kernels::{
    ActDx, ActDxShape, Activation, Conv2d, Conv2dDw, Conv2dDwShape, Conv2dDx, Conv2dShape, Dense, DenseDw,
    DenseDwShape, DenseDx, DenseDxShape, DenseShape, L2Norm, L2NormDx, L2NormShape, MaxPool, MaxPoolDx, MaxPoolShape,
    SumRows, SumRowsShape, Window, splits,
};
use crate::plan::{ALIGNMENT, Builder, Role, Section, SlotId, Tensor};

/// What a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Convolution, with its bias and activation.
    Conv {
        /// Output channels.
        channels: usize,
        /// Rows and columns of the kernel.
        kernel: usize,
        /// Step between neighbouring outputs.
        stride: usize,
        /// Padded with `(kernel - 1) / 2` zeros on each side, or not at all.
        same: bool,
        /// What follows the bias.
        activation: Activation,
    },
    /// Max pooling.
    Pool {
        /// Rows and columns of a window.
        size: usize,
    },
    /// Dense layer, with its bias and activation.
    Dense {
        /// Values of an output row.
        outputs: usize,
        /// What follows the bias.
        activation: Activation,
    },
    /// L2 normalisation.
    L2,
}

/// A layer with its name and the shape of what flows in and out, `[height, width, channels]`; behind a dense layer
/// `[1, 1, values]`.
#[derive(Clone, Debug)]
pub struct Node {
    /// Kind and number, from 1 by kind: `conv1`, `dense2`.
    pub name: String,
    /// What it does.
    pub layer: Layer,
    /// Shape of its input.
    pub input: [usize; 3],
    /// Shape of its output.
    pub output: [usize; 3],
}

/// How the elements of a parameter are ordered: on the device as the kernels like it, in files as PyTorch has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[kernel, kernel, in, out]` on the device, `[out, in, kernel, kernel]` in files.
    Conv {
        /// Rows and columns of the kernel.
        kernel: usize,
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
    },
    /// `[height·width·channels, out]` on the device, `[out, channels·height·width]` in files.
    Dense {
        /// Height, width and channels of what is flattened.
        input: [usize; 3],
        /// Values of an output row.
        outputs: usize,
    },
    /// `[out]` in both.
    Bias {
        /// Values, one an output or output channel.
        outputs: usize,
    },
}

impl Layout {
    /// Dimensions on the device.
    pub fn device_dims(self) -> Vec<usize> {
        match self {
            Layout::Conv { kernel, inputs, outputs } => vec![kernel, kernel, inputs, outputs],
            Layout::Dense { input, outputs } => vec![input.iter().product(), outputs],
            Layout::Bias { outputs } => vec![outputs],
        }
    }

    /// Dimensions in files.
    pub fn file_dims(self) -> Vec<usize> {
        match self {
            Layout::Conv { kernel, inputs, outputs } => vec![outputs, inputs, kernel, kernel],
            Layout::Dense { input, outputs } => vec![outputs, input.iter().product()],
            Layout::Bias { outputs } => vec![outputs],
        }
    }

    /// For each element in file order, its place on the device.
    fn places(self) -> Vec<usize> {
        match self {
            Layout::Conv { kernel, inputs, outputs } => {
                let taps = kernel * kernel;
                let place = |file: usize| {
                    let (tap, i, o) = (file % taps, file / taps % inputs, file / (taps * inputs));
                    (tap * inputs + i) * outputs + o
                };
                (0..taps * inputs * outputs).map(place).collect()
            }
            Layout::Dense { input: [height, width, channels], outputs } => {
                let (pixels, inputs) = (height * width, height * width * channels);
                let place = |file: usize| {
                    let (pixel, c, o) = (file % pixels, file / pixels % channels, file / inputs);
                    (pixel * channels + c) * outputs + o
                };
                (0..inputs * outputs).map(place).collect()
            }
            Layout::Bias { outputs } => (0..outputs).collect(),
        }
    }

    /// Reorders values from the device into file order.
    pub fn to_file(self, device: &[f32]) -> Vec<f32> {
        self.places().into_iter().map(|place| device[place]).collect()
    }

    /// Reorders values from file order for the device.
    pub fn to_device(self, file: &[f32]) -> Vec<f32> {
        let mut device = vec![0.0; file.len()];
        self.places().into_iter().zip(file).for_each(|(place, &value)| device[place] = value);
        device
    }
}

/// A trained tensor.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// `conv1.weight`, `conv1.bias`, …
    pub name: String,
    /// Order of its elements.
    pub layout: Layout,
    /// Inputs that reach one output.
    pub fan_in: usize,
    /// Outputs that one input reaches.
    pub fan_out: usize,
    /// Activation of its layer.
    pub activation: Activation,
}

impl Parameter {
    /// How it starts.
    pub fn init(&self, initialisation: Initialisation) -> Init {
        match (self.layout, initialisation, self.activation) {
            (Layout::Bias { .. }, ..) => Init::Zeros,
            (_, Initialisation::ByActivation, Activation::Relu) => Init::HeUniform,
            _ => Init::GlorotUniform,
        }
    }
}

/// A network: layers with their shapes.
#[derive(Clone, Debug)]
pub struct Net {
    /// The text it was parsed from.
    pub spec: String,
    /// Shape of an image, `[height, width, channels]`.
    pub input: [usize; 3],
    /// Layers in order.
    pub nodes: Vec<Node>,
}

/// Most words of a spec: several times those of the deepest networks in use.
pub const MOST_WORDS: usize = 4096;

/// Values of an image of this shape, if 32-bit indices reach them.
fn values(shape: [usize; 3]) -> Option<usize> {
    let values = shape.into_iter().try_fold(1usize, usize::checked_mul);
    values.filter(|&values| values <= u32::MAX as usize)
}

/// A word of a spec and where it starts.
struct Word<'a> {
    spec: &'a str,
    start: usize,
    text: &'a str,
}

impl Word<'_> {
    fn error(&self, reason: impl Into<String>) -> Error {
        let (start, end) = (self.start, self.start + self.text.len());
        Error::Spec { spec: self.spec.to_owned(), start, end, reason: reason.into() }
    }

    fn number(&self, digits: &str, what: &str, most: usize) -> Result<usize> {
        match digits.parse::<usize>() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(self.error(format!("`{}` needs {what} from 1 to {most}", self.text))),
        }
    }

    /// The digits at the start of `text`, and what follows.
    fn digits(text: &str) -> (&str, &str) {
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
    }

    fn layer(&self) -> Result<Result<Layer, Activation>> {
        if let Some(rest) = self.text.strip_prefix("conv") {
            let (digits, mut rest) = Self::digits(rest);
            let channels = self.number(digits, "a number of channels", 65_536)?;
            let (mut kernel, mut stride, mut same) = (3, 1, true);
            while let Some(option) = rest.chars().next() {
                let (digits, after) = Self::digits(&rest[option.len_utf8()..]);
                match option {
                    'k' => kernel = self.number(digits, "a kernel size after k", 255)?,
                    's' => stride = self.number(digits, "a stride after s", 255)?,
                    'v' if digits.is_empty() => same = false,
                    _ => return Err(self.error(format!("`{}` does not continue with k, s or v", self.text))),
                }
                rest = after;
            }
            if kernel % 2 == 0 {
                return Err(self.error(format!("the kernel size {kernel} is not odd")));
            }
            return Ok(Ok(Layer::Conv { channels, kernel, stride, same, activation: Activation::None }));
        }
        if let Some(size) = self.text.strip_prefix("pool") {
            let size = if size.is_empty() { 2 } else { self.number(size, "a window size", 255)? };
            return Ok(Ok(Layer::Pool { size }));
        }
        if let Some(outputs) = self.text.strip_prefix("dense") {
            let outputs = self.number(outputs, "a number of outputs", 65_536)?;
            return Ok(Ok(Layer::Dense { outputs, activation: Activation::None }));
        }
        match self.text {
            "relu" => Ok(Err(Activation::Relu)),
            "sigmoid" => Ok(Err(Activation::Sigmoid)),
            "l2" => Ok(Ok(Layer::L2)),
            _ => Err(self.error(format!("`{}` is no layer", self.text))),
        }
    }
}

impl Net {
    /// Parses `spec` for images of `[height, width, channels]`.
    ///
    /// # Errors
    /// [`Error::Spec`] points at the word that cannot be understood or does not fit the shape that reaches it.
    pub fn parse(spec: &str, input: [usize; 3]) -> Result<Net> {
        let words: Vec<_> = spec
            .split_whitespace()
            .map(|text| Word { spec, start: text.as_ptr() as usize - spec.as_ptr() as usize, text })
            .collect();
        let whole = Word { spec, start: 0, text: spec };
        if values(input).is_none_or(|pixels| pixels == 0) {
            let [height, width, channels] = input;
            let reason = format!(
                "{height}×{width}×{channels}: an image has 1 to {} values, a side or channel at least 1",
                u32::MAX
            );
            return Err(Error::config("--input", reason));
        }
        if words.len() > MOST_WORDS {
            return Err(Error::config("--spec", format!("{} words are more than {MOST_WORDS}", words.len())));
        }
        let mut nodes: Vec<Node> = Vec::new();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut shape = input;
        let mut flat = false;
        let mut trained = 0;
        for word in &words {
            if matches!(nodes.last(), Some(Node { layer: Layer::L2, .. })) {
                return Err(word.error(format!("`{}` follows `l2`, which must be the last word", word.text)));
            }
            let layer = match word.layer()? {
                Ok(layer) => layer,
                Err(activation) => {
                    let carrier = nodes.iter_mut().rev().find(|node| !matches!(node.layer, Layer::Pool { .. }));
                    match carrier.map(|node| &mut node.layer) {
                        Some(Layer::Conv { activation: own, .. } | Layer::Dense { activation: own, .. })
                            if *own == Activation::None =>
                        {
                            *own = activation;
                        }
                        _ => {
                            let reason = format!("`{}` must follow a conv or dense layer, one to each", word.text);
                            return Err(word.error(reason));
                        }
                    }
                    continue;
                }
            };
            let [height, width, channels] = shape;
            let at = format!("{height}×{width}×{channels}");
            let (kind, output) = match layer {
                Layer::Conv { .. } | Layer::Pool { .. } if flat => {
                    return Err(
                        word.error(format!("`{}` needs an image, but a dense layer has flattened it", word.text))
                    );
                }
                Layer::Conv { channels: out, kernel, stride, same, .. } => {
                    let window = Window::new([1, height, width, channels], out, kernel, stride, same)
                        .ok_or_else(|| word.error(format!("the kernel is larger than the {at} that reaches it")))?;
                    ("conv", [window.out_height, window.out_width, out])
                }
                Layer::Pool { size } => {
                    let pool = MaxPoolShape::new([1, height, width, channels], size)
                        .ok_or_else(|| word.error(format!("the window is larger than the {at} that reaches it")))?;
                    ("pool", [pool.out_height, pool.out_width, channels])
                }
                Layer::Dense { outputs, .. } => ("dense", [1, 1, outputs]),
                Layer::L2 if !flat => return Err(word.error("`l2` must follow a dense layer")),
                Layer::L2 => ("l2", shape),
            };
            if values(output).is_none() {
                let reason = format!("`{}` makes more values of an image than 32-bit indices reach", word.text);
                return Err(word.error(reason));
            }
            flat |= matches!(layer, Layer::Dense { .. });
            let inputs: usize = match layer {
                Layer::Conv { kernel, .. } => kernel * kernel * channels,
                Layer::Dense { .. } => shape.iter().product(),
                Layer::Pool { .. } | Layer::L2 => 0,
            };
            if inputs > 0 {
                let weights = inputs.checked_mul(output[2]).unwrap_or(usize::MAX / 2);
                trained += weights.next_multiple_of(ALIGNMENT) + output[2].next_multiple_of(ALIGNMENT);
            }
            if trained > u32::MAX as usize {
                let reason = format!("with `{}` there are more weights than 32-bit indices reach", word.text);
                return Err(word.error(reason));
            }
            let number = numbers.entry(kind).and_modify(|number| *number += 1).or_insert(1);
            let name = if kind == "l2" { "l2".to_owned() } else { format!("{kind}{number}") };
            nodes.push(Node { name, layer, input: shape, output });
            shape = output;
        }
        if !flat {
            return Err(whole.error("the network needs a dense layer, whose outputs are the embedding"));
        }
        Ok(Net { spec: words.iter().map(|word| word.text).collect::<Vec<_>>().join(" "), input, nodes })
    }

    /// Values of an embedding.
    pub fn dims(&self) -> usize {
        self.nodes.last().map_or(0, |node| node.output.iter().product())
    }

    /// Whether embeddings have length 1.
    pub fn normalises(&self) -> bool {
        matches!(self.nodes.last(), Some(Node { layer: Layer::L2, .. }))
    }

    /// Bytes of one image: height × width × channels.
    pub fn pixels(&self) -> usize {
        self.input.iter().product()
    }

    /// Most rows of a batch: those for which 32-bit indices reach every element of every array.
    pub fn most_rows(&self) -> usize {
        let outputs = self.nodes.iter().map(|node| node.output.iter().product());
        u32::MAX as usize / outputs.chain([self.pixels()]).max().unwrap_or(1)
    }

    /// Checks that a batch of `rows` images can be planned: that 32-bit indices reach every element of every array.
    ///
    /// # Errors
    /// [`Error::Config`] for `--batch`, naming the largest array and the most images that go.
    pub fn check(&self, rows: usize) -> Result<()> {
        let most = self.most_rows();
        if rows <= most {
            return Ok(());
        }
        let outputs = self.nodes.iter().map(|node| (node.output.iter().product(), node.name.as_str()));
        let (values, name) = outputs.fold((self.pixels(), "images"), Ord::max);
        let reason = format!(
            "{rows} images are more than the {most} that this network can take at once: array `{name}` has {values} \
             values of each, and 32-bit indices reach {}",
            u32::MAX
        );
        Err(Error::config("--batch", reason))
    }

    /// The trained tensors in order: each layer's weight, then its bias.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        for Node { name, layer, input, .. } in &self.nodes {
            let (weight, fan_in, fan_out, outputs, activation) = match *layer {
                Layer::Conv { channels, kernel, activation, .. } => {
                    let weight = Layout::Conv { kernel, inputs: input[2], outputs: channels };
                    (weight, kernel * kernel * input[2], kernel * kernel * channels, channels, activation)
                }
                Layer::Dense { outputs, activation } => {
                    let weight = Layout::Dense { input: *input, outputs };
                    (weight, input.iter().product(), outputs, outputs, activation)
                }
                Layer::Pool { .. } | Layer::L2 => continue,
            };
            for (kind, layout) in [("weight", weight), ("bias", Layout::Bias { outputs })] {
                parameters.push(Parameter { name: format!("{name}.{kind}"), layout, fan_in, fan_out, activation });
            }
        }
        parameters
    }

    /// Number of trained values.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|parameter| parameter.layout.device_dims().iter().product::<usize>()).sum()
    }

    /// Adds the parameter arenas to a plan.
    pub fn declare(&self, builder: &mut Builder, arena: &str, training: bool) -> Vec<Tensor> {
        let tensors: Vec<_> =
            self.parameters().into_iter().map(|parameter| (parameter.name, parameter.layout.device_dims())).collect();
        builder.parameters(arena, &tensors, training)
    }

    /// Adds the forward pass of `rows` images in slot `images`; the last slot of the answer's outputs is the embedding.
    pub fn forward(&self, builder: &mut Builder, tensors: &[Tensor], rows: usize, images: SlotId) -> Forward {
        let mut outputs = vec![images];
        let mut extras = Vec::new();
        let mut weights = Vec::new();
        let mut tensors = tensors.chunks(2);
        for node in &self.nodes {
            let x = outputs[outputs.len() - 1];
            let [height, width, channels] = node.output;
            let dims = if height * width == 1 { vec![rows, channels] } else { vec![rows, height, width, channels] };
            // Images stay as they are stored; what dense layers make is small.
            let element = match node.layer {
                Layer::Conv { .. } | Layer::Pool { .. } => builder.element(x),
                Layer::Dense { .. } | Layer::L2 => Element::F32,
            };
            let y = builder.stored(&node.name, element, &dims);
            let mut extra = None;
            let mut own = None;
            let forward = Section::Forward;
            match node.layer {
                Layer::Conv { activation, .. } => {
                    let tensors = take(&mut tensors);
                    let shape = Conv2dShape { window: node.window(rows), activation };
                    builder.call::<Conv2d>(forward, shape, &[x, tensors[0].value, tensors[1].value, y]);
                    own = Some(tensors);
                }
                Layer::Dense { outputs, activation } => {
                    let tensors = take(&mut tensors);
                    let shape = DenseShape { rows, inputs: node.input.iter().product(), outputs, activation };
                    builder.call::<Dense>(forward, shape, &[x, tensors[0].value, tensors[1].value, y]);
                    own = Some(tensors);
                }
                Layer::Pool { .. } => {
                    let name = format!("{}.argmax", node.name);
                    let argmax = builder.slot(name, Element::U32, &dims, Role::Activation);
                    builder.call::<MaxPool>(forward, node.pool(rows), &[x, y, argmax]);
                    extra = Some(argmax);
                }
                Layer::L2 => {
                    let norm = builder.activation(format!("{}.norm", node.name), &[rows]);
                    builder.call::<L2Norm>(forward, L2NormShape { rows, dims: channels }, &[x, y, norm]);
                    extra = Some(norm);
                }
            }
            outputs.push(y);
            extras.push(extra);
            weights.push(own);
        }
        Forward { rows, outputs, extras, tensors: weights }
    }

    /// Adds the backward pass, from `gradient`, that of the embedding, to the gradients of all parameters.
    ///
    /// A layer's activation slope is taken behind the pools that follow it, not before: there the arrays are smaller by
    /// the window, the slope is the same (a function of the stored output, which pooling hands on), and pooling's
    /// gradient is zero elsewhere. The bias gradient is summed there too.
    pub fn backward(&self, builder: &mut Builder, forward: &Forward, mut gradient: SlotId) {
        let rows = forward.rows;
        let first = self.nodes.iter().position(|node| !matches!(node.layer, Layer::Pool { .. }));
        // The gradient behind the activation of the layer that comes next, while it has not been spread by pools.
        let mut before_pools: Option<SlotId> = None;
        for (place, node) in self.nodes.iter().enumerate().rev() {
            let (x, y) = (forward.outputs[place], forward.outputs[place + 1]);
            let activation = self.nodes[..=place].iter().rev().find_map(|node| match node.layer {
                Layer::Conv { activation, .. } | Layer::Dense { activation, .. } => Some(activation),
                _ => None,
            });
            if !matches!(node.layer, Layer::L2) && before_pools.is_none() {
                gradient = sloped(builder, &node.name, activation.unwrap_or(Activation::None), y, gradient);
                before_pools = Some(gradient);
            }
            let dims = builder_dims(rows, node.input);
            let back = Section::Backward;
            match node.layer {
                Layer::Conv { .. } | Layer::Dense { .. } => {
                    let tensors = forward.tensors[place].expect("a layer with weights");
                    let [weight, bias] = tensors.map(|tensor| tensor.gradient.expect("a training plan"));
                    let channels = node.output[2];
                    let summed = before_pools.take().expect("set above");
                    let summed_rows = builder.len(summed) / channels;
                    sum_rows(builder, &format!("{}.bias", node.name), summed, summed_rows, channels, bias);
                    let is_first = Some(place) == first;
                    let dx = (!is_first).then(|| builder.activation(format!("{}.dx", node.name), &dims));
                    if matches!(node.layer, Layer::Conv { .. }) {
                        let shape = Conv2dDwShape::new(node.window(rows));
                        let (splits, values) = (shape.splits, shape.window.weights());
                        split_sum::<Conv2dDw>(builder, &node.name, shape, [x, gradient], splits, values, weight);
                        if let Some(dx) = dx {
                            builder.call::<Conv2dDx>(back, node.window(rows), &[gradient, tensors[0].value, dx]);
                        }
                    } else {
                        let inputs = node.input.iter().product();
                        let shape = DenseDwShape::new(rows, inputs, channels);
                        let (splits, values) = (shape.splits, inputs * channels);
                        split_sum::<DenseDw>(builder, &node.name, shape, [x, gradient], splits, values, weight);
                        if let Some(dx) = dx {
                            let shape = DenseDxShape { rows, inputs, outputs: channels };
                            builder.call::<DenseDx>(back, shape, &[gradient, tensors[0].value, dx]);
                        }
                    }
                    match dx {
                        Some(dx) => gradient = dx,
                        None => return,
                    }
                }
                Layer::Pool { .. } => {
                    let dx = builder.activation(format!("{}.dx", node.name), &dims);
                    let argmax = forward.extras[place].expect("the pool's argmax");
                    builder.call::<MaxPoolDx>(back, node.pool(rows), &[gradient, argmax, dx]);
                    gradient = dx;
                }
                Layer::L2 => {
                    let dx = builder.activation(format!("{}.dx", node.name), &dims);
                    let norm = forward.extras[place].expect("the norms");
                    let shape = L2NormShape { rows, dims: node.output[2] };
                    builder.call::<L2NormDx>(back, shape, &[y, norm, gradient, dx]);
                    gradient = dx;
                }
            }
        }
    }
}

/// The slots of a forward pass.
pub struct Forward {
    rows: usize,
    /// The images, then each node's output.
    outputs: Vec<SlotId>,
    /// A pool's argmax, a normalisation's norms.
    extras: Vec<Option<SlotId>>,
    /// Weight and bias of the nodes that have them.
    tensors: Vec<Option<[Tensor; 2]>>,
}

impl Forward {
    /// Slot of the embeddings.
    pub fn embedding(&self) -> SlotId {
        self.outputs[self.outputs.len() - 1]
    }
}

impl Node {
    /// Its geometry, if it is a convolution, for so many images.
    pub(crate) fn window(&self, rows: usize) -> Window {
        let [height, width, channels] = self.input;
        let Layer::Conv { channels: out, kernel, stride, same, .. } = self.layer else {
            unreachable!("only a convolution has a window")
        };
        Window::new([rows, height, width, channels], out, kernel, stride, same).expect("parse has checked the sizes")
    }

    fn pool(&self, rows: usize) -> MaxPoolShape {
        let [height, width, channels] = self.input;
        let Layer::Pool { size } = self.layer else { unreachable!("only a pool has windows") };
        MaxPoolShape::new([rows, height, width, channels], size).expect("parse has checked the sizes")
    }
}

fn take(tensors: &mut std::slice::Chunks<Tensor>) -> [Tensor; 2] {
    tensors.next().and_then(|pair| pair.try_into().ok()).expect("a weight and a bias for each layer that has them")
}

fn builder_dims(rows: usize, [height, width, channels]: [usize; 3]) -> Vec<usize> {
    if height * width == 1 { vec![rows, channels] } else { vec![rows, height, width, channels] }
}

/// The gradient before the activation whose output is `y`.
fn sloped(builder: &mut Builder, name: &str, activation: Activation, y: SlotId, gradient: SlotId) -> SlotId {
    if activation == Activation::None {
        return gradient;
    }
    let length = builder.len(y);
    let dz = builder.activation(format!("{name}.dz"), &[length]);
    builder.call::<ActDx>(Section::Backward, ActDxShape { length, activation }, &[y, gradient, dz]);
    dz
}

/// `target[c] = sum over rows of x[row, c]`, in two ordered passes where there are many rows.
fn sum_rows(builder: &mut Builder, name: &str, x: SlotId, rows: usize, columns: usize, target: SlotId) {
    let splits = splits(columns, rows);
    let shape = SumRowsShape { rows, columns, splits };
    split_sum::<SumRows>(builder, name, shape, [x], splits, columns, target);
}

/// A kernel that makes `splits` partial sums of `values` values each, and the ordered sum of those into `target`.
fn split_sum<K: Kernel>(
    builder: &mut Builder,
    name: &str,
    shape: K::Shape,
    inputs: impl IntoIterator<Item = SlotId>,
    splits: usize,
    values: usize,
    target: SlotId,
) {
    let mut args: Vec<_> = inputs.into_iter().collect();
    if splits == 1 {
        args.push(target);
        builder.call::<K>(Section::Backward, shape, &args);
        return;
    }
    let partial = builder.activation(format!("{name}.partial"), &[splits, values]);
    args.push(partial);
    builder.call::<K>(Section::Backward, shape, &args);
    let shape = SumRowsShape { rows: splits, columns: values, splits: 1 };
    builder.call::<SumRows>(Section::Backward, shape, &[partial, target]);
}
