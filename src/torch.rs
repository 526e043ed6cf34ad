//! Networks as PyTorch modules: a Python file that needs PyTorch alone. The modules have the names of our layers, so
//! that `load_state_dict` takes an exported safetensors file; each layer says of itself what it is there, by
//! [`Layer::torch`](layers::Layer::torch).

use std::fmt::Write;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::layers::{self, Torch};
use crate::net::Net;
use crate::output::Kind;

/// How a file begins.
const BEGINS: &str = "# A network in PyTorch, written by siamese";

/// What a class needs before it.
pub const IMPORTS: &str = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n";

/// Files of this module.
pub const KIND: Kind = Kind { name: "a PyTorch module", is: |head| head.starts_with(BEGINS.as_bytes()) };

/// A file with the network of `checkpoint` as class `Network`, without its weights. It takes raw pixels, as an exported
/// ONNX file does.
///
/// # Errors
/// [`Error::Spec`](crate::Error::Spec) if the network cannot be understood.
pub fn source(checkpoint: &Checkpoint) -> Result<String> {
    let (net, config) = (checkpoint.net()?, &checkpoint.config);
    let pixels = if config.pictures.invert { "(255 - images)" } else { "images" };
    let by_channel = |values: &[f32]| match values {
        [value] => value.to_string(),
        values => format!("images.new_tensor({values:?}).view(1, -1, 1, 1)"),
    };
    let [mean, deviation] = [&config.pixels.mean, &config.pixels.deviation].map(|values| by_channel(values));
    let centred = if mean == "0" { pixels.to_owned() } else { format!("({pixels} - {mean})") };
    let class = class("Network", &net, &format!("{centred} / {deviation}"));
    let [height, width, channels] = net.input;
    // PyTorch's normalisations have a count of batches besides.
    let strict = if net.states().is_empty() { "" } else { ", strict=False" };
    Ok(format!(
        "{BEGINS}.\n#\n\
         # from safetensors.torch import load_file\n\
         # network = Network().eval()\n\
         # network.load_state_dict(load_file(\"….safetensors\"){strict})  # by `siamese export --out ….safetensors`\n\
         # network(images)  # [rows, {channels}, {height}, {width}], raw pixels from 0 to 255 -> [rows, {}]\n\n\
         {IMPORTS}\n\n{class}",
        net.dims()
    ))
}

/// A network as the class `name`, with the texts of the network and of its input; `scaled` is what becomes of `images`
/// first. It needs [`IMPORTS`].
pub fn class(name: &str, net: &Net, scaled: &str) -> String {
    let mut values = vec!["x".to_owned()];
    let (mut modules, mut lines) = (String::new(), String::new());
    for node in &net.nodes {
        let inputs = node.inputs.iter().map(|&value| (values[value].as_str(), net.shape(value))).collect();
        let mut at = Torch::new(&node.name, inputs, node.output);
        let made = layers::in_torch(node.activation, &node.layer.torch(&mut at));
        if let Some(module) = at.finish() {
            writeln!(modules, "        self.{} = {module}", node.name).expect("text takes all");
        }
        writeln!(lines, "        {} = {made}", node.name).expect("text takes all");
        values.push(node.name.clone());
    }
    format!(
        "class {name}(nn.Module):\n    spec = \"{}\"\n    input = {:?}\n\n    def __init__(self):\n        \
         super().__init__()\n{modules}\n    def forward(self, images):\n        x = {scaled}\n{lines}        \
         return {}\n",
        net.spec,
        net.input,
        values.last().expect("the images at least"),
    )
}
