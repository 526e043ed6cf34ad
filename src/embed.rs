//! Embeddings of whole data sets, their nearest neighbours, and the evaluation made of both; generic over the runner.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::cpu;
use crate::data::store::{Images, Unreadable};
use crate::data::{Dataset, Parts};
use crate::error::{Error, Result};
use crate::eval::{self, Embedded, Evaluation, Nearest, Progress};
use crate::feed::Feed;
use crate::host::pack;
use crate::kernels::Scale;
use crate::losses::Distance;
use crate::net::Net;
use crate::plan::{Plan, Section, SlotId};
use crate::run::Runner;
use crate::siamese::{Source, embedding_slot, inference_plan, neighbours_plan, slots};

/// Images embedded at a time.
pub const BATCH: usize = 500;

/// Bytes of an array that every adapter binds: WebGPU's default limit.
pub(crate) const BINDING: usize = 128 << 20;

/// Bytes of images that are embedded at once: several batches are read ahead.
const PART: usize = 8 << 20;

/// The images that are embedded at once, of a set of so many.
pub fn batch(net: &Net, images: usize) -> usize {
    let few_bytes = (PART / net.pixels()).max(1);
    BATCH.min(images).min(few_bytes).min(net.rows_within(BINDING))
}

/// Embeds a data set with the parameters of `runner`, or their moving average where it keeps one: `[rows, dims]`.
/// Images that `runner` has on the device are not sent again; of others a batch at a time goes up. `progress` hears how
/// many images are done.
///
/// # Errors
/// What is wrong with an image; what the device reports.
pub fn embed<R: Runner>(
    runner: &R,
    net: &Net,
    data: &Dataset,
    scale: Scale,
    progress: impl FnMut(usize),
) -> Result<Vec<f32>> {
    if data.is_empty() {
        return Ok(Vec::new());
    }
    let batch = batch(net, data.len());
    let resident = Some(Source::new(data, scale)).filter(|source| runner.plan().find(&source.slot).is_some());
    let is_resident = resident.is_some();
    let source = resident.unwrap_or_else(|| Source::streamed(batch, 1, scale));
    let averaged = runner.plan().find(slots::AVERAGE).is_some();
    let arena = if averaged { slots::AVERAGE } else { slots::PARAMETERS };
    let mut fork = runner.fork(Arc::new(inference_plan(net, &source, batch, arena)))?;
    let prepare = fork.plan().section(Section::Prepare);
    fork.run(prepare)?;
    let mut passes = Passes::new(&mut fork, net, &source, batch);
    if is_resident { passes.resident(data.len(), progress) } else { passes.collected(&data.images, progress) }
}

/// Threads that read images which are not in memory.
fn readers(images: &Images) -> usize {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    if images.is_in_memory() { 1 } else { all }
}

/// Embeddings that were made together, of images in their order.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The row of the first image.
    pub first: usize,
    /// `[rows, dims]`.
    pub values: &'a [f32],
    /// Images of them that cannot be read, by row: their embeddings mean nothing.
    pub unreadable: Vec<Unreadable>,
}

/// Forward passes of an inference plan, some images at a time.
struct Passes<'a, R: Runner> {
    runner: &'a mut R,
    /// Images of a pass.
    batch: usize,
    dims: usize,
    images: SlotId,
    rows: SlotId,
    embedding: SlotId,
}

