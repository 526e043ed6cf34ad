//! `conv<channels>[k<size>[x<width>]][s<stride>][p<zeros>|v][g<groups>]`: convolution, with a bias and the activation
//! that follows. Sizes are PyTorch's; without `p` or `v` an odd kernel keeps them at stride 1.

use std::iter;
use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Layout, Operators, Options, Shape, Tensor, Torch, Word};
use crate::graph::Attribute;
use crate::kernels::{Conv2d, Conv2dDw, Conv2dDwShape, Conv2dDx, Conv2dShape, Taps, Window};

/// A convolution.
#[derive(Clone, Debug)]
pub struct Conv {
    /// Output channels; `None`: those of the input, each of which makes its own.
    channels: Option<usize>,
    taps: Taps,
    /// Whether it has a bias.
    bias: bool,
}

impl Conv {
    /// One that makes each channel of itself.
    pub(super) fn depthwise(taps: Taps) -> Conv {
        Conv { channels: None, taps, bias: true }
    }

    /// The geometry for so many images of a shape, if it fits them.
    fn fit(&self, rows: usize, input: Shape) -> Result<Window, String> {
        let [height, width, channels] = input.image()?;
        let (outputs, groups) = self.channels.map_or((channels, channels), |outputs| (outputs, self.taps.groups));
        if !channels.is_multiple_of(groups) {
            return Err(format!("{groups} groups do not divide the {channels} channels that reach it"));
        }
        Window::new([rows, height, width, channels], outputs, &Taps { groups, ..self.taps.clone() })
            .ok_or_else(|| format!("the kernel is larger than the {height}×{width}×{channels} that reaches it"))
    }

    fn window(&self, rows: usize, input: Shape) -> Window {
        self.fit(rows, input).expect("the shape rule has consented")
    }
}

/// What options say behind a kernel that a word begins with: those of the options `k<height>[x<width>]`, `s<stride>`,
/// `p<zeros>`, `v` and `g<groups>` whose `letters` the word has.
pub(super) fn taps(options: &mut Options, kernel: usize, letters: &[char]) -> Result<Taps, String> {
    let (mut kernel, mut stride, mut pad, mut groups) = ([kernel; 2], 1, None, 1);
    while let Some(letter) = options.letter() {
        match letter {
            _ if !letters.contains(&letter) => {
                let (last, others) = letters.split_last().expect("a letter");
                let others: Vec<_> = others.iter().map(char::to_string).collect();
                return Err(options.error(&format!("does not continue with {} or {last}", others.join(", "))));
            }
            'k' => {
                kernel = [options.number("a kernel size after k", 255)?; 2];
                if options.take('x') {
                    kernel[1] = options.number("a kernel width after x", 255)?;
                }
            }
            's' => stride = options.number("a stride after s", 255)?,
            'p' => pad = Some([options.number_or_zero("a padding after p", 255)?; 2]),
            'v' => pad = Some([0; 2]),
            _ => groups = options.number("a number of groups after g", 65_536)?,
        }
    }
    let same = || match kernel.into_iter().find(|size| size % 2 == 0) {
        Some(size) => Err(format!("the kernel size {size} is not odd: say its padding, p<zeros> or v for none")),
        None => Ok(kernel.map(|size| (size - 1) / 2)),
    };
    Ok(Taps { kernel, stride, pad: pad.map_or_else(same, Ok)?, groups })
}

impl Word for Conv {
    const NAME: &'static str = "conv";
    const HELP: &'static str = "conv<channels>[k<size>[x<width>]][s<stride>][p<zeros>|v][g<groups>]";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        // A stride that leaves columns out at one border, valid padding behind it.
        ("conv4k5s2 relu conv6v sigmoid dense5", [9, 10, 2]),
        ("conv5s2v relu conv4s3 dense6 l2", [8, 11, 3]),
        ("conv2k3s3v sigmoid dense9 l2", [11, 8, 3]),
        // Kernels larger than what reaches them.
        ("conv3 conv4k5 dense5 dense4 l2", [3, 4, 2]),
        // Behind it the image is of one pixel.
        ("conv5k5v relu dense4 sigmoid dense2 l2", [5, 5, 1]),
        ("conv6k1 relu pool conv2k7 relu dense4 l2", [7, 5, 1]),
        // Kernels that are not square, even ones, more zeros than half of them.
        ("conv4k1x5 relu conv6k3x1s2 dense5", [7, 9, 3]),
        ("conv4k2s2p0 relu conv3k4x3p2 dense5 l2", [8, 6, 2]),
        ("conv4g2 relu conv6k3x2s2p1g2 sigmoid dense5", [6, 7, 4]),
    ];

    fn read(options: &mut Options) -> Result<Item, String> {
        let channels = options.number("a number of channels", 65_536)?;
        let taps = taps(options, 3, &['k', 's', 'p', 'v', 'g'])?;
        if !channels.is_multiple_of(taps.groups) {
            return Err(format!("{} groups do not divide {channels} channels", taps.groups));
        }
        Ok(Item::Layer(Arc::new(Conv { channels: Some(channels), taps, bias: true })))
    }
}

