//! What a layer sees of the plan or the ONNX graph that it adds itself to: its own node.

use std::fmt::Display;

use crate::graph::{Attribute, Graph};
use crate::init;
use crate::kernel::{Element, Kernel};
use crate::kernels::{Activation, SumRows, SumRowsShape, splits};
use crate::plan::{Builder, Call, Role, Section, SlotId};

use super::Shape;

/// Name of the slot of a random number for each row of the batch, from seed and step: what is random in a layer or in
/// an image is made of it, so that nothing of it is kept or saved. `[rows]`
pub const KEYS: &str = "keys";

/// The slot [`KEYS`].
fn keys(builder: &mut Builder, rows: usize) -> SlotId {
    builder.find(KEYS).unwrap_or_else(|| builder.slot(KEYS, Element::U32, &[rows], Role::Input))
}

/// The slots of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct TensorSlots {
    /// Its values.
    pub value: SlotId,
    /// In a training plan, their gradient where it is trained.
    pub gradient: Option<SlotId>,
}

/// A node in a plan: its slots by name.
#[derive(Clone, Debug)]
pub struct Lowered {
    name: String,
    rows: usize,
    training: bool,
    activation: Activation,
    inputs: Vec<(SlotId, Shape)>,
    output: Shape,
    tensors: Vec<(&'static str, TensorSlots)>,
    y: Option<SlotId>,
    kept: Vec<(&'static str, SlotId)>,
}

impl Lowered {
    /// The node called `name` of a plan for `rows` rows, with its inputs and tensors, before its forward pass.
    pub(crate) fn new(
        name: &str,
        rows: usize,
        training: bool,
        activation: Activation,
        inputs: Vec<(SlotId, Shape)>,
        output: Shape,
        tensors: Vec<(&'static str, TensorSlots)>,
    ) -> Lowered {
        Lowered { name: name.to_owned(), rows, training, activation, inputs, output, tensors, y: None, kept: vec![] }
    }

    /// Name of the node.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The values that it takes and their shapes.
    pub(crate) fn inputs(&self) -> &[(SlotId, Shape)] {
        &self.inputs
    }

    /// The slot of its output.
    pub fn y(&self) -> SlotId {
        self.y.unwrap_or_else(|| panic!("layer `{}` has made no output", self.name))
    }

    /// Takes the slots of its inputs.
    pub(crate) fn take(&mut self, inputs: &[SlotId]) {
        self.inputs.iter_mut().zip(inputs).for_each(|((own, _), &slot)| *own = slot);
    }

    /// A number of its own, by its name: another layer more or less does not change it.
    fn number(&self) -> u32 {
        init::stream(&self.name) as u32
    }

    pub(crate) fn tensor(&self, name: &str) -> TensorSlots {
        let found = self.tensors.iter().find(|(own, _)| *own == name);
        found.unwrap_or_else(|| panic!("layer `{}` has no tensor `{name}`", self.name)).1
    }

    fn kept(&self, name: &str) -> SlotId {
        let found = self.kept.iter().find(|(own, _)| *own == name);
        found.unwrap_or_else(|| panic!("layer `{}` has kept no `{name}`", self.name)).1
    }
}

/// The forward pass of one node.
pub struct Forward<'a> {
    builder: &'a mut Builder,
    node: &'a mut Lowered,
    /// Where the output is made again: the calls, of which not all are needed.
    again: Option<Vec<Call>>,
}

impl<'a> Forward<'a> {
    pub(crate) fn new(builder: &'a mut Builder, node: &'a mut Lowered) -> Forward<'a> {
        Forward { builder, node, again: None }
    }

    /// The same once more, on the way back: the output is made anew, in another slot; what was kept is there still.
    pub(crate) fn again(builder: &'a mut Builder, node: &'a mut Lowered) -> Forward<'a> {
        Forward { builder, node, again: Some(vec![]) }
    }

    /// Adds the calls that the output needs, where it is made again.
    pub(crate) fn finish(self) {
        let mut needed = vec![self.node.y()];
        let mut calls = Vec::new();
        for call in self.again.into_iter().flatten().rev() {
            if call.outputs().any(|output| needed.contains(&output)) {
                let kept = |slot: &SlotId| self.node.kept.iter().any(|(_, kept)| kept == slot);
                needed.extend(call.args.iter().filter(|slot| !kept(slot)));
                calls.push(call);
            }
        }
        calls.into_iter().rev().for_each(|call| self.builder.append(call));
    }

