//! What a run keeps, whatever ends it, and how it says that it ended.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use siamese::checkpoint::Checkpoint;
use siamese::config::{Config, PRESETS, Schedule, Update, Validation};
use siamese::crew::{Alone, crew};
use siamese::data::store::Images;
use siamese::data::{Dataset, HoldBack, Parts, Split};
use siamese::error::{Error, NonFinite, Result};
use siamese::feed::Residence;
use siamese::host::Array;
use siamese::kernel::At;
use siamese::losses::COLLAPSED;
use siamese::net::Net;
use siamese::plan::{Plan, SlotId};
use siamese::run::{Runner, Values};
use siamese::session::{CHECKPOINT, Ending, Event, Folder, METRICS, SaveEvery, Session};
use siamese::train::Trainer;
use siamese::{cpu, gpu};

use crate::common::random;

static NEVER: AtomicBool = AtomicBool::new(false);

/// Images of 4×4 that are brighter the higher their label.
fn images(count: u32) -> Dataset {
    let labels: Vec<u32> = (0..count).map(|image| image % 3).collect();
    let pixel = |image: u32, pixel: u32| (labels[image as usize] * 60 + (image * 31 + pixel * 17) % 50) as u8;
    Dataset {
        name: "bright".to_owned(),
        images: Images::new((0..count).flat_map(|image| (0..16).map(move |at| pixel(image, at))).collect(), 16),
        labels: labels.clone(),
        label_names: Vec::new(),
        height: 4,
        width: 4,
        channels: 1,
    }
}

fn parts() -> Parts {
    Split::new("bright", images(90), images(30)).unwrap().divide(None, Some(HoldBack::Images(30)), 0).unwrap()
}

/// Forty steps, with a look at the validation images every ten.
fn watched() -> Config {
    Config {
        spec: "dense8 relu dense4 l2".to_owned(),
        batch: random(6),
        steps: 40,
        validation: Some(Validation { images: 30, bound: Some(0), identities: false, every: 10, patience: None }),
        ..PRESETS[0].config()
    }
}

fn initial(config: &Config) -> Checkpoint {
    Checkpoint::initial(config, &Net::parse(&config.spec, [4, 4, 1]).unwrap())
}

/// Trains in a folder from a state on; tells how it ended.
fn train<R: Runner>(
    folder: &Folder,
    start: &Checkpoint,
    stop: &AtomicBool,
    make: impl FnOnce(Arc<Plan>) -> Result<R>,
) -> Result<Ending> {
    let parts = parts();
    let mut session =
        Session::new(folder, start, &parts, Residence::Device, SaveEvery::Steps(15), Box::new(Alone), make)?;
    session.run("a test", stop, |event| {
        if let Event::Step { report, .. } = event
            && report.step == 7
        {
            stop.store(!std::ptr::eq(stop, &NEVER), Ordering::Relaxed);
        }
    })
}

fn on_cpu(plan: Arc<Plan>) -> Result<cpu::Runner> {
    Ok(cpu::Runner::new(plan))
}

/// Goes on with the run of a folder to its end.
fn go_on(path: &Path) -> Ending {
    let unfinished = Folder::open(path).unwrap();
    assert!(unfinished.torn.is_none());
    train(&unfinished.folder, &unfinished.start, &NEVER, on_cpu).unwrap()
}

/// The checkpoint of an uninterrupted run.
fn whole() -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let run = Folder::create(folder.path()).unwrap();
    assert_eq!(train(&run, &initial(&watched()), &NEVER, on_cpu).unwrap(), Ending::Finished);
    saved(folder.path())
}

fn saved(path: &Path) -> Checkpoint {
    Checkpoint::load(&path.join(CHECKPOINT)).unwrap()
}

/// The steps of the record.
fn steps(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path.join(METRICS)).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    events.filter(|event| event["event"] == "step").map(|event| event["step"].as_u64().unwrap()).collect()
}

/// A device that breaks: at so many runs of the plan, or of the plans that are forked off it for looks.
struct Breaks {
    runner: cpu::Runner,
    runs: usize,
    forks: std::cell::Cell<usize>,
}

impl Breaks {
    fn lost() -> Error {
        Error::Device { adapter: "a test".to_owned(), reason: "it is gone".to_owned() }
    }
}

impl Runner for Breaks {
    fn plan(&self) -> &Plan {
        self.runner.plan()
    }

