//! Dense layers with fused bias and activation, and their gradients by input and by weights. (The gradient by bias is
//! [`SumRows`](super::SumRows).)

use std::ops::Range;

use super::routines::dense as routines;
use super::{
    Activation, add_scaled, block, blocks, by_fours, chunk, dot, is_small, matrices, patches, shader, splits, threads,
    tiles,
};
use crate::host::Real;
use crate::kernel::{Arg, Constants, Io, Kernel, Needs, Routine, Shader, Tolerance, Work, shape};

/// Rows through a dense layer with its activation.
#[derive(Clone, Debug)]
pub struct DenseShape {
    /// Rows of the batch.
    pub rows: usize,
    /// Values of an input row.
    pub inputs: usize,
    /// Values of an output row.
    pub outputs: usize,
    /// What follows the bias.
    pub activation: Activation,
}

impl Constants for DenseShape {
    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("rows", self.rows as f64),
            ("inputs", self.inputs as f64),
            ("outputs", self.outputs as f64),
            ("activation", self.activation.code()),
        ]
    }
}

/// (rows, inputs, outputs) that fit no tile, and some that fill several.
const AWKWARD: [(usize, usize, usize); 7] =
    [(1, 1, 1), (3, 5, 7), (2, 129, 1), (33, 64, 36), (70, 100, 68), (32, 32, 32), (65, 3, 130)];

fn work(rows: usize, inputs: usize, outputs: usize) -> Work {
    Work {
        flops: 2 * (rows * inputs * outputs) as u64,
        bytes: 4 * (rows * inputs + inputs * outputs + rows * outputs) as u64,
    }
}

type DenseArg = Arg<DenseShape>;

/// See `shaders/dense.wgsl`.
pub struct Dense;

impl Kernel for Dense {
    type Shape = DenseShape;
    const NAME: &'static str = "dense";
    const ARGS: &'static [DenseArg] = &[
        DenseArg::read("x", |s| s.rows * s.inputs).stored(),
        DenseArg::read("w", |s| s.inputs * s.outputs),
        DenseArg::read("b", |s| s.outputs),
        DenseArg::write("y", |s| s.rows * s.outputs),
    ];
    const SHADERS: &'static [Shader<DenseShape>] = &[
        shader!("dense", ["activation"], |s| threads(s.rows * s.outputs)),
        shader!(
            "dense.registers",
            ["activation", "registers", "terms"],
            |s| patches(s.rows, s.outputs),
            Needs::Nothing,
            |s| by_fours(s.inputs, s.outputs)
        ),
        block!(
            "dense.block",
            ["activation", "product", "dense_block"],
            |s| blocks(s.rows, s.outputs, [128, 64]),
            |s| by_fours(s.inputs, s.outputs)
        ),
        shader!(
            "dense.subgroup8",
            ["activation", "tile", "terms"],
            |s| tiles(s.rows, s.outputs),
            Needs::EightLaneCpu,
            |s| by_fours(s.inputs, s.outputs)
        ),
        matrices!("dense", 8, ["activation", "dense_block"], |s| by_fours(s.inputs, s.outputs), |s, block| blocks(
            s.rows, s.outputs, block
        )),
        matrices!("dense", 16, ["activation", "dense_block"], |s| by_fours(s.inputs, s.outputs), |s, block| blocks(
            s.rows, s.outputs, block
        )),
        shader!(
            "dense.slices",
            ["activation", "slices", "operands", "sums", "product", "dense_block"],
            |s| blocks(s.rows, s.outputs, [32, 32]),
            Needs::WorkgroupMemory,
            |s| by_fours(s.inputs, s.outputs) && is_small(s.rows, s.outputs)
        ),
    ];
    const ROUTINES: &'static [Routine<DenseShape>] = &[Routine {
        name: "dense.gemm",
        fits: |_| true,
        together: |_| 16,
        prepare: None,
        widen: 1.0,
        run: routines::gemm,
    }];

    fn rows(s: &DenseShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &DenseShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, w, b, y) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"));
        for (n, y) in rows.zip(y.chunks_mut(s.outputs)) {
            y.copy_from_slice(b);
            for (i, &value) in x[n * s.inputs..][..s.inputs].iter().enumerate() {
                add_scaled(y, value, &w[i * s.outputs..][..s.outputs]);
            }
            y.iter_mut().for_each(|y| *y = s.activation.apply(*y));
        }
    }

    fn cases() -> Vec<DenseShape> {
        AWKWARD
            .into_iter()
            .zip(Activation::ALL.into_iter().cycle())
            .map(|((rows, inputs, outputs), activation)| DenseShape { rows, inputs, outputs, activation })
            .collect()
    }

    fn work(s: &DenseShape) -> Work {
        work(s.rows, s.inputs, s.outputs)
    }

    fn tolerance(s: &DenseShape) -> Tolerance {
        s.activation.tolerance(s.inputs)
    }
}

