//! The proxy-anchor loss, see [`ProxyAnchor`].

use super::{
    Ailment, COST, COUNT, Chart, Count, Embeddings, Family, Line, Lowered, Objective, Range, SHARPNESS, Stretch,
    TESTED, Term, heads, settings,
};
use crate::error::Error;
use crate::kernels::{
    self, Activation, Dense, DenseDw, DenseDwShape, DenseDx, DenseDxShape, DenseShape, ProxyAnchorShape,
};
use crate::plan::{Builder, Section};
use crate::sampler::Batch;

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
    const FAMILY: Family = Family {
        terms: &[COST, COUNT, Term { name: "s_own", per: Count::Rows }, Term { name: "s_other", per: Count::Rows }],
        charts: &[Chart {
            name: "products",
            title: "Mean cosine to a proxy",
            axis: "cosine",
            share: false,
            lines: &[
                Line { statistic: "s_own", label: "image and own proxy" },
                Line { statistic: "s_other", label: "image and other proxies" },
            ],
        }],
        takes: |name, batch| match batch {
            // Which are the classes that have images must be known beforehand: how many.
            Batch::Random { .. } => {
                Err(Error::config("--batch", format!("{batch}: {name} takes labels x images, such as 32x4")))
            }
            Batch::Mined { .. } => Ok(()),
        },
        ..heads::SOFTMAX
    };
    const UNIT: bool = true;

    settings! {
        alpha = 32.0 in SHARPNESS, "the higher, the more the hardest images decide";
        margin = 0.1 in Range::Within(0.0, 1.0),
            "the cosine to the own proxy that is wanted at least, and with the other sign to others at most";
        rate = 10.0 in Range::Positive, heads::RATE;
    }

    fn cases() -> Vec<(ProxyAnchor, Batch)> {
        vec![(ProxyAnchor { alpha: 8.0, margin: 0.1, rate: 1.0 }, TESTED)]
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        let Embeddings { slot: embedding, dims, batch, classes, .. } = *embeddings;
        let Batch::Mined { labels: present, .. } = *batch else { panic!("{} takes no triplets", Self::NAME) };
        let rows = batch.rows();
        let labels = embeddings.labels(builder);
        let proxies = heads::Vectors::of(builder, embeddings, Self::UNIT);
        // A class a row: first the cosines, then the loss's gradient by them.
        let cosines = builder.activation("products", &[classes, rows]);
        let terms = builder.activation("terms", &[classes, Self::FAMILY.terms.len()]);
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
        (own - other < NEAR).then(|| Ailment::collapsed("images are as near to other proxies as to their own"))
    }
}

/// What cosines must differ by.
const NEAR: f64 = 0.02;
