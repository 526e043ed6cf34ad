//! The figures of an evaluation as a table: the one list of their names, units and words. What is printed, the page and
//! the text of a run read it.

use serde::Serialize;

use super::{Calibrated, Evaluation, FOLDS, Interval, Judged};

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// In hundredths, with two decimals.
    Percent,
    /// As it is, with five decimals.
    Plain,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Unit::Percent => format!("{:.2} %", 100.0 * value),
            Unit::Plain => format!("{value:.5}"),
        }
    }

    fn between(self, Interval { low, high }: Interval) -> String {
        match self {
            Unit::Percent => format!("{:.2} to {:.2} %", 100.0 * low, 100.0 * high),
            Unit::Plain => format!("{low:.5} to {high:.5}"),
        }
    }
}

/// A figure of an evaluation, as all show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Where its value stands in the JSON of an [`Evaluation`]: a JSON pointer.
    pub key: String,
    /// What it is called.
    pub name: &'static str,
    /// How it is written.
    pub unit: Unit,
    /// `None` if it is left out.
    pub value: Option<f64>,
    /// The value as it is written; `-` if it is left out.
    pub text: String,
    /// Its interval, what it rests on, or why it is left out.
    pub words: String,
}

impl Evaluation {
    /// Whether no query has a label of the references, so that it is told by the queries alone how foreign identities
    /// are kept apart.
    pub fn is_of_identities(&self) -> bool {
        self.images > 0 && self.unseen == self.images
    }

    /// The figures, in the order in which they are shown. Of foreign identities those come first that tell them apart
    /// most sharply, and those are not among them that compare with references.
    pub fn figures(&self) -> Vec<Figure> {
        let figure = |key: &str, name, unit: Unit, value: Option<f64>, words: Option<String>| {
            let own = key.split('/').next().unwrap_or(key);
            let reason =
                || self.left_out.get(own).map_or("left out".to_owned(), |reason| format!("left out: {reason}"));
            Figure {
                key: format!("/{key}"),
                name,
                unit,
                value,
                text: value.map_or("-".to_owned(), |value| unit.write(value)),
                words: if value.is_some() { words.unwrap_or_default() } else { reason() },
            }
        };
        let percent = |key: &str, name, value, words| figure(key, name, Unit::Percent, value, words);
        let between =
            |unit: Unit, interval: Option<Interval>| interval.map(|range| format!("95 %: {}", unit.between(range)));
        let rate = |key: &str, name, value, interval| percent(key, name, value, between(Unit::Percent, interval));
        let seen = (self.unseen > 0)
            .then(|| format!("without {} test images of labels that no training image has", self.unseen));
        let galleries = self.one_shot_galleries;
        let spread = galleries.map(|found| {
            let range = Interval { low: found.low, high: found.high };
            format!("95 % of galleries: {}", Unit::Percent.between(range))
        });
        let folds = self
            .verification_accuracy_error
            .map(|error| format!("standard error {} over {FOLDS} folds", Unit::Percent.write(error)));
        let foreign = self.is_of_identities();
        let images = foreign
            .then(|| format!("each of {} images of {} identities among the others", self.images, self.identities));
        let pairs = foreign.then(|| format!("{} pairs of one, {} of two", self.positive_pairs, self.negative_pairs));
        let of_auc = [pairs, between(Unit::Plain, self.auc_interval)].into_iter().flatten().collect::<Vec<_>>();
        let mut figures = vec![
            percent("knn5", "5-NN accuracy", self.knn5, seen.clone()),
            percent("centroid", "centroid accuracy", self.centroid, seen),
            percent("one_shot", "one-shot accuracy", self.one_shot, None),
            percent("one_shot_galleries/mean", "random galleries", galleries.map(|found| found.mean), spread),
            percent("recall_at_1", "recall at 1", self.recall_at_1, images),
            percent("recall_at_2", "recall at 2", self.recall_at_2, None),
            percent("recall_at_4", "recall at 4", self.recall_at_4, None),
            percent("recall_at_8", "recall at 8", self.recall_at_8, None),
            percent("r_precision", "R-precision", self.r_precision, None),
            percent("map_at_r", "MAP at R", self.map_at_r, None),
            figure("auc", "ROC AUC", Unit::Plain, self.auc, Some(of_auc.join("; "))),
            rate("eer", "EER", self.eer, self.eer_interval),
            rate("tar_far_1e2", "TAR at FAR 1e-2", self.tar_far_1e2, self.tar_far_1e2_interval),
            rate("tar_far_1e3", "TAR at FAR 1e-3", self.tar_far_1e3, self.tar_far_1e3_interval),
            rate("tar_far_1e4", "TAR at FAR 1e-4", self.tar_far_1e4, self.tar_far_1e4_interval),
            percent("verification_accuracy", "same or different", self.verification_accuracy, folds),
        ];
        if foreign {
            const FIRST: [&str; 6] =
                ["/recall_at_1", "/map_at_r", "/one_shot", "/one_shot_galleries/mean", "/tar_far_1e3", "/tar_far_1e4"];
            figures.retain(|figure| !["/knn5", "/centroid"].contains(&figure.key.as_str()));
            figures.sort_by_key(|figure| FIRST.iter().position(|&key| key == figure.key).unwrap_or(FIRST.len()));
        }
        figures.extend(self.thresholds.iter().enumerate().map(|(at, found)| {
            let accepted = Unit::Percent.write(found.accepted);
            let words = format!("accepted and right; {accepted} accepted, under {}", found.threshold as f32);
            percent(&format!("thresholds/{at}/right"), "recognition", Some(found.right), Some(words))
        }));
        if self.calibrated.is_some() || self.left_out.contains_key("calibrated") {
            let words = |Calibrated { target_far, judged: Judged { threshold, far, .. } }| {
                let (far, target) = (100.0 * far, 100.0 * target_far);
                format!("at FAR {far:.3} %, threshold {threshold:.4} for {target} % on the validation images")
            };
            let tar = self.calibrated.map(|found| found.judged.tar);
            figures.push(percent("calibrated/tar", "calibrated TAR", tar, self.calibrated.map(words)));
        }
        figures
    }
}
