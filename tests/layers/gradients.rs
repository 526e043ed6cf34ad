//! The first link of the proof: what the backward pass of the CPU reference computes is the derivative of what its
//! forward pass computes. Whole networks against central differences in f64; single kernels against the identities that
//! hold between an operator and its adjoint.

use std::sync::Arc;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siamese::config::{Config, PRESETS};
use siamese::cpu;
use siamese::head::Head;
use siamese::host::{Array, pack};
use siamese::kernel::{Element, Kernel};
use siamese::kernels::{
    self, ActDx, ActDxShape, Activation, Conv2d, Conv2dDw, Conv2dDwShape, Conv2dDx, Conv2dShape, Dense, DenseDw,
    DenseDwShape, DenseDx, DenseDxShape, DenseShape, L2Norm, L2NormDx, MaxPool, MaxPoolDx, Scale, TripletDx, terms,
};
use siamese::layers::{LAYERS, Start};
use siamese::losses::triplet::Margin;
use siamese::losses::{Distance, Loss, Triplet};
use siamese::net::Net;
use siamese::plan::{Plan, Role, Section};
use siamese::run::Runner;
use siamese::sampler::{Batch, Positive};
use siamese::siamese::{Source, training_plan};

use crate::reference::{floats, run};

/// A standard normal value (Box & Muller 1958).
fn normal(rng: &mut impl Rng) -> f64 {
    let (radius, angle): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

fn normals(count: usize, rng: &mut impl Rng) -> Vec<f64> {
    (0..count).map(|_| normal(rng)).collect()
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt()
}

// ------------------------------------------------------------------------------------------------- whole networks

const TRIPLETS: usize = 5;
/// More than the rows of a batch, so that row numbers matter.
const IMAGES: usize = 19;
/// Image i is of class i modulo this.
const CLASSES: usize = 4;
/// Elements of a tensor that are differentiated; of a smaller tensor all.
const SAMPLE: usize = 100;
/// Step of the differences: the error of the formula is about `STEP²`, that of rounding about `2⁻⁵² / STEP`.
const STEP: f64 = 1e-6;
/// Of the gradient or the tensor's root mean square, whichever is larger. Rounding uses about 1e-9 / rms of it.
const TOLERANCE: f64 = 1e-6;

/// A network on random images with random weights, its training plan on the CPU runner in f64.
struct Case {
    net: Net,
    head: Head,
    loss: Loss,
    plan: Arc<Plan>,
    runner: cpu::Runner<f64>,
    rng: ChaCha8Rng,
}

impl Case {
    fn new(spec: &str, input: [usize; 3], loss: Loss, batch: Batch, seed: u64) -> Case {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let net = Net::parse(spec, input).unwrap_or_else(|error| panic!("{error}"));
        let source =
            Source { slot: "images".to_owned(), images: IMAGES, scale: Scale::by(1.0 / 255.0), classes: CLASSES };
        let config = Config { loss, batch, ..PRESETS[0].config() };
        let plan = Arc::new(training_plan(&net, &source, &config).unshared());
        let mut runner = cpu::Runner::<f64>::new(plan.clone());

        let bytes: Vec<u8> = (0..IMAGES * net.pixels()).map(|_| rng.random()).collect();
        runner.write(plan.id("images"), pack(&bytes).as_slice()).unwrap();
        let rows: Vec<u32> = (0..batch.rows()).map(|_| rng.random_range(0..IMAGES as u32)).collect();
        runner.write(plan.id("rows"), rows.as_slice()).unwrap();
        if let Some(labels) = plan.find("labels") {
            let classes: Vec<u32> = rows.iter().map(|row| row % CLASSES as u32).collect();
            runner.write(labels, classes.as_slice()).unwrap();
        }
        if let Some(keys) = plan.find("keys") {
            let numbers: Vec<u32> = rows.iter().map(|_| rng.next_u32()).collect();
            runner.write(keys, numbers.as_slice()).unwrap();
        }
        let head = Head::new(&config, net.dims(), CLASSES);
        for parameter in net.parameters().iter().chain(&head.trained).chain(&head.states) {
            let slot = plan.id(&parameter.name);
            // Variance as in He et al. 2015, so that signals neither fade nor grow.
            let (mean, scale) = match parameter.start {
                Start::Zeros => (0.0, 0.1),
                Start::Ones => (1.0, 0.1),
                Start::Quarter => (0.25, 0.1),
                Start::Random { fan_in, .. } => (0.0, (2.0 / fan_in as f64).sqrt()),
            };
            let values: Vec<f64> = (0..plan.slot(slot).len()).map(|_| mean + scale * normal(&mut rng)).collect();
            runner.set(slot, &values);
        }
        Case { net, head, loss, plan, runner, rng }
    }

    /// A column of the loss's terms.
    fn terms(&self, column: usize) -> Vec<f64> {
        let columns = self.loss.terms().len();
        self.runner.get(self.plan.id("terms")).floats().chunks(columns).map(|terms| terms[column]).collect()
    }

    /// Mean penalty at the present parameters.
    fn loss(&mut self) -> f64 {
        self.runner.run(0..self.plan.section(Section::Loss).end).unwrap();
        let [costs, counts] = [terms::COST, terms::COUNT].map(|column| self.terms(column).iter().sum::<f64>());
        costs / counts.max(1.0)
    }

    /// On which side of every kink the last run was: the sign of each layer's outputs (ReLU), the place of each maximum
    /// (pool), the active triplets (hinge), those that count (mining). Where two runs agree, the loss is smooth between
    /// them.
    fn sides(&self) -> Vec<u32> {
        let mut sides = Vec::new();
        for (id, slot) in self.plan.ids().zip(self.plan.slots()) {
            if slot.role == Role::Activation && slot.element == Element::U32 {
                sides.extend_from_slice(self.runner.get(id).uints());
            }
        }
        // What is fused with the layer behind it shows there.
        for id in self.net.nodes.iter().filter_map(|node| self.plan.find(&node.name)) {
            let outputs = self.runner.get(id);
            sides.extend(outputs.floats().iter().map(|&y| u32::from(y > 0.0)));
        }
        // Terms that count something are whole numbers.
        let whole = (1..self.loss.terms().len()).map(|column| self.terms(column));
        let whole = whole.filter(|terms| terms.iter().all(|term| term.fract() == 0.0));
        sides.extend(whole.flatten().map(|count| count as u32));
        // Which pairs a mining chose.
        if let Some(weights) = self.plan.find("weights") {
            sides.extend(self.runner.get(weights).floats().iter().map(|&weight| u32::from(weight != 0.0)));
        }
        sides
    }

    /// The smallest root mean square of a tensor's gradient.
    fn smallest(&mut self) -> f64 {
        self.loss();
        self.runner.run(self.plan.section(Section::Backward)).unwrap();
        let gradient = |name: &str| rms(self.runner.get(self.plan.id(&format!("{name}.gradient"))).floats());
        self.net.parameters().iter().map(|parameter| gradient(&parameter.name)).fold(f64::INFINITY, f64::min)
    }

    /// Compares the gradients of all tensors with differences of the loss.
    fn check(mut self, name: &str) {
        self.loss();
        self.runner.run(self.plan.section(Section::Backward)).unwrap();
        let base = self.sides();
        let active = self.terms(terms::COUNT).iter().sum::<f64>();
        assert!(active > 0.0, "{name}: no triplet counts, every gradient would be zero");

        let whole = rms(self.runner.get(self.plan.id("gradients")).floats());
        let (mut sampled, mut comparable) = (0, 0);
        let tensors: Vec<_> = self.net.parameters().into_iter().chain(self.head.trained.clone()).collect();
        for parameter in &tensors {
            let tensor = &parameter.name;
            let value = self.plan.id(tensor);
            let gradient = self.runner.get(self.plan.id(&format!("{tensor}.gradient"))).floats().to_vec();
            // Distances do not change when all embeddings move alike, nor a normalised array when all of it does: a
            // bias that has no other effect has a gradient of zero, in the rounding of the others.
            let own = rms(&gradient);
            let rms = if tensor.ends_with(".bias") && own < 1e-12 * whole { whole } else { own };
            assert!(rms > 1e-5, "{name}: {tensor}: a gradient of rms {rms:e} proves nothing; choose another seed");

            let mut values = self.runner.get(value).floats().to_vec();
            let mut elements: Vec<usize> = (0..values.len()).collect();
            for place in 0..SAMPLE.min(values.len()) {
                let other = self.rng.random_range(place..elements.len());
                elements.swap(place, other);
            }
            elements.truncate(SAMPLE);
            for element in elements {
                sampled += 1;
                let centre = values[element];
                let mut at = |x: f64| {
                    values[element] = x;
                    self.runner.set(value, &values);
                    (self.loss(), self.sides() == base)
                };
                let ((above, smooth_above), (below, smooth_below)) = (at(centre + STEP), at(centre - STEP));
                at(centre);
                if !(smooth_above && smooth_below) {
                    continue;
                }
                comparable += 1;
                let (expected, got) = ((above - below) / (2.0 * STEP), gradient[element]);
                let bound = TOLERANCE * got.abs().max(rms);
                assert!(
                    (got - expected).abs() <= bound,
                    "{name}: {tensor}[{element}]: gradient {got:e}, difference quotient {expected:e}, allowed {bound:e}"
                );
            }
        }
        assert!(
            100 * comparable >= 95 * sampled,
            "{name}: only {comparable} of {sampled} elements have no kink within the step; choose another seed"
        );
        println!("{name}: {comparable} of {sampled} elements compared, {active} triplets count");
    }
}

/// The networks by which the words prove themselves. Under a soft margin every triplet counts, on whatever images.
#[test]
fn every_word() {
    let loss = Triplet { distance: Distance::SquaredEuclidean, margin: Margin::Soft(2.0) }.into();
    let batch = Batch::Random { triplets: TRIPLETS, positive: Positive::Other };
    for (spec, input) in LAYERS.iter().flat_map(|word| word.specs) {
        Case::new(spec, *input, loss, batch, 1).check(spec);
    }
}

/// The same for every loss, through the whole of its part of the plan.
#[test]
fn losses() {
    let spec = "conv3 relu pool dense6 relu dense4 l2";
    // The gradient of the circle loss is not its derivative, as the weights in it count as constants. PyTorch has it:
    // `tests/layers/golden.rs`.
    let derived = |(loss, _): &(Loss, Batch)| !matches!(loss, Loss::Circle(_));
    for ((loss, batch), seed) in Loss::cases().into_iter().filter(derived).zip(20..) {
        // With weights at which the gradients stand out from the rounding of a difference.
        let at = |seed| Case::new(spec, [6, 7, 2], loss, batch, seed);
        let case = (seed..).step_by(100).map(at).find_map(|mut case| (case.smallest() > 5e-5).then_some(case));
        case.expect("some seed will do").check(&format!("{loss:?} {batch:?}"));
    }
}

// ------------------------------------------------------------------------------------------------- single kernels

/// `<a, b>`, and the sum of the products' sizes, to which rounding is relative.
fn inner(a: &[f64], b: &[f64]) -> (f64, f64) {
    assert_eq!(a.len(), b.len(), "an inner product of arrays of different lengths");
    a.iter().zip(b).fold((0.0, 0.0), |(sum, size), (a, b)| (sum + a * b, size + (a * b).abs()))
}

/// Two inner products that are equal but for rounding in f64.
fn assert_equal(what: &str, (a, size): (f64, f64), (b, other_size): (f64, f64)) {
    let bound = 1e-12 * size.max(other_size);
    assert!((a - b).abs() <= bound, "{what}: {a} and {b} differ by {:e}, allowed {bound:e}", (a - b).abs());
}

/// The sum of `splits` partial sums.
fn summed(partial: &[f64], splits: usize) -> Vec<f64> {
    let values = partial.len() / splits;
    (0..values).map(|place| partial.iter().skip(place).step_by(values).sum()).collect()
}

/// A convolution without bias is linear in `x` and in `w`; its gradients are the adjoint maps:
/// `<dy, conv(x, w)> = <conv_dx(dy, w), x> = <conv_dw(x, dy), w>`.
#[test]
fn convolution_and_its_gradients_are_adjoint() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let mut shapes = Conv2dDw::cases();
    shapes.extend(Conv2dDx::cases().into_iter().map(|window| Conv2dDwShape { window, splits: 1 }));
    for shape in shapes {
        let Conv2dDwShape { window, splits } = shape.clone();
        let what = format!("{shape:?}");
        let x = floats(&normals(window.inputs(), &mut rng));
        let w = floats(&normals(window.weights(), &mut rng));
        let dy = floats(&normals(window.outputs(), &mut rng));
        let b = floats(&vec![0.0; window.out_channels]);
        let forward = Conv2dShape { window: window.clone(), activation: Activation::None };
        let y = run::<Conv2d>(forward, &[("x", x.clone()), ("w", w.clone()), ("b", b)]);
        let dx = run::<Conv2dDx>(window, &[("dz", dy.clone()), ("w", w.clone())]);
        let dw = run::<Conv2dDw>(shape, &[("x", x.clone()), ("dz", dy.clone())]);
        let forward = inner(dy.floats(), y.floats("y"));
        assert_equal(&format!("{what}: by input"), forward, inner(dx.floats("dx"), x.floats()));
        assert_equal(&format!("{what}: by weights"), forward, inner(&summed(dw.floats("dw"), splits), w.floats()));
    }
}

