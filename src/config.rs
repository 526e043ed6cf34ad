//! What a training run is, as plain data: the presets, and the rules that hold before any work begins. It is stored in
//! every checkpoint.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::data::pictures::Pictures;
use crate::data::{Bound, Dataset, SplitBy};
use crate::error::{Error, Result};
use crate::kernels::{SCALED, Scale};
use crate::losses::triplet::Margin;
use crate::losses::{Distance, Loss, Triplet};
use crate::names::Names;
use crate::sampler::{Augment, Batch, Mining, Positive};
use crate::settings::{self, Range, Setting, Text};

/// The optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Update {
    /// Kingma & Ba 2015.
    Adam {
        /// Decay of the first moments.
        beta1: f32,
        /// Decay of the second moments.
        beta2: f32,
        /// Added to the divisor.
        epsilon: f32,
        /// Share of every weight taken away each step, times the learning rate: decoupled from the gradient as in
        /// Loshchilov & Hutter 2019 (AdamW). Vectors have none, see [`Config::rates`].
        weight_decay: f32,
    },
}

impl Update {
    /// Adam with the constants of its paper.
    pub const ADAM: Update = Update::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
}

/// Tensors that are trained in their own way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Which.
    pub names: Names,
    /// Factor on their learning rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f32>,
    /// Their weight decay in place of the optimiser's, vectors or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<f32>,
}

