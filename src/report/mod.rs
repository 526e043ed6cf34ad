//! What is shown: progress on stderr, results on stdout as a table or as JSON lines, a run as a page or as text.

pub mod audit;
pub mod page;
pub mod run;
pub mod text;

mod dashboard;

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use siamese::config::Config;
use siamese::eval::{Evaluation, Progress};
use siamese::losses::{Chart, LOSS};
use siamese::session::Event;
use siamese::train::StepReport;

pub use dashboard::Dashboard;

/// Between two lines of progress where stderr is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Writes an event as a JSON line on stdout.
pub fn print(event: &Event) -> io::Result<()> {
    let Some(event) = event.json() else { return Ok(()) };
    let mut out = io::stdout().lock();
    writeln!(out, "{event}")?;
    out.flush()
}

/// The events of a run as JSON lines on stdout.
pub struct Lines {
    /// Whether they are wanted, and stdout still takes them.
    open: bool,
}

impl Lines {
    /// If they are wanted.
    pub fn new(wanted: bool) -> Lines {
        Lines { open: wanted }
    }

    /// Writes an event. Where that fails no more are written: the run goes on.
    pub fn hear(&mut self, event: &Event) {
        if self.open
            && let Err(error) = print(event)
        {
            self.open = false;
            say!("warning: no more events on stdout: {error}");
        }
    }
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
    /// When the training began, until its first step is done.
    begun: Option<Instant>,
    /// When the last line was printed.
    line: Instant,
}

impl Steps {
    /// From step `done` to the last of a training that began at `begun`, on the page if there is one.
    pub fn new(begun: Instant, done: u64, config: &Config, page: Option<Dashboard>) -> Self {
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
        Steps { view, shares, total, images_a_step, begun: Some(begun), line: Instant::now() }
    }

    /// Words above the bar.
    fn say(&mut self, line: &str) {
        match &mut self.view {
            View::Bar(bar) => bar.suspend(|| say!("{line}")),
            View::Page(page) => page.say(line),
            View::Lines => say!("{line}"),
        }
    }

    /// Shows a finished step.
    fn show(&mut self, report: &StepReport, images_per_s: f64, waiting: Option<f64>) {
        let images_left = (self.total - report.step) * self.images_a_step;
        let left = Duration::try_from_secs_f64(images_left as f64 / images_per_s).unwrap_or(Duration::MAX);
        let stats = &report.stats;
        let shares = self.shares.iter().flat_map(|chart| chart.lines);
        let shares = shares.map(|line| format!("  {} {:4.1} %", line.statistic, 100.0 * stats.get(line.statistic)));
        // What a user can change is worth a word where it counts.
        let waiting = waiting.filter(|&share| share >= 0.01);
        let waiting = waiting.map(|share| format!("  waiting for images {:.0} %", 100.0 * share)).unwrap_or_default();
        let loss = stats.get(LOSS);
        let words = format!("loss {loss:.4}{}  {images_per_s:.0} images/s{waiting}", shares.collect::<String>());
        match &mut self.view {
            View::Bar(bar) => {
                bar.set_message(words);
                bar.set_position(report.step);
            }
            View::Page(page) => page.show(report, images_per_s, left),
            View::Lines if self.line.elapsed() > LINE_EVERY || report.step == self.total => {
                self.line = Instant::now();
                say!("step {}/{}  {words}  {:.0} s left", report.step, self.total, left.as_secs_f64());
            }
            View::Lines => {}
        }
        if let Some(begun) = self.begun.take()
            && !matches!(self.view, View::Bar(_))
        {
            self.say(&format!("first step after {:.1} s", begun.elapsed().as_secs_f64()));
        }
    }

    /// Shows what happens in the training.
    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::Step { report, images_per_s, waiting } => self.show(report, *images_per_s, *waiting),
            Event::Validation { step, map_at_r, is_best } => {
                if let View::Page(page) = &mut self.view {
                    page.validation(*step, *map_at_r);
                }
                let mark = if *is_best { "  best so far" } else { "" };
                self.say(&format!("step {step}: MAP@R {map_at_r:.5} on the validation images{mark}"));
            }
            Event::Warning { step, ailment } => self.say(&format!("warning: step {step}: {}", ailment.words)),
            Event::Saved { path, .. } => self.say(&format!("saved {}", path.display())),
            Event::Retracing { from, step } => {
                self.say(&format!("step {step} is not finite; going through the steps from {from} again to see why …"));
            }
            Event::Unrecorded(error) => self.say(&format!("warning: no more events are kept: {error}")),
            Event::Start { .. } | Event::Evaluation(_) => {}
        }
    }

    /// Takes the bar or page away; the words of the page stay, and others come as lines.
    pub fn finish(&mut self) {
        match std::mem::replace(&mut self.view, View::Lines) {
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