/// The same of the dense layer.
#[test]
fn dense_layer_and_its_gradients_are_adjoint() {
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    let mut shapes = DenseDw::cases();
    shapes.extend(DenseDx::cases().into_iter().map(|s| DenseDwShape::new(s.rows, s.inputs, s.outputs)));
    for shape in shapes {
        let DenseDwShape { rows, inputs, outputs, splits } = shape;
        let what = format!("{shape:?}");
        let x = floats(&normals(rows * inputs, &mut rng));
        let w = floats(&normals(inputs * outputs, &mut rng));
        let dy = floats(&normals(rows * outputs, &mut rng));
        let b = floats(&vec![0.0; outputs]);
        let forward = DenseShape { rows, inputs, outputs, activation: Activation::None };
        let y = run::<Dense>(forward, &[("x", x.clone()), ("w", w.clone()), ("b", b)]);
        let back = DenseDxShape { rows, inputs, outputs };
        let dx = run::<DenseDx>(back, &[("dz", dy.clone()), ("w", w.clone())]);
        let dw = run::<DenseDw>(shape, &[("x", x.clone()), ("dz", dy.clone())]);
        let forward = inner(dy.floats(), y.floats("y"));
        assert_equal(&format!("{what}: by input"), forward, inner(dx.floats("dx"), x.floats()));
        assert_equal(&format!("{what}: by weights"), forward, inner(&summed(dw.floats("dw"), splits), w.floats()));
    }
}

