//! The images that a command works on, and the embedding of them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::slice;
use std::sync::Arc;
use std::time::Instant;

use clap::{ArgGroup, Args, ValueEnum};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde_json::json;
use siamese::checkpoint::Checkpoint;
use siamese::data::decode::Stored;
use siamese::data::search::{self, Found};
use siamese::data::store::Unreadable;
use siamese::data::{self, Bad, Dataset, pictures, store};
use siamese::embed::{Batch, Embedder, batch};
use siamese::eval::flaw;
use siamese::gallery::{Content, Gallery};
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::text::plain;
use siamese::{Error, Result, memory};

use super::engine::{Engine, Job};
use super::{DataArg, Failure, divide_as, number_from_1};
use crate::report::counter;

/// Which images.
#[derive(Args)]
#[command(group(ArgGroup::new("images").args(["paths", "set"])))]
pub struct ImagesArgs {
    /// Pictures, or folders with one folder of pictures a class, or tar files of such; or one set that `siamese pack`
    /// wrote or of IDX files, all of it
    #[arg(value_name = "IMAGES")]
    pub paths: Vec<PathBuf>,
    /// Images of the data set instead of pictures
    #[arg(long, value_enum)]
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
    #[arg(requires = "images")]
    take: Take,
    /// How many images of each class --take takes, the first or at random [default: 1]
    #[arg(long, value_name = "IMAGES", requires = "take", value_parser = number_from_1)]
    per_class: Option<usize>,
    /// Where the random choice of --take comes from [default: 0]
    #[arg(long, requires = "take")]
    seed: Option<u64>,
    /// Only these classes, by name or number, such as cat,dog or 0-7; a class that is called 2019-2021 is no range
    #[arg(long, value_name = "CLASSES", value_delimiter = ',', requires = "images")]
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

/// Counts the pictures that cannot be used, which keeps no other from being used.
pub struct Tally {
    json: bool,
    all: usize,
    refused: usize,
}

impl Tally {
    /// Of none yet; those that are refused become events on stdout too if `json`.
    pub fn new(json: bool) -> Tally {
        Tally { json, all: 0, refused: 0 }
    }

    /// One more picture, named `source`: what became of it, or `None` where that is an error, which is said.
    pub fn note<T>(&mut self, source: &str, outcome: Result<T>) -> Result<Option<T>, Failure> {
        self.all += 1;
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.refuse(source, &error).map(|()| None),
        }
    }

    /// Refuses a picture that was noted.
    pub fn refuse(&mut self, source: &str, error: &Error) -> Result<(), Failure> {
        self.refused += 1;
        let error = error.to_string();
        say!("error: {}", plain(&error));
        if self.json {
            writeln!(std::io::stdout(), "{}", json!({ "event": "error", "source": source, "error": error }))?;
        }
        Ok(())
    }

    /// Counts pictures that were used, or refused, before.
    pub fn know(&mut self, used: usize, refused: usize) {
        self.all += used + refused;
        self.refused += refused;
    }

    /// Whether any was refused.
    pub fn has_refused(&self) -> bool {
        self.refused > 0
    }

    /// How a command ends that has done what it could.
    pub fn exit(&self) -> ExitCode {
        if self.refused == 0 {
            return ExitCode::SUCCESS;
        }
        say!("{} of {} pictures could not be used", self.refused, self.all);
        ExitCode::from(1)
    }
}

/// Images brought to a network's input.
pub struct Images {
    /// The images; where they are not labelled, the labels mean nothing.
    pub data: Dataset,
    /// What each is called: the path of a picture, or its set and number.
    pub names: Vec<String>,
    /// What a gallery knows each by.
    pub contents: Vec<Content>,
    /// Whether each has a class.
    pub labelled: bool,
}

impl Images {
    /// The class of each image.
    pub fn classes(&self) -> Vec<String> {
        self.data.labels.iter().map(|&label| self.data.label_name(label)).collect()
    }

    /// Those that are not enrolled in a gallery: what is enrolled is at distance 0 of itself.
    pub fn new_to(&self, gallery: &Gallery) -> Images {
        let is_new = |row: &usize| gallery.holder(&self.names[*row], &self.contents[*row]).is_none();
        let rows: Vec<usize> = (0..self.names.len()).filter(is_new).collect();
        say_left_out(self.names.len() - rows.len());
        self.subset(&rows)
    }

