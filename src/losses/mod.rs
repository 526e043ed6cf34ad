//! The registry of losses: what a batch costs, as a function of its embeddings.
//!
//! To add one: its kernels, unless those here do (`mine_dx` makes the gradient of any weights on pairs); one file here
//! with its settings and what [`Objective`] asks; its name in the `losses!` list below. Plans, statistics, reports,
//! the command line and tests follow this list; none of them needs a line.
//!
//! What losses have in common is their [`Family`]. Of losses on the pairs of a batch [`pairs`] has it, with the calls
//! around a kernel; what such a loss makes of an anchor's pairs is a [`PairLoss`](crate::kernels::PairLoss) in
//! `src/kernels/<loss>.rs`, beside its shader. Of losses with a vector for each class [`heads`] has it.

mod arcface;
mod centre;
mod circle;
mod contrastive;
mod cosface;
mod heads;
mod multi_similarity;
mod nt_xent;
mod pairs;
mod proxy_anchor;
mod softmax;
mod supcon;
pub mod triplet;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::kernel::Element;
use crate::layers::{Tensor, TensorSlots};
use crate::plan::{Builder, Role, SlotId};
use crate::sampler::{Batch, Mining};
use crate::settings::{Range, Setting, Settings, Text, check};

pub use crate::kernels::{Circle, Contrastive, MultiSimilarity, NtXent, SupCon};
pub use arcface::ArcFace;
pub use centre::Centre;
pub use cosface::CosFace;
pub use proxy_anchor::ProxyAnchor;
pub use softmax::Softmax;
pub use triplet::Triplet;

/// How the distance of two embeddings is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// Sum of squared differences, as FaceNet.
    SquaredEuclidean,
    /// Mean of squared differences, as the notebook.
    MeanSquare,
}

impl Distance {
    /// Factor on the sum of squared differences of embeddings of `dims` values.
    pub fn scale(self, dims: usize) -> f32 {
        match self {
            Distance::SquaredEuclidean => 1.0,
            Distance::MeanSquare => 1.0 / dims as f32,
        }
    }

    /// The distance of two embeddings of one length.
    pub fn between(self, a: &[f32], b: &[f32]) -> f32 {
        let squares: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
        match self {
            Distance::SquaredEuclidean => squares,
            Distance::MeanSquare => squares / a.len() as f32,
        }
    }
}

/// A number that a loss makes for each row of a batch: a column of the plan's slot `terms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Its name, under which its mean is reported.
    pub name: &'static str,
    /// What the mean is over.
    pub per: Count,
}

/// The first term of every loss.
const COST: Term = Term { name: "cost", per: Count::Counted };
/// The second.
const COUNT: Term = Term { name: "count", per: Count::Counted };
/// The distance to positives, of losses that have it.
const D_AP: Term = Term { name: "d_ap", per: Count::Positives };
/// The distance to negatives.
const D_AN: Term = Term { name: "d_an", per: Count::Negatives };

/// What the sum of a column of terms is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// What counts in the step: the sum of the column `count`.
    Counted,
    /// Rows of the batch.
    Rows,
    /// Triplets that are looked at.
    Triplets,
    /// Pairs of an anchor and another row.
    Pairs,
    /// Pairs of an anchor and a positive.
    Positives,
    /// Pairs of an anchor and a negative.
    Negatives,
}

/// Name of the mean cost among the statistics.
pub const LOSS: &str = "loss";
/// Name of the Euclidean norm of the whole gradient.
pub const GRADIENT_NORM: &str = "gradient_norm";
/// Name of the number of gradient values that are infinite or NaN.
pub const NON_FINITE: &str = "non_finite";

/// A picture of a report: curves of statistics on one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Chart {
    /// Its name.
    pub name: &'static str,
    /// What stands above it.
    pub title: &'static str,
    /// What its numbers are.
    pub axis: &'static str,
    /// Whether they are shares of 1.
    pub share: bool,
    /// Its curves.
    pub lines: &'static [Line],
}

