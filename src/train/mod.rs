//! The training loop, generic over the runner. It prints nothing: events go out.

mod health;
mod shares;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::crew::{Alone, Crew, divides};
use crate::data::store::Images;
use crate::data::{Dataset, Origin};
use crate::error::{Error, NonFinite, Result};
use crate::feed::{Feed, Residence};
use crate::head::Head;
use crate::host::{self, Array};
use crate::kernels::EMPTY;
use crate::losses::NON_FINITE;
use crate::net::{Net, Parameter};
use crate::plan::{ALIGNMENT, Place, Plan, SlotId};
use crate::run::Runner;
use crate::sampler::{Sampler, Warps};
use crate::siamese::{Source, Stats, rank_plan, slots};

pub use health::Health;

/// Steps that may be in flight before the host waits for the oldest.
const IN_FLIGHT: usize = 2;

/// A finished step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Number of the step, from 1.
    pub step: u64,
    /// Images seen by then: rows of batches.
    pub images: u64,
    /// Its statistics.
    pub stats: Stats,
    /// How long it and the steps before were kept waiting for images, where those do not lie on the device.
    pub waited: Option<Duration>,
}

/// Checks that a network can be trained as `config` has it, on so many classes.
///
/// # Errors
/// [`Error::Config`] naming the setting that does not go with the network or the classes.
pub fn check(config: &Config, net: &Net, classes: usize) -> Result<()> {
    net.check_training(config.rows_of_share())?;
    Head::new(config, net.dims(), classes).check(config)?;
    if config.loss.needs_unit_rows() && !net.normalises() {
        let reason = format!(
            "{} compares cosines, of embeddings of length 1; the network `{}` does not end in `l2`, which makes them \
             so",
            config.loss.name(),
            net.spec
        );
        return Err(Error::config("--loss", reason));
    }
    let names: Vec<_> = net.parameters().into_iter().map(|parameter| parameter.name).collect();
    for group in &config.groups {
        group.names.check("--group", &names)?;
    }
    Ok(())
}

/// What slot [`slots::RATES`] holds.
pub(crate) fn rates(config: &Config, net: &Net) -> Vec<f32> {
    let mut rates = vec![[1.0, 0.0]; net.arena / ALIGNMENT];
    for Parameter { name, layout, range, .. } in net.parameters() {
        let places = range.start / ALIGNMENT..range.end.div_ceil(ALIGNMENT);
        rates[places].fill(config.rates(&name, layout.file_dims().len()));
    }
    rates.concat()
}

/// Which images a [cross-batch memory](crate::losses::MEMORY) holds: a function of the step, so that no checkpoint has
/// it.
struct Memory {
    labels: SlotId,
    position: SlotId,
    /// Class of the image in each place.
    classes: Vec<u32>,
}

impl Memory {
    /// The place from which on the batch of a step goes in, steps counted from 0.
    fn position(&self, step: u64, rows: usize) -> usize {
        (u128::from(step) * rows as u128 % self.classes.len() as u128) as usize
    }

    /// Puts in the classes of a step's batch.
    fn enter(&mut self, step: u64, classes: &[u32]) {
        let position = self.position(step, classes.len());
        for (row, &class) in classes.iter().enumerate() {
            let place = (position + row) % self.classes.len();
            self.classes[place] = class;
        }
    }

    /// Becomes what it is before a step.
    fn recall(&mut self, sampler: &Sampler, step: u64, rows: usize) {
        self.classes.fill(EMPTY);
        let batches = self.classes.len().div_ceil(rows) as u64;
        for step in step.saturating_sub(batches)..step {
            self.enter(step, &sampler.classes(&sampler.batch(step)));
        }
    }
}

/// Images that go up with each share of a batch.
struct Stream {
    images: SlotId,
    pixels: Images,
    workers: usize,
    /// What reads ahead, from the step on that is begun next.
    feed: Option<Feed>,
    /// How long it was waited for.
    waited: Duration,
}

