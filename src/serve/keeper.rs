//! The gallery: read by all, changed by one thread.
//!
//! Changes that wait are made together: one reads the gallery as it is on the disk, makes them in their order, writes
//! it, and answers each when it lasts. What other programs change is seen by looking at it now and then.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use siamese::checkpoint::Checkpoint;
use siamese::gallery::{Content, Gallery, Place, Threshold};
use siamese::text::composed;
use siamese::{Error, Result};
use tokio::sync::oneshot;

use super::answer::{Enrolment, Fault, Problem};
use super::metrics::Metrics;

/// How often the gallery is looked at for changes of other programs.
const LOOK: Duration = Duration::from_secs(1);
/// How long one waits for another program that is changing it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The gallery as it is.
pub struct Shared(RwLock<Arc<Gallery>>);

impl Shared {
    /// The gallery as it is now.
    pub fn read(&self) -> Arc<Gallery> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, gallery: Gallery) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gallery);
    }
}

/// A picture to be enrolled.
pub struct New {
    /// What it is called.
    pub name: String,
    /// What it is known by.
    pub content: Content,
    /// What is kept of it.
    pub embedding: Vec<f32>,
}

/// A change that is asked for.
enum Change {
    Enrol { identity: String, pictures: Vec<New>, answer: oneshot::Sender<Result<Enrolment, Fault>> },
    Remove { identity: String, answer: oneshot::Sender<Result<(), Fault>> },
}

/// What is answered once changes last.
type Answers = Vec<Box<dyn FnOnce(Result<(), Fault>)>>;

/// Who changes the gallery.
pub struct Keeper {
    changes: Sender<Change>,
    gallery: Arc<Shared>,
}

impl Keeper {
    /// Reads the gallery, and starts the thread.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub fn start(place: Box<dyn Place>, model: Checkpoint, metrics: Arc<Metrics>) -> Result<(Keeper, Arc<Shared>)> {
        let stamp = place.stamp()?;
        let gallery = place.open(&model)?;
        metrics.see(&gallery);
        let gallery = Arc::new(Shared(RwLock::new(Arc::new(gallery))));
        let (changes, waiting) = mpsc::channel();
        let own = Own { place, model, stamp: Some(stamp), gallery: gallery.clone(), metrics };
        thread::spawn(move || own.run(&waiting));
        Ok((Keeper { changes, gallery: gallery.clone() }, gallery))
    }

    /// The gallery as it is now.
    pub fn gallery(&self) -> Arc<Gallery> {
        self.gallery.read()
    }

    /// Enrols pictures, all or none of them.
    ///
    /// # Errors
    /// [`Fault`] where one is another identity's, or the gallery cannot be changed.
    pub async fn enrol(&self, identity: String, pictures: Vec<New>) -> Result<Enrolment, Fault> {
        let (answer, answered) = oneshot::channel();
        self.ask(Change::Enrol { identity, pictures, answer }, answered).await
    }

    /// Takes an identity out.
    ///
    /// # Errors
    /// [`Fault`] where there is none of this name, or the gallery cannot be changed.
    pub async fn remove(&self, identity: String) -> Result<(), Fault> {
        let (answer, answered) = oneshot::channel();
        self.ask(Change::Remove { identity, answer }, answered).await
    }

    async fn ask<T>(&self, change: Change, answered: oneshot::Receiver<Result<T, Fault>>) -> Result<T, Fault> {
        drop(self.changes.send(change));
        answered.await.unwrap_or_else(|_| Err(Fault::unavailable("the service ends")))
    }
}

/// What the thread has.
struct Own {
    place: Box<dyn Place>,
    model: Checkpoint,
    /// Of the gallery that is shared; `None`: of none that could be read.
    stamp: Option<String>,
    gallery: Arc<Shared>,
    metrics: Arc<Metrics>,
}

impl Own {
    fn run(mut self, waiting: &Receiver<Change>) {
        let mut looked = Instant::now();
        let mut next = None;
        loop {
            let change = match next.take() {
                Some(change) => Some(change),
                None => match waiting.recv_timeout(LOOK.saturating_sub(looked.elapsed())) {
                    Ok(change) => Some(change),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                },
            };
            if let Some(first) = change {
                let (group, later) = together(first, waiting);
                next = later;
                self.change(group);
            }
            if looked.elapsed() >= LOOK {
                self.look();
                looked = Instant::now();
            }
        }
    }

    /// Reads the gallery again if it is another one.
    fn look(&mut self) {
        let found = self.place.stamp().and_then(|stamp| {
            let is_other = self.stamp.as_ref() != Some(&stamp);
            let gallery = is_other.then(|| self.place.open(&self.model)).transpose()?;
            Ok((stamp, gallery))
        });
        match found {
            Ok((stamp, gallery)) => {
                self.stamp = Some(stamp);
                if let Some(gallery) = gallery {
                    self.share(gallery);
                }
            }
            Err(error) => {
                // Once, not each time.
                if self.stamp.take().is_some() {
                    say!("warning: the gallery cannot be read, and answers are of the one before: {error}");
                }
                self.metrics.readable.set(0);
            }
        }
    }

