//! Losses with weights of their own, a vector or a centre for each class: what they make of the products of rows and
//! classes, which are dense products, and of the distances to centres.

use std::ops::Range;

use super::terms::{COST, COUNT};
use super::{add_scaled, shader};
use crate::host::Real;
use crate::kernel::{Arg, Fill, Io, Kernel, Routine, Shader, Tolerance, Work, shape};

/// Columns of the terms of these losses behind [`COST`] and [`COUNT`], as the shaders have them.
pub mod terms {
    /// Of [`MarginSoftmax`](super::MarginSoftmax): 1 where no other class is as near as the own one.
    pub const HIT: usize = 2;
    /// Of the same: product of row and own class.
    pub const OWN: usize = 3;
    /// Of the same: the largest product of row and another class.
    pub const OTHER: usize = 4;
    /// Columns that it has at least.
    pub const SOFTMAX: usize = 5;
    /// Of [`Centre`](super::Centre): squared distance of a row to the centre of its class.
    pub const SPREAD: usize = 5;
    /// Columns of [`Centre`](super::Centre).
    pub const CENTRE: usize = 6;
    /// Of [`ProxyAnchor`](super::ProxyAnchor): sum of the cosines of a class and its own rows.
    pub const OWN_ROWS: usize = 2;
    /// Of the same: sum of the cosines of a class and all other rows, by the number of other classes; so the sum over
    /// the classes is by the rows their mean.
    pub const OTHER_ROWS: usize = 3;
    /// Columns of [`ProxyAnchor`](super::ProxyAnchor).
    pub const ANCHOR: usize = 4;
}

/// Why a softmax may be farther off than a sum.
const EXPONENTIALS: &str =
    "WGSL grants exp an error of 3 + 2·|z| ulp, and z, a scaled cosine, is off by its own size's";

/// The tolerance of sums of `terms` exponentials of cosines times `scale`.
fn exponentials(terms: usize, scale: f32) -> Tolerance {
    Tolerance::widened(terms, 4.0 + f64::from(scale) / 8.0, EXPONENTIALS)
}

fn real<R: Real>(value: f32) -> R {
    R::of(f64::from(value))
}

shape! {
    /// Products of rows and classes, and the margin of the own class.
    pub struct MarginSoftmaxShape {
        /// Rows of the batch.
        rows: usize,
        /// Classes.
        classes: usize,
        /// Columns of the terms, at least [`terms::SOFTMAX`]; further ones are zero.
        columns: usize,
        /// Factor on the products.
        scale: f32,
        /// Cosine of the angle that is added to that of the own class; 1 for none.
        cosine: f32,
        /// Its sine.
        sine: f32,
        /// The angle times its sine.
        drop: f32,
        /// What is taken from the product with the own class.
        margin: f32,
        /// Share of the wanted distribution that is dealt evenly to all classes.
        smoothing: f32,
    }
}

impl MarginSoftmaxShape {
    /// A softmax of products times `scale`.
    pub fn new([rows, classes, columns]: [usize; 3], scale: f32) -> MarginSoftmaxShape {
        let (cosine, sine, drop, margin, smoothing) = (1.0, 0.0, 0.0, 0.0, 0.0);
        MarginSoftmaxShape { rows, classes, columns, scale, cosine, sine, drop, margin, smoothing }
    }

    /// With `angle`, in radians, added to the angle to the own class.
    pub fn angle(self, angle: f32) -> MarginSoftmaxShape {
        let (sine, cosine) = f64::from(angle).sin_cos();
        let drop = (f64::from(angle) * sine) as f32;
        MarginSoftmaxShape { cosine: cosine as f32, sine: sine as f32, drop, ..self }
    }

    /// With `margin` taken from the product with the own class.
    pub fn margin(self, margin: f32) -> MarginSoftmaxShape {
        MarginSoftmaxShape { margin, ..self }
    }

    /// With the share `smoothing` of the wanted distribution dealt evenly to all classes.
    pub fn smoothing(self, smoothing: f32) -> MarginSoftmaxShape {
        MarginSoftmaxShape { smoothing, ..self }
    }

    fn products(&self) -> usize {
        self.rows * self.classes
    }

    /// The logit of the own class by its product, and its slope, both before the scale.
    fn own<R: Real>(&self, c: R) -> (R, R) {
        let one = R::of(1.0);
        let [cosine, sine, drop, margin] = [self.cosine, self.sine, self.drop, self.margin].map(real::<R>);
        if self.sine <= 0.0 {
            return (c - margin, one);
        }
        if c < -cosine {
            return (c - drop - margin, one);
        }
        let most = R::of(MOST);
        let inner = if c > most { most } else { c.max(-most) };
        let root = ((one - inner) * (one + inner)).sqrt();
        (inner * cosine - root * sine - margin, cosine + inner / root * sine)
    }
}

