//! The CPU runner: a loop over calls that runs each kernel's fastest routine, or its reference where there is none, its
//! output rows dealt to threads. Calls that go image by image follow each other on a few images before the next, so
//! that what one makes is still in the cache for the next. It has no shape code and no device.

use std::collections::{BTreeSet, VecDeque};
use std::hint::black_box;
use std::ops::Range;
use std::slice;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::error::Result;
use crate::host::{Array, LINE, vectorised};
use crate::kernel::{Access, ArgAt, At, Element, Io, Number, Roofline, RoutineAt, View, Work};
use crate::plan::{Buffer, Call, Plan, SlotId};
use crate::run::Values;

/// Runs the references of a plan in `R`.
pub struct Runner<R: Number = f32> {
    plan: Arc<Plan>,
    /// One array for each buffer of the plan.
    buffers: Vec<Arc<RwLock<Memory<R>>>>,
    /// What runs each call.
    launches: Vec<Launch>,
    /// All calls, in order.
    steps: Vec<Step<R>>,
    snapshots: VecDeque<Array>,
}

/// A call with all that a run of it asks for.
struct Launch {
    at: At,
    routine: Option<RoutineAt>,
    piece: usize,
    rows: Range<usize>,
    /// Where each argument lies.
    args: Vec<Place>,
}

/// Elements of a buffer.
struct Place {
    buffer: usize,
    range: Range<usize>,
}

impl Place {
    fn of(plan: &Plan, slot: SlotId) -> Place {
        let (buffer, start) = plan.storage(slot);
        Place { buffer, range: start..start + plan.slot(slot).len() }
    }
}

impl Launch {
    fn new(plan: &Plan, call: &Call) -> Launch {
        let args = call.args.iter().map(|&slot| Place::of(plan, slot)).collect();
        Launch {
            at: call.at.clone(),
            routine: call.at.routine_for_shape(),
            piece: piece(&call.at),
            rows: 0..call.at.rows(),
            args,
        }
    }
}

/// Calls that are run together.
struct Step<R> {
    calls: Range<usize>,
    /// How several follow each other on some images before the next.
    chain: Option<Chain<R>>,
}

/// Images on which the calls of a chain follow each other.
const IMAGES: usize = 2;

/// The arrays of several calls that are run on some rows before the next.
struct Chain<R> {
    /// Rows of each call.
    rows: usize,
    /// What they write.
    written: Vec<Place>,
    /// Whether integers, and values of a row, of what they write and nothing behind them needs. It never leaves the
    /// cache: each thread has memory of its own for it.
    private: Vec<(bool, usize)>,
    /// Such memory that no thread has at the moment.
    spare: Mutex<Vec<Vec<Memory<R>>>>,
    /// What they only read.
    read: Vec<Place>,
    /// For each call, where its arguments are found.
    sources: Vec<Vec<Source>>,
}

/// Where an argument of a call is found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Among what the chain writes, and behind that what is private.
    Own(usize),
    /// Among what it only reads.
    Read(usize),
}

