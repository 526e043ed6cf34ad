//! The command line: one file a command, and what several share.

mod adapters;
mod audit;
mod bench;
mod check;
mod cluster;
mod compare;
mod compatible;
mod completions;
mod crew;
mod embed;
mod engine;
mod enroll;
mod eval;
mod export;
mod gallery;
mod images;
mod import;
mod man;
mod pack;
mod pairs;
mod plan;
mod recognize;
mod report;
mod serve;
mod settings;
mod train;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytesize::ByteSize;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use siamese::Error;
use siamese::checkpoint::Checkpoint;
use siamese::config::{Config, PRESETS, Preset, Storage};
use siamese::data::pictures::{Ground, Pictures};
use siamese::data::{self, Bad, HoldBack, Parts, Split, SplitBy};
use siamese::feed::Residence;
use siamese::gallery::{Index, Place};
use siamese::losses::Loss;
use siamese::sampler::{Batch, Mining, Positive};
use siamese::session::{BEST, CHECKPOINT};
use siamese::text::plain;

use engine::Engine;

use crate::outcome::{Failure, Outcome};
use crate::report::counter;

/// Trains Siamese embedding networks on any GPU.
#[derive(Parser)]
#[command(
    version,
    about,
    propagate_version = true,
    after_help = "\
Examples:
  siamese train                                                    the default network learns MNIST
  siamese enroll runs/cnn digits.gallery --set test --take first   one image of each digit
  siamese recognize runs/cnn digits.gallery --set test             whom do the others show?
  siamese help recognize                                           everything about a command

Exit codes: 0 done, 1 a check failed or some pictures could not be used, 2 wrong use or environment, 3 a training ended
by --stop-on and saved, 130 interrupted and saved.
Results go to stdout, words to stderr."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network, save it, evaluate it
    Train(Box<train::Train>),
    /// Evaluate a saved network
    Eval(eval::Eval),
    /// Make the page of a run, or of several to compare them
    Report(report::Report),
    /// Print what a network runs: calls, arrays, bytes, FLOPs
    Plan(plan::Plan),
    /// Prove every kernel on an adapter against the CPU reference
    Check(check::Check),
    /// Measure how fast this machine trains and embeds
    Bench(bench::Bench),
    /// List the adapters of this machine
    Adapters(adapters::Adapters),
    /// Make or change a gallery of identities
    Enroll(Box<enroll::Enroll>),
    /// Say whom images show, or that they are unknown
    Recognize(Box<recognize::Recognize>),
    /// Recognise, embed and enrol pictures for others, over HTTP
    Serve(serve::Serve),
    /// Copy a gallery from a file into a database, or back
    Gallery(gallery::Gallery),
    /// Write the embeddings of images: NumPy, CSV, Parquet, TensorBoard's projector
    Embed(Box<embed::Embed>),
    /// Group images without being told who there is
    Cluster(Box<cluster::Cluster>),
    /// List pictures that lie far from their identity or near another: probable errors of the labels
    Audit(audit::Audit),
    /// Print the distances between images
    Compare(compare::Compare),
    /// Write a data set to one file, its pictures decoded, for quick starts and sets larger than memory
    Pack(pack::Pack),
    /// Write a network for other programs, as safetensors, ONNX or PyTorch, or as a web page
    Export(export::Export),
    /// Make a model file of weights that another program wrote
    Import(import::Import),
    /// Print the completions of a shell
    Completions(completions::Completions),
    /// Write the man pages
    Man(man::Man),
}

impl Cli {
    /// What the arguments of the program and the file of settings that they may name ask for. Ends the program where
    /// they ask for help, or cannot be understood.
    pub fn from_arguments() -> Result<Cli, Failure> {
        let command = Cli::command();
        let arguments = settings::merge(&command, std::env::args_os().collect())?;
        let matches = command.clone().get_matches_from(arguments);
        let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        if let Command::Train(train) = &mut cli.command {
            let (name, given) = matches.subcommand().expect("train is a subcommand");
            train.set_settings(settings::text(command.find_subcommand(name).expect("it is there"), given));
        }
        Ok(cli)
    }

