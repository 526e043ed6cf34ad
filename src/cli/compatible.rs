//! An older model beside another: `siamese train --compatible-with` and `siamese eval --against`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use siamese::checkpoint::Checkpoint;
use siamese::config::{Compatible, Config};
use siamese::data::{Dataset, Parts};
use siamese::embed::{PAIR_SEED, PAIRS};
use siamese::eval::{Across, Embedded, across, measurable, verification_pairs};
use siamese::net::Net;
use siamese::{Error, Result};

use super::engine::Engine;
use super::images::Embed;
use super::{DataArg, Failure, Outcome, model_file};

/// The weights of a run, checkpoint or model.
pub fn open(path: &Path) -> Result<Checkpoint> {
    Ok(Checkpoint::load(&model_file(path))?.export())
}

/// What a run keeps of such a model.
pub fn noted(path: &Path, model: &Checkpoint) -> Result<Compatible> {
    let path = std::path::absolute(path).map_err(Error::io("find", path))?;
    Ok(Compatible { path: Some(path), model: model.fingerprint() })
}

/// The model that was noted.
pub fn again(noted: &Compatible) -> Result<Checkpoint> {
    let fault = |reason| Error::config("--resume", reason);
    let path = noted.path.as_deref().ok_or_else(|| {
        fault(format!("the run is to be compatible with the model {}, and does not say where that lies", noted.model))
    })?;
    let model = open(path)?;
    let found = model.fingerprint();
    if found != noted.model {
        let reason = format!(
            "the run is to be compatible with the model {}, and {} is another by now, {found}",
            noted.model,
            path.display()
        );
        return Err(fault(reason));
    }
    Ok(model)
}

/// Says whether embeddings of two models can be compared at all.
pub fn check(option: &str, old: &Checkpoint, net: &Net) -> Result<()> {
    let own = old.net()?;
    let (spec, old_spec) = (&net.spec, &own.spec);
    let reason = if own.dims() != net.dims() {
        format!("its embeddings have {} values, those of the network `{spec}` {}", own.dims(), net.dims())
    } else if own.normalises() != net.normalises() {
        format!("of the networks `{old_spec}` and `{spec}` one makes embeddings of length 1, by `l2`, and one does not")
    } else {
        return Ok(());
    };
    Err(Error::config(option, reason))
}

/// The very images of `parts`, which are those of `model`, as `old` takes them.
pub fn prepared(option: &str, data: &DataArg, model: &Checkpoint, old: &Checkpoint, parts: &Parts) -> Result<Parts> {
    if (old.input, old.config.pictures) == (model.input, model.config.pictures) {
        return Ok(parts.clone());
    }
    let config = Config { pictures: old.config.pictures, ..model.config.clone() };
    // The set is known to be the model's; only the pictures become others.
    let found = data.load_parts(&Checkpoint { input: old.input, config, ..model.clone() }, true)?;
    let labels = |parts: &Parts| [parts.train.labels.clone(), parts.evaluation.test.labels.clone()];
    if labels(&found) != labels(parts) {
        let reason = "it takes images otherwise prepared, and the set divides otherwise then; give both --input and \
                      --invert alike";
        return Err(Error::config(option, reason));
    }
    Ok(found)
}

/// The embeddings of a data set.
pub fn embed(engine: &Engine, model: &Checkpoint, data: &Dataset) -> Result<Vec<f32>, Failure> {
    let embeddings = engine.run(Embed { model, images: &data.images })?;
    measurable(&embeddings, model.net()?.dims(), &data.name)?;
    Ok(embeddings)
}

/// Judges two models on the same test images, each by itself and probes of the one in a gallery of the other; prints
/// the figures, as a line of JSON if that is wanted.
pub fn judge(engine: &Engine, [new, old]: [(&Checkpoint, &Dataset); 2], as_json: bool) -> Outcome {
    let labels = &new.1.labels;
    let dims = new.0.net()?.dims();
    let values = [new, old].map(|(model, data)| embed(engine, model, data));
    let [new, old] = values;
    let [new, old] = [new?, old?];
    let embedded = |values| Embedded { values, dims, labels };
    let spaces = [("new", embedded(&new)), ("old", embedded(&old))];
    let pairs = verification_pairs(labels, PAIRS, PAIR_SEED).ok();
    let mut rows = Vec::new();
    for (probes, probe) in spaces {
        rows.extend(spaces.map(|(gallery, other)| (probes, gallery, across(probe, other, pairs.as_ref()))));
    }
    let mut out = std::io::stdout().lock();
    if as_json {
        let row = |&(probes, gallery, figures): &(&str, &str, Across)| {
            let Across { recall_at_1, tar_at_far_1e3 } = figures;
            json!({
                "probes": probes,
                "gallery": gallery,
                "recall_at_1": recall_at_1,
                "tar_at_far_1e3": tar_at_far_1e3,
            })
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        writeln!(out, "{}", json!({ "event": "against", "images": labels.len(), "models": rows }))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{:<8} {:<8} {:>12} {:>16}", "probes", "gallery", "recall at 1", "TAR at FAR 1e-3")?;
    let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.2} %", 100.0 * share));
    for (probes, gallery, Across { recall_at_1, tar_at_far_1e3 }) in rows {
        let [recall, tar] = [recall_at_1, tar_at_far_1e3].map(percent);
        writeln!(out, "{probes:<8} {gallery:<8} {recall:>12} {tar:>16}")?;
    }
    Ok(ExitCode::SUCCESS)
}
