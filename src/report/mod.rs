//! What is shown: progress on stderr, results on stdout as a table or as JSON lines, a run as a page or as text.

pub mod page;
pub mod run;
pub mod text;

mod dashboard;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use siamese::Error;
use siamese::config::Config;
use siamese::eval::{Evaluation, Progress};
use siamese::losses::{Chart, LOSS, NON_FINITE};
use siamese::tensorboard::TensorBoard;
use siamese::train::StepReport;

pub use dashboard::Dashboard;

use crate::outcome::Failure;

/// Between two lines of progress where stderr is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where the events of a run are kept.
pub struct Record {
    metrics: (io::BufWriter<File>, PathBuf),
    board: TensorBoard,
    /// The last step seen, to which the evaluation belongs.
    step: u64,
}

impl Record {
    /// In the metrics file, and for TensorBoard in the folder of that file.
    pub fn new(metrics: File, path: PathBuf) -> siamese::Result<Record> {
        let board = TensorBoard::create(path.parent().unwrap_or(Path::new(".")))?;
        Ok(Record { metrics: (io::BufWriter::new(metrics), path), board, step: 0 })
    }

    fn keep(&mut self, event: &Value) -> siamese::Result<()> {
        let (file, path) = &mut self.metrics;
        writeln!(file, "{event}").map_err(Error::io("write", path))?;
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

    fn flush(&mut self) -> siamese::Result<()> {
        let (file, path) = &mut self.metrics;
        file.flush().map_err(Error::io("write", path))?;
        self.board.flush()
    }
}

/// Events as JSON lines on stdout, if the user wants them there, and in the run's record.
pub struct Events {
    json: bool,
    /// Whether stdout still takes them.
    open: bool,
    record: Option<Record>,
    /// Whether there is a run that goes on where they cannot be written.
    of_run: bool,
}

impl Events {
    /// On stdout if `stdout`, and in the record if there is one.
    pub fn new(stdout: bool, record: Option<Record>) -> Self {
        Events { json: stdout, open: stdout, of_run: record.is_some(), record }
    }

    /// Whether stdout carries events.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Writes one event. Of a run, what cannot be written any more is written no more: the run goes on.
    pub fn emit(&mut self, event: &Value) -> Result<(), Failure> {
        if self.open
            && let Err(error) = print(event)
        {
            if !self.of_run {
                return Err(error.into());
            }
            self.open = false;
            say!("warning: no more events on stdout: {error}");
        }
        self.record(|record| record.keep(event));
        Ok(())
    }

    /// Lets the files of the record have all events so far.
    pub fn flush(&mut self) {
        self.record(Record::flush);
    }

    fn record(&mut self, act: impl FnOnce(&mut Record) -> siamese::Result<()>) {
        if let Some(Err(error)) = self.record.as_mut().map(act) {
            self.record = None;
            say!("warning: no more events are kept: {error}");
        }
    }

    /// The event of a finished step.
    pub fn step(&mut self, report: &StepReport, images_per_s: f64) -> Result<(), Failure> {
        let mut event = json!({ "event": "step", "step": report.step, "images": report.images });
        // A step with values that are not finite is not reported.
        for (name, value) in report.stats.iter().filter(|(name, _)| *name != NON_FINITE) {
            event[name] = json!(value);
        }
        event["images_per_s"] = json!(images_per_s);
        self.emit(&event)
    }

    /// The event of an evaluation.
    pub fn evaluation(&mut self, evaluation: &Evaluation) -> Result<(), Failure> {
        let mut event = json!({ "event": "evaluation" });
        let figures = serde_json::to_value(evaluation).expect("plain data");
        if let (Value::Object(event), Value::Object(figures)) = (&mut event, figures) {
            event.extend(figures);
        }
        self.emit(&event)
    }
}

fn print(event: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{event}")?;
    out.flush()
}

/// Where the progress of a training is shown.
enum View {
    /// A bar in the terminal.
    Bar(ProgressBar),
    /// The terminal as a page.
    Page(Box<Dashboard>),
    /// Lines, where stderr is no terminal.
    Lines,
}

/// Progress of a training: a bar or a page on a terminal, a line every few seconds elsewhere.
pub struct Steps {
    view: View,
    /// What is told of the loss beside its value.
    shares: Vec<Chart>,
    total: u64,
    images_a_step: u64,
    /// When the steps began that speed is measured over, and how many were done then.
    since: (Instant, u64),
    line: Instant,
}

impl Steps {
    /// From step `done` to the last of the run, on the page if there is one.
    pub fn new(done: u64, config: &Config, page: Option<Dashboard>) -> Self {
        let (total, images_a_step) = (config.steps, config.batch.rows() as u64);
        let shares = config.loss.charts().into_iter().filter(|chart| chart.share).collect();
        let view = match page {
            Some(page) => View::Page(Box::new(page)),
            None if io::stderr().is_terminal() => {
                let style =
                    ProgressStyle::with_template("{bar:30} {pos}/{len} steps  {msg}  {eta} left").expect("a template");
                View::Bar(ProgressBar::new(total).with_style(style).with_position(done))
            }
            None => View::Lines,
        };
        let now = Instant::now();
        Steps { view, shares, total, images_a_step, since: (now, done), line: now }
    }

