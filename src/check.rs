//! The comparison of shaders with references: random inputs, the tolerance rule, the worst element, the first call
//! of a plan that goes wrong. Tests, benches and the `check` command all come through here.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use half::f16;
use rand::seq::index;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::Config;
use crate::cpu;
use crate::embed;
use crate::error::Result;
use crate::gpu::{Device, Probe};
use crate::host::{Array, Real};
use crate::kernel::{Access, ArgAt, At, Element, Fill, Number, RoutineAt, ShaderAt, View, Work};
use crate::kernels::candidates;
use crate::net::Net;
use crate::plan::{Call, Plan};
use crate::run::Runner;
use crate::sampler::Batch;
use crate::siamese::{Source, inference_plan, slots, training_plan};

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
    fn new(at: &At, shader: &str) -> Self {
        Report { at: at.clone(), shader: shader.to_owned(), share: 0.0, failure: None }
    }

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

/// What a reference makes of the output rows that are compared.
#[derive(Clone, Debug)]
pub struct Expected<R = f64> {
    /// The rows, in order.
    pub rows: Vec<Range<usize>>,
    /// For each argument: of written ones these rows, one behind the other; of read ones all.
    pub arrays: Vec<Array<R>>,
}

/// The work from which on a call is heavy: a shader on a processor takes part of a second for it, and so does the
/// reference in f64.
pub const HEAVY: Work = Work { flops: 1 << 27, bytes: 1 << 24 };
/// Stretches of rows drawn from a heavy call, beside the first and the last.
const DRAWN: usize = 8;
/// Stretches that the rows of a heavy call are divided in, if it has as many.
const STRETCHES: usize = 1 << 10;

/// Whether a call is of so much work, or more.
fn reaches(at: &At, work: Work) -> bool {
    at.work().in_units_of(work) > 0
}

