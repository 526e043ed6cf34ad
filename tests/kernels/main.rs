//! One named trial for each kernel × shader × awkward case, and for each distinct call of the plans of presets, recipes
//! and words, from the registry and the plans: nothing here names a kernel.

#[path = "../common/mod.rs"]
mod common;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use libtest_mimic::{Arguments, Failed, Trial};
use siamese::check::{Case, HEAVY, Report, inputs, plan_calls, rows};
use siamese::config::{Config, PRESETS, Storage};
use siamese::gpu::Device;
use siamese::host::Array;
use siamese::kernel::{At, ShaderAt};
use siamese::kernels;

fn verdict(report: siamese::Result<Report>) -> Result<(), Failed> {
    let report = report.map_err(|error| error.to_string())?;
    if report.passed() { Ok(()) } else { Err(report.to_string().into()) }
}

/// What proves one way to compute a case.
type Proof = Box<dyn FnOnce(&Case) -> siamese::Result<Report> + Send>;

/// The shaders that the device can run at this shape.
fn shaders(device: &Device, at: &At) -> Vec<ShaderAt> {
    let mut shaders = at.shaders();
    shaders.retain(|shader| device.features().offer(shader));
    shaders
}

/// A trial for each shader given, on the devices in turn, for each routine of the processor, and for the reference in
/// f32. They share the inputs and what is expected, which the first of them makes.
fn trials(devices: &mut impl Iterator<Item = Arc<Device>>, at: &At, label: &str, shaders: Vec<ShaderAt>) -> Vec<Trial> {
    let own = at.clone();
    let case: Arc<LazyLock<Case, _>> = Arc::new(LazyLock::new(move || Case::new(&own, 1)));
    let trial = |way: &str, run: Proof| {
        let case = case.clone();
        Trial::test(format!("{label}::{way}"), move || verdict(run(&case)))
    };
    let mut trials = vec![trial("cpu", Box::new(|case| Ok(case.reference())))];
    for routine in at.routines().into_iter().filter(|routine| routine.fits) {
        trials.push(trial(routine.name, Box::new(move |case| Ok(case.routine(routine)))));
    }
    for (shader, device) in shaders.into_iter().zip(devices) {
        trials.push(trial(shader.name, Box::new(move |case| case.shader(&device, &shader))));
    }
    trials
}

/// A case of gradients so small that 16 bits hold nothing of them.
fn small_gradients(at: &At) -> Case {
    let mut arrays = inputs(at, 1);
    for (arg, array) in at.args().iter().zip(&mut arrays) {
        if let (true, Array::Float(values)) = (arg.name == "dz", array) {
            values.iter_mut().for_each(|value| *value *= (2.0f32).powi(-25));
        }
    }
    Case::of(at, arrays, rows(at, 1))
}

/// A trial of small gradients for each shader that rounds them to 16 bits.
fn trials_of_small_gradients(device: &Arc<Device>) -> Vec<Trial> {
    let has_gradients = |at: &At| at.args().iter().any(|arg| arg.name == "dz");
    let cases = kernels::all().into_iter().flat_map(|entry| entry.cases).filter(has_gradients);
    let rounding = cases.flat_map(|at| {
        let shaders = shaders(device, &at).into_iter().filter(|shader| shader.widen > 1.0);
        shaders.map(|shader| (at.clone(), shader)).collect::<Vec<_>>()
    });
    let mut known = HashSet::new();
    let trial = |(at, shader): (At, ShaderAt)| {
        let device = device.clone();
        let label = format!("{}::small_gradients::{}", at.name(), shader.name);
        Trial::test(label, move || verdict(small_gradients(&at).shader(&device, &shader)))
    };
    rounding.filter(|(_, shader)| known.insert(shader.name)).map(trial).collect()
}

/// What is proven in every shader: by its label the awkward cases, and the calls of the default preset in either
/// storage.
fn in_every_shader() -> Vec<(String, At)> {
    let cases = kernels::all().into_iter().flat_map(|entry| entry.cases.into_iter().enumerate());
    let cases = cases.map(|(place, at)| (format!("case{place}"), at));
    let preset = &PRESETS[0];
    let half = Config { storage: Storage::F16, ..preset.config() };
    let calls = [(preset.name, preset.config()), ("half", half)].into_iter().flat_map(|(name, config)| {
        let calls = plan_calls(&config, preset.input, Some(HEAVY)).expect("a preset").into_iter().enumerate();
        calls.map(move |(place, at)| (format!("{name}{place}"), at))
    });
    cases.chain(calls).collect()
}

/// What is proven in one shader: the calls of the other presets, and those of all other plans.
fn in_turns() -> Vec<(String, At)> {
    let presets = PRESETS.iter().map(|preset| {
        let calls = plan_calls(&preset.config(), preset.input, Some(HEAVY)).expect("a preset");
        (preset.name.to_owned(), calls)
    });
    let others = common::other_plans().into_iter().map(|(name, plan)| (name, plan.distinct()));
    let named = |(name, calls): (String, Vec<At>)| {
        calls.into_iter().enumerate().map(move |(place, at)| (format!("{name}{place}"), at))
    };
    presets.chain(others).flat_map(named).collect()
}

/// Says which shaders of the registry no trial runs, as the adapter lacks what they need.
fn say_left_out(device: &Device) {
    let title = device.report().title();
    for entry in kernels::all() {
        let run: HashSet<_> = entry.cases.iter().flat_map(|at| shaders(device, at)).map(|shader| shader.name).collect();
        let left_out: Vec<_> = entry.shaders.into_iter().filter(|name| !run.contains(name)).collect();
        if !left_out.is_empty() {
            eprintln!("{title} does not run {}", left_out.join(", "));
        }
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let device = common::device_with_matrices();
    say_left_out(&device);
    // Software Vulkan compiles in the one thread of a device's queue: of several devices, side by side.
    let threads = arguments.test_threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    let others = if device.features().on_cpu { threads - 1 } else { 0 };
    let others = std::iter::repeat_with(common::device_with_matrices).take(others);
    let devices: Vec<_> = others.chain([device.clone()]).collect();
    let mut in_turn = devices.into_iter().cycle();
    let mut all = Vec::new();
    let mut known = HashSet::new();
    let mut add = |label: String, at: At, shaders: Vec<ShaderAt>| {
        all.extend(trials(&mut in_turn, &at, &format!("{}::{label}", at.name()), shaders));
    };
    for (label, at) in in_every_shader() {
        if known.insert(at.clone()) {
            let shaders = shaders(&device, &at);
            add(label, at, shaders);
        }
    }
    // A pipeline costs far more than the call. So of the other calls each is the turn of one shader: of those that go,
    // the one that had the fewest.
    let mut turns: HashMap<&str, usize> = HashMap::new();
    for (label, at) in in_turns() {
        if known.insert(at.clone()) {
            let shader = shaders(&device, &at).into_iter().min_by_key(|shader| turns.get(shader.name).copied());
            shader.iter().for_each(|shader| *turns.entry(shader.name).or_default() += 1);
            add(label, at, shader.into_iter().collect());
        }
    }
    all.extend(trials_of_small_gradients(&device));
    libtest_mimic::run(&arguments, all).exit();
}
