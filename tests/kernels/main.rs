//! One named trial for each kernel × shader × awkward case, and for each distinct call of the plans of every preset,
//! from the registry and the plans: nothing here names a kernel.

#[path = "../common/mod.rs"]
mod common;

use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use siamese::check::{self, Report};
use siamese::gpu::Device;
use siamese::kernel::At;
use siamese::kernels;

fn verdict(report: Report) -> Result<(), Failed> {
    if report.passed() { Ok(()) } else { Err(report.to_string().into()) }
}

/// A trial for each shader that the device can run at this shape, for each routine of the processor, and for the
/// reference in f32.
fn trials(device: &Arc<Device>, at: &At, label: &str) -> Vec<Trial> {
    let cpu = at.clone();
    let mut trials = vec![Trial::test(format!("{label}::cpu"), move || verdict(check::reference(&cpu, 1)))];
    for routine in at.routines().into_iter().filter(|routine| routine.fits) {
        let at = at.clone();
        trials
            .push(Trial::test(format!("{label}::{}", routine.name), move || verdict(check::routine(&at, routine, 1))));
    }
    for shader in at.shaders() {
        if device.features().offer(&shader) {
            let (device, at) = (device.clone(), at.clone());
            trials.push(Trial::test(format!("{label}::{}", shader.name), move || {
                verdict(check::shader(&device, &at, &shader, 1).map_err(|error| error.to_string())?)
            }));
        }
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
    for (preset, plan) in common::preset_plans() {
        for (place, at) in plan.distinct().iter().enumerate() {
            all.extend(trials(&device, at, &format!("{}::{preset}{place}", at.name())));
        }
    }
    libtest_mimic::run(&arguments, all).exit();
}
