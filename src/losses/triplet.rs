//! The triplet loss: an anchor must be nearer to its positive, an image of its label, than to its negative, an image of
//! another, by a margin. Of triplets drawn at random, or mined from a P×K batch by the embeddings of the very step.

use serde::{Deserialize, Serialize};

use super::{
    Ailment, COST, COUNT, Chart, Count, D_AN, D_AP, Distance, Embeddings, Family, Line, Lowered, Objective, Range,
    Setting, Settings, Stretch, Term, pairs,
};
use crate::error::Result;
use crate::kernels::{
    self, Distances, DistancesShape, Mine, MineDx, MineDxShape, MineHard, MineShape, SumRows, SumRowsShape, TripletDx,
    TripletShape,
};
use crate::plan::{Builder, Section};
use crate::sampler::{Batch, Mining, Positive};

/// What a triplet costs, by x = d(a, p) - d(a, n).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Margin {
    /// `max(x + margin, 0)`: the negative must be farther by this much. FaceNet, equation 3.
    Hinge(f32),
    /// `ln(1 + exp(s·x)) / s` with this s: never content, and for large s the hinge with margin 0. Hermans, Beyer &
    /// Leibe, *In Defense of the Triplet Loss*, 2017, have s = 1.
    Soft(f32),
}

impl Margin {
    /// The margin of the hinge, 0 for the soft one.
    pub fn hinge(self) -> f32 {
        if let Margin::Hinge(margin) = self { margin } else { 0.0 }
    }

    /// The s of the soft margin, 0 for the hinge.
    pub fn sharpness(self) -> f32 {
        if let Margin::Soft(sharpness) = self { sharpness } else { 0.0 }
    }

    /// The difference of distances that it asks for.
    fn wanted(self) -> f64 {
        f64::from(match self {
            Margin::Hinge(margin) => margin,
            Margin::Soft(sharpness) => 1.0 / sharpness,
        })
    }
}

/// The triplet loss, averaged over the triplets that count. Which of a P×K batch do is the batch's
/// [mining](Batch::Mined).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triplet {
    /// The distance d.
    pub distance: Distance,
    /// What a triplet costs.
    pub margin: Margin,
}

/// Part of the distance that is asked for within which it counts as nothing.
const NOTHING: f64 = 0.03;
/// Share of active triplets below which all keep the margin, but for a few that are hard by themselves.
const FEW: f64 = 1e-3;

