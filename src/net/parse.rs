//! From the text of a network to its graph: what follows what, repeats, branches and where they join.
//!
//! ```text
//! spec = { item }
//! item = word | count "*{" spec "}" | join "(" spec { "|" spec } ")"
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use super::{MOST, MOST_WORDS, Net, Node, place};
use crate::error::{Error, Result};
use crate::kernels::Activation;
use crate::layers::{self, Act, Follows, Item, Kind, Layer, Shape, Text};

/// Most repeats and joins that may stand within each other.
const DEEPEST: usize = 32;

impl Net {
    /// Parses `spec` for images of `[height, width, channels]`.
    ///
    /// # Errors
    /// [`Error::Spec`] points at the word that cannot be understood or does not fit the shape that reaches it;
    /// [`Error::Config`] if an image has no values or more than 32-bit indices reach, or `spec` more words than
    /// [`MOST_WORDS`].
    pub fn parse(spec: &str, input: [usize; 3]) -> Result<Net> {
        let pixels = input.into_iter().try_fold(1usize, usize::checked_mul);
        if pixels.is_none_or(|pixels| !(1..=MOST).contains(&pixels)) {
            let [height, width, channels] = input;
            let reason =
                format!("{height}×{width}×{channels}: an image has 1 to {MOST} values, a side or channel at least 1");
            return Err(Error::config("--input", reason));
        }
        let words: Vec<_> = layers::words(spec).collect();
        if words.len() > MOST_WORDS {
            return Err(Error::config("--spec", format!("{} words are more than {MOST_WORDS}", words.len())));
        }
        let text = words.iter().map(|word| word.text).collect::<Vec<_>>().join(" ");
        let net = Net { spec: text, input, nodes: vec![], frozen: None, flip: false, arena: 0, state: 0 };
        let mut parser = Parser { words, net, numbers: HashMap::new(), read: 0, origins: vec![] };
        let mut path = Path { first: 0, value: 0 };
        let end = parser.items(0, &mut path, 0)?;
        if let Some(word) = parser.words.get(end) {
            return Err(word.error(format!("`{}` closes nothing", word.text)));
        }
        parser.finish(Text::whole(spec))
    }
}

/// Items that follow each other.
struct Path {
    /// The value that they begin with. Others may take it too.
    first: usize,
    /// The value that they have come to.
    value: usize,
}

struct Parser<'a> {
    words: Vec<Text<'a>>,
    net: Net,
    /// How many nodes there are of each kind.
    numbers: HashMap<&'static str, usize>,
    /// Words read so far, those of repeats each time.
    read: usize,
    /// The word of each node.
    origins: Vec<Text<'a>>,
}

impl<'a> Parser<'a> {
    /// The network, if it is one.
    fn finish(mut self, spec: Text) -> Result<Net> {
        if let Shape::Image(_) = self.net.shape(self.net.nodes.len()) {
            return Err(spec.error("the network needs a dense layer, whose outputs are the embedding"));
        }
        let [mut trained, mut state] = [0; 2];
        for (node, word) in self.net.nodes.iter().zip(&self.origins) {
            for tensor in self.net.tensors(node) {
                let arena = match tensor.kind {
                    Kind::Trained => &mut trained,
                    Kind::State => &mut state,
                };
                place(arena, tensor.layout.len());
                if *arena > MOST {
                    let reason = format!("with `{}` there are more weights than 32-bit indices reach", word.text);
                    return Err(word.error(reason));
                }
            }
        }
        if trained == 0 {
            return Err(spec.error("the network has no weights to be trained"));
        }
        (self.net.arena, self.net.state) = (trained, state);
        Ok(self.net)
    }

    /// Reads items from word `at` on, and answers the place of what ends them: a bar, what closes, or nothing more.
    fn items(&mut self, mut at: usize, path: &mut Path, depth: usize) -> Result<usize> {
        while let Some(&word) = self.words.get(at) {
            if layers::is_end(word.text) {
                break;
            }
            self.read += 1;
            if self.read > MOST_WORDS {
                return Err(word.error(format!("with its repeats the network has more than {MOST_WORDS} words")));
            }
            if depth > DEEPEST {
                return Err(word.error(format!("more than {DEEPEST} repeats and joins stand within each other")));
            }
            self.open(&word, path.value)?;
            at = match word.text.chars().last() {
                Some('{') => self.repeat(at, path, depth)?,
                Some('(') => self.join(at, path, depth)?,
                _ => {
                    self.word(&word, path)?;
                    at + 1
                }
            };
        }
        Ok(at)
    }

    /// That something can follow `value`.
    fn open(&self, word: &Text, value: usize) -> Result<()> {
        match self.net.shape(value) {
            Shape::Unit(_) => {
                let last = &self.net.nodes[value - 1].name;
                Err(word.error(format!("`{}` follows `{last}`, which must be the last word", word.text)))
            }
            _ => Ok(()),
        }
    }