impl Stream {
    /// The images of some shares of a step, packed; each has so many rows.
    fn batch(&mut self, sampler: &Arc<Sampler>, step: u64, shares: Range<usize>, rows: usize) -> Result<Vec<Vec<u32>>> {
        let count = shares.len() as u64;
        let mut feed = self.feed.take().filter(|feed| feed.position() == step * count).unwrap_or_else(|| {
            let sampler = Arc::clone(sampler);
            let start = shares.start;
            let of_share = move |number: u64| {
                let share = start + (number % count) as usize;
                Some(sampler.batch(number / count)[share * rows..][..rows].to_vec())
            };
            Feed::new(self.pixels.clone(), of_share, step * count, self.workers)
        });
        let images = shares.map(|_| {
            let (images, waited) = feed.take()?;
            self.waited += waited;
            Ok(images)
        });
        let images = images.collect::<Result<_>>()?;
        self.feed = Some(feed);
        Ok(images)
    }
}

/// What a training gathers its batches from.
pub fn source(data: &Dataset, residence: Residence, config: &Config) -> Source {
    match residence {
        Residence::Device => Source::new(data, config.scale()),
        Residence::Host { .. } => Source::streamed(config.rows_of_share(), data.label_count(), config.scale()),
    }
}

/// Bytes that go up at once.
const PIECE: usize = 16 << 20;

/// Sends images to a slot, some at a time.
fn upload<R: Runner>(runner: &mut R, slot: SlotId, images: &Images) -> Result<()> {
    // As many as make whole words.
    let count = (PIECE / images.size()).next_multiple_of(4);
    for start in (0..images.len()).step_by(count) {
        let rows: Vec<usize> = (start..images.len().min(start + count)).collect();
        let words = host::pack(&images.subset(&rows).all()?);
        runner.write_part(slot, start * images.size() / 4, &words)?;
    }
    Ok(())
}

/// What the rows of a step are made of.
struct Rows {
    /// Their images, by number.
    batch: Vec<u32>,
    warps: Option<Warps>,
    /// The images of each share that is this rank's, where they do not lie on the device.
    images: Vec<Vec<u32>>,
}

/// Of values of all rows those of a share, of so many.
fn part<T>(values: &[T], share: usize, shares: usize) -> &[T] {
    let count = values.len() / shares;
    &values[share * count..][..count]
}

/// Trains one network on one data set.
pub struct Trainer<R: Runner> {
    config: Config,
    origin: Option<Origin>,
    net: Net,
    head: Head,
    sampler: Arc<Sampler>,
    stream: Option<Stream>,
    crew: Box<dyn Crew>,
    /// Shares that it was made to compute.
    turns: usize,
    runner: R,
    /// Steps begun and steps reported.
    begun: u64,
    reported: u64,
    host_time: Duration,
    rows: SlotId,
    labels: Option<SlotId>,
    memory: Option<Memory>,
    /// Where the embeddings of another model go, and those of all images.
    old: Option<(SlotId, Vec<f32>)>,
    maps: Option<SlotId>,
    keys: Option<SlotId>,
    colours: Option<SlotId>,
    blanks: Option<SlotId>,
    step: SlotId,
    head_step: Option<SlotId>,
    stats: SlotId,
}

impl<R: Runner> Trainer<R> {
    /// Makes the plan and, with `make`, its runner; sends the weights of `start`, from which training goes on, and
    /// where they stay on the device the images. Where they lie changes no bit of what is trained.
    ///
    /// # Errors
    /// What `make` reports; [`Error::Config`] for settings out of range or data that do not fit the network.
    pub fn new(
        start: &Checkpoint,
        data: &Dataset,
        residence: Residence,
        make: impl FnOnce(Arc<Plan>) -> Result<R>,
    ) -> Result<Trainer<R>> {
        Trainer::of_crew(start, data, residence, Box::new(Alone), make)
    }

