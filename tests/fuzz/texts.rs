//! What is said in words: specs, amounts, numbers and lists, on the command line and on standard input.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};
use std::str::FromStr;
use std::sync::LazyLock;

use libtest_mimic::Trial;
use siamese::bulk::Shard;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::config::{Config, Group, PRESETS, Preset};
use siamese::error::{Error, Result};
use siamese::gallery::{Content, Gallery};
use siamese::losses::Loss;
use siamese::net::Net;
use siamese::sampler::{Augment, Batch, Positive, Sampler};
use siamese::siamese::{Source, inference_plan, slots, training_plan};
use siamese::vectors;

use crate::harness::{FILE, Target};
use crate::mutate::{self, Dice};
use crate::program::{place, siamese, text};

/// Parameters up to which a network is planned.
const PLANNED: usize = 1 << 20;

/// All targets of this file.
pub fn trials() -> Vec<Trial> {
    vec![
        Target { name: "spec", cases: 3000, mib: 64, case: spec }.trial(),
        Target { name: "augment", cases: 5000, mib: 16, case: augment }.trial(),
        Target { name: "loss", cases: 5000, mib: 16, case: loss }.trial(),
        Target { name: "group", cases: 5000, mib: 16, case: group }.trial(),
        Target { name: "words", cases: 5000, mib: 16, case: words }.trial(),
        Target { name: "options", cases: 40, mib: 16, case: options }.trial(),
        Target { name: "lists", cases: 15, mib: 16, case: lists }.trial(),
    ]
}

fn spec(dice: &mut Dice, _: &Path) -> Result<()> {
    let words = [
        "conv",
        "conv8",
        "conv8k3",
        "conv4s",
        "conv3v",
        "pool",
        "dense",
        "dense8",
        "relu",
        "sigmoid",
        "l2",
        "dense4 l2",
        "conv2 relu pool",
        "add(",
        "cat(",
        "add0(",
        "add( conv3 | )",
        "|",
        ")",
        "2*{",
        "4000*{",
        "}",
        "k",
        "s",
        "v",
        "α",
    ];
    let text = if dice.one_in(4) {
        format!("conv{} relu pool dense{} l2", 1 + dice.below(9), 1 + dice.below(9))
    } else {
        mutate::text(dice, &words, 8)
    };
    let number = dice.number() as usize;
    let shapes = [
        [28, 28, 1],
        [8, 8, 3],
        [1, 1, 1],
        [300, 200, 3],
        [0, 5, 1],
        [1 << 16, 1 << 16, 3],
        [number, 3, 3],
        [9, number, 1],
    ];
    let net = Net::parse(&text, *dice.pick(&shapes)).inspect_err(|error| assert!(error.hint().is_some(), "{error}"))?;
    assert!(net.dims() > 0 && net.pixels() > 0);
    if net.parameter_count() <= PLANNED && net.pixels() <= PLANNED {
        let mut config = PRESETS[dice.below(PRESETS.len())].config();
        config.spec = text;
        let source = Source { slot: "images".into(), images: 1 + dice.below(1000), scale: config.scale(), classes: 1 };
        if net.check(config.batch.rows()).is_ok() {
            let plan = training_plan(&net, &source, &config);
            assert!(plan.bytes() > 0 && !plan.to_string().is_empty());
        }
        let rows = siamese::embed::batch(&net, source.images);
        assert!(inference_plan(&net, &source, rows, slots::PARAMETERS).bytes() > 0);
    }
    Ok(())
}

fn augment(dice: &mut Dice, _: &Path) -> Result<()> {
    let words = ["shift=1", "none", "affine", "elastic", "pictures", "bend"].map(str::to_owned);
    let kinds: Vec<_> = Augment::SETTINGS.iter().map(|setting| format!("{}=", setting.name)).chain(words).collect();
    let kinds: Vec<_> = kinds.iter().map(String::as_str).collect();
    let augment: Augment = match dice.below(4) {
        0 => format!("shift={} scale=0.{} crop=0.{} hue=0.1", dice.below(9), dice.below(9), dice.below(9)),
        _ => mutate::text(dice, &kinds, 5),
    }
    .parse()?;
    augment.validate()?;
    let sampler = Sampler::new(&[0, 0, 1, 1], 1, Batch::Random { triplets: 2, positive: Positive::Other })?;
    let warps = sampler.warps(dice.number(), &augment, [28, 20]);
    let values = [&warps.maps, &warps.colours, &warps.blanks];
    assert!(values.into_iter().flatten().all(|value| value.is_finite()), "{augment:?}");
    Ok(())
}

fn loss(dice: &mut Dice, _: &Path) -> Result<()> {
    let all = Loss::all();
    let loss = dice.pick(&all);
    let mut words = vec![loss.name().to_owned(), "margin".to_owned(), "soft-margin=".to_owned()];
    words.extend(loss.known_settings().iter().map(|setting| format!("{}=", setting.name)));
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let text = match dice.below(4) {
        0 => loss.to_string(),
        1 => mutate::text(dice, &words, 4),
        _ => format!("{} {}", loss.name(), mutate::text(dice, &words[2..], 4)),
    };
    let loss: Loss = text.parse()?;
    loss.validate()?;
    assert!(loss.settings().iter().all(|(_, value)| value.is_finite()), "{text:?}: {loss:?}");
    assert_eq!(loss.to_string().parse::<Loss>()?, loss, "{text:?}");
    Ok(())
}

