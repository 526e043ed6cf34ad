//! `siamese compare`

use std::io::Write;

use clap::Args;
use serde_json::json;
use siamese::text::plain;

use super::engine::Engine;
use super::images::{self, ImagesArgs, Tally};
use super::{AdapterArg, ModelArg, Outcome};

/// Prints the distances between images, in the loss's distance: a table with tabs between, one row and one column an
/// image.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese compare runs/faces anna-1.jpg anna-2.jpg ben.jpg
  siamese compare runs/cnn --set test --take first")]
pub struct Compare {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    images: ImagesArgs,
    /// Print JSON lines, one a pair
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adapter: AdapterArg,
}

impl Compare {
    pub fn run(self) -> Outcome {
        self.images.check(None)?;
        let model = self.model.load()?.export();
        let mut tally = Tally::new(self.json);
        let images = self.images.load(&model, &mut tally)?;
        let engine = Engine::open(&self.adapter.adapter)?;
        let embeddings = images::embed(&engine, &model, &images)?;
        let rows: Vec<&[f32]> = embeddings.chunks_exact(embeddings.len() / images.names.len()).collect();
        let distance = |a: usize, b: usize| model.config.loss.distance().between(rows[a], rows[b]);
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        if self.json {
            for (a, first) in images.names.iter().enumerate() {
                for (b, second) in images.names.iter().enumerate().skip(a + 1) {
                    let event = json!({ "event": "distance", "a": first, "b": second, "distance": distance(a, b) });
                    writeln!(out, "{event}")?;
                }
            }
        } else {
            let names: Vec<_> = images.names.iter().map(|name| plain(name)).collect();
            writeln!(out, "\t{}", names.join("\t"))?;
            for (a, name) in names.iter().enumerate() {
                let row: Vec<String> = (0..rows.len()).map(|b| format!("{:.4}", distance(a, b))).collect();
                writeln!(out, "{name}\t{}", row.join("\t"))?;
            }
        }
        out.flush()?;
        Ok(tally.exit())
    }
}
