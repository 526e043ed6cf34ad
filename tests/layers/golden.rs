//! The second link of the proof: PyTorch and the CPU reference agree, operation by operation and on a whole network
//! that comes out of a checkpoint file, gradients and Adam included. The files under `tests/golden` were written by
//! `tests/golden/pytorch.py`; the layouts in them are PyTorch's, and are turned into ours here, with code of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::config::{Config, PRESETS, Preset, Schedule, Update};
use siamese::error::Error;
use siamese::head::Head;
use siamese::host::{Array, pack};
use siamese::kernels::{
    ActDx, ActDxShape, Activation, Adam, AdamGroups, AdamGroupsShape, AdamShape, Conv2d, Conv2dDw, Conv2dDwShape,
    Conv2dDx, Conv2dShape, Dense, DenseDw, DenseDwShape, DenseDx, DenseDxShape, DenseShape, Distances, DistancesShape,
    L2Norm, L2NormDx, L2NormShape, MaxPool, MaxPoolDx, Mine, MineDx, MineDxShape, MineHard, MineShape, PoolShape,
    Scale, SumRows, SumRowsShape, Taps, TopK, TopKShape, Triplet, TripletDx, TripletShape, Warp, WarpShape, Window,
    terms,
};
use siamese::losses::{Distance, GRADIENT_NORM, LOSS, NON_FINITE};
use siamese::net::Net;
use siamese::plan::Section;
use siamese::run::Runner;
use siamese::sampler::Mining;
use siamese::siamese::{Source, Stats, embedding_slot, inference_plan, slots, training_plan};
use siamese::{cpu, gpu};

use crate::reference::{Outputs, floats, run};

/// A file of `tests/golden`.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// What is compared with float64 of PyTorch by a reference in f64: nothing but the order of sums differs.
const F64: f64 = 1e-12;

// ------------------------------------------------------------------------------------------------------- the files

/// A tensor of a file, in PyTorch's layout.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub dims: Vec<usize>,
    pub values: Vec<f64>,
}

impl Tensor {
    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this one.
    fn permuted(&self, axes: &[usize]) -> Tensor {
        let strides: Vec<usize> = (0..self.dims.len()).map(|axis| self.dims[axis + 1..].iter().product()).collect();
        let dims: Vec<usize> = axes.iter().map(|&axis| self.dims[axis]).collect();
        let place = |mut index: usize| {
            let mut from = 0;
            for (&axis, &size) in axes.iter().zip(&dims).rev() {
                from += index % size * strides[axis];
                index /= size;
            }
            from
        };
        let values = (0..self.values.len()).map(|index| self.values[place(index)]).collect();
        Tensor { dims, values }
    }

    /// `[rows, channels, height, width]` as our `[rows, height, width, channels]`.
    fn nhwc(&self) -> Tensor {
        self.permuted(&[0, 2, 3, 1])
    }

    /// A convolution's `[out, in, kernel, kernel]` as our `[kernel, kernel, in, out]`.
    fn taps(&self) -> Tensor {
        self.permuted(&[2, 3, 1, 0])
    }

    /// A linear layer's `[out, in]` as our `[in, out]`.
    fn transposed(&self) -> Tensor {
        self.permuted(&[1, 0])
    }

    fn array(&self) -> Array<f64> {
        floats(&self.values)
    }
}

/// A safetensors file.
pub struct File {
    bytes: Vec<u8>,
}

impl File {
    pub fn open(path: &Path) -> File {
        File { bytes: std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())) }
    }

    pub fn get(&self, name: &str) -> Tensor {
        let file = SafeTensors::deserialize(&self.bytes).expect("a whole file");
        let tensor = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F64 => data.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect(),
            Dtype::F32 => data.as_chunks().0.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect(),
            Dtype::F16 => data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f64()).collect(),
            Dtype::I64 => data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f64).collect(),
            Dtype::U8 => data.iter().map(|&byte| f64::from(byte)).collect(),
            other => panic!("{name}: element type {other:?}"),
        };
        Tensor { dims: tensor.shape().to_vec(), values }
    }

    fn names(&self) -> Vec<String> {
        let file = SafeTensors::deserialize(&self.bytes).expect("a whole file");
        file.names().into_iter().map(|name| name.to_owned()).collect()
    }

    fn metadata(&self, entry: &str) -> String {
        let (_, header) = SafeTensors::read_metadata(&self.bytes).expect("a whole file");
        header.metadata().as_ref().expect("metadata")[entry].clone()
    }
}

