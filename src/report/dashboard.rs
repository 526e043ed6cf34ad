//! A training as a page in the terminal: curves, progress, the last words. Drawn on stderr, so that stdout stays clean.

use std::collections::VecDeque;
use std::io::{self, Stderr};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph, Wrap};
use ratatui::{Frame, Terminal};
use siamese::config::Config;
use siamese::losses::{Chart as Shown, GRADIENT_NORM};
use siamese::train::StepReport;

/// Between two pictures.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// Most points of a curve; with more, neighbours are averaged.
const MOST_POINTS: usize = 1000;
/// Words kept.
const WORDS: usize = 50;
/// Of the curves, in their order.
const COLOURS: [Color; 4] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta];

/// Values over the steps, averaged so that there are never too many.
#[derive(Default)]
struct Curve {
    points: Vec<(f64, f64)>,
    /// Values that a point is the mean of, and those of the next one: how many, and their sum.
    every: usize,
    next: (usize, f64),
}

impl Curve {
    fn push(&mut self, step: u64, value: f32) {
        self.every = self.every.max(1);
        self.next = (self.next.0 + 1, self.next.1 + f64::from(value));
        if self.next.0 < self.every {
            return;
        }
        self.points.push((step as f64, self.next.1 / self.next.0 as f64));
        self.next = (0, 0.0);
        if self.points.len() >= MOST_POINTS {
            let mean = |pair: &[(f64, f64)]| (pair[1].0, (pair[0].1 + pair[1].1) / 2.0);
            self.points = self.points.as_chunks::<2>().0.iter().map(|pair| mean(pair)).collect();
            self.every *= 2;
        }
    }
}

/// A curve with its name, which may be empty, and its colour.
type Drawn<'a> = (&'a str, &'a Curve, Color);

/// What the page shows.
struct Page {
    /// What is trained, on what: a name and a value each.
    facts: Vec<(&'static str, String)>,
    total: u64,
    step: u64,
    speed: f64,
    left: Duration,
    /// What is shown of the loss, with a curve for each line.
    charts: Vec<(Shown, Vec<Curve>)>,
    validation: Curve,
    words: VecDeque<String>,
}

impl Page {
    fn new(facts: Vec<(&'static str, String)>, done: u64, config: &Config) -> Page {
        // How the gradient goes is for the report.
        let charts = config.loss.charts().into_iter().filter(|chart| chart.lines[0].statistic != GRADIENT_NORM);
        let curves = |chart: &Shown| chart.lines.iter().map(|_| Curve::default()).collect();
        Page {
            facts,
            total: config.steps,
            step: done,
            speed: 0.0,
            left: Duration::ZERO,
            charts: charts.map(|chart| (chart, curves(&chart))).collect(),
            validation: Curve::default(),
            words: VecDeque::new(),
        }
    }

    fn say(&mut self, line: &str) {
        self.words.push_back(line.to_owned());
        if self.words.len() > WORDS {
            self.words.pop_front();
        }
    }

    fn draw(&self, frame: &mut Frame) {
        let facts = self.facts.len() as u16 + 2;
        let [top, gauge, curves, words] = Layout::vertical([
            Constraint::Length(facts),
            Constraint::Length(3),
            Constraint::Min(8),
            Constraint::Length(6),
        ])
        .areas(frame.area());
        let facts = self.facts.iter();
        let facts: Vec<Line> =
            facts.map(|(name, value)| vec![Span::from(format!("{name:<9}")).dim(), value.into()].into()).collect();
        let title = Line::from(" siamese · q stops after this step and saves ");
        frame.render_widget(Paragraph::new(facts).block(Block::bordered().title(title)), top);

        let seconds = self.left.as_secs();
        let label = format!(
            "step {}/{}   {:.0} images/s   {}:{:02} left",
            self.step,
            self.total,
            self.speed,
            seconds / 60,
            seconds % 60
        );
        let done = Gauge::default().block(Block::bordered()).label(label);
        let share = if self.total == 0 { 1.0 } else { self.step as f64 / self.total as f64 };
        frame.render_widget(done.ratio(share.clamp(0.0, 1.0)), gauge);

        let has_validation = !self.validation.points.is_empty();
        let mut colours = COLOURS.into_iter().cycle();
        let mut charts: Vec<(String, Vec<Drawn>)> = Vec::new();
        for (chart, curves) in &self.charts {
            let lines = chart.lines.iter().zip(curves).zip(&mut colours);
            let lines = lines.map(|((line, curve), colour)| (line.label, curve, colour)).collect();
            charts.push((chart.title.to_lowercase(), lines));
        }
        if has_validation {
            charts.push(("MAP@R, validation".to_owned(), vec![("", &self.validation, Color::Blue)]));
        }
        // Two side by side; the last alone where their number is odd.
        let rows: Vec<_> = charts.chunks(2).collect();
        let areas = Layout::vertical(rows.iter().map(|_| Constraint::Fill(1))).split(curves);
        for (row, area) in rows.into_iter().zip(areas.iter()) {
            let areas = Layout::horizontal(row.iter().map(|_| Constraint::Fill(1))).split(*area);
            for ((title, lines), area) in row.iter().zip(areas.iter()) {
                self.chart(frame, *area, title, lines);
            }
        }

        let shown = words.height.saturating_sub(2).into();
        let lines: Vec<Line> =
            self.words.iter().skip(self.words.len().saturating_sub(shown)).map(|line| line.as_str().into()).collect();
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }).block(Block::bordered()), words);
    }

    fn chart(&self, frame: &mut Frame, area: Rect, title: &str, curves: &[Drawn]) {
        let values = || curves.iter().flat_map(|(_, curve, _)| &curve.points).map(|point| point.1);
        let most = values().fold(0.0, f64::max).max(1e-6) * 1.05;
        let last = curves.iter().filter_map(|(_, curve, _)| curve.points.last());
        let last: Vec<String> = last.map(|point| format!("{:.4}", point.1)).collect();
        let lines = curves.iter().map(|(name, curve, colour)| {
            let style = Style::default().fg(*colour);
            let line = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).style(style);
            let line = line.data(&curve.points);
            if name.is_empty() { line } else { line.name(*name) }
        });
        let axis = |bound: f64, labels: [String; 2]| {
            Axis::default().style(Style::default().dim()).bounds([0.0, bound]).labels(labels)
        };
        let total = self.total.max(1);
        let chart = Chart::new(lines.collect())
            .block(Block::bordered().title(format!(" {title} {} ", last.join(" / "))))
            .x_axis(axis(total as f64, ["0".to_owned(), total.to_string()]))
            .y_axis(axis(most, ["0".to_owned(), format!("{most:.2}")]));
        frame.render_widget(chart, area);
    }
}

