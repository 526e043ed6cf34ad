//! `siamese eval --pairs`: the protocol of Labeled Faces in the Wild.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use siamese::Error;
use siamese::checkpoint::Checkpoint;
use siamese::data::lfw::Pairs;
use siamese::data::pictures;
use siamese::eval::{Embedded, Lfw, lfw, pair_distances};
use siamese::text::plain;

use super::Outcome;
use super::engine::Engine;
use super::images::{Embed, comparable};

/// Verifies the pairs of a list by the embeddings of a model; prints the figures, as a line of JSON if that is wanted.
pub fn verify(engine: &Engine, model: &Checkpoint, list: &Path, folder: &Path, as_json: bool) -> Outcome {
    let pairs = Pairs::read(list)?;
    let found = pairs.find(folder);
    if let Some(first) = found.missing.first() {
        let first = first.display().to_string();
        let (left_out, all) = (found.left_out, pairs.pairs.len());
        if found.pairs.is_empty() {
            let expected = "--data with the folder that has a folder of pictures for each name";
            return Err(Error::data(Path::new(&first), "nothing there", expected).into());
        }
        say!(
            "{left_out} of {all} pairs left out: {} pictures are not there, such as {}",
            found.missing.len(),
            plain(&first)
        );
    }
    let net = model.net()?;
    if !net.normalises() {
        say!("warning: embeddings are not of length 1, and the thresholds of this protocol end at a distance of 4");
    }
    let files = found.pictures.iter().cloned().map(Into::into).collect();
    let images = pictures::images(files, model.input, model.config.pictures);
    let values = engine.run(Embed { model, images: &images })?;
    let rows = values.chunks_exact(net.dims()).zip(&found.pictures);
    rows.into_iter().try_for_each(|(row, path)| comparable(row, &path.display().to_string()))?;
    let labels = vec![0; found.pictures.len()];
    let distances = pair_distances(Embedded { values: &values, dims: net.dims(), labels: &labels }, &found.pairs);
    let judged = lfw(&distances, &found.same, pairs.folds).ok_or_else(|| {
        let reason = format!("a fold of the {} has no pair of one person, or none of two", pairs.folds);
        Error::data(list, reason, "both kinds in each of the folds, which follow each other in the list")
    })?;
    if as_json {
        let mut event = json!({ "event": "lfw", "left_out": found.left_out });
        if let (Value::Object(event), Value::Object(figures)) = (&mut event, json!(judged)) {
            event.extend(figures);
        }
        writeln!(std::io::stdout(), "{event}")?;
    } else {
        table(&judged)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The figures as a table on stdout.
fn table(judged: &Lfw) -> std::io::Result<()> {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let Lfw { accuracy, accuracy_error, accuracy_deviation, val, val_deviation, far, auc, eer, .. } = *judged;
    let Lfw { same, different, folds, .. } = *judged;
    let words = format!(
        "standard error {}, deviation {} over {folds} folds; {same} pairs of one, {different} of two",
        percent(accuracy_error),
        percent(accuracy_deviation)
    );
    let val_words = format!("deviation {} over the folds; the FAR there is {far:.5}", percent(val_deviation));
    let rows = [
        ("accuracy", percent(accuracy), words),
        ("VAL at FAR 1e-3", percent(val), val_words),
        ("AUC", format!("{auc:.5}"), String::new()),
        ("EER", eer.map_or("-".to_owned(), percent), String::new()),
    ];
    let mut out = std::io::stdout().lock();
    rows.iter()
        .try_for_each(|(name, text, words)| writeln!(out, "{}", format!("{name:<18} {text:>9}  {words}").trim_end()))
}
