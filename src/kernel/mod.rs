//! The contract: what every kernel states about itself, and [`At`], a kernel at a shape.

mod arg;
mod io;

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

pub use arg::{Access, Arg, ArgAt, Element, Fill, Format};
pub use io::{Io, Number, View};

use crate::host::{Real, vectorised};

/// What a shader is made for, and what an adapter must have to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing beyond WebGPU's defaults.
    Nothing,
    /// Workgroup memory that is nearer than the other. Processors have none of its kind: they run such a shader, and
    /// should not have to.
    WorkgroupMemory,
    /// Subgroup operations with exactly eight lanes on a processor, and integers of 64 bits: software Vulkan, whose
    /// loads are dear and whose broadcasts are cheap.
    EightLaneCpu,
    /// Cooperative matrices of so many rows and columns: whole subgroups multiply operands of 16 bits and sum in 32.
    /// Operands are rounded to that, so what reads activations by matrices is for plans that store them so. wgpu
    /// calls the feature experimental: the device must have been opened for it, `gpu::Device::with_matrices`.
    Matrices(u32),
}

impl Needs {
    /// Whether any WebGPU has it, so that browsers take the shader.
    pub fn is_webgpu(self) -> bool {
        matches!(self, Needs::Nothing | Needs::WorkgroupMemory)
    }
}

/// One WGSL implementation of a kernel.
pub struct Shader<S: 'static> {
    /// File stem in `shaders/`.
    pub name: &'static str,
    /// The file's text.
    pub source: &'static str,
    /// Texts of the library files appended to it, beside that of the [`Format`].
    pub libraries: &'static [&'static str],
    /// What the adapter must have.
    pub needs: Needs,
    /// Shapes it is made for.
    pub fits: fn(&S) -> bool,
    /// Number of workgroups at a shape; the runner folds it into two dimensions.
    pub groups: fn(&S) -> usize,
    /// Factor on the kernel's [tolerance](Kernel::tolerance), 1 unless another way to compute rounds more.
    pub widen: f64,
}

/// What a [`Routine`] makes of the read arrays.
pub type Prepare<S> = fn(&S, &mut Io<f32>) -> Vec<f32>;

/// One implementation for the host's processor, beside the reference.
pub struct Routine<S: 'static> {
    /// `<kernel>.<how>`.
    pub name: &'static str,
    /// Shapes it is made for.
    pub fits: fn(&S) -> bool,
    /// Output rows to compute together, so that what it prepares for them is small beside them.
    pub together: fn(&S) -> usize,
    /// Makes of the read arrays what all output rows need in another form, once for all of them.
    pub prepare: Option<Prepare<S>>,
    /// Factor on the kernel's [tolerance](Kernel::tolerance), 1 unless another way to compute rounds more.
    pub widen: f64,
    /// Computes the output rows given, as [`Kernel::reference`] does.
    pub run: fn(&S, Range<usize>, &mut Io<f32>),
}

/// Work of one call, for throughput figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Floating-point operations; a multiply-add counts two.
    pub flops: u64,
    /// Bytes that must move at least: each input read once, each output written once.
    pub bytes: u64,
}

impl Work {
    /// How many times `unit` it is, by whole ones: in operations or in bytes, whichever are more.
    pub fn in_units_of(&self, unit: Work) -> u64 {
        (self.flops / unit.flops).max(self.bytes / unit.bytes)
    }
}

/// The best that a machine can do, as measured: what a kernel's throughput is held against (Williams, Waterman &
/// Patterson, *Roofline*, 2009).
#[derive(Clone, Copy, Debug)]
pub struct Roofline {
    /// Bytes read and written a second by a copy of memory.
    pub bytes_per_s: f64,
    /// Floating-point operations a second, a multiply-add two.
    pub flops_per_s: f64,
}

impl Roofline {
    /// Which share of the best that it could be a run of `work` in `seconds` is. Work on arrays that a cache holds can
    /// come to more than 1.
    pub fn share(&self, work: Work, seconds: f64) -> f64 {
        let least = (work.flops as f64 / self.flops_per_s).max(work.bytes as f64 / self.bytes_per_s);
        least / seconds
    }
}

