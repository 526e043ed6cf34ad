//! Run folders and what the program keeps for itself: the page of a run, its settings, the choice of shaders; and the
//! files that embeddings are written to.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use clap::{Arg, ArgAction, Command};
use libtest_mimic::Trial;
use serde_json::Value;
use siamese::config::PRESETS;
use siamese::data::Dataset;
use siamese::data::store::Images;
use siamese::error::{Error, Result};
use siamese::gpu::{Choices, Device};
use siamese::net::Net;
use siamese::plan::Plan;
use siamese::session::{METRICS, up_to};
use siamese::siamese::{Source, inference_plan, slots};
use siamese::vectors::{Destination, Precision, Vectors};

use crate::common;
use crate::harness::{FILE, Target, file};
use crate::mutate::{self, Dice};
use crate::program::{SPEC, place, succeed};

/// Words on stderr, which the tests do not need to hear.
macro_rules! say {
    ($($words:tt)*) => { drop(format!($($words)*)) };
}

/// The program's own readers of run folders and of settings, and its page.
#[path = "../../src/report/page.rs"]
mod page;
#[allow(dead_code, reason = "the program uses more of it")]
#[path = "../../src/report/run.rs"]
mod run;
#[path = "../../src/cli/settings.rs"]
mod settings;

const NAMES: [&str; 3] = [run::MANIFEST, METRICS, run::FIGURES];

/// The files of a run, and its settings.
struct Made {
    files: [Vec<u8>; 3],
    settings: Vec<u8>,
    /// Of its page: how often a tag begins, and how often there is a script.
    tags: [usize; 2],
}

static RUN: LazyLock<Made> = LazyLock::new(|| {
    let (_folder, root, data) = place();
    let out = format!("{root}/run");
    let mut arguments = vec!["train", "--adapter", "cpu", "--spec", SPEC, "--data", &data, "--out", &out];
    arguments.extend([
        "--batch",
        "4x6",
        "--steps",
        "20",
        "--validation",
        "40",
        "--validate-every",
        "10",
        "--seed",
        "3",
    ]);
    succeed(&arguments);
    let page = page::render(&[run::Run::load(Path::new(&out)).expect("a run")]);
    let read = |name: &str| fs::read(format!("{out}/{name}")).expect("a file of a run");
    Made { files: NAMES.map(read), settings: read("run.toml"), tags: tags(&page) }
});

fn tags(page: &str) -> [usize; 2] {
    [page.matches('<').count(), page.matches("<script").count()]
}

/// All targets of this file.
pub fn trials() -> Vec<Trial> {
    let part = |name, number: usize| {
        let case = move |dice: &mut Dice, folder: &Path| report(dice, folder, number);
        Target { name, cases: 300, mib: 128, case }.trial()
    };
    vec![
        part("run_json", 0),
        part("metrics", 1),
        part("figures", 2),
        Target { name: "run_toml", cases: 1500, mib: 64, case: toml }.trial(),
        Target { name: "tune_cache", cases: 40, mib: 256, case: tune }.trial(),
        Target { name: "vectors", cases: 200, mib: 64, case: embeddings }.trial(),
    ]
}

