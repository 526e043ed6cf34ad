//! The Siamese network: three branches over one set of weights, and the plans that train and apply it.

use std::ops::Range;

use crate::config::{Config, Storage, Update};
use crate::data::Dataset;
use crate::head::Head;
use crate::kernel::Element;
use crate::kernels::{
    Adam, AdamGroups, AdamGroupsShape, AdamShape, AddTo, AddToShape, Average, AverageShape, Distances, DistancesShape,
    Gather, GatherShape, L2Norm, L2NormShape, Mean, MeanShape, Mirror, MirrorShape, Norm, NormShape, Scale, Slice,
    SliceShape, Statistics, StatisticsShape, Tint, TintShape, TopK, TopKShape, Warp, WarpShape,
};
use crate::losses::Embeddings;
use crate::net::Net;
use crate::plan::{ALIGNMENT, Builder, Plan, Role, Section, SlotId};
use crate::sampler::Augment;

/// One of the three inputs of a random triplet. The branches share their weights because they are rows of one batch
/// over one weight slot; their gradients are summed because the weight-gradient kernels sum over rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// The image compared.
    Anchor,
    /// Another image of the anchor's label.
    Positive,
    /// An image of another label.
    Negative,
}

impl Branch {
    /// The branches in the order of their rows.
    pub const ALL: [Branch; 3] = [Branch::Anchor, Branch::Positive, Branch::Negative];

    /// Its rows in a batch of `triplets` triplets.
    pub fn rows(self, triplets: usize) -> Range<usize> {
        let start = self as usize * triplets;
        start..start + triplets
    }
}

/// The data set that a plan gathers from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name of its images' slot. Equal names mean equal images, since what they are known by is in it: runners share
    /// the slot.
    pub slot: String,
    /// Number of images.
    pub images: usize,
    /// How their bytes become numbers.
    pub scale: Scale,
    /// Number of classes that they are of.
    pub classes: usize,
}

impl Source {
    /// All images of `data`, on the device.
    pub fn new(data: &Dataset, scale: Scale) -> Source {
        let slot = format!("{}.images.{}", data.name, &data.images.digest()[..16]);
        Source { slot, images: data.len(), scale, classes: data.label_count() }
    }

    /// The images of a batch of so many rows, which are written before each run.
    pub fn streamed(rows: usize, classes: usize, scale: Scale) -> Source {
        Source { slot: slots::IMAGES.to_owned(), images: rows, scale, classes }
    }
}

/// Names of the slots that the host writes and reads.
pub mod slots {
    pub use crate::head::arenas::{HEAD, HEAD_GRADIENTS, HEAD_MOMENTS, HEAD_STATE};
    pub use crate::layers::KEYS;
    pub use crate::losses::{LABELS, MEMORY_LABELS, MEMORY_POSITION, OLD};
    pub use crate::net::arenas::{AVERAGE, AVERAGE_STATE, GRADIENTS, MOMENTS, PARAMETERS, STATE};

    /// The embeddings of all rows of a batch, where a step is cut into shares.
    pub const EMBEDDINGS: &str = "embeddings";
    /// What the slots with sums of gradients of shares are called, behind which the round stands.
    pub const SUMS: &str = "sums";
    /// The gradient by the embeddings of a share, where a step is cut into shares.
    pub const SHARE_DX: &str = "share.dx";
    /// Images of a batch, where they do not stay on the device.
    pub const IMAGES: &str = "images";
    /// Row numbers of the batch.
    pub const ROWS: &str = "rows";
    /// Where the images of the batch are taken from, see [`Warps`](crate::sampler::Warps).
    pub const MAPS: &str = "maps";
    /// Which colours those of the batch become, likewise.
    pub const COLOURS: &str = "colours";
    /// What of the images of the batch is blanked, likewise.
    pub const BLANKS: &str = "blanks";
    /// Scalars that change each step, see [`Config::scalars`](crate::config::Config::scalars).
    pub const STEP: &str = "step";
    /// Factor of the learning rate and weight decay of each [`ALIGNMENT`](crate::plan::ALIGNMENT) parameters side by
    /// side, written once: see [`Config::rates`](crate::config::Config::rates).
    pub const RATES: &str = "rates";
    /// The same for what a loss keeps besides the network, see
    /// [`Config::head_scalars`](crate::config::Config::head_scalars).
    pub const HEAD_STEP: &str = "head.step";
    /// The statistics of a step, see [`Stats`](super::Stats).
    pub const STATS: &str = "stats";
    /// Queries of a neighbours plan.
    pub const QUERY: &str = "query";
    /// References of a neighbours plan.
    pub const REFERENCE: &str = "reference";
    /// Answer of a neighbours plan.
    pub const INDEX: &str = "index";
    /// The distances of those.
    pub const NEAREST: &str = "nearest";
}

