//! Dense layers and their gradients as products.

use std::ops::Range;

use super::product::{Matrix, product};
use crate::host::vectorised;
use crate::kernel::Io;
use crate::kernels::{DenseDwShape, DenseDxShape, DenseShape, chunk};

/// One product.
pub(crate) fn gemm(s: &DenseShape, rows: Range<usize>, io: &mut Io<f32>) {
    let (x, w, b, y) = (io.read("x"), io.read("w"), io.read("b"), io.write("y"));
    let x = Matrix::new(&x[rows.start * s.inputs..rows.end * s.inputs], rows.len(), s.inputs);
    product(y, x, Matrix::new(w, s.inputs, s.outputs), false);
    vectorised(|| s.activation.finish(y, b));
}

/// One product.
pub(crate) fn gemm_dx(s: &DenseDxShape, rows: Range<usize>, io: &mut Io<f32>) {
    let (dz, w, dx) = (io.read("dz"), io.read("w"), io.write("dx"));
    let dz = Matrix::new(&dz[rows.start * s.outputs..rows.end * s.outputs], rows.len(), s.outputs);
    product(dx, dz, Matrix::new(w, s.inputs, s.outputs).transposed(), false);
}

/// A product for each partial sum.
pub(crate) fn gemm_dw(s: &DenseDwShape, rows: Range<usize>, io: &mut Io<f32>) {
    let (x, dz, mut dw) = (io.read("x"), io.read("dz"), io.write("dw"));
    let mut start = rows.start;
    while start < rows.end {
        let (split, first) = (start / s.inputs, start % s.inputs);
        let inputs = (s.inputs - first).min(rows.end - start);
        let part;
        (part, dw) = dw.split_at_mut(inputs * s.outputs);
        let batch = chunk(s.rows, s.splits, split);
        if batch.is_empty() {
            part.fill(0.0);
        } else {
            let x = Matrix::strided(&x[batch.start * s.inputs + first..], batch.len(), inputs, s.inputs);
            let dz = Matrix::new(&dz[batch.start * s.outputs..batch.end * s.outputs], batch.len(), s.outputs);
            product(part, x.transposed(), dz, false);
        }
        start += inputs;
    }
}
