//! The training loop, generic over the runner. It prints nothing: events go out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::host::{self, Array};
use crate::net::Net;
use crate::plan::{Plan, SlotId};
use crate::run::Runner;
use crate::sampler::Triplets;
use crate::siamese::{Source, Stats, slots, training_plan};

/// Steps that may be in flight before the host waits for the oldest.
const IN_FLIGHT: usize = 2;

/// A finished step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Number of the step, from 1.
    pub step: u64,
    /// Images seen by then, three a triplet.
    pub images: u64,
    /// Its statistics.
    pub stats: Stats,
}

/// Trains one network on one data set.
pub struct Trainer<R: Runner> {
    config: Config,
    net: Net,
    sampler: Triplets,
    runner: R,
    /// Steps begun and steps reported.
    begun: u64,
    reported: u64,
    host_time: Duration,
    rows: SlotId,
    step: SlotId,
    stats: SlotId,
}

impl<R: Runner> Trainer<R> {
    /// Makes the plan and, with `make`, its runner; sends the images and the weights of `start`, from which training
    /// goes on.
    ///
    /// # Errors
    /// What `make` reports; [`Error::Config`] for settings out of range or data that do not fit the network.
    pub fn new(start: &Checkpoint, data: &Dataset, make: impl FnOnce(Arc<Plan>) -> Result<R>) -> Result<Trainer<R>> {
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
        if 3 * config.triplets > net.most_rows() {
            let most = net.most_rows() / 3;
            let reason = format!("{} triplets are too many for this network, {most} are the most", config.triplets);
            return Err(Error::config("--batch", reason));
        }
        if start.moments.is_none() {
            return Err(Error::config(
                "--resume",
                "the file has no optimiser moments: it is an export, not a checkpoint",
            ));
        }
        let sampler = Triplets::new(&data.labels, config.seed, config.positive)?;
        let source = Source::new(data, config.scale());
        let plan = Arc::new(training_plan(&net, &source, config.triplets, config.loss, config.update));
        let mut runner = make(plan)?;
        let images = runner.plan().id(&source.slot);
        runner.write(images, host::pack(&data.images).as_slice())?;
        start.restore(&mut runner)?;
        let [rows, step, stats] = [slots::ROWS, slots::STEP, slots::STATS].map(|name| runner.plan().id(name));
        let (begun, reported) = (start.step, start.step);
        Ok(Trainer { config, net, sampler, runner, begun, reported, host_time: Duration::ZERO, rows, step, stats })
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

    /// Steps done and reported.
    pub fn steps(&self) -> u64 {
        self.reported
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
            self.begin()?;
            self.finish(IN_FLIGHT, &mut report)?;
        }
        self.finish(0, &mut report)
    }

    fn begin(&mut self) -> Result<()> {
        let batch = self.sampler.batch(self.begun, self.config.triplets);
        let start = Instant::now();
        self.begun += 1;
        let scalars = self.config.update.scalars(self.config.learning_rate, self.begun);
        self.runner.write(self.rows, batch.as_slice())?;
        self.runner.write(self.step, scalars.as_slice())?;
        let all = self.runner.plan().all();
        self.runner.run(all)?;
        self.runner.snapshot(self.stats)?;
        self.host_time += start.elapsed();
        Ok(())
    }

    fn finish(&mut self, keep: usize, report: &mut impl FnMut(StepReport)) -> Result<()> {
        for stats in self.runner.collect(keep)? {
            self.reported += 1;
            let stats = Stats::from_slot(stats.floats());
            // A hinge of NaN is zero, on most devices, so the distances are looked at as well.
            let Stats { loss, d_ap, d_an, gradient_norm, non_finite, .. } = stats;
            let finite = [loss, d_ap, d_an, gradient_norm].iter().all(|value| value.is_finite());
            if !finite || non_finite > 0.0 {
                return Err(Error::Diverged { step: self.reported, slot: self.first_non_finite()? });
            }
            report(StepReport { step: self.reported, images: 3 * self.config.triplets as u64 * self.reported, stats });
        }
        Ok(())
    }

    /// Name of the first slot, in the order of the plan's calls, with a value that is not finite.
    fn first_non_finite(&mut self) -> Result<String> {
        let calls = self.runner.plan().calls().to_vec();
        for slot in calls.iter().flat_map(|call| &call.args) {
            if let Array::Float(values) = self.runner.read(*slot)?
                && values.iter().any(|value| !value.is_finite())
            {
                return Ok(self.runner.plan().slot(*slot).name.clone());
            }
        }
        Ok("none of them any more".to_owned())
    }

    /// The weights and moments as they are now.
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        Checkpoint::of(&self.config, &self.net, self.reported, &mut self.runner)
    }
}
