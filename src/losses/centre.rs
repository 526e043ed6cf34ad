//! A softmax over the classes with a pull of each image to the centre of its class, see [`Centre`].

use super::{
    Ailment, Chart, Count, Distance, Embeddings, Line, Lowered, Objective, Range, Setting, Settings, Stretch, Term,
    check, heads, softmax,
};
use crate::error::Result;
use crate::kernels::{self, CentreShape, MarginSoftmaxShape, Recentre, RecentreShape};
use crate::layers::{Layout, Start, Tensor};
use crate::plan::{Builder, Section};
use crate::sampler::{Batch, Mining};

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
    const SETTINGS: &'static [Setting] = &[
        Setting {
            name: "weight",
            default: 0.01,
            range: Range::NotNegative,
            about: "factor on half the squared distance to the centre",
        },
        Setting {
            name: "follow",
            default: 0.5,
            range: Range::Within(0.0, 1.0),
            about: "share of the way to its images that a centre goes in a step",
        },
        softmax::SCALE,
        heads::rate(1.0),
    ];
    const UNIT: bool = false;
    const PAIRS: bool = false;
    const TERMS: &'static [Term] = &[
        heads::SOFTMAX[0],
        heads::SOFTMAX[1],
        heads::SOFTMAX[2],
        heads::SOFTMAX[3],
        heads::SOFTMAX[4],
        Term { name: "d_centre", per: Count::Rows },
    ];
    const CHARTS: &'static [Chart] = &[
        heads::SOFTMAX_CHARTS[0],
        heads::SOFTMAX_CHARTS[1],
        Chart {
            name: "centres",
            title: "Mean distance to the centre of the class",
            axis: "distance",
            share: false,
            lines: &[Line { statistic: "d_centre", label: "" }],
        },
    ];

    fn cases() -> Vec<(Centre, Batch)> {
        let batch = Batch::Mined { labels: 3, images: 4, mining: Mining::SemiHard };
        vec![(Centre { weight: 0.5, follow: 0.5, scale: 4.0, rate: 1.0 }, batch)]
    }

    fn distance(&self) -> Distance {
        Distance::SquaredEuclidean
    }

    fn validate(&self) -> Result<()> {
        check(Self::NAME, Self::SETTINGS, &self.settings())
    }

    fn takes(&self, _: &Batch) -> Result<()> {
        Ok(())
    }

    fn count(&self, batch: &Batch, of: Count) -> u64 {
        heads::count(batch, of)
    }

    fn of(settings: &Settings) -> Centre {
        let [weight, follow, scale, rate] = ["weight", "follow", "scale", "rate"].map(|name| settings.get(name));
        Centre { weight, follow, scale, rate }
    }

    fn settings(&self) -> Vec<(&'static str, f32)> {
        vec![("weight", self.weight), ("follow", self.follow), ("scale", self.scale), ("rate", self.rate)]
    }

    fn tensors(&self, dims: usize, classes: usize) -> Vec<Tensor> {
        let layout = Layout::new(&[&[classes], &[dims]], &[&[0], &[1]]);
        vec![heads::vectors(dims, classes), Tensor::state("centres", layout, Start::Zeros)]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        let Embeddings { slot: embedding, dims, batch, classes, .. } = *embeddings;
        let rows = batch.rows();
        let shape = MarginSoftmaxShape::new([rows, classes, Self::TERMS.len()], self.scale, 0.0, 0.0, 0.0);
        let lowered = heads::softmax(builder, embeddings, Self::UNIT, shape);
        let labels = builder.id(super::LABELS);
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