shape! {
    /// Rows back through a dense layer.
    pub struct DenseDxShape {
        /// Rows of the batch.
        rows: usize,
        /// Values of an input row.
        inputs: usize,
        /// Values of an output row.
        outputs: usize,
    }
}

type DenseDxArg = Arg<DenseDxShape>;

/// See `shaders/dense_dx.wgsl`.
pub struct DenseDx;

impl Kernel for DenseDx {
    type Shape = DenseDxShape;
    const NAME: &'static str = "dense_dx";
    const ARGS: &'static [DenseDxArg] = &[
        DenseDxArg::read("dz", |s| s.rows * s.outputs),
        DenseDxArg::read("w", |s| s.inputs * s.outputs),
        DenseDxArg::write("dx", |s| s.rows * s.inputs),
    ];
    const SHADERS: &'static [Shader<DenseDxShape>] = &[
        shader!("dense_dx", [], |s| threads(s.rows * s.inputs)),
        shader!("dense_dx.registers", ["registers", "terms"], |s| patches(s.rows, s.inputs), Needs::Nothing, |s| {
            by_fours(s.inputs, s.outputs)
        }),
        block!("dense_dx.block", ["product", "dense_dx_block"], |s| blocks(s.rows, s.inputs, [128, 64]), |s| by_fours(
            s.inputs, s.outputs
        )),
        shader!("dense_dx.subgroup8", ["tile", "terms"], |s| tiles(s.rows, s.inputs), Needs::EightLaneCpu, |s| {
            by_fours(s.inputs, s.outputs)
        }),
        matrices!("dense_dx", 8, ["dense_dx_block"], |s| by_fours(s.inputs, s.outputs), |s, block| blocks(
            s.rows, s.inputs, block
        )),
        matrices!("dense_dx", 16, ["dense_dx_block"], |s| by_fours(s.inputs, s.outputs), |s, block| blocks(
            s.rows, s.inputs, block
        )),
        shader!(
            "dense_dx.slices",
            ["slices", "operands", "sums", "product", "dense_dx_block"],
            |s| blocks(s.rows, s.inputs, [32, 32]),
            Needs::WorkgroupMemory,
            |s| by_fours(s.inputs, s.outputs) && is_small(s.rows, s.inputs)
        ),
    ];
    const ROUTINES: &'static [Routine<DenseDxShape>] = &[Routine {
        name: "dense_dx.gemm",
        fits: |_| true,
        together: |_| 32,
        prepare: None,
        widen: 1.0,
        run: routines::gemm_dx,
    }];

    fn rows(s: &DenseDxShape) -> usize {
        s.rows
    }

    #[inline(always)]
    fn reference<R: Real>(s: &DenseDxShape, rows: Range<usize>, io: &mut Io<R>) {
        let (dz, w, dx) = (io.read("dz"), io.read("w"), io.write("dx"));
        for (n, dx) in rows.zip(dx.chunks_mut(s.inputs)) {
            let dz = &dz[n * s.outputs..][..s.outputs];
            for (dx, w) in dx.iter_mut().zip(w.chunks(s.outputs)) {
                *dx = dot(dz, w);
            }
        }
    }

    fn cases() -> Vec<DenseDxShape> {
        AWKWARD.into_iter().map(|(rows, inputs, outputs)| DenseDxShape { rows, inputs, outputs }).collect()
    }

    fn work(s: &DenseDxShape) -> Work {
        work(s.rows, s.inputs, s.outputs)
    }

    fn tolerance(s: &DenseDxShape) -> Tolerance {
        Tolerance::sum(s.outputs)
    }
}

