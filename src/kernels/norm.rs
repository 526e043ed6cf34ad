//! Normalisation, of batches, groups and layers alike: means and variances of sets, and what follows from them. (The
//! norm of a gradient is [`Norm`](super::Norm).)

use std::ops::Range;

use super::{column_blocks, shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Fill, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

shape! {
    /// Values `[sets, inner, channels]` that are normalised set by set and group by group of channels: one mean and one
    /// variance for `inner` × `width` values. Of [a batch](Sets::batch) there is one set, and each channel is a group;
    /// of [groups](Sets::group) each image is a set; of [layers](Sets::layer) each pixel is one.
    pub struct Sets {
        /// Parts of equal size that can be computed apart: images. One set may have several parts, or one part several
        /// sets.
        parts: usize,
        /// Sets.
        sets: usize,
        /// Pixels of a set.
        inner: usize,
        /// Values of a pixel.
        channels: usize,
        /// Channels of a group.
        width: usize,
    }
}

impl Sets {
    /// Each channel over all rows of the batch (Ioffe & Szegedy, 2015): of `[rows, pixels, channels]`.
    pub fn batch([rows, pixels, channels]: [usize; 3]) -> Sets {
        Sets { parts: rows, sets: 1, inner: rows * pixels, channels, width: 1 }
    }

    /// Each of `count` groups of channels of each row (Wu & He, 2018): of `[rows, pixels, channels]`.
    pub fn group([rows, pixels, channels]: [usize; 3], count: usize) -> Sets {
        Sets { parts: rows, sets: rows, inner: pixels, channels, width: channels / count }
    }

    /// All channels of each pixel (Ba, Kiros & Hinton, 2016; on images as ConvNeXt has it): of
    /// `[rows, pixels, channels]`.
    pub fn layer([rows, pixels, channels]: [usize; 3]) -> Sets {
        Sets { parts: rows, sets: rows * pixels, inner: 1, channels, width: channels }
    }

    /// The same for sums over a set: with parts that are worth a sum of their own, of sixteen pixels at least where the
    /// sizes allow it.
    pub fn summed(&self) -> Sets {
        let worth = |parts: &usize| self.parts.is_multiple_of(*parts) && self.sets * self.inner / parts >= 16;
        match self.sets {
            1 => Sets { parts: (1..=self.parts).rev().find(worth).unwrap_or(1), ..self.clone() },
            _ => self.clone(),
        }
    }

    /// Values.
    pub fn values(&self) -> usize {
        self.sets * self.inner * self.channels
    }

    /// Means of all sets together.
    pub fn means(&self) -> usize {
        self.sets * self.groups()
    }

    /// Values that have one mean.
    pub fn count(&self) -> usize {
        self.inner * self.width
    }

    /// What is summed by itself: a set, or a part where those are smaller.
    pub fn chunks(&self) -> usize {
        self.sets.max(self.parts)
    }

    /// Groups of channels.
    pub fn groups(&self) -> usize {
        self.channels / self.width
    }

    /// Values of a chunk.
    pub(super) fn chunk(&self) -> usize {
        self.values() / self.chunks()
    }

    /// Whether four neighbouring channels can be taken at a time, each a group by itself.
    pub(super) fn by_four_channels(&self) -> bool {
        self.width == 1 && self.channels.is_multiple_of(4)
    }

    /// Whether columns of four channels each have pixels for several threads as well.
    pub(super) fn has_long_columns(&self) -> bool {
        self.by_four_channels() && self.sets * self.inner / self.chunks() >= 64
    }

    /// Awkward shapes: of batches, groups and layers.
    pub(super) fn awkward() -> Vec<Sets> {
        let with = |[parts, sets, inner, channels, width]: [usize; 5]| Sets { parts, sets, inner, channels, width };
        [
            [1, 1, 7, 3, 1],
            [4, 1, 36, 8, 1],
            [3, 1, 15, 33, 1],
            [8, 1, 64, 68, 1],
            [2, 1, 134, 20, 1],
            [1, 1, 300, 132, 1],
            [3, 3, 20, 6, 3],
            [2, 2, 9, 32, 8],
            [2, 2, 150, 12, 4],
            [2, 12, 1, 10, 10],
            [5, 5, 1, 130, 130],
        ]
        .map(with)
        .to_vec()
    }
}

/// For each channel the value of its group.
#[inline(always)]
pub(super) fn spread<R: Real>(channels: &mut [R], groups: &[R], width: usize) {
    channels.chunks_exact_mut(width).zip(groups).for_each(|(channels, &group)| channels.fill(group));
}

/// For each group the sum of its channels.
#[inline(always)]
pub(super) fn gather<R: Real>(groups: &mut [R], channels: &[R], width: usize) {
    channels.chunks_exact(width).zip(groups).for_each(|(channels, group)| *group = channels.iter().copied().sum());
}

type A = Arg<Sets>;

/// See `shaders/moments.wgsl`.
pub struct Moments;

impl Kernel for Moments {
    type Shape = Sets;
    const NAME: &'static str = "moments";
    const ARGS: &'static [A] = &[
        // Far from zero, where a mean of squares less the square of the mean would say nothing.
        A::read("x", Sets::values).fill(Fill::Uniform(7.0, 8.0)).stored().local(),
        A::write("mean", |s| s.chunks() * s.groups()),
        A::write("variance", |s| s.chunks() * s.groups()),
    ];
    const SHADERS: &'static [Shader<Sets>] = &[
        shader!("moments", [], |s| threads(s.chunks() * s.groups())),
        shader!("moments.vec4", [], |s| threads(s.chunks() * s.channels / 4), Needs::Nothing, Sets::by_four_channels),
        shader!(
            "moments.tree",
            ["columns"],
            |s| s.chunks() * column_blocks(s.channels),
            Needs::WorkgroupMemory,
            Sets::has_long_columns
        ),
    ];
    const ROUTINES: &'static [Routine<Sets>] = &[];

    fn rows(s: &Sets) -> usize {
        s.parts
    }

    #[inline(always)]
    fn reference<R: Real>(s: &Sets, _: Range<usize>, io: &mut Io<R>) {
        let (x, mean, variance) = (io.read("x"), io.write("mean"), io.write("variance"));
        let (groups, length) = (s.groups(), s.chunk());
        let count = R::of((length / groups) as f64);
        let (mut sums, mut center) = (vec![R::default(); s.channels], vec![R::default(); s.channels]);
        let own = mean.chunks_exact_mut(groups).zip(variance.chunks_exact_mut(groups));
        for (x, (mean, variance)) in x.chunks_exact(length).zip(own) {
            sums.fill(R::default());
            for x in x.chunks_exact(s.channels) {
                sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x);
            }
            gather(mean, &sums, s.width);
            mean.iter_mut().for_each(|mean| *mean = *mean / count);
            spread(&mut center, mean, s.width);
            sums.fill(R::default());
            for x in x.chunks_exact(s.channels) {
                for ((sum, &x), &center) in sums.iter_mut().zip(x).zip(&center) {
                    *sum += (x - center) * (x - center);
                }
            }
            gather(variance, &sums, s.width);
            variance.iter_mut().for_each(|variance| *variance = *variance / count);
        }
    }

    fn cases() -> Vec<Sets> {
        Sets::awkward()
    }

    fn work(s: &Sets) -> Work {
        let (values, moments) = (s.values() as u64, (s.chunks() * s.groups()) as u64);
        Work { flops: 4 * values, bytes: 4 * (values + 2 * moments) }
    }

    fn tolerance(s: &Sets) -> Tolerance {
        Tolerance::sum(s.chunk() / s.groups())
    }
}