/// The settings of the cases that are not in the shapes of their tensors.
#[derive(Deserialize)]
struct Cases {
    conv2d: Vec<ConvCase>,
    max_pool2d: Vec<PoolCase>,
    linear: Vec<LinearCase>,
    triplet: Vec<TripletCase>,
    mined: Vec<MinedCase>,
    warp: Vec<WarpCase>,
}

#[derive(Deserialize)]
struct ConvCase {
    stride: usize,
    same: bool,
    activation: String,
}

#[derive(Deserialize)]
struct PoolCase {
    size: usize,
}

#[derive(Deserialize)]
struct LinearCase {
    activation: String,
}

#[derive(Deserialize)]
struct TripletCase {
    margin: f32,
    distance: Distance,
}

#[derive(Deserialize)]
struct MinedCase {
    labels: usize,
    images: usize,
    mining: Mining,
    margin: f32,
    sharpness: f32,
}

#[derive(Deserialize)]
struct WarpCase {
    elastic: f32,
}

fn operations() -> (File, Cases) {
    let file = File::open(&golden("pytorch.safetensors"));
    let cases = serde_json::from_str(&file.metadata("cases")).expect("the cases");
    (file, cases)
}

fn activation(name: &str) -> Activation {
    match name {
        "none" => Activation::None,
        "relu" => Activation::Relu,
        "sigmoid" => Activation::Sigmoid,
        other => panic!("activation {other}"),
    }
}

/// Largest difference, relative to the expected value or the root mean square of them all, whichever is larger.
fn difference(what: &str, got: &[f64], expected: &[f64]) -> (f64, String) {
    assert_eq!(got.len(), expected.len(), "{what}: number of elements");
    let rms = (expected.iter().map(|value| value * value).sum::<f64>() / expected.len() as f64).sqrt();
    let mut worst = (0.0, String::new());
    for (place, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let apart = if got == expected { 0.0 } else { (got - expected).abs() / expected.abs().max(rms) };
        // NaN is larger than nothing, and must not pass for that.
        if apart > worst.0 || apart.is_nan() {
            worst = (apart, format!("{what}[{place}] is {got:e}, PyTorch has {expected:e}: apart by {apart:.1e}"));
        }
    }
    worst
}

fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    let (apart, text) = difference(what, got, expected);
    assert!(apart <= tolerance, "{text}, allowed {tolerance:e}");
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

// ------------------------------------------------------------------------------------------------ single operations

/// Through the activation's slope and the sum over rows, as the plan chains them: `dz` and `db`.
fn slope_and_bias(y: &Tensor, dy: &Tensor, activation: Activation, columns: usize) -> (Array<f64>, Outputs) {
    let length = y.values.len();
    let back = run::<ActDx>(ActDxShape { length, activation }, &[("y", y.array()), ("dy", dy.array())]);
    let dz = floats(back.floats("dz"));
    let shape = SumRowsShape { rows: length / columns, columns, splits: 1 };
    let db = run::<SumRows>(shape, &[("x", dz.clone())]);
    (dz, db)
}

#[test]
fn conv2d() {
    let (file, cases) = operations();
    for (number, case) in cases.conv2d.iter().enumerate() {
        let get = |key: &str| file.get(&format!("conv2d.{number}.{key}"));
        let what = |key: &str| format!("conv2d {number}: {key}");
        let (x, w, b, y, dy) = (get("x").nhwc(), get("w").taps(), get("b"), get("y").nhwc(), get("dy").nhwc());
        let dims = x.dims.clone().try_into().expect("four axes");
        let (kernel, out_channels) = (w.dims[0], w.dims[3]);
        let window = Window::new(dims, out_channels, &Taps::square(kernel, case.stride, case.same)).expect("a window");
        assert_eq!(y.dims, [window.batch, window.out_height, window.out_width, out_channels], "conv2d {number}: shape");
        let activation = activation(&case.activation);

        let forward = Conv2dShape { window: window.clone(), activation };
        let made = run::<Conv2d>(forward, &[("x", x.array()), ("w", w.array()), ("b", b.array())]);
        assert_close(&what("y"), made.floats("y"), &y.values, F64);
        let (dz, db) = slope_and_bias(&y, &dy, activation, out_channels);
        assert_close(&what("db"), db.floats("y"), &get("db").values, F64);
        let dx = run::<Conv2dDx>(window.clone(), &[("dz", dz.clone()), ("w", w.array())]);
        assert_close(&what("dx"), dx.floats("dx"), &get("dx").nhwc().values, F64);
        let dw = run::<Conv2dDw>(Conv2dDwShape { window, splits: 1 }, &[("x", x.array()), ("dz", dz)]);
        assert_close(&what("dw"), dw.floats("dw"), &get("dw").taps().values, F64);
    }
}