    /// Name of a slot of the node.
    fn named(&self, name: &str) -> String {
        if self.again.is_some() { format!("{name}.again") } else { name.to_owned() }
    }

    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.node.rows
    }

    /// Whether the plan trains this layer; otherwise it embeds, or all the layer's tensors are frozen, and none
    /// changes.
    pub fn training(&self) -> bool {
        self.node.training
    }

    /// The activation to be fused behind the layer.
    pub fn activation(&self) -> Activation {
        self.node.activation
    }

    /// The slot of an input.
    pub fn x(&self, input: usize) -> SlotId {
        self.node.inputs[input].0
    }

    /// The slots of all inputs.
    pub fn xs(&self) -> Vec<SlotId> {
        self.node.inputs.iter().map(|&(slot, _)| slot).collect()
    }

    /// The shape of an input.
    pub fn shape(&self, input: usize) -> Shape {
        self.node.inputs[input].1
    }

    /// The shape of the output.
    pub fn output(&self) -> Shape {
        self.node.output
    }

    /// How an input is stored. Images stay as they are.
    pub fn element(&self, input: usize) -> Element {
        self.builder.element(self.x(input))
    }

    /// The slot of a tensor.
    pub fn tensor(&self, name: &str) -> SlotId {
        self.node.tensor(name).value
    }

    /// A slot of `length` zeros, which nobody writes.
    pub fn zeros(&mut self, length: usize) -> SlotId {
        self.builder.zeros(length)
    }

    /// The slot of [`KEYS`], and a number of the layer's own that makes other ones of them than other layers do.
    pub fn keys(&mut self) -> (SlotId, u32) {
        (keys(self.builder, self.node.rows), self.node.number())
    }

    /// Hands an input on as the output, where the layer does nothing.
    pub fn pass(&mut self, input: usize) {
        self.node.y = Some(self.x(input));
    }

    /// Dimensions of the output's array.
    pub fn dims(&self) -> Vec<usize> {
        self.node.output.dims(self.node.rows)
    }

    /// Adds the slot of the output.
    pub fn y(&mut self, element: Element) -> SlotId {
        let y = self.builder.stored(self.named(&self.node.name), element, &self.dims());
        self.node.y = Some(y);
        y
    }

    /// Adds a slot for what the way back needs besides inputs and output; there it is [`Backward::kept`].
    pub fn keep(&mut self, name: &'static str, element: Element, dims: &[usize]) -> SlotId {
        if self.again.is_some() {
            return self.node.kept(name);
        }
        let slot = self.builder.slot(format!("{}.{name}", self.node.name), element, dims, Role::Activation);
        self.node.kept.push((name, slot));
        slot
    }

    /// Adds a slot for what the layer makes on the way and needs no more behind its forward pass.
    pub fn scratch(&mut self, name: impl Display, element: Element, dims: &[usize]) -> SlotId {
        self.builder.stored(self.named(&format!("{}.{name}", self.node.name)), element, dims)
    }

    /// Adds the kernel `K` at `shape` on `args`, in binding order.
    pub fn call<K: Kernel>(&mut self, shape: K::Shape, args: &[SlotId]) {
        match &mut self.again {
            None => self.builder.call::<K>(Section::Forward, shape, args),
            Some(calls) => calls.push(self.builder.made::<K>(Section::Backward, shape, args)),
        }
    }

    /// Adds the kernel `K` at `shape` on `args` at the beginning of the backward pass: there a state changes, once for
    /// each share of a step however often that goes forward.
    pub fn later<K: Kernel>(&mut self, shape: K::Shape, args: &[SlotId]) {
        if self.again.is_none() {
            self.builder.later::<K>(Section::Backward, shape, args);
        }
    }
}

/// The backward pass of one node.
pub struct Backward<'a> {
    builder: &'a mut Builder,
    node: &'a Lowered,
    dy: SlotId,
    total: SlotId,
    wanted: &'a [bool],
    dx: Vec<Option<SlotId>>,
}

