//! A run folder, read back: its manifest, its events, its figures.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use siamese::config::Config;
use siamese::data::Origin;
use siamese::eval::{Evaluation, Figure};
use siamese::figures::{Figures, VERSION};
use siamese::losses::Chart;
use siamese::session::METRICS;
use siamese::{Error, Result};

/// What a run is: settings, data, adapter, shaders.
pub const MANIFEST: &str = "run.json";
/// What its evaluation has to show.
pub const FIGURES: &str = "figures.json";
/// The page made of these.
pub const PAGE: &str = "report.html";

/// A run as a page or a text shows it.
#[derive(Serialize)]
pub struct Run {
    /// Name of the folder.
    pub name: String,
    /// The settings of [`MANIFEST`].
    manifest: Manifest,
    /// How the statistics of its steps are shown.
    pub charts: Vec<Chart>,
    /// What [`METRICS`] tells.
    #[serde(flatten)]
    pub log: Log,
    /// The figures of the evaluation, if the run came to one.
    pub key_figures: Vec<Figure>,
    /// What the evaluation has to show.
    figures: Option<Figures>,
}

/// What [`MANIFEST`] holds, without its lines on every kernel and shape, which are there for who repeats a run bit for
/// bit. The folder may be anybody's: what the page does not escape must be numbers.
#[derive(Serialize, Deserialize)]
struct Manifest {
    version: String,
    config: Config,
    input: [usize; 3],
    data: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    adapter: Adapter,
}

/// What a run ran on.
#[derive(Serialize, Deserialize)]
struct Adapter {
    name: String,
    #[serde(flatten)]
    more: serde_json::Map<String, Value>,
}

/// The event `start`.
#[derive(Serialize, Deserialize)]
struct Start {
    adapter: String,
    parameters: u64,
}

/// The event `validation`.
#[derive(Serialize, Deserialize)]
struct Look {
    step: f64,
    map_at_r: f64,
    best: bool,
}

/// The event `warning`.
#[derive(Serialize, Deserialize)]
struct Warning {
    step: f64,
    reason: String,
}

/// What the events of a run tell.
#[derive(Default, Serialize)]
pub struct Log {
    /// The last event `start`.
    start: Option<Start>,
    /// Names of the statistics that are shown.
    #[serde(skip)]
    names: Vec<&'static str>,
    /// Every step that counts, see [`Log::take`].
    #[serde(skip)]
    pub steps: Vec<Step>,
    validation: Vec<Look>,
    warnings: Vec<Warning>,
    /// Seconds spent on steps, by the speeds reported.
    seconds: f64,
    /// The last event `evaluation`.
    #[serde(skip)]
    evaluation: Option<Evaluation>,
    /// Of a part of the run that nothing interrupted: images seen by its first step, and its seconds.
    #[serde(skip)]
    part: Option<(f64, f64)>,
}

/// A step as its event has it.
#[derive(Clone)]
pub struct Step {
    /// Number of the step, from 1.
    pub step: f64,
    images: f64,
    /// The statistics that are shown, in the order of their names.
    values: Vec<f64>,
}

impl Step {
    fn of(event: &Value, names: &[&str]) -> Option<Step> {
        let number = |name: &str| event[name].as_f64();
        let values = names.iter().map(|name| number(name)).collect::<Option<_>>()?;
        Some(Step { step: number("step")?, images: number("images")?, values })
    }

    /// The mean of some steps, at the last of them.
    fn mean(steps: &[Step]) -> Step {
        let mean = |place: usize| steps.iter().map(|step| step.values[place]).sum::<f64>() / steps.len() as f64;
        let last = &steps[steps.len() - 1];
        Step { values: (0..last.values.len()).map(mean).collect(), ..last.clone() }
    }
}

impl Run {
    /// Reads a run folder. A run that was interrupted has no figures.
    ///
    /// # Errors
    /// [`Error::Run`] where the folder or a file in it is not what `siamese train` writes; [`Error::Io`].
    pub fn load(folder: &Path) -> Result<Run> {
        let manifest = read(folder, MANIFEST)?.ok_or_else(|| Error::run(folder, format!("has no {MANIFEST}")))?;
        let metrics = read(folder, METRICS)?.ok_or_else(|| Error::run(folder, format!("has no {METRICS}")))?;
        let path = folder.join(MANIFEST);
        let manifest: Manifest =
            serde_json::from_str(&manifest).map_err(|error| Error::run(&path, error.to_string()))?;
        let charts = manifest.config.loss.charts();
        let names = charts.iter().flat_map(|chart| chart.lines).map(|line| line.statistic).collect();
        let mut log = Log { names, ..Log::default() };
        for (number, line) in metrics.lines().enumerate() {
            match serde_json::from_str::<Value>(line) {
                Ok(event) => log.take(event),
                // What was being written when the run was killed.
                Err(_) => say!("warning: {}: line {} is torn", folder.join(METRICS).display(), number + 1),
            }
        }
        log.end_part();
        let figures = read(folder, FIGURES)?.map(|text| figures(&folder.join(FIGURES), &text)).transpose()?;
        let evaluation = figures.as_ref().map(|figures| &figures.evaluation).or(log.evaluation.as_ref());
        let name = folder.canonicalize().map_err(Error::io("read", folder))?;
        Ok(Run {
            name: name.file_name().unwrap_or(name.as_os_str()).to_string_lossy().into_owned(),
            manifest,
            charts,
            key_figures: evaluation.map(Evaluation::figures).unwrap_or_default(),
            log,
            figures,
        })
    }
}