/// The page of a run folder in which one file is another.
fn report(dice: &mut Dice, folder: &Path, changed: usize) -> Result<()> {
    let folder = folder.join(FILE);
    fs::create_dir(&folder).expect("a new folder");
    for (number, name) in NAMES.iter().enumerate() {
        let mut bytes = RUN.files[number].clone();
        if number == changed {
            mutate::json(dice, &mut bytes, &RUN.files);
        }
        fs::write(folder.join(name), bytes).expect("the temporary folder takes a file");
    }
    let page = page::render(&[run::Run::load(&folder)?]);
    // Whatever the files say, none of it is markup, and all of it is data.
    assert_eq!(tags(&page), RUN.tags);
    let (_, data) = page.split_once(r#"<script type="application/json" id="data">"#).expect("a place for the data");
    let data: Value = serde_json::from_str(data.split_once("</script>").expect("its end").0).expect("JSON");
    assert!(data["runs"][0].is_object());
    let metrics = folder.join(METRICS);
    let kept = up_to(&fs::read(&metrics).expect("it is there"), dice.number());
    fs::write(&metrics, kept).expect("the temporary folder takes a file");
    run::Run::load(&folder).map(drop)
}

/// A command with options of every kind that `siamese train` has.
fn command() -> Command {
    let switch = |name| Arg::new(name).long(name).action(ArgAction::SetTrue);
    let value = |name| Arg::new(name).long(name);
    let train = Command::new("train")
        .arg(value("config").value_parser(clap::value_parser!(PathBuf)))
        .args(["resume", "tui", "json", "invert"].map(switch))
        .arg(value("threshold").action(ArgAction::Append))
        .arg(value("soft-margin").conflicts_with("margin"))
        .args(
            ["out", "preset", "spec", "steps", "margin", "augment", "ema", "seed", "batch", "data", "validation"]
                .map(value),
        )
        .arg(value("validate-every"));
    Command::new("siamese").subcommand(train)
}

/// Settings from a file, with an option given by hand; what they come to is written and read again.
fn toml(dice: &mut Dice, folder: &Path) -> Result<()> {
    let mut bytes = RUN.settings.clone();
    bytes.extend(b"threshold = [0.5, 1]\ninvert = true\n\"soft-margin\" = 5\n");
    if dice.one_in(2) {
        mutate::bytes(dice, &mut bytes, std::slice::from_ref(&RUN.settings));
    } else {
        let table: toml::Table = str::from_utf8(&bytes).expect("UTF-8").parse().expect("TOML");
        let mut value = serde_json::to_value(table).expect("plain data");
        (0..dice.below(4)).for_each(|_| mutate::tree(dice, &mut value));
        // TOML has no null.
        bytes = toml::to_string(&value).unwrap_or_default().into_bytes();
    }
    let path = file(folder, &bytes);
    let mut by_hand: Vec<OsString> = ["siamese", "train", "--config"].map(OsString::from).to_vec();
    by_hand.push(path.into());
    if dice.one_in(2) {
        by_hand.push("--margin=0.3".into());
    }
    let command = command();
    let arguments = settings::merge(&command, by_hand)?;
    let refused = |error: clap::Error| Error::config(FILE, error.to_string());
    let matches = command.clone().try_get_matches_from(&arguments).map_err(refused)?;
    let (name, given) = matches.subcommand().expect("train");
    let text = settings::text(command.find_subcommand(name).expect("train"), given);
    let again = folder.join("again.toml");
    fs::write(&again, &text).expect("the temporary folder takes a file");
    let arguments = ["siamese", "train", "--config"].map(OsString::from).into_iter().chain([again.into()]).collect();
    let merged = settings::merge(&command, arguments).expect("what was written is read");
    let matches = command.clone().try_get_matches_from(&merged).expect("what was written is understood");
    let (_, given) = matches.subcommand().expect("train");
    assert_eq!(settings::text(command.find_subcommand(name).expect("train"), given), text);
    Ok(())
}

fn small_plan() -> Plan {
    let net = Net::parse("dense4 l2", [5, 5, 1]).unwrap();
    let source = Source { slot: "images".to_owned(), images: 8, scale: PRESETS[0].config().scale(), classes: 1 };
    inference_plan(&net, &source, 4, slots::PARAMETERS)
}

static DEVICE: LazyLock<Arc<Device>> = LazyLock::new(common::device);

/// The choices of shaders that an earlier start has kept.
static CHOICES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut known = Choices::default();
    while DEVICE.tune(&small_plan(), &mut known, |_, _| ()).unwrap().left > 0 {}
    serde_json::to_vec(&BTreeMap::from([("a device".to_owned(), known)])).unwrap()
});

/// What cannot be read is measured again, and what is read is taken or measured: the plan always gets its shaders.
fn tune(dice: &mut Dice, _: &Path) -> Result<()> {
    let mut bytes = CHOICES.clone();
    mutate::json(dice, &mut bytes, std::slice::from_ref(&CHOICES));
    let mut all: BTreeMap<String, Choices> =
        serde_json::from_slice(&bytes).map_err(|error| Error::config(FILE, error.to_string()))?;
    let plan = small_plan();
    DEVICE.tune(&plan, all.entry("a device".to_owned()).or_default(), |_, _| ())?;
    for at in plan.distinct() {
        let offered = DEVICE.offered(&at);
        let name = DEVICE.variant(&at).name;
        assert!(offered.is_empty() || offered.iter().any(|shader| shader.name == name), "{name}");
    }
    Ok(())
}

/// Embeddings whose names, classes and values are anything, over whatever lies there.
fn embeddings(dice: &mut Dice, folder: &Path) -> Result<()> {
    let (rows, dims) = (1 + dice.below(6), 1 + dice.below(4));
    let names: Vec<String> = (0..rows).map(|_| mutate::text(dice, &["a", "b.png", "漢", "\"", "\\"], 3)).collect();
    let classes = if dice.one_in(2) { names.clone() } else { Vec::new() };
    let values = (0..rows * dims).map(|_| *dice.pick(&[0.0, 0.5, -1.0, 1e-42, 3e38, 1e20])).collect();
    let vectors = Vectors { values, dims, names, classes, model: mutate::text(dice, &["0123"], 2) };
    let (height, width, channels) = (4, 4, 1);
    let (images, labels) = (Images::new(vec![9; rows * 16], 16), (0..rows as u32).collect());
    let data = Dataset { name: String::new(), images, labels, label_names: Vec::new(), height, width, channels };
    let ending = *dice.pick(&[".npy", ".csv", ".parquet", ""]);
    let path = folder.join(format!("{FILE}{ending}"));
    if !ending.is_empty() && dice.one_in(3) {
        let mut old = (*dice.pick(&[&b"\x93NUMPY\x01\0"[..], b"name,class,e0\n", b"PAR1", b"anything", b""])).to_vec();
        mutate::bytes(dice, &mut old, &RUN.files);
        fs::write(&path, old).expect("the temporary folder takes a file");
    }
    let precision = *dice.pick(&[Precision::F32, Precision::F16, Precision::I8]);
    vectors.write(Destination::prepare(&path)?, precision, &data)?;
    match ending {
        ".csv" => {
            let mut table = csv::Reader::from_path(&path).expect("a table");
            assert_eq!(table.records().filter(std::result::Result::is_ok).count(), rows);
        }
        "" => {
            let lines = fs::read_to_string(path.join("metadata.tsv")).expect("metadata").lines().count();
            assert_eq!(lines, 1 + rows);
        }
        _ => {}
    }
    vectors.loss(precision);
    Ok(())
}
