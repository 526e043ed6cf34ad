//! From encoded pictures to embeddings and answers: threads that decode, and the one that has the device.
//!
//! The device takes what waits, up to its largest batch. While pictures are still being decoded it waits for them, a
//! few milliseconds at most. It has plans of several sizes, so that a single picture does not pay for many.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use siamese::checkpoint::Checkpoint;
use siamese::data::decode::{self, Encoded};
use siamese::data::pictures;
use siamese::embed::{self, Embedder};
use siamese::eval::flaw;
use siamese::gallery::Answer;
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::{Error, Result};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::answer::{Fault, Problem};
use super::keeper::Shared;
use super::metrics::Metrics;

/// Pictures that are embedded at once, at most; each plan has half of the next one's.
const MOST: usize = 256;
/// How long the device waits for pictures that are being decoded.
const PATIENCE: Duration = Duration::from_millis(2);

/// A picture as it came.
#[derive(Clone)]
pub struct Picture {
    /// The name of its file, or its number in the request.
    pub name: String,
    /// All of the file.
    pub bytes: Bytes,
    /// What the body that it lies in takes of the bytes of all.
    pub _held: Arc<OwnedSemaphorePermit>,
}

/// What became of a picture.
pub struct Done {
    /// Its embedding.
    pub embedding: Vec<f32>,
    /// Whom it shows, if that was asked and somebody is enrolled.
    pub answer: Option<Answer>,
}

type Outcome = Result<Done, Problem>;

/// A picture on its way.
struct Task<P> {
    picture: P,
    name: String,
    /// How many of the nearest vote, where it is to be recognised.
    votes: Option<usize>,
    /// Its place in the request.
    place: usize,
    answer: UnboundedSender<(usize, Outcome)>,
}

/// A picture that is decoded: `[height, width, channels]`.
type Input = Vec<u8>;

/// What the device gets.
pub struct Incoming {
    inputs: Receiver<Task<Input>>,
    /// Pictures that are not there yet.
    coming: Arc<AtomicUsize>,
}

/// The threads that decode.
pub struct Decoders {
    tasks: Sender<Task<Picture>>,
    coming: Arc<AtomicUsize>,
}

impl Decoders {
    /// Starts one for each core, and answers what they lead to.
    pub fn start(model: &Checkpoint, most_pixels: u64, metrics: Arc<Metrics>) -> (Decoders, Incoming) {
        let (tasks, waiting) = mpsc::channel::<Task<Picture>>();
        let (sender, inputs) = mpsc::sync_channel(2 * MOST);
        let (waiting, coming) = (Arc::new(Mutex::new(waiting)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let decoder = Decoder {
                input: model.input,
                pictures: model.config.pictures,
                most_pixels,
                waiting: waiting.clone(),
                inputs: sender.clone(),
                coming: coming.clone(),
                metrics: metrics.clone(),
            };
            thread::spawn(move || decoder.run());
        }
        (Decoders { tasks, coming: coming.clone() }, Incoming { inputs, coming })
    }

    /// The embeddings of pictures, and by how many `votes` whom they show if that is asked, in their order.
    ///
    /// # Errors
    /// [`Fault`] where the service ends.
    pub async fn embed(&self, pictures: &[Picture], votes: Option<usize>) -> Result<Vec<Outcome>, Fault> {
        let (answer, mut answers) = unbounded_channel();
        self.coming.fetch_add(pictures.len(), Ordering::Relaxed);
        for (place, picture) in pictures.iter().enumerate() {
            let (picture, name) = (picture.clone(), picture.name.clone());
            let task = Task { picture, name, votes, place, answer: answer.clone() };
            drop(self.tasks.send(task));
        }
        drop(answer);
        let mut outcomes: Vec<Option<Outcome>> = pictures.iter().map(|_| None).collect();
        while let Some((place, outcome)) = answers.recv().await {
            outcomes[place] = Some(outcome);
        }
        let all: Option<Vec<Outcome>> = outcomes.into_iter().collect();
        all.ok_or_else(|| Fault::unavailable("the service ends"))
    }
}

struct Decoder {
    input: [usize; 3],
    pictures: pictures::Pictures,
    most_pixels: u64,
    waiting: Arc<Mutex<Receiver<Task<Picture>>>>,
    inputs: SyncSender<Task<Input>>,
    coming: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Decoder {
    /// Decodes until nobody asks any more.
    fn run(self) {
        loop {
            let task = self.waiting.lock().expect("nobody panics while waiting").recv();
            let Ok(Task { picture, name, votes, place, answer }) = task else { return };
            // Whoever has gone away gets no answer.
            let input = (!answer.is_closed()).then(|| self.decode(&picture));
            drop(picture);
            match input {
                Some(Ok(input)) => {
                    let sent = self.inputs.send(Task { picture: input, name, votes, place, answer });
                    self.coming.fetch_sub(1, Ordering::Relaxed);
                    if sent.is_err() {
                        return;
                    }
                }
                refused => {
                    self.coming.fetch_sub(1, Ordering::Relaxed);
                    if let Some(Err(error)) = refused {
                        self.metrics.refused.inc();
                        drop(answer.send((place, Err(Problem::of(&error)))));
                    }
                }
            }
        }
    }

    fn decode(&self, picture: &Picture) -> Result<Input> {
        let name = Path::new(&picture.name);
        let encoded = Encoded::Bytes { name, bytes: &picture.bytes };
        let [height, width, _] = decode::shape(encoded)?;
        if height as u64 * width as u64 > self.most_pixels {
            let found = format!("{width} × {height} pixels");
            return Err(Error::data(name, found, format!("{} pixels at most", self.most_pixels)));
        }
        pictures::read(encoded, self.input, self.pictures)
    }
}

/// What embeds.
pub struct Device<R: Runner> {
    /// By the pictures that they take at once, the smallest first.
    embedders: Vec<Embedder<R>>,
    dims: usize,
    incoming: Incoming,
    gallery: Arc<Shared>,
    metrics: Arc<Metrics>,
}

impl<R: Runner> Device<R> {
    /// Makes the plans, with `make` the runner of the first.
    ///
    /// # Errors
    /// What the device reports.
    pub fn new(
        model: &Checkpoint,
        make: impl FnOnce(Arc<Plan>) -> Result<R>,
        gallery: Arc<Shared>,
        incoming: Incoming,
        metrics: Arc<Metrics>,
    ) -> Result<Device<R>> {
        let net = model.net()?;
        let mut embedders = vec![Embedder::new(model, 1, make)?];
        let mut batch = 2;
        while batch <= embed::batch(&net, MOST) {
            embedders.push(embedders[0].resized(batch)?);
            batch *= 2;
        }
        Ok(Device { embedders, dims: net.dims(), incoming, gallery, metrics })
    }

