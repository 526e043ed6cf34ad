//! A network: parsed from text into a graph of nodes, each a layer on earlier nodes, and lowered to the calls of its
//! forward and backward passes. What the words of the text are, [`layers`] has.

mod back;
mod fold;
mod parse;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::config::{Config, Initialisation};
use crate::error::{Error, Result};
use crate::init::{self, Init};
use crate::kernel::Element;
use crate::kernels::Activation;
use crate::layers::{self, Forward, Kind, Layer, Layout, Lowered, Shape, Start, Tensor, TensorSlots};
use crate::names::Names;
use crate::plan::{ALIGNMENT, Builder, Role, SlotId};

/// Names of the flat arrays that hold the tensors of all layers: so the optimiser is one call and a checkpoint a few
/// reads. Those with one value for each trained one are laid out alike, and so are those of the states.
pub mod arenas {
    /// The trained values.
    pub const PARAMETERS: &str = "parameters";
    /// Their moving average.
    pub const AVERAGE: &str = "average";
    /// What layers keep and nobody trains.
    pub const STATE: &str = "state";
    /// The moving average of that.
    pub const AVERAGE_STATE: &str = "average.state";
    /// Their gradients.
    pub const GRADIENTS: &str = "gradients";
    /// The moments of the optimiser.
    pub const MOMENTS: [&str; 2] = ["moment1", "moment2"];
}

/// A layer in a network, with its name.
#[derive(Clone, Debug)]
pub struct Node {
    /// Kind and number, from 1 by kind: `conv1`, `dense2`.
    pub name: String,
    /// Its word in the text.
    pub word: String,
    /// What it does.
    pub layer: Arc<dyn Layer>,
    /// The same with its bias, where a layer behind it has [absorbed](Layer::absorbs_bias) that.
    pub biased: Option<Arc<dyn Layer>>,
    /// The activation fused behind the layer.
    pub activation: Activation,
    /// The values that it takes, see [`Net::shape`].
    pub inputs: Vec<usize>,
    /// Shape of its output.
    pub output: Shape,
}

/// A tensor of a network, trained or not.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// `conv1.weight`, `conv1.bias`, …
    pub name: String,
    /// Who changes it.
    pub kind: Kind,
    /// Order of its elements.
    pub layout: Layout,
    /// Its first values.
    pub start: Start,
    /// Activation of its layer.
    pub activation: Activation,
    /// Its place in an arena of its kind.
    pub range: Range<usize>,
}

impl Parameter {
    /// Fills `values` as a training starts: random ones by `initialisation`, times `gain`.
    pub fn fill(&self, initialisation: Initialisation, gain: f32, seed: u64, values: &mut [f32]) {
        let (fan_in, fan_out) = match self.start {
            Start::Random { fan_in, fan_out } => (fan_in, fan_out),
            Start::Zeros => return values.fill(0.0),
            Start::Ones => return values.fill(1.0),
            Start::Quarter => return values.fill(0.25),
        };
        let init = match (initialisation, self.activation) {
            (Initialisation::ByActivation, Activation::Relu) => Init::HeUniform,
            _ => Init::GlorotUniform,
        };
        init::fill(init, seed, &self.name, fan_in, fan_out, values);
        values.iter_mut().for_each(|value| *value *= gain);
    }
}

/// A network: nodes in an order in which each stands behind those that it takes from. Its value 0 are the images, value
/// `n` is the output of node `n - 1`.
#[derive(Clone, Debug)]
pub struct Net {
    /// The text it was parsed from.
    pub spec: String,
    /// Shape of an image, `[height, width, channels]`.
    pub input: [usize; 3],
    /// Layers in order.
    pub nodes: Vec<Node>,
    /// Tensors that stay as they are, see [`Net::freeze`].
    pub frozen: Option<Names>,
    /// See [`Config::flip`]; without a bearing on training.
    pub flip: bool,
    /// Length of an arena of the trained tensors.
    pub arena: usize,
    /// Length of an arena of the states; 0 where there are none.
    pub state: usize,
}

/// The tensors of a network in a plan, see [`Net::declare`].
#[derive(Clone, Debug)]
pub struct Declared {
    /// Whether the plan trains.
    training: bool,
    /// In the order of [`Net::tensors`], node by node.
    tensors: Vec<TensorSlots>,
}

