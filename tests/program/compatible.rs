//! A new model beside an old one: trained to be compatible with it, judged against it, and used on its gallery.

use std::fs;

use crate::program::{SPEC, events, fail, place, run, succeed, text};
use crate::tools::trained;

/// Another network than [`SPEC`], of as many values.
const OTHER: &str = "conv6k5 relu pool dense8 l2";

const PAIRS: [&str; 4] = ["--loss", "multi-similarity", "--batch", "4x6"];

#[test]
fn a_new_model_takes_the_place_of_an_old_one() {
    let (_folder, root, data) = place();
    let at = |name: &str| format!("{root}/{name}");
    let (old, new, alone, gallery) = (at("old"), at("new"), at("alone"), at("a.gallery"));
    let train = |spec: &str, out: &str, more: &[&str]| {
        let own = ["train", "--data", &data, "--spec", spec, "--steps", "60", "--out", out];
        succeed(&[&own, &PAIRS[..], more].concat())
    };
    train(SPEC, &old, &[]);
    train(OTHER, &alone, &["--seed", "3"]);
    train(OTHER, &new, &["--seed", "3", "--compatible-with", &old]);

    // Judged on the same images, in words and as JSON.
    let recall = |model: &str| {
        let found = events(&succeed(&["eval", model, "--against", &old, "--json"])).remove(0);
        assert_eq!((found["event"].as_str(), found["images"].as_u64()), (Some("against"), Some(120)));
        let models: Vec<_> = found["models"].as_array().unwrap().clone();
        let order: Vec<_> = models.iter().map(|row| [row["probes"].as_str(), row["gallery"].as_str()]).collect();
        let [new, old] = [Some("new"), Some("old")];
        assert_eq!(order, [[new, new], [new, old], [old, new], [old, old]]);
        models.iter().map(|row| row["recall_at_1"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let (apart, compatible) = (recall(&alone), recall(&new));
    assert!(compatible.iter().all(|&recall| recall > 0.95), "{compatible:?}");
    assert!(apart[1] < 0.8, "without: {apart:?}");
    let table = succeed(&["eval", &new, "--against", &old]);
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.lines().nth(2).unwrap().starts_with("new      old"), "{table}");

    // The old gallery takes the probes of the new model, and of no other.
    succeed(&["enroll", &old, &gallery, "--set", "train", "--take", "first"]);
    let words = text(&run(&["recognize", &new, &gallery, "--set", "test"]).stderr);
    assert!(words.contains("nearest is right"), "{words}");
    assert!(fail(&["recognize", &alone, &gallery, "--set", "test"]).contains("mean nothing"));
    assert!(fail(&["recognize", &new, &gallery, "--set", "test", "--flip"]).contains("mean nothing"));

    // An export knows what it is compatible with, and not where that lies.
    let export = at("new.safetensors");
    succeed(&["export", &new, "--out", &export]);
    assert!(!String::from_utf8_lossy(&fs::read(&export).unwrap()).contains(&old));
    succeed(&["recognize", &export, &gallery, "--set", "test", "--data", &data]);
}

#[test]
fn it_goes_on_with_the_same_old_model_alone() {
    let (_folder, root, data) = place();
    let [old, new, kept] = ["old", "new", "kept"].map(|name| format!("{root}/{name}"));
    let of = |spec: &str, loss: &str, more: &[&str]| {
        let own = ["train", "--data", &data, "--steps", "6", "--batch", "4x6", "--spec", spec, "--loss", loss];
        [&own, more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let go = |arguments: Vec<String>| succeed(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    go(of(SPEC, "supcon", &["--out", &old]));
    go(of(SPEC, "supcon", &["--out", &new, "--compatible-with", &old]));
    succeed(&["train", "--out", &new, "--resume", "--steps", "8"]);

    // None is there any more, then another one.
    fs::rename(&old, &kept).unwrap();
    assert!(fail(&["train", "--out", &new, "--resume", "--steps", "9"]).contains(&old));
    go(of(SPEC, "supcon", &["--seed", "5", "--out", &old]));
    let words = fail(&["train", "--out", &new, "--resume", "--steps", "9"]);
    assert!(words.contains("another by now") && words.contains(&old), "{words}");

    for (spec, loss, reason) in [
        ("dense9 l2", "supcon", "have 8 values"),
        ("dense8", "contrastive", "length 1"),
        (SPEC, "triplet", "multi-similarity, supcon"),
        (SPEC, "arcface", "pairs no images"),
    ] {
        let asked = of(spec, loss, &["--compatible-with", &kept]);
        let words = fail(&asked.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(words.contains("--compatible-with") && words.contains(reason), "{asked:?}: {words}");
    }
}

/// The pictures are prepared for each of the two models.
#[test]
fn an_old_model_may_take_pictures_of_another_size() {
    let (folder, pictures, old) = trained();
    let new = format!("{}/new", folder.path().display());
    let train = ["train", "--data", &pictures, "--spec", OTHER, "--input", "12x12x1", "--steps", "60", "--out", &new];
    succeed(&[&train, &PAIRS[..], &["--compatible-with", &old]].concat());
    let found = events(&succeed(&["eval", &new, "--against", &old, "--json"])).remove(0);
    let recall = |row: usize| found["models"][row]["recall_at_1"].as_f64().unwrap();
    assert!((0..4).all(|row| recall(row) > 0.9), "{found}");
}