/// With its maxima fixed, pooling picks elements: `<dy, pool(x)> = <pool_dx(dy), x>`, and every `dy` arrives once.
#[test]
fn pooling_and_its_gradient_are_adjoint() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    for shape in MaxPool::cases().into_iter().chain(MaxPoolDx::cases()) {
        let what = format!("{shape:?}");
        let x = floats(&normals(shape.inputs(), &mut rng));
        let dy = floats(&normals(shape.outputs(), &mut rng));
        let forward = run::<MaxPool>(shape.clone(), &[("x", x.clone())]);
        let argmax = Array::Uint(forward.array("argmax").uints().to_vec());
        let back = run::<MaxPoolDx>(shape.clone(), &[("dy", dy.clone()), ("argmax", argmax)]);
        let dx = back.floats("dx");
        assert_equal(&what, inner(dy.floats(), forward.floats("y")), inner(dx, x.floats()));
        let sorted = |values: &[f64]| {
            let mut values: Vec<f64> = values.iter().copied().filter(|&value| value != 0.0).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        // Where windows overlap, several gradients arrive at one place.
        if shape.window_height.max(shape.window_width) <= shape.stride {
            assert_eq!(sorted(dx), sorted(dy.floats()), "{what}: the gradient is not `dy` and zeros");
        }
    }
}

