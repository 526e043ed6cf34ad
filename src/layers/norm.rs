//! `bn[e<epsilon>]`, `gn<groups>[e<epsilon>]`, `ln[e<epsilon>]`: normalisation of batches, groups and layers, with a
//! factor and a bias for each channel and the activation that follows. On rows each value is a channel.

use std::fmt::Debug;
use std::sync::Arc;

use super::{
    Backward, Follows, Forward, Item, Layer, Layout, Listed, Operators, Options, Shape, Start, Tensor, Torch, Word,
};
use crate::graph::Attribute;
use crate::kernel::Element;
use crate::kernels::{
    Moments, MomentsJoin, MomentsJoinShape, Normalise, NormaliseDx, NormaliseDxShape, NormaliseShape, NormaliseSums,
    Sets, Track, TrackShape,
};

/// `bn`: each channel by its mean and variance in the batch, and where nothing is trained by running ones (Ioffe &
/// Szegedy, 2015).
pub type Bn = Norm<Batch>;
/// `gn`: each group of channels of an image by its own mean and variance (Wu & He, 2018).
pub type Gn = Norm<Group>;
/// `ln`: the channels of each pixel by their own mean and variance (Ba, Kiros & Hinton, 2016; on images as ConvNeXt has
/// it, where `gn1` takes all pixels together).
pub type Ln = Norm<Each>;

/// A normalisation.
#[derive(Clone, Debug)]
pub struct Norm<D> {
    /// What has one mean.
    division: D,
    /// What is added to the variance.
    epsilon: f32,
}

/// What has one mean and one variance.
pub trait Division: Debug + Send + Sync + Sized + 'static {
    /// See [`Word::NAME`].
    const NAME: &'static str;
    /// See [`Word::HELP`].
    const HELP: &'static str;
    /// See [`Word::SPECS`].
    const SPECS: &'static [(&'static str, [usize; 3])];

    /// Reads what stands before epsilon.
    fn read(options: &mut Options) -> Result<Self, String>;

    /// Says why so many channels of so many pixels do not go, where they do not.
    fn fit(&self, pixels: usize, channels: usize) -> Result<(), String>;

    /// The sets of `[rows, pixels, channels]`.
    fn sets(&self, dims: [usize; 3]) -> Sets;

    /// Whether there is one set for the whole batch, so that images by themselves need running moments.
    fn is_batch(&self) -> bool;

    /// Adds the ONNX operators on `x`: of a factor and a bias too.
    fn onnx(&self, at: &mut Operators, epsilon: f32) -> String;

    /// The same in PyTorch.
    fn torch(&self, at: &mut Torch, epsilon: f32) -> String;
}

/// One channel of all rows.
#[derive(Clone, Debug)]
pub struct Batch;

/// A group of channels of one row.
#[derive(Clone, Debug)]
pub struct Group {
    /// Groups of a row.
    count: usize,
}

/// The channels of one pixel.
#[derive(Clone, Debug)]
pub struct Each;

/// Says that one value alone has no variance.
fn several(values: usize) -> Result<(), String> {
    if values > 1 {
        Ok(())
    } else {
        Err("a single value would be normalised by itself, which leaves nothing".to_owned())
    }
}

impl Division for Batch {
    const NAME: &'static str = "bn";
    const HELP: &'static str = "bn[e<epsilon>]";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv4 bn relu pool conv5s2 bn dense6 bn relu dense4 l2", [8, 7, 2]),
        // Behind an activation, and before a pool that passes one on.
        ("conv4 relu bne0.01 pool sigmoid dense5 bn", [6, 7, 2]),
        // On the images.
        ("bn conv8 bn relu dense4 l2", [5, 6, 3]),
    ];

    fn read(_: &mut Options) -> Result<Self, String> {
        Ok(Batch)
    }

    fn fit(&self, _: usize, _: usize) -> Result<(), String> {
        Ok(())
    }

    fn sets(&self, dims: [usize; 3]) -> Sets {
        Sets::batch(dims)
    }

    fn is_batch(&self) -> bool {
        true
    }

    fn onnx(&self, at: &mut Operators, epsilon: f32) -> String {
        let tensors = ["weight", "bias", "running_mean", "running_var"].map(|name| at.tensor(name));
        let inputs = std::iter::once(at.x(0)).chain(tensors);
        at.node(at.name(), "BatchNormalization", inputs, vec![Attribute::float("epsilon", epsilon)])
    }

    fn torch(&self, at: &mut Torch, epsilon: f32) -> String {
        let sides = if let Shape::Image(_) = at.shape(0) { 2 } else { 1 };
        let module = at.module(format!("nn.BatchNorm{sides}d({}, {epsilon})", channels(at.shape(0))));
        format!("{module}({})", at.x(0))
    }
}

