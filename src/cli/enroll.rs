//! `siamese enroll`

use std::collections::HashMap;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use siamese::Error;
use siamese::checkpoint::Checkpoint;
use siamese::gallery::{Gallery, Threshold};
use siamese::text::plain;

use super::engine::Engine;
use super::images::{self, Images, ImagesArgs, Tally};
use super::recognize::UNKNOWN;
use super::{AdapterArg, Failure, GalleryArg, IndexArg, ModelArg, Outcome};

/// Makes a gallery of identities, or changes one.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese enroll runs/cnn digits.gallery --set test --take first       the first test image of each digit
  siamese enroll runs/faces faces.gallery people/                      people/anna/1.jpg, people/ben/1.jpg, …
  siamese enroll runs/faces faces.gallery new.jpg --identity carla     one more, without any training
  siamese enroll runs/faces faces.gallery --remove ben
  siamese enroll runs/cnn digits.gallery --far 0.01 --calibrate validation
  siamese enroll runs/faces faces.gallery --threshold 0.8
  siamese enroll runs/faces 'postgres://user@host/db?gallery=faces' people/")]
pub struct Enroll {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    gallery: GalleryArg,
    #[command(flatten)]
    images: ImagesArgs,
    /// Whose images these are [default: the class of each]
    #[arg(long, value_name = "NAME", requires = "images", value_parser = NonEmptyStringValueParser::new())]
    identity: Option<String>,
    /// Take an identity out; may be repeated
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
    /// Keep one embedding an identity, the mean of its images'
    #[arg(long)]
    centroid: bool,
    /// Farther than this from everyone is unknown, in the loss's distance
    #[arg(long, value_name = "DISTANCE", conflicts_with = "far")]
    threshold: Option<f32>,
    /// Choose the threshold so that no more than this share of strangers is accepted
    #[arg(long, value_name = "RATE", requires = "calibrate")]
    far: Option<f64>,
    /// Images that --far is judged by: train, validation or test of the data set, or a folder with one folder a class
    #[arg(long, value_name = "IMAGES", requires = "far")]
    calibrate: Option<String>,
    /// Make an index for faster answers, some of them wrong, of a gallery in a database; says how many are right
    #[arg(long, value_enum, value_name = "KIND")]
    index: Option<IndexArg>,
    #[command(flatten)]
    adapter: AdapterArg,
}

impl Enroll {
    pub fn run(self) -> Outcome {
        self.images.check(self.calibrate.as_deref())?;
        let place = self.gallery.place()?;
        let model = self.model.load()?.export();
        let mut change = place.change(&model)?;
        let engine = Engine::open(&self.adapter.adapter)?;
        let mut tally = Tally::new(false);
        let embedded = if self.images.is_given() {
            let images = self.images.load(&model, &mut tally)?;
            let embeddings = images::embed(&engine, &model, &images)?;
            Some((images, embeddings))
        } else {
            None
        };
        let mut gallery = change.gallery()?;
        let calibrated = gallery.threshold.and_then(|threshold| threshold.far);
        for identity in &self.remove {
            gallery.remove(identity)?;
        }
        if let Some((images, embeddings)) = &embedded {
            self.enroll(&mut gallery, images, embeddings, &mut tally)?;
        } else if self.changes_nothing() {
            return Err(Error::config("IMAGES", "give pictures or folders of them, or --set test").into());
        }
        if self.centroid {
            gallery.to_centroids();
        }
        if let Some(distance) = self.threshold {
            gallery.threshold = Some(Threshold::given(distance)?);
        }
        if let (Some(far), Some(source)) = (self.far, &self.calibrate) {
            let images = self.images.others(source, &model, &mut tally)?;
            calibrate(&mut gallery, &engine, &model, far, &images)?;
        }
        change.save(&gallery)?;
        let (identities, images) = (gallery.identities().len(), gallery.images());
        say!("{place}: {identities} identities, {images} images");
        if let (None, Some(far)) = (gallery.threshold, calibrated) {
            say!("warning: the threshold for a FAR of {far} was of the gallery before: calibrate again with --far");
        }
        match gallery.threshold {
            Some(Threshold { distance, far: Some(far) }) => say!("threshold {distance} for a FAR of {far}"),
            Some(Threshold { distance, far: None }) => say!("threshold {distance}, as given"),
            None => say!("no threshold: nobody is unknown; see --far and --threshold"),
        }
        if let Some(index) = self.index.map(IndexArg::index) {
            place.make_index(index)?;
            let (recall, asked) = place.search(Some(index))?.recall_at_1(&gallery)?;
            say!(
                "index made: recall at 1 {:.2} % against exact search, of {asked} of its embeddings among the others",
                100.0 * recall
            );
        }
        Ok(tally.exit())
    }

    /// Whether nothing is asked for.
    fn changes_nothing(&self) -> bool {
        let has_threshold = self.threshold.is_some() || self.far.is_some();
        self.remove.is_empty() && !has_threshold && !self.centroid && self.index.is_none()
    }

    fn enroll(
        &self,
        gallery: &mut Gallery,
        images: &Images,
        embeddings: &[f32],
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        if !images.labelled && self.identity.is_none() {
            let reason = "whose images are these? Say it here, or give a folder with one folder of pictures for each";
            return Err(Error::config("--identity", reason).into());
        }
        let classes = images.classes();
        let rows = embeddings.chunks_exact(embeddings.len() / images.names.len());
        let before = gallery.identities().len();
        let mut again = 0;
        for (row, embedding) in rows.enumerate() {
            let identity = self.identity.as_ref().unwrap_or(&classes[row]);
            let name = &images.names[row];
            match gallery.add(identity, name, &images.contents[row], embedding) {
                Ok(added) => again += usize::from(!added),
                // Somebody else's picture.
                Err(error) => tally.refuse(name, &error)?,
            }
        }
        if again > 0 {
            say!("{again} images were enrolled already");
        }
        let (old, new) = gallery.identities().split_at(before);
        let mut known: HashMap<String, &String> = old.iter().map(|name| (name.to_lowercase(), name)).collect();
        for name in new {
            if name == UNKNOWN {
                say!("warning: an identity is called `{UNKNOWN}`, as is who is nobody's; --json tells them apart");
            }
            if let Some(other) = known.insert(name.to_lowercase(), name) {
                say!(
                    "warning: `{}` and `{}` are two identities, and differ in capitals alone",
                    plain(other),
                    plain(name)
                );
            }
        }
        Ok(())
    }
}

fn calibrate(
    gallery: &mut Gallery,
    engine: &Engine,
    model: &Checkpoint,
    far: f64,
    images: &Images,
) -> Result<(), Failure> {
    let all = images.names.len();
    let images = images.new_to(gallery);
    if images.names.is_empty() {
        let reason = format!("all {all} images are enrolled themselves; give others");
        return Err(Error::config("--calibrate", reason).into());
    }
    let embeddings = images::embed(engine, model, &images)?;
    let impostors = gallery.calibrate(&embeddings, &images.classes(), far)?;
    say!("calibrated on {impostors} impostors of {}", images.data.name);
    Ok(())
}
