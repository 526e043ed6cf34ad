//! The comparison of shaders with references: random inputs, the tolerance rule, the worst element, the first call
//! of a plan that goes wrong. Tests, benches and the `check` command all come through here.

use std::fmt;
use std::sync::Arc;

use half::f16;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cpu;
use crate::error::Result;
use crate::gpu::{Device, Probe};
use crate::host::{Array, Real};
use crate::kernel::{Access, ArgAt, At, Element, Fill, Number, RoutineAt, ShaderAt, View};
use crate::run::Runner;

/// How a result compares with the reference.
#[derive(Clone, Debug)]
pub struct Report {
    /// What ran.
    pub at: At,
    /// In which shader, or `cpu`.
    pub shader: String,
    /// Largest share of the tolerance that an element used; above 1 it is wrong.
    pub share: f64,
    /// The worst element or broken guard, where something is wrong.
    pub failure: Option<String>,
}

impl Report {
    /// Whether all is within tolerance.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            None => write!(f, "{} [{}]: {:.0} % of the tolerance used", self.at, self.shader, 100.0 * self.share),
            Some(failure) => write!(f, "{} [{}]: {failure}", self.at, self.shader),
        }
    }
}

/// A standard normal value (Box & Muller 1958).
fn normal(rng: &mut impl Rng) -> f32 {
    let (radius, angle): (f64, f64) = (rng.random(), rng.random());
    ((-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()) as f32
}

fn fill(arg: &ArgAt, rng: &mut impl Rng) -> Array {
    let stored = |value: f32| if arg.element == Element::F16 { f16::from_f32(value).to_f32() } else { value };
    let mut floats =
        |draw: &mut dyn FnMut(&mut dyn Rng) -> f32| Array::Float((0..arg.len).map(|_| stored(draw(rng))).collect());
    match arg.fill {
        Fill::Normal => floats(&mut |rng| normal(&mut &mut *rng)),
        Fill::Uniform(low, high) => floats(&mut |rng| rng.random_range(low..high)),
        Fill::Rectified => floats(&mut |rng| normal(&mut &mut *rng).max(0.0)),
        Fill::Coarse => floats(&mut |rng| (4.0 * normal(&mut &mut *rng)).round() / 4.0),
        Fill::NonFinite => floats(&mut |rng| match rng.random_range(0..50) {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            _ => normal(&mut &mut *rng),
        }),
        Fill::Below(bound) => Array::Uint((0..arg.len).map(|_| rng.random_range(0..bound)).collect()),
        Fill::Bits => Array::Uint((0..arg.len).map(|_| rng.random()).collect()),
    }
}

/// An array that no kernel may leave as it is: NaN, or the largest integer.
fn unwritten(arg: &ArgAt) -> Array {
    match arg.element {
        Element::F32 | Element::F16 => Array::Float(vec![f32::NAN; arg.len]),
        Element::U32 => Array::Uint(vec![u32::MAX; arg.len]),
    }
}

/// Random arrays for every argument; written ones hold NaN, so that an element left unwritten shows.
pub fn inputs(at: &At, seed: u64) -> Vec<Array> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let args = at.args();
    args.iter().map(|arg| if arg.access == Access::Write { unwritten(arg) } else { fill(arg, &mut rng) }).collect()
}

/// Arrays as the arguments of a kernel.
pub fn views<'a, R: Real>(at: &At, arrays: &'a mut [Array<R>]) -> Vec<(&'static str, View<'a, R>)> {
    let view = |(arg, array): (&ArgAt, &'a mut Array<R>)| {
        let view = match (arg.access, array) {
            (Access::Read, Array::Float(values)) => View::Read(values.as_slice()),
            (Access::Read, Array::Uint(values)) => View::ReadUint(values.as_slice()),
            (_, Array::Float(values)) => View::Write(values.as_mut_slice()),
            (_, Array::Uint(values)) => View::WriteUint(values.as_mut_slice()),
        };
        (arg.name, view)
    };
    at.args().iter().zip(arrays).map(view).collect()
}

/// What the reference in `R` makes of `arrays`: all arguments after the run.
pub fn expected<R: Number>(at: &At, arrays: &[Array]) -> Vec<Array<R>> {
    let mut arrays: Vec<Array<R>> = arrays
        .iter()
        .map(|array| match array {
            Array::Float(values) => Array::Float(values.iter().map(|&value| R::of(f64::from(value))).collect()),
            Array::Uint(values) => Array::Uint(values.clone()),
        })
        .collect();
    cpu::reference(at, views(at, &mut arrays));
    arrays
}

/// Compares what `shader` made with what the reference in f64 expects; `None` stands for an array whose guard words
/// were overwritten. Every element is compared: real numbers by the kernel's [`Tolerance`](crate::kernel::Tolerance),
/// integers exactly.
pub fn compare(at: &At, shader: &str, got: &[Option<Array>], expected: &[Array<f64>]) -> Report {
    compare_at_least(at, shader, got, expected, &vec![0.0; expected.len()])
}