shape! {
    /// Means and variances of chunks of equal size, side by side for so many channels.
    pub struct MomentsJoinShape {
        /// Chunks of each channel.
        chunks: usize,
        /// Channels.
        channels: usize,
    }
}

type JoinArg = Arg<MomentsJoinShape>;

/// See `shaders/moments_join.wgsl`.
pub struct MomentsJoin;

impl Kernel for MomentsJoin {
    type Shape = MomentsJoinShape;
    const NAME: &'static str = "moments_join";
    const ARGS: &'static [JoinArg] = &[
        JoinArg::read("means", |s| s.chunks * s.channels).fill(Fill::Uniform(7.0, 8.0)),
        JoinArg::read("variances", |s| s.chunks * s.channels).fill(Fill::Uniform(0.0, 0.1)),
        JoinArg::write("mean", |s| s.channels),
        JoinArg::write("variance", |s| s.channels),
    ];
    const SHADERS: &'static [Shader<MomentsJoinShape>] = &[
        shader!("moments_join", [], |s| threads(s.channels)),
        shader!("moments_join.tree", ["columns"], |s| column_blocks(s.channels), Needs::WorkgroupMemory, |s| s
            .channels
            .is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<MomentsJoinShape>] = &[];

    fn rows(_: &MomentsJoinShape) -> usize {
        1
    }

    #[inline(always)]
    fn reference<R: Real>(s: &MomentsJoinShape, _: Range<usize>, io: &mut Io<R>) {
        let (means, variances, mean, variance) =
            (io.read("means"), io.read("variances"), io.write("mean"), io.write("variance"));
        let count = R::of(s.chunks as f64);
        mean.fill(R::default());
        for means in means.chunks_exact(s.channels) {
            mean.iter_mut().zip(means).for_each(|(sum, &mean)| *sum += mean);
        }
        mean.iter_mut().for_each(|mean| *mean = *mean / count);
        variance.fill(R::default());
        for (means, variances) in means.chunks_exact(s.channels).zip(variances.chunks_exact(s.channels)) {
            for (((sum, &own), &of_chunk), &mean) in variance.iter_mut().zip(variances).zip(means).zip(&*mean) {
                *sum += own + (of_chunk - mean) * (of_chunk - mean);
            }
        }
        variance.iter_mut().for_each(|variance| *variance = *variance / count);
    }

    fn cases() -> Vec<MomentsJoinShape> {
        [(1, 1), (3, 5), (128, 32), (7, 130), (19, 72), (300, 4)]
            .map(|(chunks, channels)| MomentsJoinShape { chunks, channels })
            .to_vec()
    }

    fn work(s: &MomentsJoinShape) -> Work {
        let values = (s.chunks * s.channels) as u64;
        Work { flops: 5 * values, bytes: 8 * (values + s.channels as u64) }
    }

    fn tolerance(s: &MomentsJoinShape) -> Tolerance {
        Tolerance::sum(2 * s.chunks)
    }
}

