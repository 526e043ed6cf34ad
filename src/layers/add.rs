//! `add( … | … )`: the sum of branches, and the activation that follows. `add0( … | … )`: of branches that differ, each
//! extended by zeros at the end of each side and behind its channels, as dlib does.

use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Operators, Options, Shape, Tensor, Torch, Word, list};
use crate::kernel::Element;
use crate::kernels::{self, Activation, AddShape, Extend, ExtendShape, Slice, SliceShape};
use crate::plan::SlotId;

/// Sum of equal shapes.
#[derive(Clone, Debug)]
pub struct Add;

impl Word for Add {
    const NAME: &'static str = "add";
    const HELP: &'static str = "add(…|…)";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv4 relu add( conv4 relu conv4 | ) relu dense5 l2", [6, 5, 2]),
        // Sums in sums, one of three, and of an input that nobody trains.
        ("add( conv2 | ) add( conv2 | add( | conv2k1 relu ) | ) sigmoid dense6 relu add( dense6 | ) dense4", [5, 4, 2]),
        // Side by side without a layer: no branch has a gradient of its own to add to.
        ("conv3 add( | ) add( | | ) relu pool add( pool1 relu | conv3 ) dense4 l2", [7, 6, 1]),
        // A stride on both branches, repeated blocks.
        ("conv4 add( conv6s2 relu conv6 | conv6k1s2 ) relu 2*{ add( conv6 relu conv6 | ) relu } dense5 l2", [7, 8, 2]),
        ("dense6 add( | relu dense6 ) sigmoid add( dense6 | dense6 sigmoid ) l2", [3, 4, 2]),
    ];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Join(Arc::new(Add)))
    }
}

/// Adds up slots from left to right, into the output.
fn forward(at: &mut Forward, terms: &[SlotId], element: Element) {
    let (rows, columns) = (at.rows(), at.output().values());
    let (first, rest) = terms.split_first().expect("a join has branches");
    let mut sum = *first;
    for (place, &term) in rest.iter().enumerate() {
        let (to, activation) = match place + 1 == rest.len() {
            true => (at.y(element), at.activation()),
            false => (at.scratch(format_args!("sum{}", place + 1), element, &at.dims()), Activation::None),
        };
        at.call::<kernels::Add>(AddShape { rows, columns, activation }, &[sum, term, to]);
        sum = to;
    }
}

/// Adds up values from left to right.
fn onnx(at: &mut Operators, terms: &[String]) -> String {
    let (first, rest) = terms.split_first().expect("a join has branches");
    let mut sum = first.clone();
    for (place, term) in rest.iter().enumerate() {
        let name =
            if place + 1 == rest.len() { at.name().to_owned() } else { format!("{}.sum{}", at.name(), place + 1) };
        sum = at.node(&name, "Add", [sum, term.clone()], vec![]);
    }
    sum
}

impl Layer for Add {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs.iter().all(|&shape| shape == inputs[0]) {
            true => Ok(inputs[0]),
            false => Err(format!("its branches are {}", list(inputs))),
        }
    }

    fn tensors(&self, _: &[Shape]) -> Vec<Tensor> {
        vec![]
    }

    fn activation(&self) -> Follows {
        Follows::Fused
    }

    fn without_bias(&self) -> Option<Arc<dyn Layer>> {
        None
    }

    fn absorbs_bias(&self) -> bool {
        false
    }

    fn folds(&self) -> Option<f32> {
        None
    }

    fn forward(&self, at: &mut Forward) {
        forward(at, &at.xs(), at.element(0));
    }

    fn backward(&self, at: &mut Backward) {
        (0..at.inputs()).for_each(|input| at.pass(input));
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let terms: Vec<_> = (0..at.inputs()).map(|input| at.x(input)).collect();
        onnx(at, &terms)
    }

    fn torch(&self, at: &mut Torch) -> String {
        at.xs().join(" + ")
    }
}

/// Sum of shapes that may differ.
#[derive(Clone, Debug)]
pub struct Add0;