/// The output rows of `at` that are compared: all, or of [heavy](HEAVY) calls the first, the last and eight drawn
/// stretches of a row or, where it has thousands, of a thousandth of them. What goes wrong in some rows goes wrong in
/// most, or at an end; the awkward shapes of the registry are compared whole.
pub fn rows(at: &At, seed: u64) -> Vec<Range<usize>> {
    let length = at.rows().div_ceil(STRETCHES);
    let count = at.rows().div_ceil(length);
    if !reaches(at, HEAVY) || count <= DRAWN + 2 {
        return std::iter::once(0..at.rows()).collect();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let drawn = index::sample(&mut rng, count - 2, DRAWN).into_iter().map(|stretch| stretch + 1);
    let mut stretches: Vec<_> = drawn.chain([0, count - 1]).collect();
    stretches.sort_unstable();
    stretches.into_iter().map(|stretch| stretch * length..at.rows().min((stretch + 1) * length)).collect()
}

/// The distinct calls of the plans that `config` makes for images of shape `input`: of its training, and of the
/// embedding of a thousand images. Each that reaches `most` is instead the same call on fewer images, by halves as many
/// as stay below it, or as few as go.
///
/// # Errors
/// As [`Net::of`].
pub fn plan_calls(config: &Config, input: [usize; 3], most: Option<Work>) -> Result<Vec<At>> {
    let net = Net::of(config, input)?;
    let source = Source { slot: "images".to_owned(), images: 1000, scale: config.scale(), classes: 10 };
    let training = |&batch: &Batch| training_plan(&net, &source, &Config { batch, ..config.clone() });
    let embedding = |&rows: &usize| inference_plan(&net, &source, rows, slots::PARAMETERS);
    let rows = embed::batch(&net, source.images);
    let halved = |&rows: &usize| (rows > 1).then_some(rows / 2);
    let mut calls = within(most, config.batch, |batch| batch.halved(), training);
    calls.extend(within(most, rows, halved, embedding));
    let mut known = HashSet::new();
    calls.retain(|at| known.insert(at.clone()));
    Ok(calls)
}

/// The calls of `plan` for so many rows; those that reach `most` for half of them, and so on.
fn within<B>(most: Option<Work>, rows: B, halved: impl Fn(&B) -> Option<B>, plan: impl Fn(&B) -> Plan) -> Vec<At> {
    // A call is the same in both plans where it reads the same: what it writes may be summed in one part or in several.
    let of = |plan: &Plan| -> Vec<(String, At)> {
        let named = |call: &Call| {
            let read = call.at.args().iter().zip(&call.args).filter(|(arg, _)| arg.access != Access::Write);
            let names = read.map(|(_, &slot)| plan.slot(slot).name.as_str());
            (std::iter::once(call.at.name()).chain(names).collect::<Vec<_>>().join(" "), call.at.clone())
        };
        plan.calls().iter().map(named).collect()
    };
    let mut calls = of(&plan(&rows));
    let reaching = |at: &At| most.is_some_and(|most| reaches(at, most));
    let mut fewer = halved(&rows);
    while let Some(rows) = fewer.filter(|_| calls.iter().any(|(_, at)| reaching(at))) {
        let same: HashMap<_, _> = of(&plan(&rows)).into_iter().collect();
        for (name, at) in calls.iter_mut().filter(|(_, at)| reaching(at)) {
            *at = same.get(name).unwrap_or(at).clone();
        }
        fewer = halved(&rows);
    }
    calls.into_iter().map(|(_, at)| at).collect()
}

/// What the reference in `R` makes of `arrays` in some output rows.
pub fn expected<R: Number>(at: &At, rows: Vec<Range<usize>>, arrays: &[Array]) -> Expected<R> {
    let array = |(arg, array): (&ArgAt, &Array)| {
        let array = if arg.access == Access::Read { array.clone() } else { picked(at, array, &rows) };
        match array {
            Array::Float(values) => Array::Float(values.into_iter().map(|value| R::of(f64::from(value))).collect()),
            Array::Uint(values) => Array::Uint(values),
        }
    };
    let mut arrays: Vec<Array<R>> = at.args().iter().zip(arrays).map(array).collect();
    cpu::reference(at, &rows, views(at, &mut arrays));
    Expected { rows, arrays }
}

/// Real numbers for integers as well.
fn values<R: Real>(array: &Array<R>) -> Vec<f64> {
    match array {
        Array::Float(values) => values.iter().map(|value| value.f64()).collect(),
        Array::Uint(values) => values.iter().map(|&value| f64::from(value)).collect(),
    }
}

/// The elements of some rows of a whole array.
fn picked(at: &At, array: &Array, rows: &[Range<usize>]) -> Array {
    let length = array.len() / at.rows();
    let ranges = rows.iter().map(|rows| rows.start * length..rows.end * length);
    match array {
        Array::Float(values) => Array::Float(ranges.flat_map(|range| &values[range]).copied().collect()),
        Array::Uint(values) => Array::Uint(ranges.flat_map(|range| &values[range]).copied().collect()),
    }
}

/// The first element that nobody has written, or that is no number.
fn blank(array: &Array) -> Option<usize> {
    match array {
        Array::Float(values) => values.iter().position(|value| value.is_nan()),
        Array::Uint(values) => values.iter().position(|&value| value == u32::MAX),
    }
}

/// Compares what `shader` made with what the reference in f64 expects; `None` stands for an array whose guard words
/// were overwritten. Of the expected rows every element is compared: real numbers by the kernel's
/// [`Tolerance`](crate::kernel::Tolerance), integers exactly. The others must have been written.
pub fn compare(at: &At, shader: &str, got: &[Option<Array>], expected: &Expected) -> Report {
    compare_at_least(at, shader, got, expected, (1.0, &[]))
}

/// How far elements may be off: a factor on the kernel's tolerance, and for each argument and column what they may be
/// off in any case.
type Room<'a> = (f64, &'a [Vec<f64>]);

/// [`compare`] with more room.
fn compare_at_least(at: &At, shader: &str, got: &[Option<Array>], expected: &Expected, room: Room) -> Report {
    let wrong = |what: String| Report { share: f64::INFINITY, failure: Some(what), ..Report::new(at, shader) };
    let mut chosen = Vec::with_capacity(got.len());
    for (arg, got) in at.args().iter().zip(got) {
        let Some(got) = got else { return wrong(format!("`{}`: wrote outside the array", arg.name)) };
        let rows = if arg.access == Access::Read { got.clone() } else { picked(at, got, &expected.rows) };
        if rows.len() < got.len()
            && let Some(place) = blank(got)
        {
            return wrong(format!("`{}`[{place}] was not written, or is no number", arg.name));
        }
        chosen.push(rows);
    }
    judge(at, shader, &chosen, expected, room)
}

