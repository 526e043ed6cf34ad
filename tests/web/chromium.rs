//! What Chromium makes of it: Tint compiles the shaders, which naga alone does elsewhere.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use siamese::kernel::{At, Format, Needs};
use siamese::kernels;

use crate::browser::{SOFTWARE_WEBGPU, ask, serve, tab};

/// Compiles what `shaders.json` lists; answers what was wrong.
const COMPILE: &str = r#"
const device = await (await navigator.gpu.requestAdapter()).requestDevice();
const faults = [];
const compile = async ({ name, code, constants }) => {
    const module = device.createShaderModule({ code });
    const told = (await module.getCompilationInfo()).messages.filter((message) => message.type === "error");
    faults.push(...told.map((message) => `${name}:${message.lineNum}: ${message.message}`));
    if (told.length === 0) {
        const compute = { module, entryPoint: "main", constants };
        await device.createComputePipelineAsync({ layout: "auto", compute })
            .catch((error) => faults.push(`${name}: ${error.message}`));
    }
};
await Promise.all((await (await fetch("shaders.json")).json()).map(compile));
return faults;
"#;

/// Every shader that needs nothing beyond WebGPU, at a shape that it is made for.
#[test]
#[ignore = "needs Chromium: apt-get install chromium; run with --ignored"]
fn browsers_take_every_shader() {
    let mut shaders = BTreeMap::new();
    for at in kernels::all().into_iter().flat_map(|entry| entry.cases).filter(|at: &At| at.format() == Format::F32) {
        for shader in at.shaders().into_iter().filter(|shader| shader.fits && shader.needs != Needs::EightLaneCpu) {
            let constants: BTreeMap<_, _> = at.constants().iter().copied().collect();
            let told = json!({ "name": shader.name, "code": shader.source, "constants": constants });
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