    /// As [`Trainer::new`], with other ranks, all of which make a trainer of the same start: the shares of a step are
    /// dealt to them. Rank 0 then [runs](Trainer::run), and [dismisses](Trainer::dismiss) the others, which
    /// [follow](Trainer::follow). What is trained is the same to the bit whoever takes part, on equal devices.
    ///
    /// # Errors
    /// As there; [`Error::Config`] where the shares cannot be dealt to so many; [`Error::Crew`] naming a rank that has
    /// another program, other settings, images or weights.
    pub fn of_crew(
        start: &Checkpoint,
        data: &Dataset,
        residence: Residence,
        crew: Box<dyn Crew>,
        make: impl FnOnce(Arc<Plan>) -> Result<R>,
    ) -> Result<Trainer<R>> {
        let config = start.config.clone();
        config.validate()?;
        let net = start.net()?;
        if net.input != [data.height, data.width, data.channels] {
            let reason = format!(
                "images of {} are {}×{}×{}, the network takes {:?}",
                data.name, data.height, data.width, data.channels, net.input
            );
            return Err(Error::config("--data", reason));
        }
        let classes = data.label_count();
        check(&config, &net, classes)?;
        let head = Head::new(&config, net.dims(), classes);
        if let Some(known) = start.head.as_ref().filter(|known| known.classes != classes) {
            let reason = format!(
                "{} has {classes} classes to train on, {} of this run has values for {}",
                data.name,
                config.loss.name(),
                known.classes
            );
            return Err(Error::config("--data", reason));
        }
        if start.moments.is_none() {
            return Err(Error::config(
                "--resume",
                "the file has no optimiser moments: it is an export, not a checkpoint",
            ));
        }
        let sampler = Arc::new(Sampler::new(&data.labels, config.seed, config.batch)?);
        let source = source(data, residence, &config);
        if !divides(config.shares, crew.ranks()) {
            let reason = format!(
                "{} cannot be dealt to {} ranks: they may be as many, or twice as many, four times and so on",
                config.shares,
                crew.ranks()
            );
            return Err(Error::config("--shares", reason));
        }
        let turns = config.shares / crew.ranks();
        let plan = Arc::new(rank_plan(&net, &source, &config, turns));
        let mut runner = make(plan)?;
        let images = runner.plan().id(&source.slot);
        let stream = match residence {
            Residence::Device => {
                upload(&mut runner, images, &data.images)?;
                None
            }
            Residence::Host { workers } => {
                Some(Stream { images, pixels: data.images.clone(), workers, feed: None, waited: Duration::ZERO })
            }
        };
        if let Some(slot) = runner.plan().find(slots::RATES) {
            runner.write(slot, rates(&config, &net).as_slice())?;
        }
        let [rows, step, stats] = [slots::ROWS, slots::STEP, slots::STATS].map(|name| runner.plan().id(name));
        let [labels, head_step] = [slots::LABELS, slots::HEAD_STEP].map(|name| runner.plan().find(name));
        let [memory, position] = [slots::MEMORY_LABELS, slots::MEMORY_POSITION].map(|name| runner.plan().find(name));
        let memory = memory.zip(position).map(|(labels, position)| Memory {
            labels,
            position,
            classes: vec![EMPTY; config.memory],
        });
        let old = runner.plan().find(slots::OLD).map(|slot| (slot, Vec::new()));
        let (begun, reported) = (start.step, start.step);
        let [maps, keys, colours, blanks] =
            [slots::MAPS, slots::KEYS, slots::COLOURS, slots::BLANKS].map(|name| runner.plan().find(name));
        let host_time = Duration::ZERO;
        let origin = start.origin.clone();
        let mut trainer = Trainer {
            config,
            origin,
            net,
            head,
            sampler,
            stream,
            crew,
            turns,
            runner,
            begun,
            reported,
            host_time,
            rows,
            labels,
            memory,
            old,
            maps,
            keys,
            colours,
            blanks,
            step,
            head_step,
            stats,
        };
        trainer.restore(start)?;
        trainer.agree()?;
        Ok(trainer)
    }

