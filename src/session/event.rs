//! What happens in a run, and the record of it in the run's folder.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Folder, METRICS};
use crate::error::{Error, Result};
use crate::eval::Evaluation;
use crate::losses::{Ailment, NON_FINITE};
use crate::output::{self, Kind};
use crate::tensorboard::TensorBoard;
use crate::train::StepReport;

/// Something that happens in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// It begins, or goes on.
    Start {
        /// What it is computed on.
        adapter: &'a str,
        /// The network as text.
        spec: &'a str,
        /// Its trained values.
        parameters: usize,
        /// Steps of the whole run.
        steps: u64,
        /// Bytes of all buffers.
        bytes: u64,
        /// The run's folder.
        folder: &'a Path,
    },
    /// A step is done.
    Step {
        /// What came of it.
        report: &'a StepReport,
        /// Images a second since the first step, looks at the validation images left out.
        images_per_s: f64,
        /// Share of that time in which steps waited for images to be read, where those do not lie on the device.
        waiting: Option<f64>,
    },
    /// The training gets nowhere.
    Warning {
        /// The step that showed it.
        step: u64,
        /// Why.
        ailment: Ailment,
    },
    /// The validation images have been looked at.
    Validation {
        /// After this step.
        step: u64,
        /// Their MAP@R.
        map_at_r: f64,
        /// Whether that is the best so far, whose weights are kept.
        is_best: bool,
    },
    /// The run is at its end, and saved.
    Saved {
        /// The last checkpoint.
        path: &'a Path,
        /// Its step.
        step: u64,
        /// Milliseconds that the host spent on a step, waiting left out.
        host_ms: f64,
    },
    /// Steps are done again to find where the numbers of one left the finite ones.
    Retracing {
        /// The step of the checkpoint that they are done from.
        from: u64,
        /// The step that is not finite.
        step: u64,
    },
    /// The weights have been evaluated.
    Evaluation(&'a Evaluation),
    /// From here on events are no longer kept in the folder; the run goes on.
    Unrecorded(Error),
}

impl Event<'_> {
    /// The event as the run's record has it; `None` for what is of no interest behind the run.
    pub fn json(&self) -> Option<Value> {
        Some(match self {
            Event::Start { adapter, spec, parameters, steps, bytes, folder } => json!({
                "event": "start",
                "adapter": adapter,
                "spec": spec,
                "parameters": parameters,
                "steps": steps,
                "bytes": bytes,
                "folder": folder.to_string_lossy(),
            }),
            Event::Step { report, images_per_s, waiting } => {
                let mut event = json!({ "event": "step", "step": report.step, "images": report.images });
                // A step with values that are not finite is not reported.
                for (name, value) in report.stats.iter().filter(|(name, _)| *name != NON_FINITE) {
                    event[name] = json!(value);
                }
                event["images_per_s"] = json!(images_per_s);
                if let Some(waiting) = waiting {
                    event["waiting"] = json!(waiting);
                }
                event
            }
            Event::Warning { step, ailment } => {
                json!({ "event": "warning", "step": step, "reason": &ailment.words })
            }
            Event::Validation { step, map_at_r, is_best } => {
                json!({ "event": "validation", "step": step, "map_at_r": map_at_r, "best": is_best })
            }
            Event::Saved { path, step, host_ms } => {
                json!({ "event": "saved", "path": path.to_string_lossy(), "step": step, "host_ms": host_ms })
            }
            Event::Evaluation(evaluation) => {
                let mut event = json!({ "event": "evaluation" });
                let figures = serde_json::to_value(evaluation).expect("plain data");
                if let (Value::Object(event), Value::Object(figures)) = (&mut event, figures) {
                    event.extend(figures);
                }
                event
            }
            Event::Retracing { .. } | Event::Unrecorded(_) => return None,
        })
    }
}

/// The events of a record that a run keeps when it goes on from step `done`: those of later steps come again, and those
/// that are torn are lost.
pub fn up_to(record: &[u8], done: u64) -> String {
    let stays = |line: &&str| {
        let event: Option<Value> = serde_json::from_str(line).ok();
        event.is_some_and(|event| event["step"].as_u64().is_none_or(|step| step <= done))
    };
    String::from_utf8_lossy(record).lines().filter(stays).flat_map(|line| [line, "\n"]).collect()
}

/// Whoever hears the events.
pub(super) type Hear<'a> = &'a mut dyn FnMut(&Event);

/// The events in the folder. Where they cannot be written any more they are written no more.
pub(super) struct Record {
    files: Option<Files>,
}

struct Files {
    metrics: BufWriter<File>,
    path: PathBuf,
    board: TensorBoard,
    /// The last step seen, to which the evaluation belongs.
    step: u64,
}

impl Record {
    /// Of a new run, or of one that goes on from step `done`.
    pub fn open(folder: &Folder, done: Option<u64>) -> Result<Record> {
        let path = folder.file(METRICS);
        let known = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            known => known.map_err(Error::io("read", &path))?,
        };
        let kept = done.map(|done| up_to(&known, done)).unwrap_or_default();
        output::write(&path, Kind::OWN, kept.as_bytes())?;
        let metrics = File::options().append(true).open(&path).map_err(Error::io("write", &path))?;
        let board = TensorBoard::create(folder.path())?;
        Ok(Record { files: Some(Files { metrics: BufWriter::new(metrics), path, board, step: 0 }) })
    }

    /// Keeps an event, and lets it be heard.
    pub fn tell(&mut self, event: &Event, hear: Hear) {
        hear(event);
        if let Some(event) = event.json() {
            self.act(|files| files.keep(&event), hear);
        }
    }

    /// Lets the files have all events so far.
    pub fn flush(&mut self, hear: Hear) {
        self.act(Files::flush, hear);
    }

    fn act(&mut self, act: impl FnOnce(&mut Files) -> Result<()>, hear: Hear) {
        if let Some(Err(error)) = self.files.as_mut().map(act) {
            self.files = None;
            hear(&Event::Unrecorded(error));
        }
    }
}

impl Files {
    fn keep(&mut self, event: &Value) -> Result<()> {
        writeln!(self.metrics, "{event}").map_err(Error::io("write", &self.path))?;
        self.step = event["step"].as_u64().unwrap_or(self.step);
        let group = match event["event"].as_str() {
            Some("step") => "train",
            Some("validation") => "validation",
            Some("evaluation") => "test",
            _ => "",
        };
        if !group.is_empty() {
            let fields = event.as_object().into_iter().flatten();
            let numbers = fields.filter(|(name, _)| !["step", "images"].contains(&name.as_str()));
            let values: Vec<(String, f64)> =
                numbers.filter_map(|(name, value)| Some((format!("{group}/{name}"), value.as_f64()?))).collect();
            self.board.scalars(self.step, values.iter().map(|(tag, value)| (tag.as_str(), *value)))?;
        }
        if group == "train" { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<()> {
        self.metrics.flush().map_err(Error::io("write", &self.path))?;
        self.board.flush()
    }
}
