//! The words of a spec, each with its contract. What is written about a layer stands in one file here, which begins
//! with the form of the word.
//!
//! To add one: write its kernels, `src/layers/<word>.rs` with its [`Layer`] and its [`Word`] (`conv.rs` and `l2.rs` are
//! examples with and without weights), and name it in the `layers!` list below. Parser, plans, checkpoints, exports,
//! hints and tests follow that list; none of them needs a line. README does, and a test asks for it; and what PyTorch
//! computes of the word's networks is made anew: `TWINS=1 cargo test --test layers twins_are`, then
//! `python tests/golden/layers.py <word>`.

mod activation;
mod add;
mod avg;
mod cat;
mod conv;
mod dense;
mod depth;
mod drop;
mod function;
mod l2;
mod mean;
mod norm;
mod pass;
mod pool;
mod prelu;
mod tensor;

use std::fmt;
use std::sync::Arc;

pub use activation::{Act, Relu, Relu6, Sigmoid};
pub use add::{Add, Add0};
pub use avg::Avg;
pub use cat::Cat;
pub use conv::Conv;
pub use dense::Dense;
pub use depth::Depth;
pub use drop::Drop;
pub use function::{Hswish, Leaky, Mapped, Scale, Silu};
pub use l2::L2;
pub use mean::Mean;
pub use norm::{Bn, Gn, Ln};
pub use pass::{Backward, Forward, KEYS, Lowered, Operators, TensorSlots, Torch};
pub use pool::Pool;
pub use prelu::Prelu;
pub use tensor::{Kind, Layout, Start, Tensor};

pub(crate) use activation::{in_onnx, in_torch, word};

use crate::error::{Error, Result};
use crate::kernels::Activation;

/// What flows from layer to layer, for one row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An image: height, width, channels.
    Image([usize; 3]),
    /// So many values without a place in an image, stored in 32 bits.
    Row(usize),
    /// So many values whose squares sum to 1. No layer takes them.
    Unit(usize),
}

impl Shape {
    /// Number of values.
    pub fn values(self) -> usize {
        match self {
            Shape::Image(sides) => sides.iter().product(),
            Shape::Row(values) | Shape::Unit(values) => values,
        }
    }

    /// Places that each channel has a value at: 1 of what is no image, where each value is a channel.
    pub fn pixels(self) -> usize {
        match self {
            Shape::Image([height, width, _]) => height * width,
            _ => 1,
        }
    }

    /// Dimensions of the array of `rows` such rows; an image of one pixel is its channels.
    pub fn dims(self, rows: usize) -> Vec<usize> {
        match self {
            Shape::Image([height, width, channels]) if height * width > 1 => vec![rows, height, width, channels],
            _ => vec![rows, self.values()],
        }
    }

    /// Height, width and channels; without a place in an image all values are channels of one pixel.
    pub fn sides(self) -> [usize; 3] {
        match self {
            Shape::Image(sides) => sides,
            Shape::Row(values) | Shape::Unit(values) => [1, 1, values],
        }
    }

    /// Height, width and channels, for a layer that needs an image; or why there are none.
    pub fn image(self) -> Result<[usize; 3], String> {
        match self {
            Shape::Image(sides) => Ok(sides),
            _ => Err("this layer needs an image, but a dense layer has flattened it".to_owned()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Image([height, width, channels]) => write!(f, "{height}×{width}×{channels}"),
            Shape::Row(values) => write!(f, "{values}"),
            Shape::Unit(values) => write!(f, "{values} of length 1"),
        }
    }
}

/// Shapes in words.
pub(crate) fn list(shapes: &[Shape]) -> String {
    let shapes: Vec<_> = shapes.iter().map(Shape::to_string).collect();
    match shapes.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => shapes.concat(),
    }
}

/// What becomes of an activation that follows a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// The layer's kernel computes it, see [`Forward::activation`].
    Fused,
    /// It goes on to the layer before. Each output is one of the inputs of its channel, chosen by a maximum, and no
    /// activation falls: it is the same before this layer and behind.
    Passed,
    /// It does not belong to this layer, nor to one before it: it becomes a node of its own.
    Apart,
}