/// How far a shader may be from the reference:
/// `|gpu - ref| <= widen · (8 + 2·√terms) · 2⁻²³ · max(|ref|, rms(ref))`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Number of terms summed into one output.
    pub terms: usize,
    /// Factor on the bound, 1 unless `reason` says why.
    pub widen: f64,
    /// Why the factor is not 1.
    pub reason: &'static str,
    /// Whether the result is rounded to 16 bits in the end, which takes another 2⁻¹¹ at most.
    pub half: bool,
}

impl Tolerance {
    /// The plain rule for outputs that sum `terms` products.
    pub const fn sum(terms: usize) -> Self {
        Tolerance { terms, widen: 1.0, reason: "", half: false }
    }

    /// The rule widened by a factor, for the reason given.
    pub const fn widened(terms: usize, widen: f64, reason: &'static str) -> Self {
        Tolerance { terms, widen, reason, half: false }
    }

    /// How much wider the bound is where operands are rounded to 16 bits. That moves each product by up to 2·2⁻¹¹ of
    /// itself, on average by a quarter of it, with random signs: so a sum by about 2⁻¹² of what sums of such
    /// products are, whatever their number. The largest of thousands of errors is five times as much, and relative to
    /// an array of which three quarters are zeros, as between the pixels of a stride, ten times. The bound is sixteen
    /// times.
    fn widened_by_half_operands(&self) -> f64 {
        1.0 + self.widen * (2.0f64).powi(-8) / self.relative()
    }

    /// The bound relative to `max(|ref|, rms(ref))`.
    pub fn relative(&self) -> f64 {
        let rounding = if self.half { (2.0f64).powi(-11) } else { 0.0 };
        self.widen * (8.0 + 2.0 * (self.terms as f64).sqrt()) * (2.0f64).powi(-23) + rounding
    }
}

/// Dimensions of a kernel as WGSL pipeline constants: the names are those of the `override`s.
pub trait Constants: Clone + fmt::Debug + Send + Sync + 'static {
    /// Name and value of each constant.
    fn constants(&self) -> Vec<(&'static str, f64)>;
}

/// Defines a shape whose fields are its pipeline constants.
macro_rules! shape {
    ($(#[$attribute:meta])* pub struct $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }
        impl $crate::kernel::Constants for $name {
            fn constants(&self) -> Vec<(&'static str, f64)> {
                vec![$((stringify!($field), self.$field as f64)),*]
            }
        }
    };
}
pub(crate) use shape;

/// Implemented by the `kernels!` list alone, so that a kernel left off the list does not compile.
pub trait Registered {}

/// One operation. Nothing here has a default: a kernel without a reference, cases, a work count or a tolerance does
/// not compile.
pub trait Kernel: Registered + Send + Sync + 'static {
    /// Dimensions, and what else is constant in a run.
    type Shape: Constants;
    /// File stem, label, test id, bench id.
    const NAME: &'static str;
    /// Arguments in binding order.
    const ARGS: &'static [Arg<Self::Shape>];
    /// Implementations, the plain one first, the most specialised last.
    const SHADERS: &'static [Shader<Self::Shape>];
    /// Implementations for the host's processor that are faster than the reference, the most specialised last.
    const ROUTINES: &'static [Routine<Self::Shape>];
    /// Number of output rows that can be computed apart. Each written argument splits evenly into them.
    fn rows(shape: &Self::Shape) -> usize;
    /// Scalar loops for the output rows `rows`; counted from the first row of the views where an argument is
    /// [local](Arg::local).
    fn reference<R: Real>(shape: &Self::Shape, rows: Range<usize>, io: &mut Io<R>);
    /// The awkward shapes that tests run.
    fn cases() -> Vec<Self::Shape>;
    /// Work at a shape.
    fn work(shape: &Self::Shape) -> Work;
    /// Allowed distance between shader and reference at a shape.
    fn tolerance(shape: &Self::Shape) -> Tolerance;
}

/// Two dimensions of workgroups that hold `groups`, since one dimension holds 65,535.
pub fn grid(groups: usize) -> [u32; 2] {
    let rows = groups.div_ceil(65_535);
    [groups.div_ceil(rows) as u32, rows as u32]
}

/// What comes before the text of a shader that multiplies by matrices, see [`Format`].
const MATRICES: &str = "enable f16; enable wgpu_cooperative_matrix; ";

