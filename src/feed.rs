//! Batches of images that threads read ahead, so that neither disk nor decoder keeps a device waiting.

use std::collections::BTreeMap;
use std::panic;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::data::store::Images;
use crate::error::Result;
use crate::host;

/// Batches that are read, or being read, before they are asked for; with more threads, one more than those.
const AHEAD: usize = 4;

/// Where the images of a training lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residence {
    /// All of them on the device: they go up once.
    Device,
    /// On the host: those of a batch go up in its step, read by so many threads.
    Host {
        /// Threads that read and decode.
        workers: usize,
    },
}

/// What the threads agree on.
struct Agreement {
    /// The batch that is begun next.
    next: u64,
    /// Batches before this one have been taken.
    taken: u64,
    /// Batches that may have been begun before they are asked for.
    ahead: u64,
    ended: bool,
}

struct Shared {
    agreement: Mutex<Agreement>,
    changed: Condvar,
}

impl Shared {
    /// The next batch to read, as soon as it may be begun; `None` when no more is wanted.
    fn begin(&self) -> Option<u64> {
        let agreement = self.agreement.lock().expect("nobody panics while holding it");
        let is_early =
            |agreement: &mut Agreement| !agreement.ended && agreement.next >= agreement.taken + agreement.ahead;
        let mut agreement = self.changed.wait_while(agreement, is_early).expect("nobody panics while holding it");
        if agreement.ended {
            return None;
        }
        agreement.next += 1;
        Some(agreement.next - 1)
    }

    fn change(&self, change: impl FnOnce(&mut Agreement)) {
        change(&mut self.agreement.lock().expect("nobody panics while holding it"));
        self.changed.notify_all();
    }
}

/// Reads batches of images ahead, and hands them over in the order of their numbers, whichever thread read them when.
/// No more than a few are in memory.
pub struct Feed {
    shared: Arc<Shared>,
    batches: Receiver<(u64, Result<Vec<u32>>)>,
    /// Those that came before their turn.
    early: BTreeMap<u64, Result<Vec<u32>>>,
    next: u64,
    threads: Vec<JoinHandle<()>>,
}

impl Feed {
    /// Begins to read the batches from number `first` on: the images of `pixels` that `rows` names for a number, until
    /// it names none.
    pub fn new(
        pixels: Images,
        rows: impl Fn(u64) -> Option<Vec<u32>> + Send + Sync + 'static,
        first: u64,
        workers: usize,
    ) -> Feed {
        let ahead = AHEAD.max(workers + 1) as u64;
        let agreement = Mutex::new(Agreement { next: first, taken: first, ahead, ended: false });
        let shared = Arc::new(Shared { agreement, changed: Condvar::new() });
        let (sender, batches) = mpsc::channel();
        let rows = Arc::new(rows);
        let threads = (0..workers.max(1)).map(|_| {
            let (shared, pixels, rows, sender) =
                (Arc::clone(&shared), pixels.clone(), Arc::clone(&rows), sender.clone());
            thread::spawn(move || read(&shared, &pixels, &*rows, &sender))
        });
        let threads = threads.collect();
        Feed { shared, batches, early: BTreeMap::new(), next: first, threads }
    }

    /// The number of the batch that comes next.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The bytes of the next batch's images, one after the other, [packed](host::pack), and how long they were waited
    /// for.
    ///
    /// # Errors
    /// What is wrong with an image of it.
    ///
    /// # Panics
    /// If there is no further batch, or a thread has panicked.
    pub fn take(&mut self) -> Result<(Vec<u32>, Duration)> {
        let begin = Instant::now();
        let batch = loop {
            if let Some(batch) = self.early.remove(&self.next) {
                break batch;
            }
            match self.batches.recv() {
                Ok((number, batch)) => _ = self.early.insert(number, batch),
                Err(_) => self.end(),
            }
        };
        self.next += 1;
        self.shared.change(|agreement| agreement.taken = self.next);
        Ok((batch?, begin.elapsed()))
    }

    /// Panics as the thread that did.
    fn end(&mut self) -> ! {
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join() {
                panic::resume_unwind(panic);
            }
        }
        panic!("there is no batch {}", self.next)
    }
}

/// Reads batches until no more is wanted.
fn read(
    shared: &Shared,
    pixels: &Images,
    rows: &dyn Fn(u64) -> Option<Vec<u32>>,
    sender: &Sender<(u64, Result<Vec<u32>>)>,
) {
    while let Some(number) = shared.begin() {
        let Some(rows) = rows(number) else { return };
        let mut bytes = vec![0; rows.len() * pixels.size()];
        let mut images = rows.iter().zip(bytes.chunks_mut(pixels.size()));
        let outcome = images.try_for_each(|(&row, image)| pixels.read(row as usize, image));
        if sender.send((number, outcome.map(|()| host::pack(&bytes)))).is_err() {
            return;
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.change(|agreement| agreement.ended = true);
        // What they panicked of has been passed on, or is of no more interest.
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