impl<R: Number> Chain<R> {
    /// Of calls that [`links`] has found; `None` where what they write does not lie in memory of its own.
    fn new(plan: &Plan, calls: Range<usize>) -> Option<Self> {
        let end = calls.end;
        let calls = &plan.calls()[calls];
        let args = calls.iter().flat_map(|call| call.at.args().iter().zip(&call.args));
        let (read, written): (Vec<_>, Vec<_>) = args.partition(|(arg, _)| arg.access == Access::Read);
        let written: BTreeSet<SlotId> = written.into_iter().map(|(_, &slot)| slot).collect();
        let read: BTreeSet<SlotId> =
            read.into_iter().map(|(_, &slot)| slot).filter(|id| !written.contains(id)).collect();
        // What is kept to the end of the plan is for the host, even where the chain ends there too.
        let is_private = |&id: &SlotId| plan.needed_until(id) <= end && !plan.keeps(id);
        let (private, written): (Vec<_>, Vec<_>) = written.into_iter().partition(is_private);

        let buffers: BTreeSet<usize> = written.iter().map(|&slot| plan.storage(slot).0).collect();
        let meets = read.iter().any(|&slot| buffers.contains(&plan.storage(slot).0));
        if meets || buffers.len() < written.len() {
            return None;
        }
        let rows = calls[0].at.rows();
        let read: Vec<SlotId> = read.into_iter().collect();
        let own = [written.as_slice(), &private].concat();
        let source = |slot: &SlotId| match own.iter().position(|own| own == slot) {
            Some(place) => Source::Own(place),
            None => Source::Read(read.iter().position(|read| read == slot).expect("written or read")),
        };
        let places = |slots: &[SlotId]| slots.iter().map(|&slot| Place::of(plan, slot)).collect();
        let of_rows = |&id: &SlotId| (plan.slot(id).element == Element::U32, plan.slot(id).len() / rows);
        Some(Chain {
            rows,
            private: private.iter().map(of_rows).collect(),
            spare: Mutex::default(),
            sources: calls.iter().map(|call| call.args.iter().map(source).collect()).collect(),
            written: places(&written),
            read: places(&read),
        })
    }
}

/// How many of the calls from the first on can be run on some rows before the next: they have equally many, are quick
/// on few of them, and each reads what another of them has written from its own rows alone.
fn links(calls: &[Call]) -> usize {
    let mut written = BTreeSet::new();
    let goes_on = |call: &&Call| {
        let args = call.at.args();
        let fits = |(arg, slot): (&ArgAt, &SlotId)| match arg.access {
            Access::Read => arg.local || !written.contains(slot),
            Access::Write => !written.contains(slot),
            Access::Update => false,
        };
        let is_image_wise = call.at.rows() == calls[0].at.rows() && args.iter().any(|arg| arg.local);
        let by_few = call.at.routine_for_shape().is_none_or(|routine| routine.together <= IMAGES);
        let differ = call.args.iter().enumerate().all(|(place, slot)| !call.args[..place].contains(slot));
        let fits = is_image_wise && by_few && differ && args.iter().zip(&call.args).all(fits);
        let writes = args.iter().zip(&call.args).filter(|(arg, _)| arg.access == Access::Write);
        written.extend(writes.map(|(_, &slot)| slot));
        fits
    };
    calls.iter().take_while(goes_on).count()
}

/// All calls of a plan, in chains as long as can be.
fn steps<R: Number>(plan: &Plan) -> Vec<Step<R>> {
    let mut steps = Vec::new();
    let mut start = 0;
    while start < plan.calls().len() {
        let longest = start + links(&plan.calls()[start..]);
        let chain = |end| Chain::new(plan, start..end).map(|chain| Step { calls: start..end, chain: Some(chain) });
        let alone = || Step { calls: start..start + 1, chain: None };
        let step = (start + 2..=longest).rev().find_map(chain).unwrap_or_else(alone);
        start = step.calls.end;
        steps.push(step);
    }
    steps
}

/// An array that begins with a cache line: what the widest vectors load and store from there on never lies in two.
struct Memory<R> {
    array: Array<R>,
    start: usize,
}

impl<R: Number> Memory<R> {
    /// Zeros.
    fn new(is_uint: bool, len: usize) -> Memory<R> {
        fn aligned<T: Clone + Default>(len: usize) -> (Vec<T>, usize) {
            let values = vec![T::default(); len + LINE / size_of::<T>()];
            let start = values.as_ptr().align_offset(LINE);
            (values, start)
        }
        if is_uint {
            let (values, start) = aligned(len);
            Memory { array: Array::Uint(values), start }
        } else {
            let (values, start) = aligned(len);
            Memory { array: Array::Float(values), start }
        }
    }

