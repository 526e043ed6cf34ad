//! The proxy-anchor loss, see [`ProxyAnchor`].

use super::{
    Ailment, COLLAPSED, Chart, Count, Distance, Embeddings, Line, Lowered, Objective, Range, Setting, Settings,
    Stretch, Term, check, heads,
};
use crate::error::{Error, Result};
use crate::kernels::{
    self, Activation, Dense, DenseDw, DenseDwShape, DenseDx, DenseDxShape, DenseShape, ProxyAnchorShape,
};
use crate::layers::Tensor;
use crate::plan::{Builder, Section};
use crate::sampler::{Batch, Mining};

/// A proxy for each class is the anchor that its own images are pulled to and all others pushed from, the hardest most
/// (Kim et al., *Proxy Anchor Loss for Deep Metric Learning*, 2020, equation 4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProxyAnchor {
    /// Factor on the cosines in exponents.
    pub alpha: f32,
    /// How far from 0 the cosines are wanted, to either side.
    pub margin: f32,
    /// See [`Loss::rate`](super::Loss::rate).
    pub rate: f32,
}

impl Objective for ProxyAnchor {
    const NAME: &'static str = "proxy-anchor";
    const ABOUT: &'static str = "a proxy for each class pulls its own images and pushes all others, the hardest most";
    const SETTINGS: &'static [Setting] = &[
        Setting {
            name: "alpha",
            default: 32.0,
            range: Range::Positive,
            about: "the higher, the more the hardest images decide",
        },
        Setting {
            name: "margin",
            default: 0.1,
            range: Range::Within(0.0, 1.0),
            about: "the cosine to the own proxy that is wanted at least, and with the other sign to others at most",
        },
        heads::rate(10.0),
    ];
    const UNIT: bool = true;
    const PAIRS: bool = false;
    const TERMS: &'static [Term] = &[
        Term { name: "cost", per: Count::Counted },
        Term { name: "count", per: Count::Counted },
        Term { name: "s_own", per: Count::Rows },
        Term { name: "s_other", per: Count::Rows },
    ];
    const CHARTS: &'static [Chart] = &[Chart {
        name: "products",
        title: "Mean cosine to a proxy",
        axis: "cosine",
        share: false,
        lines: &[
            Line { statistic: "s_own", label: "image and own proxy" },
            Line { statistic: "s_other", label: "image and other proxies" },
        ],
    }];

    fn cases() -> Vec<(ProxyAnchor, Batch)> {
        let batch = Batch::Mined { labels: 3, images: 4, mining: Mining::SemiHard };
        vec![(ProxyAnchor { alpha: 8.0, margin: 0.1, rate: 1.0 }, batch)]
    }

    fn distance(&self) -> Distance {
        Distance::SquaredEuclidean
    }

    fn validate(&self) -> Result<()> {
        check(Self::NAME, Self::SETTINGS, &self.settings())
    }

    fn takes(&self, batch: &Batch) -> Result<()> {
        match batch {
            // Which are the classes that have images must be known beforehand: how many.
            Batch::Random { .. } => {
                let reason = format!("{batch}: {} takes labels x images, such as 32x4", Self::NAME);
                Err(Error::config("--batch", reason))
            }
            Batch::Mined { .. } => Ok(()),
        }
    }

    fn count(&self, batch: &Batch, of: Count) -> u64 {
        heads::count(batch, of)
    }

    fn of(settings: &Settings) -> ProxyAnchor {
        let [alpha, margin, rate] = ["alpha", "margin", "rate"].map(|name| settings.get(name));
        ProxyAnchor { alpha, margin, rate }
    }

    fn settings(&self) -> Vec<(&'static str, f32)> {
        vec![("alpha", self.alpha), ("margin", self.margin), ("rate", self.rate)]
    }

    fn tensors(&self, dims: usize, classes: usize) -> Vec<Tensor> {
        vec![heads::vectors(dims, classes)]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        let Embeddings { slot: embedding, dims, batch, classes, .. } = *embeddings;
        let Batch::Mined { labels: present, .. } = *batch else { panic!("{} takes no triplets", Self::NAME) };
        let rows = batch.rows();
        let labels = embeddings.labels(builder);
        let proxies = heads::Vectors::of(builder, embeddings, Self::UNIT);
        // A class a row: first the cosines, then the loss's gradient by them.
        let cosines = builder.activation("products", &[classes, rows]);
        let terms = builder.activation("terms", &[classes, Self::TERMS.len()]);
        let gradient = builder.activation("embedding.dx", &[rows, dims]);
        let zeros = builder.zeros(dims);
        let forward = DenseDxShape { rows: classes, inputs: rows, outputs: dims };
        builder.call::<DenseDx>(Section::Loss, forward, &[proxies.slot, embedding, cosines]);
        let shape = ProxyAnchorShape { rows, classes, present, alpha: self.alpha, margin: self.margin };
        builder.call::<kernels::ProxyAnchor>(Section::Loss, shape, &[labels, cosines, terms]);
        let shape = DenseDwShape::new(classes, rows, dims);
        let splits = shape.splits;
        heads::summed::<DenseDw>(builder, (shape, splits), [cosines, proxies.slot], ("head.partial", gradient));
        proxies.train(builder, |builder, dy| {
            let shape = DenseShape { rows: classes, inputs: rows, outputs: dims, activation: Activation::None };
            builder.call::<Dense>(Section::Loss, shape, &[cosines, embedding, zeros, dy]);
        });
        Lowered { gradient, terms, rows: classes }
    }

    fn ailment(&self, _: &Batch, stretch: &Stretch) -> Option<Ailment> {
        let [own, other] = ["s_own", "s_other"].map(|name| stretch.mean(name));
        if own - other >= NEAR {
            return None;
        }
        let words = "the embeddings have collapsed: images are as near to other proxies as to their own. Start again \
                     with a lower --learning-rate or a --warmup";
        Some(Ailment { name: COLLAPSED, words: words.to_owned() })
    }
}

/// What cosines must differ by.
const NEAR: f64 = 0.02;
