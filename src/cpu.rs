//! The CPU runner: a loop over calls that runs each kernel's fastest routine, or its reference where there is none, its
//! output rows dealt to threads. Calls that go image by image follow each other on a few images before the next, so
//! that what one makes is still in the cache for the next. It has no shape code and no device.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hint::black_box;
use std::ops::Range;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::error::Result;
use crate::host::{Array, Real, vectorised};
use crate::kernel::{Access, ArgAt, At, Element, Io, Number, Roofline, RoutineAt, View, Work};
use crate::plan::{Buffer, Call, Plan, Role, SlotId};
use crate::run::Values;

/// Runs the references of a plan in `R`.
pub struct Runner<R: Number = f32> {
    plan: Arc<Plan>,
    /// One array for each buffer of the plan.
    buffers: Vec<Arc<RwLock<Array<R>>>>,
    /// For each call, the end of the chain that begins with it, see [`chain`].
    chains: Vec<usize>,
    snapshots: VecDeque<Array>,
}

/// Images on which the calls of a chain follow each other.
const IMAGES: usize = 2;

/// What calls of a chain use.
struct Uses {
    /// Slots that they write and that nothing behind them needs.
    private: Vec<SlotId>,
    /// The other slots that they write.
    written: Vec<SlotId>,
    /// Slots that they only read.
    read: Vec<SlotId>,
}

impl Uses {
    fn of(plan: &Plan, calls: Range<usize>) -> Uses {
        let args = plan.calls()[calls.clone()].iter().flat_map(|call| call.at.args().into_iter().zip(&call.args));
        let (mut written, mut read) = (BTreeSet::new(), BTreeSet::new());
        for (arg, &slot) in args {
            if arg.access == Access::Read {
                read.insert(slot)
            } else {
                written.insert(slot)
            };
        }
        let read = read.difference(&written).copied().collect();
        let (private, written) = written.into_iter().partition(|&slot| plan.needed_until(slot) <= calls.end);
        Uses { private, written, read }
    }

    /// Whether what is written lies in memory of its own.
    fn are_apart(&self, plan: &Plan) -> bool {
        let buffer = |slot: &SlotId| plan.storage(*slot).0;
        let written: BTreeSet<usize> = self.written.iter().map(buffer).collect();
        written.len() == self.written.len() && !self.read.iter().any(|slot| written.contains(&buffer(slot)))
    }
}

/// The end of the calls from `start` on that can be run on some rows before the next: they have equally many, and each
/// reads what another of them has written from its own rows alone.
fn chain(plan: &Plan, start: usize) -> usize {
    let calls = &plan.calls()[start..];
    let mut written = BTreeSet::new();
    let goes_on = |call: &&Call| {
        let args = call.at.args();
        let fits = |(arg, slot): (&ArgAt, &SlotId)| match arg.access {
            Access::Read => arg.local || !written.contains(slot),
            Access::Write => !written.contains(slot),
            Access::Update => false,
        };
        let is_image_wise = call.at.rows() == calls[0].at.rows() && args.iter().any(|arg| arg.local);
        let fits = is_image_wise && args.iter().zip(&call.args).all(fits);
        let writes = args.iter().zip(&call.args).filter(|(arg, _)| arg.access == Access::Write);
        written.extend(writes.map(|(_, &slot)| slot));
        fits
    };
    let longest = start + calls.iter().take_while(goes_on).count().max(1);
    let apart = |end: &usize| Uses::of(plan, start..*end).are_apart(plan);
    (start + 2..=longest).rev().find(apart).unwrap_or(start + 1)
}

/// Zeros.
fn array<R: Real>(is_uint: bool, len: usize) -> Array<R> {
    if is_uint { Array::Uint(vec![0; len]) } else { Array::Float(vec![R::default(); len]) }
}

const POISONED: &str = "a reference panicked";

