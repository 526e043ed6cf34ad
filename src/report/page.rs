//! A run as a page of its own, or several on one page to compare: HTML that needs no network and no other file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::run::{Run, thin};

/// The page: it draws what it finds in its data.
const TEMPLATE: &str = include_str!("page.html");
/// Where the data stand in it.
const PLACE: &str = "{{data}}";
/// Where it names its script by its SHA-256, the only one that a browser may then run.
const SCRIPT: &str = "{{script}}";
/// Points of a curve at most.
const POINTS: usize = 1000;

/// The page of one run, or of several beside each other.
pub fn render(runs: &[Run]) -> String {
    let run = |run: &Run| {
        let mut value = serde_json::to_value(run).expect("plain data");
        let steps = thin(&run.log.steps, POINTS);
        value["last"] = json!(run.log.steps.last().map(|step| run.log.json(step)));
        value["steps"] = steps.iter().map(|step| run.log.json(step)).collect();
        value
    };
    let data = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "runs": runs.iter().map(run).collect::<Vec<_>>(),
    });
    // In JSON this character stands in strings only; without it no string ends the script element.
    let data = data.to_string().replace('<', "\\u003c");
    let (before, after) = TEMPLATE.split_once(PLACE).expect("the template has a place for the data");
    let script = after.split_once("<script>").and_then(|(_, rest)| rest.split_once("</script>"));
    let (script, _) = script.expect("the script follows the data");
    let before = before.replacen(SCRIPT, &STANDARD.encode(Sha256::digest(script)), 1);
    [&before, &data, after].concat()
}