    fn write<'a>(&mut self, slot: SlotId, values: impl Into<Values<'a>>) -> Result<()> {
        self.runner.write(slot, values)
    }

    fn write_part(&mut self, slot: SlotId, start: usize, values: &[u32]) -> Result<()> {
        self.runner.write_part(slot, start, values)
    }

    fn run(&mut self, calls: Range<usize>) -> Result<()> {
        self.runs = self.runs.checked_sub(1).ok_or_else(Breaks::lost)?;
        self.runner.run(calls)
    }

    fn widen(&self, at: &At) -> f64 {
        self.runner.widen(at)
    }

    fn profile(&mut self, calls: Range<usize>) -> Result<Vec<Duration>> {
        self.runner.profile(calls)
    }

    fn read(&mut self, slot: SlotId) -> Result<Array> {
        self.runner.read(slot)
    }

    fn snapshot(&mut self, slot: SlotId) -> Result<()> {
        self.runner.snapshot(slot)
    }

    fn collect(&mut self, keep: usize) -> Result<Vec<Array>> {
        self.runner.collect(keep)
    }

    fn is_on_host(&self) -> bool {
        self.runner.is_on_host()
    }

    fn fork(&self, plan: Arc<Plan>) -> Result<Self> {
        self.forks.set(self.forks.get().checked_sub(1).ok_or_else(Breaks::lost)?);
        Ok(Breaks { runner: self.runner.fork(plan)?, runs: usize::MAX, forks: 0.into() })
    }
}

/// An error at a look is one between steps: all of them are saved. One within a step leaves the checkpoint before.
#[test]
fn an_error_loses_nothing() {
    let whole = whole();
    for (runs, forks, kept) in [(usize::MAX, 1, 20), (usize::MAX, 0, 10), (33, 9, 30), (3, 9, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let run = Folder::create(folder.path()).unwrap();
        let make = |plan| Ok(Breaks { runner: cpu::Runner::new(plan), runs, forks: forks.into() });
        let error = train(&run, &initial(&watched()), &NEVER, make).unwrap_err();
        assert!(matches!(error, Error::Device { .. }), "{error}");
        drop(run);
        assert_eq!(saved(folder.path()).step, kept);
        assert!(steps(folder.path()).len() as u64 >= kept, "the record knows the steps that are saved");
        assert_eq!(go_on(folder.path()), Ending::Finished);
        assert!(saved(folder.path()) == whole, "broken off at {kept}");
        assert_eq!(steps(folder.path()), (1..=40).collect::<Vec<_>>());
    }
}

/// One of rank 0 within a step leaves the other ranks waiting for its values: they find it gone, and are told nothing
/// that they would take for values.
#[test]
fn an_error_within_a_step_is_one_for_all_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let start = initial(&Config { shares: 2, ..watched() });
    let mut ranks = crew(2).into_iter();
    let [first, second] = [ranks.next().unwrap(), ranks.next().unwrap()];
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let data = parts().train;
            let mut trainer = Trainer::of_crew(&start, &data, Residence::Device, Box::new(second), on_cpu).unwrap();
            trainer.follow().unwrap_err()
        });
        let run = Folder::create(folder.path()).unwrap();
        let parts = parts();
        // Four runs a step: the loss of the second breaks, behind the embeddings of both.
        let make = |plan| Ok(Breaks { runner: cpu::Runner::new(plan), runs: 5, forks: 9.into() });
        let save = SaveEvery::Steps(1);
        let mut session = Session::new(&run, &start, &parts, Residence::Device, save, Box::new(first), make).unwrap();
        let error = session.run("a test", &NEVER, |_| ()).unwrap_err();
        assert!(matches!(error, Error::Device { .. }), "{error}");
        drop(session);
        assert_eq!(other.join().expect("no panic").to_string(), "rank 0: it has ended");
    });
    assert_eq!(saved(folder.path()).step, 1);
}