    /// Runs the command.
    pub fn run(self) -> Outcome {
        match self.command {
            Command::Train(train) => train.run(),
            Command::Eval(eval) => eval.run(),
            Command::Report(report) => report.run(),
            Command::Plan(plan) => plan.run(),
            Command::Check(check) => check.run(),
            Command::Bench(bench) => bench.run(),
            Command::Adapters(adapters) => adapters.run(),
            Command::Enroll(enroll) => enroll.run(),
            Command::Recognize(recognize) => recognize.run(),
            Command::Serve(serve) => serve.run(),
            Command::Gallery(gallery) => gallery.run(),
            Command::Embed(embed) => embed.run(),
            Command::Cluster(cluster) => cluster.run(),
            Command::Audit(audit) => audit.run(),
            Command::Compare(compare) => compare.run(),
            Command::Pack(pack) => pack.run(),
            Command::Export(export) => export.run(),
            Command::Import(import) => import.run(),
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
        }
    }
}

/// Which model embeds, and how.
#[derive(Args)]
struct ModelArg {
    /// Run folder, or a safetensors file that `train`, `export` or `import` wrote
    model: PathBuf,
    /// Embed each image and its mirror image, and take their sum, made of length 1 again: better where left and right
    /// mean nothing, in twice the time. A gallery is made and asked so throughout
    #[arg(long)]
    flip: bool,
}

impl ModelArg {
    fn load(&self) -> siamese::Result<Checkpoint> {
        let mut model = Checkpoint::load(&model_file(&self.model))?;
        model.config.flip |= self.flip;
        // Says what is wrong before anything is done.
        model.net().map(|_| model)
    }
}

/// Which gallery.
#[derive(Args)]
struct GalleryArg {
    /// A file that `enroll` makes; or a gallery in a database, postgres://user@host/db?gallery=NAME, whose password is
    /// in PGPASSWORD
    gallery: OsString,
}

impl GalleryArg {
    fn place(&self) -> siamese::Result<Box<dyn Place>> {
        place(&self.gallery)
    }
}

/// The place of a gallery, see [`siamese::gallery::place`].
fn place(gallery: &OsStr) -> siamese::Result<Box<dyn Place>> {
    siamese::gallery::place(gallery, std::env::var("PGPASSWORD").ok().as_deref())
}

/// An index of a gallery in a database.
#[derive(Clone, Copy, ValueEnum)]
enum IndexArg {
    /// A graph of neighbours (HNSW), which misses some
    Hnsw,
}

impl IndexArg {
    fn index(self) -> Index {
        match self {
            IndexArg::Hnsw => Index::Hnsw,
        }
    }
}

/// Which adapter runs the work.
#[derive(Args)]
struct AdapterArg {
    /// auto (a GPU, else the processor), vulkan, metal, dx12, gl, cpu, an index of `siamese adapters`, or a part of a
    /// name
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    adapter: String,
}

/// How a device stores images and activations in training, and what it multiplies.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PrecisionArg {
    /// In 32 bits
    F32,
    /// In 16 bits, where the adapter has them; weights and arithmetic stay in 32
    F16,
    /// As f16, and products by cooperative matrices where the adapter has them (an experiment of wgpu's): of values
    /// rounded to 16 bits, summed in 32
    F16Matrix,
}

impl PrecisionArg {
    fn storage(self) -> Storage {
        match self {
            PrecisionArg::F32 => Storage::F32,
            PrecisionArg::F16 => Storage::F16,
            PrecisionArg::F16Matrix => Storage::F16Matrix,
        }
    }
}

/// How each call of a network gets one of its kernel's shaders.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tune {
    /// The fastest, measured at the first start and remembered; on software Vulkan by the rule, until `again` has
    /// measured
    Auto,
    /// The fastest, measured anew
    Again,
    /// By a fixed rule
    Off,
}

