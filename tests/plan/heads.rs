//! Losses that keep something besides the network, vectors of classes or embeddings of batches before, compute what
//! pytorch-metric-learning computes: loss, and its gradients by embeddings and vectors. The file was written by
//! `tests/golden/heads.py`.

use std::path::Path;
use std::sync::Arc;

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use siamese::config::{Config, PRESETS};
use siamese::head::Head;
use siamese::kernel::Element;
use siamese::kernels::{EMPTY, L2Norm, L2NormDx, L2NormShape, terms};
use siamese::losses::{Embeddings, LABELS, Loss, MEMORY_LABELS, MEMORY_POSITION, OLD};
use siamese::plan::{Builder, Plan, Role, Section};
use siamese::run::Runner;
use siamese::sampler::{Batch, Mining};
use siamese::{cpu, gpu};

#[derive(Deserialize)]
struct Case {
    loss: String,
    classes: usize,
    labels: usize,
    images: usize,
}

/// The tensors of a case.
struct Golden<'a> {
    file: SafeTensors<'a>,
    number: usize,
}

impl Golden<'_> {
    fn has(&self, name: &str) -> bool {
        self.file.tensor(&format!("{}.{name}", self.number)).is_ok()
    }

    fn dims(&self, name: &str) -> Vec<usize> {
        self.file.tensor(&format!("{}.{name}", self.number)).unwrap().shape().to_vec()
    }

    fn values(&self, name: &str) -> Vec<f64> {
        let tensor = self.file.tensor(&format!("{}.{name}", self.number)).unwrap();
        let words = tensor.data().as_chunks::<8>().0;
        match tensor.dtype() {
            Dtype::F64 => words.iter().map(|&word| f64::from_le_bytes(word)).collect(),
            Dtype::I64 => words.iter().map(|&word| i64::from_le_bytes(word) as f64).collect(),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Whether the package brings embeddings to length 1: for cosines, and for all pairs.
fn is_normalised(loss: &Loss, memory: usize) -> bool {
    loss.needs_unit_rows() || memory > 0
}

/// The plan of a loss on raw embeddings.
fn plan(loss: &Loss, batch: &Batch, sizes: [usize; 3]) -> Plan {
    plan_beside(loss, batch, sizes, false)
}

/// The same, paired with the embeddings of another model or not.
fn plan_beside(loss: &Loss, batch: &Batch, [dims, classes, memory]: [usize; 3], old: bool) -> Plan {
    let mut builder = Builder::default();
    let config = Config { loss: *loss, memory, ..PRESETS[0].config() };
    let rows = batch.rows();
    let raw = builder.slot("e", Element::F32, &[rows, dims], Role::Input);
    let shape = L2NormShape { rows, dims };
    let unit = is_normalised(loss, memory + usize::from(old)).then(|| {
        let (unit, norm) = (builder.activation("unit", &[rows, dims]), builder.activation("norm", &[rows]));
        builder.call::<L2Norm>(Section::Forward, shape.clone(), &[raw, unit, norm]);
        (unit, norm)
    });
    let tensors = Head::new(&config, dims, classes).declare(&mut builder);
    let slot = unit.map_or(raw, |(unit, _)| unit);
    let lowered = loss.lower(&mut builder, &Embeddings { slot, dims, batch, classes, memory, old, tensors: &tensors });
    if let Some((unit, norm)) = unit {
        let dx = builder.activation("de", &[rows, dims]);
        builder.call::<L2NormDx>(Section::Backward, shape, &[unit, norm, lowered.gradient, dx]);
    }
    builder.finish().unshared()
}

/// The largest difference, relative to the largest value.
fn apart(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    got.iter().zip(expected).fold(0.0, |most, (got, expected)| {
        let apart = (got - expected).abs() / largest;
        // NaN is larger than nothing, and must not pass for that.
        if apart > most || apart.is_nan() { apart } else { most }
    })
}

/// Runs a case; `set` writes real numbers to a slot, `get` reads them.
fn assert_case<R: Runner>(
    golden: &Golden,
    case: &Case,
    tolerance: f64,
    make: impl FnOnce(Arc<Plan>) -> R,
    set: impl Fn(&mut R, &str, &[f64]),
    get: impl Fn(&mut R, &str) -> Vec<f64>,
) {
    let loss: Loss = case.loss.parse().unwrap();
    let batch = Batch::Mined { labels: case.labels, images: case.images, mining: Mining::SemiHard };
    // Some places of a memory are empty yet.
    let memory = if golden.has("memory") { golden.dims("memory")[0] + 3 } else { 0 };
    let plan = Arc::new(plan(&loss, &batch, [golden.dims("e")[1], case.classes, memory]));
    let mut runner = make(plan.clone());
    let labels: Vec<u32> = golden.values("labels").iter().map(|&label| label as u32).collect();
    runner.write(plan.id(LABELS), labels.as_slice()).unwrap();
    set(&mut runner, "e", &golden.values("e"));
    if golden.has("w") {
        set(&mut runner, "head.weight", &golden.values("w"));
    }
    if golden.has("memory") {
        let mut values = golden.values("memory");
        values.resize(plan.slot(plan.id("head.memory")).len(), 0.0);
        set(&mut runner, "head.memory", &values);
        let mut labels: Vec<u32> = golden.values("memory_labels").iter().map(|&label| label as u32).collect();
        labels.resize(memory, EMPTY);
        runner.write(plan.id(MEMORY_LABELS), labels.as_slice()).unwrap();
        runner.write(plan.id(MEMORY_POSITION), [memory as u32 - 1].as_slice()).unwrap();
    }
    if golden.has("centres") {
        set(&mut runner, "head.centres", &golden.values("centres"));
    }
    runner.run(plan.all()).unwrap();

    let columns = loss.terms().len();
    let rows = get(&mut runner, "terms");
    let [cost, count] =
        [terms::COST, terms::COUNT].map(|column| rows.iter().skip(column).step_by(columns).sum::<f64>());
    let gradient = if is_normalised(&loss, memory) { "de" } else { "embedding.dx" };
    let mut compared = vec![
        ("loss", vec![cost / count], golden.values("loss")),
        ("de", get(&mut runner, gradient), golden.values("de")),
    ];
    if golden.has("dw") {
        compared.push(("dw", get(&mut runner, "head.weight.gradient"), golden.values("dw")));
    }
    if golden.has("memory") {
        // The first row has gone to the last place, the others to the first ones; the rest stays.
        let (mut rows, mut kept) = (get(&mut runner, "unit"), golden.values("memory"));
        let dims = golden.dims("e")[1];
        rows.rotate_left(dims);
        let (others, first) = rows.split_at(rows.len() - dims);
        kept.resize(memory * dims, 0.0);
        kept[..others.len()].copy_from_slice(others);
        kept[(memory - 1) * dims..].copy_from_slice(first);
        compared.push(("memory", get(&mut runner, "head.memory"), kept));
    }
    if golden.has("after") {
        compared.push(("centres", get(&mut runner, "head.centres"), golden.values("after")));
    }
    for (what, got, expected) in compared {
        let apart = apart(&got, &expected);
        assert!(apart <= tolerance, "{}: {what} is apart by {apart:e}, allowed {tolerance:e}", case.loss);
    }
}

#[test]
fn heads_are_those_of_pytorch_metric_learning() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/heads.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&header.metadata().as_ref().unwrap()["cases"]).unwrap();
    assert!(cases.len() > 4);
    let device = crate::common::device();
    for (number, case) in cases.iter().enumerate() {
        let golden = Golden { file: SafeTensors::deserialize(&bytes).unwrap(), number };
        // Cosine and sine of a margin are rounded to 32 bits.
        let exact = if case.loss.starts_with("arcface") { 1e-6 } else { 1e-12 };
        assert_case(
            &golden,
            case,
            exact,
            cpu::Runner::<f64>::new,
            |runner, name, values| {
                let slot = runner.plan().id(name);
                runner.set(slot, values);
            },
            |runner, name| runner.get(runner.plan().id(name)).floats().to_vec(),
        );
        fn set<R: Runner>(runner: &mut R, name: &str, values: &[f64]) {
            let slot = runner.plan().id(name);
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            runner.write(slot, values.as_slice()).unwrap();
        }
        fn get<R: Runner>(runner: &mut R, name: &str) -> Vec<f64> {
            let slot = runner.plan().id(name);
            runner.read(slot).unwrap().floats().iter().map(|&value| f64::from(value)).collect()
        }
        // Exponents are up to 32 times a cosine.
        assert_case(&golden, case, 3e-5, cpu::Runner::<f32>::new, set, get);
        assert_case(&golden, case, 3e-5, |plan| gpu::Runner::new(device.clone(), plan).unwrap(), set, get);
    }
}

