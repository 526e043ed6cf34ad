//! Typed arrays on the host, and the two kinds of real number that the references run in.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

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
}

macro_rules! real {
    ($type:ty) => {
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
        }
    };
}
real!(f32);
real!(f64);

/// Bytes of a cache line, and of the widest vectors.
pub(crate) const LINE: usize = 64;

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
    let (words, rest) = bytes.as_chunks();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let last = (!rest.is_empty()).then_some(&last);
    words.iter().chain(last).map(|&word| u32::from_le_bytes(word)).collect()
}
