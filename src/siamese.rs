//! The Siamese network: three branches over one set of weights, their loss, and the plans that train and apply it.

use std::ops::Range;

use crate::config::{Distance, Loss, Update};
use crate::data::Dataset;
use crate::kernel::Element;
use crate::kernels::{
    Adam, AdamShape, Distances, DistancesShape, Gather, GatherShape, Norm, NormShape, Statistics, StatisticsShape,
    TopK, TopKShape, Triplet, TripletDx, TripletShape,
};
use crate::net::Net;
use crate::plan::{Builder, Plan, Role, Section, SlotId};

/// One of the three inputs of a triplet. The branches share their weights because they are rows of one batch over one
/// weight slot; their gradients are summed because the weight-gradient kernels sum over rows.
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
    /// Name of its images' slot. Equal names mean equal images: runners share the slot.
    pub slot: String,
    /// Number of images.
    pub images: usize,
    /// Factor on their bytes.
    pub scale: f32,
}

impl Source {
    /// The images of `data`, scaled.
    pub fn new(data: &Dataset, scale: f32) -> Source {
        Source { slot: format!("{}.images", data.name), images: data.len(), scale }
    }
}

/// Names of the slots that the host writes and reads.
pub mod slots {
    /// Row numbers of the batch.
    pub const ROWS: &str = "rows";
    /// Scalars of the optimiser, see [`Update::scalars`](crate::config::Update::scalars).
    pub const STEP: &str = "step";
    /// The statistics of a step, see [`Stats`](super::Stats).
    pub const STATS: &str = "stats";
    /// Arena of the trained values.
    pub const PARAMETERS: &str = "parameters";
    /// Arenas of the moments.
    pub const MOMENTS: [&str; 2] = ["moment1", "moment2"];
    /// Queries of a neighbours plan.
    pub const QUERY: &str = "query";
    /// References of a neighbours plan.
    pub const REFERENCE: &str = "reference";
    /// Answer of a neighbours plan.
    pub const INDEX: &str = "index";
}

/// What a training step reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// Mean hinge of the batch.
    pub loss: f32,
    /// Share of the triplets that violate the margin.
    pub active: f32,
    /// Mean distance of anchor and positive.
    pub d_ap: f32,
    /// Mean distance of anchor and negative.
    pub d_an: f32,
    /// Euclidean norm of the whole gradient.
    pub gradient_norm: f32,
    /// Gradient values that are infinite or NaN.
    pub non_finite: f32,
}

impl Stats {
    /// From the values of slot [`slots::STATS`].
    pub fn from_slot(values: &[f32]) -> Stats {
        let &[loss, active, d_ap, d_an, gradient_norm, non_finite] = values else {
            panic!("a step has six statistics, not {}", values.len())
        };
        Stats { loss, active, d_ap, d_an, gradient_norm, non_finite }
    }
}

fn gather(builder: &mut Builder, net: &Net, source: &Source, batch: usize) -> SlotId {
    let (pixels, images) = (net.pixels(), source.images);
    let words = (images * pixels).div_ceil(4);
    let bytes = builder.slot(&source.slot, Element::U32, &[words], Role::Input);
    let rows = builder.slot(slots::ROWS, Element::U32, &[batch], Role::Input);
    let [height, width, channels] = net.input;
    let x = builder.activation("batch", &[batch, height, width, channels]);
    let shape = GatherShape { images, batch, pixels, scale: source.scale };
    builder.call::<Gather>(Section::Gather, shape, &[bytes, rows, x]);
    x
}

/// The plan of a training step on `triplets` triplets: 3 · `triplets` rows, in the order of [`Branch::ALL`].
pub fn training_plan(net: &Net, source: &Source, triplets: usize, loss: Loss, update: Update) -> Plan {
    let mut builder = Builder::default();
    let tensors = net.declare(&mut builder, true);
    let x = gather(&mut builder, net, source, 3 * triplets);
    let forward = net.forward(&mut builder, &tensors, 3 * triplets, x);

    let embedding = forward.embedding();
    let dims = net.dims();
    let scale = match loss.distance {
        Distance::SquaredEuclidean => 1.0,
        Distance::MeanSquare => 1.0 / dims as f32,
    };
    let shape = TripletShape { triplets, dims, margin: loss.margin, scale };
    let terms = builder.activation("terms", &[triplets, 4]);
    let gradient = builder.activation("embedding.dx", &[3 * triplets, dims]);
    builder.call::<Triplet>(Section::Loss, shape.clone(), &[embedding, terms]);
    builder.call::<TripletDx>(Section::Loss, shape, &[embedding, terms, gradient]);

    net.backward(&mut builder, &forward, gradient);

    let [parameters, gradients] = [slots::PARAMETERS, "gradients"].map(|name| builder.id(name));
    let moments = slots::MOMENTS.map(|name| builder.id(name));
    let length = builder.len(parameters);
    let norm = NormShape::new(length);
    let chunks = norm.chunks();
    let partial = builder.activation("norm", &[chunks, 2]);
    let stats = builder.slot(slots::STATS, Element::F32, &[6], Role::Statistic);
    let step = builder.slot(slots::STEP, Element::F32, &[3], Role::Input);
    builder.call::<Norm>(Section::Update, norm, &[gradients, partial]);
    builder.call::<Statistics>(Section::Update, StatisticsShape { triplets, chunks }, &[terms, partial, stats]);
    let Update::Adam { beta1, beta2, epsilon } = update;
    let shape = AdamShape { length, beta1, beta2, epsilon };
    builder.call::<Adam>(Section::Update, shape, &[step, gradients, parameters, moments[0], moments[1]]);
    builder.finish()
}

/// The plan that embeds `batch` images: gather and forward only. The embeddings are the slot [`embedding_slot`].
pub fn inference_plan(net: &Net, source: &Source, batch: usize) -> Plan {
    let mut builder = Builder::default();
    let tensors = net.declare(&mut builder, false);
    let x = gather(&mut builder, net, source, batch);
    net.forward(&mut builder, &tensors, batch, x);
    builder.finish()
}

/// Name of the slot that holds the embeddings of a training or inference plan: the last layer's.
pub fn embedding_slot(net: &Net) -> &str {
    net.nodes.last().map_or("batch", |node| &node.name)
}

/// The plan that finds the `k` nearest of `references` embeddings for each of `queries`.
pub fn neighbours_plan(queries: usize, references: usize, dims: usize, k: usize) -> Plan {
    let mut builder = Builder::default();
    let query = builder.slot(slots::QUERY, Element::F32, &[queries, dims], Role::Input);
    let reference = builder.slot(slots::REFERENCE, Element::F32, &[references, dims], Role::Input);
    let distance = builder.activation("distance", &[queries, references]);
    let index = builder.slot(slots::INDEX, Element::U32, &[queries, k], Role::Activation);
    let nearest = builder.activation("nearest", &[queries, k]);
    let shape = DistancesShape { queries, references, dims };
    builder.call::<Distances>(Section::Forward, shape, &[query, reference, distance]);
    builder.call::<TopK>(Section::Forward, TopKShape { queries, references, k }, &[distance, index, nearest]);
    builder.finish()
}
