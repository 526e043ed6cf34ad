//! The CPU runner: a loop over calls that runs each kernel's fastest routine, or its reference where there is none, its
//! output rows dealt to threads. It has no shape code and no device.

use std::collections::VecDeque;
use std::hint::black_box;
use std::ops::Range;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::error::Result;
use crate::host::{Array, Io, Real, View, vectorised};
use crate::kernel::{Access, At, Roofline, RoutineAt};
use crate::plan::{Buffer, Plan, Role, SlotId};
use crate::run::Values;

/// Runs the references of a plan in `R`.
pub struct Runner<R: Real = f32> {
    plan: Arc<Plan>,
    /// One array for each buffer of the plan.
    buffers: Vec<Arc<RwLock<Array<R>>>>,
    snapshots: VecDeque<Array>,
}

const POISONED: &str = "a reference panicked";

impl<R: Real> Runner<R> {
    /// Allocates every buffer of the plan, zeroed.
    pub fn new(plan: Arc<Plan>) -> Self {
        let array = |buffer: &Buffer| match buffer.is_uint {
            false => Array::Float(vec![R::default(); buffer.len]),
            true => Array::Uint(vec![0; buffer.len]),
        };
        let buffers = plan.buffers().iter().map(|buffer| Arc::new(RwLock::new(array(buffer)))).collect();
        Runner { plan, buffers, snapshots: VecDeque::new() }
    }

    /// The buffer that holds a slot, and the slot's elements in it.
    fn storage(&self, id: SlotId) -> (&Arc<RwLock<Array<R>>>, Range<usize>) {
        let (buffer, start) = self.plan.storage(id);
        (&self.buffers[buffer], start..start + self.plan.slot(id).len())
    }

    /// A copy of a slot at full precision.
    pub fn get(&self, slot: SlotId) -> Array<R> {
        let (buffer, range) = self.storage(slot);
        match &*buffer.read().expect(POISONED) {
            Array::Float(values) => Array::Float(values[range].to_vec()),
            Array::Uint(values) => Array::Uint(values[range].to_vec()),
        }
    }

    /// Overwrites a slot of real numbers at full precision.
    pub fn set(&mut self, slot: SlotId, values: &[R]) {
        let (buffer, range) = self.storage(slot);
        match &mut *buffer.write().expect(POISONED) {
            Array::Float(own) => own[range].copy_from_slice(values),
            Array::Uint(_) => panic!("slot `{}` holds integers", self.plan.slot(slot).name),
        }
    }

    fn call(&self, at: &At, slots: &[SlotId]) {
        enum Guard<'a, R> {
            Read(RwLockReadGuard<'a, Array<R>>),
            Write(RwLockWriteGuard<'a, Array<R>>),
        }
        let args = at.args();
        let mut guards: Vec<_> = args
            .iter()
            .zip(slots)
            .map(|(arg, &slot)| {
                let (buffer, range) = self.storage(slot);
                let guard = match arg.access {
                    Access::Read => Guard::Read(buffer.read().expect(POISONED)),
                    Access::Write | Access::Update => Guard::Write(buffer.write().expect(POISONED)),
                };
                (arg.name, guard, range)
            })
            .collect();
        let views = guards
            .iter_mut()
            .map(|(name, guard, range)| {
                let view = match guard {
                    Guard::Read(array) => match &**array {
                        Array::Float(values) => View::Read(&values[range.clone()]),
                        Array::Uint(values) => View::ReadUint(&values[range.clone()]),
                    },
                    Guard::Write(array) => match &mut **array {
                        Array::Float(values) => View::Write(&mut values[range.clone()]),
                        Array::Uint(values) => View::WriteUint(&mut values[range.clone()]),
                    },
                };
                (*name, view)
            })
            .collect();
        deal(at, views, |rows, io| R::compute(&**at, rows, io));
    }
}

/// Runs the reference of `at` on whole arrays, its output rows dealt to the threads.
pub fn reference<R: Real>(at: &At, views: Vec<(&'static str, View<R>)>) {
    deal(at, views, |rows, io| R::reference(&**at, rows, io));
}

/// Runs a routine of `at` on whole arrays, its output rows dealt to the threads.
pub fn routine(at: &At, routine: RoutineAt, views: Vec<(&'static str, View<f32>)>) {
    deal(at, views, |rows, io| at.routine(routine.place, rows, io));
}

/// The best rates of all threads together: memory copied, multiply-adds in registers.
pub fn roofline() -> Roofline {
    let best = |work: f64, run: &mut dyn FnMut()| {
        run();
        let times = (0..5).map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        });
        work / times.min().expect("five samples").as_secs_f64()
    };
    // Past every cache.
    let from = vec![1.0f32; 1 << 26];
    let mut to = vec![0.0f32; from.len()];
    let part = from.len().div_ceil(rayon::current_num_threads());
    let bytes_per_s = best(8.0 * from.len() as f64, &mut || {
        to.par_chunks_mut(part).zip(from.par_chunks(part)).for_each(|(to, from)| to.copy_from_slice(from));
    });
    const ROUNDS: usize = 1 << 20;
    const CHAINS: usize = 128;
    let threads = rayon::current_num_threads();
    let flops_per_s = best((2 * ROUNDS * CHAINS * threads) as f64, &mut || {
        rayon::broadcast(|_| {
            vectorised(|| {
                let mut sums = [black_box(1.0f32); CHAINS];
                let (factor, term) = (black_box(0.999f32), black_box(0.001f32));
                for _ in 0..ROUNDS {
                    sums.iter_mut().for_each(|sum| *sum = sum.mul_add(factor, term));
                }
                black_box(sums);
            })
        });
    });
    Roofline { bytes_per_s, flops_per_s }
}

/// Deals the output rows of `at` to the threads.
fn deal<R: Real>(at: &At, mut views: Vec<(&'static str, View<R>)>, run: impl Fn(Range<usize>, &mut Io<R>) + Sync) {
    let rows = at.rows();
    let size = rows.div_ceil(4 * rayon::current_num_threads());
    let mut shares = Vec::new();
    let mut start = 0;
    while start < rows {
        let end = (start + size).min(rows);
        let share: Vec<_> =
            views.iter_mut().map(|(name, view)| (*name, split(view, end - start, rows - start))).collect();
        shares.push((start..end, share));
        start = end;
    }
    shares.into_par_iter().for_each(|(rows, share)| run(rows, &mut Io::new(at.name(), share)));
}

/// The first `rows` of the `left` rows that a written view still has; a read view whole.
fn split<'a, R>(view: &mut View<'a, R>, rows: usize, left: usize) -> View<'a, R> {
    fn front<'a, T>(values: &mut &'a mut [T], rows: usize, left: usize) -> &'a mut [T] {
        let share = values.len() / left * rows;
        let (front, back) = std::mem::take(values).split_at_mut(share);
        *values = back;
        front
    }
    match view {
        View::Read(values) => View::Read(values),
        View::ReadUint(values) => View::ReadUint(values),
        View::Write(values) => View::Write(front(values, rows, left)),
        View::WriteUint(values) => View::WriteUint(front(values, rows, left)),
        View::Taken => View::Taken,
    }
}