/// Most words of a spec, those of repeats counted each time: several times those of the deepest networks in use.
pub const MOST_WORDS: usize = 4096;

/// Most elements of an array: what 32-bit indices reach.
pub(crate) const MOST: usize = u32::MAX as usize;

/// The next place for `values` values in an arena that is so long, which grows by it.
fn place(arena: &mut usize, values: usize) -> Range<usize> {
    let range = *arena..arena.saturating_add(values);
    *arena = range.end.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
    range
}

/// Tensors by their names, with the activations of their layers, each with its place in the arena of its kind.
pub(crate) fn placed(tensors: impl IntoIterator<Item = (String, Activation, Tensor)>) -> Vec<Parameter> {
    let [mut trained, mut state] = [0; 2];
    let mut placed = Vec::new();
    for (name, activation, Tensor { kind, layout, start, .. }) in tensors {
        let arena = match kind {
            Kind::Trained => &mut trained,
            Kind::State => &mut state,
        };
        let range = place(arena, layout.len());
        placed.push(Parameter { name, kind, layout, start, activation, range });
    }
    placed
}

/// Length of the arena of these tensors, which are all of a kind.
pub fn length(tensors: &[Parameter]) -> usize {
    tensors.last().map_or(0, |last| last.range.end.next_multiple_of(ALIGNMENT))
}

impl Net {
    /// The network that `config` describes for images of `[height, width, channels]`.
    ///
    /// # Errors
    /// As [`Net::parse`] and [`Net::freeze`]; [`Error::Config`] if the images have other channels than their mean and
    /// deviation, or if embeddings are not of length 1 where mirror images take part in them.
    pub fn of(config: &Config, input: [usize; 3]) -> Result<Net> {
        config.pixels.fit(input[2])?;
        let net = Net { flip: config.flip, ..Net::parse(&config.spec, input)? };
        if net.flip && !net.normalises() {
            let reason = format!(
                "embeddings of length 1 are summed and made so again; the network `{}` does not end in `l2`",
                net.spec
            );
            return Err(Error::config("--flip", reason));
        }
        match &config.freeze {
            Some(names) => net.freeze(names),
            None => Ok(net),
        }
    }

    /// The same network with tensors that nobody trains. They are [states](Kind::State): they have no gradient and no
    /// moments, and the way back ends where nothing before them is trained. A layer whose tensors are all frozen does
    /// in a training what it does in any other plan: a normalisation takes its running moments and leaves them.
    ///
    /// # Errors
    /// [`Error::Config`] for `--freeze` naming a word that fits no tensor, or if nothing is left to train.
    pub fn freeze(mut self, names: &Names) -> Result<Net> {
        let trained: Vec<_> = self.parameters().into_iter().map(|tensor| tensor.name).collect();
        names.check("--freeze", &trained)?;
        self.frozen = Some(names.clone());
        let [parameters, states] = [self.parameters(), self.states()];
        (self.arena, self.state) = (length(&parameters), length(&states));
        match self.arena {
            0 => Err(Error::config("--freeze", "nothing is left to train")),
            _ if self.state > MOST => {
                Err(Error::config("--freeze", "more values than 32-bit indices reach are frozen"))
            }
            _ => Ok(self),
        }
    }

    /// The shape of a value: of the images (0) or of the output of node `value - 1`.
    pub fn shape(&self, value: usize) -> Shape {
        value.checked_sub(1).map_or(Shape::Image(self.input), |node| self.nodes[node].output)
    }

    /// The shapes of the values that a node takes.
    pub fn inputs(&self, node: &Node) -> Vec<Shape> {
        node.inputs.iter().map(|&value| self.shape(value)).collect()
    }

    /// The tensors of a node.
    pub fn tensors(&self, node: &Node) -> Vec<Tensor> {
        let mut tensors = node.layer.tensors(&self.inputs(node));
        let is_frozen = |tensor: &Tensor| {
            self.frozen.as_ref().is_some_and(|names| names.fit(&format!("{}.{}", node.name, tensor.name)))
        };
        tensors.iter_mut().filter(|tensor| is_frozen(tensor)).for_each(|tensor| tensor.kind = Kind::State);
        tensors
    }

