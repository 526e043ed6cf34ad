//! `siamese train`

use std::ffi::OsStr;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use siamese::checkpoint::{self, Checkpoint, Precision, Taken};
use siamese::config::{Config, Group, Length, PRESETS, Preset, Schedule, Update, Validation};
use siamese::crew::{Alone, Crew};
use siamese::data::{Bound, Dataset, HoldBack, Parts, SplitBy};
use siamese::feed::Residence;
use siamese::figures::Figures;
use siamese::import::Weights;
use siamese::losses::triplet::Margin;
use siamese::losses::{COLLAPSED, Loss};
use siamese::names::Names;
use siamese::net::Net;
use siamese::output::{self, Kind};
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::sampler::{Augment, Batch, Sampler};
use siamese::session::{CHECKPOINT, Ending, Event, Folder, PREVIOUS, SaveEvery, Session, Unfinished};
use siamese::settings::Setting;
use siamese::siamese::rank_plan;
use siamese::train::Trainer;
use siamese::{Error, Result, embed, train};

use super::crew::CrewArg;
use super::engine::{Engine, Job};
use super::{
    AdapterArg, BatchArgs, DataArg, Failure, FeedArgs, NetworkArgs, Outcome, PictureArgs, PixelArgs, PrecisionArg,
    Tune, TuneArgs, compatible, divide_as, model_file, parse_text,
};
use crate::outcome::explain;
use crate::report::run::{FIGURES, MANIFEST, PAGE};
use crate::report::{Dashboard, Lines, Steps, evaluation_bar, evaluation_table, page, run};

const EXAMPLES: &str = "\
Examples:
  siamese train                                        the default network on MNIST, on the best adapter
  siamese train --preset notebook --seed 1             the Keras notebook
  siamese train --adapter cpu --epochs 2               without any GPU
  siamese train --spec \"conv16k5 relu pool dense32 l2\" --images 100000 --out runs/mine
  siamese train --images 600000 --augment elastic --ema 0.999
  siamese train --validation 5000 --patience 5         watched on images held back, the best kept
  siamese train --from runs/mine --freeze \"conv*\"      the convolutions of another run, the rest trained
  siamese train --data pets/ --loss multi-similarity --batch 32x4
  siamese train --train-classes 0-4                    evaluated on the digits that it never saw
  siamese train --shares 4 --batch 256x4               a batch for the loss that goes through the network in four parts
  mpirun -n 4 siamese train --crew mpi                 on four devices, of one machine or many
  siamese train --out runs/mine --resume               go on after Ctrl-C
  siamese train --data fashion-mnist/                  any folder of IDX files
  siamese train --data pets/ --input 64x64x3           any folder with a folder of pictures for each class";

/// Text behind which stand the losses of the registry, each with its settings as they are by default, and the amounts
/// of augmentation.
fn with_settings(text: &str) -> String {
    let mut text = format!("{text}\n\nLosses, each with its settings as they are where --loss does not say otherwise:");
    let list = |text: &mut String, settings: &[Setting]| {
        for Setting { name, about, range, .. } in settings {
            text.push_str(&format!("\n      {name:<12} {about}; {range}"));
        }
    };
    for loss in Loss::all() {
        text.push_str(&format!("\n  {loss}\n      {}", loss.about()));
        list(&mut text, loss.known_settings());
    }
    text.push_str("\n\nAmounts of --augment:");
    list(&mut text, Augment::SETTINGS);
    text
}

/// Trains a network on the training images, saves it, and evaluates it on the test images.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = with_settings(EXAMPLES))]
pub struct Train {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArg,
    #[command(flatten)]
    pictures: PictureArgs,
    #[command(flatten)]
    pixels: PixelArgs,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Train together with other programs that were started with the same options: each is a rank and takes its shares
    /// of every step. Of a list such as --adapter 0,1 the ranks of a machine get one each in turn
    #[arg(long, value_enum, value_name = "HOW")]
    crew: Option<CrewArg>,
    #[command(flatten)]
    tune: TuneArgs,
    #[command(flatten)]
    length: LengthArgs,
    /// How often to save: each so many seconds, as 30s, or each so many steps, as 500
    #[arg(long, value_name = "TIME|STEPS", default_value = "30s", value_parser = parse_save_every)]
    save_every: SaveEvery,
    /// End the run, saved and with exit code 3, where it is lost: collapse, all embeddings at one point
    #[arg(long, value_enum, value_name = "WHAT")]
    stop_on: Option<StopOn>,
    /// Folder of the run [default: runs/<preset>, numbered where that is taken]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in --out, with its settings; a --learning-rate counts from there on
    #[arg(long, requires = "out", conflicts_with_all = [
        "preset", "spec", "loss", "memory", "compatible_with", "mining", "batch", "margin", "soft_margin", "augment",
        "schedule", "warmup", "weight_decay", "from", "freeze", "group", "clip", "ema", "precision", "again",
        "validation", "validate_every", "patience", "split", "train_classes", "seed", "threshold", "input", "invert",
        "ground", "mean", "deviation", "shares",
    ])]
    resume: bool,
    /// Go on with another set than the run's own
    #[arg(long, requires_all = ["resume", "data"])]
    other_data: bool,
    /// Show the training as a page in the terminal: curves, validation, time left
    #[arg(long)]
    tui: bool,
    /// Print events as JSON lines on stdout
    #[arg(long)]
    json: bool,
    /// Take settings from a file, `option = value` by the names of these options; what the command line says wins
    #[arg(long, value_name = "FILE.toml", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// The settings given, as such a file.
    #[arg(skip)]
    settings: String,
    #[command(flatten)]
    feed: FeedArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
}

