//! `cat( … | … )`: branches side by side, channel behind channel.

use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Operators, Options, Shape, Tensor, Torch, Word, list};
use crate::graph::Attribute;
use crate::kernels::{Concat, ConcatShape, Slice, SliceShape};

/// Concatenation.
#[derive(Clone, Debug)]
pub struct Cat;

impl Word for Cat {
    const NAME: &'static str = "cat";
    const HELP: &'static str = "cat(…|…)";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv4 relu cat( conv3k1 relu | pool1 conv4 ) conv3k1 relu dense5 l2", [6, 5, 2]),
        // Of several, of an input that nobody trains, of cats in a sum, of rows.
        ("cat( | conv2 | conv4k1 | pool1 ) relu add( cat( conv3 | conv6k1 ) | conv9k1 ) relu dense6 l2", [5, 4, 2]),
        ("conv2 2*{ cat( | conv3 relu ) } dense4 cat( | dense2 relu | dense5 ) sigmoid dense3", [5, 4, 1]),
        // A block of Inception-ResNet.
        ("conv8 add( cat( conv4k1 relu | conv4k1 relu conv4 relu ) conv8k1 | ) relu dense5 l2", [6, 7, 2]),
    ];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Join(Arc::new(Cat)))
    }
}

impl Layer for Cat {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let channels = inputs.iter().fold(0usize, |sum, shape| sum.saturating_add(shape.sides()[2]));
        let fits = |shape: &Shape| match (inputs[0], *shape) {
            (Shape::Image([height, width, _]), Shape::Image(sides)) => sides[..2] == [height, width],
            (first, shape) => !matches!((first, shape), (Shape::Image(_), _) | (_, Shape::Image(_))),
        };
        match inputs[0] {
            _ if !inputs.iter().all(fits) => {
                Err(format!("its branches are {}: they may differ in channels alone", list(inputs)))
            }
            Shape::Image([height, width, _]) => Ok(Shape::Image([height, width, channels])),
            _ => Ok(Shape::Row(channels)),
        }
    }

    fn tensors(&self, _: &[Shape]) -> Vec<Tensor> {
        vec![]
    }

    fn activation(&self) -> Follows {
        Follows::Apart
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
        let (rows, element) = (at.rows(), at.element(0));
        let [height, width, _] = at.output().sides();
        let xs = at.xs();
        let (mut sides, mut left) = (xs[0], at.shape(0).sides()[2]);
        for (place, &x) in xs.iter().enumerate().skip(1) {
            let right = at.shape(place).sides()[2];
            let to = match place + 1 == xs.len() {
                true => at.y(element),
                false => at.scratch(format_args!("part{place}"), element, &[rows, height * width, left + right]),
            };
            at.call::<Concat>(ConcatShape { rows, pixels: height * width, left, right }, &[sides, x, to]);
            (sides, left) = (to, left + right);
        }
    }

    fn backward(&self, at: &mut Backward) {
        let mut start = 0;
        for place in 0..at.inputs() {
            let part = at.shape(place).sides();
            if let Some(dx) = at.dx(place) {
                let shape = SliceShape::new(at.rows(), at.output().sides(), part, start);
                at.call::<Slice>(shape, &[at.dy(), dx]);
            }
            start += part[2];
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let inputs: Vec<_> = (0..at.inputs()).map(|input| at.x(input)).collect();
        at.node(at.name(), "Concat", inputs, vec![Attribute::int("axis", 1)])
    }

    fn torch(&self, at: &mut Torch) -> String {
        format!("torch.cat([{}], 1)", at.xs().join(", "))
    }
}
