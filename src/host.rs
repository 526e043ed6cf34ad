//! Typed arrays on the host, the two kinds of real number the references run in, and the named views through which
//! a reference reads its inputs and writes its outputs.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Range, Sub};

use crate::kernel::Operation;

/// The number type a reference runs in: `f32` as the parity oracle of the shaders, `f64` for finite differences.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Sum
    + 'static
{
    /// The nearest value of this type.
    fn of(value: f64) -> Self;
    /// The value as an `f64`, exactly.
    fn f64(self) -> f64;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The natural exponential.
    fn exp(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The larger of two values that are not NaN.
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    /// Calls the reference of `operation` for this number type on the output rows `rows`.
    fn reference(operation: &dyn Operation, rows: Range<usize>, io: &mut Io<Self>);
    /// Calls the fastest that there is for this number type: a routine, or else the reference.
    fn compute(operation: &dyn Operation, rows: Range<usize>, io: &mut Io<Self>);
}

macro_rules! real {
    ($type:ty, $reference:ident, $compute:expr) => {
        impl Real for $type {
            fn of(value: f64) -> Self {
                value as $type
            }
            fn f64(self) -> f64 {
                self as f64
            }
            fn sqrt(self) -> Self {
                <$type>::sqrt(self)
            }
            fn ln(self) -> Self {
                <$type>::ln(self)
            }
            fn exp(self) -> Self {
                <$type>::exp(self)
            }
            fn is_finite(self) -> bool {
                <$type>::is_finite(self)
            }
            fn reference(operation: &dyn Operation, rows: Range<usize>, io: &mut Io<Self>) {
                operation.$reference(rows, io)
            }
            fn compute(operation: &dyn Operation, rows: Range<usize>, io: &mut Io<Self>) {
                $compute(operation, rows, io)
            }
        }
    };
}
real!(f32, reference_f32, |operation: &dyn Operation, rows, io: &mut Io<f32>| {
    match operation.routine_for_shape() {
        Some(routine) => operation.routine(routine.place, rows, io),
        None => operation.reference_f32(rows, io),
    }
});
real!(f64, reference_f64, Self::reference);

/// Runs loops compiled for the widest vectors that the processor has; the order of sums is the same for all widths.
#[inline(always)]
pub(crate) fn vectorised<T>(loops: impl FnOnce() -> T) -> T {
    pulp::Arch::new().dispatch(loops)
}

/// One array on the host, of either element type of [`Element`](crate::kernel::Element).
#[derive(Clone, Debug, PartialEq)]
pub enum Array<R = f32> {
    /// Real numbers.
    Float(Vec<R>),
    /// Indices, counts, or bytes packed four to a word, the first in the lowest bits.
    Uint(Vec<u32>),
}

impl<R: Real> Array<R> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Array::Float(values) => values.len(),
            Array::Uint(values) => values.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The real numbers. Panics on an array of integers.
    pub fn floats(&self) -> &[R] {
        match self {
            Array::Float(values) => values,
            Array::Uint(_) => panic!("an array of integers was read as real numbers"),
        }
    }

    /// The integers. Panics on an array of real numbers.
    pub fn uints(&self) -> &[u32] {
        match self {
            Array::Uint(values) => values,
            Array::Float(_) => panic!("an array of real numbers was read as integers"),
        }
    }
}

/// Packs bytes four to a word, the first in the lowest bits; the last word is padded with zeros.
pub fn pack(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks(4)
        .map(|chunk| chunk.iter().enumerate().fold(0, |word, (i, &byte)| word | u32::from(byte) << (8 * i)))
        .collect()
}