    /// Takes the embeddings `[images, dims]` that the [model](Config::compatible) to be compatible with has of the
    /// images trained on, before the first step of this trainer.
    ///
    /// # Panics
    /// If the training is to be compatible with none, or they are not as many.
    pub fn compare_with(&mut self, embeddings: Vec<f32>) {
        let (_, old) = self.old.as_mut().expect("a training that is to be compatible with a model");
        assert_eq!(embeddings.len(), self.sampler.images() * self.net.dims(), "values of the old embeddings");
        *old = embeddings;
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The runner, whose parameters an evaluation shares.
    pub fn runner(&self) -> &R {
        &self.runner
    }

    /// The same, to run parts of its plan.
    pub fn runner_mut(&mut self) -> &mut R {
        &mut self.runner
    }

    /// Steps done and reported.
    pub fn steps(&self) -> u64 {
        self.reported
    }

    /// Whether all steps begun are reported, so that the weights are those that step [`Trainer::steps`] left. They are
    /// not where a run ended with an error.
    pub fn is_whole(&self) -> bool {
        self.begun == self.reported
    }

    /// What the host spent so far on writing, encoding and submitting steps, waiting left out.
    pub fn host_time(&self) -> Duration {
        self.host_time
    }

    /// Trains until step `until` or until `stop` is set, whichever comes first; all steps begun are reported.
    ///
    /// # Errors
    /// [`Error::Diverged`] at the first step whose loss or gradient is not finite, and what the device reports.
    pub fn run(&mut self, until: u64, stop: &AtomicBool, mut report: impl FnMut(StepReport)) -> Result<()> {
        while self.begun < until && !stop.load(Ordering::Relaxed) {
            self.call_up()?;
            self.step(R::run)?;
            self.finish(IN_FLIGHT, &mut report)?;
        }
        self.finish(0, &mut report)?;
        if let Some(stream) = self.stream.as_mut().filter(|_| self.begun >= self.config.steps) {
            stream.feed = None;
        }
        Ok(())
    }

    /// Begins a step: writes what all shares have in common, and answers what each is made of.
    fn begin(&mut self) -> Result<Rows> {
        let batch = self.sampler.batch(self.begun);
        let [height, width, _] = self.net.input;
        let drawn = self.keys.or(self.colours);
        let warps = drawn.map(|_| self.sampler.warps(self.begun, &self.config.augment, [height, width]));
        let (own, rows) = (self.crew.own(self.config.shares), self.config.rows_of_share());
        let read = |stream: &mut Stream| stream.batch(&self.sampler, self.begun, own, rows);
        let images = self.stream.as_mut().map(read).transpose()?.unwrap_or_default();
        let start = Instant::now();
        if let Some(memory) = &mut self.memory {
            let position = memory.position(self.begun, batch.len()) as u32;
            self.runner.write(memory.labels, memory.classes.as_slice())?;
            self.runner.write(memory.position, [position].as_slice())?;
            memory.enter(self.begun, &self.sampler.classes(&batch));
        }
        if let Some((slot, embeddings)) = &self.old {
            assert!(!embeddings.is_empty(), "the embeddings to be compatible with were never given");
            let dims = self.net.dims();
            let own = batch.iter().flat_map(|&row| &embeddings[row as usize * dims..][..dims]);
            self.runner.write(*slot, own.copied().collect::<Vec<_>>().as_slice())?;
        }
        self.begun += 1;
        if let Some(labels) = self.labels {
            self.runner.write(labels, self.sampler.classes(&batch).as_slice())?;
        }
        self.runner.write(self.step, self.config.scalars(self.begun).as_slice())?;
        if let Some(step) = self.head_step {
            self.runner.write(step, self.config.head_scalars(self.begun).as_slice())?;
        }
        self.host_time += start.elapsed();
        Ok(Rows { batch, warps, images })
    }

    /// Writes what the rows of a share are made of.
    fn write_share(&mut self, rows: &Rows, share: usize) -> Result<()> {
        let Rows { batch, warps, images } = rows;
        let batch = part(batch, share, self.config.shares);
        match &self.stream {
            None => self.runner.write(self.rows, batch)?,
            Some(stream) => {
                let first = self.crew.own(self.config.shares).start;
                self.runner.write(stream.images, images[share - first].as_slice())?;
                let rows: Vec<u32> = (0..batch.len() as u32).collect();
                self.runner.write(self.rows, rows.as_slice())?;
            }
        }
        let Some(Warps { maps, keys, colours, blanks }) = warps else { return Ok(()) };
        if let Some(slot) = self.keys {
            self.runner.write(slot, part(keys, share, self.config.shares))?;
        }
        for (slot, values) in [(self.maps, maps), (self.colours, colours), (self.blanks, blanks)] {
            if let Some(slot) = slot {
                self.runner.write(slot, part(values, share, self.config.shares))?;
            }
        }
        Ok(())
    }

    /// Does a step, calls of its plan by `run`.
    fn step(&mut self, run: impl FnMut(&mut R, Range<usize>) -> Result<()>) -> Result<()> {
        let rows = self.begin()?;
        let start = Instant::now();
        self.pass(&rows, run)?;
        self.runner.snapshot(self.stats)?;
        self.host_time += start.elapsed();
        Ok(())
    }

    fn finish(&mut self, keep: usize, report: &mut impl FnMut(StepReport)) -> Result<()> {
        for stats in self.runner.collect(keep)? {
            let step = self.reported + 1;
            let stats = Stats::new(self.runner.plan().statistics(), stats.floats());
            // A hinge of NaN is zero, on most devices, so the other terms are looked at as well.
            if stats.iter().any(|(_, value)| !value.is_finite()) || stats.get(NON_FINITE) > 0.0 {
                return Err(Error::Diverged { step, first: None });
            }
            self.reported = step;
            let images = self.config.batch.rows() as u64 * step;
            report(StepReport { step, images, stats, waited: self.stream.as_ref().map(|stream| stream.waited) });
        }
        Ok(())
    }

    /// Finds where the numbers of a run that diverged at `step` left the finite ones. A diverging step is known some
    /// steps late, when its arrays are overwritten; so the steps from `from` on, a state of this run before that step,
    /// are done again, and the last one call by call. The weights are of no use behind that. Where a device makes zero
    /// of a NaN, as some do in a ReLU, the array that is found is the first that shows one.
    ///
    /// Answers `None` where `stop` was set before, where other ranks took part, or the device did not repeat its
    /// numbers.
    ///
    /// # Errors
    /// What the device reports.
    pub fn trace(&mut self, from: &Checkpoint, step: u64, stop: &AtomicBool) -> Result<Option<NonFinite>> {
        if self.turns < self.config.shares {
            return Ok(None);
        }
        self.runner.collect(0)?;
        self.restore(from)?;
        (self.begun, self.reported) = (from.step, from.step);
        match self.run(step - 1, stop, |_| ()) {
            Err(Error::Diverged { .. }) => return Ok(None),
            again => again?,
        }
        if self.reported < step - 1 {
            return Ok(None);
        }
        let trained = [slots::PARAMETERS, slots::HEAD].map(|name| self.runner.plan().find(name));
        for trained in trained.into_iter().flatten() {
            if let Some(slot) = non_finite(&mut self.runner, trained)? {
                let mut calls = self.runner.plan().calls().iter();
                let update = calls.rfind(|call| call.outputs().any(|output| output == trained)).expect("the optimiser");
                return Ok(Some(NonFinite { step: step - 1, kernel: update.at.name(), slot }));
            }
        }
        let mut found = None;
        let traced = self.step(|runner, calls| {
            for call in calls {
                runner.run(call..call + 1)?;
                let call = runner.plan().calls()[call].clone();
                for output in call.outputs() {
                    if let Some(slot) = non_finite(runner, output)? {
                        found = Some(NonFinite { step, kernel: call.at.name(), slot });
                        return Err(Error::Diverged { step, first: None });
                    }
                }
            }
            Ok(())
        });
        if found.is_none() {
            traced?;
        }
        Ok(found)
    }

    /// Takes over a checkpoint of this run. One without a head has not begun: its head is as it starts.
    ///
    /// # Errors
    /// What the device reports.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.restore(&mut self.runner)?;
        if let Some(memory) = &mut self.memory {
            memory.recall(&self.sampler, checkpoint.step, self.config.batch.rows());
        }
        let fresh = if checkpoint.head.is_none() { self.head.start(&self.config) } else { None };
        fresh.map_or(Ok(()), |head| head.restore(&mut self.runner))
    }