/// The page on the terminal; gives the terminal back when dropped.
pub struct Dashboard {
    /// Given back by [`restore`]: its own drop panics where the terminal is gone, since it says so on stderr.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stderr>>>,
    page: Page,
    drawn: Instant,
    /// Set by the user who wants to stop.
    stop: &'static AtomicBool,
}

impl Dashboard {
    /// Takes the terminal for a run from step `done` on. `facts`: what is trained, on what.
    pub fn new(
        facts: Vec<(&'static str, String)>,
        done: u64,
        config: &Config,
        stop: &'static AtomicBool,
    ) -> io::Result<Dashboard> {
        // A panic must leave a terminal that shows it.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            hook(panic);
        }));
        enable_raw_mode()?;
        execute!(io::stderr(), EnterAlternateScreen)?;
        let terminal = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(io::stderr()))?);
        let mut dashboard = Dashboard { terminal, page: Page::new(facts, done, config), drawn: Instant::now(), stop };
        dashboard.draw();
        Ok(dashboard)
    }

    /// Shows a step.
    pub fn show(&mut self, report: &StepReport, speed: f64, left: Duration) {
        let (page, stats) = (&mut self.page, &report.stats);
        (page.step, page.speed, page.left) = (report.step, speed, left);
        for (chart, curves) in &mut page.charts {
            for (line, curve) in chart.lines.iter().zip(curves) {
                curve.push(report.step, stats.get(line.statistic));
            }
        }
        if self.drawn.elapsed() > DRAW_EVERY {
            self.draw();
        }
    }

    /// Shows how the validation images did.
    pub fn validation(&mut self, step: u64, map_at_r: f64) {
        self.page.validation.push(step, map_at_r as f32);
        self.draw();
    }

    /// Shows words.
    pub fn say(&mut self, line: &str) {
        self.page.say(line);
        self.draw();
    }

    /// The words shown so far.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.page.words.iter().map(String::as_str)
    }

    fn draw(&mut self) {
        self.drawn = Instant::now();
        if draw(&mut self.terminal, &self.page).is_err() {
            // A terminal that is gone must not end the training.
            return;
        }
        while event::poll(Duration::ZERO).unwrap_or(false) {
            let Ok(Event::Key(key)) = event::read() else { continue };
            let quits = key.code == KeyCode::Char('q')
                || (key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL));
            if quits && !self.stop.swap(true, Ordering::Relaxed) {
                self.page.say("stopping after this step");
            }
        }
    }
}

fn draw<B: Backend>(terminal: &mut Terminal<B>, page: &Page) -> Result<(), B::Error> {
    terminal.draw(|frame| page.draw(frame)).map(drop)
}

fn restore() {
    // Nothing can be done about a terminal that is gone.
    drop(execute!(io::stderr(), LeaveAlternateScreen, Show));
    drop(disable_raw_mode());
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::backend::TestBackend;
    use siamese::config::PRESETS;

    fn text(page: &Page, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        draw(&mut terminal, page).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn page_shows_the_run() {
        let config = Config { steps: 200, ..PRESETS[0].config() };
        let mut page = Page::new(vec![("network", "conv32 relu".to_owned())], 0, &config);
        let empty = text(&page, 100, 40);
        assert!(empty.contains("conv32 relu") && empty.contains("step 0/200"), "{empty}");
        assert!(!empty.contains("validation"), "{empty}");
        for step in 1..=50 {
            page.charts[0].1[0].push(step, 0.25);
        }
        (page.step, page.speed, page.left) = (50, 1234.0, Duration::from_secs(75));
        page.validation.push(50, 0.5);
        page.say("warning: all collapsed");
        let full = text(&page, 100, 40);
        for words in ["50/200", "1234 images/s", "1:15 left", "loss 0.2500", "validation 0.5000", "all collapsed"] {
            assert!(full.contains(words), "{words} in {full}");
        }
        text(&page, 3, 2);
    }

    #[test]
    fn curves_keep_their_mean_and_stay_small() {
        let mut curve = Curve::default();
        for step in 0..100_000 {
            curve.push(step, (step % 2) as f32);
        }
        assert!(curve.points.len() < MOST_POINTS && curve.points.len() > MOST_POINTS / 4, "{}", curve.points.len());
        assert!(curve.points[1..].iter().all(|point| (point.1 - 0.5).abs() < 1e-9));
    }
}
