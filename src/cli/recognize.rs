//! `siamese recognize`

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use siamese::checkpoint::Checkpoint;
use siamese::data::store::Images;
use siamese::embed::Embedder;
use siamese::gallery::{Answer, Recognition, Search, Share, Threshold};
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::text::plain;
use siamese::{Error, Result};

use super::engine::{Engine, Job};
use super::images::{self, ImagesArgs, Tally};
use super::{AdapterArg, Failure, GalleryArg, IndexArg, ModelArg, Outcome};

/// Says whom images show: the identity, its distance, and how much farther the next one is; or `unknown`.
///
/// One line an image on stdout: name, identity, distance, margin, with tabs between. Where the images have classes, the
/// accuracy follows on stderr. Images that are enrolled themselves are left out. `-` is a list of pictures on standard
/// input: lines, or names with NUL between as `find -print0` has them.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese recognize runs/faces faces.gallery who.jpg party/
  siamese recognize runs/cnn digits.gallery --set test                     all other test digits
  siamese recognize runs/cnn digits.gallery --set test --take random       ten test digits at random
  find . -name '*.png' | siamese recognize runs/faces faces.gallery -      each as it comes")]
pub struct Recognize {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    gallery: GalleryArg,
    #[command(flatten)]
    images: ImagesArgs,
    /// How many of the nearest embeddings vote, of those within the threshold
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    nearest: u64,
    /// Farther than this from everyone is unknown, in the loss's distance [default: the gallery's]
    #[arg(long, value_name = "DISTANCE")]
    threshold: Option<f32>,
    /// Ask by an index that `enroll --index` made of a gallery in a database: faster with few images, and some answers
    /// are wrong [default: exact]
    #[arg(long, value_enum, value_name = "KIND")]
    index: Option<IndexArg>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adapter: AdapterArg,
}

/// What stands for the identity of a probe that is nobody's.
pub const UNKNOWN: &str = "unknown";

impl Recognize {
    pub fn run(self) -> Outcome {
        self.images.check(None)?;
        let stream = self.images.is_stream()?;
        let model = self.model.load()?.export();
        let place = self.gallery.place()?;
        let shown = PathBuf::from(place.to_string());
        let mut search = place.search(self.index.map(IndexArg::index))?;
        let gallery = &mut search.gallery;
        gallery.check_model(&shown, &model)?;
        if gallery.identities().is_empty() {
            let reason = "nobody is enrolled".to_owned();
            return Err(Error::Gallery { path: shown, reason }.into());
        }
        if let Some(distance) = self.threshold {
            gallery.threshold = Some(Threshold::given(distance)?);
        }
        if gallery.threshold.is_none() {
            say!("warning: the gallery has no threshold, so that nobody is unknown; see `siamese enroll --far`");
        }
        let engine = Engine::open(&self.adapter.adapter)?;
        let mut tally = Tally::new(self.json);
        if stream {
            engine.run(Stream { arguments: &self, model: &model, search: &mut search, tally: &mut tally })?;
            return Ok(tally.exit());
        }
        let images = self.images.load(&model, &mut tally)?;
        let images = images.new_to(&search.gallery);
        let embeddings = images::embed(&engine, &model, &images)?;
        let answers = search.recognise_all(&embeddings, self.nearest as usize)?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        for (name, answer) in images.names.iter().zip(&answers) {
            self.show(&mut out, name, answer)?;
        }
        let judged = if images.labelled { search.gallery.judge(&answers, &images.classes()) } else { None };
        if let Some(recognition) = &judged {
            if self.json {
                let mut event = serde_json::to_value(recognition).expect("plain data");
                event["event"] = Value::from("recognition");
                writeln!(out, "{event}")?;
            }
            summary(recognition);
        }
        out.flush()?;
        Ok(tally.exit())
    }

    fn show(&self, out: &mut impl Write, name: &str, answer: &Answer) -> Result<(), Failure> {
        if self.json {
            let mut event = json!({ "event": "answer", "name": name });
            let Value::Object(fields) = serde_json::to_value(answer).expect("plain data") else { unreachable!() };
            event.as_object_mut().expect("an object").extend(fields);
            writeln!(out, "{event}")?;
        } else {
            let identity = answer.identity.as_deref().unwrap_or(UNKNOWN);
            let margin = answer.margin.map_or("-".to_owned(), |margin| format!("{margin:.4}"));
            writeln!(out, "{}\t{}\t{:.4}\t{margin}", plain(name), plain(identity), answer.distance)?;
        }
        Ok(())
    }
}

