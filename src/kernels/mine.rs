//! Online mining: which triplets of a P×K batch count, as a matrix of weights on the pairs, and the gradient of the
//! embeddings by it.
//!
//! The penalty of a triplet depends on the embeddings through d_ap - d_an alone, so that the gradient of any choice of
//! triplets is a sum over pairs: w[a, p] collects the slopes of all triplets with this anchor and positive, w[a, n]
//! those of all with this negative, with the other sign. Schroff et al. 2015 (semi-hard); Hermans, Beyer & Leibe, *In
//! Defense of the Triplet Loss for Person Re-Identification*, 2017 (batch-hard, batch-all).

use std::ops::Range;

use super::routines::mine as routines;
use super::triplet::{SOFT, penalty, terms};
use super::{blocks, shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// The pairs of a P×K batch, and what makes a triplet count.
    pub struct MineShape {
        /// Labels of the batch, P.
        labels: usize,
        /// Images of each, K.
        images: usize,
        /// How much farther the negative must be than the positive; 0 for a soft margin.
        margin: f32,
        /// Of a soft margin; 0 for a hinge.
        sharpness: f32,
        /// Factor on the sum of squared differences: 1, or 1/dims for their mean.
        scale: f32,
        /// 1 where only triplets count whose negative is farther than the positive.
        semi_hard: u32,
    }
}

impl MineShape {
    pub(super) fn rows(&self) -> usize {
        self.labels * self.images
    }

    fn pairs(&self) -> usize {
        self.rows() * self.rows()
    }

    /// The reference of both miners: `triplets` calls its closure with (p, n) of each triplet of anchor a to look at.
    /// They count where they cost something, or `always`.
    fn reference<R: Real>(
        &self,
        anchors: Range<usize>,
        io: &mut Io<R>,
        always: bool,
        triplets: impl Fn(usize, &[R], &mut dyn FnMut(usize, usize)),
    ) {
        let (distance, w, terms) = (io.read("distance"), io.write("w"), io.write("terms"));
        let (rows, scale) = (self.rows(), R::of(f64::from(self.scale)));
        w.fill(R::default());
        for ((a, w), terms) in anchors.zip(w.chunks_mut(rows)).zip(terms.chunks_mut(terms::TRIPLET)) {
            let distance: Vec<R> = distance[a * rows..][..rows].iter().map(|&d| scale * d).collect();
            let mut sums = [R::default(); terms::TRIPLET];
            for (j, &d) in distance.iter().enumerate().filter(|&(j, _)| j != a) {
                sums[if j / self.images == a / self.images { terms::D_AP } else { terms::D_AN }] += d;
            }
            triplets(a, &distance, &mut |p, n| {
                let x = distance[p] - distance[n];
                let (cost, slope) = penalty(x, self.margin, self.sharpness);
                if x + R::of(f64::from(self.margin)) > R::default() {
                    sums[terms::ACTIVE] += R::of(1.0);
                }
                if self.semi_hard == 0 || distance[n] > distance[p] {
                    w[p] += slope;
                    w[n] += -slope;
                    sums[terms::COST] += cost;
                    sums[terms::COUNT] += R::of(f64::from(u8::from(always || slope > R::default())));
                }
            });
            terms.copy_from_slice(&sums);
        }
    }

    fn awkward(semi_hard: u32) -> Vec<MineShape> {
        [
            (2, 2, 0.2, 0.0, 1.0),
            (3, 5, 0.75, 0.0, 1.0),
            (7, 10, 0.2, 0.0, 0.25),
            (2, 65, 1.0, 0.0, 1.0),
            (5, 13, 0.0, 2.0, 1.0),
            (3, 32, 0.75, 0.0, 1.0),
        ]
        .into_iter()
        .map(|(labels, images, margin, sharpness, scale)| MineShape {
            labels,
            images,
            margin,
            sharpness,
            scale,
            semi_hard,
        })
        .collect()
    }

    fn tolerance(&self, terms: usize) -> Tolerance {
        if self.sharpness > 0.0 { Tolerance::widened(terms, 4.0, SOFT) } else { Tolerance::sum(terms) }
    }
}

