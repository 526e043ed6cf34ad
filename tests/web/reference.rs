//! The plain JavaScript that takes the place of WebGPU.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use siamese::config::Config;

use crate::browser::{ask, serve, tab};
use crate::replay::networks;
use crate::{Folder, assert_near, expected, images, model};

/// Nine images, of which eight are embedded together: by each of the two plans.
const ROWS: usize = 9;

/// It knows all kernels that a plan of an embedding has, and no others, and computes what the CPU runner does.
#[test]
#[ignore = "needs Chromium: apt-get install chromium; run with --ignored"]
fn javascript_computes_every_network() {
    let flipped = networks()
        .into_iter()
        .next()
        .map(|(name, config, input)| (format!("{name} with --flip"), Config { flip: true, ..config }, input));
    let networks: Vec<_> = networks().into_iter().chain(flipped).collect();
    let mut files = BTreeMap::from([("index.html".to_owned(), b"<!doctype html><title>networks</title>".to_vec())]);
    let mut used = BTreeSet::new();
    for (place, (_, config, input)) in networks.iter().enumerate() {
        let folder = Folder::of(&model(config, *input), false);
        for call in folder.page["plans"].as_array().unwrap().iter().flat_map(|plan| plan["calls"].as_array().unwrap()) {
            used.insert(call["kernel"].as_str().unwrap().to_owned());
        }
        files.extend(folder.files.into_iter().map(|(name, bytes)| (format!("{place}/{name}"), bytes)));
        files.insert(format!("{place}/images"), images(ROWS, input.iter().product()));
    }
    let address = serve(files);
    let profile = tempfile::tempdir().unwrap();
    let (_browser, tab) = tab(profile.path(), &[]);
    tab.navigate_to(&address).unwrap().wait_until_navigated().unwrap();
    let known = ask(&tab, "return Object.keys((await import('./0/reference.js')).KERNELS)");
    let known: BTreeSet<String> = serde_json::from_value(known).unwrap();
    assert_eq!(known, used, "the kernels of plans that embed");
    for (place, (name, config, input)) in networks.iter().enumerate() {
        let script = format!(
            "const base = new URL('{place}/', document.baseURI), network = await (await import('./0/network.js'))
                .open(base, {{ javascript: true }});
            const bytes = new Uint8Array(await (await fetch(new URL('images', base))).arrayBuffer());
            const pixels = bytes.length / {ROWS};
            const images = Array.from({{ length: {ROWS} }}, (_, k) => bytes.subarray(k * pixels, (k + 1) * pixels));
            return [...await network.embed(images)]"
        );
        let found = ask(&tab, &script);
        let values: Option<Vec<f32>> = serde_json::from_value(found.clone()).ok();
        let values = values.unwrap_or_else(|| panic!("{name}: {}", short(&found)));
        assert_near(name, &values, &expected(&model(config, *input), &images(ROWS, input.iter().product())));
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(400).collect()
}