/// A [`Shader`] at a shape.
#[derive(Clone, Debug)]
pub struct ShaderAt {
    /// File stem in `shaders/`.
    pub name: &'static str,
    /// The file's text with its library files appended.
    pub source: String,
    /// What the adapter must have.
    pub needs: Needs,
    /// How images and activations are stored.
    pub format: Format,
    /// Whether it is made for the shape.
    pub fits: bool,
    /// Number of workgroups.
    pub groups: usize,
    /// See [`Shader::widen`]; and more where it rounds operands to 16 bits.
    pub widen: f64,
}

/// A [`Routine`] at a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoutineAt {
    /// `<kernel>.<how>`.
    pub name: &'static str,
    /// Whether it is made for the shape.
    pub fits: bool,
    /// See [`Routine::together`].
    pub together: usize,
    /// See [`Routine::widen`].
    pub widen: f64,
    /// Its place in the kernel's list.
    pub place: usize,
}

/// A kernel at a shape behind one interface; see [`At`].
pub trait Operation: Send + Sync {
    /// See [`Kernel::NAME`].
    fn name(&self) -> &'static str;
    /// How images and activations are stored.
    fn format(&self) -> Format;
    /// The [`Kernel::Shape`], see `dyn Operation::shape`.
    fn any_shape(&self) -> &dyn Any;
    /// See [`Constants::constants`].
    fn constants(&self) -> &[(&'static str, f64)];
    /// See [`Kernel::ARGS`].
    fn args(&self) -> &[ArgAt];
    /// See [`Kernel::SHADERS`].
    fn shaders(&self) -> Vec<ShaderAt>;
    /// See [`Kernel::ROUTINES`].
    fn routines(&self) -> Vec<RoutineAt>;
    /// See [`Kernel::rows`].
    fn rows(&self) -> usize;
    /// See [`Routine::prepare`]; `place` of [`RoutineAt`]. Empty where there is nothing to prepare.
    fn prepare(&self, place: usize, io: &mut Io<f32>) -> Vec<f32>;
    /// See [`Routine::run`]; `place` of [`RoutineAt`].
    fn routine(&self, place: usize, rows: Range<usize>, io: &mut Io<f32>);
    /// See [`Kernel::reference`].
    fn reference_f32(&self, rows: Range<usize>, io: &mut Io<f32>);
    /// See [`Kernel::reference`].
    fn reference_f64(&self, rows: Range<usize>, io: &mut Io<f64>);
    /// See [`Kernel::work`].
    fn work(&self) -> Work;
    /// See [`Kernel::tolerance`].
    fn tolerance(&self) -> Tolerance;
}

struct Bound<K: Kernel> {
    shape: K::Shape,
    format: Format,
    constants: Vec<(&'static str, f64)>,
    args: Vec<ArgAt>,
    kernel: PhantomData<K>,
}

impl<K: Kernel> Bound<K> {
    fn new(shape: K::Shape, format: Format) -> Self {
        let args = K::ARGS.iter().map(|arg| arg.at(&shape, format)).collect();
        Bound { constants: shape.constants(), shape, format, args, kernel: PhantomData }
    }
}

impl<K: Kernel> Operation for Bound<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn format(&self) -> Format {
        self.format
    }

    fn any_shape(&self) -> &dyn Any {
        &self.shape
    }

    fn constants(&self) -> &[(&'static str, f64)] {
        &self.constants
    }

    fn args(&self) -> &[ArgAt] {
        &self.args
    }

    fn shaders(&self) -> Vec<ShaderAt> {
        let stored = K::ARGS.iter().any(|arg| arg.stored).then(|| self.format.library());
        let wide = [include_str!("../../shaders/lib/wide.wgsl"), self.format.wide_library()];
        // What is stored in 32 bits is not rounded to 16.
        let is_whole = stored.is_some() && self.format == Format::F32;
        let at = |shader: &Shader<K::Shape>| {
            let by_matrices = matches!(shader.needs, Needs::Matrices(_));
            let prelude = if by_matrices { MATRICES } else { self.format.prelude() };
            ShaderAt {
                name: shader.name,
                source: [prelude, shader.source]
                    .into_iter()
                    .chain(shader.libraries.iter().copied())
                    .chain(stored)
                    .chain(wide.into_iter().filter(|_| shader.needs == Needs::EightLaneCpu))
                    .collect(),
                needs: shader.needs,
                format: self.format,
                fits: (shader.fits)(&self.shape) && !(by_matrices && is_whole),
                groups: (shader.groups)(&self.shape),
                widen: shader.widen * if by_matrices { self.tolerance().widened_by_half_operands() } else { 1.0 },
            }
        };
        K::SHADERS.iter().map(at).collect()
    }

    fn routines(&self) -> Vec<RoutineAt> {
        let at = |(place, routine): (usize, &Routine<K::Shape>)| RoutineAt {
            name: routine.name,
            fits: (routine.fits)(&self.shape),
            together: (routine.together)(&self.shape),
            widen: routine.widen,
            place,
        };
        K::ROUTINES.iter().enumerate().map(at).collect()
    }

    fn rows(&self) -> usize {
        K::rows(&self.shape)
    }

    fn prepare(&self, place: usize, io: &mut Io<f32>) -> Vec<f32> {
        K::ROUTINES[place].prepare.map_or_else(Vec::new, |prepare| prepare(&self.shape, io))
    }

    fn routine(&self, place: usize, rows: Range<usize>, io: &mut Io<f32>) {
        (K::ROUTINES[place].run)(&self.shape, rows, io)
    }

    fn reference_f32(&self, rows: Range<usize>, io: &mut Io<f32>) {
        vectorised(|| K::reference(&self.shape, rows, io))
    }

    fn reference_f64(&self, rows: Range<usize>, io: &mut Io<f64>) {
        K::reference(&self.shape, rows, io)
    }

    fn work(&self) -> Work {
        let Work { flops, bytes } = K::work(&self.shape);
        // The kernel counts four bytes a value.
        let less = 4 - self.format.element().bytes();
        let stored = K::ARGS.iter().filter(|arg| arg.stored).map(|arg| less * (arg.len)(&self.shape) as u64);
        Work { flops, bytes: bytes - stored.sum::<u64>() }
    }

    fn tolerance(&self) -> Tolerance {
        let half = self.args.iter().any(|arg| arg.element == Element::F16 && arg.access != Access::Read);
        Tolerance { half, ..K::tolerance(&self.shape) }
    }
}

/// A kernel at a shape: everything needed to check it, time it, launch it.
#[derive(Clone)]
pub struct At(Arc<dyn Operation>);

impl At {
    /// The kernel `K` at `shape`.
    pub fn new<K: Kernel>(shape: K::Shape) -> Self {
        At::stored::<K>(shape, Format::F32)
    }

    /// The kernel `K` at `shape` on images and activations in a format.
    pub fn stored<K: Kernel>(shape: K::Shape, format: Format) -> Self {
        At(Arc::new(Bound::<K>::new(shape, format)))
    }
}

impl dyn Operation + '_ {
    /// The routine that the CPU runner takes: the last that is made for the shape; `None`: the reference.
    pub fn routine_for_shape(&self) -> Option<RoutineAt> {
        self.routines().into_iter().rfind(|routine| routine.fits)
    }

    /// The shape, if it is the kernel `K`.
    pub fn shape<K: Kernel>(&self) -> Option<&K::Shape> {
        if self.name() == K::NAME { self.any_shape().downcast_ref() } else { None }
    }
}

impl std::ops::Deref for At {
    type Target = dyn Operation;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl At {
    /// What tells it from others.
    fn identity(&self) -> (&'static str, Format, impl Iterator<Item = (&'static str, u64)>) {
        (self.name(), self.format(), self.constants().iter().map(|&(name, value)| (name, value.to_bits())))
    }
}

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        let ((name, format, constants), (other_name, other_format, others)) = (self.identity(), other.identity());
        (name, format) == (other_name, other_format) && constants.eq(others)
    }
}

impl Eq for At {}

impl Hash for At {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (name, format, constants) = self.identity();
        (name, format).hash(state);
        constants.for_each(|constant| constant.hash(state));
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        for (name, value) in self.constants() {
            write!(f, " {name}={}", *value as f32)?;
        }
        f.write_str(if self.format() == Format::F16 { " f16" } else { "" })
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
