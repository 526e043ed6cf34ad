//! The registry of kernels.
//!
//! To add one: write `shaders/<name>.wgsl` and its entry in a family file here (the [`Kernel`] trait lists what it
//! must state), name it in the `kernels!` list below, and use it in a layer, a loss or `siamese.rs`. Tests and benches
//! follow this list and the plans; none of them needs a line.

mod act;
mod adam;
mod circle;
mod contrastive;
mod conv2d;
mod conv2d_dw;
mod conv2d_dx;
mod conv2d_pool;
mod dense;
mod drop;
mod gather;
pub mod head;
mod join;
mod l2norm;
mod map;
mod memory;
mod mine;
mod mirror;
mod multi_similarity;
mod norm;
mod normalise;
mod nt_xent;
mod pairs;
mod pool;
mod prelu;
mod reduce;
pub(crate) mod routines;
mod supcon;
mod tint;
mod topk;
mod triplet;
mod window;

pub use act::{Act, ActBy, ActDx, ActDxShape, ActShape, Activation};
pub use adam::{Adam, AdamGroups, AdamGroupsShape, AdamShape, Average, AverageShape};
pub use circle::Circle;
pub use contrastive::{Contrastive, ContrastiveCount, ContrastivePairs};
pub use conv2d::{Conv2d, Conv2dShape};
pub use conv2d_dw::{Conv2dDw, Conv2dDwShape};
pub use conv2d_dx::Conv2dDx;
pub(crate) use conv2d_pool::candidates;
pub use conv2d_pool::{Conv2dPool, Conv2dPoolDw};
pub use dense::{Dense, DenseDw, DenseDwShape, DenseDx, DenseDxShape, DenseShape};
pub use drop::{Drop, DropShape};
pub use gather::{Gather, GatherShape, SCALED, Scale, Warp, WarpShape};
pub use head::{
    Centre, CentreShape, MarginSoftmax, MarginSoftmaxShape, ProxyAnchor, ProxyAnchorShape, Recentre, RecentreShape,
};
pub use join::{Add, AddShape, AddTo, AddToShape, Concat, ConcatShape, Extend, ExtendShape, Slice, SliceShape};
pub use l2norm::{L2Norm, L2NormDx, L2NormShape};
pub use map::{Function, Map, MapDx, MapShape};
pub use memory::{Enqueue, EnqueueShape, JoinCosts, JoinCostsShape, MemoryDx, MemoryDxShape};
pub use mine::{Mine, MineDx, MineDxShape, MineHard, MineShape};
pub use mirror::{Mirror, MirrorShape};
pub use multi_similarity::MultiSimilarity;
pub use norm::{Fold, FoldShape, Moments, MomentsJoin, MomentsJoinShape, Sets, Track, TrackShape};
pub use normalise::{Normalise, NormaliseDx, NormaliseDxShape, NormaliseShape, NormaliseSums};
pub use nt_xent::NtXent;
pub use pairs::{EMPTY, PairLoss, PairsShape, Pairwise, pair_terms};
pub use pool::{AvgPool, AvgPoolDx, MaxPool, MaxPoolDx, Mean, MeanShape, PoolShape};
pub use prelu::{Prelu, PreluDw, PreluDx, PreluShape};
pub use reduce::{MOST_TERMS, Norm, NormShape, Statistics, StatisticsShape, SumRows, SumRowsShape};
pub use supcon::SupCon;
pub use tint::{Tint, TintShape};
pub use topk::{Distances, DistancesShape, TopK, TopKShape};
pub use triplet::{Triplet, TripletDx, TripletShape, terms};
pub use window::{Taps, Window};

use crate::kernel::{At, Format, Kernel, Registered};

/// One kernel of the registry.
pub struct Entry {
    /// See [`Kernel::NAME`].
    pub name: &'static str,
    /// Names of its shaders, the plain one first.
    pub shaders: Vec<&'static str>,
    /// The awkward shapes that tests run.
    pub cases: Vec<At>,
}

macro_rules! kernels {
    ($($kernel:ty,)*) => {
        $(impl Registered for $kernel {})*

        /// Every kernel.
        pub fn all() -> Vec<Entry> {
            vec![$(Entry {
                name: <$kernel>::NAME,
                shaders: <$kernel>::SHADERS.iter().map(|shader| shader.name).collect(),
                cases: cases::<$kernel>(),
            }),*]
        }
    };
}