#[derive(Args)]
struct TuneArgs {
    /// How each call gets one of its kernel's shaders. Measuring takes at most two seconds
    #[arg(long, value_enum, default_value = "auto", value_name = "HOW")]
    tune: Tune,
    /// A shader to take wherever it fits, such as conv2d.block; may be given several times
    #[arg(long = "shader", value_name = "NAME")]
    shaders: Vec<String>,
}

/// Which images.
#[derive(Args)]
struct DataArg {
    /// Folder with a folder of pictures for each class, which may lie in train/ and test/ (or val/); with tar files of
    /// pictures, as webdataset has them; or with the four IDX files of a data set, plain or gzipped, EMNIST's turned
    /// upright. Or a file that `siamese pack` wrote [default: MNIST, built in]
    #[arg(long, value_name = "DIR|FILE")]
    data: Option<PathBuf>,
    /// Leave out pictures that cannot be used, instead of stopping at them; each is named
    #[arg(long)]
    skip_bad: bool,
}

impl DataArg {
    /// Training and test images. Pictures are brought to the shape `input`, or to one that suits them; other sets must
    /// have it. They are not decoded yet. `by` is what a folder that names no sides is divided by.
    fn open(&self, input: Option<[usize; 3]>, pictures: Pictures, by: Option<SplitBy>) -> siamese::Result<Split> {
        DataArg::open_from(self.data.as_deref(), input, pictures, by)
    }

    /// What becomes of pictures that cannot be used.
    fn bad(&self) -> Bad {
        if self.skip_bad { Bad::Skipped } else { Bad::Refused }
    }

    fn open_from(
        folder: Option<&Path>,
        input: Option<[usize; 3]>,
        pictures: Pictures,
        by: Option<SplitBy>,
    ) -> siamese::Result<Split> {
        let split = match folder {
            Some(folder) => data::load(folder, input, pictures, by),
            None => data::mnist::load(&data::mnist::Files {
                train_images: include_bytes!("../../data/mnist/train-images-idx3-ubyte.xz"),
                train_labels: include_bytes!("../../data/mnist/train-labels-idx1-ubyte.xz"),
                test_images: include_bytes!("../../data/mnist/t10k-images-idx3-ubyte.xz"),
                test_labels: include_bytes!("../../data/mnist/t10k-labels-idx1-ubyte.xz"),
            })
            .and_then(|split| split.adapted(pictures)),
        }?;
        say_remarks(&split.remarks);
        let found = [split.train.height, split.train.width, split.train.channels];
        match input {
            Some(input) if input != found => {
                Err(Error::config("--data", format!("its images are {found:?}, the network takes {input:?}")))
            }
            _ => Ok(split),
        }
    }

    /// The set that a model was trained on, from where it lay unless `--data` says where it is now.
    fn open_of(&self, model: &Checkpoint) -> siamese::Result<Split> {
        let own = model.origin.as_ref();
        let folder = self.data.as_deref().or(own.and_then(|origin| origin.path.as_deref()));
        DataArg::open_from(folder, Some(model.input), model.config.pictures, Some(model.config.split))
    }

    /// Checks that a set is the one that a model was trained on, where it is not `other` that is wanted.
    fn same(model: &Checkpoint, split: Split, other: bool) -> siamese::Result<Split> {
        let own = model.origin.as_ref();
        match own.and_then(|own| own.difference(&split.origin)).filter(|_| !other) {
            None => Ok(split),
            Some(difference) => {
                let reason = format!(
                    "{} is not the set that the model was trained on: {difference}. Say where that one is, or take \
                     this one by --other-data",
                    split.origin
                );
                Err(Error::config("--data", reason))
            }
        }
    }

    /// The set of [`DataArg::open_of`], of which bad pictures have been left out if that is wished. Another one than
    /// the model's only where it is `other` that is wanted.
    fn load_of(&self, model: &Checkpoint, other: bool) -> siamese::Result<Split> {
        let split = self.open_of(model)?;
        let split = if self.skip_bad { read_all(split, false, self.bad())? } else { split };
        DataArg::same(model, split, other)
    }