/// What a training is, beyond its network and length. All default to the preset's.
#[derive(Args)]
#[command(next_help_heading = "Recipe [defaults: the preset's]")]
struct RecipeArgs {
    #[command(flatten)]
    batch: BatchArgs,
    /// What a batch costs: a loss, with settings where they are not to be its defaults, such as "multi-similarity
    /// beta=40"; all of them are listed below
    #[arg(long, value_name = "TEXT", value_parser = parse_text::<Loss>)]
    loss: Option<Loss>,
    /// Cut each batch into so many equal shares, which go through the network one after the other, so that memory is
    /// needed for one of them, or each on a rank of a --crew; the loss is that of the whole batch [default: as many as
    /// there are ranks]
    #[arg(long, value_name = "NUMBER")]
    shares: Option<usize>,
    /// Of a loss on pairs: pair each image with this many of the batches before as well, as they were embedded then
    /// (cross-batch memory)
    #[arg(long, value_name = "IMAGES")]
    memory: Option<usize>,
    /// Of a loss on pairs: make embeddings that can be compared with those of an older model, a run, checkpoint or
    /// model file. Each image of a batch is paired with the old embeddings of all of them as well
    #[arg(long, value_name = "OLD")]
    compatible_with: Option<PathBuf>,
    /// Of the triplet loss: how much farther than the positive the negative must be
    #[arg(long, value_name = "DISTANCE")]
    margin: Option<f32>,
    /// Of the triplet loss: the soft margin ln(1 + exp(s (d_ap - d_an))) / s with this s, instead of --margin
    #[arg(long, value_name = "S", conflicts_with = "margin")]
    soft_margin: Option<f32>,
    /// How images are changed: none, affine, elastic, pictures, or amounts such as "shift=1 rotate=8 scale=0.08
    /// shear=0.08 elastic=2", which is elastic; amounts behind such a word go before its own. All are listed below
    #[arg(long, value_name = "HOW", value_parser = parse_text::<Augment>)]
    augment: Option<Augment>,
    /// Step size of Adam at its highest
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f32>,
    /// How the step size goes over the run
    #[arg(long, value_enum, value_name = "HOW")]
    schedule: Option<ScheduleArg>,
    /// Steps in which the step size rises from zero
    #[arg(long, value_name = "STEPS")]
    warmup: Option<u64>,
    /// Share of the weights taken away each step, times the step size; biases and norms keep theirs
    #[arg(long, value_name = "SHARE")]
    weight_decay: Option<f32>,
    /// Weights to start from: a run, a checkpoint, a model, or a safetensors file with our names. Tensors that fit by
    /// name and shape are taken, the others start at random, and which is said. Without --spec and --preset the network
    /// is the model's, and so is what it does to pixels
    #[arg(long, value_name = "MODEL")]
    from: Option<PathBuf>,
    /// Layers or tensors that stay as they are, such as "conv1-20 bn1-20" or "conv*.weight"
    #[arg(long, value_name = "NAMES")]
    freeze: Option<String>,
    /// Tensors with a factor on their step size or a weight decay of their own, such as "conv1-8 rate=0.1" or
    /// "*.bias bn* decay=0.01"; may be repeated, of several that fit the last wins
    #[arg(long, value_name = "NAMES rate=F decay=F", value_parser = parse_text::<Group>)]
    group: Vec<Group>,
    /// Shorten gradients to this norm
    #[arg(long, value_name = "NORM")]
    clip: Option<f32>,
    /// Keep a moving average of the weights with this decay, and evaluate that
    #[arg(long, value_name = "DECAY")]
    ema: Option<f32>,
    /// How images and activations are stored
    #[arg(long, value_enum, value_name = "BITS")]
    precision: Option<PrecisionArg>,
    /// Keep the outputs of joins alone and make what lies between again on the way back: less memory, the same bits
    #[arg(long)]
    again: bool,
    /// Training images held back to watch the run; the weights that did best are kept and evaluated. Where no class is
    /// both trained on and judged by, whole classes are held back, of so many images at least
    #[arg(long, value_name = "IMAGES")]
    validation: Option<usize>,
    /// Steps between two looks at them [default: a twentieth of the run]
    #[arg(long, value_name = "STEPS", requires = "validation")]
    validate_every: Option<u64>,
    /// End after so many looks without a new best
    #[arg(long, value_name = "LOOKS", requires = "validation")]
    patience: Option<u64>,
    /// What judges of a folder that names no sides train/ and test/: images, a fifth of those of each class; or
    /// identities=0.25, all images of about that share of the classes, the others being trained on [default: images;
    /// for more than 50 classes identities=0.25]
    #[arg(long, value_name = "BY", value_parser = parse_text::<SplitBy>)]
    split: Option<SplitBy>,
    /// Classes to train on, by name or number, such as cat,dog or 0-4; the others are evaluated. A class that is called
    /// 2019-2021 is no range
    #[arg(long, value_name = "CLASSES", value_delimiter = ',')]
    train_classes: Vec<String>,
    /// Where every random choice comes from
    #[arg(long)]
    seed: Option<u64>,
    /// Recognition thresholds that the evaluation reports, in the loss's distance; may be repeated
    #[arg(long, value_name = "DISTANCE")]
    threshold: Vec<f32>,
}