/// A curve of a [`Chart`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Name of the statistic.
    pub statistic: &'static str,
    /// What tells it from the other curves; empty where there is no other.
    pub label: &'static str,
}

/// How reports show the mean distances of losses that have them.
const DISTANCES: Chart = Chart {
    name: "distances",
    title: "Mean distance",
    axis: "distance",
    share: false,
    lines: &[
        Line { statistic: "d_ap", label: "anchor to positive" },
        Line { statistic: "d_an", label: "anchor to negative" },
    ],
};

/// How reports show what every loss has: the loss itself, and the gradient.
const COMMON_CHARTS: [Chart; 2] = [
    Chart { name: "loss", title: "Loss", axis: "loss", share: false, lines: &[Line { statistic: LOSS, label: "" }] },
    Chart {
        name: "gradient",
        title: "Gradient norm",
        axis: "norm",
        share: false,
        lines: &[Line { statistic: GRADIENT_NORM, label: "" }],
    },
];

/// Name of the slot with the class of each row of a batch, `u32[rows]`, which the host writes each step. Only the plan
/// of a loss that [asks](Embeddings::labels) for it has one.
pub const LABELS: &str = "labels";

/// Name of the tensor with embeddings of the batches before, `[places, dims]` (Wang et al., *Cross-Batch Memory for
/// Embedding Learning*, 2020).
pub const MEMORY: &str = "memory";
/// Name of the slot with their classes, [`EMPTY`](crate::kernels::EMPTY) where a place has none yet, which the host
/// writes each step.
pub const MEMORY_LABELS: &str = "memory.labels";
/// Name of the slot with the place from which on the batch goes in, which the host writes each step.
pub const MEMORY_POSITION: &str = "memory.position";

/// Name of the slot with the embeddings that another model has of the very images of the batch, `[rows, dims]`, which
/// the host writes each step.
pub const OLD: &str = "old";

/// The embeddings of a batch, and what is known of them.
#[derive(Clone, Copy, Debug)]
pub struct Embeddings<'a> {
    /// The embeddings, `[rows, dims]`.
    pub slot: SlotId,
    /// Values of one.
    pub dims: usize,
    /// The batch that they are of.
    pub batch: &'a Batch,
    /// Classes of the set that batches are drawn from; those of the rows are below it.
    pub classes: usize,
    /// Embeddings of the batches before that rows are paired with as well, in the tensor [`MEMORY`]; 0: none.
    pub memory: usize,
    /// Whether rows are paired with those of another model in the slot [`OLD`] as well, which stay as they are: every
    /// anchor has old positives, of which one is of its own image, and old negatives. So distances come to mean the
    /// same between the two (the appendix of FaceNet, *Harmonic Embedding*, mixes old and new in triplets; Shen et al.,
    /// *Towards Backward-Compatible Representation Learning*, 2020).
    pub old: bool,
    /// What the loss keeps, see [`Loss::tensors`], by name.
    pub tensors: &'a [(String, TensorSlots)],
}

impl Embeddings<'_> {
    /// Adds the slot [`LABELS`]; once a plan.
    pub fn labels(&self, builder: &mut Builder) -> SlotId {
        builder.slot(LABELS, Element::U32, &[self.batch.rows()], Role::Input)
    }

    /// The slots of a tensor that the loss keeps. Panics where there is none of this name.
    fn tensor(&self, name: &str) -> TensorSlots {
        let found = self.tensors.iter().find(|(own, _)| own == name);
        found.unwrap_or_else(|| panic!("the loss keeps no tensor `{name}`")).1
    }
}

/// What a loss adds to a plan.
#[derive(Clone, Copy, Debug)]
pub struct Lowered {
    /// The gradient by the embeddings.
    pub gradient: SlotId,
    /// The terms, `[rows, columns]`, the columns those of [`Family::terms`].
    pub terms: SlotId,
    /// Their rows.
    pub rows: usize,
}