/// Statistics that follow those of each batch.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackShape {
    /// Values.
    pub length: usize,
    /// Share of what is new.
    pub momentum: f32,
    /// What the batch's are multiplied by: of variances `M / (M - 1)` for `M` values, as the mean is the values' own.
    pub factor: f32,
}

impl TrackShape {
    /// Momentum 0.1, as PyTorch has it.
    fn new(length: usize, factor: f32) -> TrackShape {
        TrackShape { length, momentum: 0.1, factor }
    }

    /// Running means.
    pub fn means(length: usize) -> TrackShape {
        TrackShape::new(length, 1.0)
    }

    /// Running variances, each over `count` values.
    pub fn variances(length: usize, count: usize) -> TrackShape {
        TrackShape::new(length, (count as f64 / (count as f64 - 1.0)) as f32)
    }
}

impl crate::kernel::Constants for TrackShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let (momentum, factor) = (f64::from(self.momentum), f64::from(self.factor));
        vec![("length", self.length as f64), ("momentum", momentum), ("factor", factor)]
    }
}

type TrackArg = Arg<TrackShape>;

/// See `shaders/track.wgsl`.
pub struct Track;

impl Kernel for Track {
    type Shape = TrackShape;
    const NAME: &'static str = "track";
    const ARGS: &'static [TrackArg] =
        &[TrackArg::read("batch", |s| s.length), TrackArg::update("running", |s| s.length)];
    const SHADERS: &'static [Shader<TrackShape>] = &[shader!("track", [], |s| threads(s.length))];
    const ROUTINES: &'static [Routine<TrackShape>] = &[];