/// What ends a run early.
#[derive(Clone, Copy, ValueEnum)]
enum StopOn {
    /// All embeddings at almost one point
    Collapse,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScheduleArg {
    /// The same at every step
    Constant,
    /// Half a cosine to zero
    Cosine,
    /// A tenth after half of the run, a hundredth after three quarters
    Step,
}

impl RecipeArgs {
    /// Whether an option is of triplets alone.
    fn is_of_triplets(&self) -> bool {
        self.batch.mining.is_some() || self.margin.is_some() || self.soft_margin.is_some()
    }

    /// Loss and batch of a preset changed as asked: such as go together.
    fn loss_and_batch(&self, preset: &Config) -> Result<(Loss, Batch)> {
        let mut loss = self.loss.unwrap_or(preset.loss);
        let margin = self.margin.map(Margin::Hinge).or(self.soft_margin.map(Margin::Soft));
        match (&mut loss, margin) {
            (Loss::Triplet(triplet), margin) => triplet.margin = margin.unwrap_or(triplet.margin),
            (loss, Some(_)) => {
                let option = if self.margin.is_some() { "--margin" } else { "--soft-margin" };
                let reason = format!("belongs to the triplet loss; this is --loss \"{loss}\"");
                return Err(Error::config(option, reason));
            }
            (_, None) => {}
        }
        Ok((loss, self.batch.apply(&loss, preset.batch)?))
    }

    /// Changes `config`, a preset's, as asked; what depends on the run's length comes later.
    fn apply(&self, config: &mut Config) -> Result<()> {
        (config.loss, config.batch) = self.loss_and_batch(config)?;
        config.memory = self.memory.unwrap_or(config.memory);
        config.augment = self.augment.unwrap_or(config.augment);
        config.learning_rate = self.learning_rate.unwrap_or(config.learning_rate);
        config.schedule = match self.schedule {
            None => config.schedule,
            Some(ScheduleArg::Constant) => Schedule::Constant,
            Some(ScheduleArg::Cosine) => Schedule::Cosine,
            Some(ScheduleArg::Step) => Schedule::Step,
        };
        config.warmup = self.warmup.unwrap_or(config.warmup);
        let Update::Adam { weight_decay, .. } = &mut config.update;
        *weight_decay = self.weight_decay.unwrap_or(*weight_decay);
        if !self.group.is_empty() {
            config.groups.clone_from(&self.group);
        }
        config.freeze = self.freeze.clone().map(Names).or(config.freeze.take());
        config.clip = self.clip.or(config.clip);
        config.average = self.ema.or(config.average);
        config.storage = self.precision.map_or(config.storage, PrecisionArg::storage);
        config.again |= self.again;
        if !self.train_classes.is_empty() {
            config.train_classes = Some(self.train_classes.clone());
        }
        config.seed = self.seed.unwrap_or(config.seed);
        if !self.threshold.is_empty() {
            config.thresholds.clone_from(&self.threshold);
        }
        Ok(())
    }

    /// How a run of `steps` is watched.
    fn validation(&self, steps: u64, parts: &Parts) -> Option<Validation> {
        let every = self.validate_every.unwrap_or(steps.div_ceil(20));
        let (images, bound) = (parts.validation.as_ref()?.len(), parts.bound?);
        let (bound, identities) = (Some(bound.lot), bound.identities);
        Some(Validation { images, bound, identities, every, patience: self.patience })
    }