impl Group {
    const SETTINGS: [Setting; 2] = [
        Setting { name: "rate", default: 1.0, range: Range::NotNegative, about: "factor on the learning rate" },
        Setting { name: "decay", default: 0.0, range: Range::Share, about: "weight decay" },
    ];

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Config`] naming the number and its range.
    fn validate(&self) -> Result<()> {
        let values = [self.rate, self.decay].into_iter().zip(&Group::SETTINGS);
        settings::check("--group", &Group::SETTINGS, values.map(|(value, setting)| value.unwrap_or(setting.default)))
    }
}

impl FromStr for Group {
    type Err = Error;

    /// Names and settings: `conv1-8 rate=0.1`, `*.bias bn* decay=0`.
    fn from_str(whole: &str) -> Result<Group> {
        let text = Text::new("--group", whole);
        let given = text.settings("a group", &Group::SETTINGS)?;
        let (names, [rate, decay]) = (text.words.join(" "), ["rate", "decay"].map(|name| given.given(name)));
        if names.is_empty() || (rate, decay) == (None, None) {
            return Err(text.fault(whole, "a group is names and settings, such as conv1-8 *.bias rate=0.1 decay=0"));
        }
        let group = Group { names: Names(names), rate, decay };
        group.validate()?;
        Ok(group)
    }
}

/// How the learning rate goes over the run, after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The same at every step.
    Constant,
    /// Half a cosine from the full rate to zero (Loshchilov & Hutter 2017, without restarts).
    Cosine,
    /// A tenth after half of the run, a hundredth after three quarters (He et al. 2016, on CIFAR).
    Step,
}

/// How weights start; biases start at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initialisation {
    /// Glorot & Bengio 2010 everywhere, as Keras does.
    Glorot,
    /// He et al. 2015 before a ReLU, Glorot elsewhere.
    ByActivation,
}

/// Watching the run on images held back from the training set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// Images held back.
    pub images: usize,
    /// The largest lot held back, see [`crate::data::Bound`]; `None` in checkpoints of before there were bounds.
    #[serde(default)]
    pub bound: Option<u64>,
    /// Whether whole classes were held back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub identities: bool,
    /// Steps between two looks.
    pub every: u64,
    /// Looks without a new best after which the run ends; `None`: it goes on to its last step.
    pub patience: Option<u64>,
}

impl Validation {
    /// What divides the images held back from the others.
    pub fn bound(&self) -> Option<Bound> {
        self.bound.map(|lot| Bound { lot, identities: self.identities })
    }
}

/// How a device stores images and what convolutions and pools make of them, in training, and what it multiplies.
/// Weights and moments are stored in 32 bits in any case, and so are gradients: those of a mean over thousands of
/// triplets are below what 16 bits can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// In 32 bits.
    #[default]
    F32,
    /// In 16 bits, where the adapter has them: half the bytes to keep and to move. It computes in 32 bits all the same.
    F16,
    /// As [`Storage::F16`], and products of convolutions and dense layers by cooperative matrices where the adapter has
    /// them: of operands rounded to 16 bits, summed in 32.
    F16Matrix,
}

/// What bytes of images are to the network: `(byte - mean) / deviation`, by channel. In a file a deviation alone, the
/// same for all channels, is a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Pixels {
    /// Mean byte of each channel, or of all.
    pub mean: Vec<f32>,
    /// Deviation of the bytes of each channel, or of all.
    pub deviation: Vec<f32>,
}

/// [`Pixels`] in a file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Divisor(f32),
    ByChannel { mean: Vec<f32>, deviation: Vec<f32> },
}

impl From<Written> for Pixels {
    fn from(written: Written) -> Pixels {
        match written {
            Written::Divisor(divisor) => Pixels::divided_by(divisor),
            Written::ByChannel { mean, deviation } => Pixels { mean, deviation },
        }
    }
}

impl From<Pixels> for Written {
    fn from(pixels: Pixels) -> Written {
        let Pixels { mean, deviation } = pixels;
        match (&mean[..], &deviation[..]) {
            ([0.0], &[divisor]) => Written::Divisor(divisor),
            _ => Written::ByChannel { mean, deviation },
        }
    }
}

impl Pixels {
    /// A mean of zero, and one deviation for all channels.
    pub fn divided_by(divisor: f32) -> Pixels {
        Pixels { mean: vec![0.0], deviation: vec![divisor] }
    }

    /// Checks that mean and deviation can be used.
    ///
    /// # Errors
    /// [`Error::Config`] naming the setting and what is wrong.
    pub fn validate(&self) -> Result<()> {
        for (setting, values) in [("--mean", &self.mean), ("--deviation", &self.deviation)] {
            if !(1..=SCALED).contains(&values.len()) {
                let reason =
                    format!("{} numbers; one for all channels, or one for each of up to {SCALED}", values.len());
                return Err(Error::config(setting, reason));
            }
        }
        if let Some(mean) = self.mean.iter().find(|mean| !mean.is_finite()) {
            return Err(Error::config("--mean", format!("{mean} is not a finite number")));
        }
        let usable = |deviation: f32| deviation > 0.0 && deviation.is_finite() && (1.0 / deviation).is_finite();
        match self.deviation.iter().find(|&&deviation| !usable(deviation)) {
            Some(deviation) => Err(Error::config("--deviation", format!("{deviation} is not a positive number"))),
            None => Ok(()),
        }
    }

    /// Checks that they are for images of so many channels.
    ///
    /// # Errors
    /// [`Error::Config`] naming the setting and both numbers.
    pub fn fit(&self, channels: usize) -> Result<()> {
        for (setting, values) in [("--mean", &self.mean), ("--deviation", &self.deviation)] {
            if ![1, channels].contains(&values.len()) {
                let reason =
                    format!("{} numbers for images of {channels} channels; give one, or {channels}", values.len());
                return Err(Error::config(setting, reason));
            }
        }
        Ok(())
    }

    /// The same by a factor, as devices take it.
    pub fn scale(&self) -> Scale {
        let of = |values: &[f32]| std::array::from_fn(|channel| *values.get(channel).unwrap_or(&values[0]));
        Scale { mean: of(&self.mean), factor: of(&self.deviation).map(|deviation| 1.0 / deviation) }
    }
}

impl fmt::Display for Pixels {
    /// `255`, or `mean 122.782,117.001,104.298 deviation 255`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        match (&self.mean[..], &self.deviation[..]) {
            ([0.0], [divisor]) => divisor.fmt(f),
            (mean, deviation) => write!(f, "mean {} deviation {}", list(mean), list(deviation)),
        }
    }
}

/// A model that another is trained to be compatible with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compatible {
    /// Where it lies; `None` in an export, where that says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Its [fingerprint](crate::checkpoint::Checkpoint::fingerprint).
    pub model: String,
}

/// A training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The network as text, see [`crate::net`].
    pub spec: String,
    /// How bytes of images become numbers. Older checkpoints have a divisor.
    #[serde(alias = "divisor")]
    pub pixels: Pixels,
    /// How pictures become inputs, beyond their shape.
    #[serde(default)]
    pub pictures: Pictures,
    /// Whether an embedding is made of an image and its mirror image: their sum, made of length 1 again. It is for
    /// models that embed; a training's batches are what they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flip: bool,
    /// What a batch costs.
    pub loss: Loss,
    /// Embeddings of the batches before that a loss on pairs pairs the images of a batch with as well; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub memory: usize,
    /// The model whose embeddings a loss on pairs pairs the images of a batch with as well, so that new ones can be
    /// compared with its.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatible: Option<Compatible>,
    /// What a step's batch is.
    pub batch: Batch,
    /// Equal parts of a batch, side by side, that go through the network by themselves, one after the other or on
    /// several devices. The loss is that of the whole batch; gradients are summed [by halves](crate::crew::by_halves).
    /// A batch normalisation takes its moments of a share, and its running moments are the mean over shares (a *ghost
    /// batch*; Hoffer, Hubara & Soudry 2017).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub shares: usize,
    /// How images are changed on their way into a batch.
    pub augment: Augment,
    /// The optimiser.
    pub update: Update,
    /// Tensors that are not trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Names>,
    /// Tensors with a rate or a decay of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// Its step size at its highest.
    pub learning_rate: f32,
    /// Steps in which the learning rate rises from zero, in a line.
    pub warmup: u64,
    /// How the learning rate goes on.
    pub schedule: Schedule,
    /// Gradients longer than this are shortened to it (Pascanu, Mikolov & Bengio 2013).
    pub clip: Option<f32>,
    /// Decay of the moving average of the weights, which is then what is evaluated (Polyak & Juditsky 1992; FaceNet's
    /// reimplementations have 0.9999).
    pub average: Option<f32>,
    /// How images and activations are stored.
    #[serde(default)]
    pub storage: Storage,
    /// Whether less is kept from the forward pass, and made again on the way back: see
    /// [`crate::net::Net::backward_again`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// How weights start.
    pub initialisation: Initialisation,
    /// Factor on the weights' start. Below 1 an embedding of length 1 learns faster: it does not see the scale of the
    /// weights before it, so that steps of one size turn smaller weights further.
    pub gain: f32,
    /// Steps of the whole run.
    pub steps: u64,
    /// Where every random choice comes from.
    pub seed: u64,
    /// Thresholds of recognition that an evaluation reports, in the loss's distance.
    pub thresholds: Vec<f32>,
    /// By what a folder that does not say which pictures judge is divided.
    #[serde(default, skip_serializing_if = "SplitBy::is_images")]
    pub split: SplitBy,
    /// Images held back to watch the run.
    pub validation: Option<Validation>,
    /// Classes trained on, the others being what is evaluated; `None`: all are trained on and evaluated. They go by
    /// their names, since a label is another once a set has more classes. Older checkpoints have labels, which name the
    /// classes of IDX sets.
    #[serde(default, alias = "train_labels", deserialize_with = "class_names")]
    pub train_classes: Option<Vec<String>>,
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn class_names<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Class {
        Name(String),
        Label(u32),
    }
    let name = |class| match class {
        Class::Name(name) => name,
        Class::Label(label) => label.to_string(),
    };
    let classes: Option<Vec<Class>> = Option::deserialize(from)?;
    Ok(classes.map(|classes| classes.into_iter().map(name).collect()))
}

/// How long to train, in the unit the user likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Optimiser steps.
    Steps(u64),
    /// Times the training set's number of images as anchors, whole steps only.
    Epochs(u64),
    /// Images seen, every row of a batch counted; the last step is whole.
    Images(u64),
}

impl Length {
    /// Steps of `batch` over a set of `images` images.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option where there is nothing to do, or more than [`MOST_IMAGES`].
    pub fn steps(self, batch: &Batch, images: usize) -> Result<u64> {
        let (option, count, steps) = match self {
            Length::Steps(steps) => ("--steps", steps, Some(steps)),
            Length::Epochs(epochs) => {
                ("--epochs", epochs, epochs.checked_mul((images / batch.anchors()).max(1) as u64))
            }
            Length::Images(images) => ("--images", images, Some(images.div_ceil(batch.rows() as u64))),
        };
        let words = &option[2..];
        if count == 0 {
            return Err(Error::config(option, format!("0 {words} train nothing")));
        }
        let within = |steps: &u64| images_seen(*steps, batch).is_some();
        steps.filter(within).ok_or_else(|| {
            let reason = format!("{count} {words} make more than the {MOST_IMAGES} images that a run may see");
            Error::config(option, reason)
        })
    }
}

/// Most images that a run may see, every row of a batch counted: what the numbers of JSON count exactly.
pub const MOST_IMAGES: u64 = 1 << 53;

/// Most embeddings that a memory may have.
const MOST_MEMORY: usize = 1 << 24;

/// Images that `steps` of `batch` see; `None` where that is more than [`MOST_IMAGES`].
fn images_seen(steps: u64, batch: &Batch) -> Option<u64> {
    steps.checked_mul(batch.rows() as u64).filter(|&images| images <= MOST_IMAGES)
}

/// The length of a preset.
fn preset_steps(length: Length, batch: &Batch) -> u64 {
    length.steps(batch, 60_000).expect("a preset trains some images")
}

/// A named [`Config`].
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Shape of the images that it is made for, `[height, width, channels]`.
    pub input: [usize; 3],
    /// Whether pictures are brought to that shape, unless another is asked for; else they keep their own.
    pub brings: bool,
    /// Passes over the training images that it makes at least and at most, whatever its own length is.
    passes: Option<[u64; 2]>,
    config: fn([usize; 3]) -> Config,
}

impl Preset {
    /// Its settings for images of the shape that it is made for.
    pub fn config(&self) -> Config {
        self.config_for(self.input)
    }

    /// Its settings for images of shape `[height, width, channels]`.
    pub fn config_for(&self, input: [usize; 3]) -> Config {
        (self.config)(input)
    }

    /// How long it trains on so many images in these batches where nothing else is said: its own length is in images,
    /// whatever the batch; of presets for pictures it is no fewer than ten passes and no more than five hundred.
    pub fn length(&self, batch: &Batch, images: usize) -> Length {
        let own = self.config();
        let seen = own.batch.rows() as u64 * own.steps;
        let [least, most] = self.passes.map_or([0, u64::MAX], |passes| passes.map(|passes| passes * images as u64));
        match seen.clamp(least, most.max(least)) {
            fitted if fitted == seen && own.batch == *batch => Length::Steps(own.steps),
            fitted => Length::Images(fitted),
        }
    }

    /// The one that suits a training set: `pictures` where a class has few images, else the default.
    pub fn suited(train: &Dataset) -> Preset {
        let name = if train.images_of_a_label() < FEW { "pictures" } else { PRESETS[0].name };
        name.parse().expect("a preset")
    }
}

/// Images of a class from which on they are not few: the losses then reach the same.
const FEW: usize = 64;

/// Fewer passes leave identities unknown, more of them learn pictures by heart.
const OF_IDENTITIES: Option<[u64; 2]> = Some([10, 500]);

/// Every preset; the first is the default.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "cnn",
        about: "two convolutions and two dense layers, FaceNet's loss and semi-hard mining; 200,000 images",
        input: [28, 28, 1],
        brings: false,
        passes: None,
        config: |_| cnn(),
    },
    Preset {
        name: "notebook",
        about: "the Keras notebook exactly: two dense layers, mean-square distance, 10 epochs of 29 steps of 2048 \
                triplets",
        input: [28, 28, 1],
        brings: false,
        passes: None,
        config: |_| notebook(),
    },
    Preset {
        name: "best",
        about: "six convolutions with batch normalisation, proxy-anchor loss, elastic distortion and a moving average \
                of the weights; 800,000 images",
        input: [28, 28, 1],
        brings: false,
        passes: None,
        config: |_| best(),
    },
    Preset {
        name: "pictures",
        about: "for classes of few pictures each: four convolutions with batch normalisation, multi-similarity loss; \
                200,000 images",
        input: [64, 64, 3],
        brings: false,
        passes: OF_IDENTITIES,
        config: pictures,
    },
    Preset {
        name: "resnet18",
        about: "the residual network of 18 layers, an embedding of 128 values, otherwise as pictures",
        input: [64, 64, 3],
        brings: false,
        passes: OF_IDENTITIES,
        config: resnet18,
    },
    Preset {
        name: "mobile",
        about: "MobileFaceNet: depthwise convolutions, for faces of 112x112, otherwise as pictures",
        input: [112, 112, 3],
        brings: true,
        passes: OF_IDENTITIES,
        config: mobile,
    },
    Preset {
        name: "facenet",
        about: "Inception-ResNet v1, for faces of 160x160, an embedding of 512 values, otherwise as pictures",
        input: [160, 160, 3],
        brings: true,
        passes: OF_IDENTITIES,
        config: facenet,
    },
];

fn cnn() -> Config {
    let batch = Batch::Mined { labels: 10, images: 32, mining: Mining::SemiHard };
    Config {
        spec: "conv32 relu pool conv64 relu pool dense128 relu dense64 l2".to_owned(),
        pixels: Pixels::divided_by(255.0),
        pictures: Pictures::default(),
        flip: false,
        loss: Triplet { distance: Distance::SquaredEuclidean, margin: Margin::Hinge(0.2) }.into(),
        memory: 0,
        compatible: None,
        batch,
        shares: 1,
        augment: Augment::NONE,
        update: Update::ADAM,
        freeze: None,
        groups: vec![],
        learning_rate: 1e-3,
        warmup: 0,
        schedule: Schedule::Cosine,
        clip: None,
        average: None,
        storage: Storage::F32,
        again: false,
        initialisation: Initialisation::ByActivation,
        gain: 0.4,
        steps: preset_steps(Length::Images(200_000), &batch),
        seed: 0,
        thresholds: vec![0.5, 1.0],
        split: SplitBy::Images,
        validation: None,
        train_classes: None,
    }
}

fn notebook() -> Config {
    let batch = Batch::Random { triplets: 2048, positive: Positive::Any };
    Config {
        spec: "dense64 relu dense64 sigmoid".to_owned(),
        pixels: Pixels::divided_by(256.0),
        loss: Triplet { distance: Distance::MeanSquare, margin: Margin::Hinge(0.2) }.into(),
        batch,
        update: Update::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 },
        schedule: Schedule::Constant,
        initialisation: Initialisation::Glorot,
        gain: 1.0,
        steps: preset_steps(Length::Epochs(10), &batch),
        thresholds: vec![0.03, 0.07],
        ..cnn()
    }
}

fn best() -> Config {
    let cnn = cnn();
    let twice = |channels: usize| format!("conv{channels} bn relu conv{channels} bn relu pool");
    Config {
        spec: format!("{} dense128 l2", [32, 64, 128].map(twice).join(" ")),
        loss: "proxy-anchor".parse().expect("a loss"),
        augment: Augment::ELASTIC,
        average: Some(0.999),
        steps: preset_steps(Length::Images(800_000), &cnn.batch),
        ..cnn
    }
}

/// What is best in minutes on two cores for identities of few pictures each, see docs/quality.md. Images of 64 a side
/// and more are halved by the first convolution.
fn pictures(input: [usize; 3]) -> Config {
    let cnn = cnn();
    let batch = Batch::Mined { labels: 32, images: 4, mining: Mining::SemiHard };
    let side = input[0].min(input[1]);
    let stem = if side < 64 { "conv32" } else { "conv32s2" };
    let spec = format!("{stem} bn relu conv64 bn relu pool conv128 bn relu pool conv128 bn relu pool dense128 l2");
    Config {
        spec,
        loss: "multi-similarity".parse().expect("a loss"),
        batch,
        augment: Augment { shift: side as f32 / 16.0, rotate: 10.0, scale: 0.15, shear: 0.1, ..Augment::NONE },
        update: Update::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 1e-4 },
        learning_rate: 3e-3,
        warmup: 50,
        clip: Some(5.0),
        gain: 1.0,
        steps: preset_steps(Length::Images(200_000), &batch),
        ..cnn
    }
}

/// He, Zhang, Ren & Sun, *Deep Residual Learning for Image Recognition*, 2016, without the classifier. Images of less
/// than 64 a side keep their size in the stem, as that paper has it for CIFAR.
fn resnet18(input: [usize; 3]) -> Config {
    let stem = if input[0].min(input[1]) < 64 { "conv64 bn relu" } else { "conv64k7s2 bn relu pool3s2p1" };
    let narrower = |channels: usize| {
        format!(
            "add( conv{channels}s2 bn relu conv{channels} bn | conv{channels}k1s2 bn ) relu \
             add( conv{channels} bn relu conv{channels} bn | ) relu"
        )
    };
    let stages = [128, 256, 512].map(narrower).join(" ");
    let spec = format!("{stem} 2*{{ add( conv64 bn relu conv64 bn | ) relu }} {stages} mean dense128 l2");
    Config { spec, ..pictures(input) }
}

/// Chen, Liu, Gao & Han, *MobileFaceNets*, 2018.
fn mobile(input: [usize; 3]) -> Config {
    let block =
        |wide: usize, out: usize, stride: &str| format!("conv{wide}k1 bn prelu depth3{stride} bn prelu conv{out}k1 bn");
    let residual = |count: usize, out: usize, wide: usize| format!("{count}*{{ add( {} | ) }}", block(wide, out, ""));
    let spec = [
        "conv64s2 bn prelu depth3 bn prelu".to_owned(),
        block(128, 64, "s2"),
        residual(4, 64, 128),
        block(256, 128, "s2"),
        residual(6, 128, 256),
        block(512, 128, "s2"),
        residual(2, 128, 256),
        "conv512k1 bn prelu depth7v bn dense128 bn l2".to_owned(),
    ];
    Config { spec: spec.join(" "), ..pictures(input) }
}

/// Szegedy, Ioffe, Vanhoucke & Alemi, *Inception-v4, Inception-ResNet and the Impact of Residual Connections*, 2016, as
/// davidsandberg/facenet has its first version.
fn facenet(input: [usize; 3]) -> Config {
    let conv = |word: &str| format!("conv{word} bne0.001 relu");
    let path = |words: &[&str]| words.iter().map(|word| conv(word)).collect::<Vec<_>>().join(" ");
    let branches = |branches: &[&[&str]]| branches.iter().map(|words| path(words)).collect::<Vec<_>>().join(" | ");
    let block = |paths: &[&[&str]], out: &str| format!("add( cat( {} ) {out} | )", branches(paths));
    let block35 = block(&[&["32k1"], &["32k1", "32"], &["32k1", "32", "32"]], "conv256k1 scale0.17");
    let block17 = block(&[&["128k1"], &["128k1", "128k1x7", "128k7x1"]], "conv896k1 scale0.1");
    let paths8: [&[&str]; 2] = [&["192k1"], &["192k1", "192k1x3", "192k3x1"]];
    let spec = [
        path(&["32s2v", "32v", "64"]),
        "pool3s2".to_owned(),
        path(&["80k1", "192v", "256s2v"]),
        format!("5*{{ {block35} relu }}"),
        format!("cat( {} | pool3s2 )", branches(&[&["384s2v"], &["192k1", "192", "256s2v"]])),
        format!("10*{{ {block17} relu }}"),
        format!(
            "cat( {} | pool3s2 )",
            branches(&[&["256k1", "384s2v"], &["256k1", "256s2v"], &["256k1", "256", "256s2v"]])
        ),
        format!("5*{{ {} relu }}", block(&paths8, "conv1792k1 scale0.2")),
        block(&paths8, "conv1792k1"),
        "mean drop0.6 dense512 bne0.001 l2".to_owned(),
    ];
    let pictures = pictures(input);
    // Its first arrays are large: 64 rows of them are what every adapter binds.
    let batch = Batch::Mined { labels: 16, images: 4, mining: Mining::SemiHard };
    Config { spec: spec.join(" "), batch, steps: preset_steps(Length::Images(200_000), &batch), ..pictures }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Preset> {
        PRESETS.iter().find(|preset| preset.name == name).copied().ok_or_else(|| {
            let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
            Error::config("--preset", format!("`{name}` is none of {}", names.join(", ")))
        })
    }
}

impl Config {
    /// Checks that every setting is in its range.
    ///
    /// # Errors
    /// [`Error::Config`] naming the setting, its value and the range.
    pub fn validate(&self) -> Result<()> {
        Range::Positive.check("--learning-rate", self.learning_rate)?;
        self.loss.validate()?;
        self.pixels.validate()?;
        Range::Positive.check("gain", self.gain)?;
        self.clip.map_or(Ok(()), |clip| Range::Positive.check("--clip", clip))?;
        self.average.map_or(Ok(()), |average| Range::Between(0.0, 1.0).check("--ema", average))?;
        let Update::Adam { beta1, beta2, epsilon, weight_decay } = self.update;
        Range::Share.check("beta1", beta1)?;
        Range::Share.check("beta2", beta2)?;
        Range::Share.check("--weight-decay", weight_decay)?;
        Range::Positive.check("epsilon", epsilon)?;
        self.groups.iter().try_for_each(Group::validate)?;
        self.thresholds.iter().try_for_each(|&threshold| Range::Positive.check("--threshold", threshold))?;
        self.augment.validate()?;
        self.batch.validate()?;
        self.loss.takes(&self.batch)?;
        let rows = self.batch.rows();
        if self.shares == 0 || !rows.is_multiple_of(self.shares) {
            let reason = format!("the {rows} images of a batch cannot be cut into {} equal shares", self.shares);
            return Err(Error::config("--shares", reason));
        }
        let of_pairs = [("--memory", self.memory > 0), ("--compatible-with", self.compatible.is_some())];
        if let Some((option, _)) = of_pairs.into_iter().find(|(_, asked)| *asked && !self.loss.is_on_pairs()) {
            let on_pairs: Vec<_> = Loss::all().iter().filter(|loss| loss.is_on_pairs()).map(Loss::name).collect();
            let reason = format!("{} pairs no images; {} do", self.loss.name(), on_pairs.join(", "));
            return Err(Error::config(option, reason));
        }
        if self.memory > 0 && !(self.batch.rows()..=MOST_MEMORY).contains(&self.memory) {
            let rows = self.batch.rows();
            let reason = format!("{} is not from {rows}, the images of a batch, to {MOST_MEMORY}", self.memory);
            return Err(Error::config("--memory", reason));
        }
        if self.steps == 0 {
            return Err(Error::config("--steps", "0 steps train nothing"));
        }
        if images_seen(self.steps, &self.batch).is_none() {
            let reason = format!(
                "{} steps of {} images are more than the {MOST_IMAGES} images that a run may see",
                self.steps,
                self.batch.rows()
            );
            return Err(Error::config("--steps", reason));
        }
        if let Some(Validation { images, every, patience, .. }) = self.validation {
            let looks = patience.unwrap_or(1);
            for (setting, value) in
                [("--validation", images as u64), ("--validate-every", every), ("--patience", looks)]
            {
                if value == 0 {
                    return Err(Error::config(setting, "0 is not a positive number"));
                }
            }
            if every.checked_mul(looks).is_none() {
                let reason = format!("{looks} looks, one in {every} steps, are more steps than 64 bits count");
                return Err(Error::config("--patience", reason));
            }
        }
        if self.train_classes.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::config("--train-classes", "no class is left to train on"));
        }
        Ok(())
    }

    /// Images of a [share](Config::shares).
    pub fn rows_of_share(&self) -> usize {
        self.batch.rows() / self.shares
    }

    /// Whether tensors may differ in their [`Config::rates`].
    pub fn is_grouped(&self) -> bool {
        let Update::Adam { weight_decay, .. } = self.update;
        weight_decay > 0.0 || !self.groups.is_empty()
    }

    /// Factor on the learning rate, and weight decay, of a tensor of this name and so many dimensions in files: each
    /// from the last group that has it and that the tensor fits. Without one the factor is 1 and the decay the
    /// optimiser's, but none for vectors: biases, and what scales and shifts behind a normalisation.
    pub fn rates(&self, tensor: &str, dims: usize) -> [f32; 2] {
        let Update::Adam { weight_decay, .. } = self.update;
        let mut rates = [1.0, if dims > 1 { weight_decay } else { 0.0 }];
        for Group { rate, decay, .. } in self.groups.iter().filter(|group| group.names.fit(tensor)) {
            rates = [rate.unwrap_or(rates[0]), decay.unwrap_or(rates[1])];
        }
        rates
    }

    /// The learning rate of a step; steps count from 1.
    pub fn rate(&self, step: u64) -> f32 {
        let warm = (step as f64 / self.warmup.max(1) as f64).min(1.0);
        let done = (step - 1) as f64 / self.steps as f64;
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Schedule::Step if done < 0.5 => 1.0,
            Schedule::Step if done < 0.75 => 0.1,
            Schedule::Step => 0.01,
        };
        (f64::from(self.learning_rate) * warm * factor) as f32
    }

    /// The scalars that change each step, in the order of the device's `step` array: learning rate, the corrections of
    /// Adam's two moments, and the weight of the new parameters in their moving average. Steps count from 1.
    pub fn scalars(&self, step: u64) -> [f32; 4] {
        let Update::Adam { beta1, beta2, .. } = self.update;
        let correction = |beta: f32| (1.0 / (1.0 - f64::from(beta).powf(step as f64))) as f32;
        // The first steps do not outlive their worth: the average begins as a short one and grows.
        let decay = self.average.unwrap_or(0.0).min(step.saturating_add(1) as f32 / step.saturating_add(10) as f32);
        [self.rate(step), correction(beta1), correction(beta2), 1.0 - decay]
    }

    /// The same for what the loss keeps besides the network, whose learning rate has a factor of its own.
    pub fn head_scalars(&self, step: u64) -> [f32; 4] {
        let [rate, first, second, new] = self.scalars(step);
        [rate * self.loss.rate(), first, second, new]
    }

    /// How the bytes of an image become numbers.
    pub fn scale(&self) -> Scale {
        self.pixels.scale()
    }
}