#[test]
fn max_pool2d() {
    let (file, cases) = operations();
    for (number, &PoolCase { size }) in cases.max_pool2d.iter().enumerate() {
        let get = |key: &str| file.get(&format!("max_pool2d.{number}.{key}"));
        let what = |key: &str| format!("max_pool2d {number}: {key}");
        let (x, y, dy) = (get("x").nhwc(), get("y").nhwc(), get("dy").nhwc());
        let shape = PoolShape::new(x.dims.clone().try_into().expect("four axes"), size, size, 0).expect("a pool");
        let made = run::<MaxPool>(shape.clone(), &[("x", x.array())]);
        assert_eq!(made.floats("y"), y.values, "{}", what("y"));

        // PyTorch counts pixels of the image, we count pixels of the window.
        let indices = get("indices").nhwc();
        let [out_height, out_width, channels] = [y.dims[1], y.dims[2], y.dims[3]];
        let places: Vec<u32> = (0..indices.values.len())
            .map(|at| {
                let pixel = indices.values[at] as usize;
                let (oy, ox) = (at / channels / out_width % out_height, at / channels % out_width);
                let (ky, kx) = (pixel / shape.in_width - oy * size, pixel % shape.in_width - ox * size);
                (ky * size + kx) as u32
            })
            .collect();
        let argmax = made.array("argmax");
        assert_eq!(argmax.uints(), places, "{}", what("argmax"));
        let back = run::<MaxPoolDx>(shape, &[("dy", dy.array()), ("argmax", argmax.clone())]);
        assert_eq!(back.floats("dx"), get("dx").nhwc().values, "{}", what("dx"));
    }
}

#[test]
fn linear() {
    let (file, cases) = operations();
    for (number, case) in cases.linear.iter().enumerate() {
        let get = |key: &str| file.get(&format!("linear.{number}.{key}"));
        let what = |key: &str| format!("linear {number}: {key}");
        let (x, w, b, y, dy) = (get("x"), get("w").transposed(), get("b"), get("y"), get("dy"));
        let (rows, inputs, outputs) = (x.dims[0], x.dims[1], w.dims[1]);
        let activation = activation(&case.activation);
        let forward = DenseShape { rows, inputs, outputs, activation };
        let made = run::<Dense>(forward, &[("x", x.array()), ("w", w.array()), ("b", b.array())]);
        assert_close(&what("y"), made.floats("y"), &y.values, F64);
        let (dz, db) = slope_and_bias(&y, &dy, activation, outputs);
        assert_close(&what("db"), db.floats("y"), &get("db").values, F64);
        let shape = DenseDxShape { rows, inputs, outputs };
        let dx = run::<DenseDx>(shape, &[("dz", dz.clone()), ("w", w.array())]);
        assert_close(&what("dx"), dx.floats("dx"), &get("dx").values, F64);
        let shape = DenseDwShape { rows, inputs, outputs, splits: 1 };
        let dw = run::<DenseDw>(shape, &[("x", x.array()), ("dz", dz)]);
        assert_close(&what("dw"), dw.floats("dw"), &get("dw").transposed().values, F64);
    }
}

#[test]
fn normalize() {
    let (file, _) = operations();
    let get = |key: &str| file.get(&format!("normalize.{key}"));
    let x = get("x");
    let shape = L2NormShape { rows: x.dims[0], dims: x.dims[1] };
    let made = run::<L2Norm>(shape.clone(), &[("x", x.array())]);
    assert_close("normalize: y", made.floats("y"), &get("y").values, F64);
    let inputs = [("y", floats(made.floats("y"))), ("norm", floats(made.floats("norm"))), ("dy", get("dy").array())];
    let back = run::<L2NormDx>(shape.clone(), &inputs);
    // Row by row: the gradient of the row of zeros is some 1e12 times that of the others.
    for (row, (got, expected)) in
        back.floats("dx").chunks(shape.dims).zip(get("dx").values.chunks(shape.dims)).enumerate()
    {
        assert_close(&format!("normalize: dx of row {row}"), got, expected, F64);
    }
}