/// One argument of a kernel, as its reference sees it. Written arrays hold only the rows being computed.
pub enum View<'a, R> {
    /// A read array of real numbers, whole.
    Read(&'a [R]),
    /// A read array of integers, whole.
    ReadUint(&'a [u32]),
    /// The computed rows of a written array of real numbers.
    Write(&'a mut [R]),
    /// The computed rows of a written array of integers.
    WriteUint(&'a mut [u32]),
    /// A written array that the reference has taken already.
    Taken,
}

impl<'a, R> View<'a, R> {
    /// A read view once more.
    pub(crate) fn whole(&self) -> View<'a, R> {
        match self {
            View::Read(values) => View::Read(values),
            View::ReadUint(values) => View::ReadUint(values),
            _ => panic!("only a read view can be had twice"),
        }
    }

    /// Of a read view that has `rows` rows, `count` from `first` on.
    pub(crate) fn rows(&self, first: usize, count: usize, rows: usize) -> View<'a, R> {
        fn part<T>(values: &[T], first: usize, count: usize, rows: usize) -> &[T] {
            let length = values.len() / rows;
            &values[first * length..][..count * length]
        }
        match self {
            View::Read(values) => View::Read(part(values, first, count, rows)),
            View::ReadUint(values) => View::ReadUint(part(values, first, count, rows)),
            _ => panic!("only a read view can be had in part"),
        }
    }

    /// Takes the first `count` of the `left` rows that a written view still has.
    pub(crate) fn split_off(&mut self, count: usize, left: usize) -> View<'a, R> {
        fn front<'a, T>(values: &mut &'a mut [T], count: usize, left: usize) -> &'a mut [T] {
            let length = values.len() / left;
            let (front, back) = std::mem::take(values).split_at_mut(count * length);
            *values = back;
            front
        }
        match self {
            View::Write(values) => View::Write(front(values, count, left)),
            View::WriteUint(values) => View::WriteUint(front(values, count, left)),
            _ => panic!("only a written view is dealt"),
        }
    }

    /// A written view for a while.
    pub(crate) fn for_writing(&mut self) -> View<'_, R> {
        match self {
            View::Write(values) => View::Write(values),
            View::WriteUint(values) => View::WriteUint(values),
            _ => panic!("a read view cannot be written"),
        }
    }

    /// What has been written, for a while.
    pub(crate) fn for_reading(&self) -> View<'_, R> {
        match self {
            View::Write(values) => View::Read(values),
            View::WriteUint(values) => View::ReadUint(values),
            _ => self.whole(),
        }
    }
}

/// The arguments of one run of a reference, by name.
pub struct Io<'a, R> {
    kernel: &'static str,
    views: Vec<(&'static str, View<'a, R>)>,
}

impl<'a, R> Io<'a, R> {
    /// The views of all arguments of `kernel`.
    pub fn new(kernel: &'static str, views: Vec<(&'static str, View<'a, R>)>) -> Self {
        Io { kernel, views }
    }

    fn find(&mut self, name: &str) -> &mut View<'a, R> {
        let kernel = self.kernel;
        match self.views.iter_mut().find(|(candidate, _)| *candidate == name) {
            Some((_, view)) => view,
            None => panic!("{kernel} has no argument `{name}`"),
        }
    }

    /// A read array of real numbers, whole.
    pub fn read(&mut self, name: &str) -> &'a [R] {
        match self.find(name) {
            View::Read(values) => values,
            _ => panic!("`{name}` is not a read array of real numbers"),
        }
    }

    /// A read array of integers, whole.
    pub fn read_uint(&mut self, name: &str) -> &'a [u32] {
        match self.find(name) {
            View::ReadUint(values) => values,
            _ => panic!("`{name}` is not a read array of integers"),
        }
    }

    /// The computed rows of a written array of real numbers; taken once.
    pub fn write(&mut self, name: &str) -> &'a mut [R] {
        match std::mem::replace(self.find(name), View::Taken) {
            View::Write(values) => values,
            _ => panic!("`{name}` is not a written array of real numbers, or was taken twice"),
        }
    }

    /// The computed rows of a written array of integers; taken once.
    pub fn write_uint(&mut self, name: &str) -> &'a mut [u32] {
        match std::mem::replace(self.find(name), View::Taken) {
            View::WriteUint(values) => values,
            _ => panic!("`{name}` is not a written array of integers, or was taken twice"),
        }
    }
}
