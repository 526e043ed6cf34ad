//! Three branches with shared weights are what the name says: the plan that stacks them as rows of one batch equals
//! three plans of one branch each, embeddings and gradients, on the CPU in f64 and on the GPU.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siamese::checkpoint::Checkpoint;
use siamese::config::{Config, PRESETS};
use siamese::host::pack;
use siamese::kernel::Element;
use siamese::losses::triplet::Margin;
use siamese::losses::{Distance, Triplet};
use siamese::net::Net;
use siamese::plan::{Builder, Plan, Role, Section};
use siamese::run::Runner;
use siamese::siamese::{Branch, Source, embedding_slot, inference_plan, slots, training_plan};
use siamese::{cpu, gpu};

const TRIPLETS: usize = 7;
const IMAGES: usize = 30;

/// A runner whose slots can be read and written in f64, at the precision that it has.
trait Exact: Runner {
    fn get(&mut self, name: &str) -> Vec<f64>;
    fn set(&mut self, name: &str, values: &[f64]);
}

impl Exact for cpu::Runner<f64> {
    fn get(&mut self, name: &str) -> Vec<f64> {
        cpu::Runner::get(self, self.plan().id(name)).floats().to_vec()
    }

    fn set(&mut self, name: &str, values: &[f64]) {
        cpu::Runner::set(self, self.plan().id(name), values);
    }
}

impl Exact for gpu::Runner {
    fn get(&mut self, name: &str) -> Vec<f64> {
        let array = self.read(self.plan().id(name)).unwrap();
        array.floats().iter().map(|&value| f64::from(value)).collect()
    }

    fn set(&mut self, name: &str, values: &[f64]) {
        // What comes from this runner is f32 already.
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        self.write(self.plan().id(name), values.as_slice()).unwrap();
    }
}

/// A network, its first weights, and a data set of random bytes.
#[derive(Clone)]
struct Case {
    net: Net,
    source: Source,
    config: Config,
    weights: Checkpoint,
    bytes: Vec<u32>,
    rows: Vec<u32>,
}

impl Case {
    fn all() -> Vec<Case> {
        [
            ("conv8 relu pool conv6k5s2 relu dense16 relu dense8 l2", Distance::SquaredEuclidean),
            ("conv5v pool sigmoid pool dense9", Distance::MeanSquare),
            ("dense12 relu dense8 sigmoid", Distance::MeanSquare),
            (
                "conv6s2 relu 2*{ add( conv6 relu conv6 | ) relu } cat( conv3k1 | pool1 relu ) add0( conv4s2 | ) \
                 dense8 l2",
                Distance::SquaredEuclidean,
            ),
        ]
        .into_iter()
        .zip(1..)
        .map(|((spec, distance), seed)| {
            let net = Net::parse(spec, [11, 10, 3]).unwrap_or_else(|error| panic!("{error}"));
            let source = Source {
                slot: "images".to_owned(),
                images: IMAGES,
                scale: siamese::kernels::Scale::by(1.0 / 255.0),
                classes: 1,
            };
            let loss = Triplet { distance, margin: Margin::Hinge(0.2) }.into();
            let config = Config {
                spec: spec.to_owned(),
                seed,
                loss,
                batch: crate::common::random(TRIPLETS),
                ..PRESETS[0].config()
            };
            let weights = Checkpoint::initial(&config, &net);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let bytes: Vec<u8> = (0..IMAGES * net.pixels()).map(|_| rng.random()).collect();
            let rows = (0..3 * TRIPLETS).map(|_| rng.random_range(0..IMAGES as u32)).collect();
            Case { net, source, config, weights, bytes: pack(&bytes), rows }
        })
        .collect()
    }

    /// A runner of `plan` that has the images, the row numbers and the weights.
    fn runner<R: Runner>(&self, make: &impl Fn(Arc<Plan>) -> R, plan: Plan, rows: &[u32]) -> R {
        let mut runner = make(Arc::new(plan));
        for (name, values) in [(self.source.slot.as_str(), self.bytes.as_slice()), (slots::ROWS, rows)] {
            let slot = runner.plan().id(name);
            runner.write(slot, values).unwrap();
        }
        self.weights.restore(&mut runner).unwrap();
        runner
    }

    /// The stacked plan after gather, forward and loss.
    fn stacked<R: Runner>(&self, make: &impl Fn(Arc<Plan>) -> R) -> R {
        let plan = training_plan(&self.net, &self.source, &self.config).unshared();
        let mut runner = self.runner(make, plan, &self.rows);
        let end = runner.plan().section(Section::Loss).end;
        runner.run(0..end).unwrap();
        runner
    }