    fn share(&self, gallery: Gallery) {
        self.metrics.see(&gallery);
        self.gallery.set(gallery);
    }

    /// Makes changes, and answers each.
    fn change(&self, group: Vec<Change>) {
        self.metrics.changes.inc_by(group.len() as u64);
        let mut answers = Answers::new();
        let outcome = self.try_change(group, &mut answers).map_err(|error| {
            say!("error: the gallery is not changed: {error}");
            Fault::unavailable("the gallery cannot be written now; it is as it was before")
        });
        answers.into_iter().for_each(|answer| answer(outcome.clone()));
    }

    /// Those that cannot be made are answered at once, the others leave their answers to be given.
    fn try_change(&self, group: Vec<Change>, answers: &mut Answers) -> Result<()> {
        let begin = Instant::now();
        let mut kept = loop {
            match self.place.change(&self.model) {
                Err(Error::Busy { .. }) if begin.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
                // Whoever waits is told.
                Err(error) => {
                    answers.extend(group.into_iter().map(Change::failing));
                    return Err(error);
                }
                Ok(kept) => break kept,
            }
        };
        let mut gallery = match kept.gallery() {
            Ok(gallery) => gallery,
            Err(error) => {
                answers.extend(group.into_iter().map(Change::failing));
                return Err(error);
            }
        };
        let (mut is_changed, before) = (false, gallery.threshold);
        for change in group {
            match change {
                Change::Enrol { identity, pictures, answer } => match enrol(&mut gallery, &identity, &pictures) {
                    Ok(enrolment) => {
                        is_changed |= enrolment.enrolled > 0;
                        answers.push(Box::new(|saved| drop(answer.send(saved.map(|()| enrolment)))));
                    }
                    Err(fault) => drop(answer.send(Err(fault))),
                },
                Change::Remove { identity, answer } if gallery.has(&identity) => {
                    gallery.remove(&identity)?;
                    is_changed = true;
                    answers.push(Box::new(|saved| drop(answer.send(saved))));
                }
                Change::Remove { identity, answer } => drop(answer.send(Err(missing(&identity)))),
            }
        }
        if let (Some(Threshold { distance, .. }), None) = (before, gallery.threshold) {
            // Who was a stranger stays one, while nobody is there to calibrate again.
            gallery.threshold = Some(Threshold::given(distance)?);
            say!("warning: the threshold {distance} was calibrated for the gallery before; it is kept as one given");
        }
        if is_changed {
            kept.save(&gallery)?;
            self.metrics.saves.inc();
            self.share(gallery);
        }
        Ok(())
    }
}

impl Change {
    /// What is answered where it was not made.
    fn failing(self) -> Box<dyn FnOnce(Result<(), Fault>)> {
        match self {
            Change::Enrol { answer, .. } => Box::new(|failed| {
                drop(failed.map_err(|fault| answer.send(Err(fault))));
            }),
            Change::Remove { answer, .. } => Box::new(|failed| drop(answer.send(failed))),
        }
    }
}

/// The changes that wait, which are made together: a gallery takes identities out before it adds to them.
fn together(first: Change, waiting: &Receiver<Change>) -> (Vec<Change>, Option<Change>) {
    let mut group = vec![first];
    while let Ok(change) = waiting.try_recv() {
        let adds = matches!(group.last(), Some(Change::Enrol { .. }));
        if adds && matches!(change, Change::Remove { .. }) {
            return (group, Some(change));
        }
        group.push(change);
    }
    (group, None)
}

fn missing(identity: &str) -> Fault {
    let hint = "GET /v1/identities has the names";
    Fault::new(StatusCode::NOT_FOUND, format!("`{identity}` is not enrolled"), hint)
}

/// Adds pictures to an identity, all or none.
fn enrol(gallery: &mut Gallery, identity: &str, pictures: &[New]) -> Result<Enrolment, Fault> {
    let identity = composed(identity).into_owned();
    for New { name, content, .. } in pictures {
        let holder = gallery.holder(name, content);
        if let Some(holder) = holder.filter(|holder| *holder != identity) {
            let error = format!("{name}: it is enrolled as a picture of `{holder}`");
            let hint = "leave it out, or take that identity out before; nothing of this request is enrolled";
            return Err(Fault::new(StatusCode::CONFLICT, error, hint));
        }
    }
    let is_new = !gallery.has(&identity);
    let mut enrolled = 0;
    for New { name, content, embedding } in pictures {
        let added = gallery.add(&identity, name, content, embedding);
        enrolled += usize::from(added.map_err(|error| Fault::unusable(Problem::of(&error)))?);
    }
    Ok(Enrolment { identity, enrolled, known: pictures.len() - enrolled, is_new })
}
