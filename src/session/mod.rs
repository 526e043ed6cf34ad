//! A run: a training in a folder, from its first step or its last checkpoint to its end. It prints nothing: events go
//! out, a flag that is handed in stops it, and it says how it ended. Whatever ends it, an error included, what there is
//! has been saved before.
//!
//! ```text
//! Folder::create, or Folder::open ─▶ Session::new ─▶ run ─▶ Ending ─▶ take_best ─▶ evaluate
//! ```

mod event;
mod folder;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::checkpoint::Checkpoint;
use crate::config::Validation;
use crate::crew::Crew;
use crate::data::Parts;
use crate::embed::{self, Evaluated};
use crate::error::{Error, NonFinite, Result};
use crate::eval::Progress;
use crate::feed::Residence;
use crate::losses::Ailment;
use crate::plan::Plan;
use crate::run::Runner;
use crate::train::{Health, StepReport, Trainer};

pub use event::{Event, up_to};
use event::{Hear, Record};
use folder::Best;
pub use folder::{BEST, CHECKPOINT, Folder, METRICS, PREVIOUS, Unfinished};

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveEvery {
    /// So long after the last one.
    Time(Duration),
    /// At every multiple of so many steps.
    Steps(u64),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All its steps are done.
    Finished,
    /// There was no new best for as many looks at the validation images as its patience has.
    OutOfPatience {
        /// The step of the best.
        best: u64,
    },
    /// An ailment that it was to [end on](Session::end_on) came to light.
    Ailing {
        /// What it was.
        ailment: Ailment,
    },
    /// It was told to stop.
    Interrupted,
    /// Its numbers are no longer finite. The checkpoint is the one before that.
    Diverged {
        /// The first step whose loss, gradient or weights are not finite.
        step: u64,
        /// Where that began, if it could be found.
        first: Option<NonFinite>,
        /// The step of the checkpoint, if it can be read.
        saved: Option<u64>,
    },
}

/// Steps after which it is looked what is due, at most.
const STRETCH: u64 = 100;

/// A run while it is trained.
pub struct Session<'a, R: Runner> {
    folder: &'a Folder,
    parts: &'a Parts,
    save_every: SaveEvery,
    trainer: Trainer<R>,
    health: Health,
    best: Best,
    record: Record,
    /// The ailment that ends it, and whether it has.
    fatal: Option<&'static str>,
    ailing: Option<Ailment>,
    /// The step that it started from.
    begun: u64,
    /// When the last checkpoint was saved, and its step.
    saved: (Instant, u64),
}

