//! A run as text of at most 80 columns: for who trains over ssh.

use std::io::{self, Write};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};
use siamese::losses::LOSS;

use super::run::{Run, thin};

const COLUMNS: u16 = 80;
const LINES: u16 = 14;

/// Prints the curves of the loss and of what is a share, and the key figures, on stdout.
pub fn print(run: &Run) -> io::Result<()> {
    let mut out = io::stdout().lock();
    // Two dots stand beside each other in a character.
    let steps = thin(&run.log.steps, 2 * usize::from(COLUMNS));
    writeln!(out, "{}\n", run.name)?;
    if steps.is_empty() {
        return writeln!(out, "no step is done");
    }
    for shown in run.charts.iter().filter(|shown| shown.share || shown.lines[0].statistic == LOSS) {
        let curve = run.log.curve(&steps, shown.lines[0].statistic);
        let highest = curve.iter().map(|point| point.1).fold(0.0, f64::max);
        let highest = if shown.share || highest <= 0.0 { 1.0 } else { highest };
        writeln!(out, "{}\n{}\n", shown.title.to_lowercase(), chart(&curve, highest))?;
    }
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