#[test]
fn triplet_loss() {
    let (file, cases) = operations();
    for (number, case) in cases.triplet.iter().enumerate() {
        let get = |key: &str| file.get(&format!("triplet.{number}.{key}"));
        let what = |key: &str| format!("triplet {number}: {key}");
        let e = get("e");
        let (triplets, dims) = (e.dims[0] / 3, e.dims[1]);
        // The scale of a mean of five is rounded to f32.
        let tolerance = if case.distance == Distance::MeanSquare { 2.0f64.powi(-24) } else { F64 };
        let shape =
            TripletShape { triplets, dims, margin: case.margin, sharpness: 0.0, scale: case.distance.scale(dims) };
        let made = run::<Triplet>(shape.clone(), &[("e", e.array())]);
        let rows = || made.floats("terms").chunks(terms::TRIPLET);
        let column = |place: usize| rows().map(|terms| terms[place]).collect::<Vec<_>>();
        let loss = column(terms::COST).iter().sum::<f64>() / triplets as f64;
        assert_close(&what("loss"), &[loss], &get("loss").values, tolerance);
        assert_close(&what("d_ap"), &column(terms::D_AP), &get("ap").values, tolerance);
        assert_close(&what("d_an"), &column(terms::D_AN), &get("an").values, tolerance);
        let active = column(terms::ACTIVE).iter().sum::<f64>();
        assert!(0.0 < active && active < triplets as f64, "triplet {number}: both sides of the hinge must occur");
        let back = run::<TripletDx>(shape, &[("e", e.array()), ("terms", floats(made.floats("terms")))]);
        assert_close(&what("de"), back.floats("de"), &get("de").values, tolerance);
    }
}

#[test]
fn adam() {
    let (file, _) = operations();
    let get = |key: &str| file.get(&format!("adam.{key}"));
    let (gradients, steps) = (get("g"), get("steps"));
    let length = gradients.dims[1];
    let Update::Adam { beta1, beta2, epsilon, .. } = Update::ADAM;
    let mut p = get("p").array();
    let (mut m, mut v) = (floats(&vec![0.0; length]), floats(&vec![0.0; length]));
    let rows = gradients.values.chunks(length).zip(steps.values.chunks(length));
    for (step, (g, expected)) in (1u64..).zip(rows) {
        // The step's scalars before they are rounded to f32, so that the kernel can be compared in f64 …
        let correction = |beta: f32| 1.0 / (1.0 - f64::from(beta).powi(step as i32));
        let scalars = [f64::from(1e-3f32), correction(beta1), correction(beta2), 1.0];
        // … and as the trainer hands them over.
        let config = Config { learning_rate: 1e-3, schedule: Schedule::Constant, ..PRESETS[0].config() };
        assert_eq!(config.scalars(step).map(f64::from), scalars.map(|value| f64::from(value as f32)));
        let shape = AdamShape { length, beta1, beta2, epsilon, clip: 0.0, norm: 0 };
        let stats = floats(&[0.0; 2]);
        let inputs = [("step", floats(&scalars)), ("stats", stats), ("g", floats(g)), ("p", p), ("m", m), ("v", v)];
        let made = run::<Adam>(shape, &inputs);
        assert_close(&format!("adam: parameters after step {step}"), made.floats("p"), expected, F64);
        [p, m, v] = ["p", "m", "v"].map(|name| made.array(name).clone());
    }
    assert_close("adam: first moment", m.floats(), &get("m").values, F64);
    assert_close("adam: second moment", v.floats(), &get("v").values, F64);
}

/// Decoupled weight decay, and gradients shortened to a norm of 2 (PyTorch divides by the norm + 1e-6).
#[test]
fn adamw() {
    let (file, _) = operations();
    let get = |key: &str| file.get(&format!("adamw.{key}"));
    let (gradients, steps) = (get("g"), get("steps"));
    let length = gradients.dims[1];
    let Update::Adam { beta1, beta2, epsilon, .. } = Update::ADAM;
    let adam = AdamShape { length, beta1, beta2, epsilon, clip: 2.0, norm: 0 };
    let shape = AdamGroupsShape { adam, alike: length };
    let rates = floats(&[1.0, f64::from(0.1f32)]);
    let mut p = get("p").array();
    let (mut m, mut v) = (floats(&vec![0.0; length]), floats(&vec![0.0; length]));
    for (step, (g, expected)) in (1i32..).zip(gradients.values.chunks(length).zip(steps.values.chunks(length))) {
        let correction = |beta: f32| 1.0 / (1.0 - f64::from(beta).powi(step));
        let scalars = floats(&[f64::from(1e-3f32), correction(beta1), correction(beta2), 1.0]);
        let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(norm > 2.0, "a gradient that is not clipped shows nothing");
        let stats = floats(&[norm, 0.0]);
        let settings = [("step", scalars), ("stats", stats), ("rates", rates.clone())];
        let made = run::<AdamGroups>(
            shape.clone(),
            &[&settings[..], &[("g", floats(g)), ("p", p), ("m", m), ("v", v)]].concat(),
        );
        assert_close(&format!("adamw: parameters after step {step}"), made.floats("p"), expected, 1e-6);
        [p, m, v] = ["p", "m", "v"].map(|name| made.array(name).clone());
    }
}