impl<'a, R: Runner> Session<'a, R> {
    /// A run of `parts` in `folder` that starts, or goes on, from `start`, with a runner that `make` makes; training
    /// images lie where `residence` says. Of a crew it is the run of rank 0, which dismisses the others when it ends.
    /// When this answers the folder has a checkpoint, so that whatever ends the
    /// program leaves a run that can be gone on with.
    ///
    /// # Errors
    /// As [`Trainer::of_crew`]; [`Error::Io`] where the folder cannot be written.
    pub fn new(
        folder: &'a Folder,
        start: &Checkpoint,
        parts: &'a Parts,
        residence: Residence,
        save_every: SaveEvery,
        crew: Box<dyn Crew>,
        make: impl FnOnce(Arc<Plan>) -> Result<R>,
    ) -> Result<Session<'a, R>> {
        let is_new = !folder.file(CHECKPOINT).exists();
        let record = Record::open(folder, if is_new { None } else { Some(start.step) })?;
        let mut trainer = Trainer::of_crew(start, &parts.train, residence, crew, make)?;
        let best = Best::new(folder, start.step)?;
        let health = Health::new(&start.config, trainer.net());
        if is_new {
            folder.save(&trainer.checkpoint()?)?;
        }
        let (begun, saved) = (start.step, (Instant::now(), start.step));
        let (fatal, ailing) = (None, None);
        Ok(Session { folder, parts, save_every, trainer, health, best, record, fatal, ailing, begun, saved })
    }

    /// Ends the run, saved, soon after an [ailment](crate::losses::Ailment) of this name comes to light.
    pub fn end_on(&mut self, ailment: &'static str) {
        self.fatal = Some(ailment);
    }

    /// As [`Trainer::compare_with`].
    pub fn compare_with(&mut self, embeddings: Vec<f32>) {
        self.trainer.compare_with(embeddings);
    }

    /// What is trained.
    pub fn trainer(&self) -> &Trainer<R> {
        &self.trainer
    }

    /// Trains to the end, until patience is over or `stop` is set. `adapter` is what the runner computes on, in words.
    ///
    /// # Errors
    /// What the device reports; [`Error::Embedding`] where the validation images cannot be judged; [`Error::Io`] where
    /// a checkpoint cannot be written. What was done by then is saved, unless it is that which fails.
    pub fn run(&mut self, adapter: &str, stop: &AtomicBool, mut hear: impl FnMut(&Event)) -> Result<Ending> {
        let (net, config) = (self.trainer.net(), self.trainer.config());
        let start = Event::Start {
            adapter,
            spec: &net.spec,
            parameters: net.parameter_count(),
            steps: config.steps,
            bytes: self.trainer.runner().plan().bytes(),
            folder: self.folder.path(),
        };
        self.record.tell(&start, &mut hear);
        let ending = self.train(stop, &mut hear);
        // The one way out.
        // In the midst of a step the other ranks wait for values: those find that this one is gone.
        let dismissed = match &ending {
            Ok(_) | Err(Error::Diverged { .. }) => self.trainer.dismiss(),
            Err(_) => Ok(()),
        };
        let kept = self.keep(&mut hear);
        match ending.and_then(|ending| kept.and(dismissed).map(|()| ending)) {
            Err(Error::Diverged { step, .. }) => Ok(self.trace(step, stop, &mut hear)),
            ending => ending,
        }
    }

    fn train(&mut self, stop: &AtomicBool, hear: Hear) -> Result<Ending> {
        let (steps, validation) = (self.trainer.config().steps, self.trainer.config().validation);
        let mut pace = Pace::new(self.begun, self.trainer.config().batch.rows(), Duration::ZERO);
        // A run whose patience was over stays ended when it is gone on with.
        let mut ended = validation.is_some_and(|validation| self.best.is_too_old(self.begun, validation));
        while self.trainer.steps() < steps && !ended && self.ailing.is_none() && !stop.load(Ordering::Relaxed) {
            self.stretch(&mut pace, stop, hear)?;
            let done = self.trainer.steps();
            if let Some(validation) = validation
                && (done.is_multiple_of(validation.every) || done == steps)
            {
                let pause = Instant::now();
                ended = self.look(validation, hear)?;
                pace.since += pause.elapsed();
            }
            if match self.save_every {
                SaveEvery::Time(time) => self.saved.0.elapsed() > time,
                SaveEvery::Steps(steps) => done.is_multiple_of(steps),
            } {
                self.save(hear)?;
            }
        }
        if let Some(ailment) = self.ailing.take() {
            return Ok(Ending::Ailing { ailment });
        }
        Ok(match self.best.found {
            Some((_, best)) if ended => Ending::OutOfPatience { best },
            _ if self.trainer.steps() < steps => Ending::Interrupted,
            _ => Ending::Finished,
        })
    }

    /// Trains until something is due.
    fn stretch(&mut self, pace: &mut Pace, stop: &AtomicBool, hear: Hear) -> Result<()> {
        let Session { trainer, health, record, begun, fatal, ailing, .. } = self;
        let (config, done) = (trainer.config(), trainer.steps());
        let next = |every: u64| (done / every).saturating_add(1).saturating_mul(every);
        let look = config.validation.map_or(STRETCH, |validation| validation.every.min(STRETCH));
        let save = if let SaveEvery::Steps(steps) = self.save_every { next(steps) } else { u64::MAX };
        let until = next(look).min(save).min(config.steps);
        // The first step may wait for shaders, and is left out of the pace.
        let is_first = done == *begun;
        let mut waited = Duration::ZERO;
        trainer.run(if is_first { done + 1 } else { until }, stop, |report| {
            waited = report.waited.unwrap_or_default();
            let (images_per_s, waiting) = pace.of(&report);
            record.tell(&Event::Step { report: &report, images_per_s, waiting }, hear);
            if let Some(ailment) = health.look(&report) {
                if *fatal == Some(ailment.name) {
                    *ailing = Some(ailment.clone());
                }
                record.tell(&Event::Warning { step: report.step, ailment }, hear);
            }
        })?;
        if is_first {
            *pace = Pace::new(trainer.steps(), pace.rows, waited);
        }
        Ok(())
    }

    /// Looks at the validation images; keeps the weights if they are the best so far. Answers whether patience is over.
    fn look(&mut self, validation: Validation, hear: Hear) -> Result<bool> {
        let data = self.parts.validation.as_ref().expect("images are held back where there is a validation");
        let trainer = &mut self.trainer;
        let score = embed::validate(trainer.runner(), trainer.net(), trainer.config(), data)?;
        let step = trainer.steps();
        let is_best = self.best.found.is_none_or(|(known, _)| score > known);
        if is_best {
            self.best.save(score, trainer.checkpoint()?)?;
        }
        self.record.tell(&Event::Validation { step, map_at_r: score, is_best }, hear);
        Ok(self.best.is_too_old(step, validation))
    }

    /// Saves, with all events up to there, so that a run that is killed knows every step that it does not repeat.
    fn save(&mut self, hear: Hear) -> Result<()> {
        self.record.flush(hear);
        self.folder.save(&self.trainer.checkpoint()?)?;
        self.saved = (Instant::now(), self.trainer.steps());
        Ok(())
    }

    /// Saves what the last checkpoint has not. Within a step there is nothing to be had, and that checkpoint stands.
    fn keep(&mut self, hear: Hear) -> Result<()> {
        let step = self.trainer.steps();
        if !self.trainer.is_whole() {
            self.record.flush(hear);
            return Ok(());
        }
        if self.saved.1 < step {
            self.save(hear)?;
        }
        let host_ms = 1e3 * self.trainer.host_time().as_secs_f64() / (step - self.begun).max(1) as f64;
        self.record.tell(&Event::Saved { path: &self.folder.file(CHECKPOINT), step, host_ms }, hear);
        Ok(())
    }

    /// Does the steps since the last checkpoint again to find where the numbers of `step` left the finite ones.
    fn trace(&mut self, step: u64, stop: &AtomicBool, hear: Hear) -> Ending {
        let last = Checkpoint::load(&self.folder.file(CHECKPOINT)).ok();
        let first = last.as_ref().and_then(|from| {
            hear(&Event::Retracing { from: from.step, step });
            // That the run diverged is to be said, whatever comes of this.
            self.trainer.trace(from, step, stop).ok().flatten()
        });
        Ending::Diverged { step, first, saved: last.map(|last| last.step) }
    }

    /// Takes the weights that the run is judged by: those that did best on the validation images, and answers their
    /// step; where no best is known, the last ones stay.
    ///
    /// # Errors
    /// As [`Checkpoint::load`]; what the device reports.
    pub fn take_best(&mut self) -> Result<Option<u64>> {
        let Some(best) = self.best.load()? else { return Ok(None) };
        self.trainer.restore(&best)?;
        Ok(Some(best.step))
    }

    /// Evaluates the weights as they are now.
    ///
    /// # Errors
    /// As [`embed::evaluate`].
    pub fn evaluate(&mut self, progress: impl FnMut(Progress), mut hear: impl FnMut(&Event)) -> Result<Evaluated> {
        let trainer = &self.trainer;
        let evaluated = embed::evaluate(trainer.runner(), trainer.net(), trainer.config(), self.parts, progress)?;
        self.record.tell(&Event::Evaluation(&evaluated.evaluation), &mut hear);
        Ok(evaluated)
    }
}

/// How fast the steps go.
struct Pace {
    /// When they began that count, without the pauses, and how many were done then.
    since: Instant,
    done: u64,
    /// How long they had waited for images by then.
    waited: Duration,
    /// Images of a step.
    rows: usize,
}

impl Pace {
    fn new(done: u64, rows: usize, waited: Duration) -> Pace {
        Pace { since: Instant::now(), done, waited, rows }
    }

    /// Images a second, and the share of the time that went by with waiting for images.
    fn of(&self, report: &StepReport) -> (f64, Option<f64>) {
        let seconds = self.since.elapsed().as_secs_f64();
        let images = (report.step - self.done) as f64 * self.rows as f64;
        let waited = report.waited.map(|waited| waited.saturating_sub(self.waited).as_secs_f64());
        (images / seconds, waited.map(|waited| (waited / seconds).min(1.0)))
    }
}