/// Lengthening a row does not change its direction, so the gradient of a normalisation is orthogonal to the row; and
/// along any other direction it is what the difference quotient says.
#[test]
fn gradient_of_a_normalisation() {
    let mut rng = ChaCha8Rng::seed_from_u64(24);
    for shape in L2NormDx::cases() {
        let what = format!("{shape:?}");
        let x = normals(shape.rows * shape.dims, &mut rng);
        let dy = normals(x.len(), &mut rng);
        let forward = |x: &[f64]| run::<L2Norm>(shape.clone(), &[("x", floats(x))]);
        let made = forward(&x);
        let inputs = [("y", floats(made.floats("y"))), ("norm", floats(made.floats("norm"))), ("dy", floats(&dy))];
        let back = run::<L2NormDx>(shape.clone(), &inputs);
        let dx = back.floats("dx");
        for ((x, dx), dy) in x.chunks(shape.dims).zip(dx.chunks(shape.dims)).zip(dy.chunks(shape.dims)) {
            let (along, _) = inner(x, dx);
            // Of size `|dy|` before the part along the row is taken out.
            let bound = 1e-12 * inner(dy, dy).0.sqrt() * (1.0 + inner(x, x).0.sqrt());
            assert!(along.abs() <= bound, "{what}: <x, dx> is {along:e}, allowed {bound:e}");
        }
        let direction = normals(x.len(), &mut rng);
        let moved = |step: f64| {
            let x: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            inner(&dy, forward(&x).floats("y")).0
        };
        let quotient = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        let (slope, size) = inner(dx, &direction);
        // The quotient's rounding is 2⁻⁵² · |<dy, y>| / STEP, its formula's error STEP² times a third derivative that
        // grows as the inverse cube of a row's length, here 0.1 or more.
        assert!((slope - quotient).abs() <= 1e-6 * (1.0 + size), "{what}: slope {slope}, difference {quotient}");
    }
}