    /// What a set that does not say so itself is to be divided by. Classes that are named divide it already.
    fn split_by(&self) -> Result<Option<SplitBy>> {
        match self.split {
            Some(SplitBy::Identities(_)) if !self.train_classes.is_empty() => Err(Error::config(
                "--split",
                "--train-classes says already which classes are trained on and which judge",
            )),
            None if !self.train_classes.is_empty() => Ok(Some(SplitBy::Images)),
            by => Ok(by),
        }
    }
}

#[derive(Args)]
#[group(multiple = false)]
struct LengthArgs {
    /// Length of the training in optimiser steps
    #[arg(long)]
    steps: Option<u64>,
    /// Length of the training in passes: as many anchors as there are training images, each
    #[arg(long)]
    epochs: Option<u64>,
    /// Length of the training in images seen, each row of a batch one
    #[arg(long)]
    images: Option<u64>,
}

impl LengthArgs {
    fn length(&self) -> Option<Length> {
        let steps = self.steps.map(Length::Steps);
        steps.or(self.epochs.map(Length::Epochs)).or(self.images.map(Length::Images))
    }
}

/// A fresh run folder: `runs/<name>`, or `runs/<name>-2` and so on.
fn fresh_folder(name: &str) -> PathBuf {
    let candidates = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}-{number}")));
    let free = candidates.map(|name| Path::new("runs").join(name)).find(|folder| !folder.exists());
    free.expect("one of endlessly many names is free")
}

impl Train {
    /// Says which settings were given, as the text of a file of settings.
    pub fn set_settings(&mut self, settings: String) {
        self.settings = settings;
    }

    pub fn run(self) -> Outcome {
        let (mut crew, local) =
            self.crew.map_or_else(|| Ok((Box::new(Alone) as Box<dyn Crew>, (0, 1))), CrewArg::join)?;
        let engine = Engine::open_for(&self.adapter.adapter, local)?;
        let start = if self.resume { self.resumed(&engine, &mut *crew)? } else { self.fresh(&engine, crew.ranks())? };
        let Start { folder, path, start, parts, residence, old } = start;
        for (figure, reason) in embed::foresee(&parts)? {
            say!("the evaluation will leave out {figure}: {reason}");
        }
        let engine = engine.storing(start.config.storage)?;
        // The folder is rank 0's.
        let folder = match folder {
            None if crew.rank() == 0 => {
                let folder = Folder::create(&path)?;
                output::write(&folder.file(SETTINGS), Kind::OWN, self.settings.as_bytes())?;
                Some(folder)
            }
            folder => folder,
        };
        let old = old.map(|(model, data)| {
            say!("old      {} images of {} by the model {}", data.len(), data.name, model.fingerprint());
            compatible::embed(&engine, &model, &data)
        });
        let old = old.transpose()?;
        let (arguments, engine, start, parts) = (&self, &engine, &start, &parts);
        match &folder {
            Some(folder) => engine.run(Run { arguments, engine, folder, start, parts, residence, crew, old }),
            None => engine.run(Follow { engine, start, data: &parts.train, residence, crew, old }),
        }
    }

    /// What a run goes on with. Its folder is rank 0's, whose checkpoint the others get.
    fn resumed(&self, engine: &Engine, crew: &mut dyn Crew) -> Result<Start> {
        let path = self.out.clone().expect("clap requires --out");
        let unfinished = if crew.rank() == 0 { Some(Folder::open(&path)?) } else { None };
        let mut bytes = match &unfinished {
            Some(Unfinished { start, .. }) if crew.ranks() > 1 => start.to_bytes(Precision::F32)?,
            _ => Vec::new(),
        };
        crew.broadcast(&mut bytes)?;
        let (folder, mut start) = match unfinished {
            None => (None, Checkpoint::from_bytes(&bytes, &path.join(CHECKPOINT))?),
            Some(Unfinished { folder, start, torn }) => {
                if let Some(error) = torn {
                    say!(
                        "warning: the last checkpoint cannot be read: {error}; going on from step {} of {PREVIOUS}",
                        start.step
                    );
                }
                (Some(folder), start)
            }
        };
        if start.config.validation.is_some_and(|validation| validation.bound.is_none()) {
            let reason = "does not say which images were held back, as checkpoints of this version do; begin a new run";
            return Err(Error::Checkpoint { path: path.join(CHECKPOINT), reason: reason.to_owned() });
        }
        let split = self.data.open_of(&start)?;
        let (split, residence) = self.feed.place(split, self.data.bad(), engine)?;
        let parts = divide_as(&start, DataArg::same(&start, split, self.other_data)?)?;
        start.origin = Some(parts.origin().clone());
        start.config.learning_rate = self.recipe.learning_rate.unwrap_or(start.config.learning_rate);
        if let Some(length) = self.length.length() {
            start.config.steps = length.steps(&start.config.batch, parts.train.len())?;
        }
        let (done, wanted) = (start.step, start.config.steps);
        if done > wanted {
            return Err(Error::config("--steps", format!("{done} steps are done, more than the {wanted} wished")));
        }
        start.config.validate()?;
        let old = start.config.compatible.as_ref().map(compatible::again).transpose()?;
        let old = old.map(|old| self.of_old(old, &start, &parts)).transpose()?;
        Ok(Start { folder, path, start, parts, residence, old })
    }