    fn rows(s: &TrackShape) -> usize {
        s.length
    }

    #[inline(always)]
    fn reference<R: Real>(s: &TrackShape, rows: Range<usize>, io: &mut Io<R>) {
        let (batch, running) = (io.read("batch"), io.write("running"));
        let [momentum, factor] = [s.momentum, s.factor].map(|value| R::of(f64::from(value)));
        for (running, &batch) in running.iter_mut().zip(&batch[rows]) {
            *running += momentum * (factor * batch - *running);
        }
    }

    fn cases() -> Vec<TrackShape> {
        vec![TrackShape::means(1), TrackShape::variances(63, 2), TrackShape::variances(1000, 50)]
    }

    fn work(s: &TrackShape) -> Work {
        Work { flops: 4 * s.length as u64, bytes: 12 * s.length as u64 }
    }

    fn tolerance(_: &TrackShape) -> Tolerance {
        Tolerance::sum(3)
    }
}

/// Weights whose last axis are the channels that are normalised behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldShape {
    /// Weights of each channel.
    pub terms: usize,
    /// Channels.
    pub channels: usize,
    /// What is added to the variance.
    pub epsilon: f32,
}

impl crate::kernel::Constants for FoldShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        let sizes = [("terms", self.terms), ("channels", self.channels)].map(|(name, size)| (name, size as f64));
        sizes.into_iter().chain([("epsilon", f64::from(self.epsilon))]).collect()
    }
}

type FoldArg = Arg<FoldShape>;

/// See `shaders/fold.wgsl`.
pub struct Fold;

impl Kernel for Fold {
    type Shape = FoldShape;
    const NAME: &'static str = "fold";
    const ARGS: &'static [FoldArg] = &[
        FoldArg::read("w", |s| s.terms * s.channels),
        FoldArg::read("gamma", |s| s.channels),
        FoldArg::read("beta", |s| s.channels),
        FoldArg::read("mean", |s| s.channels),
        FoldArg::read("variance", |s| s.channels).fill(Fill::Uniform(0.5, 2.0)),
        FoldArg::write("folded", |s| s.terms * s.channels),
        FoldArg::write("bias", |s| s.channels),
    ];
    const SHADERS: &'static [Shader<FoldShape>] = &[shader!("fold", [], |s| threads(s.terms * s.channels))];
    const ROUTINES: &'static [Routine<FoldShape>] = &[];

    fn rows(_: &FoldShape) -> usize {
        1
    }

    #[inline(always)]
    fn reference<R: Real>(s: &FoldShape, _: Range<usize>, io: &mut Io<R>) {
        let [w, gamma, beta, mean, variance] = ["w", "gamma", "beta", "mean", "variance"].map(|name| io.read(name));
        let (folded, bias) = (io.write("folded"), io.write("bias"));
        let epsilon = R::of(f64::from(s.epsilon));
        let scale: Vec<R> = gamma.iter().zip(variance).map(|(&gamma, &v)| gamma / (v + epsilon).sqrt()).collect();
        for (((bias, &beta), &mean), &scale) in bias.iter_mut().zip(beta).zip(mean).zip(&scale) {
            *bias = beta - mean * scale;
        }
        for (folded, w) in folded.chunks_exact_mut(s.channels).zip(w.chunks_exact(s.channels)) {
            folded.iter_mut().zip(w).zip(&scale).for_each(|((folded, &w), &scale)| *folded = w * scale);
        }
    }

    fn cases() -> Vec<FoldShape> {
        [(1, 1, 0.25), (9, 5, 1e-5), (72, 16, 0.25), (1, 130, 1e-3)]
            .map(|(terms, channels, epsilon)| FoldShape { terms, channels, epsilon })
            .to_vec()
    }

    fn work(s: &FoldShape) -> Work {
        let weights = (s.terms * s.channels) as u64;
        Work { flops: weights + 6 * s.channels as u64, bytes: 4 * (2 * weights + 5 * s.channels as u64) }
    }

    fn tolerance(_: &FoldShape) -> Tolerance {
        Tolerance::sum(2)
    }
}