    /// `3*{ … }`
    fn repeat(&mut self, at: usize, path: &mut Path, depth: usize) -> Result<usize> {
        let word = self.words[at];
        let count = word.text.strip_suffix("*{").and_then(|count| count.parse().ok());
        let Some(count @ 1..=MOST_WORDS) = count else {
            let reason = format!("`{}` needs a count from 1 to {MOST_WORDS}, as in `3*{{ … }}`", word.text);
            return Err(word.error(reason));
        };
        let mut end = at;
        for _ in 0..count {
            // What it costs to repeat nothing.
            self.read += 1;
            end = self.items(at + 1, path, depth + 1)?;
            self.closes(&word, end, "}")?;
        }
        Ok(end + 1)
    }

    /// `add( … | … )`
    fn join(&mut self, at: usize, path: &mut Path, depth: usize) -> Result<usize> {
        let word = self.words[at];
        let (kind, layer) = match word.read()? {
            (kind, Item::Join(layer)) => (kind, layer),
            _ => return Err(word.error(format!("`{}` takes no branches", word.text.trim_end_matches('(')))),
        };
        let mut branches = Vec::new();
        let mut end = at;
        loop {
            let mut branch = Path { first: path.value, value: path.value };
            end = self.items(end + 1, &mut branch, depth + 1)?;
            branches.push(branch.value);
            if self.words.get(end).is_none_or(|word| word.text != "|") {
                break;
            }
        }
        self.closes(&word, end, ")")?;
        if branches.len() < 2 {
            let reason =
                format!("`{kind}` needs two branches or more, divided by `|`; an empty one is the input itself");
            return Err(word.error(reason));
        }
        path.value = self.node(&word, kind, layer, branches)?;
        Ok(end + 1)
    }

    /// That `closing` stands at the end of what `word` opens.
    fn closes(&self, word: &Text, end: usize, closing: &str) -> Result<()> {
        match self.words.get(end) {
            Some(found) if found.text == closing => Ok(()),
            Some(found) => {
                Err(found.error(format!("`{}` stands where `{closing}` must close `{}`", found.text, word.text)))
            }
            None => Err(word.error(format!("no `{closing}` closes `{}`", word.text))),
        }
    }

    /// A word by itself.
    fn word(&mut self, word: &Text<'a>, path: &mut Path) -> Result<()> {
        let (kind, layer) = match word.read()? {
            (kind, Item::Layer(layer)) => (kind, layer),
            (kind, Item::Join(_)) => {
                return Err(word.error(format!("`{kind}` needs its branches, as in `{kind}( … | … )`")));
            }
            (kind, Item::Activation(activation)) => match self.carrier(path) {
                Some(node) => {
                    self.net.nodes[node].activation = activation;
                    return Ok(());
                }
                None => (kind, Arc::new(Act::new(activation)) as Arc<dyn Layer>),
            },
        };
        let before = path.value.checked_sub(1).filter(|_| path.value != path.first);
        if layer.absorbs_bias()
            && let Some(before) = before.map(|node| &mut self.net.nodes[node])
            && before.activation == Activation::None
            && let Some(bare) = before.layer.without_bias()
        {
            before.biased = Some(std::mem::replace(&mut before.layer, bare));
        }
        path.value = self.node(word, kind, layer, vec![path.value])?;
        Ok(())
    }

    /// The node that can compute an activation of a path's value, if there is one that has none yet. On the way back to
    /// it nothing is taken by others: they would see it too.
    fn carrier(&self, path: &Path) -> Option<usize> {
        let mut value = path.value;
        while value != path.first {
            let node = &self.net.nodes[value - 1];
            match node.layer.activation() {
                Follows::Fused => return (node.activation == Activation::None).then_some(value - 1),
                Follows::Passed => value = node.inputs[0],
                Follows::Apart => return None,
            }
        }
        None
    }

    /// Adds a node, and answers the value that it makes.
    fn node(
        &mut self,
        word: &Text<'a>,
        kind: &'static str,
        layer: Arc<dyn Layer>,
        inputs: Vec<usize>,
    ) -> Result<usize> {
        for &value in &inputs {
            self.open(word, value)?;
        }
        let shapes: Vec<_> = inputs.iter().map(|&value| self.net.shape(value)).collect();
        let output = layer.shape(&shapes).map_err(|reason| word.error(reason))?;
        if output.values() > MOST {
            let reason = format!("`{}` makes more values of an image than 32-bit indices reach", word.text);
            return Err(word.error(reason));
        }
        let number = *self.numbers.entry(kind).and_modify(|number| *number += 1).or_insert(1);
        // Behind a digit a number could not be told from the kind.
        let name = match (kind.ends_with(|c: char| c.is_ascii_digit()), number) {
            (false, number) => format!("{kind}{number}"),
            (true, 1) => kind.to_owned(),
            (true, number) => format!("{kind}_{number}"),
        };
        let text = word.text.trim_end_matches('(').to_owned();
        self.net.nodes.push(Node {
            name,
            word: text,
            layer,
            biased: None,
            activation: Activation::None,
            inputs,
            output,
        });
        self.origins.push(*word);
        Ok(self.net.nodes.len())
    }
}