type MineArg = Arg<MineShape>;

/// See `shaders/mine.wgsl`.
pub struct Mine;

impl Kernel for Mine {
    type Shape = MineShape;
    const NAME: &'static str = "mine";
    const ARGS: &'static [MineArg] = &[
        MineArg::read("distance", MineShape::pairs).fill(Fill::Coarse),
        MineArg::write("w", MineShape::pairs),
        MineArg::write("terms", |s| terms::TRIPLET * s.rows()).columns(|_| terms::TRIPLET),
    ];
    const SHADERS: &'static [Shader<MineShape>] = &[
        shader!("mine", ["penalty", "loss_terms", "triplet_terms"], MineShape::rows),
        shader!(
            "mine.subgroup8",
            ["penalty", "loss_terms", "triplet_terms"],
            MineShape::rows,
            Needs::EightLaneCpu,
            |s| s.images <= 32
        ),
    ];
    const ROUTINES: &'static [Routine<MineShape>] = &[Routine {
        name: "mine.side_by_side",
        fits: |s| s.sharpness == 0.0,
        together: |_| 1,
        prepare: None,
        widen: 1.0,
        run: routines::side_by_side,
    }];

    fn rows(s: &MineShape) -> usize {
        s.rows()
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MineShape, anchors: Range<usize>, io: &mut Io<R>) {
        s.reference(anchors, io, false, |a, _, each| {
            let own = a / s.images * s.images..(a / s.images + 1) * s.images;
            for p in own.clone().filter(|&p| p != a) {
                (0..s.rows()).filter(|n| !own.contains(n)).for_each(|n| each(p, n));
            }
        });
    }

    fn cases() -> Vec<MineShape> {
        [MineShape::awkward(0), MineShape::awkward(1)].concat()
    }

    fn work(s: &MineShape) -> Work {
        let triplets = s.rows() * (s.images - 1) * (s.rows() - s.images);
        Work { flops: 4 * triplets as u64, bytes: 4 * (2 * s.pairs() + terms::TRIPLET * s.rows()) as u64 }
    }

    fn tolerance(s: &MineShape) -> Tolerance {
        MineShape::tolerance(s, (s.images - 1) * (s.rows() - s.images))
    }
}

/// See `shaders/mine_hard.wgsl`.
pub struct MineHard;

impl Kernel for MineHard {
    type Shape = MineShape;
    const NAME: &'static str = "mine_hard";
    const ARGS: &'static [Arg<MineShape>] = Mine::ARGS;
    const SHADERS: &'static [Shader<MineShape>] =
        &[shader!("mine_hard", ["penalty", "loss_terms", "triplet_terms"], MineShape::rows)];
    const ROUTINES: &'static [Routine<MineShape>] = &[];

    fn rows(s: &MineShape) -> usize {
        s.rows()
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MineShape, anchors: Range<usize>, io: &mut Io<R>) {
        // The mean is over anchors, those whose triplet costs nothing included.
        s.reference(anchors, io, true, |a, distance, each| {
            let own = a / s.images * s.images..(a / s.images + 1) * s.images;
            let first = |best: usize, j: usize, closer: bool| if closer { j } else { best };
            let farthest =
                own.clone().filter(|&p| p != a).reduce(|best, p| first(best, p, distance[p] > distance[best]));
            let nearest = (0..s.rows())
                .filter(|n| !own.contains(n))
                .reduce(|best, n| first(best, n, distance[n] < distance[best]));
            if let (Some(p), Some(n)) = (farthest, nearest) {
                each(p, n);
            }
        });
    }

    fn cases() -> Vec<MineShape> {
        MineShape::awkward(0)
    }

    fn work(s: &MineShape) -> Work {
        Work { flops: 2 * s.pairs() as u64, bytes: 4 * (2 * s.pairs() + terms::TRIPLET * s.rows()) as u64 }
    }

    fn tolerance(s: &MineShape) -> Tolerance {
        MineShape::tolerance(s, s.rows())
    }
}