impl<R: Number> Runner<R> {
    /// Allocates every buffer of the plan, zeroed.
    pub fn new(plan: Arc<Plan>) -> Self {
        let buffer = |buffer: &Buffer| Arc::new(RwLock::new(array(buffer.is_uint, buffer.len)));
        let buffers = plan.buffers().iter().map(buffer).collect();
        let chains = (0..plan.calls().len()).map(|start| chain(&plan, start)).collect();
        Runner { plan, buffers, chains, snapshots: VecDeque::new() }
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

    /// Runs the calls on some images before the next.
    fn chain(&self, calls: Range<usize>) {
        // What is needed within the chain alone never leaves the cache: each thread has memory of its own for it.
        let Uses { private, written, read } = Uses::of(&self.plan, calls.clone());
        let calls = &self.plan.calls()[calls];
        let lock = |slot: &SlotId| (*slot, self.storage(*slot));
        let inputs: BTreeMap<_, _> = read
            .iter()
            .map(lock)
            .map(|(slot, (buffer, range))| (slot, (buffer.read().expect(POISONED), range)))
            .collect();
        let mut outputs: Vec<_> = written
            .iter()
            .map(lock)
            .map(|(slot, (buffer, range))| (slot, buffer.write().expect(POISONED), range))
            .collect();

        let rows = calls[0].at.rows();
        let mut shares: Vec<Vec<(SlotId, View<R>)>> = (0..rows.div_ceil(IMAGES)).map(|_| Vec::new()).collect();
        for (slot, array, range) in &mut outputs {
            let part = range.len() / rows * IMAGES;
            match &mut **array {
                Array::Float(values) => {
                    let parts = values[range.clone()].chunks_mut(part);
                    shares.iter_mut().zip(parts).for_each(|(share, part)| share.push((*slot, View::Write(part))));
                }
                Array::Uint(values) => {
                    let parts = values[range.clone()].chunks_mut(part);
                    shares.iter_mut().zip(parts).for_each(|(share, part)| share.push((*slot, View::WriteUint(part))));
                }
            }
        }
        let inputs: BTreeMap<SlotId, View<R>> = inputs
            .iter()
            .map(|(&slot, (array, range))| match &**array {
                Array::Float(values) => (slot, View::Read(&values[range.clone()])),
                Array::Uint(values) => (slot, View::ReadUint(&values[range.clone()])),
            })
            .collect();
        let scratch = || -> Vec<(SlotId, Array<R>)> {
            let few = |slot| self.plan.slot(slot).len() / rows * IMAGES;
            private.iter().map(|&slot| (slot, array(self.plan.slot(slot).element == Element::U32, few(slot)))).collect()
        };
        shares.into_par_iter().enumerate().for_each_init(scratch, |scratch, (place, mut own)| {
            let first = place * IMAGES;
            let count = IMAGES.min(rows - first);
            own.extend(scratch.iter_mut().map(|(slot, array)| {
                let len = self.plan.slot(*slot).len() / rows * count;
                match array {
                    Array::Float(values) => (*slot, View::Write(&mut values[..len])),
                    Array::Uint(values) => (*slot, View::WriteUint(&mut values[..len])),
                }
            }));
            for call in calls {
                let args = call.at.args();
                let mut views: Vec<(&'static str, View<R>)> = Vec::with_capacity(args.len());
                for (slot, view) in &mut own {
                    if let Some(place) = call.args.iter().position(|arg| arg == slot) {
                        let view = match args[place].access {
                            Access::Read => view.for_reading(),
                            Access::Write | Access::Update => view.for_writing(),
                        };
                        views.push((args[place].name, view));
                    }
                }
                for (arg, slot) in args.iter().zip(&call.args) {
                    if let Some(view) = inputs.get(slot) {
                        views.push((arg.name, if arg.local { view.rows(first, count, rows) } else { view.whole() }));
                    }
                }
                R::compute(&*call.at, call.at.routine_for_shape(), 0..count, &mut Io::new(call.at.name(), views));
            }
        });
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
        let routine = at.routine_for_shape();
        deal(at, views, |rows, io| R::compute(&**at, routine, rows, io));
    }
}

/// Runs the reference of `at` on whole arrays, its output rows dealt to the threads.
pub fn reference<R: Number>(at: &At, views: Vec<(&'static str, View<R>)>) {
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

/// Most pieces that output rows are dealt in, several for each thread of a large machine.
const PIECES: u64 = 256;
/// Operations and bytes that are worth a piece: it takes some microseconds, and dealing it none.
const WORTHWHILE: Work = Work { flops: 1 << 18, bytes: 1 << 16 };

/// Number of output rows of a piece, the last one's may be less. A function of the shape alone, never of the threads:
/// a routine may sum in another order where it is given another number of rows.
fn piece(at: &At) -> usize {
    let (work, together) = (at.work(), at.routine_for_shape().map_or(1, |routine| routine.together));
    let pieces = (work.flops / WORTHWHILE.flops).max(work.bytes / WORTHWHILE.bytes).clamp(1, PIECES);
    at.rows().div_ceil(pieces as usize).next_multiple_of(together)
}

/// Deals the output rows of `at` to the threads.
fn deal<R: Real>(at: &At, mut views: Vec<(&'static str, View<R>)>, run: impl Fn(Range<usize>, &mut Io<R>) + Sync) {
    let rows = at.rows();
    let size = piece(at);
    let args = at.args();
    let is_local = |name: &str| args.iter().any(|arg| arg.local && arg.name == name);
    let from_zero = args.iter().any(|arg| arg.local);
    let mut shares = Vec::new();
    let mut start = 0;
    while start < rows {
        let end = (start + size).min(rows);
        let share = views.iter_mut().map(|(name, view)| match view {
            View::Write(_) | View::WriteUint(_) => (*name, view.split_off(end - start, rows - start)),
            _ if is_local(name) => (*name, view.rows(start, end - start, rows)),
            _ => (*name, view.whole()),
        });
        let share: Vec<_> = share.collect();
        shares.push((if from_zero { 0..end - start } else { start..end }, share));
        start = end;
    }
    shares.into_par_iter().for_each(|(rows, share)| run(rows, &mut Io::new(at.name(), share)));
}

impl<R: Number> crate::run::Runner for Runner<R> {
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
        let mut start = calls.start;
        while start < calls.end {
            let end = self.chains[start].min(calls.end);
            match &self.plan.calls()[start..end] {
                [call] => self.call(&call.at, &call.args),
                _ => self.chain(start..end),
            }
            start = end;
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
