//! What joins branches of a network: sums, arrays side by side, images within larger ones; and their ways back.

use std::ops::Range;

use super::{Activation, add_scaled, by_fours, shader, threads};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

/// (rows, columns) of arrays, the last four by fours.
const AWKWARD: [(usize, usize); 7] = [(1, 1), (3, 21), (7, 9), (5, 63), (2, 4), (3, 64), (33, 100)];

/// Two arrays to be added, and what follows.
#[derive(Clone, Debug)]
pub struct AddShape {
    /// Rows of a batch.
    pub rows: usize,
    /// Values of a row.
    pub columns: usize,
    /// What follows the sum.
    pub activation: Activation,
}

impl Constants for AddShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("rows", self.rows as f64), ("columns", self.columns as f64), ("activation", self.activation.code())]
    }
}

type AddArg = Arg<AddShape>;

/// See `shaders/add.wgsl`.
pub struct Add;

impl Kernel for Add {
    type Shape = AddShape;
    const NAME: &'static str = "add";
    const ARGS: &'static [AddArg] = &[
        AddArg::read("a", |s| s.rows * s.columns).stored().local(),
        AddArg::read("b", |s| s.rows * s.columns).stored().local(),
        AddArg::write("y", |s| s.rows * s.columns).stored(),
    ];
    const SHADERS: &'static [Shader<AddShape>] = &[
        shader!("add", ["activation"], |s| threads(s.rows * s.columns)),
        shader!("add.vec4", ["activation"], |s| threads(s.rows * s.columns / 4), Needs::Nothing, |s| {
            s.columns.is_multiple_of(4)
        }),
    ];
    const ROUTINES: &'static [Routine<AddShape>] = &[];

    fn rows(s: &AddShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &AddShape, rows: Range<usize>, io: &mut Io<R>) {
        let (a, b, y) = (io.read("a"), io.read("b"), io.write("y"));
        let values = rows.start * s.columns..rows.end * s.columns;
        for ((y, &a), &b) in y.iter_mut().zip(&a[values.clone()]).zip(&b[values]) {
            *y = s.activation.apply(a + b);
        }
    }

    fn cases() -> Vec<AddShape> {
        let every = Activation::ALL.into_iter().cycle();
        AWKWARD
            .into_iter()
            .zip(every)
            .map(|((rows, columns), activation)| AddShape { rows, columns, activation })
            .collect()
    }

    fn work(s: &AddShape) -> Work {
        let values = (s.rows * s.columns) as u64;
        Work { flops: values, bytes: 12 * values }
    }

    fn tolerance(s: &AddShape) -> Tolerance {
        s.activation.tolerance(2)
    }
}

shape! {
    /// An array to be added to another.
    pub struct AddToShape {
        /// Values of each.
        length: usize,
    }
}

type AddToArg = Arg<AddToShape>;

/// See `shaders/add_to.wgsl`.
pub struct AddTo;

impl Kernel for AddTo {
    type Shape = AddToShape;
    const NAME: &'static str = "add_to";
    const ARGS: &'static [AddToArg] = &[AddToArg::read("x", |s| s.length), AddToArg::update("y", |s| s.length)];
    const SHADERS: &'static [Shader<AddToShape>] = &[
        shader!("add_to", [], |s| threads(s.length)),
        shader!("add_to.vec4", [], |s| threads(s.length / 4), Needs::Nothing, |s| s.length.is_multiple_of(4)),
    ];
    const ROUTINES: &'static [Routine<AddToShape>] = &[];

    fn rows(s: &AddToShape) -> usize {
        s.length
    }

    #[inline(always)]
    fn reference<R: Real>(_: &AddToShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, y) = (io.read("x"), io.write("y"));
        add_scaled(y, R::of(1.0), &x[rows]);
    }

    fn cases() -> Vec<AddToShape> {
        AWKWARD.into_iter().map(|(rows, columns)| AddToShape { length: rows * columns }).collect()
    }

    fn work(s: &AddToShape) -> Work {
        Work { flops: s.length as u64, bytes: 12 * s.length as u64 }
    }

    fn tolerance(_: &AddToShape) -> Tolerance {
        Tolerance::sum(2)
    }
}

shape! {
    /// Two arrays to lie side by side, channel behind channel.
    pub struct ConcatShape {
        /// Rows of a batch.
        rows: usize,
        /// Pixels of an image; 1 where a row is none.
        pixels: usize,
        /// Channels of the first.
        left: usize,
        /// Channels of the second.
        right: usize,
    }
}

type ConcatArg = Arg<ConcatShape>;

