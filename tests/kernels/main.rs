//! One named trial for each kernel × shader × awkward case, and for each distinct call of the plans of every preset,
//! from the registry and the plans: nothing here names a kernel.

#[path = "../common/mod.rs"]
mod common;

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use libtest_mimic::{Arguments, Failed, Trial};
use siamese::check::{Case, Report};
use siamese::gpu::Device;
use siamese::kernel::At;
use siamese::kernels;

fn verdict(report: siamese::Result<Report>) -> Result<(), Failed> {
    let report = report.map_err(|error| error.to_string())?;
    if report.passed() { Ok(()) } else { Err(report.to_string().into()) }
}

/// What proves one way to compute a case.
type Proof = Box<dyn FnOnce(&Case) -> siamese::Result<Report> + Send>;

/// A trial for each shader that the device can run at this shape, for each routine of the processor, and for the
/// reference in f32. They share the inputs and what is expected, which the first of them makes.
fn trials(device: &Arc<Device>, at: &At, label: &str) -> Vec<Trial> {
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
    for shader in at.shaders().into_iter().filter(|shader| device.features().offer(shader)) {
        let device = device.clone();
        trials.push(trial(shader.name, Box::new(move |case| case.shader(&device, &shader))));
    }
    trials
}

fn main() {
    let arguments = Arguments::from_args();
    let device = common::device();
    let mut all = Vec::new();
    for entry in kernels::all() {
        for (place, at) in entry.cases.iter().enumerate() {
            all.extend(trials(&device, at, &format!("{}::case{place}", entry.name)));
        }
    }
    let mut known = HashSet::new();
    for (preset, plan) in common::preset_plans() {
        for (place, at) in plan.distinct().iter().enumerate().filter(|(_, at)| known.insert((*at).clone())) {
            all.extend(trials(&device, at, &format!("{}::{preset}{place}", at.name())));
        }
    }
    libtest_mimic::run(&arguments, all).exit();
}
