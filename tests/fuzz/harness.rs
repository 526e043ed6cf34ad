//! What runs a target: cases from seeds, what they may take of memory and time, and how a failure is replayed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::any::Any;
use std::backtrace::Backtrace;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use siamese::Error;

use crate::mutate::Dice;

/// Longest time of a case: far more than any takes, on a machine that has much else to do.
const LONGEST: Duration = Duration::from_secs(10);
/// A case that takes so long or so much will not come back, or not before the machine is out of memory.
const HOPELESS: (Duration, usize) = (Duration::from_secs(60), 4 << 30);
/// Name of the file that a case reads. An error about it must name it.
pub const FILE: &str = "fuzzed";

/// Counts what is allocated.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    PEAK.fetch_max(LIVE.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Relaxed);
        taken(size);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The case that runs: its target, its number, its begin.
static NOW: Mutex<Option<(&str, u64, Instant)>> = Mutex::new(None);
/// What the last panic said, and where.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

fn seed() -> u64 {
    setting("FUZZ_SEED").unwrap_or(1)
}

fn replay(target: &str, case: u64) -> String {
    format!("replay: FUZZ_SEED={} FUZZ_CASE={case} cargo test --test fuzz -- --exact {target}", seed())
}

/// Panics are noted instead of printed, and a case that is hopeless ends the program with its name.
pub fn watch() {
    panic::set_hook(Box::new(|info: &PanicHookInfo| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let trace = if setting("FUZZ_CASE").is_some() { Backtrace::force_capture().to_string() } else { String::new() };
        *PANIC.lock().unwrap() = format!("{place}: {}\n{trace}", words(info.payload()));
    }));
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(20));
            let Some((target, case, begin)) = *NOW.lock().unwrap() else { continue };
            if begin.elapsed() > HOPELESS.0 || LIVE.load(Relaxed) > HOPELESS.1 {
                let (seconds, mib) = (begin.elapsed().as_secs(), LIVE.load(Relaxed) >> 20);
                eprintln!("{target}: case {case} after {seconds} s holds {mib} MiB\n{}", replay(target, case));
                std::process::exit(101);
            }
        }
    });
}

fn words(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// A reader and what is given to it.
pub struct Target<Case> {
    /// Name of its trial.
    pub name: &'static str,
    /// Cases unless the environment says otherwise: a second or two.
    pub cases: u64,
    /// Most memory of a case.
    pub mib: usize,
    /// One case, in an empty folder. `Ok`: it was read, and what was read was used.
    pub case: Case,
}

impl<Case: Fn(&mut Dice, &Path) -> Result<(), Error> + Send + 'static> Target<Case> {
    /// The trial that runs the cases.
    pub fn trial(self) -> Trial {
        Trial::test(self.name, move || self.run())
    }

    fn run(&self) -> Result<(), Failed> {
        let (only, cases) = (setting("FUZZ_CASE"), setting("FUZZ_CASES").unwrap_or(self.cases));
        let (mut read, mut faults) = (0, BTreeMap::<String, (u64, String)>::new());
        let folder = tempfile::tempdir().expect("a temporary folder");
        for case in only.map_or(0..cases, |case| case..case + 1) {
            empty(folder.path());
            match self.one(case, folder.path()) {
                Ok(accepted) => read += u64::from(accepted),
                // Of faults at one place the first is told.
                Err(fault) => {
                    let place = fault.lines().next().unwrap_or_default().to_owned();
                    faults.entry(place.split(": ").next().unwrap_or_default().to_owned()).or_insert((case, fault));
                }
            }
        }
        if let Some(case) = only {
            println!("{}: the files of case {case} are kept in {}", self.name, folder.keep().display());
        }
        if !faults.is_empty() {
            let each = |(case, fault): &(u64, String)| format!("case {case}: {fault}\n{}", replay(self.name, *case));
            return Err(faults.values().map(each).collect::<Vec<_>>().join("\n").into());
        }
        // What refuses everything has used nothing.
        if only.is_none() && read == 0 {
            return Err(format!("none of {cases} cases was read").into());
        }
        Ok(())
    }

    /// Whether it was read; or what went wrong, a place first.
    fn one(&self, case: u64, folder: &Path) -> Result<bool, String> {
        let mut dice = Dice::new(seed(), self.name, case);
        let (begin, before) = (Instant::now(), LIVE.load(Relaxed));
        PEAK.store(before, Relaxed);
        *NOW.lock().unwrap() = Some((self.name, case, begin));
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| (self.case)(&mut dice, folder)));
        *NOW.lock().unwrap() = None;
        let (mib, time) = (PEAK.load(Relaxed).saturating_sub(before) >> 20, begin.elapsed());
        match outcome {
            Err(_) => Err(PANIC.lock().unwrap().clone()),
            Ok(_) if mib > self.mib => Err(format!("memory: {mib} MiB, {} are allowed", self.mib)),
            Ok(_) if time > LONGEST => Err(format!("time: {time:?}, {LONGEST:?} are allowed")),
            Ok(Ok(())) => Ok(true),
            Ok(Err(error)) => {
                let text = error.to_string();
                let names_setting = matches!(error, Error::Config { .. } | Error::Spec { .. } | Error::Diverged { .. });
                let _ = error.hint();
                if names_setting || text.contains(FILE) { Ok(false) } else { Err(format!("no file is named: {text}")) }
            }
        }
    }
}

fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).expect("the temporary folder").flatten() {
        let path = entry.path();
        let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        gone.expect("the files of a case can be removed");
    }
}

/// Writes the file of a case.
pub fn file(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join(FILE);
    fs::write(&path, bytes).expect("the temporary folder takes a file");
    path
}

/// What `write` leaves in the file that it is given.
pub fn written(write: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("seed");
    write(&path);
    fs::read(path).expect("the seed is written")
}