/// The largest cosine by which an angle is found: nearer to 1 its slope has no digits in 32 bits.
const MOST: f64 = 1.0 - 1.0 / (1 << 20) as f64;

type MarginSoftmaxArg = Arg<MarginSoftmaxShape>;

/// See `shaders/margin_softmax.wgsl`.
pub struct MarginSoftmax;

impl Kernel for MarginSoftmax {
    type Shape = MarginSoftmaxShape;
    const NAME: &'static str = "margin_softmax";
    const ARGS: &'static [MarginSoftmaxArg] = &[
        MarginSoftmaxArg::read("labels", |s| s.rows).below(|s| s.classes as u32),
        // Cosines, some of which rounding has made more than 1.
        MarginSoftmaxArg::update("z", MarginSoftmaxShape::products).fill(Fill::Uniform(-1.02, 1.02)),
        MarginSoftmaxArg::write("terms", |s| s.columns * s.rows).columns(|s| s.columns),
    ];
    const SHADERS: &'static [Shader<MarginSoftmaxShape>] =
        &[shader!("margin_softmax", ["tree", "loss_terms"], |s| s.rows)];
    const ROUTINES: &'static [Routine<MarginSoftmaxShape>] = &[];

    fn rows(s: &MarginSoftmaxShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MarginSoftmaxShape, rows: Range<usize>, io: &mut Io<R>) {
        let (labels, z, terms) = (io.read_uint("labels"), io.write("z"), io.write("terms"));
        let [scale, smoothing] = [s.scale, s.smoothing].map(real::<R>);
        let (classes, one) = (R::of(s.classes as f64), R::of(1.0));
        let (even, factor) = (smoothing / classes, scale / R::of(s.rows as f64));
        for ((n, z), terms) in rows.zip(z.chunks_mut(s.classes)).zip(terms.chunks_mut(s.columns)) {
            let y = labels[n] as usize;
            let own = z[y];
            let (logit, slope) = s.own(own);
            let others = z.iter().enumerate().filter(|&(j, _)| j != y).map(|(_, &c)| c);
            let other = others.fold(R::of(-3e38), R::max);
            z.iter_mut().for_each(|z| *z = scale * *z);
            z[y] = scale * logit;
            let sum = z.iter().copied().sum::<R>();
            let top = z.iter().copied().fold(R::of(-3e38), R::max);
            let own_logit = z[y];
            z.iter_mut().for_each(|z| *z = (*z - top).exp());
            let exponentials = z.iter().copied().sum::<R>();
            z.iter_mut().for_each(|z| *z = factor * (*z / exponentials - even));
            z[y] = slope * (z[y] - factor * (one - smoothing));
            terms.fill(R::default());
            terms[COST] = top + exponentials.ln() - (one - smoothing) * own_logit - even * sum;
            terms[COUNT] = one;
            terms[terms::HIT] = R::of(f64::from(u8::from(own > other)));
            terms[terms::OWN] = own;
            terms[terms::OTHER] = other;
        }
    }

    fn cases() -> Vec<MarginSoftmaxShape> {
        [
            ([1, 2, 5], 1.0, 0.0, 0.0, 0.0),
            ([7, 10, 5], 1.0, 0.0, 0.0, 0.125),
            ([5, 64, 6], 16.0, 0.0, 0.375, 0.0),
            ([33, 130, 5], 64.0, 0.5, 0.0, 0.0),
            ([66, 3, 7], 30.0, 1.25, 0.125, 0.25),
        ]
        .into_iter()
        .map(|(sizes, scale, angle, margin, smoothing)| {
            MarginSoftmaxShape::new(sizes, scale).angle(angle).margin(margin).smoothing(smoothing)
        })
        .collect()
    }

    fn work(s: &MarginSoftmaxShape) -> Work {
        let bytes = 4 * (2 * s.products() + (1 + s.columns) * s.rows) as u64;
        Work { flops: 8 * s.products() as u64, bytes }
    }

    fn tolerance(s: &MarginSoftmaxShape) -> Tolerance {
        exponentials(s.classes, s.scale)
    }
}

shape! {
    /// Cosines of proxies and the rows of a batch.
    pub struct ProxyAnchorShape {
        /// Rows of the batch.
        rows: usize,
        /// Classes, with a proxy each.
        classes: usize,
        /// Classes that have rows.
        present: usize,
        /// Factor on cosines in exponents.
        alpha: f32,
        /// How much nearer own rows are wanted, and farther others.
        margin: f32,
    }
}