/// [`compare`], where elements of an array may be off by its entry of `least` in any case.
fn compare_at_least(at: &At, shader: &str, got: &[Option<Array>], expected: &[Array<f64>], least: &[f64]) -> Report {
    let relative = at.tolerance().relative();
    let mut report = Report { at: at.clone(), shader: shader.to_owned(), share: 0.0, failure: None };
    for (((arg, got), expected), least) in at.args().iter().zip(got).zip(expected).zip(least) {
        let Some(got) = got else {
            report.failure = Some(format!("`{}`: wrote outside the array", arg.name));
            report.share = f64::INFINITY;
            return report;
        };
        if arg.access == Access::Read {
            continue;
        }
        let (got, expected): (Vec<f64>, Vec<f64>) = match (got, expected) {
            (Array::Float(got), Array::Float(expected)) => {
                (got.iter().map(|&value| f64::from(value)).collect(), expected.clone())
            }
            (Array::Uint(got), Array::Uint(expected)) => (
                got.iter().map(|&value| f64::from(value)).collect(),
                expected.iter().map(|&value| f64::from(value)).collect(),
            ),
            _ => panic!("{}: argument `{}` has the other element type", at.name(), arg.name),
        };
        let rms = (expected.iter().map(|value| value * value).sum::<f64>() / expected.len() as f64).sqrt();
        for (index, (&got, &expected)) in got.iter().zip(&expected).enumerate() {
            let bound = if arg.element == Element::U32 { 0.0 } else { least.max(relative * expected.abs().max(rms)) };
            let error = (got - expected).abs();
            // NaN compares false with everything, so the right case is asked for.
            let share =
                if error <= bound { if bound > 0.0 { error / bound } else { 0.0 } } else { (error / bound).max(1.001) };
            let share = if share.is_nan() { f64::INFINITY } else { share };
            if share > report.share {
                report.share = share;
                if share > 1.0 {
                    report.failure = Some(format!(
                        "`{}`[{index}] is {got:e}, the reference {expected:e}; off by {error:.3e} where {bound:.3e} is \
                         allowed",
                        arg.name
                    ));
                }
            }
        }
    }
    report
}

/// Checks one shader of a kernel at a shape on a device, with random inputs.
pub fn shader(device: &Arc<Device>, at: &At, shader: &ShaderAt, seed: u64) -> Result<Report> {
    let arrays = inputs(at, seed);
    let probe = Probe::new(device.clone(), at, shader, &arrays)?;
    probe.run(1)?;
    Ok(compare(at, shader.name, &probe.read()?, &expected(at, &arrays)))
}

/// Checks the reference in f32, which the CPU runner trains with, against the reference in f64.
pub fn reference(at: &At, seed: u64) -> Report {
    let arrays = inputs(at, seed);
    let got: Vec<_> = expected::<f32>(at, &arrays).into_iter().map(Some).collect();
    compare(at, "cpu", &got, &expected(at, &arrays))
}

/// Checks a routine of the host's processor against the reference in f64.
pub fn routine(at: &At, routine: RoutineAt, seed: u64) -> Report {
    let arrays = inputs(at, seed);
    let mut got = arrays.clone();
    cpu::routine(at, routine, views(at, &mut got));
    compare(at, routine.name, &got.into_iter().map(Some).collect::<Vec<_>>(), &expected(at, &arrays))
}

/// The largest error that the reference makes in f32, for each array.
fn rounding(at: &At, arrays: &[Array], expected_f64: &[Array<f64>]) -> Vec<f64> {
    let largest = |(rounded, exact): (&Array, &Array<f64>)| match (rounded, exact) {
        (Array::Float(rounded), Array::Float(exact)) => {
            let errors = rounded.iter().zip(exact).map(|(&rounded, exact)| (f64::from(rounded) - exact).abs());
            errors.filter(|error| error.is_finite()).fold(0.0, f64::max)
        }
        _ => 0.0,
    };
    expected::<f32>(at, arrays).iter().zip(expected_f64).map(largest).collect()
}

/// Runs a plan call by call on a runner whose inputs are set, and compares each with the reference on the very slots
/// it found. Stops at the first that is wrong: it is the last of the answer.
///
/// Random inputs add up to about √terms of their size, and the tolerance counts on it. What a training finds need not:
/// the gradients of a triplet's three rows cancel, so that weight gradients are small differences of large partial
/// sums. So an array may be off by four times what the reference in f32 is off there, if that is more.
pub fn calls(runner: &mut impl Runner) -> Result<Vec<Report>> {
    let calls = runner.plan().calls().to_vec();
    let mut reports = Vec::with_capacity(calls.len());
    for (place, call) in calls.iter().enumerate() {
        let before = call.args.iter().map(|&slot| runner.read(slot)).collect::<Result<Vec<_>>>()?;
        runner.run(place..place + 1)?;
        let after = call.args.iter().map(|&slot| runner.read(slot).map(Some)).collect::<Result<Vec<_>>>()?;
        let exact = expected(&call.at, &before);
        let least: Vec<_> = rounding(&call.at, &before, &exact).into_iter().map(|error| 4.0 * error).collect();
        let report = compare_at_least(&call.at, "plan", &after, &exact, &least);
        let passed = report.passed();
        reports.push(report);
        if !passed {
            break;
        }
    }
    Ok(reports)
}