impl<R: Real> crate::run::Runner for Runner<R> {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn write<'a>(&mut self, slot: SlotId, values: impl Into<Values<'a>>) -> Result<()> {
        let (buffer, range) = self.storage(slot);
        match (&mut *buffer.write().expect(POISONED), values.into()) {
            (Array::Float(own), Values::Float(values)) => {
                assert_eq!(range.len(), values.len(), "slot `{}`", self.plan.slot(slot).name);
                own[range].iter_mut().zip(values).for_each(|(own, &value)| *own = R::of(f64::from(value)));
            }
            (Array::Uint(own), Values::Uint(values)) => own[range].copy_from_slice(values),
            _ => panic!("slot `{}` holds the other element type", self.plan.slot(slot).name),
        }
        Ok(())
    }

    fn run(&mut self, calls: Range<usize>) -> Result<()> {
        for call in &self.plan.calls()[calls] {
            self.call(&call.at, &call.args);
        }
        Ok(())
    }

    fn profile(&mut self, calls: Range<usize>) -> Result<Vec<Duration>> {
        let timed = |call: usize| {
            let start = Instant::now();
            self.run(call..call + 1)?;
            Ok(start.elapsed())
        };
        calls.map(timed).collect()
    }

    fn read(&mut self, slot: SlotId) -> Result<Array> {
        Ok(match self.get(slot) {
            Array::Float(values) => Array::Float(values.into_iter().map(|value| value.f64() as f32).collect()),
            Array::Uint(values) => Array::Uint(values),
        })
    }

    fn snapshot(&mut self, slot: SlotId) -> Result<()> {
        let array = self.read(slot)?;
        self.snapshots.push_back(array);
        Ok(())
    }

    fn collect(&mut self, keep: usize) -> Result<Vec<Array>> {
        let ready = self.snapshots.len().saturating_sub(keep);
        Ok(self.snapshots.drain(..ready).collect())
    }

    fn fork(&self, plan: Arc<Plan>) -> Result<Self> {
        let mut forked = Runner::new(plan);
        let plan = forked.plan.clone();
        for (own, buffer) in forked.buffers.iter_mut().zip(plan.buffers()) {
            let slot = plan.slot(buffer.slot());
            let shareable = matches!(slot.role, Role::Parameter | Role::Input);
            let other = self.plan.find(&slot.name).filter(|&id| shareable && self.plan.slot(id).len() == slot.len());
            if let Some(id) = other {
                *own = self.buffers[self.plan.storage(id).0].clone();
            }
        }
        Ok(forked)
    }
}
