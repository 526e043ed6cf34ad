//! `siamese audit`

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use siamese::audit::{Place, places};
use siamese::checkpoint::Checkpoint;
use siamese::eval::Embedded;
use siamese::output::{Kind, Output};
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::text::plain;
use siamese::{Error, Result};

use super::engine::{Engine, Job};
use super::images::{self, Images, ImagesArgs, Tally};
use super::{AdapterArg, Failure, ModelArg, Outcome};
use crate::report::audit::{SHOWN, page};
use crate::report::counter;

/// Lists pictures by how probably their label is wrong, the most suspicious first: a table with tabs between of score,
/// picture, identity, distance to it, nearest other identity, distance to that.
///
/// The distance to an identity is that to the mean of its pictures' embeddings, of the own identity without the picture
/// itself. The score is the distance to its own of the sum of both (squared): at 0.5 a picture is as near to another
/// identity as to its own, near 1 it shows the other. It works with a model that was trained on these very pictures.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese audit runs/faces people/ --out audit.html    the table, and a page to look at
  siamese audit runs/faces people/ | head -n 100
  siamese audit runs/faces --set train --json")]
pub struct Audit {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    images: ImagesArgs,
    /// Write a page too: the first hundred, beside the nearest pictures of both identities
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adapter: AdapterArg,
}

impl Audit {
    pub fn run(self) -> Outcome {
        self.images.check(None)?;
        let page_file = self.out.as_deref().map(|path| Output::prepare(path, Kind::HTML)).transpose()?;
        let model = self.model.load()?.export();
        let mut tally = Tally::new(self.json);
        let images = self.images.load(&model, &mut tally)?;
        let identities = images.data.labels.iter().collect::<BTreeSet<_>>().len();
        if !images.labelled || identities < 2 {
            let reason = "pictures of two identities or more, each in a folder of its own, can be audited";
            return Err(Error::config("IMAGES", reason).into());
        }
        let engine = Engine::open(&self.adapter.adapter)?;
        let (embeddings, places) = engine.run(Places { model: &model, images: &images })?;
        self.print(&model, &images, &places)?;
        let count = images.names.len();
        let nearer = places.iter().filter(|place| place.own > place.other).count();
        say!("{count} pictures of {identities} identities; {nearer} are nearer to another than to their own");
        if places.len() < count {
            say!("{} are the only ones of their identity, and left out", count - places.len());
        }
        if let (Some(file), Some(path)) = (page_file, &self.out) {
            let e = Embedded { values: &embeddings, dims: embeddings.len() / count, labels: &images.data.labels };
            let scale = model.config.loss.distance().scale(e.dims);
            let shown = &places[..SHOWN.min(places.len())];
            file.commit(page(&images.data, &images.names, e, shown, scale)?.as_bytes())?;
            say!("page {}", path.display());
        }
        Ok(tally.exit())
    }

    fn print(&self, model: &Checkpoint, images: &Images, places: &[Place]) -> Result<(), Failure> {
        let scale = model.config.loss.distance().scale(model.net()?.dims());
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        if !self.json {
            writeln!(out, "score\tpicture\tidentity\tdistance\tnearest other\tits distance")?;
        }
        for place in places {
            let (name, score) = (&images.names[place.row], place.score());
            let [own, other] = [images.data.labels[place.row], place.label].map(|label| images.data.label_name(label));
            let [near, far] = [place.own * scale, place.other * scale];
            if self.json {
                let event = json!({
                    "event": "audit", "score": score, "name": name, "identity": own, "distance": near,
                    "other": other, "other_distance": far,
                });
                writeln!(out, "{event}")?;
            } else {
                let [name, own, other] = [name, &own, &other].map(|text| plain(text));
                writeln!(out, "{score:.4}\t{name}\t{own}\t{near:.4}\t{other}\t{far:.4}")?;
            }
        }
        Ok(out.flush()?)
    }
}

/// The embeddings of images, and their places among them.
struct Places<'a> {
    model: &'a Checkpoint,
    images: &'a Images,
}

impl Job for Places<'_> {
    type Output = (Vec<f32>, Vec<Place>);

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<Self::Output, Failure> {
        let Images { data, names, .. } = self.images;
        let (mut embedder, values) = images::embedded(self.model, &data.images, make)?;
        let dims = values.len() / names.len();
        let rows = values.chunks_exact(dims);
        rows.zip(names).try_for_each(|(embedding, name)| images::comparable(embedding, name))?;
        let bar = counter(names.len() as u64, "pictures compared");
        let e = Embedded { values: &values, dims, labels: &data.labels };
        let places = places(embedder.runner(), e, |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        Ok((values, places))
    }
}