    /// Those of `rows`.
    fn subset(&self, rows: &[usize]) -> Images {
        Images {
            data: self.data.subset(self.data.name.clone(), rows),
            names: rows.iter().map(|&row| self.names[row].clone()).collect(),
            contents: rows.iter().map(|&row| self.contents[row]).collect(),
            labelled: self.labelled,
        }
    }
}

/// Images where they lie: none is read before it is embedded.
pub struct Listed {
    /// The images; where they are not labelled, the labels mean nothing.
    pub data: Dataset,
    /// What each is called.
    pub names: Vec<String>,
    /// Whether each has a class.
    pub labelled: bool,
    /// What the set that they are of is known by beside their names and classes, if by anything.
    pub origin: String,
    /// What becomes of those that cannot be used.
    bad: Bad,
}

impl Listed {
    fn pictures(found: &[Found], model: &Checkpoint) -> Listed {
        let (classes, pictures) = (pictures::classes(found), model.config.pictures);
        Listed {
            data: pictures::data_set("pictures".to_owned(), found, classes, model.input, pictures),
            names: found.iter().map(|found| found.stored.path.display().to_string()).collect(),
            labelled: found.iter().all(|found| found.class.is_some()),
            origin: String::new(),
            bad: Bad::Skipped,
        }
    }

    fn set(data: Dataset, names: Vec<String>, origin: String) -> Listed {
        Listed { data, names, labelled: true, origin, bad: Bad::Refused }
    }

    /// All of a set in a file or folder.
    fn whole(path: &Path, model: &Checkpoint) -> Result<Listed> {
        let split = DataArg::open_from(Some(path), Some(model.input), model.config.pictures, None)?;
        let origin = split.origin.digest.clone();
        let (data, names) = split.whole();
        let names = names.into_iter().map(|name| format!("{}/{name}", path.display())).collect();
        Ok(Listed::set(data, names, origin))
    }

    /// The class of an image; empty where they have none.
    pub fn class(&self, row: usize) -> String {
        if self.labelled { self.data.label_name(self.data.labels[row]) } else { String::new() }
    }

    /// Those of `rows`.
    pub fn subset(self, rows: &[usize]) -> Listed {
        Listed {
            data: self.data.subset(self.data.name.clone(), rows),
            names: rows.iter().map(|&row| self.names[row].clone()).collect(),
            ..self
        }
    }

    /// Reads them. By their pixels a gallery knows them.
    fn load(self) -> Result<Images> {
        let Listed { data, names, labelled, .. } = self;
        say!("data {} ({} images)", data.name, data.len());
        // They are asked for twice: by their contents they are known, and then they are embedded.
        memory::check("the images", data.images.total())?;
        let bar = counter(data.len() as u64, "images");
        let (images, faults) = data.images.load(|| bar.inc(1));
        bar.finish_and_clear();
        if !faults.is_empty() {
            return Err(Unreadable::all(faults));
        }
        let data = Dataset { images, ..data };
        let of = |row| data.image(row).map(|image| Content::of(&image));
        let contents = (0..data.len()).into_par_iter().map(of).collect::<Result<_>>()?;
        Ok(Images { data, names, contents, labelled })
    }
}

/// What images are, none of which is read.
enum Source {
    Pictures(Vec<Found>),
    Set(Listed),
}

/// Says how many images a gallery holds itself.
pub fn say_left_out(enrolled: usize) {
    if enrolled > 0 {
        say!("{enrolled} images are enrolled themselves and left out");
    }
}

impl ImagesArgs {
    /// Whether any are named.
    pub fn is_given(&self) -> bool {
        self.set.is_some() || !self.paths.is_empty()
    }

    /// Refuses options that do nothing beside the others. `also` are other images that are asked for, see
    /// [`ImagesArgs::others`].
    pub fn check(&self, also: Option<&str>) -> Result<()> {
        self.choice.check()?;
        let of_set = self.set.is_some() || also.is_some_and(|source| Set::from_str(source, false).is_ok());
        if self.data.data.is_some() && !of_set {
            return Err(Error::config("--data", "it says where the images of --set are, and no --set is asked for"));
        }
        Ok(())
    }

