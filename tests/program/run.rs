//! What a run keeps: through kills, closed pipes and full devices, and what its folder then means.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use siamese::checkpoint::Checkpoint;

use crate::program::*;

/// A training on the processor that takes a second or so.
fn training<'a>(data: &'a str, out: &'a str) -> Vec<&'a str> {
    let fixed = ["--spec", SPEC, "--batch", "4x9", "--adapter", "cpu", "--steps", "1500", "--validation", "40"];
    [&["train", "--data", data, "--out", out][..], &fixed, &["--validate-every", "150", "--save-every", "40"]].concat()
}

fn last(out: &str) -> Vec<u8> {
    fs::read(Path::new(out).join("checkpoint.safetensors")).unwrap()
}

/// The numbers of the events of this kind.
fn steps(out: &str, kind: &str) -> Vec<u64> {
    let text = fs::read_to_string(Path::new(out).join("metrics.jsonl")).unwrap();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("no line is torn"));
    events.filter(|event| event["event"] == kind).map(|event| event["step"].as_u64().unwrap()).collect()
}

/// A device trains by matrices where it has any, and says where not; a run that goes on does so without being told.
#[test]
fn a_training_by_matrices_goes_on_as_it_began() {
    let (_folder, root, data) = place();
    let out = format!("{root}/run");
    let spec = ["--spec", SPEC, "--batch", "4x9", "--precision", "f16-matrix"];
    let common = ["train", "--data", &data, "--out", &out, "--adapter", "vulkan", "--tune", "off"];
    let begun = run(&[&common[..], &spec, &["--steps", "3"]].concat());
    let resumed = run(&[&common[..], &["--resume", "--steps", "6"]].concat());
    let manifest: Value = serde_json::from_slice(&fs::read(Path::new(&out).join("run.json")).unwrap()).unwrap();
    let adapter = text(&run(&["adapters", "--json"]).stdout);
    let has_matrices = !adapter.contains("\"matrices\":[]");
    for output in [begun, resumed] {
        let words = text(&output.stderr);
        assert!(output.status.success(), "{words}");
        assert_eq!(words.contains("no cooperative matrices"), !has_matrices, "{words}");
    }
    assert_eq!(manifest.to_string().contains(".matrix8"), has_matrices, "{manifest}");
    assert!(manifest.to_string().contains("f16-matrix"), "{manifest}");
}

