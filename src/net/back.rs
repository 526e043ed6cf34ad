//! The way back through a network. It knows no layer:
//!
//! 1. Nodes in reverse order of the text. All that take a value stand behind it, so its gradient is whole when its turn
//!    comes.
//! 2. A value wants a gradient if a trained tensor lies at or before it. What nobody wants is not computed: the first
//!    layer makes none of the images.
//! 3. Where several nodes take a value, their gradients of it are summed in the order in which they come. An array that
//!    one of them has made for this value takes in the others in place. Where all hand on what is not theirs, as sums
//!    do, the first two are added into a new one.
//! 4. The slope of a fused activation is taken once, on the whole gradient: behind the layers that pass activations on
//!    ([`Follows::Passed`]) and alone take what they pass on. There the arrays are smaller, the slope is the same (a
//!    function of the stored output, which such a layer hands on), and their gradient is zero elsewhere. The bias
//!    gradient is summed there too.

use std::collections::HashSet;
use std::ops::Range;

use super::{Net, Pass};
use crate::kernel::Access;
use crate::kernels::{ActDx, ActDxShape, Activation, Add, AddShape, AddTo, AddToShape};
use crate::layers::{Backward, Follows, Forward, Kind};
use crate::plan::{Builder, Section, SlotId};

/// A gradient by a value of the network.
#[derive(Clone, Copy)]
struct Gradient {
    slot: SlotId,
    /// Whether nothing else reads the array.
    own: bool,
    /// Where the nodes behind pass activations on: the gradient that they spread, through the slope already. Its sum by
    /// channel is the same.
    behind: Option<SlotId>,
}

impl Net {
    /// Adds the backward pass, from `gradient`, that of the embedding, to the gradients of all parameters.
    pub fn backward(&self, builder: &mut Builder, pass: &Pass, gradient: SlotId) {
        self.way_back(builder, pass, gradient, &[]);
    }

