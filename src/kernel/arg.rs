//! Arguments of kernels.

use serde::Serialize;

/// Element type of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// `f32` on a device; `f32` or `f64` in the references.
    F32,
    /// `f16` on a device, where arithmetic is in `f32` all the same; on the host as [`Element::F32`].
    F16,
    /// `u32`.
    U32,
}

impl Element {
    /// Bytes of an element on a device.
    pub fn bytes(self) -> u64 {
        match self {
            Element::F32 | Element::U32 => 4,
            Element::F16 => 2,
        }
    }
}

/// How images and activations are stored on a device. Another one is a variant here and its library in `shaders/lib`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// As [`Element::F32`].
    F32,
    /// As [`Element::F16`].
    F16,
}

impl Format {
    /// Every format, the plain one first.
    pub const ALL: [Format; 2] = [Format::F32, Format::F16];

    /// The element type of what is stored.
    pub fn element(self) -> Element {
        match self {
            Format::F32 => Element::F32,
            Format::F16 => Element::F16,
        }
    }

    /// What comes before a shader's text, on its first line, which is a comment: so the numbers of lines stay true.
    pub(super) fn prelude(self) -> &'static str {
        match self {
            Format::F32 => "",
            Format::F16 => "enable f16; ",
        }
    }

    /// The library that names the type for a shader.
    pub(super) fn library(self) -> &'static str {
        match self {
            Format::F32 => include_str!("../../shaders/lib/stored.wgsl"),
            Format::F16 => include_str!("../../shaders/lib/stored_f16.wgsl"),
        }
    }

    /// The library by which a shader for eight-lane software Vulkan loads four of them.
    pub(super) fn wide_library(self) -> &'static str {
        match self {
            Format::F32 => include_str!("../../shaders/lib/stored_wide.wgsl"),
            Format::F16 => include_str!("../../shaders/lib/stored_wide_f16.wgsl"),
        }
    }
}

/// What a kernel does with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only reads it.
    Read,
    /// Writes every element and reads none.
    Write,
    /// Reads and writes each element in place.
    Update,
}

/// What random input suits an argument in a check: values that keep away from kinks and stay in range. `B` is the bound
/// of integers: a number, or how it follows from the shape.
#[derive(Clone, Copy, Debug)]
pub enum Fill<B = u32> {
    /// Standard normal.
    Normal,
    /// Uniform in the interval.
    Uniform(f32, f32),
    /// Standard normal with the negative values replaced by zero, as behind a ReLU or a hinge.
    Rectified,
    /// Standard normal rounded to quarters, so that equal values are among them.
    Coarse,
    /// Standard normal with some infinities and NaNs among them.
    NonFinite,
    /// Integers below the bound.
    Below(B),
    /// All 32 bits random: packed bytes.
    Bits,
}

/// One argument of a kernel, for every shape. Made by [`Arg::read`], [`Arg::write`] or [`Arg::update`], and what else
/// is to be said of it.
pub struct Arg<S: 'static> {
    /// Name of the WGSL binding, in binding order.
    pub name: &'static str,
    /// What the kernel does with it.
    pub access: Access,
    /// Element type.
    pub element: Element,
    /// Number of elements at a shape.
    pub len: fn(&S) -> usize,
    /// Random input for checks; of written arguments unused.
    pub fill: Fill<fn(&S) -> u32>,
    /// Whether it holds images or activations, which a plan may store in another [`Format`].
    pub stored: bool,
    /// Whether an output row depends on the same row of this read argument alone. The processor hands such a kernel
    /// nothing but the rows at hand, counted from 0, and runs several calls on some images before the next images.
    pub local: fn(&S) -> bool,
    /// Number of columns of quantities that have nothing to do with each other, counts beside distances: each is
    /// compared by its own size. 1 where all values are of one kind.
    pub columns: fn(&S) -> usize,
}

impl<S> Arg<S> {
    const fn new(name: &'static str, access: Access, len: fn(&S) -> usize) -> Self {
        Arg {
            name,
            access,
            element: Element::F32,
            len,
            fill: Fill::Normal,
            stored: false,
            local: |_| false,
            columns: |_| 1,
        }
    }

    /// A read argument of real numbers, normal random ones in checks.
    pub const fn read(name: &'static str, len: fn(&S) -> usize) -> Self {
        Arg::new(name, Access::Read, len)
    }

    /// A written argument of real numbers.
    pub const fn write(name: &'static str, len: fn(&S) -> usize) -> Self {
        Arg::new(name, Access::Write, len)
    }

    /// An argument of real numbers updated in place, normal random ones in checks.
    pub const fn update(name: &'static str, len: fn(&S) -> usize) -> Self {
        Arg::new(name, Access::Update, len)
    }

    /// With other random numbers in checks.
    pub const fn fill(mut self, fill: Fill<fn(&S) -> u32>) -> Self {
        self.fill = fill;
        self
    }

    /// Of integers; a written argument.
    pub const fn uint(mut self) -> Self {
        self.element = Element::U32;
        self
    }

    /// Of integers below a bound.
    pub const fn below(self, bound: fn(&S) -> u32) -> Self {
        self.fill(Fill::Below(bound)).uint()
    }

    /// Of packed bytes.
    pub const fn bits(self) -> Self {
        self.fill(Fill::Bits).uint()
    }

    /// Holds images or activations, see [`Arg::stored`](#structfield.stored).
    pub const fn stored(mut self) -> Self {
        self.stored = true;
        self
    }

    /// An output row needs the same row alone, see [`Arg::local`](#structfield.local).
    pub const fn local(self) -> Self {
        self.local_where(|_| true)
    }

    /// [`Arg::local`] at some shapes.
    pub const fn local_where(mut self, holds: fn(&S) -> bool) -> Self {
        self.local = holds;
        self
    }

    /// Rows of several quantities, see [`Arg::columns`](#structfield.columns).
    pub const fn columns(mut self, columns: fn(&S) -> usize) -> Self {
        self.columns = columns;
        self
    }

    /// At a shape, with images and activations in a format.
    pub fn at(&self, shape: &S, format: Format) -> ArgAt {
        let fill = match self.fill {
            Fill::Below(bound) => Fill::Below(bound(shape)),
            Fill::Normal => Fill::Normal,
            Fill::Uniform(low, high) => Fill::Uniform(low, high),
            Fill::Rectified => Fill::Rectified,
            Fill::Coarse => Fill::Coarse,
            Fill::NonFinite => Fill::NonFinite,
            Fill::Bits => Fill::Bits,
        };
        let element = if self.stored { format.element() } else { self.element };
        let (len, local, columns) = ((self.len)(shape), (self.local)(shape), (self.columns)(shape));
        ArgAt { name: self.name, access: self.access, element, len, fill, local, columns }
    }
}

/// An [`Arg`] at a shape.
#[derive(Clone, Debug)]
pub struct ArgAt {
    /// Name of the WGSL binding.
    pub name: &'static str,
    /// What the kernel does with it.
    pub access: Access,
    /// Element type.
    pub element: Element,
    /// Number of elements.
    pub len: usize,
    /// Random input for checks.
    pub fill: Fill,
    /// See [`Arg::local`](struct@Arg#structfield.local).
    pub local: bool,
    /// See [`Arg::columns`](struct@Arg#structfield.columns).
    pub columns: usize,
}

impl ArgAt {
    /// Bytes on a device, a multiple of 4.
    pub fn bytes(&self) -> u64 {
        (self.element.bytes() * self.len as u64).next_multiple_of(4)
    }
}
