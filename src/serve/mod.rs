//! A model and a gallery behind HTTP: what embeds, recognises and enrols for whoever asks.
//!
//! ```text
//! connection ─ listen ─▶ routes ─ pictures ─▶ encoded pictures          tasks of the runtime
//!            encoded picture ─ device::Decoders ─▶ input                 a thread for each core
//!            inputs, some at a time ─ device::Device ─▶ embedding, answer  one thread, which has the device
//!            embeddings ─ keeper ─▶ gallery on the disk, then the answer  one thread, which alone changes it
//! ```
//!
//! All queues are bounded: by the requests, the bytes of bodies and the pictures that may be under way.

mod answer;
mod device;
mod keeper;
mod listen;
mod metrics;
mod page;
mod pictures;
mod routes;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};
use siamese::checkpoint::Checkpoint;
use siamese::gallery::Place;
use siamese::losses::Distance;
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::{Error, Result};
use tokio::sync::{Semaphore, watch};

use crate::outcome::Failure;
use device::{Decoders, Device};
use keeper::Keeper;
use metrics::Metrics;
use page::Page;

/// What a service takes at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Pixels of a picture.
    pub pixels: u64,
    /// Pictures of a request.
    pub pictures: usize,
    /// Requests at once.
    pub requests: usize,
    /// For all of a request.
    pub time: Duration,
}

impl Limits {
    /// How long a head or a body may take to come, and a connection be open between two requests.
    fn part_time(&self) -> Duration {
        self.time / 3
    }

    /// Bytes of all bodies that are in memory at once.
    fn bodies(&self) -> usize {
        (8 * self.body).max(256 << 20)
    }

    /// Connections that are open at once; more wait to be accepted.
    fn connections(&self) -> usize {
        2 * self.requests + 64
    }
}

/// What those must show who change the gallery; its digest, so that comparing takes equally long however much is right.
pub struct Token([u8; 32]);

impl Token {
    /// Fewest characters: what is shorter can be guessed.
    const FEWEST: usize = 16;

    /// One that was given as `source`: the characters of RFC 6750.
    ///
    /// # Errors
    /// [`Error::Config`] where it is too short, or cannot stand in a header.
    pub fn new(source: &str, text: &str) -> Result<Token> {
        if text.len() < Token::FEWEST {
            let reason = format!("a token has {} characters at least: `openssl rand -hex 32` makes one", Token::FEWEST);
            return Err(Error::config(source, reason));
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) {
            return Err(Error::config(source, "a token consists of letters, digits and -._~+/="));
        }
        Ok(Token(Sha256::digest(text).into()))
    }

    /// Whether `text` is it.
    fn is(&self, text: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(text).into();
        digest == self.0
    }
}

/// All that makes a service.
pub struct Setup {
    /// What embeds.
    pub model: Checkpoint,
    /// Where the gallery is kept.
    pub place: Box<dyn Place>,
    /// Without one nobody changes the gallery.
    pub token: Option<Token>,
    /// What it takes.
    pub limits: Limits,
    /// Where it listens.
    pub listener: TcpListener,
}

/// What all requests share.
struct Service {
    /// The fingerprint of the model.
    model: String,
    distance: Distance,
    limits: Limits,
    token: Option<Token>,
    /// Requests that may begin.
    requests: Semaphore,
    /// Bytes that bodies may have.
    bodies: Arc<Semaphore>,
    decoders: Decoders,
    keeper: Keeper,
    metrics: Arc<Metrics>,
    page: Page,
}

/// Serves until the program is told to end, and has answered what was asked until then.
///
/// # Errors
/// What is wrong with model or gallery; what the device reports.
pub fn run<R: Runner>(setup: Setup, make: impl FnOnce(Arc<Plan>) -> Result<R>) -> Result<ExitCode, Failure> {
    let Setup { model, place, token, limits, listener } = setup;
    let metrics = Arc::new(Metrics::default());
    let shown = place.to_string();
    let (keeper, gallery) = Keeper::start(place, model.clone(), metrics.clone())?;
    let (decoders, incoming) = Decoders::start(&model, limits.pixels, metrics.clone());
    let page = Page::new(&model, &gallery.read());
    let device = Device::new(&model, make, gallery.clone(), incoming, metrics.clone())?;

    let address = listener.local_addr().map_err(Error::io("listen at", "the address".as_ref()))?;
    let (identities, images) = (gallery.read().identities().len(), gallery.read().images());
    say!("{shown}: {identities} identities, {images} images");
    if gallery.read().threshold.is_none() {
        say!("warning: the gallery has no threshold, so that nobody is unknown; see `siamese enroll --far`");
    }
    match (&token, address.ip().is_loopback()) {
        (None, _) => say!("no token: the gallery is read and not changed; see --token-file"),
        (Some(_), true) => {}
        (Some(_), false) => say!("warning: the token crosses the net as it is, unless something before this has TLS"),
    }
    let service = Service {
        model: model.fingerprint(),
        distance: model.config.loss.distance(),
        token,
        requests: Semaphore::new(limits.requests),
        bodies: Arc::new(Semaphore::new(limits.bodies())),
        decoders,
        keeper,
        metrics,
        page,
        limits,
    };
    let stop = stopping()?;
    let serving = thread::spawn(move || listen::serve(listener, routes::router(service), limits, stop));
    say!("listening at http://{address}");
    // Until whoever may ask is gone.
    device.run()?;
    serving.join().expect("it does not panic").map_err(Error::io("listen at", address.to_string().as_ref()))?;
    say!("all that was asked is answered");
    Ok(ExitCode::SUCCESS)
}

/// Becomes true when the program is told to end: by Ctrl-C or a signal that asks for it. The second ends it at once.
fn stopping() -> Result<watch::Receiver<bool>> {
    static STOP: AtomicBool = AtomicBool::new(false);
    let (sender, receiver) = watch::channel(false);
    let handler = move || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        say!("\nanswering what has been asked; Ctrl-C again quits at once");
        sender.send_replace(true);
    };
    ctrlc::set_handler(handler).map_err(|error| Error::config("serve", format!("cannot wait for Ctrl-C: {error}")))?;
    Ok(receiver)
}