/// A file of a run folder, if it is there. What is no UTF-8 in it was torn.
fn read(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(Error::run(folder, "is not a folder")),
        read => Ok(Some(String::from_utf8_lossy(&read.map_err(Error::io("read", &path))?).into_owned())),
    }
}

fn figures(path: &Path, text: &str) -> Result<Figures> {
    let fault = |reason: String| Error::run(path, reason);
    let value: Value = serde_json::from_str(text).map_err(|error| fault(error.to_string()))?;
    // Of the first layout only names were added, and what may be left out.
    if !value["version"].as_u64().is_some_and(|version| (1..=u64::from(VERSION)).contains(&version)) {
        return Err(fault(format!("has layout {}, this program reads 1 to {VERSION}", value["version"])));
    }
    let figures: Figures = serde_json::from_value(value).map_err(|error| fault(error.to_string()))?;
    // It stands in a style sheet of the page.
    if !figures.sprite.is_png() {
        return Err(fault("the sprite is no PNG file in base64".to_owned()));
    }
    Ok(figures)
}

impl Log {
    /// Takes in an event. A run that is resumed from an older checkpoint repeats steps: the later ones count.
    fn take(&mut self, event: Value) {
        match event["event"].as_str() {
            Some("start") => {
                self.end_part();
                self.start = serde_json::from_value(event).ok();
            }
            Some("step") => self.take_step(&event),
            Some("validation") => self.validation.extend(serde_json::from_value::<Look>(event)),
            Some("warning") => self.warnings.extend(serde_json::from_value::<Warning>(event)),
            Some("evaluation") => self.evaluation = serde_json::from_value(event).ok(),
            _ => {}
        }
    }

    fn take_step(&mut self, event: &Value) {
        let Some(step) = Step::of(event, &self.names) else { return };
        let before = |other: f64| other < step.step;
        while self.steps.pop_if(|last| !before(last.step)).is_some() {}
        while self.validation.pop_if(|last| !before(last.step)).is_some() {}
        while self.warnings.pop_if(|last| !before(last.step)).is_some() {}
        let first = self.part.map_or(step.images, |part| part.0);
        // The speed is the mean since the second step; the first may wait for shaders.
        let images = step.images - first;
        let speed = event["images_per_s"].as_f64().filter(|&speed| speed > 0.0);
        self.part = Some((first, speed.map_or(0.0, |speed| images / speed)));
        self.steps.push(step);
    }

    fn end_part(&mut self) {
        self.seconds += self.part.take().map_or(0.0, |part| part.1);
    }

    /// A step as the page reads it.
    pub fn json(&self, step: &Step) -> Value {
        let values = self.names.iter().zip(&step.values).map(|(&name, value)| (name, value));
        let all = [("step", &step.step), ("images", &step.images)].into_iter().chain(values);
        all.map(|(name, &value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>().into()
    }

    /// A statistic of some steps: step and value.
    pub fn curve(&self, steps: &[Step], statistic: &str) -> Vec<(f64, f64)> {
        let place = self.names.iter().position(|name| *name == statistic).expect("a statistic that is shown");
        steps.iter().map(|step| (step.step, step.values[place])).collect()
    }
}

/// At most `most` points of a curve: means of as many stretches of steps between the first and the last step, which
/// stay as they are.
pub fn thin(steps: &[Step], most: usize) -> Vec<Step> {
    let [first, middle @ .., last] = steps else { return steps.to_vec() };
    if steps.len() <= most {
        return steps.to_vec();
    }
    let parts = most - 2;
    let stretch = |part: usize| &middle[part * middle.len() / parts..(part + 1) * middle.len() / parts];
    let means = (0..parts).map(|part| Step::mean(stretch(part)));
    [first.clone()].into_iter().chain(means).chain([last.clone()]).collect()
}