/// Every case of a kernel; and in every format, if it has images or activations.
fn cases<K: Kernel>() -> Vec<At> {
    let formats = if K::ARGS.iter().any(|arg| arg.stored) { &Format::ALL[..] } else { &[Format::F32] };
    let of_format = |&format: &Format| K::cases().into_iter().map(move |shape| At::stored::<K>(shape, format));
    formats.iter().flat_map(of_format).collect()
}

kernels! {
    Gather,
    Warp,
    Tint,
    Mirror,
    Conv2d,
    Conv2dDx,
    Conv2dDw,
    Conv2dPool,
    Conv2dPoolDw,
    MaxPool,
    MaxPoolDx,
    AvgPool,
    AvgPoolDx,
    Mean,
    Dense,
    DenseDx,
    DenseDw,
    Act,
    ActDx,
    ActBy,
    Map,
    MapDx,
    Drop,
    Prelu,
    PreluDx,
    PreluDw,
    Add,
    AddTo,
    Concat,
    Slice,
    Extend,
    Moments,
    MomentsJoin,
    Normalise,
    NormaliseSums,
    NormaliseDx,
    Track,
    Fold,
    L2Norm,
    L2NormDx,
    Triplet,
    TripletDx,
    Mine,
    MineHard,
    MineDx,
    Pairwise<MultiSimilarity>,
    Pairwise<SupCon>,
    Pairwise<NtXent>,
    Pairwise<Circle>,
    ContrastiveCount,
    ContrastivePairs,
    Enqueue,
    MemoryDx,
    JoinCosts,
    MarginSoftmax,
    ProxyAnchor,
    Centre,
    Recentre,
    SumRows,
    Norm,
    Statistics,
    Adam,
    AdamGroups,
    Average,
    Distances,
    TopK,
}

/// The kernel that does in one what two do of which the second alone takes what the first makes, if there is one. Its
/// arguments are theirs but that array, by name.
pub(crate) fn fused(first: &At, second: &At) -> Option<At> {
    conv2d_pool::fused(first, second)
}

/// A kernel that makes an output of another in the place of an input, if there is one, with the names of the two. Its
/// other arguments are the same.
pub(crate) fn in_place(at: &At) -> Option<(At, &'static str, &'static str)> {
    act::in_place(at).map(|at| (at, "dy", "dz"))
}

/// One row of a kernel's `SHADERS`: file stem, library files, number of workgroups; then, for a faster variant, what
/// the adapter needs and which shapes it is made for.
macro_rules! shader {
    ($name:literal, [$($library:literal),*], $groups:expr) => {
        shader!($name, [$($library),*], $groups, $crate::kernel::Needs::Nothing, |_| true)
    };
    ($name:literal, [$($library:literal),*], $groups:expr, $needs:expr, $fits:expr) => {
        $crate::kernel::Shader {
            name: $name,
            source: include_str!(concat!("../../shaders/", $name, ".wgsl")),
            libraries: &[
                include_str!("../../shaders/lib/grid.wgsl"),
                $(include_str!(concat!("../../shaders/lib/", $library, ".wgsl"))),*
            ],
            needs: $needs,
            fits: $fits,
            groups: $groups,
            widen: 1.0,
        }
    };
}
pub(crate) use shader;

/// [`shader!`] for one whose workgroups make a block of sums each, see `shaders/lib/block.wgsl`.
macro_rules! block {
    ($name:literal, [$($library:literal),*], $groups:expr, $fits:expr) => {
        shader!(
            $name,
            ["block", "block_terms", "operands", "sums", $($library),*],
            $groups,
            $crate::kernel::Needs::WorkgroupMemory,
            $fits
        )
    };
}
pub(crate) use block;

/// [`shader!`] for one that multiplies by cooperative matrices, see `shaders/lib/matrix.wgsl`: kernel, rows of a
/// matrix, library files, which shapes it is made for, and number of workgroups by the block that each makes.
macro_rules! matrices {
    ($kernel:literal, $tile:literal, [$($library:literal),*], $fits:expr, |$s:ident, $block:ident| $groups:expr) => {
        $crate::kernel::Shader {
            name: concat!($kernel, ".matrix", $tile),
            source: include_str!(concat!("../../shaders/", $kernel, ".matrix.wgsl")),
            libraries: &[
                include_str!("../../shaders/lib/grid.wgsl"),
                include_str!("../../shaders/lib/block_terms.wgsl"),
                include_str!("../../shaders/lib/operands.wgsl"),
                include_str!("../../shaders/lib/matrix.wgsl"),
                include_str!(concat!("../../shaders/lib/matrix", $tile, ".wgsl")),
                $(include_str!(concat!("../../shaders/lib/", $library, ".wgsl"))),*
            ],
            needs: $crate::kernel::Needs::Matrices($tile),
            fits: $fits,
            groups: |$s| {
                let $block = [8 * $tile, 4 * $tile];
                $groups
            },
            widen: 1.0,
        }
    };
}
pub(crate) use matrices;

