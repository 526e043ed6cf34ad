//! `siamese recognize`

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use siamese::checkpoint::Checkpoint;
use siamese::data::pictures;
use siamese::embed::Embedder;
use siamese::gallery::{Answer, Gallery, Recognition, Share, Threshold};
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::text::plain;
use siamese::{Error, Result};

use super::engine::{Engine, Job};
use super::images::{self, ImagesArgs};
use super::{AdapterArg, Failure, Outcome, model_file};

/// Says whom images show: the identity, its distance, and how much farther the next one is; or `unknown`.
///
/// One line an image on stdout: name, identity, distance, margin, with tabs between. Where the images have classes, the
/// accuracy follows on stderr. Images that are enrolled themselves are left out.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese recognize runs/faces faces.gallery who.jpg party/
  siamese recognize runs/cnn digits.gallery --set test                     all other test digits
  siamese recognize runs/cnn digits.gallery --set test --take random       ten test digits at random
  find . -name '*.png' | siamese recognize runs/faces faces.gallery -      each as it comes")]
pub struct Recognize {
    /// Run folder, or a model file
    model: PathBuf,
    /// The gallery that `enroll` made
    gallery: PathBuf,
    #[command(flatten)]
    images: ImagesArgs,
    /// How many of the nearest embeddings vote
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    nearest: u64,
    /// Farther than this from everyone is unknown, in the loss's distance [default: the gallery's]
    #[arg(long, value_name = "DISTANCE")]
    threshold: Option<f32>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adapter: AdapterArg,
}

impl Recognize {
    pub fn run(self) -> Outcome {
        let model = Checkpoint::load(&model_file(&self.model))?.export();
        let mut gallery = Gallery::load(&self.gallery)?;
        gallery.check_model(&self.gallery, &model)?;
        if gallery.identities().is_empty() {
            let reason = "nobody is enrolled".to_owned();
            return Err(Error::Gallery { path: self.gallery.clone(), reason }.into());
        }
        if let Some(distance) = self.threshold {
            gallery.threshold = Some(Threshold::given(distance)?);
        }
        if gallery.threshold.is_none() {
            say!("warning: the gallery has no threshold, so that nobody is unknown; see `siamese enroll --far`");
        }
        let engine = Engine::open(&self.adapter.adapter)?;
        if self.images.paths == [Path::new("-")] {
            return engine.run(Stream { arguments: &self, model: &model, gallery: &gallery });
        }
        let images = self.images.load(&model)?;
        let rows: Vec<usize> = (0..images.names.len()).filter(|&row| !gallery.has_source(&images.names[row])).collect();
        if rows.len() < images.names.len() {
            say!("{} images are enrolled themselves and left out", images.names.len() - rows.len());
        }
        let images = images.subset(&rows);
        let embeddings = images::embed(&engine, &model, &images.data.images)?;
        gallery.check_embeddings(&embeddings, &images.names)?;
        let answers = gallery.recognise_all(&embeddings, self.nearest as usize);
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for (name, answer) in images.names.iter().zip(&answers) {
            self.show(&mut out, name, answer)?;
        }
        let judged = if images.labelled { gallery.judge(&answers, &images.classes()) } else { None };
        if let Some(recognition) = &judged {
            if self.json {
                let mut event = serde_json::to_value(recognition).expect("plain data");
                event["event"] = Value::from("recognition");
                writeln!(out, "{event}")?;
            }
            summary(recognition);
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, out: &mut impl Write, name: &str, answer: &Answer) -> Result<(), Failure> {
        if self.json {
            let mut event = json!({ "event": "answer", "name": name });
            let Value::Object(fields) = serde_json::to_value(answer).expect("plain data") else { unreachable!() };
            event.as_object_mut().expect("an object").extend(fields);
            writeln!(out, "{event}")?;
        } else {
            let identity = answer.identity.as_deref().unwrap_or("unknown");
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

/// Paths from standard input, each answered as it comes.
struct Stream<'a> {
    arguments: &'a Recognize,
    model: &'a Checkpoint,
    gallery: &'a Gallery,
}

impl Job for Stream<'_> {
    type Output = ExitCode;

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<ExitCode, Failure> {
        let mut embedder = Embedder::new(self.model, 1, make)?;
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(Error::io("read", Path::new("standard input")))?;
            let image = pictures::read(Path::new(&line), self.model.input, self.model.config.pictures)?;
            let embedding = embedder.embed(&image, |_| ())?;
            self.gallery.check_embeddings(&embedding, std::slice::from_ref(&line))?;
            let answer = self.gallery.recognise(&embedding, self.arguments.nearest as usize);
            let mut out = std::io::stdout().lock();
            self.arguments.show(&mut out, &line, &answer)?;
            out.flush()?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