    /// The images as the training of a model divided them; see [`DataArg::load_of`].
    fn load_parts(&self, model: &Checkpoint, other: bool) -> siamese::Result<Parts> {
        divide_as(model, self.load_of(model, other)?)
    }
}

/// Divides a set as the training of a model did.
fn divide_as(model: &Checkpoint, split: Split) -> siamese::Result<Parts> {
    let config = &model.config;
    let held_back = config.validation.and_then(|validation| validation.bound()).map(HoldBack::Below);
    split.divide(config.train_classes.as_deref(), held_back, config.seed)
}

fn say_remarks(remarks: &[String]) {
    remarks.iter().for_each(|remark| say!("{}", plain(remark)));
}

/// Reads all images of a set, and keeps them in memory if `keep`.
fn read_all(split: Split, keep: bool, bad: Bad) -> siamese::Result<Split> {
    let lazy = split.sets().into_iter().filter(|set| !keep || !set.images.is_in_memory());
    let bar = counter(lazy.map(|set| set.len() as u64).sum(), "images");
    let known = split.remarks.len();
    let done = || bar.inc(1);
    let split = if keep { split.loaded(bad, done) } else { split.checked(bad, done) };
    bar.finish_and_clear();
    let split = split?;
    say_remarks(&split.remarks[known..]);
    Ok(split)
}

/// Bytes, for people.
fn size(bytes: u64) -> impl std::fmt::Display {
    ByteSize(bytes).display().si()
}

/// Where the images of a training lie, and who reads them.
#[derive(Args)]
#[command(next_help_heading = "Images")]
struct FeedArgs {
    /// Where training images lie: on the device, or on the host, from where those of a batch go up in its step. It
    /// makes no other numbers [default: on the device, if they fit]
    #[arg(long, value_enum, value_name = "WHERE")]
    data_on: Option<DataOn>,
    /// How much of the device training images may take, such as 500MB [default: what it can bind at once; of the
    /// processor's memory a quarter]
    #[arg(long, value_name = "SIZE")]
    data_memory: Option<ByteSize>,
    /// Threads that read and decode images on the host [default: one a processor core]
    #[arg(long, value_name = "THREADS", value_parser = number_from_1)]
    workers: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DataOn {
    /// All of them, from the start
    Device,
    /// Those of a batch at a time
    Host,
}

impl FeedArgs {
    /// Where the training images of a set will lie. A set that fits on the device is read at once, so that each picture
    /// is decoded once and all that cannot be used are known before the first step.
    fn place(&self, split: Split, bad: Bad, engine: &Engine) -> siamese::Result<(Split, Residence)> {
        let (total, most) = (split.train.images.total(), engine.most_images());
        let most = self.data_memory.map_or(most, |memory| memory.as_u64().min(most));
        let fits = total <= most;
        if self.data_on == Some(DataOn::Device) && !fits {
            let reason = format!(
                "the training images have {}, more than the {} that may lie on the device; leave --data-on out",
                size(total),
                size(most)
            );
            return Err(Error::config("--data-on", reason));
        }
        if fits && self.data_on != Some(DataOn::Host) {
            say!("images   on the device, {}", size(total));
            return Ok((read_all(split, true, bad)?, Residence::Device));
        }
        let workers = self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        say!("images   on the host, {}; those of a batch go up in its step, read by {workers} threads", size(total));
        let split = if bad == Bad::Skipped { read_all(split, false, bad)? } else { split };
        Ok((split, Residence::Host { workers }))
    }
}

/// What is made of pictures.
#[derive(Args)]
struct PictureArgs {
    /// Size that pictures are brought to, such as 28x28x1 or 64x64x3 [default: that of most of them up to 64 a side,
    /// else 64x64]
    #[arg(long, value_name = "HxWxC", value_parser = parse_input)]
    input: Option<[usize; 3]>,
    /// Images are dark on light: turn them light on dark, as MNIST is; the model does so with whatever it is shown
    #[arg(long)]
    invert: bool,
    /// What shows behind transparent pictures, and beside those of other proportions: black, grey or white, as the
    /// network sees it after --invert [default: black]
    #[arg(long, value_name = "COLOUR")]
    ground: Option<Ground>,
}

impl PictureArgs {
    /// What is done to pictures, given what a model does already.
    fn over(&self, own: Pictures) -> Pictures {
        Pictures { invert: self.invert || own.invert, ground: self.ground.unwrap_or(own.ground) }
    }
}

/// Which network.
#[derive(Args)]
struct NetworkArgs {
    /// Settings to start from: cnn, notebook, best, pictures, resnet18, mobile or facenet [default: cnn; to train on
    /// classes of few images each, pictures]
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// The network as text, such as "conv32 relu pool dense64 l2" [default: the preset's]
    #[arg(long, value_name = "TEXT")]
    spec: Option<String>,
}

impl NetworkArgs {
    /// The preset that was asked for, if one was.
    fn asked(&self) -> siamese::Result<Option<Preset>> {
        self.preset.as_deref().map(str::parse).transpose()
    }