impl Division for Group {
    const NAME: &'static str = "gn";
    const HELP: &'static str = "gn<groups>[e<epsilon>]";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv6 gn2 relu pool conv4s2 gn4e0.01 sigmoid dense6 gn2 relu dense4 l2", [8, 7, 2]),
        ("conv8 relu gn1 pool relu dense4", [5, 6, 1]),
    ];

    fn read(options: &mut Options) -> Result<Self, String> {
        Ok(Group { count: options.number("a number of groups", 65_536)? })
    }

    fn fit(&self, pixels: usize, channels: usize) -> Result<(), String> {
        if !channels.is_multiple_of(self.count) {
            return Err(format!("{channels} channels do not divide into {} groups", self.count));
        }
        several(pixels * channels / self.count)
    }

    fn sets(&self, dims: [usize; 3]) -> Sets {
        Sets::group(dims, self.count)
    }

    fn is_batch(&self) -> bool {
        false
    }

    fn onnx(&self, at: &mut Operators, epsilon: f32) -> String {
        let name = at.name();
        let own = |part: &str| format!("{name}.{part}");
        let [ones, zeros] = [("ones", 1.0), ("zeros", 0.0)].map(|(part, value)| {
            let values = vec![value; self.count];
            at.numbers(&own(part), &values)
        });
        // A size of 0 is that which comes in.
        let dims = at.integers(&own("groups"), &[0, self.count, at.shape(0).values() / self.count]);
        let grouped = at.node(&own("grouped"), "Reshape", [at.x(0), dims], vec![]);
        let epsilon = vec![Attribute::float("epsilon", epsilon)];
        let unit = at.node(&own("unit"), "InstanceNormalization", [grouped, ones, zeros], epsilon);
        let sides = file_dims(at.shape(0));
        let dims = at.integers(&own("dims"), &[&[0][..], &sides].concat());
        let unit = at.node(&own("whole"), "Reshape", [unit, dims], vec![]);
        let dims: Vec<usize> = sides.iter().enumerate().map(|(axis, &side)| if axis == 0 { side } else { 1 }).collect();
        let dims = at.integers(&own("channels"), &dims);
        let [weight, bias] = ["weight", "bias"].map(|tensor| {
            let values = at.tensor(tensor);
            at.node(&own(&format!("{tensor}.channels")), "Reshape", [values, dims.clone()], vec![])
        });
        let product = at.node(&own("product"), "Mul", [unit, weight], vec![]);
        at.node(name, "Add", [product, bias], vec![])
    }

    fn torch(&self, at: &mut Torch, epsilon: f32) -> String {
        let module = at.module(format!("nn.GroupNorm({}, {}, {epsilon})", self.count, channels(at.shape(0))));
        format!("{module}({})", at.x(0))
    }
}

impl Division for Each {
    const NAME: &'static str = "ln";
    const HELP: &'static str = "ln[e<epsilon>]";
    const SPECS: &'static [(&'static str, [usize; 3])] =
        &[("conv5 ln relu pool conv4s2 lne0.01 sigmoid dense6 ln relu dense4 l2", [8, 7, 2])];

    fn read(_: &mut Options) -> Result<Self, String> {
        Ok(Each)
    }

    fn fit(&self, _: usize, channels: usize) -> Result<(), String> {
        several(channels)
    }

    fn sets(&self, dims: [usize; 3]) -> Sets {
        Sets::layer(dims)
    }

    fn is_batch(&self) -> bool {
        false
    }

    fn onnx(&self, at: &mut Operators, epsilon: f32) -> String {
        let name = at.name();
        let epsilon = vec![Attribute::int("axis", -1), Attribute::float("epsilon", epsilon)];
        let [weight, bias] = ["weight", "bias"].map(|tensor| at.tensor(tensor));
        let Shape::Image(_) = at.shape(0) else {
            return at.node(name, "LayerNormalization", [at.x(0), weight, bias], epsilon);
        };
        let turned = |axes: &[usize; 4]| vec![Attribute::ints("perm", axes)];
        let pixels = at.node(&format!("{name}.pixels"), "Transpose", [at.x(0)], turned(&[0, 2, 3, 1]));
        let unit = at.node(&format!("{name}.unit"), "LayerNormalization", [pixels, weight, bias], epsilon);
        at.node(name, "Transpose", [unit], turned(&[0, 3, 1, 2]))
    }

    fn torch(&self, at: &mut Torch, epsilon: f32) -> String {
        let module = at.module(format!("nn.LayerNorm({}, {epsilon})", channels(at.shape(0))));
        match at.shape(0) {
            Shape::Image(_) => format!("{module}({}.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)", at.x(0)),
            _ => format!("{module}({})", at.x(0)),
        }
    }
}

/// Dimensions of a row in ONNX.
fn file_dims(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Image([height, width, channels]) => vec![channels, height, width],
        row => vec![row.values()],
    }
}

/// Channels; the values of a row are such.
fn channels(shape: Shape) -> usize {
    shape.values() / shape.pixels()
}

impl<D: Division> Norm<D> {
    fn sets(&self, rows: usize, input: Shape) -> Sets {
        self.division.sets([rows, input.pixels(), channels(input)])
    }
}