impl<'a, R: Runner> Passes<'a, R> {
    fn new(runner: &'a mut R, net: &Net, source: &Source, batch: usize) -> Passes<'a, R> {
        let [images, rows, embedding] =
            [&source.slot, slots::ROWS, embedding_slot(net, runner.plan())].map(|name| runner.plan().id(name));
        Passes { runner, batch, dims: net.dims(), images, rows, embedding }
    }

    /// Hands the embeddings of the first `count` of the images that are written to `take`.
    fn pass<T>(&mut self, count: usize, take: impl FnOnce(&[f32]) -> T) -> Result<T> {
        let each = self.runner.plan().each();
        self.runner.run(each)?;
        Ok(take(&self.runner.read(self.embedding)?.floats()[..count * self.dims]))
    }

    /// Of all `count` images of a set that lies on the device.
    fn resident(&mut self, count: usize, mut progress: impl FnMut(usize)) -> Result<Vec<f32>> {
        let mut embeddings = Vec::with_capacity(count * self.dims);
        for start in (0..count).step_by(self.batch) {
            let own = self.batch.min(count - start);
            // The last batch is filled up with its own last image.
            let numbers: Vec<u32> = (0..self.batch).map(|row| (start + row.min(own - 1)) as u32).collect();
            self.runner.write(self.rows, numbers.as_slice())?;
            self.pass(own, |values| embeddings.extend_from_slice(values))?;
            progress(start + own);
        }
        Ok(embeddings)
    }

    /// Of images that go up a batch at a time, all of which can be read.
    fn collected(&mut self, images: &Images, mut progress: impl FnMut(usize)) -> Result<Vec<f32>> {
        let dims = self.dims;
        let mut embeddings = Vec::with_capacity(images.len() * dims);
        self.streamed(images, |batch: Batch| {
            batch.unreadable.into_iter().next().map_or(Ok(()), |fault| Err(fault.error))?;
            embeddings.extend_from_slice(batch.values);
            progress(embeddings.len() / dims);
            Ok::<_, Error>(())
        })?;
        Ok(embeddings)
    }

    /// Of images that go up a batch at a time: `each` gets every batch as it is made.
    fn streamed<E: From<Error>>(
        &mut self,
        images: &Images,
        mut each: impl FnMut(Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        let (count, batch) = (images.len(), self.batch);
        let numbers: Vec<u32> = (0..batch as u32).collect();
        self.runner.write(self.rows, numbers.as_slice())?;
        let start = move |number: u64| number as usize * batch;
        let rows = move |number| {
            let start = start(number);
            // As above.
            (start < count).then(|| (start..start + batch).map(|row| row.min(count - 1) as u32).collect())
        };
        let mut feed = Feed::new(images.clone(), rows, 0, readers(images));
        for number in 0..count.div_ceil(batch) as u64 {
            let first = start(number);
            let own = batch.min(count - first);
            let (images, unreadable) = feed.take_readable();
            self.runner.write(self.images, images.as_slice())?;
            // What fills up the last batch has been told already.
            let unreadable = unreadable.into_iter().filter(|fault| fault.row < own);
            let unreadable = unreadable.map(|fault| Unreadable { row: first + fault.row, ..fault }).collect();
            self.pass(own, |values| each(Batch { first, values, unreadable }))??;
        }
        Ok(())
    }
}

/// Embeds any number of images with the weights of a model, some at a time in bounded memory.
pub struct Embedder<R: Runner> {
    runner: R,
    net: Net,
    source: Source,
}

impl<R: Runner> Embedder<R> {
    /// Makes the plan for `batch` images at once, and with `make` its runner; sends the weights, and runs the plan
    /// once, since drivers compile when something is first used.
    ///
    /// # Errors
    /// What `make` reports; [`Error::Spec`] if the model's spec cannot be understood.
    pub fn new(model: &Checkpoint, batch: usize, make: impl FnOnce(Arc<Plan>) -> Result<R>) -> Result<Embedder<R>> {
        let net = model.net()?;
        let source = Source::streamed(batch.clamp(1, net.most_rows()), 1, model.config.scale());
        let mut runner = make(Arc::new(inference_plan(&net, &source, source.images, slots::PARAMETERS)))?;
        model.export().restore(&mut runner)?;
        Embedder::begin(runner, net, source)
    }

    /// Another one of the same weights, for `batch` images at once.
    ///
    /// # Errors
    /// What the device reports.
    pub fn resized(&self, batch: usize) -> Result<Embedder<R>> {
        let Embedder { net, source, .. } = self;
        let source = Source { images: batch.clamp(1, net.most_rows()), ..source.clone() };
        let plan = Arc::new(inference_plan(net, &source, source.images, slots::PARAMETERS));
        Embedder::begin(self.runner.fork(plan)?, net.clone(), source)
    }

    /// With a runner that has the weights, whose plan is run once.
    fn begin(mut runner: R, net: Net, source: Source) -> Result<Embedder<R>> {
        runner.run(runner.plan().all())?;
        runner.read(runner.plan().id(embedding_slot(&net, runner.plan())))?;
        Ok(Embedder { runner, net, source })
    }

    /// Images that are embedded at once.
    pub fn batch(&self) -> usize {
        self.source.images
    }

    /// The embeddings `[rows, dims]` of images in memory, `[rows, height, width, channels]`, in one pass.
    ///
    /// # Errors
    /// What the device reports.
    ///
    /// # Panics
    /// If they are none, or more than [`Embedder::batch`].
    pub fn embed_at_once(&mut self, images: &[u8]) -> Result<Vec<f32>> {
        let rows = images.len() / self.net.pixels();
        assert!((1..=self.batch()).contains(&rows), "{rows} images at once, of {}", self.batch());
        let mut passes = self.passes();
        // Places that are left over take the last image.
        let numbers: Vec<u32> = (0..passes.batch).map(|row| row.min(rows - 1) as u32).collect();
        passes.runner.write(passes.rows, numbers.as_slice())?;
        let mut words = pack(images);
        words.resize(passes.runner.plan().slot(passes.images).len(), 0);
        passes.runner.write(passes.images, words.as_slice())?;
        passes.pass(rows, <[f32]>::to_vec)
    }

    /// What runs the plan.
    pub fn runner(&mut self) -> &mut R {
        &mut self.runner
    }

    /// The embeddings `[rows, dims]` of images. `progress` hears how many are done.
    ///
    /// # Errors
    /// What is wrong with an image; what the device reports.
    pub fn embed(&mut self, images: &Images, progress: impl FnMut(usize)) -> Result<Vec<f32>> {
        self.passes().collected(images, progress)
    }

    /// Hands the embeddings of images to `each` as they are made, a batch at a time and in order: no more than a few
    /// batches are in memory, however many images there are.
    ///
    /// # Errors
    /// What the device reports; what `each` answers.
    pub fn stream<E: From<Error>>(
        &mut self,
        images: &Images,
        each: impl FnMut(Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        self.passes().streamed(images, each)
    }

    fn passes(&mut self) -> Passes<'_, R> {
        Passes::new(&mut self.runner, &self.net, &self.source, self.source.images)
    }
}

/// Values of a tile of references at most: 64 MiB, which every device binds.
const TILE: usize = 1 << 24;

/// The `k` nearest of `references` for each of `queries`, both `[rows, dims]`: row numbers `[queries, k]`, nearest
/// first, of equally near ones the first; empty where there is none of either. Works in tiles of bounded memory: on the
/// device of `runner`, or where that is a driver of the host's processor, without the driver, many times as fast.
///
/// # Errors
/// What the device reports.
pub fn neighbours<R: Runner>(
    runner: &R,
    references: &[f32],
    queries: &[f32],
    dims: usize,
    k: usize,
    progress: impl FnMut(usize),
) -> Result<Vec<u32>> {
    if runner.is_on_host() {
        return search(|plan| Ok(cpu::Runner::<f32>::new(plan)), references, queries, dims, k, progress);
    }
    search(|plan| runner.fork(plan), references, queries, dims, k, progress)
}

/// As [`neighbours`], by the runner that `make` makes.
///
/// # Errors
/// What the device reports.
pub fn search<R: Runner>(
    make: impl FnOnce(Arc<Plan>) -> Result<R>,
    references: &[f32],
    queries: &[f32],
    dims: usize,
    k: usize,
    mut progress: impl FnMut(usize),
) -> Result<Vec<u32>> {
    let (reference_rows, query_rows) = (references.len() / dims, queries.len() / dims);
    if reference_rows == 0 || query_rows == 0 {
        return Ok(Vec::new());
    }
    let rows = (TILE / dims).max(k).min(reference_rows);
    let firsts: Vec<_> = (0..reference_rows).step_by(rows).collect();
    // The distances of a tile take as much as its references may.
    let tile = (TILE / rows).clamp(1, 1024).min(query_rows);
    let mut runner = make(Arc::new(neighbours_plan(tile, rows, dims, k)))?;
    let [query, reference, index, nearest] =
        [slots::QUERY, slots::REFERENCE, slots::INDEX, slots::NEAREST].map(|name| runner.plan().id(name));
    let all = runner.plan().all();
    let mut best: Vec<Vec<(f32, u32)>> = vec![Vec::with_capacity(2 * k); query_rows];
    let mut values = vec![0.0; tile * dims];
    for (done, &first) in firsts.iter().enumerate() {
        // All tiles are equally large: the last begins among references of the one before, which are told already.
        let start = first.min(reference_rows - rows);
        runner.write(reference, &references[start * dims..][..rows * dims])?;
        for (part, rows) in queries.chunks(tile * dims).enumerate() {
            values[..rows.len()].copy_from_slice(rows);
            runner.write(query, values.as_slice())?;
            runner.run(all.clone())?;
            let (index, nearest) = (runner.read(index)?, runner.read(nearest)?);
            let found = index.uints().chunks(k).zip(nearest.floats().chunks(k));
            for (best, (index, nearest)) in best[part * tile..].iter_mut().zip(found).take(rows.len() / dims) {
                let found = nearest.iter().zip(index).map(|(&distance, &row)| (distance, start as u32 + row));
                best.extend(found.filter(|&(_, row)| row as usize >= first));
                best.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                best.truncate(k);
            }
            progress((done * query_rows + part * tile + rows.len() / dims) / firsts.len());
        }
    }
    Ok(best.into_iter().flatten().map(|(_, row)| row).collect())
}

/// Positive pairs of the published protocol, and as many negative ones.
pub const PAIRS: usize = 50_000;
/// Seed of the published pair list.
pub const PAIR_SEED: u64 = 0;
/// False accept rate that a threshold is chosen for on the validation images, if there are any.
const TARGET_FAR: f64 = 1e-3;

/// What an evaluation of `parts` will leave out, by [`eval::left_out`]: it asks for no more than the labels, so that a
/// run can say it before its first step.
///
/// # Errors
/// [`Error::Config`] where the validation images cannot be judged: see [`validate`].
pub fn foresee(parts: &Parts) -> Result<BTreeMap<String, String>> {
    parts.validation.as_ref().map_or(Ok(()), judgeable)?;
    Ok(eval::left_out(&parts.evaluation.train.labels, &parts.evaluation.test.labels))
}

/// Says whether images held back can be judged.
fn judgeable(data: &Dataset) -> Result<()> {
    eval::unjudgeable(&data.labels).map_or(Ok(()), |reason| {
        let reason = format!("MAP@R takes {reason} among the {} held back; hold back more, or none", data.len());
        Err(Error::config("--validation", reason))
    })
}

/// How the parameters of `runner` do on images held back: MAP@R within them, see [`eval::map_at_r`].
///
/// # Errors
/// [`Error::Config`] where the labels allow no such figure, which [`foresee`] tells before; [`Error::Embedding`] where
/// an embedding is not [`eval::measurable`]; what the device reports.
pub fn validate<R: Runner>(runner: &R, net: &Net, config: &Config, data: &Dataset) -> Result<f64> {
    judgeable(data)?;
    let values = embed(runner, net, data, config.scale(), |_| ())?;
    eval::measurable(&values, net.dims(), &data.name)?;
    let found = eval::map_at_r(Embedded { values: &values, dims: net.dims(), labels: &data.labels });
    Ok(found.expect("two images of one label, all measurable"))
}

/// An evaluation and what it was made of.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// Every figure that can be had.
    pub evaluation: Evaluation,
    /// The embeddings of the test images, `[rows, dims]`.
    pub test: Vec<f32>,
    /// The label that the nearest training images vote for, of each test image; see [`eval::knn_labels`]. Empty where
    /// there is no training image, or none of a label of theirs.
    pub answers: Vec<u32>,
    /// What the test images lie nearest to among themselves.
    pub nearest: Vec<Nearest>,
}

/// Evaluates the parameters of `runner` on the images that `parts` has for it: every figure of [`Evaluation`] that can
/// be had from them, thresholds from `config`.
///
/// # Errors
/// [`Error::Embedding`] where an embedding is not [`eval::measurable`]; what the device reports.
pub fn evaluate<R: Runner>(
    runner: &R,
    net: &Net,
    config: &Config,
    parts: &Parts,
    mut progress: impl FnMut(Progress),
) -> Result<Evaluated> {
    let split = &parts.evaluation;
    let mut stage = |stage, data: &Dataset| {
        let values =
            embed(runner, net, data, config.scale(), |done| progress(Progress { stage, done, total: data.len() }))?;
        eval::measurable(&values, net.dims(), &data.name)?;
        Ok::<_, Error>(values)
    };
    let validation = parts.validation.as_ref();
    let held = validation.map(|data| stage("embedding the validation images", data)).transpose()?;
    // Where nothing can be compared with the training images, they are not embedded.
    let left_out = eval::left_out(&split.train.labels, &split.test.labels);
    let is_alone = ["knn5", "centroid"].iter().all(|&name| left_out.contains_key(name));
    let train = if is_alone { Vec::new() } else { stage("embedding the training images", &split.train)? };
    let train_labels = if is_alone { &[] } else { split.train.labels.as_slice() };
    let test = stage("embedding the test images", &split.test)?;
    let total = split.test.len();
    let k = eval::VOTES.min(train_labels.len());
    let found = neighbours(runner, &train, &test, net.dims(), k, |done| {
        progress(Progress { stage: "finding neighbours", done, total });
    })?;
    // Recognition compares mean squared differences, as the notebook does.
    let unit = match config.loss.distance() {
        Distance::SquaredEuclidean => 1.0 / net.dims() as f64,
        Distance::MeanSquare => 1.0,
    };
    let thresholds: Vec<_> = config.thresholds.iter().map(|&threshold| f64::from(threshold) * unit).collect();
    let reference = Embedded { values: &train, dims: net.dims(), labels: train_labels };
    let query = Embedded { values: &test, dims: net.dims(), labels: &split.test.labels };
    // Where the labels make no pairs, the evaluation says so of each figure that needs them.
    let pairs = |labels: &[u32]| eval::verification_pairs(labels, PAIRS, PAIR_SEED).ok();
    let (mut evaluation, nearest) =
        eval::evaluate(reference, query, &found, k, &thresholds, pairs(query.labels).as_ref(), progress);
    evaluation.left_out.extend(left_out);
    for (threshold, &given) in evaluation.thresholds.iter_mut().zip(&config.thresholds) {
        threshold.threshold = f64::from(given);
    }
    if let (Some(data), Some(values)) = (validation, held) {
        let held = Embedded { values: &values, dims: net.dims(), labels: &data.labels };
        let threshold = pairs(held.labels).and_then(|pairs| eval::threshold_at_far(held, &pairs, TARGET_FAR));
        let found = evaluation.roc.as_ref().zip(threshold);
        evaluation.calibrated = found
            .map(|(roc, threshold)| eval::Calibrated { target_far: TARGET_FAR, judged: eval::judge(roc, threshold) });
        if evaluation.calibrated.is_none() {
            let reason = format!("no threshold has a FAR of {TARGET_FAR} on the validation images");
            evaluation.left_out.insert("calibrated".to_owned(), reason);
        }
    }
    let answers = eval::knn_labels(&found, k, train_labels);
    Ok(Evaluated { evaluation, test, answers, nearest })
}
