//! What the losses on the pairs of a P×K batch have in common: their terms, charts, batches, calls and ailments.

use super::{Ailment, COST, COUNT, Chart, Count, D_AN, D_AP, Embeddings, Family, Line, Lowered, Stretch, Term};
use crate::error::{Error, Result};
use crate::kernel::{Element, Kernel};
use crate::kernels::{
    Distances, DistancesShape, Enqueue, EnqueueShape, JoinCosts, JoinCostsShape, MemoryDx, MemoryDxShape, MineDx,
    MineDxShape, PairLoss, PairsShape, Pairwise, SumRows, SumRowsShape,
};
use crate::plan::{Builder, Role, Section, SlotId};
use crate::sampler::Batch;

/// The most images of a mined batch: their distances are a matrix.
const MOST_ROWS: usize = 8192;

/// Losses in which every pair has a weight.
pub(super) const ALL_ACTIVE: Family = Family {
    pairs: true,
    terms: &[COST, COUNT, D_AP, D_AN],
    charts: &[super::DISTANCES],
    takes,
    count,
    tensors: |_, _| vec![],
};

/// Losses in which not every pair has.
pub(super) const SOME_ACTIVE: Family = Family {
    terms: &[COST, COUNT, D_AP, D_AN, Term { name: "active", per: Count::Pairs }],
    charts: &[
        Chart {
            name: "active",
            title: "Active pairs",
            axis: "share",
            share: true,
            lines: &[Line { statistic: "active", label: "" }],
        },
        super::DISTANCES,
    ],
    ..ALL_ACTIVE
};

/// Each of some settings with a batch that tests run.
pub(super) fn cases<L>(settings: impl IntoIterator<Item = L>) -> Vec<(L, Batch)> {
    settings.into_iter().map(|loss| (loss, super::TESTED)).collect()
}

/// Whether the loss `name` can be had of a batch.
pub(super) fn takes(name: &'static str, batch: &Batch) -> Result<()> {
    let reason = match *batch {
        Batch::Random { .. } => format!("{batch}: {name} takes labels x images, such as 10x32"),
        Batch::Mined { labels, images, .. } if labels < 2 || images < 2 => {
            format!("{batch}: {name} needs 2 labels or more, and 2 images or more of each")
        }
        Batch::Mined { .. } if batch.rows() > MOST_ROWS => {
            format!("{batch}: more images than the {MOST_ROWS} whose pairs can be had at once")
        }
        Batch::Mined { .. } => return Ok(()),
    };
    Err(Error::config("--batch", reason))
}

/// How many a batch has.
pub(super) fn count(batch: &Batch, of: Count) -> u64 {
    let (labels, images) = sizes(batch);
    let [rows, positives, negatives] = [labels * images, images - 1, (labels - 1) * images].map(|count| count as u64);
    match of {
        Count::Counted => 1,
        Count::Rows => rows,
        Count::Triplets => rows * positives * negatives,
        Count::Pairs => rows * (positives + negatives),
        Count::Positives => rows * positives,
        Count::Negatives => rows * negatives,
    }
}

/// Labels and images of each.
fn sizes(batch: &Batch) -> (usize, usize) {
    let Batch::Mined { labels, images, .. } = *batch else { panic!("a loss on pairs takes no batch of triplets") };
    (labels, images)
}

/// The pairs of a batch's rows with references, as the kernels of a loss read them.
pub(super) struct Pairs {
    /// What the names of slots begin with.
    prefix: &'static str,
    /// Rows of the batch.
    pub rows: usize,
    references: usize,
    itself: bool,
    /// Their squared distances.
    pub distance: SlotId,
    /// The labels of the rows.
    pub labels: SlotId,
    /// Those of the references.
    pub reference_labels: SlotId,
}

/// What a loss makes of pairs.
struct Weighed {
    /// Derivatives of the cost by the squared distances.
    weights: SlotId,
    terms: SlotId,
    /// Sums of the terms.
    totals: SlotId,
}

impl Pairs {
    /// Adds the distances of a batch's rows to each other.
    fn among(builder: &mut Builder, embeddings: &Embeddings) -> Pairs {
        let labels = embeddings.labels(builder);
        let rows = embeddings.batch.rows();
        Pairs::of(builder, embeddings, ("", embeddings.slot, rows), [labels, labels])
    }