/// Implemented by the `layers!` list alone, so that a word left off the list does not compile.
pub trait Listed {}

/// One layer, with the options that its word gives. Nothing here has a default: a layer without a shape rule, a way
/// back, an ONNX operator or a twin in PyTorch does not compile.
///
/// `inputs` are the shapes of what flows in, one for each input. [`Layer::shape`] comes first; the others may count on
/// its consent.
pub trait Layer: Listed + fmt::Debug + Send + Sync {
    /// The shape of what flows out; or in words why the inputs do not go, which the parser points at the word.
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String>;

    /// The tensors that it keeps, in the order of the arenas.
    fn tensors(&self, inputs: &[Shape]) -> Vec<Tensor>;

    /// What becomes of an activation that follows.
    fn activation(&self) -> Follows;

    /// The same layer without its bias, for what [absorbs](Layer::absorbs_bias) it; `None` if it has no bias.
    fn without_bias(&self) -> Option<Arc<dyn Layer>>;

    /// Whether a bias of the layer right before would change nothing, or nothing that this layer cannot do itself, as
    /// where it takes the mean of each channel away.
    fn absorbs_bias(&self) -> bool;

    /// Where nothing is trained this layer may be no more than a factor and a bias of each channel, made of its tensors
    /// `weight`, `bias`, `running_mean` and `running_var`: then what is added to the variance. A layer right before, if
    /// it could have a bias and nobody else takes its output, does the work of both: [`Fold`](crate::kernels::Fold).
    fn folds(&self) -> Option<f32>;

    /// Adds the calls that make the output.
    fn forward(&self, at: &mut Forward);

    /// Adds the calls that make the gradients of the tensors and of the inputs from that of the output.
    fn backward(&self, at: &mut Backward);

    /// Adds the ONNX operators, the activation not among them, and answers the name of what they make.
    fn onnx(&self, at: &mut Operators) -> String;

    /// The same in PyTorch, the activation left out: a Python expression of its inputs and modules. Golden files are
    /// made of it.
    fn torch(&self, at: &mut Torch) -> String;
}

/// What only the kind knows.
pub trait Word: Listed {
    /// What the word begins with. Layers are named by it and a number.
    const NAME: &'static str;
    /// The word with its options, as hints and README show it.
    const HELP: &'static str;
    /// Small networks that prove it with all its options, each on images of `[height, width, channels]`.
    const SPECS: &'static [(&'static str, [usize; 3])];

    /// Reads what stands behind the name; or in words what is wrong with it.
    fn read(options: &mut Options) -> Result<Item, String>;
}

/// What a word says.
#[derive(Clone, Debug)]
pub enum Item {
    /// A layer.
    Layer(Arc<dyn Layer>),
    /// A layer on branches of what reaches it.
    Join(Arc<dyn Layer>),
    /// An activation, of a layer before it or by itself.
    Activation(Activation),
}

/// One word of the registry.
pub struct Entry {
    /// See [`Word::NAME`].
    pub name: &'static str,
    /// See [`Word::HELP`].
    pub help: &'static str,
    /// See [`Word::SPECS`].
    pub specs: &'static [(&'static str, [usize; 3])],
    read: fn(&mut Options) -> Result<Item, String>,
}

macro_rules! layers {
    ($($word:ident,)*) => {
        $(impl Listed for $word {})*

        /// Every word.
        pub const LAYERS: &[Entry] = &[
            $(Entry { name: $word::NAME, help: $word::HELP, specs: $word::SPECS, read: $word::read }),*
        ];
    };
}

layers! {
    Conv,
    Depth,
    Pool,
    Avg,
    Mean,
    Dense,
    Bn,
    Gn,
    Ln,
    Relu,
    Relu6,
    Sigmoid,
    Leaky,
    Prelu,
    Silu,
    Hswish,
    Scale,
    Drop,
    Add,
    Cat,
    Add0,
    L2,
}

/// What the words of activations become where no layer before them computes them.
impl Listed for Act {}