impl Layer for Conv {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let window = self.fit(1, inputs[0])?;
        Ok(Shape::Image([window.out_height, window.out_width, window.out_channels]))
    }

    fn tensors(&self, inputs: &[Shape]) -> Vec<Tensor> {
        let Window { kernel_height, kernel_width, in_channels, out_channels, groups, .. } = self.window(1, inputs[0]);
        let (taps, inputs) = (kernel_height * kernel_width, in_channels / groups);
        let device: [&[usize]; 4] = [&[kernel_height], &[kernel_width], &[inputs], &[out_channels]];
        let layout = Layout::new(&device, &[&[3], &[2], &[0], &[1]]);
        let weight = Tensor::weight(layout, taps * inputs, taps * out_channels / groups);
        iter::once(weight).chain(self.bias.then(|| Tensor::bias(out_channels))).collect()
    }

    fn activation(&self) -> Follows {
        Follows::Fused
    }

    fn without_bias(&self) -> Option<Arc<dyn Layer>> {
        Some(Arc::new(Conv { bias: false, ..self.clone() }))
    }

    fn absorbs_bias(&self) -> bool {
        false
    }

    fn folds(&self) -> Option<f32> {
        None
    }

    fn forward(&self, at: &mut Forward) {
        let y = at.y(at.element(0));
        let window = self.window(at.rows(), at.shape(0));
        let bias = if self.bias { at.tensor("bias") } else { at.zeros(window.out_channels) };
        let shape = Conv2dShape { window, activation: at.activation() };
        at.call::<Conv2d>(shape, &[at.x(0), at.tensor("weight"), bias, y]);
    }

    fn backward(&self, at: &mut Backward) {
        let window = self.window(at.rows(), at.shape(0));
        if self.bias {
            at.bias();
        }
        let dx = at.dx(0);
        let shape = Conv2dDwShape::new(window.clone());
        at.sum::<Conv2dDw>("weight", shape.splits, shape, [at.x(0), at.dy()]);
        if let Some(dx) = dx {
            at.call::<Conv2dDx>(window, &[at.dy(), at.tensor("weight"), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let window = self.window(1, at.shape(0));
        let Window { kernel_height, kernel_width, stride, pad_y, pad_x, groups, .. } = window;
        let mut attributes = vec![
            Attribute::ints("kernel_shape", &[kernel_height, kernel_width]),
            Attribute::ints("strides", &[stride; 2]),
            Attribute::ints("pads", &[pad_y, pad_x, pad_y, pad_x]),
        ];
        if groups > 1 {
            attributes.push(Attribute::int("group", groups as i64));
        }
        let bias = self.bias.then(|| at.tensor("bias"));
        let inputs = [at.x(0), at.tensor("weight")].into_iter().chain(bias);
        at.node(at.name(), "Conv", inputs, attributes)
    }

    fn torch(&self, at: &mut Torch) -> String {
        let Window { in_channels, out_channels, stride, groups, .. } = self.window(1, at.shape(0));
        let sides = |[y, x]: [usize; 2]| if y == x { y.to_string() } else { format!("({y}, {x})") };
        let (kernel, pad) = (sides(self.taps.kernel), sides(self.taps.pad));
        let groups = if groups == 1 { String::new() } else { format!(", groups={groups}") };
        let bias = if self.bias { "" } else { ", bias=False" };
        let make = format!("nn.Conv2d({in_channels}, {out_channels}, {kernel}, {stride}, {pad}{groups}{bias})");
        format!("{}({})", at.module(make), at.x(0))
    }
}