impl Objective for Triplet {
    const NAME: &'static str = "triplet";
    const ABOUT: &'static str = "each positive nearer to its anchor than each negative, by a margin (FaceNet)";
    const FAMILY: Family = Family {
        pairs: false,
        terms: &[
            COST,
            COUNT,
            // Those that violate the margin.
            Term { name: "active", per: Count::Triplets },
            D_AP,
            D_AN,
        ],
        charts: &[
            Chart {
                name: "active",
                title: "Active triplets",
                axis: "share",
                share: true,
                lines: &[Line { statistic: "active", label: "" }],
            },
            super::DISTANCES,
        ],
        takes,
        count,
        tensors: |_, _| vec![],
    };
    const UNIT: bool = false;
    const SETTINGS: &'static [Setting] = &[
        Setting {
            name: "margin",
            default: 0.2,
            range: Range::Positive,
            about: "how much farther than the positive the negative must be",
        },
        Setting {
            name: "soft-margin",
            default: 0.0,
            range: Range::NotNegative,
            about: "s of the soft margin instead, where it is not 0",
        },
    ];

    fn cases() -> Vec<(Triplet, Batch)> {
        let mut batches = vec![Batch::Random { triplets: 5, positive: Positive::Other }];
        let minings = [Mining::SemiHard, Mining::BatchHard, Mining::BatchAll];
        batches.extend(minings.map(|mining| Batch::Mined { labels: 3, images: 4, mining }));
        let settings = [
            Triplet { distance: Distance::SquaredEuclidean, margin: Margin::Hinge(0.3) },
            Triplet { distance: Distance::MeanSquare, margin: Margin::Soft(4.0) },
        ];
        batches.into_iter().flat_map(|batch| settings.map(|triplet| (triplet, batch))).collect()
    }

    fn distance(&self) -> Distance {
        self.distance
    }

    fn validate(&self) -> Result<()> {
        let (setting, value) = match self.margin {
            Margin::Hinge(margin) => ("--margin", margin),
            Margin::Soft(sharpness) => ("--soft-margin", sharpness),
        };
        Range::Positive.check(setting, value)
    }

    fn of(settings: &Settings) -> Triplet {
        let margin = match settings.get("soft-margin") {
            0.0 => Margin::Hinge(settings.get("margin")),
            sharpness => Margin::Soft(sharpness),
        };
        Triplet { distance: Distance::SquaredEuclidean, margin }
    }

    fn settings(&self) -> Vec<(&'static str, f32)> {
        match self.margin {
            Margin::Hinge(margin) => vec![("margin", margin)],
            Margin::Soft(sharpness) => vec![("soft-margin", sharpness)],
        }
    }

    fn lower(&self, builder: &mut Builder, embeddings: &Embeddings) -> Lowered {
        let Embeddings { slot: embedding, dims, batch, .. } = *embeddings;
        let scale = self.distance.scale(dims);
        let (margin, sharpness) = (self.margin.hinge(), self.margin.sharpness());
        let columns = Self::FAMILY.terms.len();
        match *batch {
            Batch::Random { triplets, .. } => {
                let shape = TripletShape { triplets, dims, margin, sharpness, scale };
                let terms = builder.activation("terms", &[triplets, columns]);
                let gradient = builder.activation("embedding.dx", &[batch.rows(), dims]);
                builder.call::<kernels::Triplet>(Section::Loss, shape.clone(), &[embedding, terms]);
                builder.call::<TripletDx>(Section::Loss, shape, &[embedding, terms, gradient]);
                Lowered { gradient, terms, rows: triplets }
            }
            Batch::Mined { labels, images, mining } => {
                let rows = batch.rows();
                let distance = builder.activation("distance", &[rows, rows]);
                let weights = builder.activation("weights", &[rows, rows]);
                let terms = builder.activation("terms", &[rows, columns]);
                let totals = builder.activation("totals", &[columns]);
                let gradient = builder.activation("embedding.dx", &[rows, dims]);
                let shape = DistancesShape { queries: rows, references: rows, dims };
                builder.call::<Distances>(Section::Loss, shape, &[embedding, embedding, distance]);
                let semi_hard = u32::from(mining == Mining::SemiHard);
                let shape = MineShape { labels, images, margin, sharpness, scale, semi_hard };
                let mined = [distance, weights, terms];
                match mining {
                    Mining::BatchHard => builder.call::<MineHard>(Section::Loss, shape, &mined),
                    Mining::SemiHard | Mining::BatchAll => builder.call::<Mine>(Section::Loss, shape, &mined),
                }
                builder.call::<SumRows>(Section::Loss, SumRowsShape { rows, columns, splits: 1 }, &[terms, totals]);
                let shape = MineDxShape { labels, images, dims, scale, columns };
                builder.call::<MineDx>(Section::Loss, shape, &[embedding, weights, totals, gradient]);
                Lowered { gradient, terms, rows }
            }
        }
    }

    fn ailment(&self, batch: &Batch, stretch: &Stretch) -> Option<Ailment> {
        let [loss, active, d_ap, d_an] = [super::LOSS, "active", "d_ap", "d_an"].map(|name| stretch.mean(name));
        let wanted = self.margin.wanted();
        let mining = if let Batch::Mined { mining, .. } = *batch { Some(mining) } else { None };
        let ailment = |name, words: String| Some(Ailment { name, words });
        if d_an < NOTHING * wanted {
            let mut collapsed = Ailment::collapsed("images of different labels lie at almost one point");
            if mining == Some(Mining::BatchHard) {
                collapsed.words.push_str(", and with --mining semi-hard");
            }
            return Some(collapsed);
        }
        if let Some(singletons) = Ailment::singletons(d_ap, d_an) {
            return Some(singletons);
        }
        if (loss - wanted).abs() < NOTHING * wanted && (d_an - d_ap).abs() < NOTHING * wanted {
            let words = "the loss stays at the margin: positives are as far from their anchors as negatives are. Start \
                         again with a lower --learning-rate or another --seed, and see that the labels are right";
            return ailment("at the margin", words.to_owned());
        }
        if 2 * stretch.idle <= stretch.steps {
            return None;
        }
        let words = match mining {
            None => {
                "in most steps no triplet counts: those drawn at random have become easy. If the figures are not good \
                 yet, train with --mining semi-hard, which looks for harder ones, or with a larger --batch or \
                 --margin; else stop here"
            }
            // Only semi-hard mining leaves out what costs something.
            Some(Mining::SemiHard) if active >= FEW => {
                "in most steps no triplet counts, though some violate the margin: their negatives are nearer than \
                 their positives. Start again with a larger --margin or --batch, or with --mining batch-all"
            }
            // All triplets keep the margin: such batches have nothing left to teach, and that is no fault.
            Some(_) => return None,
        };
        ailment("no triplets", words.to_owned())
    }
}

/// Whether triplets can be had of a batch.
fn takes(name: &'static str, batch: &Batch) -> Result<()> {
    match batch {
        Batch::Random { .. } => Ok(()),
        Batch::Mined { .. } => pairs::takes(name, batch),
    }
}

/// How many a batch has.
fn count(batch: &Batch, of: Count) -> u64 {
    match (*batch, of) {
        (_, Count::Counted) => 1,
        (Batch::Random { triplets, .. }, Count::Pairs) => 2 * triplets as u64,
        (Batch::Random { triplets, .. }, _) => triplets as u64,
        // One each anchor.
        (Batch::Mined { mining: Mining::BatchHard, .. }, Count::Triplets) => batch.rows() as u64,
        (Batch::Mined { .. }, _) => pairs::count(batch, of),
    }
}