#[test]
fn mined() {
    let (file, cases) = operations();
    for (number, case) in cases.mined.iter().enumerate() {
        let get = |key: &str| file.get(&format!("mined.{number}.{key}"));
        let what = |key: &str| format!("{:?} {number}: {key}", case.mining);
        let e = get("e");
        let (rows, dims) = (e.dims[0], e.dims[1]);
        let MinedCase { labels, images, mining, margin, sharpness } = *case;
        let distances = DistancesShape { queries: rows, references: rows, dims };
        let distance = run::<Distances>(distances, &[("query", e.array()), ("reference", e.array())]);
        let semi_hard = u32::from(mining == Mining::SemiHard);
        let shape = MineShape { labels, images, margin, sharpness, scale: 1.0, semi_hard };
        let inputs = [("distance", distance.array("distance").clone())];
        let made =
            if mining == Mining::BatchHard { run::<MineHard>(shape, &inputs) } else { run::<Mine>(shape, &inputs) };
        let totals = run::<SumRows>(
            SumRowsShape { rows, columns: terms::TRIPLET, splits: 1 },
            &[("x", made.array("terms").clone())],
        );
        let totals = totals.floats("y");
        let [cost, count] = [terms::COST, terms::COUNT].map(|column| totals[column]);
        assert!(count > 0.0 && cost > 0.0, "{}: no triplet counts", what("loss"));
        assert_close(&what("loss"), &[cost / count], &get("loss").values, F64);
        let inputs = [("e", e.array()), ("w", made.array("w").clone()), ("totals", floats(totals))];
        let shape = MineDxShape { labels, images, dims, scale: 1.0, columns: terms::TRIPLET };
        let back = run::<MineDx>(shape, &inputs);
        assert_close(&what("de"), back.floats("de"), &get("de").values, F64);
    }
}

#[test]
fn warp() {
    let (file, cases) = operations();
    for (number, case) in cases.warp.iter().enumerate() {
        let get = |key: &str| file.get(&format!("warp.{number}.{key}"));
        let (images, rows) = (get("images"), get("rows"));
        let [height, width, channels] = [1, 2, 3].map(|place| images.dims[place]);
        let (elastic, scale) = (case.elastic, Scale::by(1.0));
        let shape = WarpShape { images: images.dims[0], batch: rows.dims[0], height, width, channels, scale, elastic };
        let bytes: Vec<u8> = images.values.iter().map(|&byte| byte as u8).collect();
        let uints = |tensor: Tensor| Array::Uint(tensor.values.iter().map(|&value| value as u32).collect());
        let inputs = [
            ("bytes", Array::Uint(pack(&bytes))),
            ("rows", uints(rows)),
            ("maps", get("maps").array()),
            ("keys", uints(get("keys"))),
        ];
        let made: Vec<f64> = run::<Warp>(shape, &inputs).floats("x").iter().map(|x| x / 255.0).collect();
        assert_close(&format!("warp {number}"), &made, &get("y").values, 1e-12);
    }
}

#[test]
fn nearest() {
    let (file, _) = operations();
    let get = |key: &str| file.get(&format!("nearest.{key}"));
    let (query, reference, indices) = (get("query"), get("reference"), get("indices"));
    let (queries, references, dims, k) = (query.dims[0], reference.dims[0], query.dims[1], indices.dims[1]);
    let shape = DistancesShape { queries, references, dims };
    let made = run::<Distances>(shape, &[("query", query.array()), ("reference", reference.array())]);
    assert_close("nearest: distances", made.floats("distance"), &get("distance").values, F64);
    let distance = floats(made.floats("distance"));
    let found = run::<TopK>(TopKShape { queries, references, k }, &[("distance", distance)]);
    let expected: Vec<u32> = indices.values.iter().map(|&index| index as u32).collect();
    assert_eq!(found.array("index").uints(), expected, "nearest: row numbers");
}