#[test]
fn a_run_says_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let run = Folder::create(folder.path()).unwrap();
    let stop = AtomicBool::new(false);
    assert_eq!(train(&run, &initial(&watched()), &stop, on_cpu).unwrap(), Ending::Interrupted);
    let busy = Folder::open(folder.path()).unwrap_err();
    assert!(matches!(busy, Error::Busy { .. }), "{busy}");
    drop(run);
    assert!((7..15).contains(&saved(folder.path()).step));
    let taken = Folder::create(folder.path()).unwrap_err();
    assert!(taken.to_string().contains("--resume"), "{taken}");
    assert_eq!(go_on(folder.path()), Ending::Finished);
    assert!(saved(folder.path()) == whole(), "a stop changes the run");

    // A network that makes one embedding of everything has collapsed, which shows after a hundred steps.
    for (is_fatal, expected) in [(true, 200), (false, 230)] {
        let folder = tempfile::tempdir().unwrap();
        let run = Folder::create(folder.path()).unwrap();
        let config = Config { steps: 230, validation: None, learning_rate: 1e-30, ..watched() };
        let mut start = initial(&config);
        start.parameters.fill(0.0);
        let parts = parts();
        let mut session =
            Session::new(&run, &start, &parts, Residence::Device, SaveEvery::Steps(1000), Box::new(Alone), on_cpu)
                .unwrap();
        if is_fatal {
            session.end_on(COLLAPSED);
        }
        let ending = session.run("a test", &NEVER, |_| ()).unwrap();
        match ending {
            Ending::Ailing { ailment } if is_fatal => assert_eq!(ailment.name, COLLAPSED),
            other => assert!(!is_fatal && other == Ending::Finished, "{other:?}"),
        }
        assert!(saved(folder.path()).step <= expected && saved(folder.path()).step >= 100);
        assert_eq!(saved(folder.path()).step == 230, !is_fatal);
    }

    // Weights that do not move are never better than at the first look.
    let folder = tempfile::tempdir().unwrap();
    let run = Folder::create(folder.path()).unwrap();
    let validation = Some(Validation { images: 30, bound: Some(0), identities: false, every: 5, patience: Some(2) });
    let still = Config { learning_rate: 1e-30, validation, ..watched() };
    let ending = train(&run, &initial(&still), &NEVER, on_cpu).unwrap();
    drop(run);
    assert_eq!(ending, Ending::OutOfPatience { best: 5 });
    assert_eq!(saved(folder.path()).step, 15);
    assert_eq!(go_on(folder.path()), ending, "it stays ended");
    assert_eq!(saved(folder.path()).step, 15);

    let nothing = Folder::open(&folder.path().join("nothing")).unwrap_err();
    assert!(matches!(nothing, Error::Run { .. }), "{nothing}");
}

/// The checkpoint is the one before the numbers left the finite ones, on either runner, and goes on at a lower rate.
#[test]
fn a_run_that_diverges_keeps_its_finite_weights() {
    let device = crate::common::device();
    let Update::Adam { beta1, beta2, epsilon, .. } = Update::ADAM;
    let decays = Update::Adam { beta1, beta2, epsilon, weight_decay: 0.9 };
    let constant = Config { schedule: Schedule::Constant, validation: None, ..watched() };
    let huge = Config { learning_rate: 1e30, ..constant.clone() };
    // All weights alike have no gradient, and decay beyond what a number holds, in the last step of all.
    let last = Config { learning_rate: 3e38, update: decays, steps: 1, ..constant };
    let mut alike = initial(&last);
    alike.parameters.iter_mut().filter(|weight| **weight != 0.0).for_each(|weight| *weight = 2.0);
    let first = |step, kernel, slot: &str| Some(NonFinite { step, kernel, slot: slot.to_owned() });
    for (start, step, first) in
        [(initial(&huge), 2, first(2, "dense", "dense2")), (alike, 1, first(1, "adam_groups", "dense1.weight"))]
    {
        for on_device in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let run = Folder::create(folder.path()).unwrap();
            let ending = if on_device {
                train(&run, &start, &NEVER, |plan| gpu::Runner::new(device.clone(), plan))
            } else {
                train(&run, &start, &NEVER, on_cpu)
            };
            assert_eq!(ending.unwrap(), Ending::Diverged { step, first: first.clone(), saved: Some(0) });
            drop(run);
            assert!(saved(folder.path()) == start, "the weights that it started from");

            let unfinished = Folder::open(folder.path()).unwrap();
            let mut start = unfinished.start;
            (start.config.learning_rate, start.config.steps) = (1e-3, 10);
            assert_eq!(train(&unfinished.folder, &start, &NEVER, on_cpu).unwrap(), Ending::Finished);
            drop(unfinished.folder);
            assert_eq!(saved(folder.path()).step, 10);
            assert_eq!(steps(folder.path()), (1..=10).collect::<Vec<_>>());
        }
    }
}