    /// A model to be compatible with, and the images trained on as it takes them.
    fn of_old(&self, old: Checkpoint, start: &Checkpoint, parts: &Parts) -> Result<(Checkpoint, Dataset)> {
        let parts = compatible::prepared("--compatible-with", &self.data, start, &old, parts)?;
        Ok((old, parts.train))
    }

    /// The preset for a training set where none was asked for. A network of one's own, or options of triplets, ask for
    /// one that has no normalisation to count on, and triplets.
    fn suited(&self, train: &Dataset) -> Preset {
        let preset = Preset::suited(train);
        if self.network.spec.is_some() || self.recipe.is_of_triplets() || preset.name == PRESETS[0].name {
            return PRESETS[0];
        }
        let each = train.images_of_a_label();
        say!("preset   {}, since a class has about {each} images, not many; --preset says otherwise", preset.name);
        preset
    }

    /// What a run begins with, of so many ranks.
    fn fresh(&self, engine: &Engine, ranks: usize) -> Result<Start> {
        let asked = self.network.asked()?;
        // What does not go together is said before images are read.
        self.recipe.loss_and_batch(&asked.unwrap_or(PRESETS[0]).config())?;
        let brought = asked.filter(|preset| preset.brings).map(|preset| preset.input);
        let from = self.recipe.from.as_deref().map(Given::open).transpose()?;
        // What a model makes of images belongs to its weights.
        let model = from.as_ref().and_then(|from| from.model.as_ref());
        let path = self.recipe.compatible_with.as_deref();
        let old = path.map(compatible::open).transpose()?;
        let like = model.or(old.as_ref());
        let own = like.map(|model| model.config.pictures).unwrap_or_default();
        let pictures = self.pictures.over(own);
        let input = self.pictures.input.or(like.map(|model| model.input)).or(brought);
        let by = self.recipe.split_by()?;
        let split = self.data.open(input, pictures, by)?;
        if by.is_some_and(|by| by != split.by) {
            let reason = format!("{} says itself which images are trained on and which judge", split.origin.name);
            return Err(Error::config("--split", reason));
        }
        let (split, residence) = self.feed.place(split, self.data.bad(), engine)?;
        let Dataset { height, width, channels, .. } = split.train;
        let preset = asked.unwrap_or_else(|| self.suited(&split.train));
        let mut config = Config { pictures, split: split.by, ..self.network.config(preset, [height, width, channels]) };
        self.recipe.apply(&mut config)?;
        if let Some(Checkpoint { config: own, .. }) = model {
            if self.network.is_default() {
                config.spec.clone_from(&own.spec);
            }
            config.pixels.clone_from(&own.pixels);
        }
        self.pixels.apply(&mut config);
        let held_back = self.recipe.validation.map(HoldBack::Images);
        let parts = split.divide(config.train_classes.as_deref(), held_back, config.seed)?;
        if let (Some(held), Some(Bound { identities: true, .. })) = (&parts.validation, parts.bound) {
            let (images, identities) = (held.len(), held.label_count());
            say!("--validation holds back whole identities: {identities}, of {images} images");
        }
        config.shares = self.recipe.shares.unwrap_or(ranks);
        if self.recipe.batch.batch.is_none() {
            let fitting = config.batch.fit(parts.train.label_count(), parts.train.images_of_a_label());
            config.batch = fitting.cut(config.shares);
        }
        let own = preset.length(&config.batch, parts.train.len());
        config.steps = self.length.length().unwrap_or(own).steps(&config.batch, parts.train.len())?;
        config.validation = self.recipe.validation(config.steps, &parts);
        config.compatible = path.zip(old.as_ref()).map(|(path, old)| compatible::noted(path, old)).transpose()?;
        config.validate()?;
        Sampler::new(&parts.train.labels, config.seed, config.batch)?;
        let net = Net::of(&config, [parts.train.height, parts.train.width, parts.train.channels])?;
        train::check(&config, &net, parts.train.label_count())?;
        old.as_ref().map_or(Ok(()), |old| compatible::check("--compatible-with", old, &net))?;
        let mut start = Checkpoint::initial(&config, &net);
        if let Some(from) = from {
            from.hand_to(&mut start)?;
        }
        let path = match &self.out {
            None => fresh_folder(preset.name),
            Some(path) => path.clone(),
        };
        start.origin = Some(parts.origin().clone());
        let old = old.map(|old| self.of_old(old, &start, &parts)).transpose()?;
        Ok(Start { folder: None, path, start, parts, residence, old })
    }
}

/// The weights that a training starts from.
struct Given {
    /// The model that they are of, where the file is one.
    model: Option<Checkpoint>,
    weights: Weights,
}

