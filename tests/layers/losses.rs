//! What the losses on pairs make of a batch, through their whole part of a plan, is what pytorch-metric-learning makes
//! of it: loss and gradient, on both runners. `tests/golden/losses.py` wrote the file.

use std::path::Path;
use std::sync::Arc;

use safetensors::{Dtype, SafeTensors};
use siamese::kernel::Element;
use siamese::kernels::{L2Norm, L2NormDx, L2NormShape, terms};
use siamese::losses::{Embeddings, LABELS, Loss};
use siamese::plan::{Builder, Plan, Role, Section};
use siamese::run::Runner;
use siamese::sampler::{Batch, Mining};
use siamese::{cpu, gpu};

/// The file, read.
struct Golden {
    bytes: Vec<u8>,
    losses: Vec<Loss>,
    texts: Vec<String>,
    batches: Vec<String>,
}

impl Golden {
    fn open() -> Golden {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/losses.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let list = |entry: &str| -> Vec<String> {
            serde_json::from_str(&header.metadata().as_ref().expect("metadata")[entry]).unwrap()
        };
        let (texts, batches) = (list("losses"), list("batches"));
        let losses = texts.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{error}"))).collect();
        Golden { bytes, losses, texts, batches }
    }

    /// Dimensions and values.
    fn get(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let words = tensor.data().as_chunks().0.iter();
        let values = match tensor.dtype() {
            Dtype::F64 => words.map(|&bytes| f64::from_le_bytes(bytes)).collect(),
            Dtype::I64 => words.map(|&bytes| i64::from_le_bytes(bytes) as f64).collect(),
            other => panic!("{name}: element type {other:?}"),
        };
        (tensor.shape().to_vec(), values)
    }
}

/// Rows given length 1, the loss of that, and its gradient by the rows as they were.
fn plan(loss: Loss, rows: usize, dims: usize) -> Plan {
    let mut builder = Builder::default();
    let x = builder.slot("x", Element::F32, &[rows, dims], Role::Input);
    let y = builder.activation("y", &[rows, dims]);
    let norm = builder.activation("norm", &[rows]);
    let shape = L2NormShape { rows, dims };
    builder.call::<L2Norm>(Section::Forward, shape.clone(), &[x, y, norm]);
    // What a batch is drawn from does not matter; its labels are written.
    let batch = Batch::Mined { labels: rows / 2, images: 2, mining: Mining::SemiHard };
    let lowered = loss.lower(
        &mut builder,
        &Embeddings { slot: y, dims, batch: &batch, classes: rows, memory: 0, old: false, tensors: &[] },
    );
    let dx = builder.activation("dx", &[rows, dims]);
    builder.call::<L2NormDx>(Section::Backward, shape, &[y, norm, lowered.gradient, dx]);
    builder.finish().unshared()
}

/// The largest difference, relative to the value, the root of the mean square, or `least`.
fn apart(got: &[f64], expected: &[f64], least: f64) -> f64 {
    assert_eq!(got.len(), expected.len());
    let rms = (expected.iter().map(|value| value * value).sum::<f64>() / expected.len() as f64).sqrt();
    let off = |(got, expected): (&f64, &f64)| {
        let off = (got - expected).abs() / expected.abs().max(rms).max(least);
        // Of what is 0 altogether, 0 is right.
        if got == expected { 0.0 } else { off }
    };
    // NaN is in no bound: it comes last in this order.
    got.iter().zip(expected).map(off).max_by(f64::total_cmp).unwrap_or(0.0)
}