// --------------------------------------------------------------------------------------------------- a whole network

/// How far a runner may be from PyTorch in float64, relative to the value or the root mean square of its tensor.
struct Allowed {
    embeddings: f64,
    gradients: f64,
    /// After ten steps of Adam: losses, parameters and moments.
    trained: f64,
}

/// In f64 there remain three roundings to f32, of at most 2⁻²⁴ each: of the pixels' factor 1/255, of the optimiser's
/// scalars, and of what is read. Gradients, and with them the moments, subtract embeddings that are a tenth apart, and
/// second moments are squares. Measured: 9e-8, 4e-7, 8e-7.
const EXACT: Allowed = Allowed { embeddings: 2e-7, gradients: 1e-6, trained: 2e-6 };
/// In f32 an embedding is some hundred roundings of 2⁻²⁴ away from its images, in an order that each shader has for
/// itself; gradients and moments as above. Measured: 7e-7, 6e-6, 5e-6.
const SINGLE: Allowed = Allowed { embeddings: 3e-6, gradients: 3e-5, trained: 3e-5 };

/// The tensors of a file under `prefix`, with the arena `arena` laid out as the file is.
fn assert_tensors(what: &str, net: &Net, arena: &[f32], file: &File, prefix: &str, tolerance: f64) {
    let plan = inference_plan(
        net,
        &Source { slot: "images".to_owned(), images: 1, scale: Scale::by(1.0), classes: 1 },
        1,
        slots::PARAMETERS,
    );
    for parameter in net.parameters() {
        let id = plan.id(&parameter.name);
        let (_, start) = plan.storage(id);
        let got = wide(&arena[start..start + plan.slot(id).len()]);
        let expected = file.get(&format!("{prefix}.{}", parameter.name));
        // Ours behind the last image are [row, column, channel, out], PyTorch's [out, channel, row, column].
        let expected = match expected.dims.len() {
            4 => expected.taps(),
            2 if parameter.name == "dense1.weight" => {
                let dense = net.nodes.iter().find(|node| node.name == "dense1").unwrap();
                let [height, width, channels] = net.inputs(dense)[0].image().unwrap();
                let outputs = expected.dims[0];
                Tensor { dims: vec![outputs, channels, height, width], ..expected }.permuted(&[2, 3, 1, 0])
            }
            2 => expected.transposed(),
            _ => expected,
        };
        assert_close(&format!("{what}: {prefix}.{}", parameter.name), &got, &expected.values, tolerance);
    }
}

