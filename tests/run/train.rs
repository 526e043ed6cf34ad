//! The last link of the proof, and what training promises: the whole plan makes the same steps on both runners; the
//! same seed makes the same bits; a resumed run is the uninterrupted one; a step makes nothing; a run that leaves the
//! numbers is stopped; and it learns. On real MNIST throughout.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use siamese::checkpoint::{Checkpoint, Precision};
use siamese::config::{Config, PRESETS, Schedule, Storage};
use siamese::data::pictures::Pictures;
use siamese::data::{Bad, Dataset, Split, packed};
use siamese::embed::{self, Embedder, embed};
use siamese::error::{Error, NonFinite};
use siamese::feed::Residence;
use siamese::gpu::Device;
use siamese::head::Values;
use siamese::host::pack;
use siamese::kernel::{Format, Needs};
use siamese::losses::LOSS;
use siamese::net::Net;
use siamese::output::Output;
use siamese::plan::{Call, Plan, Role, Section};
use siamese::run::Runner;
use siamese::sampler::{Augment, Batch, Mining};
use siamese::siamese::{Source, inference_plan, slots};
use siamese::train::{StepReport, Trainer};
use siamese::{check, cpu, gpu};

use crate::common::{self, apart, random, recipes};

pub static NEVER: AtomicBool = AtomicBool::new(false);

fn mnist() -> &'static Split {
    static MNIST: OnceLock<Split> = OnceLock::new();
    MNIST.get_or_init(common::mnist)
}

/// The first `count` images of MNIST's training set.
pub fn images(count: usize) -> Dataset {
    mnist().train.clone().take(count)
}

/// The preset `cnn`, shrunk in every width.
pub fn small() -> Config {
    Config {
        spec: "conv8 relu pool conv16 relu pool dense32 relu dense16 l2".to_owned(),
        batch: random(24),
        schedule: Schedule::Constant,
        ..PRESETS[0].config()
    }
}

/// The same with normalisation of all kinds, dropout, and averages of weights and running moments.
pub fn normalised() -> Config {
    Config {
        spec: "conv8 bn relu pool conv16 gn4 relu pool dense32 bn relu drop0.3 dense16 l2".to_owned(),
        average: Some(0.9),
        ..small()
    }
}

pub fn fresh(config: &Config) -> Checkpoint {
    let net = Net::parse(&config.spec, [28, 28, 1]).unwrap_or_else(|error| panic!("{error}"));
    Checkpoint::initial(config, &net)
}