/// See `shaders/concat.wgsl`.
pub struct Concat;

impl Kernel for Concat {
    type Shape = ConcatShape;
    const NAME: &'static str = "concat";
    const ARGS: &'static [ConcatArg] = &[
        ConcatArg::read("a", |s| s.rows * s.pixels * s.left).stored().local(),
        ConcatArg::read("b", |s| s.rows * s.pixels * s.right).stored().local(),
        ConcatArg::write("y", |s| s.rows * s.pixels * (s.left + s.right)).stored(),
    ];
    const SHADERS: &'static [Shader<ConcatShape>] = &[
        shader!("concat", [], |s| threads(s.rows * s.pixels * (s.left + s.right))),
        shader!("concat.vec4", [], |s| threads(s.rows * s.pixels * (s.left + s.right) / 4), Needs::Nothing, |s| {
            by_fours(s.left, s.right)
        }),
    ];
    const ROUTINES: &'static [Routine<ConcatShape>] = &[];

    fn rows(s: &ConcatShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &ConcatShape, rows: Range<usize>, io: &mut Io<R>) {
        let (a, b, y) = (io.read("a"), io.read("b"), io.write("y"));
        let pixels = rows.start * s.pixels..rows.end * s.pixels;
        let a = a[pixels.start * s.left..pixels.end * s.left].chunks_exact(s.left);
        let b = b[pixels.start * s.right..pixels.end * s.right].chunks_exact(s.right);
        for ((y, a), b) in y.chunks_exact_mut(s.left + s.right).zip(a).zip(b) {
            let (left, right) = y.split_at_mut(s.left);
            left.copy_from_slice(a);
            right.copy_from_slice(b);
        }
    }

    fn cases() -> Vec<ConcatShape> {
        [[1, 1, 1, 1], [3, 6, 5, 2], [2, 35, 1, 12], [2, 9, 4, 12], [5, 1, 8, 4], [3, 49, 32, 20]]
            .into_iter()
            .map(|[rows, pixels, left, right]| ConcatShape { rows, pixels, left, right })
            .collect()
    }

    fn work(s: &ConcatShape) -> Work {
        Work { flops: 0, bytes: 8 * (s.rows * s.pixels * (s.left + s.right)) as u64 }
    }

    fn tolerance(_: &ConcatShape) -> Tolerance {
        Tolerance::sum(1)
    }
}

shape! {
    /// A part of each image: its upper left, and some of its channels.
    pub struct SliceShape {
        /// Rows of a batch.
        rows: usize,
        /// Rows of an input image.
        in_height: usize,
        /// Columns of an input image.
        in_width: usize,
        /// Channels of an input image.
        in_channels: usize,
        /// Rows of the part.
        out_height: usize,
        /// Columns of the part.
        out_width: usize,
        /// Channels of the part.
        out_channels: usize,
        /// The first of these among the input's.
        start: usize,
    }
}

impl SliceShape {
    /// The part `[height, width, channels]` of `rows` images of a size, its channels from `start` on.
    pub fn new(rows: usize, of: [usize; 3], part: [usize; 3], start: usize) -> Self {
        let ([in_height, in_width, in_channels], [out_height, out_width, out_channels]) = (of, part);
        SliceShape { rows, in_height, in_width, in_channels, out_height, out_width, out_channels, start }
    }

    fn outputs(&self) -> usize {
        self.rows * self.out_height * self.out_width * self.out_channels
    }
}

type SliceArg = Arg<SliceShape>;

/// See `shaders/slice.wgsl`. Of gradients, which are not stored in less than 32 bits.
pub struct Slice;

