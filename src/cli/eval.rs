//! `siamese eval`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use siamese::checkpoint::Checkpoint;
use siamese::config::Config;
use siamese::data::{self, Dataset, Origin, Parts, Split, SplitBy, folder};
use siamese::eval::{Embedded, Evaluation, retrieval_from};
use siamese::output::{Kind, Output};
use siamese::run::Runner;
use siamese::session::Event;
use siamese::siamese::{Source, inference_plan, slots};
use siamese::{Error, Result, embed};

use super::engine::{Engine, Job};
use super::{AdapterArg, DataArg, Failure, ModelArg, Outcome, compatible, pairs, read_all, say_remarks};
use crate::report::{evaluation_bar, evaluation_table, print};

/// Evaluates a saved network: 5-NN, centroid, one-shot, recognition under thresholds, ROC AUC, EER, TAR at FAR 1e-3.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese eval runs/cnn --roc roc.csv
  siamese eval runs/faces --data lfw/ --pairs pairs.txt     the protocol of Labeled Faces in the Wild
  siamese eval runs/new --against runs/old                  new probes in an old gallery, and the other way round
  siamese eval runs/faces --data people/ --all              how it tells apart whoever is in a folder
  siamese eval runs/faces --data probes/ --gallery known/   which of others a picture finds
  siamese eval weights.safetensors --adapter cpu --json")]
pub struct Eval {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    data: DataArg,
    /// Judge by another set than the model's own
    #[arg(long, requires = "data")]
    other_data: bool,
    #[command(flatten)]
    adapter: AdapterArg,
    /// Recognition thresholds, in the loss's distance; may be repeated [default: the model's]
    #[arg(long, value_name = "DISTANCE")]
    threshold: Vec<f32>,
    /// The weights as the last step left them, not their moving average
    #[arg(long)]
    raw: bool,
    /// Write the ROC as a table of threshold (squared distance), FAR and TAR
    #[arg(long, value_name = "FILE.csv")]
    roc: Option<PathBuf>,
    /// Judge by all images of --data, whatever sides it has, among each other
    #[arg(long, requires = "data", conflicts_with = "other_data")]
    all: bool,
    /// Which pictures of this folder those of --data find, all of both: recall at K, R-precision, MAP at R
    #[arg(long, value_name = "DIR", requires = "data", conflicts_with_all = ["other_data", "all", "threshold", "roc"])]
    gallery: Option<PathBuf>,
    /// Verify the pairs of a list as Labeled Faces in the Wild has it, over its folds: a first line `10<TAB>300`, lines
    /// `name 1 4` and `name 1 other 2`, pictures --data DIR/name/name_0001.jpg or .png
    #[arg(long, value_name = "FILE", requires = "data", conflicts_with_all = [
        "other_data", "all", "gallery", "threshold", "roc",
    ])]
    pairs: Option<PathBuf>,
    /// Judge beside an older model instead, on the same test images: probes of each among images of the other
    #[arg(long, value_name = "OLD", conflicts_with_all = ["threshold", "roc", "pairs", "all", "gallery"])]
    against: Option<PathBuf>,
    /// Print the evaluation as a JSON line
    #[arg(long)]
    json: bool,
}

const ROC_HEAD: &str = "threshold,far,tar\n";
const ROC: Kind = Kind { name: "a table of a ROC", is: |head| head.starts_with(ROC_HEAD.as_bytes()) };