impl ProxyAnchorShape {
    fn products(&self) -> usize {
        self.rows * self.classes
    }
}

type ProxyAnchorArg = Arg<ProxyAnchorShape>;

/// See `shaders/proxy_anchor.wgsl`.
pub struct ProxyAnchor;

impl Kernel for ProxyAnchor {
    type Shape = ProxyAnchorShape;
    const NAME: &'static str = "proxy_anchor";
    const ARGS: &'static [ProxyAnchorArg] = &[
        ProxyAnchorArg::read("labels", |s| s.rows).below(|s| s.classes as u32),
        ProxyAnchorArg::update("z", ProxyAnchorShape::products).fill(Fill::Uniform(-1.0, 1.0)),
        ProxyAnchorArg::write("terms", |s| terms::ANCHOR * s.classes).columns(|_| terms::ANCHOR),
    ];
    const SHADERS: &'static [Shader<ProxyAnchorShape>] =
        &[shader!("proxy_anchor", ["tree", "loss_terms"], |s| s.classes)];
    const ROUTINES: &'static [Routine<ProxyAnchorShape>] = &[];

    fn rows(s: &ProxyAnchorShape) -> usize {
        s.classes
    }

    #[inline(always)]
    fn reference<R: Real>(s: &ProxyAnchorShape, classes: Range<usize>, io: &mut Io<R>) {
        let (labels, z, terms) = (io.read_uint("labels"), io.write("z"), io.write("terms"));
        let [alpha, margin] = [s.alpha, s.margin].map(real::<R>);
        let [present, all] = [s.present, s.classes].map(|count| R::of(count as f64));
        for ((k, z), terms) in classes.zip(z.chunks_mut(s.rows)).zip(terms.chunks_mut(terms::ANCHOR)) {
            let is_own = |n: usize| labels[n] as usize == k;
            let exponent = |n: usize, c: R| alpha * (margin + if is_own(n) { -c } else { c });
            // Of own rows, then of others. The 1 in the logarithm is the exponential of 0.
            let mut tops = [R::default(); 2];
            let mut cosines = [R::default(); 2];
            for (n, &c) in z.iter().enumerate() {
                let side = usize::from(!is_own(n));
                tops[side] = tops[side].max(exponent(n, c));
                cosines[side] += c;
            }
            let mut sums = tops.map(|top| (-top).exp());
            for (n, z) in z.iter_mut().enumerate() {
                let side = usize::from(!is_own(n));
                *z = (exponent(n, *z) - tops[side]).exp();
                sums[side] += *z;
            }
            let factors = [-alpha / present / sums[0], alpha / all / sums[1]];
            z.iter_mut().enumerate().for_each(|(n, z)| *z = factors[usize::from(!is_own(n))] * *z);
            let [pull, push] = [0, 1].map(|side| tops[side] + sums[side].ln());
            terms[COST] = all / present * pull + push;
            terms[COUNT] = R::of(1.0);
            terms[terms::OWN_ROWS] = cosines[0];
            terms[terms::OTHER_ROWS] = cosines[1] / R::of((s.classes - 1) as f64);
        }
    }

    fn cases() -> Vec<ProxyAnchorShape> {
        [(1, 2, 1, 32.0, 0.1), (9, 5, 4, 8.0, 0.25), (64, 3, 3, 32.0, 0.1), (130, 70, 33, 16.0, 0.0)]
            .into_iter()
            .map(|(rows, classes, present, alpha, margin)| ProxyAnchorShape { rows, classes, present, alpha, margin })
            .collect()
    }

    fn work(s: &ProxyAnchorShape) -> Work {
        let bytes = 4 * (2 * s.products() + s.rows + terms::ANCHOR * s.classes) as u64;
        Work { flops: 8 * s.products() as u64, bytes }
    }

    fn tolerance(s: &ProxyAnchorShape) -> Tolerance {
        exponentials(s.rows, s.alpha)
    }
}

shape! {
    /// Embeddings, and the centres of their classes.
    pub struct CentreShape {
        /// Rows of the batch.
        rows: usize,
        /// Values of an embedding.
        dims: usize,
        /// Classes.
        classes: usize,
        /// Factor on half the squared distance to the centre.
        weight: f32,
    }
}

type CentreArg = Arg<CentreShape>;

/// See `shaders/centre.wgsl`.
pub struct Centre;