/// The words of a spec: what white space divides. A word ends behind `(` and `{`; `|`, `)` and `}` are words.
pub fn words(spec: &str) -> impl Iterator<Item = Text<'_>> {
    let start = move |text: &str| text.as_ptr() as usize - spec.as_ptr() as usize;
    let ends = |text: &str| text.find(['(', '{']).map(|opening| opening + 1);
    let parts = spec.split_whitespace().flat_map(move |mut rest| {
        std::iter::from_fn(move || {
            let closing = rest.find(['|', ')', '}']).map(|closing| closing.max(1));
            let end = [ends(rest), closing].into_iter().flatten().min().unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            rest = behind;
            (!word.is_empty()).then_some(word)
        })
    });
    parts.map(move |text| Text { spec, start: start(text), text })
}

/// Whether a word ends a branch or what is repeated.
pub(crate) fn is_end(word: &str) -> bool {
    matches!(word, "|" | ")" | "}")
}

/// A word of a spec, or the whole of it, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    spec: &'a str,
    start: usize,
    /// The word.
    pub text: &'a str,
}

impl<'a> Text<'a> {
    /// The whole spec.
    pub fn whole(spec: &'a str) -> Text<'a> {
        Text { spec, start: 0, text: spec }
    }

    /// An error that points at the word.
    pub fn error(&self, reason: impl Into<String>) -> Error {
        let (start, end) = (self.start, self.start + self.text.len());
        let words = LAYERS.iter().map(|entry| entry.help).chain(["<count>*{…}"]).collect::<Vec<_>>().join(", ");
        Error::Spec { spec: self.spec.to_owned(), start, end, reason: reason.into(), words }
    }

    /// What the word says, up to a `(`, and the name that it begins with.
    ///
    /// # Errors
    /// [`Error::Spec`] if no word begins so, or none has these options.
    pub fn read(&self) -> Result<(&'static str, Item)> {
        let unknown = || self.error(format!("`{}` is no layer", self.text));
        let word = self.text.strip_suffix('(').unwrap_or(self.text);
        let begun = LAYERS.iter().filter(|entry| word.starts_with(entry.name));
        let entry = begun.max_by_key(|entry| entry.name.len()).ok_or_else(unknown)?;
        let mut options = Options { word, rest: &word[entry.name.len()..] };
        let item = (entry.read)(&mut options).map_err(|reason| self.error(reason))?;
        if options.rest.is_empty() { Ok((entry.name, item)) } else { Err(unknown()) }
    }
}

/// What stands behind the name of a word and has not been read.
pub struct Options<'a> {
    word: &'a str,
    rest: &'a str,
}

impl Options<'_> {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The letter or other character that comes next.
    pub fn letter(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    /// Whether a number comes next.
    pub fn begins_with_digit(&self) -> bool {
        self.rest.starts_with(|c: char| c.is_ascii_digit())
    }

    /// Takes `letter` if it comes next, and answers whether it does.
    pub fn take(&mut self, letter: char) -> bool {
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The number that comes next, which is `what`.
    pub fn number(&mut self, what: &str, most: usize) -> Result<usize, String> {
        self.number_from(1, what, most)
    }

    /// The number that comes next, which is `what` and may be 0.
    pub fn number_or_zero(&mut self, what: &str, most: usize) -> Result<usize, String> {
        self.number_from(0, what, most)
    }

    fn number_from(&mut self, least: usize, what: &str, most: usize) -> Result<usize, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        match digits.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(self.error(&format!("needs {what} from {least} to {most}"))),
        }
    }

    /// The number that is all that is left, which is `what`.
    pub fn last_number(&mut self, what: &str, most: usize) -> Result<usize, String> {
        match self.number(what, most) {
            Ok(_) if !self.is_empty() => Err(self.error(&format!("needs {what} from 1 to {most}, and ends there"))),
            number => number,
        }
    }

    /// The number that comes next, which is `what`: above 0, with digits behind a point if need be.
    pub fn decimal(&mut self, what: &str, most: f32) -> Result<f32, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        match digits.parse() {
            Ok(number) if number > 0.0 && number <= most => Ok(number),
            _ => Err(self.error(&format!("needs {what} above 0, up to {most}"))),
        }
    }

    /// What is wrong, said of the word.
    pub fn error(&self, reason: &str) -> String {
        format!("`{}` {reason}", self.word)
    }
}