impl Given {
    /// A run, checkpoint or model, or the safetensors file of another program.
    fn open(path: &Path) -> Result<Given> {
        let file = model_file(path);
        if !checkpoint::is_ours(&file) {
            return Ok(Given { model: None, weights: Weights::read(&file)? });
        }
        let model = Checkpoint::load(&file)?.export();
        Ok(Given { weights: model.named(&file)?, model: Some(model) })
    }

    /// Gives a network what fits it by name and shape, and says what does not.
    fn hand_to(&self, start: &mut Checkpoint) -> Result<()> {
        let Taken { missing, misshapen, left } = start.take(&self.weights)?;
        let (all, path) = (start.net()?.placed().len(), self.weights.path().display());
        let taken = all - missing.len() - misshapen.len();
        if taken == 0 {
            let reason =
                format!("no tensor of {path} fits the network {}; it has {}", start.config.spec, left.join(", "));
            return Err(Error::config("--from", reason));
        }
        say!("from     {path}: {taken} of the network's {all} tensors");
        for (name, found, wanted) in misshapen {
            say!("         `{name}` starts anew: it is {found:?} there, the network needs {wanted:?}");
        }
        for (names, words) in
            [(missing, "start anew, they are not there"), (left, "left out, the network has none such")]
        {
            if !names.is_empty() {
                say!("         {words}: {}", names.join(", "));
            }
        }
        Ok(())
    }
}

/// The settings of a run as they were given, in its folder.
const SETTINGS: &str = "run.toml";

/// What a run begins or goes on with.
struct Start {
    /// Its folder, where there is one already.
    folder: Option<Folder>,
    path: PathBuf,
    start: Checkpoint,
    parts: Parts,
    residence: Residence,
    /// A model to be compatible with, and the images trained on as it takes them.
    old: Option<(Checkpoint, Dataset)>,
}

/// How often to save, on the command line.
fn parse_save_every(text: &str) -> Result<SaveEvery, String> {
    let number = |digits: &str| digits.parse().ok().filter(|&number: &u64| number > 0);
    let due = match text.strip_suffix('s') {
        Some(seconds) => number(seconds).map(|seconds| SaveEvery::Time(Duration::from_secs(seconds))),
        None => number(text).map(SaveEvery::Steps),
    };
    due.ok_or_else(|| format!("`{text}` is neither seconds, as 30s, nor a number of steps, as 500"))
}

/// A training from start to evaluation.
struct Run<'a> {
    arguments: &'a Train,
    engine: &'a Engine,
    folder: &'a Folder,
    start: &'a Checkpoint,
    parts: &'a Parts,
    residence: Residence,
    crew: Box<dyn Crew>,
    /// The embeddings to be compatible with.
    old: Option<Vec<f32>>,
}

/// What another rank than the first does of a training.
struct Follow<'a> {
    engine: &'a Engine,
    start: &'a Checkpoint,
    data: &'a Dataset,
    residence: Residence,
    crew: Box<dyn Crew>,
    old: Option<Vec<f32>>,
}