/// Embeddings of another model are references as a memory of these very embeddings would be: the same terms, the same
/// gradient; and they stay as they are.
#[test]
fn old_embeddings_are_paired_as_a_memory_is() {
    let batch = Batch::Mined { labels: 3, images: 4, mining: Mining::SemiHard };
    let (rows, dims) = (batch.rows(), 5);
    let labels: Vec<u32> = (0..rows as u32).map(|row| row / 4).collect();
    let values = |seed: f32| -> Vec<f32> { (0..rows * dims).map(|at| (at as f32 * seed).sin()).collect() };
    let old: Vec<f32> = values(1.3)
        .chunks(dims)
        .flat_map(|row| {
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            row.iter().map(move |value| value / length)
        })
        .collect();
    for loss in Loss::all().iter().filter(|loss| loss.is_on_pairs()) {
        let run = |plan: Plan, references: &str| {
            let plan = Arc::new(plan);
            let mut runner = cpu::Runner::<f32>::new(plan.clone());
            runner.write(plan.id("e"), values(0.7).as_slice()).unwrap();
            runner.write(plan.id(LABELS), labels.as_slice()).unwrap();
            if references == "head.memory" {
                let mut arena = old.clone();
                arena.resize(plan.slot(plan.id(references)).len(), 0.0);
                runner.write(plan.id(references), arena.as_slice()).unwrap();
                runner.write(plan.id(MEMORY_LABELS), labels.as_slice()).unwrap();
                runner.write(plan.id(MEMORY_POSITION), [0].as_slice()).unwrap();
            } else if references == OLD {
                runner.write(plan.id(references), old.as_slice()).unwrap();
            }
            runner.run(plan.all()).unwrap();
            if references == OLD {
                assert_eq!(runner.read(plan.id(OLD)).unwrap().floats(), old, "{loss}");
            }
            ["terms", "de"].map(|name| runner.read(plan.id(name)).unwrap().floats().to_vec())
        };
        let found = run(plan_beside(loss, &batch, [dims, 3, 0], true), OLD);
        assert_eq!(found, run(plan(loss, &batch, [dims, 3, rows]), "head.memory"), "{loss}");
        if loss.needs_unit_rows() {
            let [terms, gradient] = run(plan(loss, &batch, [dims, 3, 0]), "");
            assert!(found[0] != terms && found[1] != gradient, "{loss}: the other model has a say");
        }
    }
}