impl<'a> Backward<'a> {
    /// From `dy`, the whole gradient before the node's activation, and an array that may be smaller with the same sum
    /// by channel; for the inputs whose gradients are wanted.
    pub(crate) fn new(
        builder: &'a mut Builder,
        node: &'a Lowered,
        dy: SlotId,
        total: SlotId,
        wanted: &'a [bool],
    ) -> Backward<'a> {
        Backward { builder, node, dy, total, wanted, dx: vec![None; wanted.len()] }
    }

    /// The gradients of the inputs, where the layer has made them.
    pub(crate) fn finish(self) -> Vec<Option<SlotId>> {
        self.dx
    }

    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.node.rows
    }

    /// See [`Forward::training`]: the gradient passes a layer whose tensors are all frozen.
    pub fn training(&self) -> bool {
        self.node.training
    }

    /// A slot of `length` zeros, which nobody writes.
    pub fn zeros(&mut self, length: usize) -> SlotId {
        self.builder.zeros(length)
    }

    /// See [`Forward::keys`].
    pub fn keys(&mut self) -> (SlotId, u32) {
        (keys(self.builder, self.node.rows), self.node.number())
    }

    /// The slot of an input.
    pub fn x(&self, input: usize) -> SlotId {
        self.node.inputs[input].0
    }

    /// The shape of an input.
    pub fn shape(&self, input: usize) -> Shape {
        self.node.inputs[input].1
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// The shape of the output.
    pub fn output(&self) -> Shape {
        self.node.output
    }

    /// The slot of the output.
    pub fn y(&self) -> SlotId {
        self.node.y()
    }

    /// The slot of a tensor.
    pub fn tensor(&self, name: &str) -> SlotId {
        self.node.tensor(name).value
    }

    /// What the forward pass has kept.
    pub fn kept(&self, name: &str) -> SlotId {
        self.node.kept(name)
    }

    /// The gradient of the output, whole, through the slope of the activation that is fused behind the layer.
    pub fn dy(&self) -> SlotId {
        self.dy
    }

    /// Adds the slot for the gradient of an input, which the layer must then write; `None` if nobody wants it.
    pub fn dx(&mut self, input: usize) -> Option<SlotId> {
        if self.wanted[input] {
            let dims = self.shape(input).dims(self.node.rows);
            let number = if self.wanted.len() > 1 { (input + 1).to_string() } else { String::new() };
            self.dx[input] = Some(self.builder.activation(format!("{}.dx{number}", self.node.name), &dims));
        }
        self.dx[input]
    }

    /// Hands the gradient of the output on as that of an input, if anybody wants it.
    pub fn pass(&mut self, input: usize) {
        if self.wanted[input] {
            self.dx[input] = Some(self.dy);
        }
    }

    /// Adds the kernel `K` at `shape` on `args`, in binding order.
    pub fn call<K: Kernel>(&mut self, shape: K::Shape, args: &[SlotId]) {
        self.builder.call::<K>(Section::Backward, shape, args);
    }

    /// Makes the gradient of `bias`, unless it is frozen: the sum of the output's by channel.
    pub fn bias(&mut self) {
        let Some(bias) = self.gradient("bias") else { return };
        let columns = self.builder.len(bias);
        let rows = self.builder.len(self.total) / columns;
        let splits = splits(columns, rows);
        self.split_sum::<SumRows>("bias.partial", splits, SumRowsShape { rows, columns, splits }, &[self.total], bias);
    }

    /// Adds a slot for what the layer needs on the way back alone.
    pub fn slot(&mut self, name: &str, dims: &[usize]) -> SlotId {
        self.builder.activation(format!("{}.{name}", self.node.name), dims)
    }

    /// Makes the gradient of a tensor, which is the sum of the rows of `sums`, and answers its slot; of a frozen one it
    /// is a slot like any other.
    pub fn sum_rows(&mut self, tensor: &str, sums: SlotId) -> SlotId {
        let columns = self.builder.len(self.tensor(tensor));
        let gradient = self.gradient(tensor).unwrap_or_else(|| self.slot(&format!("{tensor}.sum"), &[columns]));
        let rows = self.builder.len(sums) / columns;
        let splits = if rows <= 256 { 1 } else { splits(columns, rows) };
        let partial = format!("{tensor}.partial");
        self.split_sum::<SumRows>(&partial, splits, SumRowsShape { rows, columns, splits }, &[sums], gradient);
        gradient
    }

    /// Makes the gradient of a tensor, unless it is frozen, by a kernel whose last argument is `splits` partial sums of
    /// it, and adds those in order.
    pub fn sum<K: Kernel>(&mut self, tensor: &str, splits: usize, shape: K::Shape, inputs: [SlotId; 2]) {
        if let Some(target) = self.gradient(tensor) {
            self.split_sum::<K>("partial", splits, shape, &inputs, target);
        }
    }

    /// The gradient of a tensor; `None` where it is frozen.
    fn gradient(&self, tensor: &str) -> Option<SlotId> {
        self.node.tensor(tensor).gradient
    }

    /// A kernel that makes `splits` partial sums, in slot `partial`, and the ordered sum of those into `target`.
    fn split_sum<K: Kernel>(
        &mut self,
        partial: &str,
        splits: usize,
        shape: K::Shape,
        inputs: &[SlotId],
        target: SlotId,
    ) {
        if splits == 1 {
            return self.call::<K>(shape, &[inputs, &[target]].concat());
        }
        let values = self.builder.len(target);
        let partial = self.builder.activation(format!("{}.{partial}", self.node.name), &[splits, values]);
        self.call::<K>(shape, &[inputs, &[partial]].concat());
        self.call::<SumRows>(SumRowsShape { rows: splits, columns: values, splits: 1 }, &[partial, target]);
    }
}