    /// Forward and backward pass of one branch alone, with its images and the gradient of its embeddings as inputs.
    fn branch_plan(&self) -> Plan {
        let mut builder = Builder::default();
        let tensors = self.net.declare(&mut builder, slots::PARAMETERS, true);
        let [height, width, channels] = self.net.input;
        let x = builder.slot("batch", Element::F32, &[TRIPLETS, height, width, channels], Role::Input);
        let gradient = builder.slot("embedding.dx", Element::F32, &[TRIPLETS, self.net.dims()], Role::Input);
        let forward = self.net.forward(&mut builder, &tensors, TRIPLETS, x);
        self.net.backward(&mut builder, &forward, gradient);
        builder.finish()
    }
}

/// The part of `values`, one row after another, that belongs to a branch.
fn part(values: &[f64], branch: Branch) -> &[f64] {
    let width = values.len() / (3 * TRIPLETS);
    let rows = branch.rows(TRIPLETS);
    &values[rows.start * width..rows.end * width]
}

/// Compares to `tolerance` of the expected value or of the root mean square of all, whichever is larger.
fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: number of elements");
    let rms = (expected.iter().map(|value| value * value).sum::<f64>() / expected.len() as f64).sqrt();
    assert!(rms > 0.0, "{what}: all zero, which proves nothing");
    for (place, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let bound = tolerance * expected.abs().max(rms);
        let apart = (got - expected).abs();
        assert!(
            apart <= bound,
            "{what}[{place}] is {got:e}, expected {expected:e}: {apart:.1e} apart, {bound:.1e} allowed"
        );
    }
}

fn sum(arrays: &[Vec<f64>]) -> Vec<f64> {
    (0..arrays[0].len()).map(|place| arrays.iter().map(|array| array[place]).sum()).collect()
}

/// Embeddings: those of three inference plans, one branch each, are the rows of the stacked plan.
fn assert_embeddings<R: Exact>(make: impl Fn(Arc<Plan>) -> R, tolerance: f64) {
    for case in Case::all() {
        let spec = &case.net.spec;
        let mut stacked = case.stacked(&make);
        let embedding = embedding_slot(&case.net, stacked.plan());
        let stacked = stacked.get(embedding);
        for branch in Branch::ALL {
            let rows = &case.rows[branch.rows(TRIPLETS)];
            let plan = inference_plan(&case.net, &case.source, TRIPLETS, slots::PARAMETERS);
            let mut runner = case.runner(&make, plan, rows);
            let calls = runner.plan().all();
            runner.run(calls).unwrap();
            let alone = runner.get(embedding);
            assert_close(&format!("{spec}: embeddings of {branch:?}"), part(&stacked, branch), &alone, tolerance);
        }
    }
}

/// Gradients: the stacked plan's are the sum of those that its three branches send back, with the other two branches'
/// embeddings held still; and the sum of those of three plans that know of no other branch.
fn assert_gradients<R: Exact>(make: impl Fn(Arc<Plan>) -> R, tolerance: f64) {
    for case in Case::all() {
        let spec = &case.net.spec;
        let mut runner = case.stacked(&make);
        let backward = runner.plan().section(Section::Backward);
        let (batch, arriving) = (runner.get("batch"), runner.get("embedding.dx"));
        for branch in Branch::ALL {
            assert!(part(&arriving, branch).iter().any(|&g| g != 0.0), "{spec}: nothing arrives at {branch:?}");
        }
        runner.run(backward.clone()).unwrap();
        let whole = runner.get("gradients");

        let masked = Branch::ALL.map(|branch| {
            let width = case.net.dims();
            let rows = branch.rows(TRIPLETS);
            let only: Vec<f64> = arriving
                .iter()
                .enumerate()
                .map(|(place, &value)| if rows.contains(&(place / width)) { value } else { 0.0 })
                .collect();
            runner.set("embedding.dx", &only);
            runner.run(backward.clone()).unwrap();
            runner.get("gradients")
        });
        let alone = Branch::ALL.map(|branch| {
            let mut runner = make(Arc::new(case.branch_plan()));
            case.weights.restore(&mut runner).unwrap();
            runner.set("batch", part(&batch, branch));
            runner.set("embedding.dx", part(&arriving, branch));
            let calls = runner.plan().all();
            runner.run(calls).unwrap();
            runner.get("gradients")
        });
        // Tensor by tensor: their sizes differ.
        let plan = runner.plan();
        for parameter in case.net.parameters() {
            let id = plan.id(&parameter.name);
            let (_, start) = plan.storage(id);
            let range = start..start + plan.slot(id).len();
            let of = |arrays: &[Vec<f64>; 3]| arrays.clone().map(|array| array[range.clone()].to_vec());
            // Branches partly cancel: what is rounded is their size, not that of their sum.
            let size = alone.iter().flat_map(|array| &array[range.clone()]).map(|g| g * g).sum::<f64>();
            let rms = (size / (3 * range.len()) as f64).sqrt();
            let ours = &whole[range.clone()];
            for (kind, parts) in [("masked branches", of(&masked)), ("separate branches", of(&alone))] {
                let what = format!("{spec}: {}: stacked against {kind}", parameter.name);
                let summed = sum(&parts);
                let worst = crate::common::apart(ours, &summed);
                assert!(worst <= tolerance * rms, "{what}: {worst:.1e} apart where {:.1e} is allowed", tolerance * rms);
                // A branch without a gradient could be left out unseen.
                assert!(parts.iter().all(|part| part.iter().any(|&g| g != 0.0)), "{what}: a branch adds nothing");
            }
        }
    }
}