    /// Whether `-` says that the names of pictures come from standard input.
    ///
    /// # Errors
    /// [`Error::Config`] for what does nothing then.
    pub fn is_stream(&self) -> Result<bool> {
        if !self.paths.iter().any(|path| path == Path::new("-")) {
            return Ok(false);
        }
        if self.paths.len() > 1 {
            return Err(Error::config("IMAGES", "`-`, standard input, stands alone"));
        }
        let reason = "pictures whose names come from standard input have no class to choose by";
        self.choice.given().map_or(Ok(true), |option| Err(Error::config(option, reason)))
    }

    /// Whether pictures that cannot be used are meant to be left out.
    pub fn skips_bad(&self) -> bool {
        self.data.skip_bad
    }

    /// Whether only some images of each class are asked for.
    pub fn takes_some(&self) -> bool {
        !matches!(self.choice.take, Take::All)
    }

    /// The images, brought to the input of a model; pictures that cannot be read are left to `tally`.
    pub fn load(&self, model: &Checkpoint, tally: &mut Tally) -> Result<Images, Failure> {
        let images = match self.source(model, tally)? {
            Source::Pictures(found) => read("pictures", &found, model, tally)?,
            Source::Set(listed) => listed.load()?,
        };
        let images = match self.choice.rows(&images.data, images.labelled)? {
            None => images,
            Some(rows) => images.subset(&rows),
        };
        some_left(images.names.len())?;
        Ok(images)
    }

    /// The same where they lie, not read yet: what cannot be read shows when they are [embedded](stream).
    pub fn list(&self, model: &Checkpoint, tally: &mut Tally) -> Result<Listed, Failure> {
        if self.takes_some() {
            // Of those that can be used.
            let Images { data, names, labelled, .. } = self.load(model, tally)?;
            return Ok(Listed { data, names, labelled, origin: String::new(), bad: Bad::Refused });
        }
        let listed = match self.source(model, tally)? {
            Source::Pictures(found) => Listed::pictures(&found, model),
            Source::Set(listed) => listed,
        };
        let listed = match self.choice.rows(&listed.data, listed.labelled)? {
            None => listed,
            Some(rows) => listed.subset(&rows),
        };
        some_left(listed.names.len())?;
        Ok(listed)
    }

    /// What is asked for.
    fn source(&self, model: &Checkpoint, tally: &mut Tally) -> Result<Source, Failure> {
        if let Some(set) = self.set {
            return Ok(Source::Set(self.set(set, model)?));
        }
        if self.paths.is_empty() {
            return Err(Error::config("IMAGES", "give pictures or folders of them, or --set test").into());
        }
        if let Some(set) = self.paths.iter().find(|path| is_set(path)) {
            if self.paths.len() > 1 {
                let reason = format!("{} is a set by itself; give it alone", set.display());
                return Err(Error::config("IMAGES", reason).into());
            }
            return Ok(Source::Set(Listed::whole(set, model)?));
        }
        let mut found = Vec::new();
        for path in &self.paths {
            match find(slice::from_ref(path)) {
                Ok(pictures) => found.extend(pictures),
                Err(error) => {
                    tally.all += 1;
                    tally.refuse(&path.display().to_string(), &error)?;
                }
            }
        }
        Ok(Source::Pictures(found))
    }

    /// All images of `train`, `validation` or `test` of the data set, or of a folder with one folder a class.
    pub fn others(&self, source: &str, model: &Checkpoint, tally: &mut Tally) -> Result<Images, Failure> {
        if let Ok(set) = Set::from_str(source, false) {
            return Ok(self.set(set, model)?.load()?);
        }
        if is_set(Path::new(source)) {
            return Ok(Listed::whole(Path::new(source), model)?.load()?);
        }
        let images = read(source, &find(&[PathBuf::from(source)])?, model, tally)?;
        if images.labelled {
            return Ok(images);
        }
        let expected = "one folder a class, or train, validation, test";
        Err(Error::data(Path::new(source), "pictures without folders", expected).into())
    }

    fn set(&self, set: Set, model: &Checkpoint) -> Result<Listed> {
        let split = self.data.load_of(model, self.other_data)?;
        let origin = split.origin.digest.clone();
        let data = match set {
            Set::Train => divide_as(model, split)?.train,
            Set::Test => split.test,
            Set::Validation => divide_as(model, split)?.validation.ok_or_else(|| {
                Error::config(
                    "--set validation",
                    "the model was trained without; `siamese train --validation 5000` holds images back",
                )
            })?,
        };
        let names = (0..data.len()).map(|row| format!("{}/{row}", data.name)).collect();
        Ok(Listed::set(data, names, origin))
    }
}

