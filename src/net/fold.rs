//! Normalisation folded into the layer before it, where nothing is trained.

use std::sync::Arc;

use super::{Net, Node};
use crate::kernel::Element;
use crate::kernels::{Activation, Fold, FoldShape};
use crate::layers::{Layer, Lowered, TensorSlots};
use crate::plan::{Builder, Role};

/// The slots of a tensor, and its name within the layer.
type Own = (&'static str, TensorSlots);

/// A normalisation that the layer before does in its own call.
pub(super) struct Folded<'a> {
    /// The node that normalises.
    pub norm: usize,
    /// The node before it.
    pub before: usize,
    /// What that does, with a bias.
    pub layer: &'a Arc<dyn Layer>,
    /// What is added to the variance.
    epsilon: f32,
}

impl Net {
    /// The normalisations that can be folded: nobody else takes what they take, and no activation lies between.
    pub(super) fn folded(&self) -> Vec<Folded<'_>> {
        let fold = |(norm, node): (usize, &Node)| {
            let epsilon = node.layer.folds()?;
            let [value] = node.inputs[..] else { return None };
            let before = value.checked_sub(1)?;
            let users = self.nodes.iter().flat_map(|node| &node.inputs).filter(|&&input| input == value).count();
            let plain = users == 1 && self.nodes[before].activation == Activation::None;
            let layer = self.nodes[before].biased.as_ref().filter(|_| plain)?;
            Some(Folded { norm, before, layer, epsilon })
        };
        self.nodes.iter().enumerate().filter_map(fold).collect()
    }
}

impl Folded<'_> {
    /// Adds what makes weight and bias of both as one, of the tensors of the normalisation and of the layer before.
    pub fn tensors(&self, builder: &mut Builder, before: &Lowered, norm: Vec<Own>) -> Vec<Own> {
        let weight = before.tensor("weight").value;
        let [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(|name| {
            let found = norm.iter().find(|(own, _)| *own == name);
            found.unwrap_or_else(|| panic!("what folds has a tensor `{name}`")).1.value
        });
        let channels = builder.len(beta);
        let terms = builder.len(weight) / channels;
        let [folded, bias] = [("weight", terms), ("bias", 1)].map(|(name, rows)| {
            let name = format!("{}.{name}.folded", before.name());
            builder.slot(name, Element::F32, &[rows, channels], Role::Prepared)
        });
        let shape = FoldShape { terms, channels, epsilon: self.epsilon };
        builder.prepare::<Fold>(shape, &[weight, gamma, beta, mean, variance, folded, bias]);
        [("weight", folded), ("bias", bias)].map(|(name, value)| (name, TensorSlots { value, gradient: None })).to_vec()
    }
}