impl Eval {
    pub fn run(self) -> Outcome {
        let mut checkpoint = self.model.load()?;
        if !self.threshold.is_empty() {
            checkpoint.config.thresholds.clone_from(&self.threshold);
            checkpoint.config.validate()?;
        }
        if let Some(pairs) = &self.pairs {
            let folder = self.data.data.as_deref().expect("clap requires --data");
            let weights = if self.raw { Checkpoint { average: None, ..checkpoint } } else { checkpoint };
            let engine = Engine::open(&self.adapter.adapter)?;
            return pairs::verify(&engine, &weights.export(), pairs, folder, self.json);
        }
        if let Some(gallery) = &self.gallery {
            let weights = if self.raw { Checkpoint { average: None, ..checkpoint } } else { checkpoint };
            return self.retrieve(&weights.export(), gallery);
        }
        let roc = self.roc.as_ref().map(|file| Output::prepare(file, ROC)).transpose()?;
        let parts =
            if self.all { self.whole(&checkpoint)? } else { self.data.load_parts(&checkpoint, self.other_data)? };
        say!("data {}", parts.origin());
        let config = checkpoint.config.clone();
        let engine = Engine::open(&self.adapter.adapter)?;
        let weights = if self.raw { Checkpoint { average: None, ..checkpoint } } else { checkpoint };
        if let Some(old) = &self.against {
            let (new, mut old) = (weights.export(), compatible::open(old)?);
            old.config.flip = config.flip;
            compatible::check("--against", &old, &new.net()?)?;
            let own = compatible::prepared("--against", &self.data, &new, &old, &parts)?;
            let [images, own] = [&parts, &own].map(|parts| &parts.evaluation.test);
            return compatible::judge(&engine, [(&new, images), (&old, own)], self.json);
        }
        let evaluation = engine.run(Evaluate { checkpoint: &weights.export(), config: &config, parts: &parts })?;
        if let Some(file) = roc {
            let missing = || {
                let reason = evaluation.left_out.get("auc").map_or("there are no pairs", String::as_str);
                Error::config("--roc", format!("there is no ROC: {reason}"))
            };
            let roc = evaluation.roc.as_ref().ok_or_else(missing)?;
            let rows = roc.points().into_iter().map(|(at, far, tar)| format!("{at},{far},{tar}\n"));
            file.commit(format!("{ROC_HEAD}{}", rows.collect::<String>()).as_bytes())?;
        }
        if self.json {
            print(&Event::Evaluation(&evaluation))?;
        } else {
            evaluation_table(&evaluation)?;
        }
        if evaluation.collapsed {
            say!("warning: the embeddings have collapsed: the network maps all test images to one point");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Eval {
    /// All images of a set as what is judged by.
    fn whole(&self, model: &Checkpoint) -> Result<Parts> {
        let path = self.data.data.as_deref().expect("clap requires --data");
        let (input, pictures) = (model.input, model.config.pictures);
        let test = if data::is_set(path)? {
            DataArg::open_from(Some(path), Some(input), pictures, None)?.whole().0
        } else {
            let (sets, remarks) = folder::whole(&[path], input, pictures)?;
            say_remarks(&remarks);
            let [test] = sets.try_into().expect("a set of a folder");
            test
        };
        let none = test.subset(String::new(), &[]);
        let origin = Origin::new(&test.name, Some(path), &none, &test, String::new());
        let (names, remarks) = Default::default();
        let split = Split { train: none, test, origin, names, by: SplitBy::Images, remarks, left_out: 0 };
        let mut split = if self.data.skip_bad { read_all(split, false, self.data.bad())? } else { split };
        split.origin.test = split.test.len();
        Ok(Parts { train: split.train.clone(), validation: None, bound: None, evaluation: split })
    }

    /// Which pictures of a gallery those of the folder find.
    fn retrieve(&self, model: &Checkpoint, gallery: &Path) -> Outcome {
        let folder = self.data.data.as_deref().expect("clap requires --data");
        let (sets, remarks) = folder::whole(&[folder, gallery], model.input, model.config.pictures)?;
        say_remarks(&remarks);
        let [probes, gallery] = <[Dataset; 2]>::try_from(sets).expect("a set of each folder");
        let engine = Engine::open(&self.adapter.adapter)?;
        let [asking, shown] = [&probes, &gallery].map(|set| compatible::embed(&engine, model, set));
        let (asking, shown) = (asking?, shown?);
        let dims = model.net()?.dims();
        let known = Embedded { values: &shown, dims, labels: &gallery.labels };
        let found = retrieval_from(known, Embedded { values: &asking, dims, labels: &probes.labels });
        let Some((retrieval, asked)) = found else {
            let reason = format!("it has pictures of none of the {} identities of --data", probes.label_count());
            return Err(Error::config("--gallery", reason).into());
        };
        let (strangers, identities) = (probes.len() - asked, gallery.label_count());
        if self.json {
            let mut event = json!({
                "event": "retrieval",
                "probes": asked,
                "strangers": strangers,
                "gallery": gallery.len(),
                "identities": identities,
            });
            if let (Value::Object(event), Value::Object(figures)) = (&mut event, json!(retrieval)) {
                event.extend(figures);
            }
            writeln!(std::io::stdout(), "{event}")?;
            return Ok(ExitCode::SUCCESS);
        }
        say!("{asked} probes in a gallery of {} pictures of {identities} identities", gallery.len());
        if strangers > 0 {
            say!("{strangers} probes of identities that the gallery does not have are left out");
        }
        let mut out = std::io::stdout().lock();
        for (name, share) in [
            ("recall at 1", retrieval.recall_at_1),
            ("recall at 2", retrieval.recall_at_2),
            ("recall at 4", retrieval.recall_at_4),
            ("recall at 8", retrieval.recall_at_8),
            ("R-precision", retrieval.r_precision),
            ("MAP at R", retrieval.map_at_r),
        ] {
            writeln!(out, "{name:<18} {:>9}", format!("{:.2} %", 100.0 * share))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

struct Evaluate<'a> {
    checkpoint: &'a Checkpoint,
    config: &'a Config,
    parts: &'a Parts,
}

impl Job for Evaluate<'_> {
    type Output = Evaluation;

    fn run<R: Runner>(self, make: impl Fn(Arc<siamese::plan::Plan>) -> Result<R>) -> Result<Evaluation, Failure> {
        let net = self.checkpoint.net()?;
        let images = embed::batch(&net, self.parts.evaluation.test.len());
        let source = Source::streamed(images, 1, self.config.scale());
        let mut runner = make(Arc::new(inference_plan(&net, &source, source.images, slots::PARAMETERS)))?;
        self.checkpoint.restore(&mut runner)?;
        let bar = evaluation_bar();
        let evaluated = embed::evaluate(&runner, &net, self.config, self.parts, |progress| bar.show(progress))?;
        bar.finish();
        Ok(evaluated.evaluation)
    }
}
