//! What Chromium makes of it: Tint compiles the shaders, which naga alone does elsewhere.

use std::collections::BTreeMap;

use half::f16;
use serde_json::{Value, json};
use siamese::checkpoint::Precision;
use siamese::config::{Config, PRESETS};
use siamese::kernel::{At, Format};
use siamese::{kernels, web};

use crate::browser::{SOFTWARE_WEBGPU, ask, serve, tab};
use crate::{assert_near, expected, images, model};

/// Compiles what `shaders.json` lists; answers what was wrong.
const COMPILE: &str = r#"
const device = await (await navigator.gpu.requestAdapter()).requestDevice();
const faults = [];
const compile = async ({ name, code }) => {
    const module = device.createShaderModule({ code });
    const told = (await module.getCompilationInfo()).messages.filter((message) => message.type === "error");
    faults.push(...told.map((message) => `${name}:${message.lineNum}: ${message.message}`));
};
await Promise.all((await (await fetch("shaders.json")).json()).map(compile));
return faults;
"#;

/// Every shader that needs nothing beyond WebGPU. (What the driver behind makes of some of them, the other tests see:
/// for all of them software takes a minute.)
#[test]
#[ignore = "needs Chromium: apt-get install chromium; run with --ignored"]
fn browsers_take_every_shader() {
    let mut shaders = BTreeMap::new();
    for at in kernels::all().into_iter().flat_map(|entry| entry.cases).filter(|at: &At| at.format() == Format::F32) {
        for shader in at.shaders().into_iter().filter(|shader| shader.needs.is_webgpu()) {
            let told = json!({ "name": shader.name, "code": shader.source });
            shaders.entry(shader.name).or_insert(told);
        }
    }
    assert!(shaders.len() > 100, "{} shaders", shaders.len());
    let list = Value::from_iter(shaders.into_values());
    let address = serve(BTreeMap::from([
        ("index.html".to_owned(), b"<!doctype html><title>shaders</title>".to_vec()),
        ("shaders.json".to_owned(), list.to_string().into_bytes()),
    ]));
    let profile = tempfile::tempdir().unwrap();
    let (_browser, tab) = tab(profile.path(), SOFTWARE_WEBGPU);
    tab.navigate_to(&address).unwrap().wait_until_navigated().unwrap();
    assert_eq!(ask(&tab, COMPILE), json!([]), "what Tint says");
}

/// Embeds what `images.bin` holds, some at a time.
const EMBED: &str = r#"
const { open } = await import(new URL("network.js", location.href));
const network = await open(location.href);
const bytes = new Uint8Array(await (await fetch("images.bin")).arrayBuffer());
const { height, width, channels } = network.description.input;
const pixels = height * width * channels;
const image = (_, row) => bytes.subarray(row * pixels, (row + 1) * pixels);
const images = Array.from({ length: bytes.length / pixels }, image);
return { kind: network.kind, embeddings: [...await network.embed(images)] };
"#;

/// Weights in 16 bits are read as what they were rounded to; and eleven images are one batch and some single ones.
#[test]
#[ignore = "needs Chromium: apt-get install chromium; run with --ignored"]
fn half_the_weights() {
    let config = Config { spec: "conv4 bn relu pool conv8 relu pool dense16 l2".to_owned(), ..PRESETS[0].config() };
    let exact = model(&config, [28, 28, 1]);
    let mut rounded = exact.clone();
    rounded.parameters.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32());
    let images = images(11, 28 * 28);
    let mut files = web::files(&exact, None, web::Options { precision: Precision::F16, training: false }).unwrap();
    files.insert("index.html".to_owned(), b"<!doctype html><title>half</title>".to_vec());
    files.insert("images.bin".to_owned(), images.clone());
    let profile = tempfile::tempdir().unwrap();
    let (_browser, tab) = tab(profile.path(), SOFTWARE_WEBGPU);
    tab.navigate_to(&serve(files)).unwrap().wait_until_navigated().unwrap();
    let answer = ask(&tab, EMBED);
    assert_eq!(answer["kind"], "WebGPU", "{answer}");
    let found: Vec<f32> = serde_json::from_value(answer["embeddings"].clone()).unwrap();
    assert_near("16 bits", &found, &expected(&rounded, &images));
}