    /// Whether the network is given as text.
    fn has_spec(&self) -> bool {
        self.spec.is_some()
    }

    /// Whether nothing is said of the network.
    fn is_default(&self) -> bool {
        self.preset.is_none() && self.spec.is_none()
    }

    /// The preset that was asked for, else the default.
    fn preset(&self) -> siamese::Result<Preset> {
        Ok(self.asked()?.unwrap_or(PRESETS[0]))
    }

    /// The settings of a preset for images of a shape, with the network that was asked for.
    fn config(&self, preset: Preset, input: [usize; 3]) -> Config {
        let mut config = preset.config_for(input);
        if let Some(spec) = &self.spec {
            config.spec.clone_from(spec);
        }
        config
    }
}

/// What bytes of images are to the network.
#[derive(Args)]
struct PixelArgs {
    /// Mean byte, from 0 to 255, of all channels or of each, such as 123.675,116.28,103.53: what is taken away from
    /// pixels [default: 0]
    #[arg(long, value_name = "BYTES", value_delimiter = ',')]
    mean: Vec<f32>,
    /// Deviation of the bytes of all channels or of each, such as 58.395,57.12,57.375: what pixels are divided by then
    /// [default: the preset's]
    #[arg(long, value_name = "BYTES", value_delimiter = ',')]
    deviation: Vec<f32>,
}

impl PixelArgs {
    fn apply(&self, config: &mut Config) {
        if !self.mean.is_empty() {
            config.pixels.mean.clone_from(&self.mean);
        }
        if !self.deviation.is_empty() {
            config.pixels.deviation.clone_from(&self.deviation);
        }
    }
}

/// An option whose value is a text that the library reads.
fn parse_text<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| match error {
        // clap names the option.
        Error::Config { reason, .. } => reason,
        error => error.to_string(),
    })
}