/// The means of some steps' statistics, to be judged.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Number of steps.
    pub steps: u64,
    /// Of these, steps whose loss was zero.
    pub idle: u64,
    /// Names and means.
    pub means: Vec<(&'static str, f64)>,
}

impl Stretch {
    /// The mean of a statistic. Panics where there is none of this name.
    pub fn mean(&self, name: &str) -> f64 {
        let found = self.means.iter().find(|(own, _)| *own == name);
        found.unwrap_or_else(|| panic!("there is no statistic `{name}`")).1
    }
}

/// The option that a loss is given by.
const OPTION: &str = "--loss";

/// Name of the setting [`Loss::rate`].
const RATE: &str = "rate";

/// Name of the ailment of embeddings that lie at one point, which no run recovers from.
pub const COLLAPSED: &str = "collapsed";

/// What is wrong with a training that goes on without getting anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ailment {
    /// Its name: of one name a run is told once.
    pub name: &'static str,
    /// What is wrong, and what to change.
    pub words: String,
}

impl Ailment {
    /// That the embeddings lie at one point, as is seen from `how`.
    fn collapsed(how: &str) -> Ailment {
        let remedy = "Start again with a lower --learning-rate or a --warmup";
        Ailment { name: COLLAPSED, words: format!("the embeddings have collapsed: {how}. {remedy}") }
    }

    /// That positives are their anchors themselves, where the mean distances to positives and negatives say so.
    fn singletons(d_ap: f64, d_an: f64) -> Option<Ailment> {
        let words = "every positive is its anchor itself: no label has a second image, so that nothing is learned of \
                     what the images of a label have in common. Give each label two images or more, or let --augment \
                     make them";
        // But for rounding.
        (d_ap < 1e-6 * d_an).then(|| Ailment { name: "singletons", words: words.to_owned() })
    }
}

/// Implemented by the `losses!` list alone, so that a loss left off the list does not compile.
pub trait Registered {}

/// What the losses of a family have in common.
#[derive(Clone, Copy)]
pub struct Family {
    /// Whether they are about pairs of rows with references, which may be embeddings of batches before.
    pub pairs: bool,
    /// What they say of each row. The first two are `cost`, whose sum by that of `count` is the loss, and `count`. At
    /// most [`MOST_TERMS`](crate::kernels::MOST_TERMS).
    pub terms: &'static [Term],
    /// How reports show the terms behind these two.
    pub charts: &'static [Chart],
    /// See [`Loss::takes`]; of the loss of this name.
    pub takes: fn(&'static str, &Batch) -> Result<()>,
    /// See [`Loss::count`].
    pub count: fn(&Batch, Count) -> u64,
    /// See [`Loss::tensors`].
    pub tensors: fn(usize, usize) -> Vec<Tensor>,
}

/// One loss, by its settings: what is its own beside its [family](Family).
pub trait Objective: Registered + Sized {
    /// Its word on the command line; its file has `_` for `-`.
    const NAME: &'static str;
    /// What it is, in a few words.
    const ABOUT: &'static str;
    /// What it has in common with others.
    const FAMILY: Family;
    /// Whether it counts on embeddings of length 1.
    const UNIT: bool;
    /// What it is set by. Of a structure of its settings `settings!` makes this and the two below.
    const SETTINGS: &'static [Setting];
    /// It, set so.
    fn of(settings: &Settings) -> Self;
    /// Its settings, as they would be given.
    fn settings(&self) -> Vec<(&'static str, f32)>;
    /// Settings and batches that tests run: every way through [`Objective::lower`].
    fn cases() -> Vec<(Self, Batch)>;
    /// Adds its calls to [`Section::Loss`](crate::plan::Section::Loss), on the embeddings of a batch.
    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered;
    /// What is wrong with a training whose steps came to these means.
    fn ailment(&self, batch: &Batch, stretch: &Stretch) -> Option<Ailment>;

    /// The distance that it is about, in which thresholds are given. The squared Euclidean one, but where a setting
    /// says otherwise.
    fn distance(&self) -> Distance {
        Distance::SquaredEuclidean
    }

    /// Checks the settings: each must be in its range.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) with the setting and its range.
    fn validate(&self) -> Result<()> {
        let values = self.settings().into_iter().map(|(_, value)| value);
        check(&format!("{OPTION} {}", Self::NAME), Self::SETTINGS, values)
    }
}

/// What an [`Objective`] that is a structure of its settings says of them: name, default and range of each, and what it
/// does.
macro_rules! settings {
    ($($name:ident = $default:literal in $range:expr, $about:expr;)*) => {
        const SETTINGS: &'static [$crate::settings::Setting] = &[$($crate::settings::Setting {
            name: stringify!($name),
            default: $default,
            range: $range,
            about: $about,
        }),*];