impl Kernel for Centre {
    type Shape = CentreShape;
    const NAME: &'static str = "centre";
    const ARGS: &'static [CentreArg] = &[
        CentreArg::read("labels", |s| s.rows).below(|s| s.classes as u32),
        CentreArg::read("e", |s| s.rows * s.dims),
        CentreArg::read("c", |s| s.classes * s.dims),
        CentreArg::update("terms", |s| terms::CENTRE * s.rows).columns(|_| terms::CENTRE),
        CentreArg::update("de", |s| s.rows * s.dims),
    ];
    const SHADERS: &'static [Shader<CentreShape>] = &[shader!("centre", ["tree", "loss_terms"], |s| s.rows)];
    const ROUTINES: &'static [Routine<CentreShape>] = &[];

    fn rows(s: &CentreShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &CentreShape, rows: Range<usize>, io: &mut Io<R>) {
        let (labels, e, c) = (io.read_uint("labels"), io.read("e"), io.read("c"));
        let (terms, de) = (io.write("terms"), io.write("de"));
        let weight: R = real(s.weight);
        let factor = weight / R::of(s.rows as f64);
        for ((n, terms), de) in rows.zip(terms.chunks_mut(terms::CENTRE)).zip(de.chunks_mut(s.dims)) {
            let own = &c[labels[n] as usize * s.dims..][..s.dims];
            let mut sum = R::default();
            for ((de, &e), &c) in de.iter_mut().zip(&e[n * s.dims..]).zip(own) {
                sum += (e - c) * (e - c);
                *de += factor * (e - c);
            }
            terms[COST] += R::of(0.5) * weight * sum;
            terms[terms::SPREAD] = sum;
        }
    }

    fn cases() -> Vec<CentreShape> {
        [(1, 1, 2, 0.5), (7, 65, 3, 0.25), (64, 33, 10, 2.0), (5, 300, 70, 8.0)]
            .into_iter()
            .map(|(rows, dims, classes, weight)| CentreShape { rows, dims, classes, weight })
            .collect()
    }

    fn work(s: &CentreShape) -> Work {
        let values = (s.rows * s.dims) as u64;
        let bytes = 4 * (3 * values + (s.classes * s.dims + (1 + 2 * terms::CENTRE) * s.rows) as u64);
        Work { flops: 5 * values, bytes }
    }

    fn tolerance(s: &CentreShape) -> Tolerance {
        Tolerance::sum(s.dims)
    }
}

shape! {
    /// Embeddings, and the centres of classes that follow them.
    pub struct RecentreShape {
        /// Rows of the batch.
        rows: usize,
        /// Values of an embedding.
        dims: usize,
        /// Classes.
        classes: usize,
        /// How far a centre follows.
        rate: f32,
    }
}

type RecentreArg = Arg<RecentreShape>;

/// See `shaders/recentre.wgsl`.
pub struct Recentre;

impl Kernel for Recentre {
    type Shape = RecentreShape;
    const NAME: &'static str = "recentre";
    const ARGS: &'static [RecentreArg] = &[
        RecentreArg::read("labels", |s| s.rows).below(|s| s.classes as u32),
        RecentreArg::read("e", |s| s.rows * s.dims),
        RecentreArg::update("c", |s| s.classes * s.dims),
    ];
    const SHADERS: &'static [Shader<RecentreShape>] = &[shader!("recentre", [], |s| s.classes)];
    const ROUTINES: &'static [Routine<RecentreShape>] = &[];

    fn rows(s: &RecentreShape) -> usize {
        s.classes
    }

    #[inline(always)]
    fn reference<R: Real>(s: &RecentreShape, classes: Range<usize>, io: &mut Io<R>) {
        let (labels, e, c) = (io.read_uint("labels"), io.read("e"), io.write("c"));
        for (y, c) in classes.zip(c.chunks_mut(s.dims)) {
            let own = || labels.iter().zip(e.chunks(s.dims)).filter(|&(&label, _)| label as usize == y);
            let mut sums = vec![R::default(); s.dims];
            for (_, e) in own() {
                for ((sum, &e), &c) in sums.iter_mut().zip(e).zip(c.iter()) {
                    *sum += e - c;
                }
            }
            add_scaled(c, real::<R>(s.rate) / R::of(1.0 + own().count() as f64), &sums);
        }
    }

    fn cases() -> Vec<RecentreShape> {
        [(1, 1, 2, 0.5), (7, 65, 3, 0.25), (130, 33, 4, 0.5), (200, 300, 70, 0.75)]
            .into_iter()
            .map(|(rows, dims, classes, rate)| RecentreShape { rows, dims, classes, rate })
            .collect()
    }

    fn work(s: &RecentreShape) -> Work {
        let values = (s.rows * s.dims) as u64;
        Work { flops: 2 * values, bytes: 4 * (values + (2 * s.classes * s.dims + s.rows) as u64) }
    }

    fn tolerance(s: &RecentreShape) -> Tolerance {
        Tolerance::sum(s.rows)
    }
}
