//! `siamese eval`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use siamese::checkpoint::Checkpoint;
use siamese::config::Config;
use siamese::data::Parts;
use siamese::eval::Evaluation;
use siamese::output::{Kind, Output};
use siamese::run::Runner;
use siamese::session::Event;
use siamese::siamese::{Source, inference_plan, slots};
use siamese::{Error, Result, embed};

use super::engine::{Engine, Job};
use super::{AdapterArg, DataArg, Failure, ModelArg, Outcome, compatible, pairs};
use crate::report::{evaluation_bar, evaluation_table, print};

/// Evaluates a saved network: 5-NN, centroid, one-shot, recognition under thresholds, ROC AUC, EER, TAR at FAR 1e-3.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese eval runs/cnn --roc roc.csv
  siamese eval runs/faces --data lfw/ --pairs pairs.txt     the protocol of Labeled Faces in the Wild
  siamese eval runs/new --against runs/old                  new probes in an old gallery, and the other way round
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
    /// Verify the pairs of a list as Labeled Faces in the Wild has it, over its folds: a first line `10<TAB>300`, lines
    /// `name 1 4` and `name 1 other 2`, pictures --data DIR/name/name_0001.jpg or .png
    #[arg(long, value_name = "FILE", requires = "data", conflicts_with_all = ["other_data", "threshold", "roc"])]
    pairs: Option<PathBuf>,
    /// Judge beside an older model instead, on the same test images: probes of each among images of the other
    #[arg(long, value_name = "OLD", conflicts_with_all = ["threshold", "roc", "pairs"])]
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
        let roc = self.roc.as_ref().map(|file| Output::prepare(file, ROC)).transpose()?;
        let parts = self.data.load_parts(&checkpoint, self.other_data)?;
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

struct Evaluate<'a> {
    checkpoint: &'a Checkpoint,
    config: &'a Config,
    parts: &'a Parts,
}

impl Job for Evaluate<'_> {
    type Output = Evaluation;

    fn run<R: Runner>(self, make: impl Fn(Arc<siamese::plan::Plan>) -> Result<R>) -> Result<Evaluation, Failure> {
        let net = self.checkpoint.net()?;
        let train = &self.parts.evaluation.train;
        let source = Source::streamed(embed::batch(&net, train.len()), 1, self.config.scale());
        let mut runner = make(Arc::new(inference_plan(&net, &source, source.images, slots::PARAMETERS)))?;
        self.checkpoint.restore(&mut runner)?;
        let bar = evaluation_bar();
        let evaluated = embed::evaluate(&runner, &net, self.config, self.parts, |progress| bar.show(progress))?;
        bar.finish();
        Ok(evaluated.evaluation)
    }
}