    /// Adds the distances to `references` embeddings in slot `slot`.
    fn of(
        builder: &mut Builder,
        embeddings: &Embeddings,
        (prefix, slot, references): (&'static str, SlotId, usize),
        [labels, reference_labels]: [SlotId; 2],
    ) -> Pairs {
        let (rows, dims) = (embeddings.batch.rows(), embeddings.dims);
        let distance = builder.activation(format!("{prefix}distance"), &[rows, references]);
        let shape = DistancesShape { queries: rows, references, dims };
        builder.call::<Distances>(Section::Loss, shape, &[embeddings.slot, slot, distance]);
        Pairs { prefix, rows, references, itself: slot == embeddings.slot, distance, labels, reference_labels }
    }

    /// Adds a slot that belongs to them.
    pub fn activation(&self, builder: &mut Builder, name: &str, dims: &[usize]) -> SlotId {
        builder.activation(format!("{}{name}", self.prefix), dims)
    }

    /// They, under settings.
    pub fn shape<S>(&self, settings: S) -> PairsShape<S> {
        PairsShape { queries: self.rows, references: self.references, itself: self.itself, settings }
    }

    /// Adds what a loss makes of them, in slots for weights and terms, with the sums of the terms.
    fn weighed(
        &self,
        builder: &mut Builder,
        columns: usize,
        add: impl Fn(&mut Builder, &Pairs, [SlotId; 2]),
    ) -> Weighed {
        let weights = self.activation(builder, "weights", &[self.rows, self.references]);
        let terms = self.activation(builder, "terms", &[self.rows, columns]);
        add(builder, self, [weights, terms]);
        let totals = self.activation(builder, "totals", &[columns]);
        let shape = SumRowsShape { rows: self.rows, columns, splits: 1 };
        builder.call::<SumRows>(Section::Loss, shape, &[terms, totals]);
        Weighed { weights, terms, totals }
    }
}

/// Adds what follows from the weights of all pairs and the terms of all rows, which `add` makes of slots for them; of
/// the pairs in the batch, and of those with further references, which have no gradient: its memory, and embeddings of
/// another model.
pub(super) fn gradient(
    builder: &mut Builder,
    embeddings: &Embeddings,
    columns: usize,
    add: impl Fn(&mut Builder, &Pairs, [SlotId; 2]),
) -> Lowered {
    let Embeddings { slot, dims, batch, memory: places, old, .. } = *embeddings;
    let rows = batch.rows();
    let pairs = Pairs::among(builder, embeddings);
    let Weighed { weights, terms, totals } = pairs.weighed(builder, columns, &add);
    let gradient = builder.activation("embedding.dx", &[rows, dims]);
    let (labels, images) = sizes(batch);
    let shape = MineDxShape { labels, images, dims, scale: 1.0, columns };
    builder.call::<MineDx>(Section::Loss, shape, &[slot, weights, totals, gradient]);
    let further = |builder: &mut Builder, (prefix, reference, references), reference_labels| {
        let pairs = Pairs::of(builder, embeddings, (prefix, reference, references), [pairs.labels, reference_labels]);
        let further = pairs.weighed(builder, columns, &add);
        let shape = MemoryDxShape { rows, references, dims, columns };
        let args = [slot, reference, further.weights, further.totals, gradient];
        builder.call::<MemoryDx>(Section::Loss, shape, &args);
        let args = [further.terms, totals, further.totals, terms];
        builder.call::<JoinCosts>(Section::Loss, JoinCostsShape { rows, columns }, &args);
    };
    if places > 0 {
        let memory = embeddings.tensor(super::MEMORY).value;
        let reference_labels = builder.slot(super::MEMORY_LABELS, Element::U32, &[places], Role::Input);
        let position = builder.slot(super::MEMORY_POSITION, Element::U32, &[1], Role::Input);
        further(builder, ("memory.", memory, places), reference_labels);
        builder.later::<Enqueue>(Section::Update, EnqueueShape { rows, dims, places }, &[position, slot, memory]);
    }
    if old {
        let reference = builder.slot(super::OLD, Element::F32, &[rows, dims], Role::Input);
        further(builder, ("old.", reference, rows), pairs.labels);
    }
    Lowered { gradient, terms, rows }
}

/// Adds the calls of a loss whose kernel is [`Pairwise`].
pub(super) fn lower<L: PairLoss>(settings: L, builder: &mut Builder, embeddings: &Embeddings) -> Lowered
where
    Pairwise<L>: Kernel<Shape = PairsShape<L>>,
{
    gradient(builder, embeddings, L::COLUMNS, |builder, pairs, [weights, terms]| {
        let args = [pairs.distance, pairs.labels, pairs.reference_labels, weights, terms];
        builder.call::<Pairwise<L>>(Section::Loss, pairs.shape(settings.clone()), &args);
    })
}

/// Part of the distance wanted between labels below which a mean distance counts as nothing.
const NOTHING: f64 = 0.01;
/// Part of the distance to negatives by which that to positives must differ.
const DIFFERENCE: f64 = 0.01;

/// What is wrong with a training of which the loss wants labels to be `wanted` apart, as a squared distance.
pub(super) fn ailment(stretch: &Stretch, wanted: f64) -> Option<Ailment> {
    let [d_ap, d_an] = ["d_ap", "d_an"].map(|name| stretch.mean(name));
    if d_an < NOTHING * wanted {
        return Some(Ailment::collapsed("images of different labels lie at almost one point"));
    }
    if let Some(singletons) = Ailment::singletons(d_ap, d_an) {
        return Some(singletons);
    }
    if d_an - d_ap < DIFFERENCE * d_an {
        let words = "positives are as far from their anchors as negatives are. Start again with a lower \
                     --learning-rate or another --seed, and see that the labels are right";
        return Some(Ailment { name: "no order", words: words.to_owned() });
    }
    None
}