fn assert_network<R: Runner>(what: &str, allowed: &Allowed, make: impl Fn(Arc<siamese::plan::Plan>) -> R) {
    let file = File::open(&golden("pytorch.safetensors"));
    let checkpoint = Checkpoint::load(&golden("checkpoint.safetensors")).expect("PyTorch's file");
    assert_eq!(checkpoint.moments, None, "an export has no moments");
    let (config, net) = (&checkpoint.config, checkpoint.net().unwrap());
    let images = file.get("network.images");
    let bytes: Vec<u8> = images.values.iter().map(|&byte| byte as u8).collect();
    assert_eq!(images.dims[1..], checkpoint.input, "images are [rows, height, width, channels] on both sides");
    let source = Source { slot: "golden.images".to_owned(), images: images.dims[0], scale: config.scale(), classes: 1 };
    let expected = file.get("network.embeddings");

    // The embeddings of all images by the inference plan.
    let mut runner = make(Arc::new(inference_plan(&net, &source, source.images, slots::PARAMETERS)));
    let id = |runner: &R, name: &str| runner.plan().id(name);
    let all: Vec<u32> = (0..source.images as u32).collect();
    runner.write(id(&runner, &source.slot), pack(&bytes).as_slice()).unwrap();
    runner.write(id(&runner, slots::ROWS), all.as_slice()).unwrap();
    checkpoint.restore(&mut runner).unwrap();
    let calls = runner.plan().all();
    runner.run(calls).unwrap();
    let embeddings = runner.read(id(&runner, embedding_slot(&net, runner.plan()))).unwrap();
    assert_close(&format!("{what}: embeddings"), &wide(embeddings.floats()), &expected.values, allowed.embeddings);

    // Ten training steps on one batch.
    let mut runner = make(Arc::new(training_plan(&net, &source, config).unshared()));
    let rows: Vec<u32> = file.get("network.rows").values.iter().map(|&row| row as u32).collect();
    runner.write(id(&runner, &source.slot), pack(&bytes).as_slice()).unwrap();
    runner.write(id(&runner, slots::ROWS), rows.as_slice()).unwrap();
    checkpoint.restore(&mut runner).unwrap();
    let update = runner.plan().section(Section::Update);
    let mut losses = Vec::new();
    for step in 1..=10 {
        let scalars = config.scalars(step);
        runner.write(id(&runner, slots::STEP), scalars.as_slice()).unwrap();
        runner.run(0..update.start).unwrap();
        if step == 1 {
            let embeddings = runner.read(id(&runner, embedding_slot(&net, runner.plan()))).unwrap();
            let dims = net.dims();
            let expected: Vec<f64> =
                rows.iter().flat_map(|&row| expected.values[row as usize * dims..][..dims].to_vec()).collect();
            let what_rows = format!("{what}: embeddings of the batch");
            assert_close(&what_rows, &wide(embeddings.floats()), &expected, allowed.embeddings);
            let gradients = runner.read(id(&runner, "gradients")).unwrap();
            assert_tensors(what, &net, gradients.floats(), &file, "network.gradient", allowed.gradients);
        }
        runner.run(update.clone()).unwrap();
        let stats = runner.read(id(&runner, slots::STATS)).unwrap();
        let stats = Stats::new(runner.plan().statistics(), stats.floats());
        losses.push(f64::from(stats.get(LOSS)));
        if step == 1 {
            let got = wide(&[LOSS, "active", "d_ap", "d_an", GRADIENT_NORM].map(|name| stats.get(name)));
            for (got, expected) in got.iter().zip(file.get("network.stats").values) {
                assert_close(&format!("{what}: statistics"), &[*got], &[expected], allowed.gradients);
            }
            assert_eq!(stats.get(NON_FINITE), 0.0, "{what}: non-finite gradients");
        }
    }
    assert_close(&format!("{what}: losses"), &losses, &file.get("network.losses").values, allowed.trained);
    let trained = Checkpoint::of(config, &net, &Head::new(config, net.dims(), 1), 10, &mut runner).unwrap();
    assert_tensors(what, &net, &trained.parameters, &file, "network.after", allowed.trained);
    let [first, second] = trained.moments.as_ref().expect("a training runner has moments");
    assert_tensors(what, &net, first, &file, "network.exp_avg", allowed.trained);
    assert_tensors(what, &net, second, &file, "network.exp_avg_sq", allowed.trained);

    // What is saved is what PyTorch would have saved.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trained.safetensors");
    trained.save(&path, Precision::F32).unwrap();
    let saved = File::open(&path);
    for (prefix, other) in [("", "network.after"), ("adam.m.", "network.exp_avg"), ("adam.v.", "network.exp_avg_sq")] {
        for parameter in net.parameters() {
            let name = format!("{prefix}{}", parameter.name);
            let (got, expected) = (saved.get(&name), file.get(&format!("{other}.{}", parameter.name)));
            assert_eq!(got.dims, expected.dims, "{what}: dimensions of `{name}` in a file");
            assert_close(&format!("{what}: `{name}` in a file"), &got.values, &expected.values, allowed.trained);
        }
    }
}

#[test]
fn network_on_the_cpu_in_f64() {
    assert_network("cpu f64", &EXACT, cpu::Runner::<f64>::new);
}

#[test]
fn network_on_the_cpu() {
    assert_network("cpu", &SINGLE, cpu::Runner::<f32>::new);
}

#[test]
fn network_on_the_gpu() {
    let device = crate::common::device();
    assert_network("gpu", &SINGLE, |plan| gpu::Runner::new(device.clone(), plan).unwrap());
}

// -------------------------------------------------------------------------------------------------- checkpoint files

