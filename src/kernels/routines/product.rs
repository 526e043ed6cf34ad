//! Products of matrices on the host's processor: what the routines of the heavy kernels are made of.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut, Range};

use gemm::Parallelism;

use crate::host::LINE;

thread_local! {
    /// What the last [`Scratch`]es of this thread were made of.
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// An array of arbitrary values for the time being, at the beginning of a cache line. Its memory goes round on its
/// thread: new memory costs as much as what is done with it.
pub(crate) struct Scratch {
    values: Vec<f32>,
    range: Range<usize>,
}

/// An array of `len` arbitrary values.
pub(crate) fn scratch(len: usize) -> Scratch {
    let mut values = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    let least = len + LINE / size_of::<f32>();
    if values.len() < least {
        values = vec![0.0; least];
    }
    let start = values.as_ptr().align_offset(LINE);
    Scratch { values, range: start..start + len }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SPARE.with_borrow_mut(|spare| spare.push(std::mem::take(&mut self.values)));
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.range.clone()]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.range.clone()]
    }
}

/// A matrix within an array: element (row, column) is `values[row * strides[0] + column * strides[1]]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    dims: [usize; 2],
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Row after row, without gaps.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Matrix::strided(values, rows, columns, columns)
    }

    /// Rows that begin `stride` values apart.
    ///
    /// # Panics
    /// If the array is too short.
    pub(crate) fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        let last = rows.saturating_sub(1) * stride + columns;
        assert!(rows == 0 || last <= values.len(), "{rows} rows {stride} apart in {} values", values.len());
        Matrix { values, dims: [rows, columns], strides: [stride, 1] }
    }

    /// Rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        let ([rows, columns], [down, along]) = (self.dims, self.strides);
        Matrix { dims: [columns, rows], strides: [along, down], ..self }
    }
}

/// `c = a · b`, or `c += a · b` where it `adds`; `c` row after row. On one thread; the order of sums depends on the
/// sizes and on the processor, so the same values bring the same bits only in products of the same sizes.
///
/// # Panics
/// If the sizes do not fit.
pub(crate) fn product(c: &mut [f32], a: Matrix, b: Matrix, adds: bool) {
    let ([rows, terms], [b_terms, columns]) = (a.dims, b.dims);
    assert!(terms == b_terms && c.len() == rows * columns, "{:?} · {:?} into {} values", a.dims, b.dims, c.len());
    let [[a_down, a_along], [b_down, b_along]] = [a.strides, b.strides].map(|strides| strides.map(|s| s as isize));
    // SAFETY: `Matrix` holds only what lies within its array, and `c` has just been found to have the product's size;
    // it is borrowed for writing, so that it is none of the others.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            terms,
            c.as_mut_ptr(),
            1,
            columns as isize,
            adds,
            a.values.as_ptr(),
            a_along,
            a_down,
            b.values.as_ptr(),
            b_along,
            b_down,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
