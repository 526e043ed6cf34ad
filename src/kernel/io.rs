//! The named views through which a kernel on the host reads its inputs and writes its outputs, and the number types
//! that it runs in.

use std::borrow::Cow;
use std::ops::Range;

use super::{Operation, RoutineAt};
use crate::host::Real;

/// A number type that kernels run in on the host.
pub trait Number: Real {
    /// Calls the reference of `operation` on the output rows `rows`.
    fn reference(operation: &dyn Operation, rows: Range<usize>, io: &mut Io<Self>);
    /// What `routine` prepares for all output rows, where there is one for this number type, from the read arrays.
    fn prepare(operation: &dyn Operation, routine: Option<RoutineAt>, io: &mut Io<Self>) -> Vec<Self>;
    /// Calls `routine`, where there is one for this number type, or else the reference.
    fn compute(operation: &dyn Operation, routine: Option<RoutineAt>, rows: Range<usize>, io: &mut Io<Self>);
}

impl Number for f32 {
    fn reference(operation: &dyn Operation, rows: Range<usize>, io: &mut Io<f32>) {
        operation.reference_f32(rows, io);
    }

    fn prepare(operation: &dyn Operation, routine: Option<RoutineAt>, io: &mut Io<f32>) -> Vec<f32> {
        routine.map_or_else(Vec::new, |routine| operation.prepare(routine.place, io))
    }

    fn compute(operation: &dyn Operation, routine: Option<RoutineAt>, rows: Range<usize>, io: &mut Io<f32>) {
        match routine {
            Some(routine) => operation.routine(routine.place, rows, io),
            None => operation.reference_f32(rows, io),
        }
    }
}

impl Number for f64 {
    fn reference(operation: &dyn Operation, rows: Range<usize>, io: &mut Io<f64>) {
        operation.reference_f64(rows, io);
    }

    fn prepare(_: &dyn Operation, _: Option<RoutineAt>, _: &mut Io<f64>) -> Vec<f64> {
        Vec::new()
    }

    fn compute(operation: &dyn Operation, _: Option<RoutineAt>, rows: Range<usize>, io: &mut Io<f64>) {
        operation.reference_f64(rows, io);
    }
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

/// Most arguments of a kernel: as many storage buffers as WebGPU grants a shader by default.
const MOST: usize = 8;

/// The arguments of one run of a reference, by name. It lies where it is made: no memory is asked for.
pub struct Io<'a, R> {
    kernel: &'static str,
    views: [(&'static str, View<'a, R>); MOST],
    /// See [`Routine::prepare`](super::Routine::prepare).
    prepared: Option<&'a [R]>,
}

impl<'a, R> Io<'a, R> {
    /// The views of all arguments of `kernel`, in any order. Panics where they are more than eight.
    pub fn new(kernel: &'static str, views: impl IntoIterator<Item = (&'static str, View<'a, R>)>) -> Self {
        let mut own = std::array::from_fn(|_| ("", View::Taken));
        for (place, view) in views.into_iter().enumerate() {
            assert!(place < MOST, "{kernel} has more than {MOST} arguments");
            own[place] = view;
        }
        Io { kernel, views: own, prepared: None }
    }

    /// With what the routine has prepared already.
    pub(crate) fn with_prepared(self, prepared: &'a [R]) -> Self {
        Io { prepared: Some(prepared), ..self }
    }

    /// What the routine has prepared already, or prepares now.
    pub(crate) fn prepared(&mut self, prepare: impl FnOnce(&mut Self) -> Vec<R>) -> Cow<'a, [R]>
    where
        R: Clone,
    {
        self.prepared.map_or_else(|| Cow::Owned(prepare(self)), Cow::Borrowed)
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
