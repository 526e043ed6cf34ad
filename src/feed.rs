//! Batches of images that threads read ahead, so that neither disk nor decoder keeps a device waiting.

use std::collections::BTreeMap;
use std::panic;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::data::store::{Images, Unreadable};
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

/// Images of a batch, and those of them that cannot be read: zeros, by their places in it.
type Batch = (Vec<u32>, Vec<Unreadable>);

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
    batches: Receiver<(u64, Batch)>,
    /// Those that came before their turn.
    early: BTreeMap<u64, Batch>,
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
        let (images, unreadable) = self.take_readable();
        unreadable.into_iter().next().map_or(Ok(()), |fault| Err(fault.error))?;
        Ok((images, begin.elapsed()))
    }

    /// The same of what can be read: other images are zeros, and are told, by their places in the batch.
    ///
    /// # Panics
    /// As [`Feed::take`].
    pub fn take_readable(&mut self) -> (Vec<u32>, Vec<Unreadable>) {
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
        batch
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
fn read(shared: &Shared, pixels: &Images, rows: &dyn Fn(u64) -> Option<Vec<u32>>, sender: &Sender<(u64, Batch)>) {
    while let Some(number) = shared.begin() {
        let Some(rows) = rows(number) else { return };
        let mut bytes = vec![0; rows.len() * pixels.size()];
        let images = rows.iter().zip(bytes.chunks_mut(pixels.size())).enumerate();
        let unreadable = images.filter_map(|(place, (&row, image))| {
            let error = pixels.read(row as usize, image).err()?;
            image.fill(0);
            Some(Unreadable { row: place, error })
        });
        let unreadable = unreadable.collect();
        if sender.send((number, (host::pack(&bytes), unreadable))).is_err() {
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