/// The loss depends on differences of embeddings alone, so the gradients of a triplet's three rows sum to zero; and it
/// scales: `<e, de> = 2 · mean(d_ap - d_an)` over the active triplets, as for any quadratic form.
#[test]
fn gradient_of_the_triplet_loss() {
    let mut rng = ChaCha8Rng::seed_from_u64(25);
    for shape in TripletDx::cases() {
        let what = format!("{shape:?}");
        let (triplets, dims, sharpness) = (shape.triplets, shape.dims, f64::from(shape.sharpness));
        let e = floats(&normals(3 * triplets * dims, &mut rng));
        let forward = run::<kernels::Triplet>(shape.clone(), &[("e", e.clone())]);
        let terms = forward.floats("terms");
        let back = run::<TripletDx>(shape, &[("e", e.clone()), ("terms", floats(terms))]);
        let de = back.floats("de");
        for place in 0..triplets * dims {
            let [a, p, n] = [0, 1, 2].map(|branch| de[branch * triplets * dims + place]);
            let bound = 1e-14 * (a.abs() + p.abs() + n.abs());
            assert!((a + p + n).abs() <= bound, "{what}: gradients {a}, {p}, {n} at {place} do not sum to zero");
        }
        let quadratic = terms.chunks(terms::TRIPLET).fold((0.0, 0.0), |(sum, size), terms| {
            let (d_ap, d_an) = (terms[terms::D_AP], terms[terms::D_AN]);
            let slope =
                if sharpness > 0.0 { 1.0 / (1.0 + (-sharpness * (d_ap - d_an)).exp()) } else { terms[terms::ACTIVE] };
            let f = 2.0 / triplets as f64 * slope;
            (sum + f * (d_ap - d_an), size + f * (d_ap + d_an))
        });
        assert_equal(&what, quadratic, inner(e.floats(), de));
    }
}

/// The slope of each activation at its output is the difference quotient at its input.
#[test]
fn slope_of_the_activations() {
    let mut rng = ChaCha8Rng::seed_from_u64(26);
    for shape in ActDx::cases() {
        let ActDxShape { length, activation } = shape;
        // Away from ReLU's kink at zero.
        let z: Vec<f64> = normals(length, &mut rng).into_iter().map(|z| z + 0.01 * z.signum()).collect();
        let dy = normals(length, &mut rng);
        let y: Vec<f64> = z.iter().map(|&z| activation.apply(z)).collect();
        let back = run::<ActDx>(shape, &[("y", floats(&y)), ("dy", floats(&dy))]);
        for ((&z, &dy), &dz) in z.iter().zip(&dy).zip(back.floats("dz")) {
            let quotient = (activation.apply(z + STEP) - activation.apply(z - STEP)) / (2.0 * STEP);
            let bound = 1e-8 * (1.0 + dy.abs());
            assert!(
                (dz - dy * quotient).abs() <= bound,
                "{activation:?} at {z}: slope {dz}, expected {}",
                dy * quotient
            );
        }
    }
}