impl Job for Follow<'_> {
    type Output = ExitCode;

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<ExitCode, Failure> {
        let Follow { engine, start, data, residence, mut crew, old } = self;
        let mut shaders = Vec::new();
        crew.broadcast(&mut shaders)?;
        engine.repeat(&serde_json::from_slice::<Vec<_>>(&shaders).unwrap_or_default());
        let mut trainer = Trainer::of_crew(start, data, residence, crew, make)?;
        if let Some(old) = old {
            trainer.compare_with(old);
        }
        // Rank 0 hears it as well, and says when it ends.
        interruptible();
        trainer.follow()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Job for Run<'_> {
    type Output = ExitCode;

    fn run<R: Runner>(mut self, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<ExitCode, Failure> {
        let (old, mut crew) = (self.old.take(), std::mem::replace(&mut self.crew, Box::new(Alone)));
        let Run { arguments, engine, folder, start, parts, residence, .. } = self;
        let begin = Instant::now();
        let config = &start.config;
        let facts = self.announce(&start.net()?, &mut *crew)?;
        say!("compiling shaders …");
        let mut session = Session::new(folder, start, parts, residence, arguments.save_every, crew, make)?;
        if let Some(old) = old {
            session.compare_with(old);
        }
        if let Some(StopOn::Collapse) = arguments.stop_on {
            session.end_on(COLLAPSED);
        }

        let stop = interruptible();
        let page = (arguments.tui && std::io::stderr().is_terminal())
            .then(|| Dashboard::new(facts, start.step, config, stop))
            .transpose()?;
        let mut steps = Steps::new(begin, start.step, config, page);
        let mut lines = Lines::new(arguments.json);
        let ending = session.run(&engine.title(), stop, |event| {
            lines.hear(event);
            steps.hear(event);
        });
        steps.finish();
        let step = session.trainer().steps();
        match ending? {
            Ending::Finished => {}
            Ending::OutOfPatience { best } => {
                say!("step {step}: no new best for {} steps, the run ends", step - best);
            }
            Ending::Ailing { ailment } => {
                say!("ended after step {step} of {}: {}", config.steps, ailment.words);
                return Ok(ExitCode::from(3));
            }
            Ending::Interrupted => {
                say!("interrupted after step {step} of {}; `{}` goes on", config.steps, self.resume());
                return Ok(ExitCode::from(130));
            }
            Ending::Diverged { step, first, saved } => {
                let error = Error::Diverged { step, first };
                let hint = saved.map(|saved| {
                    let command = format!("{} --learning-rate {:.0e}", self.resume(), config.learning_rate / 10.0);
                    format!("`{command}` goes on from step {saved} with a tenth of the learning rate")
                });
                return Ok(explain(&error.to_string(), hint.or(error.hint())));
            }
        }
        let best = session.take_best()?;
        if let Some(best) = best {
            say!("evaluating the weights of step {best}, the best on the validation images");
        }
        let judged = self.judge(&mut session, best.unwrap_or(step), |event| {
            lines.hear(event);
            steps.hear(event);
        });
        // Whatever came of the evaluation, the page shows the training.
        let page = folder.file(PAGE);
        output::write(&page, Kind::OWN, page::render(&[run::Run::load(folder.path())?]).as_bytes())?;
        say!("report {}", page.display());
        if parts.evaluation.left_out > 0 {
            say!("{} pictures could not be used and were left out", parts.evaluation.left_out);
        }
        judged.map(|()| ExitCode::SUCCESS)
    }
}

impl Run<'_> {
    /// The command that goes on with this run.
    fn resume(&self) -> String {
        let [folder, adapter] = [self.folder.path().as_os_str(), self.arguments.adapter.adapter.as_ref()].map(quoted);
        format!("siamese train --out {folder} --adapter {adapter} --resume")
    }

    /// Evaluates the weights, which are those of `step`, and keeps what is to be shown of them.
    fn judge<R: Runner>(&self, session: &mut Session<R>, step: u64, hear: impl FnMut(&Event)) -> Result<(), Failure> {
        let bar = evaluation_bar();
        let evaluated = session.evaluate(|progress| bar.show(progress), hear)?;
        bar.finish();
        if !self.arguments.json {
            // Who read the output may have gone; figures and page are still to be made.
            if let Err(error) = evaluation_table(&evaluated.evaluation) {
                say!("warning: cannot write the evaluation: {error}");
            }
        }
        say!("drawing the report …");
        let trainer = session.trainer();
        let figures = Figures::of(trainer.runner(), trainer.net(), trainer.config(), self.parts, step, &evaluated)?;
        let text = serde_json::to_vec(&figures).expect("plain data");
        output::write(&self.folder.file(FIGURES), Kind::OWN, &text)?;
        Ok(())
    }

    /// Says what will run, and writes the run's manifest. Answers what it said: names and values.
    fn announce(&self, net: &Net, crew: &mut dyn Crew) -> Result<Vec<(&'static str, String)>, Failure> {
        let config = &self.start.config;
        let data = &self.parts.train;
        let source = train::source(data, self.residence, config);
        let plan = rank_plan(net, &source, config, config.shares / crew.ranks());
        let images = config.batch.rows() as u64 * config.steps;
        let passes = images as f64 / data.len() as f64;
        let batch = match config.batch {
            Batch::Random { triplets, .. } => format!("{triplets} random triplets"),
            Batch::Mined { labels, images, mining } if matches!(config.loss, Loss::Triplet(_)) => {
                let mining = serde_json::to_value(mining).expect("plain data");
                format!("{labels} labels x {images} images, {}", mining.as_str().expect("a word"))
            }
            Batch::Mined { labels, images, .. } => format!("{labels} labels x {images} images"),
        };
        let labels = data.label_count();
        let mut facts = vec![
            ("adapter", self.engine.title()),
            ("network", format!("{} ({} parameters)", net.spec, net.parameter_count())),
            ("data", format!("{} ({} images, {labels} labels)", data.name, data.len())),
            ("loss", config.loss.to_string()),
            ("length", format!("{} steps of {batch}; {images} images, {passes:.1} passes", config.steps)),
            ("memory", format!("{:.1} MB in buffers", plan.bytes() as f64 / 1e6)),
            ("folder", self.folder.path().display().to_string()),
        ];
        if config.shares > 1 {
            let (rows, ranks) = (config.rows_of_share(), crew.ranks());
            let on = if ranks > 1 { format!(", on {ranks} ranks") } else { String::new() };
            facts.insert(5, ("shares", format!("{} of {rows} images of a step{on}", config.shares)));
        }
        facts.iter().for_each(|(name, value)| say!("{name:<8} {value}"));
        self.choose_shaders(&plan)?;
        let shaders = self.engine.variants(&plan);
        // What they choose, all take.
        crew.broadcast(&mut serde_json::to_vec(&shaders).expect("plain data"))?;
        let manifest = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "config": config,
            "input": net.input,
            "data": data.name,
            "origin": self.parts.origin(),
            "adapter": self.engine.manifest(),
            "shaders": shaders,
        });
        let text = serde_json::to_string_pretty(&manifest).expect("plain data");
        output::write(&self.folder.file(MANIFEST), Kind::OWN, text.as_bytes())?;
        Ok(facts)
    }

    /// As the arguments say; a resumed run goes on with the shaders that it had.
    fn choose_shaders(&self, plan: &Plan) -> Result<()> {
        let TuneArgs { tune, shaders } = &self.arguments.tune;
        let resumed = self.start.step > 0 && *tune == Tune::Auto;
        let tune = if resumed { Tune::Off } else { *tune };
        if resumed {
            let manifest = fs::read(self.folder.file(MANIFEST)).ok();
            let manifest: Option<Value> = manifest.and_then(|text| serde_json::from_slice(&text).ok());
            let shaders: Option<Vec<_>> =
                manifest.and_then(|mut manifest| serde_json::from_value(manifest["shaders"].take()).ok());
            self.engine.repeat(&shaders.unwrap_or_default());
        }
        self.engine.tune(plan, &TuneArgs { tune, shaders: shaders.clone() })
    }
}