    /// The weights and moments as they are now.
    ///
    /// # Errors
    /// [`Error::Diverged`] where a weight is not finite; what the device reports.
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::of(&self.config, &self.net, &self.head, self.reported, &mut self.runner)?;
        let Checkpoint { parameters, average, state, head, .. } = &checkpoint;
        let head = head.iter().flat_map(|head| head.trained.iter().chain(&head.state));
        let values = parameters.iter().chain(average.iter().flatten()).chain(state).chain(head);
        if !values.copied().all(f32::is_finite) {
            return Err(Error::Diverged { step: self.reported, first: None });
        }
        Ok(Checkpoint { origin: self.origin.clone(), ..checkpoint })
    }
}

/// Name of the slot, or of the first tensor in it, that holds a value that is not finite.
fn non_finite<R: Runner>(runner: &mut R, slot: SlotId) -> Result<Option<String>> {
    let Array::Float(values) = runner.read(slot)? else { return Ok(None) };
    let Some(found) = values.iter().position(|value| !value.is_finite()) else { return Ok(None) };
    let plan = runner.plan();
    let holds = |part: &SlotId| match plan.slot(*part).place {
        Place::Within(arena, start) => arena == slot && (start..start + plan.slot(*part).len()).contains(&found),
        Place::Own => false,
    };
    Ok(Some(plan.slot(plan.ids().find(holds).unwrap_or(slot)).name.clone()))
}