impl Kernel for Slice {
    type Shape = SliceShape;
    const NAME: &'static str = "slice";
    const ARGS: &'static [SliceArg] = &[
        SliceArg::read("x", |s| s.rows * s.in_height * s.in_width * s.in_channels),
        SliceArg::write("y", SliceShape::outputs),
    ];
    const SHADERS: &'static [Shader<SliceShape>] = &[
        shader!("slice", [], |s| threads(s.outputs())),
        shader!("slice.vec4", [], |s| threads(s.outputs() / 4), Needs::Nothing, |s| {
            by_fours(s.in_channels, s.out_channels) && s.start.is_multiple_of(4)
        }),
    ];
    const ROUTINES: &'static [Routine<SliceShape>] = &[];

    fn rows(s: &SliceShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &SliceShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, y) = (io.read("x"), io.write("y"));
        let mut pixels = y.chunks_exact_mut(s.out_channels);
        for n in rows {
            for i in 0..s.out_height {
                let line = &x[(n * s.in_height + i) * s.in_width * s.in_channels..];
                let line = line.chunks_exact(s.in_channels).take(s.out_width);
                for (x, y) in line.zip(&mut pixels) {
                    y.copy_from_slice(&x[s.start..][..s.out_channels]);
                }
            }
        }
    }

    fn cases() -> Vec<SliceShape> {
        [
            (1, [1, 1, 1], [1, 1, 1], 0),
            (3, [5, 4, 3], [4, 2, 2], 1),
            (2, [1, 35, 13], [1, 35, 12], 1),
            (2, [7, 6, 16], [3, 5, 8], 4),
            (5, [1, 9, 12], [1, 9, 4], 8),
            (4, [1, 1, 20], [1, 1, 8], 12),
        ]
        .into_iter()
        .map(|(rows, of, part, start)| SliceShape::new(rows, of, part, start))
        .collect()
    }

    fn work(s: &SliceShape) -> Work {
        Work { flops: 0, bytes: 8 * s.outputs() as u64 }
    }

    fn tolerance(_: &SliceShape) -> Tolerance {
        Tolerance::sum(1)
    }
}

shape! {
    /// Images to be made larger by zeros at the end of each side and behind the channels.
    pub struct ExtendShape {
        /// Rows of a batch.
        rows: usize,
        /// Rows of an input image.
        in_height: usize,
        /// Columns of an input image.
        in_width: usize,
        /// Channels of an input image.
        in_channels: usize,
        /// Rows of an output image.
        out_height: usize,
        /// Columns of an output image.
        out_width: usize,
        /// Channels of an output image.
        out_channels: usize,
    }
}

impl ExtendShape {
    /// So many images `[height, width, channels]`, and what they become.
    pub fn new(rows: usize, from: [usize; 3], to: [usize; 3]) -> Self {
        let ([in_height, in_width, in_channels], [out_height, out_width, out_channels]) = (from, to);
        ExtendShape { rows, in_height, in_width, in_channels, out_height, out_width, out_channels }
    }

    fn inputs(&self) -> usize {
        self.rows * self.in_height * self.in_width * self.in_channels
    }

    fn outputs(&self) -> usize {
        self.rows * self.out_height * self.out_width * self.out_channels
    }
}

type ExtendArg = Arg<ExtendShape>;

/// See `shaders/extend.wgsl`.
pub struct Extend;

impl Kernel for Extend {
    type Shape = ExtendShape;
    const NAME: &'static str = "extend";
    const ARGS: &'static [ExtendArg] = &[
        ExtendArg::read("x", ExtendShape::inputs).stored().local(),
        ExtendArg::write("y", ExtendShape::outputs).stored(),
    ];
    const SHADERS: &'static [Shader<ExtendShape>] = &[
        shader!("extend", [], |s| threads(s.outputs())),
        shader!("extend.vec4", [], |s| threads(s.outputs() / 4), Needs::Nothing, |s| {
            by_fours(s.in_channels, s.out_channels)
        }),
    ];
    const ROUTINES: &'static [Routine<ExtendShape>] = &[];

    fn rows(s: &ExtendShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &ExtendShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, y) = (io.read("x"), io.write("y"));
        y.fill(R::default());
        for (n, y) in rows.zip(y.chunks_exact_mut(s.out_height * s.out_width * s.out_channels)) {
            for i in 0..s.in_height {
                let from = &x[(n * s.in_height + i) * s.in_width * s.in_channels..][..s.in_width * s.in_channels];
                let to = &mut y[i * s.out_width * s.out_channels..];
                for (x, y) in from.chunks_exact(s.in_channels).zip(to.chunks_exact_mut(s.out_channels)) {
                    y[..s.in_channels].copy_from_slice(x);
                }
            }
        }
    }

    fn cases() -> Vec<ExtendShape> {
        [
            (1, [1, 1, 1], [1, 1, 2]),
            (3, [4, 2, 2], [5, 4, 3]),
            (2, [3, 5, 7], [3, 5, 7]),
            (2, [3, 5, 8], [7, 6, 16]),
            (4, [1, 1, 8], [1, 1, 20]),
            (2, [6, 7, 32], [7, 7, 32]),
        ]
        .into_iter()
        .map(|(rows, from, to)| ExtendShape::new(rows, from, to))
        .collect()
    }

    fn work(s: &ExtendShape) -> Work {
        Work { flops: 0, bytes: 4 * (s.inputs() + s.outputs()) as u64 }
    }

    fn tolerance(_: &ExtendShape) -> Tolerance {
        Tolerance::sum(1)
    }
}