    /// The first step is done, shaders and all: speed counts from here.
    pub fn first(&mut self, elapsed: Duration) {
        self.since = (Instant::now(), self.since.1 + 1);
        if !matches!(self.view, View::Bar(_)) {
            self.say(&format!("first step after {:.1} s", elapsed.as_secs_f64()));
        }
    }

    /// Time that was not spent on steps is not to count.
    pub fn paused(&mut self, time: Duration) {
        self.since.0 += time;
    }

    /// Words above the bar.
    pub fn say(&mut self, line: &str) {
        match &mut self.view {
            View::Bar(bar) => bar.suspend(|| say!("{line}")),
            View::Page(page) => page.say(line),
            View::Lines => say!("{line}"),
        }
    }

    /// Shows a finished step; answers images a second.
    pub fn show(&mut self, report: &StepReport) -> f64 {
        let (since, done) = self.since;
        let steps = (report.step - done) as f64;
        let speed = steps * self.images_a_step as f64 / since.elapsed().as_secs_f64();
        let left = since.elapsed().mul_f64((self.total - report.step) as f64 / steps.max(1.0));
        let stats = &report.stats;
        let shares = self.shares.iter().flat_map(|chart| chart.lines);
        let shares = shares.map(|line| format!("  {} {:4.1} %", line.statistic, 100.0 * stats.get(line.statistic)));
        let words = format!("loss {:.4}{}  {speed:.0} images/s", stats.get(LOSS), shares.collect::<String>());
        match &mut self.view {
            View::Bar(bar) => {
                bar.set_message(words);
                bar.set_position(report.step);
            }
            View::Page(page) => page.show(report, speed, left),
            View::Lines if self.line.elapsed() > LINE_EVERY || report.step == self.total => {
                self.line = Instant::now();
                say!("step {}/{}  {words}  {:.0} s left", report.step, self.total, left.as_secs_f64());
            }
            View::Lines => {}
        }
        speed
    }

    /// Shows how the validation images did.
    pub fn validation(&mut self, step: u64, map_at_r: f64, is_best: bool) {
        if let View::Page(page) = &mut self.view {
            page.validation(step, map_at_r);
        }
        let mark = if is_best { "  best so far" } else { "" };
        self.say(&format!("step {step}: MAP@R {map_at_r:.5} on the validation images{mark}"));
    }

    /// Takes the bar or page away; the words of the page stay.
    pub fn finish(self) {
        match self.view {
            View::Bar(bar) => bar.finish(),
            View::Page(page) => {
                let words: Vec<String> = page.words().map(str::to_owned).collect();
                drop(page);
                words.iter().for_each(|line| say!("{line}"));
            }
            View::Lines => {}
        }
    }
}

/// Progress of an evaluation.
pub struct EvaluationBar {
    bar: Option<ProgressBar>,
    stage: RefCell<&'static str>,
}

/// Progress of an evaluation: a bar on a terminal, a line for each stage elsewhere.
pub fn evaluation_bar() -> EvaluationBar {
    let bar = io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}").expect("a template");
        ProgressBar::new(0).with_style(style)
    });
    EvaluationBar { bar, stage: RefCell::new("") }
}

impl EvaluationBar {
    /// Shows where the evaluation is.
    pub fn show(&self, progress: Progress) {
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
            bar.set_message(progress.stage);
        } else if self.stage.replace(progress.stage) != progress.stage {
            say!("{} …", progress.stage);
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar that counts `what`; hidden where stderr is not a terminal.
pub fn counter(total: u64, what: &str) -> ProgressBar {
    let template = format!("{{bar:30}} {{pos}}/{{len}} {what}  {{per_sec}}  {{eta}} left");
    ProgressBar::new(total).with_style(ProgressStyle::with_template(&template).expect("a template"))
}

/// The evaluation as a table on stdout.
pub fn evaluation_table(evaluation: &Evaluation) -> io::Result<()> {
    let mut out = io::stdout().lock();
    evaluation.figures().iter().try_for_each(|figure| {
        let line = format!("{:<18} {:>9}  {}", figure.name, figure.text, figure.words);
        writeln!(out, "{}", line.trim_end())
    })
}