#[test]
fn branches_are_the_rows_of_a_batch_in_order() {
    let rows = Branch::ALL.map(|branch| branch.rows(4));
    assert_eq!(rows, [0..4, 4..8, 8..12]);
}

/// A row is computed from its own image in the same order whatever the batch: equal to the last bit.
#[test]
fn embeddings_on_the_cpu() {
    assert_embeddings(cpu::Runner::<f64>::new, 0.0);
}

/// Another batch may get another shader, which sums in another order.
#[test]
fn embeddings_on_the_gpu() {
    let device = crate::common::device();
    assert_embeddings(|plan| gpu::Runner::new(device.clone(), plan).unwrap(), 1e-5);
}

/// The sums over rows are grouped otherwise, in f64.
#[test]
fn gradients_on_the_cpu() {
    assert_gradients(cpu::Runner::<f64>::new, 1e-12);
}

/// The sums over rows are grouped otherwise, in f32: up to 21 rows of 110 pixels, each rounded by 2⁻²⁴ of a partial
/// sum.
#[test]
fn gradients_on_the_gpu() {
    let device = crate::common::device();
    assert_gradients(|plan| gpu::Runner::new(device.clone(), plan).unwrap(), 2e-5);
}

/// There is one set of weights: no slot of the training plan belongs to one branch alone.
#[test]
fn weights_exist_once() {
    for case in Case::all() {
        let plan = training_plan(&case.net, &case.source, &case.config);
        let single = inference_plan(&case.net, &case.source, 1, slots::PARAMETERS);
        assert_eq!(plan.bytes_of(Role::Parameter), single.bytes_of(Role::Parameter), "{}", case.net.spec);
        // Each gradient has one writer: nothing is added up across branches behind the sums over rows.
        for parameter in case.net.parameters() {
            let gradient = plan.id(&format!("{}.gradient", parameter.name));
            let writers = plan.calls().iter().filter(|call| call.args.last() == Some(&gradient)).count();
            assert_eq!(writers, 1, "{}: calls that write the gradient of {}", case.net.spec, parameter.name);
        }
    }
}

/// With mirror images an embedding is the sum of the image's and its mirror image's, made of length 1 again; so that of
/// the mirror image is the same.
fn assert_flip<R: Exact>(make: impl Fn(Arc<Plan>) -> R, tolerance: f64) {
    for case in Case::all().into_iter().filter(|case| case.net.normalises()) {
        let [height, width, channels] = case.net.input;
        let (pixels, dims) = (case.net.pixels(), case.net.dims());
        let mut mirrored = Case { bytes: vec![], ..case.clone() };
        let bytes: Vec<u8> = case.bytes.iter().flat_map(|word| word.to_le_bytes()).take(IMAGES * pixels).collect();
        let lines = bytes.chunks(width * channels);
        mirrored.bytes =
            pack(&lines.flat_map(|line| line.chunks(channels).rev().flatten().copied()).collect::<Vec<_>>());
        assert_eq!(bytes.len() / height / width / channels, IMAGES);
        let embed = |case: &Case, flip| {
            let net = Net { flip, ..case.net.clone() };
            let plan = inference_plan(&net, &case.source, case.rows.len(), slots::PARAMETERS);
            let name = embedding_slot(&net, &plan).to_owned();
            let mut runner = case.runner(&make, plan, &case.rows);
            runner.run(runner.plan().all()).unwrap();
            runner.get(&name)
        };
        let sum: Vec<f64> = embed(&case, false).iter().zip(embed(&mirrored, false)).map(|(a, b)| a + b).collect();
        let expected: Vec<f64> = sum
            .chunks(dims)
            .flat_map(|row| {
                let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
                row.iter().map(move |value| value / length)
            })
            .collect();
        for case in [&case, &mirrored] {
            let apart = crate::common::apart(&embed(case, true), &expected);
            assert!(apart <= tolerance, "{}: {apart}", case.net.spec);
        }
        assert!(
            crate::common::apart(&embed(&case, false), &expected) > 1e-3,
            "{}: mirroring does something",
            case.net.spec
        );
    }
}

#[test]
fn mirror_images_take_part_on_the_cpu() {
    assert_flip(cpu::Runner::<f64>::new, 1e-12);
}

#[test]
fn mirror_images_take_part_on_the_gpu() {
    let device = crate::common::device();
    assert_flip(|plan| gpu::Runner::new(device.clone(), plan).unwrap(), 1e-5);
}