    /// Whether a training has something to do at a node: all but those whose tensors are frozen.
    fn trains(&self, node: &Node) -> bool {
        let tensors = self.tensors(node);
        tensors.is_empty() || tensors.iter().any(|tensor| tensor.kind == Kind::Trained)
    }

    /// Values of an embedding.
    pub fn dims(&self) -> usize {
        self.shape(self.nodes.len()).values()
    }

    /// Whether embeddings have length 1.
    pub fn normalises(&self) -> bool {
        matches!(self.shape(self.nodes.len()), Shape::Unit(_))
    }

    /// Bytes of one image: height × width × channels.
    pub fn pixels(&self) -> usize {
        self.input.iter().product()
    }

    /// The largest array of a batch: values of each image, and its name.
    fn largest(&self) -> (usize, &str) {
        let outputs = self.nodes.iter().map(|node| (node.output.values(), node.name.as_str()));
        let (values, name) = outputs.fold((self.pixels(), "images"), Ord::max);
        (if self.flip { 2 * values } else { values }, name)
    }

    /// Most rows of a batch: those for which 32-bit indices reach every element of every array.
    pub fn most_rows(&self) -> usize {
        MOST / self.largest().0
    }

    /// Most rows for which no array of 32-bit values has more than so many bytes; one at least.
    pub fn rows_within(&self, bytes: usize) -> usize {
        (bytes / size_of::<f32>() / self.largest().0).clamp(1, self.most_rows())
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
        let (values, name) = self.largest();
        let reason = format!(
            "{rows} images are more than the {most} that this network can take at once: array `{name}` has {values} \
             values of each, and 32-bit indices reach {MOST}"
        );
        Err(Error::config("--batch", reason))
    }

    /// The fewest values of a batch of `rows` images that a normalisation of batches takes mean and variance of, and
    /// its name; `None` where there is no such layer.
    pub fn fewest_moments(&self, rows: usize) -> Option<(usize, &str)> {
        let batch = self.nodes.iter().filter(|node| node.layer.folds().is_some());
        let values = |node: &Node| rows * node.output.pixels();
        batch.map(|node| (values(node), node.name.as_str())).min_by_key(|&(values, _)| values)
    }

    /// Checks that a training on batches of `rows` images is possible: [`Net::check`], and no channel is normalised by
    /// itself alone.
    ///
    /// # Errors
    /// As [`Net::check`]; [`Error::Config`] for `--batch`, naming the normalisation.
    pub fn check_training(&self, rows: usize) -> Result<()> {
        self.check(rows)?;
        match self.fewest_moments(rows) {
            Some((0..2, name)) => {
                let reason = format!(
                    "`{name}` takes mean and variance of a single value a channel, which leaves nothing of it: batches \
                     of two rows at least, or `gn` or `ln` for `bn`"
                );
                Err(Error::config("--batch", reason))
            }
            _ => Ok(()),
        }
    }

    /// The tensors of all nodes, each with its place in the arena of its kind.
    pub fn placed(&self) -> Vec<Parameter> {
        let own = |node: &Node| {
            let name = |tensor: Tensor| (format!("{}.{}", node.name, tensor.name), node.activation, tensor);
            self.tensors(node).into_iter().map(name).collect::<Vec<_>>()
        };
        placed(self.nodes.iter().flat_map(own))
    }

    fn of_kind(&self, kind: Kind) -> Vec<Parameter> {
        self.placed().into_iter().filter(|tensor| tensor.kind == kind).collect()
    }

