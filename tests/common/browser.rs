//! A headless Chromium, and a server of static files for it.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headless_chrome::protocol::cdp::types::Method;
use headless_chrome::protocol::cdp::{Emulation, Page};
use headless_chrome::{Browser, LaunchOptions, Tab};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Flags with which Chromium has WebGPU without a graphics card.
pub const SOFTWARE_WEBGPU: &[&str] = &["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/// A tab of a new headless Chromium, 1280 pixels wide, that collects script errors in `faults`.
pub fn tab(profile: &Path, flags: &[&'static str]) -> (Browser, Arc<Tab>) {
    let common = ["--disable-quic", "--disable-component-update", "--disable-background-networking"];
    let options = LaunchOptions {
        sandbox: false,
        user_data_dir: Some(profile.to_owned()),
        args: common.iter().chain(flags).map(OsStr::new).collect(),
        idle_browser_timeout: Duration::from_secs(120),
        ..LaunchOptions::default()
    };
    let browser = Browser::new(options).expect("Chromium starts");
    let tab = browser.new_tab().unwrap();
    tab.set_default_timeout(Duration::from_secs(120));
    let source = "window.faults = []; addEventListener('error', (event) => faults.push(event.message)); \
                  addEventListener('unhandledrejection', (event) => faults.push(String(event.reason)));";
    call::<Page::AddScriptToEvaluateOnNewDocument>(&tab, json!({ "source": source }));
    resize(&tab, 1280, 900);
    (browser, tab)
}

/// A call of the DevTools protocol.
pub fn call<C: Method + Serialize + DeserializeOwned + Debug>(tab: &Tab, parameters: Value) {
    let method: C = serde_json::from_value(parameters).expect("parameters of the protocol");
    tab.call_method(method).unwrap();
}

pub fn resize(tab: &Tab, width: u32, height: u32) {
    let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    call::<Emulation::SetDeviceMetricsOverride>(tab, size);
}

/// What a script answers, as JSON.
pub fn ask(tab: &Tab, script: &str) -> Value {
    let script = format!(
        "(async () => JSON.stringify(await (async () => {{ {script} }})() ?? null))().catch((error) => \
         JSON.stringify({{ error: String(error.stack) }}))"
    );
    let answer = tab.evaluate(&script, true).unwrap().value.expect("a value");
    serde_json::from_str(answer.as_str().expect("text")).unwrap()
}

/// Serves files below a path until the program ends, as any static server does; answers the address of that path.
pub fn serve(files: BTreeMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let files = Arc::new(files);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let files = Arc::clone(&files);
            // The browser may close a connection that it opened in advance.
            std::thread::spawn(move || answer(&stream, &files).ok());
        }
    });
    format!("http://{address}/below/")
}

fn answer(mut stream: &TcpStream, files: &BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default();
    let name = path.strip_prefix("/below/").map(|name| if name.is_empty() { "index.html" } else { name });
    let kind = match name.and_then(|name| name.rsplit('.').next()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    let (status, body) = match name.and_then(|name| files.get(name)) {
        Some(body) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", &[][..]),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}
