//! The images that a command works on, and the embedding of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use siamese::checkpoint::Checkpoint;
use siamese::data::Dataset;
use siamese::data::pictures::{self, Found};
use siamese::embed::{BATCH, Embedder};
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::vectors::Shard;
use siamese::{Error, Result};

use super::engine::{Engine, Job};
use super::{DataArg, Failure};
use crate::report::counter;

/// Which images.
#[derive(Args)]
pub struct ImagesArgs {
    /// Pictures, or folders with one folder of pictures a class
    #[arg(value_name = "IMAGES")]
    pub paths: Vec<PathBuf>,
    /// Images of the data set instead of pictures
    #[arg(long, value_enum, conflicts_with = "paths")]
    set: Option<Set>,
    #[command(flatten)]
    data: DataArg,
    /// Take --set of another set than the model's own
    #[arg(long, requires = "data")]
    other_data: bool,
    #[command(flatten)]
    choice: Choice,
}

/// Which of the images.
#[derive(Args)]
struct Choice {
    /// Which images of each class
    #[arg(long, value_enum, default_value = "all", hide_possible_values = true, value_name = "first|random|all")]
    take: Take,
    /// How many images of each class to take, the first or at random
    #[arg(long, value_name = "IMAGES", default_value_t = 1)]
    per_class: usize,
    /// Where the random choice comes from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only these classes, by name or number, such as 0-7 or cat,dog
    #[arg(long, value_name = "CLASSES", value_delimiter = ',')]
    classes: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Set {
    /// What the network was trained on
    Train,
    /// What was held back from the training to watch it
    Validation,
    /// The test images, those of classes that the network has never seen included
    Test,
}

#[derive(Clone, Copy, ValueEnum)]
enum Take {
    /// The first of each class
    First,
    /// Some of each class at random
    Random,
    /// All of them
    All,
}

/// Images brought to a network's input.
pub struct Images {
    /// The images; where they are not labelled, the labels mean nothing.
    pub data: Dataset,
    /// What each is called: the path of a picture, or its set and number.
    pub names: Vec<String>,
    /// Whether each has a class.
    pub labelled: bool,
}

impl Images {
    /// The class of each image.
    pub fn classes(&self) -> Vec<String> {
        self.data.labels.iter().map(|&label| self.data.label_name(label)).collect()
    }

    /// Those of `rows`.
    pub fn subset(&self, rows: &[usize]) -> Images {
        Images {
            data: self.data.subset(self.data.name.clone(), rows),
            names: rows.iter().map(|&row| self.names[row].clone()).collect(),
            labelled: self.labelled,
        }
    }
}

impl ImagesArgs {
    /// Whether any are named.
    pub fn is_given(&self) -> bool {
        self.set.is_some() || !self.paths.is_empty()
    }

    /// The images, brought to the input of a model.
    pub fn load(&self, model: &Checkpoint) -> Result<Images> {
        self.load_part(model, None)
    }

    /// The images of one of many machines: a part of all in order, before anything else is chosen.
    pub fn load_part(&self, model: &Checkpoint, shard: Option<Shard>) -> Result<Images> {
        let part = |rows: usize| shard.map_or(0..rows, |shard| shard.rows(rows));
        let images = match self.set {
            Some(set) => {
                let images = self.set(set, model)?;
                images.subset(&part(images.names.len()).collect::<Vec<_>>())
            }
            None if self.paths.is_empty() => {
                return Err(Error::config("IMAGES", "give pictures or folders of them, or --set test"));
            }
            None => {
                let found = pictures::find(&self.paths)?;
                read("pictures", &found[part(found.len())], model)?
            }
        };
        let images = self.choice.apply(images)?;
        if images.names.is_empty() {
            return Err(Error::config("IMAGES", "no image is left of what was asked for"));
        }
        Ok(images)
    }

    /// All images of `train`, `validation` or `test` of the data set, or of a folder with one folder a class.
    pub fn others(&self, source: &str, model: &Checkpoint) -> Result<Images> {
        if let Ok(set) = Set::from_str(source, false) {
            return self.set(set, model);
        }
        let images = read(source, &pictures::find(&[PathBuf::from(source)])?, model)?;
        if images.labelled {
            return Ok(images);
        }
        Err(Error::data(
            Path::new(source),
            "pictures without folders",
            "one folder a class, or train, validation, test",
        ))
    }