/// Workgroups of 64 threads, one thread an item.
pub(crate) fn threads(items: usize) -> usize {
    items.div_ceil(64)
}

/// Random bits from others (an integer hash by C. Wellons, `lowbias32`).
#[inline(always)]
pub(crate) fn hash(bits: u32) -> u32 {
    let mut x = bits;
    x = (x ^ x >> 16).wrapping_mul(0x7feb_352d);
    x = (x ^ x >> 15).wrapping_mul(0x846c_a68b);
    x ^ x >> 16
}

/// Whether two dimensions can be taken four values at a time.
pub(crate) fn by_fours(a: usize, b: usize) -> bool {
    a.is_multiple_of(4) && b.is_multiple_of(4)
}

/// Workgroups of the shaders that keep a tile in registers: one thread for each tile of 8 × 8.
pub(crate) fn patches(rows: usize, columns: usize) -> usize {
    threads(rows.div_ceil(8) * columns.div_ceil(8))
}

/// Workgroups of the block shaders: one for each block of so many rows and columns.
pub(crate) fn blocks(rows: usize, columns: usize, block: [usize; 2]) -> usize {
    rows.div_ceil(block[0]) * columns.div_ceil(block[1])
}

/// Whether blocks of 128 × 64 would leave most of a GPU without work.
pub(crate) fn is_small(rows: usize, columns: usize) -> bool {
    blocks(rows, columns, [128, 64]) < 40
}

/// Whether blocks of 64 columns would be half empty at the end.
pub(crate) fn is_narrow(columns: usize) -> bool {
    columns.div_ceil(32) % 2 == 1
}

/// Workgroups that take up to sixteen columns of four channels each, see `shaders/lib/columns.wgsl`.
pub(crate) fn column_blocks(channels: usize) -> usize {
    let columns = channels / 4;
    columns.div_ceil(columns.next_power_of_two().clamp(1, 16))
}

/// Workgroups of the eight-lane shaders: one for each tile of 32 × 32.
pub(crate) fn tiles(rows: usize, columns: usize) -> usize {
    rows.div_ceil(32) * columns.div_ceil(32)
}

/// Rows of split `split` when `rows` are dealt to `splits` chunks in order; empty past the end.
pub(crate) fn chunk(rows: usize, splits: usize, split: usize) -> std::ops::Range<usize> {
    let size = rows.div_ceil(splits);
    (split * size).min(rows)..((split + 1) * size).min(rows)
}

/// How many partial sums a weight gradient of `outputs` values over `rows` rows is split into: enough for every thread
/// of a device to have work, few enough that the partial sums stay small (some 4 MiB). All sum equally many rows, so it
/// is the divisor of the rows that is nearest to that, by ratio. A function of the shape alone, since it fixes the
/// rounding.
pub(crate) fn splits(outputs: usize, rows: usize) -> usize {
    let wanted = ((1 << 20) / outputs).clamp(1, 64);
    // Rows without a suitable divisor may take more memory, to a limit.
    let most = ((1 << 24) / outputs).max(1);
    let off = |splits: usize| splits.max(wanted) as f64 / splits.min(wanted) as f64;
    let divisors = (1..=rows.min(most)).filter(|&splits| rows.is_multiple_of(splits));
    divisors.min_by(|&a, &b| off(a).total_cmp(&off(b))).unwrap_or(1)
}

/// Sum of products in eight interleaved partial sums, which the compiler turns into vector code.
pub(crate) fn dot<R: crate::host::Real>(a: &[R], b: &[R]) -> R {
    let mut sums = [R::default(); 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(&a, &b)| a * b).sum::<R>();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.into_iter().sum::<R>() + tail
}

/// `y += a * b`, element by element.
pub(crate) fn multiply_add<R: crate::host::Real>(y: &mut [R], a: &[R], b: &[R]) {
    for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
        *y += a * b;
    }
}

/// `y += a * x`, element by element, where `a` is one number.
pub(crate) fn add_scaled<R: crate::host::Real>(y: &mut [R], a: R, x: &[R]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}