fn on_cpu(start: &Checkpoint, data: &Dataset) -> Trainer<cpu::Runner> {
    Trainer::new(start, data, Residence::Device, |plan| Ok(cpu::Runner::new(plan)))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn on_gpu(device: &Arc<Device>, start: &Checkpoint, data: &Dataset) -> Trainer<gpu::Runner> {
    let make = |plan| gpu::Runner::new(device.clone(), plan);
    Trainer::new(start, data, Residence::Device, make).unwrap_or_else(|error| panic!("{error}"))
}

/// Trains to `until` and gives the reports of the steps.
pub fn train<R: Runner>(trainer: &mut Trainer<R>, until: u64) -> Vec<StepReport> {
    let mut reports = Vec::new();
    trainer.run(until, &NEVER, |report| reports.push(report)).unwrap_or_else(|error| panic!("{error}"));
    reports
}

/// Bits, so that not even the sign of a zero may differ.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Parameters, states and moments are equal bit for bit.
pub fn assert_same(what: &str, a: &Checkpoint, b: &Checkpoint) {
    assert_eq!(a.step, b.step, "{what}: steps");
    assert!(bits(&a.parameters) == bits(&b.parameters), "{what}: parameters differ");
    assert!(bits(&a.state) == bits(&b.state), "{what}: states differ");
    assert!(bits(&a.average_state) == bits(&b.average_state), "{what}: averages of states differ");
    let average = |checkpoint: &Checkpoint| checkpoint.average.as_deref().map(bits);
    assert!(average(a) == average(b), "{what}: averages differ");
    let head = |checkpoint: &Checkpoint| {
        let arenas =
            |head: &Values| [&head.trained, &head.state, &head.moments[0], &head.moments[1]].map(|arena| bits(arena));
        checkpoint.head.as_ref().map(arenas)
    };
    assert!(head(a) == head(b), "{what}: heads differ");
    let (a, b) = (a.moments.as_ref().expect("moments"), b.moments.as_ref().expect("moments"));
    for (name, (a, b)) in slots::MOMENTS.iter().zip(a.iter().zip(b)) {
        assert!(bits(a) == bits(b), "{what}: {name} differs");
    }
}

// --------------------------------------------------------------------------------------------------- both runners

/// The first step differs only by the rounding of sums, some 1e-7 of the loss. Then Adam divides each gradient by its
/// size: where gradients nearly cancel, their rounding comes out as large as a step. Such differences double with
/// every few steps as the network amplifies them, so the bound does as well. A wrong gradient is off by a share of the
/// loss's change, 1e-2 and more within ten steps.
///
/// Of warped images only the first step is compared: their places are rounded to 1e-6 of a pixel, and being smooth they
/// bring windows whose two largest values are as close as that. Where such a maximum falls to the other pixel, the
/// gradient takes another way, and no bound on rounding holds any more.
#[test]
fn ten_steps_on_both_runners() {
    let device = crate::common::device();
    let data = images(2000);
    let normalised = ("normalised", normalised());
    for (name, config) in recipes(&small()).into_iter().chain([normalised]) {
        let config = Config { learning_rate: 3e-4, ..config };
        if config.augment != Augment::NONE {
            let start = fresh(&config);
            let first = [train(&mut on_cpu(&start, &data), 1), train(&mut on_gpu(&device, &start, &data), 1)];
            let [expected, got] = first.map(|reports| reports[0].stats.get(LOSS));
            assert!((got - expected).abs() <= 1e-5 * expected, "{name}: warped, the loss is {got} and {expected}");
        }
        let config = Config { augment: Augment::NONE, ..config };
        let start = fresh(&config);
        let (mut cpu, mut gpu) = (on_cpu(&start, &data), on_gpu(&device, &start, &data));
        let (expected, got) = (train(&mut cpu, 10), train(&mut gpu, 10));
        assert_eq!((expected.len(), got.len()), (10, 10), "{name}: reports of ten steps");
        let mut bound = 1e-6;
        for (expected, got) in expected.iter().zip(&got) {
            let step = expected.step;
            assert_eq!((got.step, got.images), (step, expected.images));
            let apart = f64::from((got.stats.get(LOSS) - expected.stats.get(LOSS)).abs() / expected.stats.get(LOSS));
            println!("{name}: step {step}: loss {:.6}, {apart:.1e} apart", expected.stats.get(LOSS));
            assert!(
                apart <= bound,
                "{name}: step {step}: the loss is {} on the GPU, {} on the CPU: {apart:.1e} apart, {bound:.1e} allowed",
                got.stats.get(LOSS),
                expected.stats.get(LOSS)
            );
            bound *= 1.5;
        }

        let (cpu, gpu) = (cpu.checkpoint().unwrap(), gpu.checkpoint().unwrap());
        let distance =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
        for (what, cpu, gpu) in
            [("parameters", &cpu.parameters[..], &gpu.parameters[..]), ("weights", cpu.weights(), gpu.weights())]
        {
            let (moved, apart) = (distance(cpu, &start.parameters), distance(cpu, gpu));
            println!("{name}: the {what} moved by {moved:.3}, and are {apart:.1e} apart");
            assert!(moved > 0.02, "{name}: three steps that change nothing compare nothing");
            assert!(apart <= 1e-3 * moved, "{name}: {what} {apart:e} apart after moving by {moved:e}");
        }
        for (cpu, gpu, start) in
            [(&cpu.state, &gpu.state, &start.state), (&cpu.average_state, &gpu.average_state, &start.average_state)]
        {
            let (moved, apart) = (distance(cpu, start), distance(cpu, gpu));
            assert!(apart <= 1e-5 * moved, "{name}: running moments {apart:e} apart after moving by {moved:e}");
            assert_eq!(moved > 0.1, !cpu.is_empty(), "{name}: running moments that moved by {moved}");
        }
    }
}

/// A network with every join, and dropout.
pub fn branched() -> Config {
    let spec = "conv8s2 relu drop0.1 2*{ add( conv8 relu conv8 | ) relu } cat( conv8k1 relu | pool1 relu ) \
                add0( conv12s2 | ) relu dense16 l2";
    Config { spec: spec.to_owned(), ..small() }
}

/// Every call of the plan, on the very arrays that it finds after a few steps, within its kernel's tolerance.
#[test]
fn every_call_after_some_steps() {
    [small(), branched()].iter().for_each(assert_calls);
}

fn assert_calls(config: &Config) {
    let device = crate::common::device();
    let data = images(2000);
    let mut trainer = on_gpu(&device, &fresh(config), &data);
    train(&mut trainer, 5);
    // A copy of the run: it shares parameters and inputs; the moments are handed over.
    let state = trainer.checkpoint().unwrap();
    let mut runner = trainer.runner().fork(Arc::new(trainer.runner().plan().clone())).unwrap();
    state.restore(&mut runner).unwrap();
    let reports = check::calls(&mut runner).unwrap();
    let wrong: Vec<_> = reports.iter().filter(|report| !report.passed()).map(|report| report.to_string()).collect();
    assert!(wrong.is_empty(), "after five steps: {wrong:?}");
    assert_eq!(reports.len(), runner.plan().calls().len(), "every call was compared");
    let worst = reports.iter().max_by(|a, b| a.share.total_cmp(&b.share)).unwrap();
    println!("{} calls; closest to its tolerance: {worst}", reports.len());
}

/// Images and activations in 16 bits: less memory, every call within tolerance, and steps that are those in 32 bits but
/// for the rounding.
#[test]
fn training_in_sixteen_bits() {
    let device = crate::common::device();
    for exact in [small(), branched()] {
        assert_sixteen_bits(&device, &exact, Storage::F16);
    }
}

/// [`training_in_sixteen_bits`] with products by cooperative matrices.
#[test]
fn training_by_matrices() {
    let device = crate::common::device_with_matrices();
    if device.features().matrices.is_empty() {
        eprintln!("{} has no cooperative matrices: nothing is trained by them", device.report().title());
        return;
    }
    for exact in [small(), branched()] {
        let trainer = assert_sixteen_bits(&device, &exact, Storage::F16Matrix);
        let by_matrices = |call: &Call| matches!(device.variant(&call.at).needs, Needs::Matrices(_));
        assert!(trainer.runner().plan().calls().iter().filter(|call| by_matrices(call)).count() > 4);
    }
}

fn assert_sixteen_bits(device: &Arc<Device>, exact: &Config, storage: Storage) -> Trainer<gpu::Runner> {
    assert!(device.features().half, "{} has no 16-bit floats", device.report().title());
    let data = images(2000);
    let config = Config { storage, ..exact.clone() };
    let mut trainer = on_gpu(device, &fresh(&config), &data);
    let mut exact = on_gpu(&crate::common::device(), &fresh(exact), &data);
    let bytes = |trainer: &Trainer<gpu::Runner>| trainer.runner().plan().bytes_of(Role::Activation);
    assert!(bytes(&trainer) < bytes(&exact), "{} and {} bytes", bytes(&trainer), bytes(&exact));
    for (half, full) in train(&mut trainer, 5).iter().zip(train(&mut exact, 5)) {
        let apart = (half.stats.get(LOSS) - full.stats.get(LOSS)).abs() / full.stats.get(LOSS);
        assert!(apart > 0.0 && apart < 2e-2, "step {}: the losses are {apart} apart", full.step);
    }
    let state = trainer.checkpoint().unwrap();
    let mut runner = trainer.runner().fork(Arc::new(trainer.runner().plan().clone())).unwrap();
    state.restore(&mut runner).unwrap();
    let reports = check::calls(&mut runner).unwrap();
    let wrong: Vec<_> = reports.iter().filter(|report| !report.passed()).map(|report| report.to_string()).collect();
    assert!(wrong.is_empty(), "after five steps: {wrong:?}");
    assert!(reports.iter().any(|report| report.at.format() == Format::F16));
    trainer
}

// -------------------------------------------------------------------------------------------------------- same bits

#[test]
fn same_seed_same_bits() {
    let device = crate::common::device();
    let data = images(2000);
    let run = |seed: u64, device: &Arc<Device>| {
        let mut trainer = on_gpu(device, &fresh(&Config { seed, ..small() }), &data);
        let reports = train(&mut trainer, 10);
        (trainer.checkpoint().unwrap(), reports)
    };
    let (first, reports) = run(3, &device);
    for (what, device) in [("second run", device.clone()), ("run on a device opened anew", crate::common::device())] {
        let (again, reports_again) = run(3, &device);
        assert_same(what, &first, &again);
        assert_eq!(reports, reports_again, "{what}: statistics");
    }
    let (other, _) = run(4, &device);
    assert!(other.parameters != first.parameters, "another seed makes the same parameters");
}

/// What is made again on the way back is what was let go, in less memory.
#[test]
fn made_again_makes_the_same_bits() {
    let device = crate::common::device();
    let data = images(500);
    let spec = "conv16 bn relu pool conv16 relu 3*{ add( conv16 bn relu drop0.1 conv16 bn | ) relu } \
                cat( conv8k1 gn4 relu | pool1 relu ) add( conv24 sigmoid | add( | conv24 relu pool1 ) ) \
                add0( conv12s2 | ) relu dense16 l2";
    let kept = Config { spec: spec.to_owned(), batch: random(6), ..small() };
    let again = Config { again: true, ..kept.clone() };
    let [kept, again] = [&kept, &again].map(|config| {
        let start = fresh(config);
        let (mut cpu, mut gpu) = (on_cpu(&start, &data), on_gpu(&device, &start, &data));
        let reports = [train(&mut cpu, 3), train(&mut gpu, 3)];
        let bytes = cpu.runner().plan().bytes_of(Role::Activation);
        (reports, [cpu.checkpoint().unwrap(), gpu.checkpoint().unwrap()], bytes)
    });
    assert_eq!(kept.0, again.0, "what the steps report");
    for (what, kept, again) in [("cpu", &kept.1[0], &again.1[0]), ("gpu", &kept.1[1], &again.1[1])] {
        assert_same(what, kept, again);
    }
    println!("{} bytes of activations, {} where they are made again", kept.2, again.2);
    assert!(10 * again.2 < 9 * kept.2, "{} bytes of activations, kept {}", again.2, kept.2);
}

/// Runs `job` on so many threads.
fn on_threads<T: Send>(threads: usize, job: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(job)
}

/// Networks, and batches of odd sizes, of which no number of threads takes equal shares.
fn odd() -> Vec<(String, Config)> {
    let [cnn, notebook] = [0, 1].map(|place| PRESETS[place].config());
    let net = |spec: &str, batch| Config { spec: spec.to_owned(), batch, ..cnn.clone() };
    let mined = Batch::Mined { labels: 7, images: 5, mining: Mining::SemiHard };
    [
        net("conv16 relu pool conv32k5 relu pool dense33 relu dense16 l2", random(11)),
        net("dense17 relu dense5 l2", random(37)),
        net("dense17 relu dense5 l2", mined),
        net("conv6 bn relu drop0.2 pool conv9 gn3 relu dense17 bn relu dense5 l2", random(11)),
        Config { batch: mined, ..small() },
        Config { batch: random(5), ..branched() },
        // Convolutions of few pixels and many weights.
        net("conv16s2 relu conv128s2 relu conv128s2 relu conv132 relu dense16 l2", random(11)),
        Config { batch: random(5), ..notebook },
    ]
    .map(|config| (format!("{}, {}", config.spec, config.batch), config))
    .into()
}

#[test]
fn threads_do_not_change_the_bits() {
    let data = images(500);
    for (name, config) in odd() {
        let start = fresh(&config);
        let on = |threads| {
            on_threads(threads, || {
                let mut trainer = on_cpu(&start, &data);
                (train(&mut trainer, 3), trainer.checkpoint().unwrap())
            })
        };
        let (reports, one) = on(1);
        assert!(one.parameters != start.parameters, "{name}: three steps that change nothing compare nothing");
        for threads in [2, 3, 7, 16] {
            let (again, many) = on(threads);
            assert_same(&format!("{name}: {threads} threads"), &one, &many);
            assert_eq!(again, reports, "{name}: {threads} threads: statistics");
        }
    }
}

#[test]
fn a_run_resumed_on_other_threads_is_the_uninterrupted_one() {
    let data = images(500);
    for (name, config) in odd() {
        let go_on = |threads, start: &Checkpoint, until| {
            on_threads(threads, || {
                let mut trainer = on_cpu(start, &data);
                train(&mut trainer, until);
                trainer.checkpoint().unwrap()
            })
        };
        let start = fresh(&config);
        let parts = [(16, 1), (1, 2), (7, 3)]
            .into_iter()
            .fold(start.clone(), |from, (threads, until)| go_on(threads, &from, until));
        assert_same(&name, &go_on(3, &start, 3), &parts);
    }
}

/// Weights and batches both follow from the seed; each of them alone must change the run.
#[test]
fn a_seed_decides_the_batches_too() {
    let data = images(500);
    let start = fresh(&small());
    let other = Checkpoint { config: Config { seed: 9, ..small() }, ..start.clone() };
    let losses = [start, other].map(|start| train(&mut on_cpu(&start, &data), 1)[0].stats.get(LOSS));
    assert!(losses[0] != losses[1], "the same weights see the same batch under another seed");
}

fn assert_resumes<R: Runner>(what: &str, make: impl Fn(&Checkpoint, &Dataset) -> Trainer<R>) {
    let base = |config| Config { schedule: Schedule::Cosine, steps: 14, ..config };
    for (name, config) in recipes(&base(small())).into_iter().chain([("normalised", base(normalised()))]) {
        assert_resumes_as(&format!("{what}, {name}"), &config, &make);
    }
}

fn assert_resumes_as<R: Runner>(what: &str, config: &Config, make: impl Fn(&Checkpoint, &Dataset) -> Trainer<R>) {
    let data = images(1000);
    let start = fresh(config);
    let mut whole = make(&start, &data);
    let reports = train(&mut whole, 12);
    let whole = whole.checkpoint().unwrap();

    let mut first = make(&start, &data);
    let mut halves = train(&mut first, 6);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    first.checkpoint().unwrap().save(&path, Precision::F32).unwrap();
    drop(first);
    let loaded = Checkpoint::load(&path).unwrap();
    assert_eq!(loaded.step, 6, "{what}: step of the checkpoint");
    let mut second = make(&loaded, &data);
    assert_eq!(second.steps(), 6, "{what}: steps done before the resumed run");
    halves.extend(train(&mut second, 12));

    assert_same(&format!("{what}: stopped at 6 and resumed"), &whole, &second.checkpoint().unwrap());
    assert_eq!(halves, reports, "{what}: reports of the two halves");
    assert!(loaded.parameters != whole.parameters, "{what}: steps 7 to 12 changed nothing");
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_on_the_gpu() {
    let device = crate::common::device();
    assert_resumes("gpu", |start, data| on_gpu(&device, start, data));
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_on_the_cpu() {
    assert_resumes("cpu", on_cpu);
}

/// Averaged weights embed with the averages of the running moments, in the run and out of its file.
#[test]
fn an_average_embeds_by_its_own_running_moments() {
    let data = images(300);
    let mut trainer = on_cpu(&fresh(&normalised()), &data);
    train(&mut trainer, 6);
    let saved = trainer.checkpoint().unwrap();
    let of = |model: &Checkpoint| {
        let embedder = Embedder::new(model, 500, |plan| Ok(cpu::Runner::<f32>::new(plan)));
        embedder.unwrap().embed(&data.images, |_| ()).unwrap()
    };
    let in_run = embed(trainer.runner(), trainer.net(), &data, trainer.config().scale(), |_| ()).unwrap();
    assert_eq!(apart(&in_run, &of(&saved)), 0.0, "the run and its file");
    let others = Checkpoint { average_state: saved.state.clone(), ..saved.clone() };
    assert!(apart(&in_run, &of(&others)) > 1e-3, "the last running moments are not their averages");
}

/// The stop flag ends a run behind a whole step, and every step begun is reported.
#[test]
fn a_stopped_run_has_reported_what_it_did() {
    let device = crate::common::device();
    let data = images(500);
    let start = fresh(&Config { batch: random(4), ..small() });
    let mut trainer = on_gpu(&device, &start, &data);
    let stop = AtomicBool::new(false);
    let mut steps = Vec::new();
    let report = |report: StepReport| {
        steps.push(report.step);
        stop.store(report.step >= 5, Ordering::Relaxed);
    };
    trainer.run(1000, &stop, report).unwrap();
    let done = trainer.steps();
    assert!((5..20).contains(&done), "a run told to stop at step 5 went on to {done}");
    assert_eq!(steps, (1..=done).collect::<Vec<_>>(), "steps reported");
    let stopped = trainer.checkpoint().unwrap();
    let mut same = on_gpu(&device, &start, &data);
    train(&mut same, done);
    assert_same("stopped", &stopped, &same.checkpoint().unwrap());
}

// ----------------------------------------------------------------------------------------------------- what a step is

/// No pipeline, buffer or bind group is made in a step, and the host spends little on one. Step by step, so that the
/// host's time is not that of a device which runs on the same cores.
#[test]
fn a_step_makes_nothing() {
    let device = crate::common::device();
    let data = images(500);
    let mut trainer = on_gpu(&device, &fresh(&Config { batch: random(4), ..small() }), &data);
    train(&mut trainer, 3);
    let made = device.made();
    let mut times: Vec<Duration> = Vec::new();
    for step in 4..=50 {
        let before = trainer.host_time();
        train(&mut trainer, step);
        times.push(trainer.host_time() - before);
    }
    assert_eq!(device.made(), made, "made between step 3 and step 50");
    times.sort();
    let median = times[times.len() / 2];
    println!("host time of a step: median {median:?}, largest {:?}", times[times.len() - 1]);
    // A bound for sanity that other load on the machine does not break; a bench measures the real number.
    assert!(median < Duration::from_millis(3), "the host spends {median:?} on a step");

    // With steps in flight as well.
    train(&mut trainer, 60);
    assert_eq!(device.made(), made, "made between step 50 and step 60");
}

/// The processor runs several calls on a few images before the next images; a device does not, but submits them
/// together. The bits are those of one call after the other.
#[test]
fn call_by_call_makes_the_same_bits() {
    fn assert_same<R: Runner>(what: &str, mut trainer: Trainer<R>) {
        train(&mut trainer, 3);
        let runner = trainer.runner_mut();
        let gradients = runner.plan().id("gradients");
        let calls = runner.plan().section(Section::Backward).end;
        runner.run(0..calls).unwrap();
        let whole = runner.read(gradients).unwrap();
        (0..calls).for_each(|call| runner.run(call..call + 1).unwrap());
        assert!(whole.floats().iter().any(|&value| value != 0.0), "{what}");
        assert_eq!(bits(whole.floats()), bits(runner.read(gradients).unwrap().floats()), "{what}");
    }
    let device = crate::common::device();
    let data = images(500);
    let more = [("branched", branched()), ("normalised", normalised())];
    for (name, config) in recipes(&small()).into_iter().chain(more) {
        let start = fresh(&config);
        assert_same(&format!("{name} on the CPU"), on_cpu(&start, &data));
        assert_same(&format!("{name} on the device"), on_gpu(&device, &start, &data));
    }
}

/// A runner allocates the bytes that its plan states, and four copies of the statistics.
#[test]
fn a_runner_takes_the_planned_bytes() {
    let device = crate::common::device();
    // Slots of every role: the recipes have all but what normalisations keep.
    let normalised = crate::common::preset_plans().into_iter().filter(|(name, _)| name.starts_with("pictures"));
    for (name, plan) in crate::common::recipe_plans().into_iter().chain(normalised) {
        let before = device.made().bytes;
        let planned = plan.bytes() + 4 * plan.bytes_of(Role::Statistic);
        gpu::Runner::new(device.clone(), Arc::new(plan)).unwrap();
        assert_eq!(device.made().bytes - before, planned, "{name}");
    }
}

/// Steps that throw the weights out of range end the run at once, with the step; done again call by call they show
/// which array was the first to hold what is no number, though the run knew it only when that array was overwritten.
#[test]
fn a_run_that_diverges_is_stopped() {
    let device = crate::common::device();
    let data = images(500);
    let [cnn, notebook] = [0, 1].map(|place| PRESETS[place].config());
    let mined = Batch::Mined { labels: 4, images: 2, mining: Mining::SemiHard };
    let dense = "dense16".to_owned();
    for (spec, preset, batch, learning_rate, kernel, slot) in [
        // No slope that makes zeros of what is no number, as some devices do.
        ("conv8 pool conv16 pool dense16 l2".to_owned(), &cnn, random(8), 1e30, "conv2d_pool", "pool2"),
        // Embeddings of infinities: the hinge of NaN hides them, the distances do not.
        ("conv8 relu pool dense16".to_owned(), &cnn, random(8), 1e30, "dense", "dense1"),
        // A sigmoid makes zeros and ones of infinities, but not of their differences.
        ("dense64 relu dense64 sigmoid".to_owned(), &notebook, random(8), 1e38, "dense", "dense1"),
        // Embeddings whose squares are beyond what a number holds.
        (dense.clone(), &cnn, random(8), 1e19, "triplet", "terms"),
        (dense, &cnn, mined, 1e19, "distances", "distance"),
    ] {
        let config = Config { spec, learning_rate, batch, ..preset.clone() };
        let start = fresh(&config);
        fn end<R: Runner>(mut trainer: Trainer<R>, start: &Checkpoint) -> (Error, Option<NonFinite>, Vec<u64>) {
            let mut reported = Vec::new();
            let error = trainer.run(20, &NEVER, |report| reported.push(report.step)).expect_err("it diverges");
            assert!(!trainer.is_whole());
            (error, trainer.trace(start, 2, &NEVER).unwrap(), reported)
        }
        let ends = [("cpu", end(on_cpu(&start, &data), &start)), ("gpu", end(on_gpu(&device, &start, &data), &start))];
        for (runner, (error, first, reported)) in ends {
            let what = format!("{} on {runner}", config.spec);
            // The first step's update is the first that can do harm.
            assert!(matches!(error, Error::Diverged { step: 2, first: None }), "{what}: {error}");
            assert_eq!(first, Some(NonFinite { step: 2, kernel, slot: slot.to_owned() }), "{what}");
            assert_eq!(reported, [1], "{what}: steps reported before");
        }
    }
}

/// Steps that are as they should be have no such array.
#[test]
fn nothing_is_found_in_a_finite_step() {
    let data = images(500);
    for (name, config) in recipes(&small()) {
        let start = fresh(&config);
        assert_eq!(on_cpu(&start, &data).trace(&start, 3, &NEVER).unwrap(), None, "{name}");
    }
}

// ------------------------------------------------------------------------------------------------ images go up once

fn assert_images_go_up_once<R: Runner>(
    what: &str,
    tolerance: f64,
    make: impl Fn(Arc<Plan>) -> R,
    trainer: impl Fn(&Checkpoint, &Dataset) -> Trainer<R>,
) {
    // More than one batch of an embedding, the second of which is filled up.
    let data = images(embed::BATCH + 100);
    let config = Config { batch: random(16), ..small() };
    let mut trainer = trainer(&fresh(&config), &data);
    train(&mut trainer, 3);
    let net = trainer.net().clone();
    let state = trainer.checkpoint().unwrap();
    let embedded = |runner: &R, data: &Dataset| embed(runner, &net, data, config.scale(), |_| {}).unwrap();
    let ours = embedded(trainer.runner(), &data);
    assert_eq!(ours.len(), data.len() * net.dims(), "{what}: embeddings of all images");

    // A runner that has seen neither the training nor these images.
    let other_source = Source { slot: "other.images".to_owned(), images: 1, scale: config.scale(), classes: 1 };
    let mut other = make(Arc::new(inference_plan(&net, &other_source, 1, slots::PARAMETERS)));
    state.restore(&mut other).unwrap();
    assert!(bits(&embedded(&other, &data)) == bits(&ours), "{what}: a restored model embeds otherwise");

    // A part of the set is embedded as it is in the whole, though it has the whole's name.
    let part = embedded(trainer.runner(), &data.clone().take(200));
    let apart = apart(&part, &ours[..200 * net.dims()]);
    assert!(apart <= tolerance, "{what}: the embeddings of a part are {apart:e} from those of the whole");

    // Other images written where a fork sees the trainer's: an embedding takes those, so it sends none itself.
    let mut swapped = data.clone();
    swapped.images = mnist().test.clone().take(data.len()).images;
    let source = Source::new(&data, config.scale());
    let mut fork = trainer.runner().fork(Arc::new(inference_plan(&net, &source, 1, slots::PARAMETERS))).unwrap();
    let slot = fork.plan().id(&source.slot);
    fork.write(slot, pack(&swapped.images.all().unwrap()).as_slice()).unwrap();
    let expected = embedded(&other, &swapped);
    assert!(bits(&embedded(trainer.runner(), &data)) == bits(&expected), "{what}: images were sent again");
    assert!(expected != ours, "{what}: other images have the same embeddings");
}

#[test]
fn images_go_up_once_on_the_cpu() {
    assert_images_go_up_once("cpu", 0.0, cpu::Runner::new, on_cpu);
}

/// A batch of another size may get another shader, which sums in another order.
#[test]
fn images_go_up_once_on_the_gpu() {
    let device = crate::common::device();
    let make = |plan| gpu::Runner::new(device.clone(), plan).unwrap();
    assert_images_go_up_once("gpu", 1e-5, make, |start, data| on_gpu(&device, start, data));
}

// ------------------------------------------------------------------------------------------------------------ streams

/// Images that are read for their batch alone make the bits of images that lie on the device: with normalisation,
/// dropout, warps and a memory of batches, whoever reads them, across a stop in the middle, and when it embeds.
fn assert_streams<R: Runner>(make: impl Fn(Arc<Plan>) -> siamese::Result<R> + Copy) {
    let (data, folder) = (images(600), tempfile::tempdir().unwrap());
    let file = folder.path().join("part.set");
    let split = Split::new("part", data.clone(), mnist().test.clone().take(40)).unwrap();
    let output = Output::prepare(&file, packed::KIND).unwrap();
    let split = packed::write(split, Pictures::default(), Bad::Refused, output, || ()).unwrap();
    let packed = packed::load(&file, Pictures::default()).unwrap();
    assert_eq!(packed.train, split.train);

    let loss = "multi-similarity".parse().unwrap();
    let batch = Batch::Mined { labels: 6, images: 4, mining: Mining::SemiHard };
    let config = Config { augment: Augment::ELASTIC, loss, batch, memory: 48, ..normalised() };
    let start = fresh(&config);
    let resident = |start: &Checkpoint, until| {
        let mut trainer = Trainer::new(start, &data, Residence::Device, make).unwrap();
        let stats: Vec<_> = train(&mut trainer, until).into_iter().map(|report| report.stats).collect();
        let embedded = embed(trainer.runner(), trainer.net(), &data, config.scale(), |_| ()).unwrap();
        (stats, trainer.checkpoint().unwrap(), embedded)
    };
    let (stats, end, embedded) = resident(&start, 12);
    for (set, workers) in [(&data, 1), (&packed.train, 1), (&packed.train, 3)] {
        let streamed = |start| Trainer::new(start, set, Residence::Host { workers }, make).unwrap();
        let mut trainer = streamed(&start);
        let mut reports = train(&mut trainer, 5);
        let half = trainer.checkpoint().unwrap();
        let mut trainer = streamed(&half);
        reports.extend(train(&mut trainer, 12));
        assert!(reports.iter().all(|report| report.waited.is_some()));
        assert_eq!(reports.into_iter().map(|report| report.stats).collect::<Vec<_>>(), stats, "{workers} threads");
        assert_same("streamed", &trainer.checkpoint().unwrap(), &end);
        let own = embed(trainer.runner(), trainer.net(), set, config.scale(), |_| ()).unwrap();
        assert!(bits(&own) == bits(&embedded), "the embeddings of streamed images");
    }
}

#[test]
fn a_streamed_run_is_the_resident_one_on_the_cpu() {
    assert_streams(|plan| Ok(cpu::Runner::<f32>::new(plan)));
}

#[test]
fn a_streamed_run_is_the_resident_one_on_the_gpu() {
    let device = &crate::common::device();
    assert_streams(|plan| gpu::Runner::new(device.clone(), plan));
}

// ---------------------------------------------------------------------------------------------------------- it learns

/// A tenth of MNIST, some seconds: far from what the preset reaches, and far from what anything broken would. On the
/// CPU runner, which here is the faster one wherever the GPU is software.
#[test]
fn it_learns() {
    let split = Split::new("part", images(6000), mnist().test.clone().take(500)).unwrap();
    let parts = split.divide(None, None, 0).unwrap();
    let config = Config { batch: random(48), learning_rate: 2e-3, ..small() };
    let mut trainer = on_cpu(&fresh(&config), &parts.train);
    let reports = train(&mut trainer, 150);
    let mean = |reports: &[StepReport]| {
        reports.iter().map(|report| f64::from(report.stats.get(LOSS))).sum::<f64>() / reports.len() as f64
    };
    let (first, last) = (mean(&reports[..3]), mean(&reports[130..]));
    let found = embed::evaluate(trainer.runner(), trainer.net(), &config, &parts, |_| {}).unwrap().evaluation;
    let knn5 = found.knn5.unwrap();
    println!("loss from {first:.4} to {last:.4}; 5-NN {knn5:.3}, AUC {:.3}", found.auc.unwrap());
    assert!(last < first / 3.0, "the loss went from {first} to {last}");
    assert!(knn5 >= 0.9, "5-NN is right about a share of {knn5} of 500 test images");
}

// ---------------------------------------------------------------------------------------------------------- diagnosis

/// A rate that throws all embeddings to one side is seen and named.
#[test]
fn a_collapse_is_seen() {
    use siamese::train::Health;
    let data = images(2000);
    let config = Config {
        batch: Batch::Mined { labels: 5, images: 4, mining: Mining::BatchHard },
        learning_rate: 0.05,
        ..small()
    };
    let mut trainer = on_cpu(&fresh(&config), &data);
    let mut health = Health::new(&config, trainer.net());
    let found: Vec<_> = train(&mut trainer, 300).iter().filter_map(|report| health.look(report)).collect();
    assert!(found.iter().any(|ailment| ailment.name == "collapsed"), "found {found:?}");
}

// ---------------------------------------------------------------------------------------------------------- evaluation

/// More references than one tile of distances holds for all queries: the nearest are still those of a plain search,
/// of equally near ones the first.
#[test]
fn neighbours_among_a_hundred_thousand() {
    const DIMS: usize = 4;
    let place = |seed: u32, row: usize| {
        let hash = (row as u32 ^ seed).wrapping_mul(2_654_435_761);
        [hash >> 28, hash >> 24 & 15, hash >> 20 & 15, hash >> 16 & 15].map(|value| value as f32)
    };
    let references: Vec<[f32; DIMS]> = (0..100_003).map(|row| place(1, row)).collect();
    let queries: Vec<[f32; DIMS]> = (0..300).map(|row| place(77, row)).collect();
    let make = |plan| gpu::Runner::new(crate::common::device(), plan);
    let found = embed::search(make, references.as_flattened(), queries.as_flattened(), DIMS, 3, |_| ()).unwrap();
    for (query, found) in queries.iter().zip(found.chunks(3)) {
        let distance = |row: usize| references[row].iter().zip(query).map(|(r, q)| (r - q) * (r - q)).sum::<f32>();
        let mut nearest: Vec<usize> = (0..references.len()).collect();
        nearest.select_nth_unstable_by_key(2, |&row| (distance(row) as u32, row));
        nearest.truncate(3);
        nearest.sort_by_key(|&row| (distance(row) as u32, row));
        assert_eq!(found.iter().map(|&row| row as usize).collect::<Vec<_>>(), nearest);
    }
}

/// Distances that 32 bits cannot hold have nearest references all the same; references by the thousand and in more than
/// one tile, whose last is not full.
#[test]
fn neighbours_far_away_and_in_tiles() {
    let find = |references: &[f32], queries: &[f32], dims: usize| {
        let on_device = |plan| gpu::Runner::new(crate::common::device(), plan);
        let on_device = embed::search(on_device, references, queries, dims, 5, |_| ()).unwrap();
        let on_processor = |plan| Ok(cpu::Runner::<f32>::new(plan));
        [on_device, embed::search(on_processor, references, queries, dims, 5, |_| ()).unwrap()]
    };
    for found in find(&[1e20; 300 * 4], &[-1e20; 2 * 4], 4) {
        assert_eq!(found, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    }

    // Of so many values a tile has eight references.
    const DIMS: usize = 1 << 21;
    let rows: Vec<f32> = (0..19).flat_map(|row| std::iter::repeat_n((row * 7 % 19) as f32, DIMS)).collect();
    let query = vec![3.2; DIMS];
    for found in find(&rows, &query, DIMS) {
        let values: Vec<_> = found.iter().map(|&row| row * 7 % 19).collect();
        assert_eq!(values, [3, 4, 2, 5, 1]);
    }
}