    /// The trained tensors in the order of an arena.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.of_kind(Kind::Trained)
    }

    /// The states in the order of an arena.
    pub fn states(&self) -> Vec<Parameter> {
        self.of_kind(Kind::State)
    }

    /// Number of trained values.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|parameter| parameter.range.len()).sum()
    }

    /// Adds the tensors to a plan, the trained ones in the arena called `values` ([`arenas::PARAMETERS`], or
    /// [`arenas::AVERAGE`] with the average of the states), and for training the arenas of gradients and moments.
    pub fn declare(&self, builder: &mut Builder, values: &str, training: bool) -> Declared {
        let states = if values == arenas::AVERAGE { arenas::AVERAGE_STATE } else { arenas::STATE };
        let mut arena = |name, role| builder.slot(name, Element::F32, &[self.arena], role);
        let values = arena(values, Role::Parameter);
        let gradients = training.then(|| {
            for name in arenas::MOMENTS {
                arena(name, Role::Moment);
            }
            arena(arenas::GRADIENTS, Role::Gradient)
        });
        let states = (self.state > 0).then(|| builder.slot(states, Element::F32, &[self.state], Role::State));
        let declare = |Parameter { name, kind, layout, range, .. }: &Parameter| {
            let dims = layout.device_dims();
            let (arena, gradients) = match kind {
                Kind::Trained => (values, gradients),
                Kind::State => (states.expect("the arena is as long as they are"), None),
            };
            let value = builder.part(name, &dims, arena, range.start);
            let gradient = gradients.map(|arena| builder.part(format!("{name}.gradient"), &dims, arena, range.start));
            TensorSlots { value, gradient }
        };
        Declared { training, tensors: self.placed().iter().map(declare).collect() }
    }

    /// Adds the forward pass of `rows` images in slot `images`, with the tensors as declared.
    pub fn forward(&self, builder: &mut Builder, declared: &Declared, rows: usize, images: SlotId) -> Pass {
        let mut pass = Pass { images, nodes: vec![] };
        let mut tensors = declared.tensors.iter();
        let folded = if declared.training { vec![] } else { self.folded() };
        for (place, node) in self.nodes.iter().enumerate() {
            let Node { name, activation, output, .. } = node;
            let own = self.tensors(node).iter().map(|tensor| tensor.name).zip(tensors.by_ref().copied()).collect();
            let fold = folded.iter().find(|fold| fold.norm == place);
            let (layer, inputs, own) = match fold {
                Some(fold) => {
                    let before = &pass.nodes[fold.before];
                    (fold.layer, before.inputs().to_vec(), fold.tensors(builder, before, own))
                }
                None => {
                    let input = |&value: &usize| (pass.value(value), self.shape(value));
                    (&node.layer, node.inputs.iter().map(input).collect(), own)
                }
            };
            let training = declared.training && self.trains(node);
            let mut lowered = Lowered::new(name, rows, training, *activation, inputs, *output, own);
            if folded.iter().all(|fold| fold.before != place) {
                layer.forward(&mut Forward::new(builder, &mut lowered));
            }
            pass.nodes.push(lowered);
        }
        pass
    }
}

/// A table of the nodes: the shape of each output, the number of its trained values.
impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: usize| value.checked_sub(1).map_or("images", |node| &self.nodes[node].name);
        writeln!(f, "{} on {}\n", self.spec, self.shape(0))?;
        writeln!(f, "{:<10} {:<14} {:<12} {:>9}  of", "layer", "word", "shape", "values")?;
        for node in &self.nodes {
            let activation = layers::word(node.activation).map_or(String::new(), |word| format!(" {word}"));
            let trained = self.tensors(node).into_iter().filter(|tensor| tensor.kind == Kind::Trained);
            let (word, shape) = (format!("{}{activation}", node.word), node.output.to_string());
            let values = trained.map(|tensor| tensor.layout.len()).sum::<usize>();
            let inputs: Vec<_> = node.inputs.iter().map(|&input| value(input)).collect();
            writeln!(f, "{:<10} {word:<14} {shape:<12} {values:>9}  {}", node.name, inputs.join(" "))?;
        }
        write!(f, "\n{} parameters", self.parameter_count())
    }
}

/// The slots of a forward pass.
#[derive(Clone)]
pub struct Pass {
    images: SlotId,
    nodes: Vec<Lowered>,
}

impl Pass {
    /// Slot of a value, see [`Net::shape`].
    fn value(&self, value: usize) -> SlotId {
        value.checked_sub(1).map_or(self.images, |node| self.nodes[node].y())
    }

    /// Slot of the embeddings.
    pub fn embedding(&self) -> SlotId {
        self.value(self.nodes.len())
    }
}