#[test]
fn a_killed_run_goes_on_to_the_byte_with_its_report() {
    let (_folder, root, data) = place();
    let [whole, killed] = ["whole", "killed"].map(|name| format!("{root}/{name}"));
    succeed(&training(&data, &whole));
    // Where its images lie is no part of a run, and may change with each start.
    let host = ["--data-on", "host", "--workers", "2"];
    let mut arguments = [&training(&data, &killed)[..], &host].concat();
    for (saved, lie) in [(1, &host[..0]), (300, &host), (700, &host)] {
        let mut child = siamese(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        let file = Path::new(&killed).join("checkpoint.safetensors");
        while Checkpoint::load(&file).map_or(0, |checkpoint| checkpoint.step) < saved {
            assert!(begin.elapsed() < Duration::from_secs(60), "nothing was saved");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What a kill in the midst of a write leaves.
        let mut metrics = File::options().append(true).open(Path::new(&killed).join("metrics.jsonl")).unwrap();
        std::io::Write::write_all(&mut metrics, b"{\"event\":\"step\",\"st").unwrap();
        let resume = ["train", "--data", &data, "--out", &killed, "--adapter", "cpu", "--resume", "--save-every", "40"];
        arguments = [&resume[..], lie].concat();
    }
    succeed(&arguments);
    assert!(last(&whole) == last(&killed), "the last checkpoints are the same file");
    assert!(Path::new(&killed).join("report.html").exists());
    let done: Vec<u64> = (1..=1500).collect();
    assert!(steps(&killed, "step") == done && steps(&whole, "step") == done, "every step is told once");
    assert_eq!(steps(&killed, "validation"), steps(&whole, "validation"));
    let previous = Path::new(&killed).join("checkpoint.previous.safetensors");
    assert!(Checkpoint::load(&previous).unwrap().step < 1500);

    // A checkpoint that a dying disk tore: the one before is gone on with.
    fs::write(Path::new(&killed).join("checkpoint.safetensors"), &last(&whole)[..1000]).unwrap();
    let output = siamese(&arguments).output().unwrap();
    assert!(output.status.success() && text(&output.stderr).contains("cannot be read"), "{}", text(&output.stderr));
    assert!(last(&whole) == last(&killed));
    assert!(Checkpoint::load(&previous).unwrap().step < 1500, "the torn one is not kept");
}

#[test]
fn who_stops_reading_does_not_stop_a_run() {
    let (_folder, root, data) = place();
    let [whole, json, full] = ["whole", "json", "full"].map(|name| format!("{root}/{name}"));
    succeed(&training(&data, &whole));

    let mut child = siamese(&[&training(&data, &json)[..], &["--json"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    BufReader::new(stdout).lines().take(3).for_each(|line| assert!(line.is_ok()));
    BufReader::new(stderr).lines().take(1).for_each(|line| assert!(line.is_ok()));
    assert!(child.wait().unwrap().success());
    assert!(last(&json) == last(&whole) && Path::new(&json).join("report.html").exists());

    if Path::new("/dev/full").exists() {
        let device = || File::options().write(true).open("/dev/full").unwrap();
        let status = siamese(&training(&data, &full)).stdout(device()).stderr(device()).status().unwrap();
        assert!(status.success(), "{status}");
        assert!(last(&full) == last(&whole) && Path::new(&full).join("report.html").exists());
    }
}

/// One truth: what the run reports is what its folder means, and no best of other steps or another run is taken for it.
#[test]
fn a_run_folder_means_the_weights_that_it_reports() {
    let (_folder, root, data) = place();
    let out = format!("{root}/run");
    let [best, last] = ["best.safetensors", "checkpoint.safetensors"].map(|name| Path::new(&out).join(name));
    fs::create_dir(&out).unwrap();
    fs::write(&best, "of another run").unwrap();
    let mut arguments = training(&data, &out);
    arguments.extend(["--patience", "2"]);
    let reported = |output: std::process::Output| {
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    };
    let table = reported(siamese(&arguments).output().unwrap());
    let known = Checkpoint::load(&best).unwrap();
    assert!(known.validation.is_some() && known.step < Checkpoint::load(&last).unwrap().step);
    assert_eq!(succeed(&["eval", &out, "--data", &data, "--adapter", "cpu"]), table);
    let exported = format!("{root}/model.safetensors");
    succeed(&["export", &out, "--out", &exported]);
    assert_eq!(Checkpoint::load(exported.as_ref()).unwrap().fingerprint(), known.fingerprint());

    // It ended early: resumed it stays ended.
    let ended = Checkpoint::load(&last).unwrap();
    assert!(ended.step < 1500, "patience was not over: {}", ended.step);
    let resume = ["train", "--data", &data, "--out", &out, "--adapter", "cpu", "--resume"];
    assert_eq!(reported(siamese(&resume).output().unwrap()), table);
    assert_eq!(Checkpoint::load(&last).unwrap(), ended);

    // A best from steps that a crash lost is not of this run.
    Checkpoint { step: 9999, ..known }.save(&best, siamese::checkpoint::Precision::F32).unwrap();
    reported(siamese(&[&resume[..], &["--steps", "1500"]].concat()).output().unwrap());
    assert!(!best.exists() || Checkpoint::load(&best).unwrap().step <= 1500);
}

/// Without `--data` a model means the set that it was trained on, never MNIST because that fits too.
#[test]
fn a_run_knows_its_data() {
    let (folder, root, data) = place();
    let out = format!("{root}/run");
    let arguments = ["train", "--data", &data, "--out", &out, "--spec", SPEC, "--batch", "4x6", "--adapter", "cpu"];
    succeed(&[&arguments[..], &["--steps", "3"]].concat());
    let figures = succeed(&["eval", &out, "--adapter", "cpu", "--data", &data]);
    assert_eq!(succeed(&["eval", &out, "--adapter", "cpu"]), figures);
    succeed(&["train", "--out", &out, "--resume", "--steps", "5", "--adapter", "cpu"]);
    let manifest: Value = serde_json::from_slice(&fs::read(format!("{out}/run.json")).unwrap()).unwrap();
    assert_eq!(manifest["origin"]["path"].as_str(), Some(data.as_str()));

    // As many images of the same size, one of them another.
    let other = format!("{root}/other");
    fs::create_dir(&other).unwrap();
    for file in fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()) {
        let mut bytes = fs::read(&file).unwrap();
        if file.to_string_lossy().contains("train-images") {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        fs::write(Path::new(&other).join(file.file_name().unwrap()), bytes).unwrap();
    }
    let resume = ["train", "--out", &out, "--resume", "--steps", "6", "--adapter", "cpu", "--data", &other];
    let eval = ["eval", &out, "--adapter", "cpu", "--data", &other];
    for command in [&eval[..], &resume[..]] {
        let words = fail(command);
        assert!(words.contains("--other-data") && words.contains("`other` for `data`"), "{words}");
        succeed(&[command, &["--other-data"]].concat());
    }
    // A model that is given away does not say where its images lay.
    let exported = format!("{root}/model.safetensors");
    succeed(&["export", &out, "--out", &exported]);
    assert!(!String::from_utf8_lossy(&fs::read(&exported).unwrap()).contains(folder.path().to_str().unwrap()));
}

/// It says which array left the finite ones first, and the command that it names goes on from before that.
#[test]
fn a_run_that_diverges_says_where_and_goes_on_at_a_lower_rate() {
    let (_folder, root, data) = place();
    let out = format!("{root}/run");
    let train = ["train", "--data", &data, "--out", &out, "--spec", SPEC, "--batch", "4x6", "--adapter", "cpu"];
    let words = fail(&[&train[..], &["--learning-rate", "1e30", "--steps", "9"]].concat());
    assert!(words.contains("step 2 are not finite") && words.contains("`dense1`, which `dense` made"), "{words}");
    let command = words.split('`').find(|words| words.starts_with("siamese train")).expect("a command");
    assert!(command.contains("--learning-rate 1e29") && words.contains("from step 0"), "{words}");
    let resume: Vec<&str> = command.split(' ').skip(1).map(|word| if word == "1e29" { "1e-3" } else { word }).collect();
    succeed(&resume);
    let last = Checkpoint::load(&Path::new(&out).join("checkpoint.safetensors")).unwrap();
    assert_eq!((last.step, last.config.learning_rate), (9, 1e-3));
    assert_eq!(steps(&out, "step"), (1..=9).collect::<Vec<_>>());
    let wrong = fail(&["train", "--out", &out, "--resume", "--learning-rate=-1"]);
    assert!(wrong.contains("--learning-rate"), "{wrong}");
}

/// A folder whose name is no text.
#[cfg(unix)]
#[test]
fn a_run_lies_under_any_name() {
    use std::os::unix::ffi::OsStrExt;
    let (folder, _root, data) = place();
    let out = folder.path().join(std::ffi::OsStr::from_bytes(b"r\xff"));
    let train = |more: &[&str]| {
        let output = siamese(&["train", "--adapter", "cpu"]).args(more).arg("--out").arg(&out).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    train(&["--data", &data, "--spec", SPEC, "--batch", "4x6", "--steps", "3", "--json"]);
    train(&["--resume", "--steps", "5"]);
    assert!(siamese(&["eval", "--adapter", "cpu"]).arg(&out).status().unwrap().success());
    assert!(siamese(&["report"]).arg(&out).status().unwrap().success());
    assert_eq!(Checkpoint::load(&out.join("checkpoint.safetensors")).unwrap().step, 5);
}

/// A step that is cut into shares is said to be, and a run of such goes on as one.
#[test]
fn shares_belong_to_a_run() {
    let (_folder, root, data) = place();
    let out = format!("{root}/run");
    let spec = ["--spec", "conv4 bn relu pool dense8 l2", "--batch", "4x8", "--adapter", "cpu"];
    let training = [&["train", "--data", &data, "--out", &out, "--steps", "20"][..], &spec].concat();
    let refused = fail(&[&training[..], &["--shares", "5"]].concat());
    assert!(refused.contains("--shares: the 32 images of a batch cannot be cut into 5 equal shares"), "{refused}");
    let output = run(&[&training[..], &["--shares", "4"]].concat());
    let words = text(&output.stderr);
    assert!(output.status.success() && words.contains("shares   4 of 8 images of a step\n"), "{words}");
    succeed(&["train", "--data", &data, "--out", &out, "--steps", "30", "--adapter", "cpu", "--resume"]);
    let end = Checkpoint::load(&Path::new(&out).join("checkpoint.safetensors")).unwrap();
    assert_eq!((end.step, end.config.shares), (30, 4));
}