/// Loss and gradient by the terms and the last slot of a runner.
fn compare(
    golden: &Golden,
    what: &str,
    allowed: impl Fn(&Loss, &str) -> f64,
    run: impl Fn(Plan, &[f64], &[u32]) -> [Vec<f64>; 2],
) {
    for (loss, text) in golden.losses.iter().zip(&golden.texts) {
        for batch in &golden.batches {
            let (dims, x) = golden.get(&format!("{batch}.x"));
            let labels: Vec<u32> = golden.get(&format!("{batch}.labels")).1.iter().map(|&label| label as u32).collect();
            let [found, dx] = run(plan(*loss, dims[0], dims[1]), &x, &labels);
            let columns = loss.terms().len();
            let sum = |column: usize| found.iter().skip(column).step_by(columns).sum::<f64>();
            let value = sum(terms::COST) / sum(terms::COUNT).max(1.0);
            // The logarithm of 1 and a little is off by what 1 is rounded by.
            for (part, got, least) in [("loss", &[value][..], 0.01), ("dx", &dx, 0.0)] {
                let off = apart(got, &golden.get(&format!("{text}.{batch}.{part}")).1, least);
                let allowed = allowed(loss, batch);
                assert!(off <= allowed, "{what}: {text}, {batch}: {part} is {off:e} off, allowed {allowed:e}");
            }
        }
    }
}

/// In f64. From 20 on the logarithm in PyTorch's circle loss is its argument, which is off by e⁻²⁰.
fn exact(loss: &Loss, _: &str) -> f64 {
    if matches!(loss, Loss::Circle(_)) { 4e-9 } else { 1e-9 }
}

/// In f32. Rows almost at one point have small differences of large values; exponents of the circle loss are up to γ
/// times (1+m)², and their absolute errors are relative ones of what is summed.
fn rounded(loss: &Loss, batch: &str) -> f64 {
    let conditioned = if batch == "almost one point" { 5.0 } else { 1.0 };
    let exponents = if let Loss::Circle(circle) = loss { (circle.scale / 16.0).into() } else { 1.0 };
    1e-5 * f64::max(conditioned, exponents)
}

/// What a runner in f32 makes of a plan.
fn single(mut runner: impl Runner, x: &[f64], labels: &[u32]) -> [Vec<f64>; 2] {
    let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
    let [slot, label] = ["x", LABELS].map(|name| runner.plan().id(name));
    runner.write(slot, x.as_slice()).unwrap();
    runner.write(label, labels).unwrap();
    let all = runner.plan().all();
    runner.run(all).unwrap();
    ["terms", "dx"].map(|name| {
        let slot = runner.plan().id(name);
        runner.read(slot).unwrap().floats().iter().map(|&value| f64::from(value)).collect()
    })
}

#[test]
fn every_loss_on_pairs_has_cases() {
    let golden = Golden::open();
    for loss in Loss::all().iter().filter(|loss| loss.is_on_pairs()) {
        let cases: Vec<_> = golden.losses.iter().filter(|case| case.name() == loss.name()).collect();
        assert!(cases.contains(&loss), "{loss}: the file has not its defaults");
        assert!(cases.len() > 1, "{loss}: the file has no other settings");
    }
}

#[test]
fn exactly() {
    compare(&Golden::open(), "cpu f64", exact, |plan, x, labels| {
        let mut runner = cpu::Runner::<f64>::new(Arc::new(plan));
        let [slot, label] = ["x", LABELS].map(|name| runner.plan().id(name));
        runner.set(slot, x);
        runner.write(label, labels).unwrap();
        let all = runner.plan().all();
        runner.run(all).unwrap();
        ["terms", "dx"].map(|name| runner.get(runner.plan().id(name)).floats().to_vec())
    });
}

#[test]
fn on_the_cpu() {
    compare(&Golden::open(), "cpu", rounded, |plan, x, labels| {
        single(cpu::Runner::<f32>::new(Arc::new(plan)), x, labels)
    });
}

#[test]
fn on_the_gpu() {
    let device = crate::common::device();
    compare(&Golden::open(), "gpu", rounded, |plan, x, labels| {
        single(gpu::Runner::new(device.clone(), Arc::new(plan)).unwrap(), x, labels)
    });
}
