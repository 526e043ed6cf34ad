//! The program as the tests run it, and the small data set that they train on.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The program with arguments.
pub fn siamese(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siamese"));
    command.args(arguments);
    command
}

/// Runs it.
pub fn run(arguments: &[&str]) -> Output {
    siamese(arguments).output().expect("the program starts")
}

/// What it printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Runs a command that must succeed; answers its stdout.
pub fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs a command that must fail with exit code 2; answers its stderr.
pub fn fail(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    let words = text(&output.stderr);
    assert!(!words.contains("panicked"), "{words}");
    words
}

/// The events that it printed.
pub fn events(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// A small set of 8×8 images in four classes: a bright quadrant each, on noise.
pub fn small_set(folder: &Path) {
    let write = |name: &str, count: u32, offset: u32| {
        let mut images = [[0, 0, 8, 3].as_slice(), &count.to_be_bytes(), &[0, 0, 0, 8], &[0, 0, 0, 8]].concat();
        let mut labels = [[0, 0, 8, 1].as_slice(), &count.to_be_bytes()].concat();
        for image in 0..count {
            let label = (image * 7 + offset) % 4;
            for pixel in 0..64 {
                let noise = (image * 4_241 + pixel * 40_503 + offset).wrapping_mul(2_654_435_761) >> 26;
                let bright = label == pixel / 32 * 2 + pixel % 8 / 4;
                images.push(noise as u8 + if bright { 150 } else { 0 });
            }
            labels.push(label as u8);
        }
        fs::write(folder.join(format!("{name}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
    };
    write("train", 300, 0);
    write("t10k", 120, 5);
}

/// A folder that holds a small data set in `data`, and its path as text.
pub fn place() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    small_set(&data);
    let [root, data] = [folder.path(), &data].map(|path| path.to_str().unwrap().to_owned());
    (folder, root, data)
}

/// A network that fits the small set.
pub const SPEC: &str = "conv4 relu pool dense8 l2";