    /// Elements to be read.
    fn reading(&self, range: Range<usize>) -> View<'_, R> {
        match &self.array {
            Array::Float(values) => View::Read(&values[self.start..][range]),
            Array::Uint(values) => View::ReadUint(&values[self.start..][range]),
        }
    }

    /// Elements to be written.
    fn writing(&mut self, range: Range<usize>) -> View<'_, R> {
        match &mut self.array {
            Array::Float(values) => View::Write(&mut values[self.start..][range]),
            Array::Uint(values) => View::WriteUint(&mut values[self.start..][range]),
        }
    }
}

const POISONED: &str = "a reference panicked";

impl<R: Number> Runner<R> {
    /// Allocates every buffer of the plan, zeroed.
    pub fn new(plan: Arc<Plan>) -> Self {
        let buffer = |buffer: &Buffer| Arc::new(RwLock::new(Memory::new(buffer.is_uint, buffer.len)));
        let buffers = plan.buffers().iter().map(buffer).collect();
        let launches = plan.calls().iter().map(|call| Launch::new(&plan, call)).collect();
        Runner { launches, steps: steps(&plan), plan, buffers, snapshots: VecDeque::new() }
    }

    /// The buffer that holds a slot, and the slot's elements in it.
    fn storage(&self, id: SlotId) -> (&Arc<RwLock<Memory<R>>>, Range<usize>) {
        let Place { buffer, range } = Place::of(&self.plan, id);
        (&self.buffers[buffer], range)
    }

    fn for_reading(&self, place: &Place) -> RwLockReadGuard<'_, Memory<R>> {
        self.buffers[place.buffer].read().expect(POISONED)
    }

    fn for_writing(&self, place: &Place) -> RwLockWriteGuard<'_, Memory<R>> {
        self.buffers[place.buffer].write().expect(POISONED)
    }

    /// A copy of a slot at full precision.
    pub fn get(&self, slot: SlotId) -> Array<R> {
        let (buffer, range) = self.storage(slot);
        match buffer.read().expect(POISONED).reading(range) {
            View::Read(values) => Array::Float(values.to_vec()),
            View::ReadUint(values) => Array::Uint(values.to_vec()),
            _ => unreachable!("asked for reading"),
        }
    }

    /// Overwrites a slot of real numbers at full precision.
    pub fn set(&mut self, slot: SlotId, values: &[R]) {
        let (buffer, range) = self.storage(slot);
        match buffer.write().expect(POISONED).writing(range) {
            View::Write(own) => own.copy_from_slice(values),
            _ => panic!("slot `{}` holds integers", self.plan.slot(slot).name),
        }
    }

    /// Runs the calls of a chain on some images before the next.
    fn chain(&self, launches: &[Launch], chain: &Chain<R>) {
        let Chain { rows, written, private, spare, read, sources } = chain;
        let inputs: Vec<_> = read.iter().map(|place| (self.for_reading(place), place)).collect();
        let inputs: Vec<View<R>> = inputs.iter().map(|(memory, place)| memory.reading(place.range.clone())).collect();
        let mut outputs: Vec<_> = written.iter().map(|place| (self.for_writing(place), place)).collect();
        let mut outputs: Vec<View<R>> =
            outputs.iter_mut().map(|(memory, place)| memory.writing(place.range.clone())).collect();
        let shares: Vec<(usize, Vec<View<R>>)> = (0..*rows)
            .step_by(IMAGES)
            .map(|first| {
                let count = IMAGES.min(rows - first);
                (first, outputs.iter_mut().map(|view| view.split_off(count, rows - first)).collect())
            })
            .collect();
        let prepared = launches.iter().zip(sources).map(|(Launch { at, routine, .. }, sources)| {
            let read = at.args().iter().zip(sources).filter_map(|(arg, &source)| {
                let Source::Read(place) = source else { return None };
                Some((arg.name, inputs[place].whole()))
            });
            R::prepare(&**at, *routine, &mut Io::new(at.name(), read))
        });
        let prepared: Vec<Vec<R>> = prepared.collect();
        shares.into_par_iter().for_each(|(first, mut own)| {
            let memory = |&(is_uint, length): &(bool, usize)| Memory::new(is_uint, length * IMAGES);
            let left = spare.lock().expect(POISONED).pop();
            let mut scratch: Vec<_> = left.unwrap_or_else(|| private.iter().map(memory).collect());
            let count = IMAGES.min(rows - first);
            own.extend(scratch.iter_mut().zip(private).map(|(memory, (_, length))| memory.writing(0..length * count)));
            for ((Launch { at, routine, .. }, sources), prepared) in launches.iter().zip(sources).zip(&prepared) {
                let args = at.args();
                let own = own.iter_mut().enumerate().filter_map(|(place, view)| {
                    let arg = &args[sources.iter().position(|&source| source == Source::Own(place))?];
                    let is_read = arg.access == Access::Read;
                    Some((arg.name, if is_read { view.for_reading() } else { view.for_writing() }))
                });
                let read = args.iter().zip(sources).filter_map(|(arg, &source)| {
                    let Source::Read(place) = source else { return None };
                    let view = &inputs[place];
                    Some((arg.name, if arg.local { view.rows(first, count, *rows) } else { view.whole() }))
                });
                let mut io = Io::new(at.name(), own.chain(read)).with_prepared(prepared);
                R::compute(&**at, *routine, 0..count, &mut io);
            }
            drop(own);
            spare.lock().expect(POISONED).push(scratch);
        });
    }

    /// Runs one call by itself.
    fn call(&self, launch: &Launch) {
        enum Guard<'a, R> {
            Read(RwLockReadGuard<'a, Memory<R>>),
            Write(RwLockWriteGuard<'a, Memory<R>>),
        }
        let Launch { at, routine, piece, rows, args } = launch;
        let lock = |(arg, place): (&ArgAt, &Place)| match arg.access {
            Access::Read => Guard::Read(self.for_reading(place)),
            Access::Write | Access::Update => Guard::Write(self.for_writing(place)),
        };
        let mut guards: Vec<_> = at.args().iter().zip(args).map(lock).collect();
        let views = guards.iter_mut().zip(at.args()).zip(args).map(|((guard, arg), place)| {
            let view = match guard {
                Guard::Read(memory) => memory.reading(place.range.clone()),
                Guard::Write(memory) => memory.writing(place.range.clone()),
            };
            (arg.name, view)
        });
        compute(at, *routine, *piece, rows.clone(), views.collect());
    }
}