    /// Embeds until nobody asks any more.
    ///
    /// # Errors
    /// What the device reports, which cannot be helped.
    pub fn run(mut self) -> Result<()> {
        while let Ok(first) = self.incoming.inputs.recv() {
            let tasks = self.gather(first);
            let mut rest = tasks.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(self.embed(rest)?);
                rest = later;
                debug_assert!(!now.is_empty());
            }
        }
        Ok(())
    }

    /// What is embedded together with the first.
    fn gather(&self, first: Task<Input>) -> Vec<Task<Input>> {
        let most = self.embedders.last().expect("one at least").batch();
        let mut tasks = vec![first];
        let end = Instant::now() + PATIENCE;
        while tasks.len() < most {
            let coming = self.incoming.coming.load(Ordering::Relaxed) > 0;
            let left = if coming { end.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            match self.incoming.inputs.recv_timeout(left) {
                Ok(task) => tasks.push(task),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        tasks
    }

    /// Embeds the first of some pictures, and answers how many: as many as a plan takes, three quarters of whose places
    /// are used at least.
    fn embed(&mut self, tasks: &[Task<Input>]) -> Result<usize> {
        let fits = |embedder: &&mut Embedder<R>| 4 * tasks.len() >= 3 * embedder.batch();
        let embedder = self.embedders.iter_mut().rev().find(fits).expect("the smallest takes one");
        let tasks = &tasks[..tasks.len().min(embedder.batch())];
        let pixels: Vec<u8> = tasks.iter().flat_map(|task| &task.picture).copied().collect();
        let values = embedder.embed_at_once(&pixels)?;
        self.metrics.batches.observe(tasks.len() as f64);
        self.metrics.embedded.inc_by(tasks.len() as u64);
        let gallery = self.gallery.read();
        let rows: Vec<_> = values.chunks_exact(self.dims).map(|row| (row, flaw(row))).collect();
        // Those with equally many votes, together.
        let mut answers: Vec<Option<Answer>> = tasks.iter().map(|_| None).collect();
        let mut votes: Vec<usize> = tasks.iter().filter_map(|task| task.votes).collect();
        votes.sort_unstable();
        votes.dedup();
        for votes in votes.into_iter().filter(|_| !gallery.is_empty()) {
            let asked = |place: &usize| tasks[*place].votes == Some(votes) && rows[*place].1.is_none();
            let places: Vec<usize> = (0..tasks.len()).filter(asked).collect();
            let probes: Vec<f32> = places.iter().flat_map(|&place| rows[place].0).copied().collect();
            for (place, answer) in places.into_iter().zip(gallery.recognise_all(&probes, votes)) {
                answers[place] = Some(answer);
            }
        }
        for ((task, (row, flaw)), answer) in tasks.iter().zip(rows).zip(answers) {
            let outcome = match flaw {
                Some(reason) => Err(Problem::of(&Error::Embedding { image: task.name.clone(), reason })),
                None => Ok(Done { embedding: row.to_vec(), answer }),
            };
            // Whoever has gone away gets no answer.
            drop(task.answer.send((task.place, outcome)));
        }
        Ok(tasks.len())
    }
}