/// A word of a command, as a shell takes it.
fn quoted(word: &OsStr) -> String {
    let Some(text) = word.to_str() else {
        let bytes = word.as_encoded_bytes().iter().map(|byte| std::ascii::escape_default(*byte).to_string());
        return format!("$'{}'", bytes.collect::<String>());
    };
    let plain = |c: char| c.is_alphanumeric() || "-_./:=+,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A flag that the first Ctrl-C sets; the second quits.
fn interruptible() -> &'static AtomicBool {
    static STOP: AtomicBool = AtomicBool::new(false);
    let handler = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        say!("\nstopping after this step; Ctrl-C again quits at once");
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        say!("warning: Ctrl-C will not save: {error}");
    }
    &STOP
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use clap::{Arg, CommandFactory};

    use crate::cli::Cli;

    /// What takes effect on a run that is gone on with.
    const EFFECTIVE: [&str; 22] = [
        "data",
        "skip-bad",
        "data-on",
        "data-memory",
        "workers",
        "other-data",
        "adapter",
        "crew",
        "tune",
        "shader",
        "steps",
        "epochs",
        "images",
        "save-every",
        "stop-on",
        "learning-rate",
        "out",
        "resume",
        "tui",
        "json",
        "help",
        "version",
    ];

    #[test]
    fn resume_refuses_what_would_have_no_effect() {
        let mut program = Cli::command();
        program.build();
        let try_with = |more: &[&str]| {
            let resume = ["siamese", "train", "--out", "runs/a", "--resume"];
            program.clone().try_get_matches_from([&resume[..], more].concat()).err().map(|error| error.kind())
        };
        let train = program.find_subcommand("train").unwrap();
        assert!(EFFECTIVE.iter().all(|name| train.get_arguments().any(|option| option.get_long() == Some(name))));
        for option in train.get_arguments() {
            let name = option.get_long().expect("an option");
            let given: Vec<String> = words(option).into_iter().map(|value| format!("--{name}{value}")).collect();
            let errors: Vec<_> = given.iter().map(|given| try_with(&[given])).collect();
            if !EFFECTIVE.contains(&name) {
                assert!(errors.contains(&Some(ErrorKind::ArgumentConflict)), "--{name} is taken: {errors:?}");
            } else if !["out", "resume", "help", "version", "other-data"].contains(&name) {
                assert!(errors.contains(&None), "--{name} is refused: {errors:?}");
            }
        }
    }

    /// Values, of which an option takes one at least.
    fn words(option: &Arg) -> Vec<String> {
        if !option.get_action().takes_values() {
            return vec![String::new()];
        }
        let named = option.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect::<Vec<_>>();
        let further = ["1", "8x8x1", "circle", "none", "white", "conv1 rate=1", "images"].map(str::to_owned);
        named.into_iter().chain(further).map(|value| format!("={value}")).collect()
    }

    #[test]
    fn a_word_is_one_for_a_shell() {
        let quoted = |word: &str| super::quoted(word.as_ref());
        assert_eq!(["runs/a-1", "a b", "it's", ""].map(quoted), ["runs/a-1", "'a b'", r"'it'\''s'", "''"]);
        #[cfg(unix)]
        {
            let word: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"r\xff'");
            assert_eq!(super::quoted(word), r"$'r\xff\''");
        }
    }
}