    /// [`Net::backward`] that keeps less from the forward pass: the outputs of joins, and what each layer keeps for its
    /// way back. What lies between two joins is made once more by the same calls when the way back comes there, so that
    /// the bits are the same.
    pub fn backward_again(&self, builder: &mut Builder, pass: &Pass, gradient: SlotId) {
        // What the way back reads, by going there.
        let mut tried = builder.clone();
        self.way_back(&mut tried, pass, gradient, &[]);
        let added = &tried.calls()[builder.calls().len()..];
        let args = added.iter().flat_map(|call| call.args.iter().zip(call.at.args()));
        let read: HashSet<SlotId> =
            args.filter(|(_, arg)| arg.access != Access::Write).map(|(&slot, _)| slot).collect();

        let blocks = self.blocks();
        let block = |node: usize| blocks.partition_point(|block| block.end <= node);
        let mut kept = vec![false; self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate() {
            // What another block takes stays, and what the way back comes to at once.
            let others = node.inputs.iter().filter_map(|value| value.checked_sub(1));
            others.filter(|&other| block(other) != block(place)).for_each(|other| kept[other] = true);
            kept[place] = node.inputs.len() > 1 || block(place) + 1 == blocks.len();
        }
        let mut again: Vec<bool> = pass.nodes.iter().map(|node| read.contains(&node.y())).collect();
        for place in (0..self.nodes.len()).rev() {
            again[place] &= !kept[place];
            if again[place] {
                let others = self.nodes[place].inputs.iter().filter_map(|value| value.checked_sub(1));
                others.for_each(|other| again[other] = true);
            }
        }
        self.way_back(builder, pass, gradient, &again);
    }

    /// The nodes up to each join, and those behind the last.
    fn blocks(&self) -> Vec<Range<usize>> {
        let joins = self.nodes.iter().enumerate().filter(|(_, node)| node.inputs.len() > 1).map(|(place, _)| place + 1);
        let ends: Vec<usize> = joins.chain([self.nodes.len()]).collect();
        let blocks = std::iter::once(0).chain(ends.iter().copied()).zip(&ends).map(|(start, &end)| start..end);
        blocks.filter(|block| !block.is_empty()).collect()
    }

    /// Makes the outputs of some nodes once more, and hands them to those that take them.
    fn make_again(&self, builder: &mut Builder, pass: &mut Pass, block: Range<usize>, again: &[bool]) {
        for place in block {
            let node = &self.nodes[place];
            let slots: Vec<_> = node.inputs.iter().map(|&value| pass.value(value)).collect();
            pass.nodes[place].take(&slots);
            if again[place] {
                let mut at = Forward::again(builder, &mut pass.nodes[place]);
                node.layer.forward(&mut at);
                at.finish();
            }
        }
    }

    /// The way back through nodes with the slots of their forward pass, of which those marked are made `again`.
    fn way_back(&self, builder: &mut Builder, pass: &Pass, gradient: SlotId, again: &[bool]) {
        let (wanted, users, blocks) = (self.wanted(), self.users(), self.blocks());
        let mut pass = pass.clone();
        let mut gradients: Vec<Option<Gradient>> = vec![None; 1 + self.nodes.len()];
        gradients[self.nodes.len()] = Some(Gradient { slot: gradient, own: false, behind: None });
        for (place, node) in self.nodes.iter().enumerate().rev() {
            if let Some(block) = blocks.iter().find(|block| block.end == place + 1 && !again.is_empty()) {
                self.make_again(builder, &mut pass, block.clone(), again);
            }
            let lowered = &pass.nodes[place];
            let Some(Gradient { slot, behind, .. }) = gradients[place + 1].take() else { continue };
            let activation = if behind.is_some() { Activation::None } else { self.activation(place, &users) };
            let dy = self.sloped(builder, place, activation, lowered.y(), slot);
            let total = behind.unwrap_or(dy);
            let wants: Vec<bool> = node.inputs.iter().map(|&value| wanted[value]).collect();
            let mut at = Backward::new(builder, lowered, dy, total, &wants);
            node.layer.backward(&mut at);
            let passes = node.layer.activation() == Follows::Passed;
            for (&value, dx) in node.inputs.iter().zip(at.finish()) {
                let Some(slot) = dx else { continue };
                let behind = (passes && users[value] == 1).then_some(total);
                let made = Gradient { slot, own: slot != dy, behind };
                gradients[value] = Some(match gradients[value].take() {
                    None => made,
                    Some(before) => self.sum(builder, value, before, made),
                });
            }
        }
    }

    /// For each value, whether a trained tensor lies at or before it.
    fn wanted(&self) -> Vec<bool> {
        let mut wanted = vec![false];
        for node in &self.nodes {
            let before = node.inputs.iter().any(|&value| wanted[value]);
            wanted.push(before || self.tensors(node).iter().any(|tensor| tensor.kind == Kind::Trained));
        }
        wanted
    }

    /// For each value, how often it is taken.
    fn users(&self) -> Vec<usize> {
        let mut users = vec![0; 1 + self.nodes.len()];
        self.nodes.iter().flat_map(|node| &node.inputs).for_each(|&value| users[value] += 1);
        users
    }

    /// The activation whose slope is taken at the output of a node: its own, or that of a layer before it.
    fn activation(&self, mut node: usize, users: &[usize]) -> Activation {
        while self.nodes[node].layer.activation() == Follows::Passed {
            match self.nodes[node].inputs[0] {
                before if before > 0 && users[before] == 1 => node = before - 1,
                _ => break,
            }
        }
        self.nodes[node].activation
    }

    /// The gradient before the activation that the output `y` of a node went through.
    fn sloped(
        &self,
        builder: &mut Builder,
        node: usize,
        activation: Activation,
        y: SlotId,
        gradient: SlotId,
    ) -> SlotId {
        if activation == Activation::None {
            return gradient;
        }
        let length = builder.len(y);
        let dz = builder.activation(format!("{}.dz", self.nodes[node].name), &[length]);
        builder.call::<ActDx>(Section::Backward, ActDxShape { length, activation }, &[y, gradient, dz]);
        dz
    }

    /// The sum of two gradients by a value that several nodes take.
    fn sum(&self, builder: &mut Builder, value: usize, first: Gradient, second: Gradient) -> Gradient {
        let (slot, other) = match (first, second) {
            (own, other) | (other, own) if own.own => (own.slot, other.slot),
            _ => {
                let columns = self.shape(value).values();
                let rows = builder.len(first.slot) / columns;
                let sum = builder.activation(format!("{}.dy", self.nodes[value - 1].name), &[rows, columns]);
                let shape = AddShape { rows, columns, activation: Activation::None };
                builder.call::<Add>(Section::Backward, shape, &[first.slot, second.slot, sum]);
                return Gradient { slot: sum, own: true, behind: None };
            }
        };
        let length = builder.len(slot);
        builder.call::<AddTo>(Section::Backward, AddToShape { length }, &[other, slot]);
        Gradient { slot, own: true, behind: None }
    }
}
