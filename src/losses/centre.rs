//! A softmax over the classes with a pull of each image to the centre of its class, see [`Centre`].

use super::{
    Ailment, Chart, Count, Embeddings, Family, LABELS, Line, Lowered, Objective, Range, SHARPNESS, Stretch, TESTED,
    Term, heads, settings, softmax,
};
use crate::kernels::{self, CentreShape, MarginSoftmaxShape, Recentre, RecentreShape};
use crate::layers::{Layout, Start, Tensor};
use crate::plan::{Builder, Section};
use crate::sampler::Batch;

/// The softmax loss and `weight`/2 times the squared distance of each embedding to the mean of its class, which follows
/// the batches by a share of the way (Wen et al., *A Discriminative Feature Learning Approach for Deep Face
/// Recognition*, 2016, equations 4 and 5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Centre {
    /// Factor on half the squared distance to the centre.
    pub weight: f32,
    /// Share of the way to its images that a centre goes in a step.
    pub follow: f32,
    /// Factor on the products.
    pub scale: f32,
    /// See [`Loss::rate`](super::Loss::rate).
    pub rate: f32,
}

impl Objective for Centre {
    const NAME: &'static str = "centre";
    const ABOUT: &'static str = "softmax, and a pull of each image to the centre of its class";
    const FAMILY: Family = Family {
        terms: &[
            heads::SOFTMAX.terms[0],
            heads::SOFTMAX.terms[1],
            heads::SOFTMAX.terms[2],
            heads::SOFTMAX.terms[3],
            heads::SOFTMAX.terms[4],
            Term { name: "d_centre", per: Count::Rows },
        ],
        charts: &[
            heads::SOFTMAX.charts[0],
            heads::SOFTMAX.charts[1],
            Chart {
                name: "centres",
                title: "Mean distance to the centre of the class",
                axis: "distance",
                share: false,
                lines: &[Line { statistic: "d_centre", label: "" }],
            },
        ],
        tensors: |dims, classes| {
            let layout = Layout::new(&[&[classes], &[dims]], &[&[0], &[1]]);
            vec![heads::vectors(dims, classes), Tensor::state("centres", layout, Start::Zeros)]
        },
        ..heads::SOFTMAX
    };
    const UNIT: bool = false;

    settings! {
        weight = 0.01 in Range::NotNegative, "factor on half the squared distance to the centre";
        follow = 0.5 in Range::Within(0.0, 1.0), "share of the way to its images that a centre goes in a step";
        scale = 1.0 in SHARPNESS, softmax::SCALE;
        rate = 1.0 in Range::Positive, heads::RATE;
    }

    fn cases() -> Vec<(Centre, Batch)> {
        vec![(Centre { weight: 0.5, follow: 0.5, scale: 4.0, rate: 1.0 }, TESTED)]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        let Embeddings { slot: embedding, dims, batch, classes, .. } = *embeddings;
        let rows = batch.rows();
        let softmax = |sizes| MarginSoftmaxShape::new(sizes, self.scale);
        let lowered = heads::softmax::<Self>(builder, embeddings, softmax);
        let labels = builder.id(LABELS);
        let centres = embeddings.tensor("centres").value;
        let shape = CentreShape { rows, dims, classes, weight: self.weight };
        let args = [labels, embedding, centres, lowered.terms, lowered.gradient];
        builder.call::<kernels::Centre>(Section::Loss, shape, &args);
        let shape = RecentreShape { rows, dims, classes, rate: self.follow };
        builder.later::<Recentre>(Section::Update, shape, &[labels, embedding, centres]);
        lowered
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        heads::ailment(stretch)
    }
}