    fn set(&self, set: Set, model: &Checkpoint) -> Result<Images> {
        let data = match set {
            Set::Train => self.data.load_parts(model, self.other_data)?.train,
            Set::Test => self.data.load_of(model, self.other_data)?.test,
            Set::Validation => self.data.load_parts(model, self.other_data)?.validation.ok_or_else(|| {
                Error::config(
                    "--set validation",
                    "the model was trained without; `siamese train --validation 5000` holds images back",
                )
            })?,
        };
        say!("data {} ({} images)", data.name, data.len());
        let names = (0..data.len()).map(|row| format!("{}/{row}", data.name)).collect();
        Ok(Images { data, names, labelled: true })
    }
}

/// Reads pictures as the input of a model.
pub fn read(name: &str, found: &[Found], model: &Checkpoint) -> Result<Images> {
    let classes = pictures::classes(found);
    let data = pictures::load(name.to_owned(), found, classes, model.input, model.config.pictures)?;
    let names = found.iter().map(|found| found.path.display().to_string()).collect();
    Ok(Images { data, names, labelled: found.iter().all(|found| found.class.is_some()) })
}

impl Choice {
    fn apply(&self, images: Images) -> Result<Images> {
        let takes_some = !matches!(self.take, Take::All);
        if !images.labelled && (takes_some || !self.classes.is_empty()) {
            let reason = "pictures that lie in no class folder have no class to choose by";
            return Err(Error::config(if takes_some { "--take" } else { "--classes" }, reason));
        }
        let mut by_label: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (row, &label) in images.data.labels.iter().enumerate() {
            by_label.entry(label).or_default().push(row);
        }
        if !self.classes.is_empty() {
            let wanted: Vec<String> = self.classes.iter().flat_map(|part| expand(part)).collect();
            let names: BTreeMap<u32, String> =
                by_label.keys().map(|&label| (label, images.data.label_name(label))).collect();
            if let Some(missing) = wanted.iter().find(|name| !names.values().any(|own| own == *name)) {
                let known = names.into_values().collect::<Vec<_>>().join(", ");
                return Err(Error::config("--classes", format!("no image is of class `{missing}`; there are {known}")));
            }
            by_label.retain(|label, _| wanted.contains(&names[label]));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        for rows in by_label.values_mut() {
            match self.take {
                Take::All => {}
                Take::First => rows.truncate(self.per_class),
                Take::Random => {
                    let wanted = self.per_class.min(rows.len());
                    *rows = index::sample(&mut rng, rows.len(), wanted).iter().map(|place| rows[place]).collect();
                }
            }
        }
        let mut rows: Vec<usize> = by_label.into_values().flatten().collect();
        rows.sort_unstable();
        Ok(if rows.len() == images.data.len() { images } else { images.subset(&rows) })
    }
}

/// `0-3` is 0, 1, 2 and 3; anything else is itself.
fn expand(part: &str) -> Vec<String> {
    let range = part.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse::<u32>().ok()?)));
    match range {
        Some((first, last)) => (first..=last).map(|number: u32| number.to_string()).collect(),
        None => vec![part.to_owned()],
    }
}

/// Embeds images, in their order: `[rows, dims]`.
pub fn embed(engine: &Engine, model: &Checkpoint, images: &[u8]) -> Result<Vec<f32>, Failure> {
    engine.run(Embed { model, images })
}

struct Embed<'a> {
    model: &'a Checkpoint,
    images: &'a [u8],
}

impl Job for Embed<'_> {
    type Output = Vec<f32>;

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<Vec<f32>, Failure> {
        let pixels: usize = self.model.input.iter().product();
        let count = self.images.len() / pixels;
        let begin = Instant::now();
        let mut embedder = Embedder::new(self.model, count.min(BATCH), make)?;
        say!("network ready after {:.2} s", begin.elapsed().as_secs_f64());
        let bar = counter(count as u64, "images");
        let begin = Instant::now();
        let embeddings = embedder.embed(self.images, |done| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        let seconds = begin.elapsed().as_secs_f64();
        say!("{count} images embedded in {seconds:.3} s, {:.0} a second", count as f64 / seconds);
        Ok(embeddings)
    }
}