fn group(dice: &mut Dice, _: &Path) -> Result<()> {
    let words = ["conv1", "conv1-8", "*.bias", "bn*", "rate=", "decay=", "rate=0.", "decay=0.", "rate", "speed=1"];
    let text = match dice.below(3) {
        0 => format!("conv1-{} *.bias rate=0.{} decay=0.{}", dice.below(9), dice.below(9), dice.below(9)),
        _ => mutate::text(dice, &words, 5),
    };
    let group: Group = text.parse()?;
    group.names.check("--group", &["conv1.weight", "conv1.bias", "bn1.weight"].map(str::to_owned))?;
    Config { groups: vec![group], ..PRESETS[0].config() }.validate()
}

/// The smaller languages.
fn words(dice: &mut Dice, _: &Path) -> Result<()> {
    let numbers = format!("{}/{}", dice.number(), dice.number());
    let text = match dice.below(3) {
        0 => mutate::text(dice, &["1", "4", "/", "f32", "f16", "i8", "cnn", "best"], 3),
        1 => numbers,
        _ => (*dice.pick(&["1/4", "f16", "notebook"])).to_owned(),
    };
    let refused = |reason: String| Error::config(FILE, reason);
    match dice.below(3) {
        0 => {
            let shard = Shard::from_str(&text).map_err(refused)?;
            let rows = 1 + dice.below(1000);
            let part = shard.rows(rows);
            assert!(part.start <= part.end && part.end <= rows, "{text} of {rows}: {part:?}");
        }
        1 => drop(vectors::Precision::from_str(&text).map_err(refused)?),
        _ => Preset::from_str(&text)?.config().validate()?,
    }
    Ok(())
}

/// The small data set, and a model and a gallery for it.
static PLACE: LazyLock<(tempfile::TempDir, String, String)> = LazyLock::new(|| {
    let made = place();
    let mut config = PRESETS[0].config();
    config.spec = "conv4 relu pool dense8 l2".to_owned();
    let model = Checkpoint::initial(&config, &Net::parse(&config.spec, [8, 8, 1]).unwrap()).export();
    model.save(&made.0.path().join("model.safetensors"), Precision::F32).unwrap();
    let mut gallery = Gallery::new(&model).unwrap();
    gallery.add("a", "1.png", &Content::of(b"1"), &[0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
    gallery.save(&made.0.path().join("a.gallery")).unwrap();
    image::GrayImage::new(8, 8).save(made.0.path().join("black.png")).unwrap();
    made
});

/// What the program must not do whatever it is told: panic, abort, be killed. Code 2 is a refusal.
fn judged(output: &Output) -> Result<()> {
    let (code, words) = (output.status.code(), text_of(&output.stderr));
    assert!(matches!(code, Some(0..=2)) && !words.contains("panicked"), "exit code {code:?}: {words}");
    if code == Some(2) { Err(Error::config(FILE, words)) } else { Ok(()) }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Options that say how large things are: `siamese plan` computes with all of them.
fn options(dice: &mut Dice, _: &Path) -> Result<()> {
    let (_, _, data) = &*PLACE;
    let number =
        |dice: &mut Dice| if dice.one_in(3) { dice.number().to_string() } else { (1 + dice.below(8)).to_string() };
    let mut arguments = vec!["plan".to_owned(), "--data".to_owned(), data.clone()];
    for _ in 0..1 + dice.below(2) {
        let (a, b) = (number(dice), number(dice));
        let value = match dice.below(6) {
            0 => format!("--batch={a}x{b}"),
            1 => format!("--batch={a}"),
            2 => format!("--batch={}", mutate::text(dice, &["4", "x", "8", "4x8"], 3)),
            3 => format!("--spec=conv{a} relu pool dense{b} l2"),
            4 => format!("--spec={}", mutate::text(dice, &["conv", "pool", "dense", "relu", "l2"], 5)),
            _ => format!("--mining={}", dice.pick(&["random", "semi-hard", "batch-hard", "batch-all", "none"])),
        };
        // An argument cannot hold this character.
        arguments.push(value.replace('\0', ""));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    judged(&siamese(&arguments).output().expect("the program starts"))
}

/// Paths of pictures on standard input.
fn lists(dice: &mut Dice, folder: &Path) -> Result<()> {
    let (root, _, data) = &*PLACE;
    let in_root = |name: &str| root.path().join(name).to_str().expect("UTF-8").to_owned();
    let (model, gallery, black) = (in_root("model.safetensors"), in_root("a.gallery"), in_root("black.png"));
    let broken = folder.join(FILE);
    fs::write(&broken, b"\x89PNG\r\n\x1a\n").expect("the temporary folder takes a file");
    let mut lines = Vec::new();
    for _ in 0..dice.below(20) {
        let mut line = match dice.below(8) {
            0..5 => black.clone().into_bytes(),
            5 => broken.to_str().expect("UTF-8").into(),
            6 => data.clone().into_bytes(),
            _ => mutate::text(dice, &[&black, "/", "..", "-"], 4).into_bytes(),
        };
        if dice.one_in(12) {
            mutate::bytes(dice, &mut line, &[vec![0xff, 0xfe, 0], vec![b'\r', b'\n']]);
        }
        lines.extend(line);
        lines.push(b'\n');
    }
    let mut command = siamese(&["recognize", "--adapter", "cpu", &model, &gallery, "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().expect("the program starts");
    // It may have stopped reading.
    drop(program.stdin.take().expect("a pipe").write_all(&lines));
    let output = program.wait_with_output().expect("the program ends");
    let answers = text(&output.stdout);
    assert!(answers.lines().all(|line| line.split('\t').count() == 4), "{answers}");
    judged(&output)
}
