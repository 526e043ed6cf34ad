//! A run as text of at most 80 columns: for who trains over ssh.

use std::io::{self, Write};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

use super::run::{Run, Step, thin};

const COLUMNS: u16 = 80;
const LINES: u16 = 14;

/// Prints the curves of loss and active share, and the key figures, on stdout.
pub fn print(run: &Run) -> io::Result<()> {
    let mut out = io::stdout().lock();
    // Two dots stand beside each other in a character.
    let steps = thin(&run.log.steps, 2 * usize::from(COLUMNS));
    let curve = |of: fn(&Step) -> f64| -> Vec<(f64, f64)> { steps.iter().map(|step| (step.step, of(step))).collect() };
    let loss = curve(|step| step.loss);
    let highest = loss.iter().map(|point| point.1).fold(0.0, f64::max);
    writeln!(out, "{}\n", run.name)?;
    if steps.is_empty() {
        return writeln!(out, "no step is done");
    }
    writeln!(out, "loss\n{}\n", chart(&loss, if highest > 0.0 { highest } else { 1.0 }))?;
    writeln!(out, "active triplets\n{}\n", chart(&curve(|step| step.active), 1.0))?;
    for figure in &run.key_figures {
        let line = format!("{:<18} {:>9}  {}", figure.name, figure.text, figure.words);
        writeln!(out, "{}", folded(line.trim_end()))?;
    }
    Ok(())
}

/// A line in lines of at most [`COLUMNS`] characters, broken between words; all but the first are indented.
fn folded(line: &str) -> String {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.last_mut().expect("a line");
        if last.chars().count() + word.chars().count() < usize::from(COLUMNS) {
            last.push_str(if last.is_empty() { "" } else { " " });
            last.push_str(word);
        } else {
            lines.push(format!("{:30}{word}", ""));
        }
    }
    lines.join("\n")
}

/// Points as a line of dots, from zero to `highest`.
fn chart(points: &[(f64, f64)], highest: f64) -> String {
    let last = points.last().map_or(1.0, |point| point.0);
    let area = Rect::new(0, 0, COLUMNS, LINES);
    let mut buffer = Buffer::empty(area);
    let line = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).data(points);
    let labels = |bounds: [String; 2]| bounds.map(ratatui::text::Line::from).to_vec();
    let across = Axis::default().bounds([0.0, last]).labels(labels(["0".to_owned(), format!("{last} steps")]));
    let up = Axis::default().bounds([0.0, highest]).labels(labels(["0".to_owned(), format!("{highest:.3}")]));
    Chart::new(vec![line]).x_axis(across).y_axis(up).render(area, &mut buffer);
    let rows = buffer.content.chunks(usize::from(COLUMNS));
    let text = |row: &[ratatui::buffer::Cell]| row.iter().map(|cell| cell.symbol()).collect::<String>();
    rows.map(|row| text(row).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