impl<D: Division> Word for Norm<D>
where
    Norm<D>: Listed,
{
    const NAME: &'static str = D::NAME;
    const HELP: &'static str = D::HELP;
    const SPECS: &'static [(&'static str, [usize; 3])] = D::SPECS;

    fn read(options: &mut Options) -> Result<Item, String> {
        let division = D::read(options)?;
        let epsilon = match options.letter() {
            None => 1e-5,
            Some('e') => options.decimal("an epsilon after e", 1.0)?,
            Some(_) => return Err(options.error("does not continue with e")),
        };
        Ok(Item::Layer(Arc::new(Norm { division, epsilon })))
    }
}

impl<D: Division> Layer for Norm<D>
where
    Norm<D>: Listed,
{
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.division.fit(inputs[0].pixels(), channels(inputs[0]))?;
        Ok(inputs[0])
    }

    fn tensors(&self, inputs: &[Shape]) -> Vec<Tensor> {
        let layout = Layout::vector(channels(inputs[0]));
        let [ones, zeros] = [Start::Ones, Start::Zeros];
        let mut tensors =
            vec![Tensor::trained("weight", layout.clone(), ones), Tensor::trained("bias", layout.clone(), zeros)];
        if self.division.is_batch() {
            tensors.push(Tensor::state("running_mean", layout.clone(), zeros));
            tensors.push(Tensor::state("running_var", layout, ones));
        }
        tensors
    }

    fn activation(&self) -> Follows {
        Follows::Fused
    }

    fn without_bias(&self) -> Option<Arc<dyn Layer>> {
        None
    }

    fn absorbs_bias(&self) -> bool {
        true
    }

    fn folds(&self) -> Option<f32> {
        self.division.is_batch().then_some(self.epsilon)
    }

    fn forward(&self, at: &mut Forward) {
        let sets = self.sets(at.rows(), at.shape(0));
        let (x, epsilon, running) = (at.x(0), self.epsilon, ["running_mean", "running_var"]);
        let [mean, variance] = if self.division.is_batch() && !at.training() {
            running.map(|name| at.tensor(name))
        } else {
            let (summed, dims) = (sets.summed(), [sets.sets, sets.groups()]);
            let [mean, variance] = ["mean", "variance"].map(|name| at.keep(name, Element::F32, &dims));
            if summed.chunks() == sets.sets {
                at.call::<Moments>(summed, &[x, mean, variance]);
            } else {
                let (chunks, channels) = (summed.chunks(), sets.channels);
                let [means, variances] =
                    ["means", "variances"].map(|name| at.keep(name, Element::F32, &[chunks, channels]));
                at.call::<Moments>(summed, &[x, means, variances]);
                at.call::<MomentsJoin>(MomentsJoinShape { chunks, channels }, &[means, variances, mean, variance]);
            }
            [mean, variance]
        };
        let y = at.y(at.element(0));
        let shape = NormaliseShape { sets: sets.clone(), epsilon, activation: at.activation() };
        at.call::<Normalise>(shape, &[x, mean, variance, at.tensor("weight"), at.tensor("bias"), y]);
        if self.division.is_batch() && at.training() {
            let [running_mean, running_variance] = running.map(|name| at.tensor(name));
            at.later::<Track>(TrackShape::means(sets.channels), &[mean, running_mean]);
            at.later::<Track>(TrackShape::variances(sets.channels, sets.count()), &[variance, running_variance]);
        }
    }

    fn backward(&self, at: &mut Backward) {
        let sets = self.sets(at.rows(), at.shape(0));
        let (summed, epsilon) = (sets.summed(), self.epsilon);
        if self.division.is_batch() && !at.training() {
            // By running moments each value goes for itself.
            let Some(dx) = at.dx(0) else { return };
            let [mean, variance] = ["running_mean", "running_var"].map(|name| at.tensor(name));
            let none = at.zeros(sets.channels);
            let args = [at.x(0), at.dy(), mean, variance, at.tensor("weight"), none, none, dx];
            return at.call::<NormaliseDx>(NormaliseDxShape { sets, epsilon }, &args);
        }
        let [mean, variance] = ["mean", "variance"].map(|name| at.kept(name));
        let dims = [summed.chunks(), sets.channels];
        let [p, q] = ["p", "q"].map(|name| at.slot(name, &dims));
        at.call::<NormaliseSums>(NormaliseDxShape { sets: summed, epsilon }, &[at.x(0), at.dy(), mean, variance, p, q]);
        let whole = [("bias", p), ("weight", q)].map(|(tensor, sums)| at.sum_rows(tensor, sums));
        // Of one set for the whole batch, its sums are the gradients.
        let [p, q] = if self.division.is_batch() { whole } else { [p, q] };
        if let Some(dx) = at.dx(0) {
            let args = [at.x(0), at.dy(), mean, variance, at.tensor("weight"), p, q, dx];
            at.call::<NormaliseDx>(NormaliseDxShape { sets, epsilon }, &args);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        self.division.onnx(at, self.epsilon)
    }

    fn torch(&self, at: &mut Torch) -> String {
        self.division.torch(at, self.epsilon)
    }
}
