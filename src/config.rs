//! What a training run is, as plain data: the presets, and the rules that hold before any work begins. It is stored in
//! every checkpoint.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sampler::Positive;

/// How the distance of two embeddings is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// Sum of squared differences, as FaceNet.
    SquaredEuclidean,
    /// Mean of squared differences, as the notebook.
    MeanSquare,
}

/// The triplet loss `max(d(a, p) - d(a, n) + margin, 0)`, averaged over the batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// The distance d.
    pub distance: Distance,
    /// How much farther the negative must be.
    pub margin: f32,
}

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
    },
}

impl Update {
    /// Adam with the constants of its paper.
    pub const ADAM: Update = Update::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

    /// The scalars that change each step, in the order of the shader's `step` array; steps count from 1.
    pub fn scalars(self, learning_rate: f32, step: u64) -> [f32; 3] {
        let Update::Adam { beta1, beta2, .. } = self;
        let correction = |beta: f32| (1.0 / (1.0 - f64::from(beta).powf(step as f64))) as f32;
        [learning_rate, correction(beta1), correction(beta2)]
    }
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

/// A training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The network as text, see [`crate::net`].
    pub spec: String,
    /// Pixels are divided by this.
    pub divisor: f32,
    /// The loss.
    pub loss: Loss,
    /// The optimiser.
    pub update: Update,
    /// Its step size.
    pub learning_rate: f32,
    /// How weights start.
    pub initialisation: Initialisation,
    /// Factor on the weights' start. Below 1 an embedding of length 1 learns faster: it does not see the scale of the
    /// weights before it, so that steps of one size turn smaller weights further.
    pub gain: f32,
    /// What a positive may be.
    pub positive: Positive,
    /// Triplets of a step; each is three images.
    pub triplets: usize,
    /// Steps of the whole run.
    pub steps: u64,
    /// Where every random choice comes from.
    pub seed: u64,
    /// Thresholds of recognition that an evaluation reports, in the loss's distance.
    pub thresholds: Vec<f32>,
}

/// How long to train, in the unit the user likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Optimiser steps.
    Steps(u64),
    /// Times the training set's number of images as anchors, whole steps only.
    Epochs(u64),
    /// Images seen, three a triplet; the last step is whole.
    Images(u64),
}

impl Length {
    /// Steps of `triplets` triplets over a set of `images` images.
    pub fn steps(self, triplets: usize, images: usize) -> u64 {
        match self {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => epochs * (images / triplets).max(1) as u64,
            Length::Images(images) => images.div_ceil(3 * triplets as u64),
        }
    }
}

/// A named [`Config`].
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    config: fn() -> Config,
}

impl Preset {
    /// Its settings.
    pub fn config(&self) -> Config {
        (self.config)()
    }
}

/// Every preset; the first is the default.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "cnn",
        about: "two convolutions and two dense layers, FaceNet's loss on embeddings of length 1; 200,000 images",
        config: || Config {
            spec: "conv32 relu pool conv64 relu pool dense128 relu dense64 l2".to_owned(),
            divisor: 255.0,
            loss: Loss { distance: Distance::SquaredEuclidean, margin: 0.2 },
            update: Update::ADAM,
            learning_rate: 1e-3,
            initialisation: Initialisation::ByActivation,
            gain: 0.4,
            positive: Positive::Other,
            triplets: 128,
            steps: Length::Images(200_000).steps(128, 60_000),
            seed: 0,
            thresholds: vec![0.5, 1.0],
        },
    },
    Preset {
        name: "notebook",
        about: "the Keras notebook exactly: two dense layers, mean-square distance, 10 epochs of 29 steps of 2048 \
                triplets",
        config: || Config {
            spec: "dense64 relu dense64 sigmoid".to_owned(),
            divisor: 256.0,
            loss: Loss { distance: Distance::MeanSquare, margin: 0.2 },
            update: Update::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 },
            learning_rate: 1e-3,
            initialisation: Initialisation::Glorot,
            gain: 1.0,
            positive: Positive::Any,
            triplets: 2048,
            steps: Length::Epochs(10).steps(2048, 60_000),
            seed: 0,
            thresholds: vec![0.03, 0.07],
        },
    },
];

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
        let positive = |setting: &str, value: f32| {
            if value.is_finite() && value > 0.0 {
                return Ok(());
            }
            Err(Error::config(setting, format!("{value} is not a positive number")))
        };
        positive("--learning-rate", self.learning_rate)?;
        positive("--margin", self.loss.margin)?;
        positive("divisor", self.divisor)?;
        positive("gain", self.gain)?;
        self.thresholds.iter().try_for_each(|&threshold| positive("--threshold", threshold))?;
        if !(1..=1 << 20).contains(&self.triplets) {
            return Err(Error::config("--batch", format!("{} triplets are not from 1 to {}", self.triplets, 1 << 20)));
        }
        if self.steps == 0 {
            return Err(Error::config("--steps", "0 steps train nothing"));
        }
        Ok(())
    }

    /// Factor on the bytes of an image.
    pub fn scale(&self) -> f32 {
        1.0 / self.divisor
    }
}