shape! {
    /// The weight gradient of a dense layer in partial sums.
    pub struct DenseDwShape {
        /// Rows of the batch.
        rows: usize,
        /// Values of an input row.
        inputs: usize,
        /// Values of an output row.
        outputs: usize,
        /// Number of partial sums.
        splits: usize,
    }
}

impl DenseDwShape {
    /// Splits as many as pay.
    pub fn new(rows: usize, inputs: usize, outputs: usize) -> Self {
        DenseDwShape { rows, inputs, outputs, splits: splits(inputs * outputs, rows) }
    }
}

type DenseDwArg = Arg<DenseDwShape>;

/// See `shaders/dense_dw.wgsl`.
pub struct DenseDw;

impl Kernel for DenseDw {
    type Shape = DenseDwShape;
    const NAME: &'static str = "dense_dw";
    const ARGS: &'static [DenseDwArg] = &[
        DenseDwArg::read("x", |s| s.rows * s.inputs).stored(),
        DenseDwArg::read("dz", |s| s.rows * s.outputs),
        DenseDwArg::write("dw", |s| s.splits * s.inputs * s.outputs),
    ];
    const SHADERS: &'static [Shader<DenseDwShape>] = &[
        shader!("dense_dw", [], |s| threads(s.splits * s.inputs * s.outputs)),
        shader!(
            "dense_dw.registers",
            ["registers", "terms"],
            |s| threads(s.splits * s.inputs.div_ceil(8) * s.outputs.div_ceil(8)),
            Needs::Nothing,
            |s| by_fours(s.inputs, s.outputs)
        ),
        block!(
            "dense_dw.block",
            ["product", "dense_dw_block"],
            |s| s.splits * blocks(s.inputs, s.outputs, [128, 64]),
            |s| by_fours(s.inputs, s.outputs)
        ),
        shader!(
            "dense_dw.subgroup8",
            ["tile", "terms"],
            |s| s.splits * tiles(s.inputs, s.outputs),
            Needs::EightLaneCpu,
            |s| { by_fours(s.inputs, s.outputs) }
        ),
        matrices!("dense_dw", 8, ["dense_dw_block"], |s| by_fours(s.inputs, s.outputs), |s, block| s.splits
            * blocks(s.inputs, s.outputs, block)),
        matrices!("dense_dw", 16, ["dense_dw_block"], |s| by_fours(s.inputs, s.outputs), |s, block| s.splits
            * blocks(s.inputs, s.outputs, block)),
    ];
    const ROUTINES: &'static [Routine<DenseDwShape>] = &[Routine {
        name: "dense_dw.gemm",
        fits: |_| true,
        together: |_| 16,
        prepare: None,
        widen: 1.0,
        run: routines::gemm_dw,
    }];

    fn rows(s: &DenseDwShape) -> usize {
        s.splits * s.inputs
    }

    #[inline(always)]
    fn reference<R: Real>(s: &DenseDwShape, rows: Range<usize>, io: &mut Io<R>) {
        let (x, dz, dw) = (io.read("x"), io.read("dz"), io.write("dw"));
        dw.fill(R::default());
        for (row, dw) in rows.zip(dw.chunks_mut(s.outputs)) {
            let (split, i) = (row / s.inputs, row % s.inputs);
            for n in chunk(s.rows, s.splits, split) {
                add_scaled(dw, x[n * s.inputs + i], &dz[n * s.outputs..][..s.outputs]);
            }
        }
    }

    fn cases() -> Vec<DenseDwShape> {
        let mut cases: Vec<_> =
            AWKWARD.into_iter().map(|(rows, inputs, outputs)| DenseDwShape::new(rows, inputs, outputs)).collect();
        // A last chunk that is short, and splits that get no row at all.
        cases.push(DenseDwShape { rows: 7, inputs: 36, outputs: 8, splits: 3 });
        cases.push(DenseDwShape { rows: 5, inputs: 4, outputs: 8, splits: 4 });
        // More rows to a split than any block takes in at once.
        cases.push(DenseDwShape { rows: 75, inputs: 36, outputs: 20, splits: 2 });
        cases
    }

    fn work(s: &DenseDwShape) -> Work {
        work(s.rows, s.inputs, s.outputs)
    }

    fn tolerance(s: &DenseDwShape) -> Tolerance {
        Tolerance::sum(s.rows.div_ceil(s.splits))
    }
}