/// Computes output rows of `at`, dealt to the threads, after what its routine prepares for all of them.
fn compute<R: Number>(
    at: &At,
    routine: Option<RoutineAt>,
    piece: usize,
    rows: Range<usize>,
    views: Vec<(&'static str, View<R>)>,
) {
    let read = views.iter().filter(|(_, view)| matches!(view, View::Read(_) | View::ReadUint(_)));
    let read = read.map(|(name, view)| (*name, view.whole()));
    let prepared = R::prepare(&**at, routine, &mut Io::new(at.name(), read));
    deal(at, piece, slice::from_ref(&rows), views, &prepared, |rows, io| R::compute(&**at, routine, rows, io));
}

/// Runs the reference of `at` for some of its output rows, dealt to the threads. Written arrays hold these rows alone,
/// one behind the other; the others are whole.
pub fn reference<R: Number>(at: &At, rows: &[Range<usize>], views: Vec<(&'static str, View<R>)>) {
    deal(at, piece(at), rows, views, &[], |rows, io| R::reference(&**at, rows, io));
}

/// Runs a routine of `at` on whole arrays, its output rows dealt to the threads.
pub fn routine(at: &At, routine: RoutineAt, views: Vec<(&'static str, View<f32>)>) {
    compute(at, Some(routine), piece(at), 0..at.rows(), views);
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
    let together = at.routine_for_shape().map_or(1, |routine| routine.together);
    let pieces = at.work().in_units_of(WORTHWHILE).clamp(1, PIECES);
    at.rows().div_ceil(pieces as usize).next_multiple_of(together)
}

/// Deals output rows of `at` to the threads, `size` at a time, with what is `prepared` for all.
fn deal<R: Number>(
    at: &At,
    size: usize,
    rows: &[Range<usize>],
    mut views: Vec<(&'static str, View<R>)>,
    prepared: &[R],
    run: impl Fn(Range<usize>, &mut Io<R>) + Sync,
) {
    let args = at.args();
    let is_local = |name: &str| args.iter().any(|arg| arg.local && arg.name == name);
    let from_zero = args.iter().any(|arg| arg.local);
    let mut left: usize = rows.iter().map(Range::len).sum();
    let mut shares = Vec::new();
    for rows in rows {
        for start in rows.clone().step_by(size) {
            let count = size.min(rows.end - start);
            let share = views.iter_mut().map(|(name, view)| match view {
                View::Write(_) | View::WriteUint(_) => (*name, view.split_off(count, left)),
                _ if is_local(name) => (*name, view.rows(start, count, at.rows())),
                _ => (*name, view.whole()),
            });
            let io = Io::new(at.name(), share).with_prepared(prepared);
            shares.push((if from_zero { 0..count } else { start..start + count }, io));
            left -= count;
        }
    }
    shares.into_par_iter().for_each(|(rows, mut io)| run(rows, &mut io));
}

impl<R: Number> crate::run::Runner for Runner<R> {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn write<'a>(&mut self, slot: SlotId, values: impl Into<Values<'a>>) -> Result<()> {
        let (buffer, range) = self.storage(slot);
        match (buffer.write().expect(POISONED).writing(range), values.into()) {
            (View::Write(own), Values::Float(values)) => {
                assert_eq!(own.len(), values.len(), "slot `{}`", self.plan.slot(slot).name);
                own.iter_mut().zip(values).for_each(|(own, &value)| *own = R::of(f64::from(value)));
            }
            (View::WriteUint(own), Values::Uint(values)) => own.copy_from_slice(values),
            _ => panic!("slot `{}` holds the other element type", self.plan.slot(slot).name),
        }
        Ok(())
    }

    fn write_part(&mut self, slot: SlotId, start: usize, values: &[u32]) -> Result<()> {
        let (buffer, range) = self.storage(slot);
        match buffer.write().expect(POISONED).writing(range) {
            View::WriteUint(own) => own[start..][..values.len()].copy_from_slice(values),
            _ => panic!("slot `{}` holds real numbers", self.plan.slot(slot).name),
        }
        Ok(())
    }

    fn widen(&self, at: &At) -> f64 {
        at.routine_for_shape().map_or(1.0, |routine| routine.widen)
    }

    /// Chains of which `calls` names only a part are run call by call.
    fn run(&mut self, calls: Range<usize>) -> Result<()> {
        let first = self.steps.partition_point(|step| step.calls.end <= calls.start);
        for step in self.steps[first..].iter().take_while(|step| step.calls.start < calls.end) {
            let part = step.calls.start.max(calls.start)..step.calls.end.min(calls.end);
            match &step.chain {
                Some(chain) if part == step.calls => self.chain(&self.launches[part], chain),
                _ => self.launches[part].iter().for_each(|launch| self.call(launch)),
            }
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

    fn is_on_host(&self) -> bool {
        true
    }

    fn fork(&self, plan: Arc<Plan>) -> Result<Self> {
        let mut forked = Runner::new(plan);
        let plan = forked.plan.clone();
        for (own, buffer) in forked.buffers.iter_mut().zip(plan.buffers()) {
            let slot = plan.slot(buffer.slot());
            let shareable = slot.role.is_shared();
            let other = self.plan.find(&slot.name).filter(|&id| shareable && self.plan.slot(id).len() == slot.len());
            if let Some(id) = other {
                *own = self.buffers[self.plan.storage(id).0].clone();
            }
        }
        Ok(forked)
    }
}