/// Whether a path is a set by itself. Where it cannot be read, whoever takes it for a picture will say so.
fn is_set(path: &Path) -> bool {
    data::is_set(path).is_ok_and(|is_set| is_set)
}

/// Says whether there is anything to embed.
pub fn some_left(images: usize) -> Result<()> {
    if images > 0 { Ok(()) } else { Err(Error::config("IMAGES", "no image is left of what was asked for")) }
}

/// The pictures that paths mean; says what there is to say of them.
fn find(paths: &[PathBuf]) -> Result<Vec<Found>> {
    let search = search::find(paths)?;
    search.remarks.iter().for_each(|remark| say!("{}", plain(remark)));
    Ok(search.found)
}

/// Reads pictures as the input of a model; those that cannot be read are left to `tally`.
fn read(name: &str, found: &[Found], model: &Checkpoint, tally: &mut Tally) -> Result<Images, Failure> {
    let outcomes: Vec<_> = found.par_iter().map(|found| read_picture(&found.stored, model)).collect();
    let (mut kept, mut names, mut contents, mut images) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (found, outcome) in found.iter().zip(outcomes) {
        let name = found.stored.path.display().to_string();
        if let Some((pixels, content)) = tally.note(&name, outcome)? {
            images.extend(pixels);
            names.push(name);
            contents.push(content);
            kept.push(found.clone());
        }
    }
    let size = model.input.iter().product();
    let data = pictures::labelled(
        name.to_owned(),
        &kept,
        pictures::classes(&kept),
        store::Images::new(images, size),
        model.input,
    );
    Ok(Images { data, names, contents, labelled: kept.iter().all(|found| found.class.is_some()) })
}

/// A picture as the input of a model, and what a gallery knows it by.
pub fn read_picture(picture: &Stored, model: &Checkpoint) -> Result<(Vec<u8>, Content)> {
    picture.encoded(|encoded| {
        let pixels = pictures::read(encoded, model.input, model.config.pictures)?;
        Ok((pixels, Content::of(&encoded.bytes()?)))
    })
}

impl Choice {
    /// The option that chooses among images, if one is given.
    fn given(&self) -> Option<&'static str> {
        if !self.classes.is_empty() {
            return Some("--classes");
        }
        (!matches!(self.take, Take::All)).then_some("--take")
    }

    /// Refuses options that do nothing beside the others.
    fn check(&self) -> Result<()> {
        match self.take {
            Take::All if self.per_class.is_some() => {
                Err(Error::config("--per-class", "--take all takes all of each class; take the first, or at random"))
            }
            Take::All | Take::First if self.seed.is_some() => {
                Err(Error::config("--seed", "only --take random takes images at random"))
            }
            _ => Ok(()),
        }
    }

    /// The rows that are chosen of a set, in order; `None` where all are.
    fn rows(&self, data: &Dataset, labelled: bool) -> Result<Option<Vec<usize>>> {
        let Some(option) = self.given() else { return Ok(None) };
        if !labelled {
            return Err(Error::config(option, "pictures that lie in no class folder have no class to choose by"));
        }
        let mut by_label: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (row, &label) in data.labels.iter().enumerate() {
            by_label.entry(label).or_default().push(row);
        }
        if !self.classes.is_empty() {
            let wanted = data.labels_named("--classes", &self.classes)?;
            by_label.retain(|label, _| wanted.contains(label));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed.unwrap_or(0));
        let per_class = self.per_class.unwrap_or(1);
        for rows in by_label.values_mut() {
            match self.take {
                Take::All => {}
                Take::First => rows.truncate(per_class),
                Take::Random => {
                    let wanted = per_class.min(rows.len());
                    *rows = index::sample(&mut rng, rows.len(), wanted).iter().map(|place| rows[place]).collect();
                }
            }
        }
        let mut rows: Vec<usize> = by_label.into_values().flatten().collect();
        rows.sort_unstable();
        Ok(Some(rows))
    }
}

/// Embeds images, in their order: `[rows, dims]`.
///
/// # Errors
/// [`Error::Embedding`] where one cannot be compared with others, which is the fault of the model.
pub fn embed(engine: &Engine, model: &Checkpoint, images: &Images) -> Result<Vec<f32>, Failure> {
    let embeddings = engine.run(Embed { model, images: &images.data.images })?;
    let rows = embeddings.chunks_exact(model.net()?.dims());
    rows.zip(&images.names).try_for_each(|(embedding, name)| comparable(embedding, name))?;
    Ok(embeddings)
}