/// The accuracy, for people.
fn summary(recognition: &Recognition) {
    let rows = [
        ("nearest is right", recognition.closed, "of those enrolled, at any distance"),
        ("accepted and right", recognition.right, "of those enrolled"),
        ("accepted as another", recognition.wrong, "of those enrolled"),
        ("strangers accepted", recognition.far, "of those not enrolled (FAR)"),
        ("right altogether", Some(recognition.open), "of all, strangers being unknown"),
    ];
    say!("{} images of enrolled identities, {} of strangers", recognition.known, recognition.unknown);
    for (name, share, of) in rows {
        if let Some(Share { share, interval }) = share {
            let (low, high) = (100.0 * interval.low, 100.0 * interval.high);
            say!("{name:<20} {:>6.2} %  95 %: {low:.2} to {high:.2} %  {of}", 100.0 * share);
        }
    }
}

/// Pictures whose names come from standard input, each answered as it comes.
struct Stream<'a> {
    arguments: &'a Recognize,
    model: &'a Checkpoint,
    search: &'a mut Search,
    tally: &'a mut Tally,
}

impl Job for Stream<'_> {
    type Output = ();

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<(), Failure> {
        let mut embedder = Embedder::new(self.model, 1, make)?;
        let mut enrolled = 0;
        for (place, line) in (1..).zip(Names::new(io::stdin().lock())) {
            let line = line.map_err(Error::io("read", Path::new("standard input")))?;
            let name = String::from_utf8_lossy(&line).into_owned();
            let read = path_of(line, place).and_then(|path| images::read_picture(&path.into(), self.model));
            let Some((image, content)) = self.tally.note(&name, read)? else { continue };
            if self.search.gallery.holder(&name, &content).is_some() {
                enrolled += 1;
                continue;
            }
            let size = image.len();
            let embedding = embedder.embed(&Images::new(image, size), |_| ())?;
            if let Err(error) = images::comparable(&embedding, &name) {
                self.tally.refuse(&name, &error)?;
                continue;
            }
            let answers = self.search.recognise_all(&embedding, self.arguments.nearest as usize)?;
            let mut out = io::stdout().lock();
            answers.iter().try_for_each(|answer| self.arguments.show(&mut out, &name, answer))?;
            out.flush()?;
        }
        images::say_left_out(enrolled);
        Ok(())
    }
}

/// The path that line `place` of standard input names, in the bytes that the system has for it.
fn path_of(line: Vec<u8>, place: usize) -> Result<PathBuf> {
    let fault =
        |found: &str| Error::data(Path::new("standard input"), format!("{found} ({place})"), "a picture's path");
    if line.is_empty() {
        return Err(fault("an empty line"));
    }
    #[cfg(unix)]
    let name: Result<OsString> = Ok(std::os::unix::ffi::OsStringExt::from_vec(line));
    #[cfg(not(unix))]
    let name = String::from_utf8(line).map(OsString::from).map_err(|_| fault("a line that is not UTF-8"));
    name.map(PathBuf::from)
}

/// Names on an input: lines, or with NUL between, by which of the two ends the first.
struct Names<R> {
    input: R,
    end: Option<u8>,
    begun: bool,
}

impl<R: BufRead> Names<R> {
    fn new(input: R) -> Names<R> {
        Names { input, end: None, begun: false }
    }

    /// The bytes to the end of a name or of the input; `None` where nothing is left.
    fn bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut name = Vec::new();
        loop {
            let found = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                found => found?,
            };
            if found.is_empty() {
                return Ok(Some(name).filter(|name| !name.is_empty()));
            }
            let ends = |&byte: &u8| self.end.map_or(byte == b'\n' || byte == 0, |end| byte == end);
            let place = found.iter().position(ends);
            name.extend_from_slice(&found[..place.unwrap_or(found.len())]);
            self.end = place.map(|place| found[place]).or(self.end);
            let read = place.map_or(found.len(), |place| place + 1);
            self.input.consume(read);
            if place.is_some() {
                return Ok(Some(name));
            }
        }
    }
}

impl<R: BufRead> Iterator for Names<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut name = match self.bytes().transpose()? {
            Ok(name) => name,
            error => return Some(error),
        };
        // As editors and shells of Windows write lists: a mark of UTF-8 at the start, two bytes at the end of a line.
        if !std::mem::replace(&mut self.begun, true) && name.starts_with(b"\xef\xbb\xbf") {
            name.drain(..3);
        }
        if self.end != Some(0) && name.last() == Some(&b'\r') {
            name.pop();
        }
        Some(Ok(name))
    }
}