shape! {
    /// The embeddings of a P×K batch, and the terms of a loss that writes weights of pairs.
    pub struct MineDxShape {
        /// Labels of the batch, P.
        labels: usize,
        /// Images of each, K.
        images: usize,
        /// Values of an embedding.
        dims: usize,
        /// Factor on the sum of squared differences: 1, or 1/dims for their mean.
        scale: f32,
        /// Columns of the terms.
        columns: usize,
    }
}

impl MineDxShape {
    fn rows(&self) -> usize {
        self.labels * self.images
    }

    fn values(&self) -> usize {
        self.rows() * self.dims
    }
}

type MineDxArg = Arg<MineDxShape>;

/// See `shaders/mine_dx.wgsl`.
pub struct MineDx;

impl Kernel for MineDx {
    type Shape = MineDxShape;
    const NAME: &'static str = "mine_dx";
    const ARGS: &'static [MineDxArg] = &[
        MineDxArg::read("e", MineDxShape::values),
        MineDxArg::read("w", |s| s.rows() * s.rows()),
        MineDxArg::read("totals", |s| s.columns).fill(Fill::Uniform(0.0, 100.0)),
        MineDxArg::write("de", MineDxShape::values),
    ];
    const SHADERS: &'static [Shader<MineDxShape>] = &[
        shader!("mine_dx", ["loss_terms"], |s| threads(s.values())),
        shader!("mine_dx.vec4", ["loss_terms"], |s| threads(s.values() / 4), Needs::Nothing, |s| s
            .dims
            .is_multiple_of(4)),
        shader!(
            "mine_dx.tree",
            ["loss_terms", "columns"],
            |s| blocks(s.rows(), s.dims, [1, 64]),
            Needs::WorkgroupMemory,
            |s| s.dims.is_multiple_of(4)
        ),
        shader!(
            "mine_dx.subgroup8",
            ["loss_terms"],
            |s| s.rows().div_ceil(16) * s.dims.div_ceil(32),
            Needs::EightLaneCpu,
            |s| s.rows().is_multiple_of(4) && s.dims.is_multiple_of(4)
        ),
    ];
    const ROUTINES: &'static [Routine<MineDxShape>] = &[];

    fn rows(s: &MineDxShape) -> usize {
        s.rows()
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MineDxShape, rows: Range<usize>, io: &mut Io<R>) {
        let (e, w, totals, de) = (io.read("e"), io.read("w"), io.read("totals"), io.write("de"));
        let factor = R::of(2.0 * f64::from(s.scale)) / totals[terms::COUNT].max(R::of(1.0));
        let embedding = |n: usize| &e[n * s.dims..][..s.dims];
        for (i, de) in rows.zip(de.chunks_mut(s.dims)) {
            de.fill(R::default());
            for j in 0..s.rows() {
                let weight = w[i * s.rows() + j] + w[j * s.rows() + i];
                for ((de, &own), &other) in de.iter_mut().zip(embedding(i)).zip(embedding(j)) {
                    *de += weight * (own - other);
                }
            }
            de.iter_mut().for_each(|de| *de = factor * *de);
        }
    }

    fn cases() -> Vec<MineDxShape> {
        [
            (2, 2, 1, 1.0, 2),
            (3, 5, 7, 1.0, 3),
            (7, 10, 64, 1.0 / 64.0, terms::TRIPLET),
            (2, 65, 33, 1.0, terms::TRIPLET),
            (3, 7, 12, 1.0, terms::TRIPLET),
            (4, 9, 36, 1.0, terms::TRIPLET),
            (3, 4, 68, 1.0, terms::TRIPLET),
        ]
        .into_iter()
        .map(|(labels, images, dims, scale, columns)| MineDxShape { labels, images, dims, scale, columns })
        .collect()
    }

    fn work(s: &MineDxShape) -> Work {
        Work { flops: 4 * (s.values() * s.rows()) as u64, bytes: 4 * (2 * s.values() + s.rows() * s.rows()) as u64 }
    }

    fn tolerance(s: &MineDxShape) -> Tolerance {
        Tolerance::sum(s.rows())
    }
}