impl Word for Add0 {
    const NAME: &'static str = "add0";
    const HELP: &'static str = "add0(…|…)";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv4 add0( conv8s2 relu conv8 | pool ) relu dense5 l2", [7, 6, 2]),
        // Of three, of which each is the largest on another side; and of rows.
        ("conv3 add0( conv2s2 | conv6v | pool conv4k1 ) relu dense6 add0( dense4 | ) sigmoid dense3", [9, 5, 1]),
        // A branch that nobody trains.
        ("add0( conv2s2 | | pool3 ) conv4 dense5", [6, 5, 3]),
    ];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Join(Arc::new(Add0)))
    }
}

impl Layer for Add0 {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let largest = |side: usize| inputs.iter().map(|shape| shape.sides()[side]).max().expect("branches");
        let sides = [0, 1, 2].map(largest);
        let images = inputs.iter().filter(|shape| matches!(shape, Shape::Image(_))).count();
        match images {
            0 => Ok(Shape::Row(sides[2])),
            _ if images == inputs.len() => Ok(Shape::Image(sides)),
            _ => Err(format!("its branches are {}: images and what is none", list(inputs))),
        }
    }

    fn tensors(&self, _: &[Shape]) -> Vec<Tensor> {
        vec![]
    }

    fn activation(&self) -> Follows {
        Follows::Fused
    }

    fn without_bias(&self) -> Option<Arc<dyn Layer>> {
        None
    }

    fn absorbs_bias(&self) -> bool {
        false
    }

    fn folds(&self) -> Option<f32> {
        None
    }

    fn forward(&self, at: &mut Forward) {
        let (rows, to, element) = (at.rows(), at.output(), at.element(0));
        let mut terms = at.xs();
        for (place, term) in terms.iter_mut().enumerate() {
            if at.shape(place) == to {
                continue;
            }
            let shape = ExtendShape::new(rows, at.shape(place).sides(), to.sides());
            let extended = at.scratch(format_args!("extended{}", place + 1), element, &at.dims());
            at.call::<Extend>(shape, &[*term, extended]);
            *term = extended;
        }
        forward(at, &terms, element);
    }

    fn backward(&self, at: &mut Backward) {
        for place in 0..at.inputs() {
            if at.shape(place) == at.output() {
                at.pass(place);
            } else if let Some(dx) = at.dx(place) {
                let shape = SliceShape::new(at.rows(), at.output().sides(), at.shape(place).sides(), 0);
                at.call::<Slice>(shape, &[at.dy(), dx]);
            }
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let shapes: Vec<_> = (0..at.inputs()).map(|input| at.shape(input)).collect();
        let to = self.shape(&shapes).expect("the shape rule has consented");
        let mut terms = Vec::new();
        for (place, &shape) in shapes.iter().enumerate() {
            let missing = [0, 1, 2].map(|side| to.sides()[side] - shape.sides()[side]);
            let [height, width, channels] = missing;
            terms.push(match shape {
                _ if missing == [0; 3] => at.x(place),
                Shape::Image(_) => pad(at, place, &[0, 0, 0, 0, 0, channels, height, width]),
                _ => pad(at, place, &[0, 0, 0, channels]),
            });
        }
        onnx(at, &terms)
    }

    fn torch(&self, at: &mut Torch) -> String {
        let term = |(place, x): (usize, &str)| {
            let [height, width, channels] =
                [0, 1, 2].map(|side| at.output().sides()[side] - at.shape(place).sides()[side]);
            match at.shape(place) {
                Shape::Image(_) => format!("F.pad({x}, (0, {width}, 0, {height}, 0, {channels}))"),
                _ => format!("F.pad({x}, (0, {channels}))"),
            }
        };
        at.xs().into_iter().enumerate().map(term).collect::<Vec<_>>().join(" + ")
    }
}

/// Zeros before and behind each axis of an input.
fn pad(at: &mut Operators, input: usize, zeros: &[usize]) -> String {
    let name = format!("{}.extended{}", at.name(), input + 1);
    let zeros = at.integers(&format!("{name}.by"), zeros);
    at.node(&name, "Pad", [at.x(input), zeros], vec![])
}