        fn of(settings: &$crate::settings::Settings) -> Self {
            Self { $($name: settings.get(stringify!($name))),* }
        }

        fn settings(&self) -> Vec<(&'static str, f32)> {
            vec![$((stringify!($name), self.$name)),*]
        }
    };
}
use settings;

/// What a factor in exponents may be: within it 32 bits hold what follows.
const SHARPNESS: Range = Range::Within(1e-3, 1e4);

/// A small batch that tests run.
const TESTED: Batch = Batch::Mined { labels: 3, images: 4, mining: Mining::SemiHard };

macro_rules! losses {
    ($($loss:ident,)*) => {
        $(impl Registered for $loss {})*

        /// What a batch costs: one of the losses, with its settings. In files it is its text, but for the triplet loss,
        /// whose settings stand there as they did when there was no other.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(try_from = "Form", into = "Form")]
        pub enum Loss {
            $(#[doc = concat!("See [`", stringify!($loss), "`].")] $loss($loss),)*
        }

        $(impl From<$loss> for Loss {
            fn from(loss: $loss) -> Loss {
                Loss::$loss(loss)
            }
        })*

        impl Loss {
            /// Every loss with the settings and batches that tests run.
            pub fn cases() -> Vec<(Loss, Batch)> {
                let cases = [$($loss::cases().into_iter().map(|(loss, batch)| (loss.into(), batch)).collect()),*];
                cases.into_iter().flat_map(|cases: Vec<_>| cases).collect()
            }

            /// See [`Objective::NAME`].
            pub fn name(&self) -> &'static str {
                match self { $(Loss::$loss(_) => $loss::NAME),* }
            }

            /// See [`Objective::ABOUT`].
            pub fn about(&self) -> &'static str {
                match self { $(Loss::$loss(_) => $loss::ABOUT),* }
            }

            /// See [`Objective::SETTINGS`].
            pub fn known_settings(&self) -> &'static [Setting] {
                match self { $(Loss::$loss(_) => $loss::SETTINGS),* }
            }

            /// See [`Objective::settings`].
            pub fn settings(&self) -> Vec<(&'static str, f32)> {
                match self { $(Loss::$loss(loss) => loss.settings()),* }
            }

            /// See [`Objective::UNIT`].
            pub fn needs_unit_rows(&self) -> bool {
                match self { $(Loss::$loss(_) => $loss::UNIT),* }
            }

            /// Each loss once, with its defaults.
            pub fn all() -> Vec<Loss> {
                vec![$($loss::of(&Settings::defaults($loss::SETTINGS)).into()),*]
            }

            /// The loss of this name, set so.
            fn of(name: &str, text: &Text) -> Result<Option<Loss>> {
                $(if name == $loss::NAME {
                    return Ok(Some($loss::of(&text.settings(name, $loss::SETTINGS)?).into()));
                })*
                Ok(None)
            }

            fn family(&self) -> Family {
                match self { $(Loss::$loss(_) => $loss::FAMILY),* }
            }

            /// See [`Objective::distance`].
            pub fn distance(&self) -> Distance {
                match self { $(Loss::$loss(loss) => loss.distance()),* }
            }

            /// See [`Objective::validate`].
            ///
            /// # Errors
            /// As there.
            pub fn validate(&self) -> Result<()> {
                match self { $(Loss::$loss(loss) => loss.validate()),* }
            }

            /// See [`Objective::lower`].
            pub fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
                match self { $(Loss::$loss(loss) => loss.lower(builder, embeddings)),* }
            }

            /// See [`Objective::ailment`].
            pub fn ailment(&self, batch: &Batch, stretch: &Stretch) -> Option<Ailment> {
                match self { $(Loss::$loss(loss) => loss.ailment(batch, stretch)),* }
            }
        }
    };
}