/// Size of a batch on the command line.
#[derive(Clone, Copy)]
enum Size {
    /// `128`
    Triplets(usize),
    /// `10x32`
    Balanced(usize, usize),
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let number = |text: &str| {
            text.parse().map_err(|_| format!("`{text}` is no number; a batch is 10x32 or, of random triplets, 128"))
        };
        match text.split_once('x') {
            Some((labels, images)) => Ok(Size::Balanced(number(labels)?, number(images)?)),
            None => number(text).map(Size::Triplets),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum MiningArg {
    /// Triplets drawn at random
    Random,
    /// All anchor-positive pairs with every negative farther than the positive, within the margin (FaceNet)
    SemiHard,
    /// Each anchor with its farthest positive and nearest negative; may collapse, see docs/quality.md
    BatchHard,
    /// All triplets of the batch that violate the margin
    BatchAll,
}

/// What a step's batch is.
#[derive(Args)]
struct BatchArgs {
    /// Of the triplet loss: which triplets teach [default: the preset's]
    #[arg(long, value_enum, value_name = "WHICH")]
    mining: Option<MiningArg>,
    /// Images of a step: labels x images of each, such as 10x32; for random mining a number of triplets
    #[arg(long, value_name = "SIZE")]
    batch: Option<Size>,
}

impl BatchArgs {
    /// The batch of a preset changed as asked, one that the loss takes.
    fn apply(&self, loss: &Loss, preset: Batch) -> siamese::Result<Batch> {
        let is_triplet = matches!(loss, Loss::Triplet(_));
        if self.mining.is_some() && !is_triplet {
            let reason = format!("belongs to the triplet loss; this is --loss \"{loss}\"");
            return Err(siamese::Error::config("--mining", reason));
        }
        let mining = match self.mining {
            None => match preset {
                Batch::Random { .. } if is_triplet => None,
                // Other losses mine none of it.
                Batch::Random { .. } => Some(Mining::SemiHard),
                Batch::Mined { mining, .. } => Some(mining),
            },
            Some(MiningArg::Random) => None,
            Some(MiningArg::SemiHard) => Some(Mining::SemiHard),
            Some(MiningArg::BatchHard) => Some(Mining::BatchHard),
            Some(MiningArg::BatchAll) => Some(Mining::BatchAll),
        };
        let fault = |reason| Err(siamese::Error::config("--batch", reason));
        let batch = match mining {
            None => {
                let (own, positive) = match preset {
                    Batch::Random { triplets, positive } => (triplets, positive),
                    Batch::Mined { .. } => (128, Positive::Other),
                };
                let triplets = match self.batch {
                    None => own,
                    Some(Size::Triplets(triplets)) => triplets,
                    Some(Size::Balanced(..)) => return fault("random mining takes a number of triplets, such as 128"),
                };
                Batch::Random { triplets, positive }
            }
            Some(mining) => {
                let own = match preset {
                    Batch::Random { .. } => (10, 32),
                    Batch::Mined { labels, images, .. } => (labels, images),
                };
                let (labels, images) = match self.batch {
                    None => own,
                    Some(Size::Balanced(labels, images)) => (labels, images),
                    Some(Size::Triplets(_)) if !is_triplet => {
                        return fault("a batch is labels x images here, such as 10x32");
                    }
                    Some(Size::Triplets(_)) => {
                        return fault(
                            "mining takes labels x images, such as 10x32; a number goes with --mining random",
                        );
                    }
                };
                Batch::Mined { labels, images, mining }
            }
        };
        batch.validate()?;
        loss.takes(&batch)?;
        Ok(batch)
    }
}

/// Most values of an image: 8192×8192×4, more than networks for images take.
const MOST_VALUES: usize = 1 << 28;

/// Shape of an input on the command line: `28x28x1`.
fn parse_input(text: &str) -> Result<[usize; 3], String> {
    let wrong = || format!("`{text}` is no height, width and channels such as 28x28x1 or 64x64x3");
    let sides: Vec<usize> = text.split('x').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    match sides[..] {
        [height, width, channels @ (1 | 3)] if height > 0 && width > 0 => {
            let values = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(channels));
            if values.is_none_or(|values| values > MOST_VALUES) {
                return Err(format!("`{text}` has more than {MOST_VALUES} values, the most that an image may have"));
            }
            Ok([height, width, channels])
        }
        _ => Err(wrong()),
    }
}

/// A count on the command line, 1 at least.
fn number_from_1(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| format!("`{text}` is no number from 1"))
}

/// The file that a model argument means: itself, or of a run folder the weights that the run reports, which are those
/// that did best on the validation images where it has looked at any.
fn model_file(model: &Path) -> PathBuf {
    let [best, last] = [BEST, CHECKPOINT].map(|name| model.join(name));
    match model.is_dir() {
        true if best.exists() => best,
        true => last,
        false => model.to_owned(),
    }
}