/// The operators of one node in an ONNX graph.
pub struct Operators<'a> {
    graph: &'a mut Graph,
    name: &'a str,
    inputs: Vec<(&'a str, Shape)>,
    tensors: Vec<(&'static str, &'a str)>,
}

impl<'a> Operators<'a> {
    /// For the node called `name`; inputs and tensors with the names of their values in the graph.
    pub(crate) fn new(
        graph: &'a mut Graph,
        name: &'a str,
        inputs: Vec<(&'a str, Shape)>,
        tensors: Vec<(&'static str, &'a str)>,
    ) -> Operators<'a> {
        Operators { graph, name, inputs, tensors }
    }

    /// Name of the node, for the operator that makes its output.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Name of an input's value.
    pub fn x(&self, input: usize) -> String {
        self.inputs[input].0.to_owned()
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The shape of an input. Images are `[batch, channels, height, width]` here.
    pub fn shape(&self, input: usize) -> Shape {
        self.inputs[input].1
    }

    /// Name of a tensor's value.
    pub fn tensor(&self, name: &str) -> String {
        let found = self.tensors.iter().find(|(own, _)| *own == name);
        found.unwrap_or_else(|| panic!("layer `{}` has no tensor `{name}`", self.name)).1.to_owned()
    }

    /// Adds an operator, and answers the name of its value: its own.
    pub fn node(
        &mut self,
        name: &str,
        operator: &str,
        inputs: impl IntoIterator<Item = String>,
        attributes: Vec<Attribute>,
    ) -> String {
        let inputs: Vec<_> = inputs.into_iter().collect();
        self.graph.node(name, operator, &inputs.iter().map(String::as_str).collect::<Vec<_>>(), attributes)
    }

    /// Adds whole numbers in a row, and answers their name.
    pub fn integers(&mut self, name: &str, values: &[usize]) -> String {
        self.graph.integers(name, values)
    }

    /// Adds numbers in a row, and answers their name.
    pub fn numbers(&mut self, name: &str, values: &[f32]) -> String {
        self.graph.numbers(name, &[values.len()], values)
    }

    /// Adds a number, and answers its name.
    pub fn number(&mut self, name: &str, value: f32) -> String {
        self.graph.number(name, value)
    }
}

/// One node in a PyTorch module.
pub struct Torch<'a> {
    name: &'a str,
    inputs: Vec<(&'a str, Shape)>,
    output: Shape,
    module: Option<String>,
}

impl<'a> Torch<'a> {
    /// For the node called `name`; inputs with the names of their variables.
    pub(crate) fn new(name: &'a str, inputs: Vec<(&'a str, Shape)>, output: Shape) -> Torch<'a> {
        Torch { name, inputs, output, module: None }
    }

    /// The module of the node, if it has one.
    pub(crate) fn finish(self) -> Option<String> {
        self.module
    }

    /// Variable of an input.
    pub fn x(&self, input: usize) -> &'a str {
        self.inputs[input].0
    }

    /// Variables of all inputs.
    pub fn xs(&self) -> Vec<&'a str> {
        self.inputs.iter().map(|&(name, _)| name).collect()
    }

    /// The shape of an input. Images are `[batch, channels, height, width]` here.
    pub fn shape(&self, input: usize) -> Shape {
        self.inputs[input].1
    }

    /// The shape of the output.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Gives the node the module that `make` makes, such as `nn.Linear(3, 4)`, and answers what calls it. Its tensors
    /// are named as the layer's.
    pub fn module(&mut self, make: String) -> String {
        self.module = Some(make);
        format!("self.{}", self.name)
    }
}