losses! {
    Triplet,
    MultiSimilarity,
    SupCon,
    NtXent,
    Contrastive,
    Circle,
    Softmax,
    CosFace,
    ArcFace,
    ProxyAnchor,
    Centre,
}

/// How a [`Loss`] stands in files.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a loss as text, or the distance and margin of a triplet loss")]
enum Form {
    Triplet(Triplet),
    Text(String),
}

impl From<Loss> for Form {
    fn from(loss: Loss) -> Form {
        if let Loss::Triplet(triplet) = loss { Form::Triplet(triplet) } else { Form::Text(loss.to_string()) }
    }
}

impl TryFrom<Form> for Loss {
    type Error = Error;

    fn try_from(form: Form) -> Result<Loss> {
        match form {
            Form::Triplet(triplet) => Ok(triplet.into()),
            Form::Text(text) => text.parse(),
        }
    }
}

/// As the option `--loss` has it, all settings said.
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())?;
        self.settings().into_iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

impl FromStr for Loss {
    type Err = Error;

    /// A name, and settings where they are not to be the defaults: `multi-similarity alpha=2 beta=50`.
    fn from_str(text: &str) -> Result<Loss> {
        let text = Text::new(OPTION, text);
        let name = text.word()?.unwrap_or_default();
        let loss = Loss::of(name, &text)?.ok_or_else(|| {
            let names: Vec<_> = Loss::all().iter().map(Loss::name).collect();
            text.fault(name, format!("no loss is called so; there are {}", names.join(", ")))
        })?;
        loss.validate()?;
        Ok(loss)
    }
}

impl Loss {
    /// Names of what a step reports, in the order of the kernel [`Statistics`](crate::kernels::Statistics): the loss,
    /// the means of the other terms, and what is said of the gradient.
    pub fn statistics(&self) -> Vec<&'static str> {
        let means = self.terms()[2..].iter().map(|term| term.name);
        [LOSS].into_iter().chain(means).chain([GRADIENT_NORM, NON_FINITE]).collect()
    }

    /// How many times the learning rate of the network that of what the loss keeps is: its setting of this name, where
    /// it has one.
    pub fn rate(&self) -> f32 {
        self.settings().iter().find(|(name, _)| *name == RATE).map_or(1.0, |&(_, rate)| rate)
    }

    /// Whether it is about pairs of rows with references, which may be embeddings of batches before.
    pub fn is_on_pairs(&self) -> bool {
        self.family().pairs
    }

    /// What it says of each row, see [`Family::terms`].
    pub fn terms(&self) -> &'static [Term] {
        self.family().terms
    }

    /// How reports show the statistics.
    pub fn charts(&self) -> Vec<Chart> {
        let [loss, gradient] = COMMON_CHARTS;
        [&[loss], self.family().charts, &[gradient]].concat()
    }

    /// Checks that it can be had of a batch whose sizes are [valid](Batch::validate).
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) that says what batches it takes.
    pub fn takes(&self, batch: &Batch) -> Result<()> {
        (self.family().takes)(self.name(), batch)
    }

    /// How many a batch has; of [`Count::Counted`], which each step counts by itself, 1.
    pub fn count(&self, batch: &Batch, of: Count) -> u64 {
        (self.family().count)(batch, of)
    }

    /// What it keeps from step to step besides the network, such as a vector for each of so many classes, for
    /// embeddings of `dims` values. See [`Head`](crate::head::Head).
    pub fn tensors(&self, dims: usize, classes: usize) -> Vec<Tensor> {
        (self.family().tensors)(dims, classes)
    }
}