/// Compares arrays that hold the expected rows alone.
fn judge(at: &At, shader: &str, got: &[Array], expected: &Expected, (widen, least): Room) -> Report {
    let relative = widen * at.tolerance().relative();
    let mut report = Report::new(at, shader);
    for (number, arg) in at.args().iter().enumerate().filter(|(_, arg)| arg.access != Access::Read) {
        let (got, expected_values) = (&got[number], &expected.arrays[number]);
        let is_uint = arg.element == Element::U32;
        let is_alike = matches!(got, Array::Uint(_)) == is_uint && matches!(expected_values, Array::Uint(_)) == is_uint;
        assert!(is_alike, "{}: argument `{}` has the other element type", at.name(), arg.name);
        let (got, expected_values) = (values(got), values(expected_values));
        let columns: Vec<f64> =
            (0..arg.columns).map(|column| rms(expected_values.iter().skip(column).step_by(arg.columns))).collect();
        let length = arg.len / at.rows();
        let places = expected.rows.iter().flat_map(|rows| rows.start * length..rows.end * length);
        for (place, (&got, &expected)) in places.zip(got.iter().zip(&expected_values)) {
            let column = place % arg.columns;
            let least = least.get(number).map_or(0.0, |columns| columns[column]);
            let bound = if is_uint { 0.0 } else { least.max(relative * expected.abs().max(columns[column])) };
            let error = (got - expected).abs();
            // NaN compares false with everything, so the right case is asked for.
            let share =
                if error <= bound { if bound > 0.0 { error / bound } else { 0.0 } } else { (error / bound).max(1.001) };
            let share = if share.is_nan() { f64::INFINITY } else { share };
            if share > report.share {
                report.share = share;
                if share > 1.0 {
                    report.failure = Some(format!(
                        "`{}`[{place}] is {got:e}, the reference {expected:e}; off by {error:.3e} where {bound:.3e} is \
                         allowed",
                        arg.name
                    ));
                }
            }
        }
    }
    report
}

/// The root of the mean square.
fn rms<'a>(values: impl Iterator<Item = &'a f64> + Clone) -> f64 {
    let count = values.clone().count();
    (values.map(|value| value * value).sum::<f64>() / count as f64).sqrt()
}

/// A kernel at a shape with random inputs, and what the reference in f64 makes of them: whatever computes it is held
/// against that.
pub struct Case {
    at: At,
    arrays: Vec<Array>,
    expected: Expected,
}

impl Case {
    /// Draws the inputs, and the [rows] that are compared.
    pub fn new(at: &At, seed: u64) -> Self {
        Case::of(at, inputs(at, seed), rows(at, seed))
    }

    /// Of inputs and rows of one's own.
    pub fn of(at: &At, arrays: Vec<Array>, rows: Vec<Range<usize>>) -> Self {
        let expected = expected(at, rows, &arrays);
        Case { at: at.clone(), arrays, expected }
    }

    /// What is checked.
    pub fn at(&self) -> &At {
        &self.at
    }

    /// The inputs; see [`inputs`].
    pub fn arrays(&self) -> &[Array] {
        &self.arrays
    }

    /// Checks what `shader` made of the inputs.
    pub fn compare(&self, shader: &str, got: &[Option<Array>]) -> Report {
        compare(&self.at, shader, got, &self.expected)
    }

    /// Checks a shader on a device.
    pub fn shader(&self, device: &Arc<Device>, shader: &ShaderAt) -> Result<Report> {
        let probe = Probe::new(device.clone(), &self.at, shader, &self.arrays)?;
        probe.run(1)?;
        Ok(compare_at_least(&self.at, shader.name, &probe.read()?, &self.expected, (shader.widen, &[])))
    }

    /// Checks the reference in f32, which the CPU runner trains with where there is no routine.
    pub fn reference(&self) -> Report {
        let got = expected(&self.at, self.expected.rows.clone(), &self.arrays);
        judge(&self.at, "cpu", &got.arrays, &self.expected, (1.0, &[]))
    }

