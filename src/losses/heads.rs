//! What the losses with a vector for each class have in common: the vectors, their products with the embeddings, and
//! for those of a softmax terms, charts, calls and ailments.

use super::{Ailment, COST, COUNT, Chart, Count, Embeddings, Family, Line, Lowered, Objective, Stretch, Term};
use crate::kernel::Kernel;
use crate::kernels::{
    Activation, Dense, DenseDw, DenseDwShape, DenseDx, DenseDxShape, DenseShape, L2Norm, L2NormDx, L2NormShape,
    MarginSoftmax, MarginSoftmaxShape, SumRows, SumRowsShape,
};
use crate::layers::{Layout, Tensor};
use crate::plan::{Builder, Section, SlotId};

/// Losses that are a softmax over the classes.
pub(super) const SOFTMAX: Family = Family {
    pairs: false,
    terms: &[
        COST,
        COUNT,
        // Rows whose own class is nearest.
        Term { name: "accuracy", per: Count::Rows },
        Term { name: "s_own", per: Count::Rows },
        Term { name: "s_other", per: Count::Rows },
    ],
    charts: &[
        Chart {
            name: "accuracy",
            title: "Images nearest to their own class",
            axis: "share",
            share: true,
            lines: &[Line { statistic: "accuracy", label: "" }],
        },
        Chart {
            name: "products",
            title: "Mean product with a class",
            axis: "product",
            share: false,
            lines: &[
                Line { statistic: "s_own", label: "image and own class" },
                Line { statistic: "s_other", label: "image and nearest other class" },
            ],
        },
    ],
    takes: |_, _| Ok(()),
    count: |batch, of| if of == Count::Rows { batch.rows() as u64 } else { 1 },
    tensors: |dims, classes| vec![vectors(dims, classes)],
};

/// What the setting [`Loss::rate`](super::Loss::rate) does.
pub(super) const RATE: &str = "how many times the learning rate of the network that of the classes' vectors is";
/// What the factor on the cosines of a softmax over them does.
pub(super) const SCALE: &str = "factor on the cosines";

/// The tensor of the vectors.
pub(super) fn vectors(dims: usize, classes: usize) -> Tensor {
    // Each starts about as long as 1, however many there are.
    Tensor::weight(Layout::new(&[&[classes], &[dims]], &[&[0], &[1]]), dims, dims)
}

/// The vectors of the classes in a plan, `[classes, dims]`.
pub(super) struct Vectors {
    /// As products have them.
    pub slot: SlotId,
    /// The lengths that they were divided by; `None` where they stay as they are.
    norm: Option<SlotId>,
    /// Where their gradient belongs.
    gradient: SlotId,
    shape: L2NormShape,
}

impl Vectors {
    /// Adds the vectors, brought to length 1 where `unit` is set.
    pub fn of(builder: &mut Builder, embeddings: &Embeddings, unit: bool) -> Vectors {
        let weight = embeddings.tensor("weight");
        let gradient = weight.gradient.expect("vectors are trained");
        let shape = L2NormShape { rows: embeddings.classes, dims: embeddings.dims };
        if !unit {
            return Vectors { slot: weight.value, norm: None, gradient, shape };
        }
        let slot = builder.activation("head.unit", &[shape.rows, shape.dims]);
        let norm = builder.activation("head.norm", &[shape.rows]);
        builder.call::<L2Norm>(Section::Loss, shape.clone(), &[weight.value, slot, norm]);
        Vectors { slot, norm: Some(norm), gradient, shape }
    }

    /// Adds their gradient, from that by [`Vectors::slot`], which `add` makes in a slot.
    pub fn train(self, builder: &mut Builder, add: impl FnOnce(&mut Builder, SlotId)) {
        let Some(norm) = self.norm else { return add(builder, self.gradient) };
        let dy = builder.activation("head.dy", &[self.shape.rows, self.shape.dims]);
        add(builder, dy);
        builder.call::<L2NormDx>(Section::Loss, self.shape, &[self.slot, norm, dy, self.gradient]);
    }
}

/// Adds a product that is made in `splits` partial sums, the kernel `K` at `shape` on `args` and an output, to the slot
/// `into`.
pub(super) fn summed<K: Kernel>(
    builder: &mut Builder,
    (shape, splits): (K::Shape, usize),
    args: [SlotId; 2],
    (name, into): (&str, SlotId),
) {
    let columns = builder.len(into);
    let partial = builder.activation(name, &[splits, columns]);
    builder.call::<K>(Section::Loss, shape, &[args[0], args[1], partial]);
    builder.call::<SumRows>(Section::Loss, SumRowsShape { rows: splits, columns, splits: 1 }, &[partial, into]);
}

/// Adds the calls of `L`, a softmax over the classes: by cosines where it counts on length 1. `shape` has rows, classes
/// and columns.
pub(super) fn softmax<L: Objective>(
    builder: &mut Builder,
    embeddings: &Embeddings,
    shape: impl FnOnce([usize; 3]) -> MarginSoftmaxShape,
) -> Lowered {
    let Embeddings { slot: embedding, dims, batch, classes, .. } = *embeddings;
    let (rows, columns) = (batch.rows(), L::FAMILY.terms.len());
    let labels = embeddings.labels(builder);
    let vectors = Vectors::of(builder, embeddings, L::UNIT);
    // First the products, then the loss's gradient by them.
    let products = builder.activation("products", &[rows, classes]);
    let terms = builder.activation("terms", &[rows, columns]);
    let gradient = builder.activation("embedding.dx", &[rows, dims]);
    let zeros = builder.zeros(dims);
    let forward = DenseDxShape { rows, inputs: classes, outputs: dims };
    builder.call::<DenseDx>(Section::Loss, forward, &[embedding, vectors.slot, products]);
    builder.call::<MarginSoftmax>(Section::Loss, shape([rows, classes, columns]), &[labels, products, terms]);
    let back = DenseShape { rows, inputs: classes, outputs: dims, activation: Activation::None };
    builder.call::<Dense>(Section::Loss, back, &[products, vectors.slot, zeros, gradient]);
    vectors.train(builder, |builder, dy| {
        let shape = DenseDwShape::new(rows, classes, dims);
        let splits = shape.splits;
        summed::<DenseDw>(builder, (shape, splits), [products, embedding], ("head.partial", dy));
    });
    Lowered { gradient, terms, rows }
}

/// Part of the products' size within which they are equal.
const EQUAL: f64 = 0.02;
/// Share of images below which hardly any is nearest to its own class.
const HARDLY: f64 = 0.3;

/// What is wrong with a training by a softmax over the classes.
pub(super) fn ailment(stretch: &Stretch) -> Option<Ailment> {
    let [accuracy, own, other] = ["accuracy", "s_own", "s_other"].map(|name| stretch.mean(name));
    // Of what lies at one point every class is as far as any other, and the vectors follow.
    if accuracy < HARDLY && (other - own).abs() < EQUAL * own.abs().max(other.abs()) {
        return Some(Ailment::collapsed("every class is as near to an image as its own"));
    }
    None
}