/// Says whether the embedding of an image can be compared with others.
pub fn comparable(embedding: &[f32], name: &str) -> Result<()> {
    flaw(embedding).map_or(Ok(()), |reason| Err(Error::Embedding { image: name.to_owned(), reason }))
}

/// Embeds the images of a store.
pub struct Embed<'a> {
    /// What embeds them.
    pub model: &'a Checkpoint,
    /// Them.
    pub images: &'a store::Images,
}

impl Job for Embed<'_> {
    type Output = Vec<f32>;

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<Vec<f32>, Failure> {
        Ok(embedded(self.model, self.images, make)?.1)
    }
}

/// The embeddings of images, `[rows, dims]`, and what made them.
pub fn embedded<R: Runner>(
    model: &Checkpoint,
    images: &store::Images,
    make: impl FnOnce(Arc<Plan>) -> Result<R>,
) -> Result<(Embedder<R>, Vec<f32>), Failure> {
    let mut embeddings = Vec::new();
    let embedder = streamed(model, images, batch(&model.net()?, images.len()), make, |batch| {
        batch.unreadable.into_iter().next().map_or(Ok(()), |fault| Err(fault.error))?;
        embeddings.extend_from_slice(batch.values);
        Ok(())
    })?;
    Ok((embedder, embeddings))
}

/// Gives the embeddings of images to `each`, a batch at a time; answers what made them.
fn streamed<R: Runner>(
    model: &Checkpoint,
    images: &store::Images,
    batch: usize,
    make: impl FnOnce(Arc<Plan>) -> Result<R>,
    mut each: impl FnMut(Batch) -> Result<()>,
) -> Result<Embedder<R>, Failure> {
    let count = images.len();
    let begin = Instant::now();
    let mut embedder = Embedder::new(model, batch, make)?;
    say!("network ready after {:.2} s", begin.elapsed().as_secs_f64());
    let (bar, dims) = (counter(count as u64, "images"), model.net()?.dims());
    let begin = Instant::now();
    embedder.stream(images, |batch| {
        let done = batch.first + batch.values.len() / dims;
        each(batch)?;
        bar.set_position(done as u64);
        Ok::<_, Error>(())
    })?;
    bar.finish_and_clear();
    let seconds = begin.elapsed().as_secs_f64();
    say!("{count} images embedded in {seconds:.3} s, {:.0} a second", count as f64 / seconds);
    Ok(embedder)
}

struct Stream<'a, F> {
    model: &'a Checkpoint,
    images: &'a store::Images,
    batch: usize,
    each: F,
}

impl<F: FnMut(Batch) -> Result<()>> Job for Stream<'_, F> {
    type Output = ();

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<(), Failure> {
        streamed(self.model, self.images, self.batch, make, self.each).map(drop)
    }
}

/// Embeds images, `batch` at a time, none of which stays in memory: gives the row of each, in order, and its embedding
/// to `each`. Pictures that cannot be read are left to `tally`; answers their rows.
///
/// # Errors
/// As [`embed`]; [`Error::Pictures`] for images of a set that cannot be read; what `each` answers.
pub fn stream(
    engine: &Engine,
    model: &Checkpoint,
    images: &Listed,
    batch: usize,
    tally: &mut Tally,
    mut each: impl FnMut(usize, &[f32]) -> Result<()>,
) -> Result<Vec<usize>, Failure> {
    let dims = model.net()?.dims();
    if images.bad == Bad::Skipped {
        tally.all += images.names.len();
    }
    let mut faults = Vec::new();
    let take = |batch: Batch| {
        let mut unreadable = batch.unreadable.into_iter().peekable();
        for (row, embedding) in (batch.first..).zip(batch.values.chunks_exact(dims)) {
            if let Some(fault) = unreadable.next_if(|fault| fault.row == row) {
                faults.push(fault);
                continue;
            }
            comparable(embedding, &images.names[row])?;
            each(row, embedding)?;
        }
        Ok(())
    };
    engine.run(Stream { model, images: &images.data.images, batch, each: take })?;
    if images.bad == Bad::Refused && !faults.is_empty() {
        return Err(Unreadable::all(faults).into());
    }
    faults.iter().try_for_each(|fault| tally.refuse(&images.names[fault.row], &fault.error))?;
    Ok(faults.into_iter().map(|fault| fault.row).collect())
}