/// A checkpoint whose every value is different.
fn checkpoint(config: Config, input: [usize; 3]) -> Checkpoint {
    let net = Net::parse(&config.spec, input).unwrap();
    let mut checkpoint = Checkpoint::initial(&config, &net);
    // Only the tensors are saved, not the gaps between them in an arena.
    let tensors: Vec<_> = {
        let plan = inference_plan(
            &net,
            &Source { slot: "images".to_owned(), images: 1, scale: Scale::by(1.0), classes: 1 },
            1,
            slots::PARAMETERS,
        );
        let ranges = net.parameters().into_iter().map(|parameter| {
            let id = plan.id(&parameter.name);
            let start = plan.storage(id).1;
            start..start + plan.slot(id).len()
        });
        ranges.collect()
    };
    let Checkpoint { parameters, moments: Some([first, second]), .. } = &mut checkpoint else {
        panic!("a fresh checkpoint has moments")
    };
    for place in tensors.into_iter().flatten() {
        parameters[place] = (place as f32).sin();
        first[place] = (place as f32).cos() * 1e-3;
        second[place] = 1e-7 + (place as f32 * 0.1).sin().abs() * 1e-5;
    }
    checkpoint.step = 1234;
    checkpoint
}

#[test]
fn a_saved_checkpoint_loads_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    // One without and one with states, which normalisations keep.
    let presets = ["cnn", "pictures"].map(|name| name.parse::<Preset>().unwrap());
    for preset in presets {
        let saved = checkpoint(preset.config(), preset.input);
        let path = folder.path().join(preset.name);
        saved.save(&path, Precision::F32).unwrap();
        let loaded = Checkpoint::load(&path).unwrap();
        assert!(loaded == saved, "{}: a checkpoint differs after save and load", preset.name);
        // A second save replaces the first.
        let later = Checkpoint { step: 1235, ..saved };
        later.save(&path, Precision::F32).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap().step, 1235, "{}: step of the second save", preset.name);
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, presets.len(), "a save leaves no temporary file");
}

#[test]
fn a_half_precision_export_is_the_rounded_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    let whole = Checkpoint { moments: None, ..checkpoint(PRESETS[0].config(), [9, 8, 2]) };
    whole.save(&path, Precision::F16).unwrap();
    let half = Checkpoint::load(&path).unwrap();
    let rounded: Vec<f32> = whole.parameters.iter().map(|&value| f16::from_f32(value).to_f32()).collect();
    assert_eq!(half.parameters, rounded, "values of the export");
    assert_eq!(half.moments, None, "an export has no moments");
    assert_eq!((half.config, half.input, half.step), (whole.config, whole.input, whole.step));
    let file = File::open(&path);
    let names = file.names();
    assert!(names.iter().all(|name| !name.starts_with("adam.")), "tensors of an export: {names:?}");
}

#[test]
fn broken_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.safetensors");
    let refused = |bytes: &[u8], part: &str| {
        std::fs::write(&path, bytes).unwrap();
        match Checkpoint::load(&path) {
            Err(Error::Checkpoint { path: named, reason }) => {
                assert_eq!(named, path);
                assert!(reason.contains(part), "`{reason}` should name {part}");
            }
            other => panic!("expected a checkpoint error about {part}, got {other:?}"),
        }
    };
    let good = std::fs::read(golden("checkpoint.safetensors")).unwrap();
    refused(&good[..good.len() - 1], "safetensors");
    refused(b"", "safetensors");
    // Edits of equal length keep the header whole.
    let edited = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let place = good.windows(from.len()).position(|window| window == from.as_bytes());
        let place = place.unwrap_or_else(|| panic!("the file does not contain {from}"));
        let mut bytes = good.clone();
        bytes[place..place + from.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    refused(&edited("conv2.bias", "conv7.bias"), "conv2.bias");
    refused(&edited("\"shape\":[6,16]", "\"shape\":[16,6]"), "dense2.weight");
    refused(&edited(r#"\"step\": 0"#, r#"\"stop\": 0"#), "step");
    refused(&edited("dense16 relu", "dense16 rely"), "`rely` is no layer");
    refused(&edited("[14, 12, 3]", "[14, 12, x]"), "expected value");
    refused(&edited("\"siamese\"", "\"siamois\""), "no entry `siamese`");

    match Checkpoint::load(&folder.path().join("missing")) {
        Err(Error::Io { path: named, .. }) => assert!(named.ends_with("missing")),
        other => panic!("a missing file: {other:?}"),
    }
    let nowhere = folder.path().join("nowhere/checkpoint.safetensors");
    let whole = Checkpoint::load(&golden("checkpoint.safetensors")).unwrap();
    match whole.save(&nowhere, Precision::F32) {
        Err(Error::Io { path: named, .. }) => assert_eq!(named, nowhere),
        other => panic!("a save into a folder that is not there: {other:?}"),
    }
}