    /// Checks a routine of the host's processor.
    pub fn routine(&self, routine: RoutineAt) -> Report {
        let mut got = self.arrays.clone();
        cpu::routine(&self.at, routine, views(&self.at, &mut got));
        let mut got: Vec<_> = got.into_iter().map(Some).collect();
        // Of coarse inputs only a routine that rounds at other sizes makes different sums of equal ones.
        if routine.widen > 1.0 {
            settle(&self.at, &self.arrays, &self.expected, routine.widen, &mut got);
        }
        compare_at_least(&self.at, routine.name, &got, &self.expected, (routine.widen, &[]))
    }
}

/// Where [`Conv2dPool`](crate::kernels::Conv2dPool) names a pixel that is the largest but for rounding, puts the first
/// of the largest, which the reference names: pixels that differ by less than sums in another order may be told apart
/// either way.
fn settle(at: &At, arrays: &[Array], expected: &Expected, widen: f64, got: &mut [Option<Array>]) {
    let read = |name: &str| {
        let place = at.args().iter().position(|arg| arg.name == name)?;
        Some(values(&arrays[place]))
    };
    let Some(place) = at.args().iter().position(|arg| arg.name == "argmax") else { return };
    let (Some(x), Some(w), Some(b)) = (read("x"), read("w"), read("b")) else { return };
    let Some(Array::Uint(named)) = &mut got[place] else { return };
    let length = at.args()[place].len / at.rows();
    let relative = widen * at.tolerance().relative();
    for rows in &expected.rows {
        let Some(windows) = candidates(at, rows.clone(), &x, &w, &b) else { return };
        let size = rms(windows.as_flattened().iter());
        for (named, window) in named[rows.start * length..].iter_mut().zip(&windows) {
            let largest = window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let is_as_large = |&pixel: &f64| pixel >= largest - relative * pixel.abs().max(size);
            if window.get(*named as usize).is_some_and(is_as_large) {
                *named = window.iter().position(|&pixel| pixel == largest).expect("one of them") as u32;
            }
        }
    }
}

/// The largest error that the reference makes in f32, for each array and column.
fn rounding(at: &At, arrays: &[Array], exact: &Expected) -> Vec<Vec<f64>> {
    let rounded = expected::<f32>(at, exact.rows.clone(), arrays);
    let largest = |((arg, rounded), exact): ((&ArgAt, &Array), &Array<f64>)| {
        let errors: Vec<_> =
            values(rounded).iter().zip(values(exact)).map(|(own, exact)| (own - exact).abs()).collect();
        let column = |column| errors.iter().skip(column).step_by(arg.columns).copied();
        (0..arg.columns).map(|place| column(place).filter(|error| error.is_finite()).fold(0.0, f64::max)).collect()
    };
    at.args().iter().zip(&rounded.arrays).zip(&exact.arrays).map(largest).collect()
}

/// Runs a plan call by call on a runner whose inputs are set, and compares each with the reference on the very slots
/// it found. Stops at the first that is wrong: it is the last of the answer.
///
/// Random inputs add up to about √terms of their size, and the tolerance counts on it. What a training finds need not:
/// the gradients of a triplet's three rows cancel, so that weight gradients are small differences of large partial
/// sums. So a column may be off by four times what the reference in f32 is off there, if that is more; and by as much
/// more as what runs the call rounds more.
pub fn calls(runner: &mut impl Runner) -> Result<Vec<Report>> {
    let calls = runner.plan().calls().to_vec();
    let mut reports = Vec::with_capacity(calls.len());
    for (place, call) in calls.iter().enumerate() {
        let before = call.args.iter().map(|&slot| runner.read(slot)).collect::<Result<Vec<_>>>()?;
        runner.run(place..place + 1)?;
        let mut after = call.args.iter().map(|&slot| runner.read(slot).map(Some)).collect::<Result<Vec<_>>>()?;
        let exact = expected(&call.at, rows(&call.at, place as u64), &before);
        let mut least = rounding(&call.at, &before, &exact);
        let widen = runner.widen(&call.at);
        least.iter_mut().flatten().for_each(|error| *error *= 4.0 * widen);
        settle(&call.at, &before, &exact, widen, &mut after);
        let report = compare_at_least(&call.at, "plan", &after, &exact, (widen, &least));
        let passed = report.passed();
        reports.push(report);
        if !passed {
            break;
        }
    }
    Ok(reports)
}