/// What a training step reports: numbers by name, see [`Loss::statistics`](crate::losses::Loss::statistics).
#[derive(Clone, Debug, PartialEq)]
pub struct Stats(Vec<(&'static str, f32)>);

impl Stats {
    /// The values of slot [`slots::STATS`] by the [names](Plan::statistics) that the plan has for them.
    ///
    /// # Panics
    /// If there are more of one than of the other.
    pub fn new(names: &[&'static str], values: &[f32]) -> Stats {
        assert_eq!(names.len(), values.len(), "statistics named {names:?}");
        Stats(names.iter().copied().zip(values.iter().copied()).collect())
    }

    /// The statistic of this name. Panics where there is none.
    pub fn get(&self, name: &str) -> f32 {
        let found = self.iter().find(|(own, _)| *own == name);
        found.unwrap_or_else(|| panic!("there is no statistic `{name}`")).1
    }

    /// Names and values, in the plan's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f32)> {
        self.0.iter().copied()
    }
}

fn gather(
    builder: &mut Builder,
    net: &Net,
    source: &Source,
    batch: usize,
    augment: &Augment,
    storage: Storage,
) -> SlotId {
    let element = match storage {
        Storage::F32 => Element::F32,
        Storage::F16 | Storage::F16Matrix => Element::F16,
    };
    let (pixels, images) = (net.pixels(), source.images);
    let words = (images * pixels).div_ceil(4);
    let bytes = builder.slot(&source.slot, Element::U32, &[words], Role::Input);
    let rows = builder.slot(slots::ROWS, Element::U32, &[batch], Role::Input);
    let [height, width, channels] = net.input;
    let scale = source.scale;
    let dims = [batch, height, width, channels];
    let first =
        |builder: &mut Builder| builder.stored(if augment.tints() { "untinted" } else { "batch" }, element, &dims);
    let x = if augment.moves() {
        let maps = builder.slot(slots::MAPS, Element::F32, &[batch, 6], Role::Input);
        let keys = builder.slot(slots::KEYS, Element::U32, &[batch], Role::Input);
        let x = first(builder);
        let shape = WarpShape { images, batch, height, width, channels, scale, elastic: augment.elastic };
        builder.call::<Warp>(Section::Gather, shape, &[bytes, rows, maps, keys, x]);
        x
    } else {
        let x = first(builder);
        let shape = GatherShape { images, batch, pixels, channels, scale };
        builder.call::<Gather>(Section::Gather, shape, &[bytes, rows, x]);
        x
    };
    if !augment.tints() {
        return x;
    }
    let colours = builder.slot(slots::COLOURS, Element::F32, &[batch, 3, 4], Role::Input);
    let blanks = builder.slot(slots::BLANKS, Element::F32, &[batch, 4], Role::Input);
    let y = builder.stored("batch", element, &dims);
    let shape = TintShape { batch, height, width, channels, scale };
    builder.call::<Tint>(Section::Gather, shape, &[x, colours, blanks, y]);
    y
}

/// The plan of a training step as `config` has it. Of random triplets the rows are in the order of [`Branch::ALL`].
///
/// Where a step is cut into [shares](Config::shares), gather, forward and backward are of the rows of one share, the
/// loss is of all rows, and there are two [meetings](Plan::meetings): of the embeddings, and of the gradient by them.
pub fn training_plan(net: &Net, source: &Source, config: &Config) -> Plan {
    rank_plan(net, source, config, config.shares)
}

/// The [`training_plan`] of one of several ranks, which computes so many shares of a step. Their gradients are summed
/// by [halves](crate::crew::Halves): for each round there is a slot [`slots::SUMS`], a call that keeps in it what is in
/// [`slots::GRADIENTS`], and one that adds it to what is there.
pub fn rank_plan(net: &Net, source: &Source, config: &Config, turns: usize) -> Plan {
    let mut builder = Builder::default();
    let batch = &config.batch;
    let tensors = net.declare(&mut builder, slots::PARAMETERS, true);
    let rows = config.rows_of_share();
    let x = gather(&mut builder, net, source, rows, &config.augment, config.storage);
    let forward = net.forward(&mut builder, &tensors, rows, x);
    let tensors = Head::new(config, net.dims(), source.classes).declare(&mut builder);
    let (dims, classes) = (net.dims(), source.classes);
    let slot = match config.shares {
        1 => forward.embedding(),
        _ => {
            let all = builder.slot(slots::EMBEDDINGS, Element::F32, &[batch.rows(), dims], Role::Input);
            builder.meet(forward.embedding(), all);
            all
        }
    };
    let embeddings = Embeddings {
        slot,
        dims,
        batch,
        classes,
        memory: config.memory,
        old: config.compatible.is_some(),
        tensors: &tensors,
    };
    let loss = config.loss.lower(&mut builder, &embeddings);
    let gradient = match config.shares {
        1 => loss.gradient,
        _ => {
            let share = builder.slot(slots::SHARE_DX, Element::F32, &[rows, dims], Role::Input);
            builder.meet(share, loss.gradient);
            share
        }
    };
    match config.again {
        false => net.backward(&mut builder, &forward, gradient),
        true => net.backward_again(&mut builder, &forward, gradient),
    }

    let [parameters, gradients] = [slots::PARAMETERS, slots::GRADIENTS].map(|name| builder.id(name));
    let moments = slots::MOMENTS.map(|name| builder.id(name));
    let length = builder.len(parameters);
    for round in 0..turns.next_power_of_two().trailing_zeros() {
        let sum = builder.slot(format!("{}.{round}", slots::SUMS), Element::F32, &[length], Role::Gradient);
        let whole = SliceShape::new(length / ALIGNMENT, [1, 1, ALIGNMENT], [1, 1, ALIGNMENT], 0);
        builder.call::<Slice>(Section::Sum, whole, &[gradients, sum]);
        builder.call::<AddTo>(Section::Sum, AddToShape { length }, &[sum, gradients]);
    }
    let norm = NormShape::new(length);
    let chunks = norm.chunks();
    let partial = builder.activation("norm", &[chunks, 2]);
    // The first two columns make the loss.
    let per: Vec<f32> = config.loss.terms()[2..].iter().map(|term| config.loss.count(batch, term.per) as f32).collect();
    let statistics = StatisticsShape::new(loss.rows, &per, chunks);
    let stats = builder.statistics(slots::STATS, config.loss.statistics());
    let step = builder.slot(slots::STEP, Element::F32, &[4], Role::Input);
    builder.call::<Norm>(Section::Update, norm, &[gradients, partial]);
    let at = statistics.norm();
    builder.call::<Statistics>(Section::Update, statistics, &[loss.terms, partial, stats]);
    let Update::Adam { beta1, beta2, epsilon, .. } = config.update;
    let clip = config.clip.unwrap_or(0.0);
    let adam = AdamShape { length, beta1, beta2, epsilon, clip, norm: at };
    let arenas = [gradients, parameters, moments[0], moments[1]];
    if config.is_grouped() {
        let rates = builder.slot(slots::RATES, Element::F32, &[length / ALIGNMENT, 2], Role::Input);
        let shape = AdamGroupsShape { adam: adam.clone(), alike: ALIGNMENT };
        builder.call::<AdamGroups>(Section::Update, shape, &[&[step, stats, rates], &arenas[..]].concat());
    } else {
        builder.call::<Adam>(Section::Update, adam.clone(), &[&[step, stats], &arenas[..]].concat());
    }
    if let Some(head) = builder.find(slots::HEAD) {
        // Norm, clip and decay are of the network alone: how long a head's gradient is depends on scale and margin.
        let shape = AdamShape { length: builder.len(head), clip: 0.0, ..adam };
        let step = builder.slot(slots::HEAD_STEP, Element::F32, &[4], Role::Input);
        let gradients = builder.id(slots::HEAD_GRADIENTS);
        let [first, second] = slots::HEAD_MOMENTS.map(|name| builder.id(name));
        builder.call::<Adam>(Section::Update, shape, &[step, stats, gradients, head, first, second]);
    }
    if config.average.is_some() {
        let average = builder.slot(slots::AVERAGE, Element::F32, &[length], Role::Parameter);
        builder.call::<Average>(Section::Update, AverageShape { length }, &[step, parameters, average]);
        if let Some(state) = builder.find(slots::STATE) {
            let length = builder.len(state);
            let average = builder.slot(slots::AVERAGE_STATE, Element::F32, &[length], Role::State);
            builder.call::<Average>(Section::Update, AverageShape { length }, &[step, state, average]);
        }
    }
    builder.finish()
}

/// The plan that embeds `batch` images: gather and forward only, with the weights of arena `arena`
/// ([`slots::PARAMETERS`] or [`slots::AVERAGE`]), everything stored in 32 bits. The embeddings are the slot
/// [`embedding_slot`]. Where mirror images [take part](crate::config::Config::flip), each goes through the network
/// behind its image.
pub fn inference_plan(net: &Net, source: &Source, batch: usize, arena: &str) -> Plan {
    let mut builder = Builder::default();
    let tensors = net.declare(&mut builder, arena, false);
    let x = gather(&mut builder, net, source, batch, &Augment::NONE, Storage::F32);
    if !net.flip {
        net.forward(&mut builder, &tensors, batch, x);
        return builder.finish();
    }
    let ([height, width, channels], dims) = (net.input, net.dims());
    let both = builder.activation("mirrored", &[batch, 2, height, width, channels]);
    builder.call::<Mirror>(Section::Gather, MirrorShape { batch, height, width, channels }, &[x, both]);
    let single = net.forward(&mut builder, &tensors, 2 * batch, both).embedding();
    // A mean is a sum of another length.
    let mean = builder.activation("mirrored.mean", &[batch, dims]);
    builder.call::<Mean>(Section::Forward, MeanShape { batch, pixels: 2, channels: dims }, &[single, mean]);
    let embedding = builder.activation(MIRRORED, &[batch, dims]);
    let norm = builder.activation("mirrored.norm", &[batch]);
    builder.call::<L2Norm>(Section::Forward, L2NormShape { rows: batch, dims }, &[mean, embedding, norm]);
    builder.finish()
}

/// Name of the slot with the embeddings that images and their mirror images make together.
const MIRRORED: &str = "mirrored.embedding";

/// Name of the slot that holds the embeddings of a training or inference plan of `net`: that of the last layer that
/// does anything there.
pub fn embedding_slot<'a>(net: &'a Net, plan: &Plan) -> &'a str {
    if plan.find(MIRRORED).is_some() {
        return MIRRORED;
    }
    let last = net.nodes.iter().rev().find(|node| plan.find(&node.name).is_some());
    last.map_or("batch", |node| &node.name)
}

/// The plan that finds the `k` nearest of `references` embeddings for each of `queries`.
pub fn neighbours_plan(queries: usize, references: usize, dims: usize, k: usize) -> Plan {
    let mut builder = Builder::default();
    let query = builder.slot(slots::QUERY, Element::F32, &[queries, dims], Role::Input);
    let reference = builder.slot(slots::REFERENCE, Element::F32, &[references, dims], Role::Input);
    let distance = builder.activation("distance", &[queries, references]);
    let index = builder.slot(slots::INDEX, Element::U32, &[queries, k], Role::Activation);
    let nearest = builder.activation(slots::NEAREST, &[queries, k]);
    let shape = DistancesShape { queries, references, dims };
    builder.call::<Distances>(Section::Forward, shape, &[query, reference, distance]);
    builder.call::<TopK>(Section::Forward, TopKShape { queries, references, k }, &[distance, index, nearest]);
    builder.finish()
}
