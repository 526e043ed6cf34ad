//! Folders of pictures as a user gives them: every command sees the same classes, and says what it made of the folder.

use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::program::{SPEC, events, fail, place, run, succeed, text};
use image::{GrayImage, Luma};
use serde_json::Value;

/// Pictures of noise about a brightness for each class, `folder/class/number.png`; each number another noise.
fn pictures(folder: &Path, classes: &[&str], numbers: Range<u32>) {
    for (number, class) in classes.iter().enumerate() {
        let class = folder.join(class);
        fs::create_dir_all(&class).unwrap();
        for picture in numbers.clone() {
            let noise = |x: u32, y: u32| ((x * 31 + y * 17 + picture * 7) % 20) as u8;
            let picture_of = GrayImage::from_fn(8, 8, |x, y| Luma([40 * number as u8 + noise(x, y)]));
            picture_of.save(class.join(format!("{picture}.png"))).unwrap();
        }
    }
}

/// Trains two steps on `data` with more arguments; answers what was said.
fn train(data: &str, out: &str, more: &[&str]) -> String {
    let common = ["train", "--spec", SPEC, "--adapter", "cpu", "--steps", "2", "--batch", "2x4"];
    let output = run(&[common.as_slice(), &["--data", data, "--out", out], more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn sides_are_classes_nowhere() {
    let (folder, root, _) = place();
    let [pets, model, gallery] = ["pets", "run", "pets.gallery"].map(|name| format!("{root}/{name}"));
    for (side, numbers) in [("Train", 0..8), ("val", 8..12)] {
        pictures(&folder.path().join("pets").join(side), &["cat", "dog", "owl"], numbers);
    }
    fs::write(folder.path().join("pets/Train/cat/note.txt"), "").unwrap();
    let words = train(&pets, &model, &[]);
    for told in
        ["24 images, 3 labels", "val/ is what the network is tested on", "1 .txt", "brought to 8x8x1, the size of all"]
    {
        assert!(words.contains(told), "{told} in {words}");
    }
    let words = text(&run(&["enroll", &model, &gallery, &pets, "--adapter", "cpu"]).stderr);
    assert!(words.contains("3 identities, 36 images") && words.contains("Train/, val/ together"), "{words}");
    let words = text(&run(&["eval", &model, "--adapter", "cpu"]).stderr);
    assert!(words.contains("24 training and 12 test images, 3 labels"), "{words}");

    pictures(&folder.path().join("pets"), &["cat"], 0..1);
    for command in [["train", "--data", &pets].as_slice(), &["enroll", &model, &gallery, &pets]] {
        let words = fail(command);
        assert!(words.contains("Train/ and val/ beside cat/"), "{words}");
    }
}

/// A packed set is its folder to every command; it streams, and says how much was waited for; and what is broken in a
/// folder stops a run, all of it named, or is left out.
#[test]
fn a_packed_set_is_its_folder_and_bad_pictures_are_left_out() {
    let (folder, root, _) = place();
    let [pets, packed, own, streamed] = ["pets", "pets.set", "own", "streamed"].map(|name| format!("{root}/{name}"));
    pictures(&folder.path().join("pets"), &["cat", "dog", "owl"], 0..20);
    let broken = ["cat/broken.png", "dog/empty.png"];
    fs::write(format!("{pets}/{}", broken[0]), b"\x89PNG nothing").unwrap();
    fs::write(format!("{pets}/{}", broken[1]), b"").unwrap();
    for command in [
        &["train", "--data", &pets, "--adapter", "cpu", "--input", "8x8x1", "--out", &own][..],
        &["pack", &pets, "--out", &packed, "--input", "8x8x1"],
    ] {
        let words = fail(command);
        assert!(broken.iter().all(|name| words.contains(name)) && words.contains("--skip-bad"), "{words}");
    }
    assert!(!Path::new(&packed).exists() && !Path::new(&own).exists());

    let words = text(&run(&["pack", &pets, "--out", &packed, "--input", "8x8x1", "--skip-bad"]).stderr);
    assert!(
        words.contains("2 pictures could not be used") && broken.iter().all(|name| words.contains(name)),
        "{words}"
    );
    let words = train(&pets, &own, &["--skip-bad", "--input", "8x8x1"]);
    assert!(words.contains("images   on the device") && words.contains("2 pictures could not be used"), "{words}");
    let words = train(&packed, &streamed, &["--data-memory", "1kB", "--workers", "2", "--json"]);
    assert!(words.contains("images   on the host"), "{words}");
    let parameters = |out: &str| siamese::checkpoint::Checkpoint::load(&Path::new(out).join("checkpoint.safetensors"));
    let (own_end, streamed_end) = (parameters(&own).unwrap(), parameters(&streamed).unwrap());
    assert_eq!(own_end.parameters, streamed_end.parameters);
    let steps = fs::read_to_string(format!("{streamed}/metrics.jsonl")).unwrap();
    let step: Value = serde_json::from_str(steps.lines().find(|line| line.contains("\"step\":2")).unwrap()).unwrap();
    assert!(step["waiting"].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)), "{step}");

    let table = succeed(&["eval", &streamed, "--adapter", "cpu"]);
    assert_eq!(succeed(&["eval", &streamed, "--adapter", "cpu", "--data", &pets, "--skip-bad"]), table, "one set");
    let words = fail(&["train", "--data", &packed, "--adapter", "cpu", "--data-on", "device", "--data-memory", "1kB"]);
    assert!(words.contains("--data-on") && words.contains("more than the 1.0 kB"), "{words}");
    let words = fail(&["train", "--data", &packed, "--adapter", "cpu", "--invert"]);
    assert!(words.contains("pets.set") && words.contains("pack them so"), "{words}");
    let words = fail(&["pack", &pets, "--out", &format!("{pets}/cat/1.png"), "--skip-bad"]);
    assert!(words.contains("it is not a packed data set"), "{words}");
}

#[test]
fn classes_are_chosen_by_their_names() {
    let (folder, root, _) = place();
    pictures(&folder.path().join("set"), &["1", "2", "3", "4", "2019-2021"], 0..12);
    let [set, model] = ["set", "run"].map(|name| format!("{root}/{name}"));
    train(&set, &model, &["--train-classes", "1-2,2019-2021"]);
    let file = |name: &str| -> Value { serde_json::from_slice(&fs::read(format!("{model}/{name}")).unwrap()).unwrap() };
    assert_eq!(file("run.json")["config"]["train_classes"], serde_json::json!(["1-2", "2019-2021"]));
    // A class more, sorted before the others: the same classes are evaluated, and it.
    pictures(&folder.path().join("set"), &["0"], 0..12);
    let evaluated = |more: &[&str]| {
        let eval = ["eval", &model, "--json", "--adapter", "cpu"];
        events(&succeed(&[eval.as_slice(), more].concat())).pop().unwrap()["gallery"].as_array().unwrap().len()
    };
    assert_eq!(evaluated(&["--data", &set, "--other-data"]), 3);
    let words = fail(&["train", "--data", &set, "--train-classes", "4-6"]);
    assert!(words.contains("`5`") && words.contains("there are 0, 1, 2, 2019-2021, 3, 4"), "{words}");
}

/// Sixty identities of four pictures: some train, others watch, others judge, all is said, and found again by whoever
/// asks the model.
#[test]
fn identities_are_divided_and_judged_as_such() {
    let (folder, root, _) = place();
    let names: Vec<String> = (0..60).map(|person| format!("p{person:02}")).collect();
    for (person, name) in names.iter().enumerate() {
        // A grey and a noise of their own.
        let class = folder.path().join("people").join(name);
        fs::create_dir_all(&class).unwrap();
        for picture in 0..4 {
            let noise = |x: u32, y: u32| (x * 31 + y * 17 * (person as u32 % 7 + 1) + picture * 7) % 60;
            let values = GrayImage::from_fn(8, 8, |x, y| Luma([3 * person as u8 + noise(x, y) as u8]));
            values.save(class.join(format!("{picture}.png"))).unwrap();
        }
    }
    let [people, model] = ["people", "run"].map(|name| format!("{root}/{name}"));
    let train = |out: &str, more: &[&str]| {
        let common = ["train", "--spec", SPEC, "--adapter", "cpu", "--steps", "4", "--batch", "8x4"];
        let output = run(&[common.as_slice(), &["--data", &people, "--out", out], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    };
    let (figures, words) = train(&model, &["--validation", "4"]);
    for told in ["identities (", "judged on the other", "--split images", "whole identities: 2, of 8 images"] {
        assert!(words.contains(told), "{told} in {words}");
    }
    // What compares with training images is not there, in no form; what it rests on is.
    assert!(figures.starts_with("recall at 1") && figures.contains("identities among the others"), "{figures}");
    assert!(!figures.contains("5-NN") && !figures.contains("centroid"), "{figures}");
    let file = |name: &str| -> Value { serde_json::from_slice(&fs::read(format!("{model}/{name}")).unwrap()).unwrap() };
    let config = &file("run.json")["config"];
    assert_eq!(config["split"], serde_json::json!({ "identities": 0.25 }));
    assert_eq!(config["validation"]["identities"], true);
    let (evaluation, shown) = (&file("figures.json")["evaluation"], &file("figures.json")["confusion"]);
    assert!(evaluation["knn5"].is_null() && evaluation["centroid"].is_null() && shown.as_array().unwrap().is_empty());
    assert!(evaluation["left_out"]["knn5"].as_str().unwrap().contains("no test image has a label"), "{evaluation}");
    let (images, identities) = (evaluation["images"].as_u64().unwrap(), evaluation["identities"].as_u64().unwrap());
    assert_eq!((images, evaluation["unseen"].as_u64().unwrap()), (4 * identities, images), "all pictures of each");

    // Whoever asks for the model's data gets the same, and the run goes on with them.
    assert_eq!(succeed(&["eval", &model, "--adapter", "cpu"]), figures);
    let test = format!("{root}/test.csv");
    succeed(&["embed", &model, "--set", "test", "--out", &test, "--adapter", "cpu"]);
    assert_eq!(fs::read_to_string(&test).unwrap().lines().count() as u64, images + 1);
    let resume = ["train", "--out", &model, "--resume", "--steps", "5", "--adapter", "cpu"];
    assert!(succeed(&resume).contains(&format!("each of {images} images of {identities} identities")));

    let (figures, _) = train(&format!("{root}/classes"), &["--split", "images"]);
    assert!(figures.starts_with("5-NN accuracy"), "{figures}");
    for (more, words) in [
        (["--split", "identities", "--train-classes", "p01,p02,p03"].as_slice(), "--train-classes says already"),
        (&["--split", "people"], "by images, or by identities=0.25"),
        (&["--validation", "1000"], "0 left to train on"),
    ] {
        let said = fail(&[&["train", "--data", &people][..], more].concat());
        assert!(said.contains(words), "{more:?}: {said}");
    }
    assert!(fail(&["train", "--split", "identities"]).contains("says itself which images"), "MNIST");
}

/// A folder is judged as it is, all of it, and probes are looked for in another.
#[test]
fn all_pictures_of_a_folder_judge() {
    let (folder, root, data) = place();
    let [known, probes, model] = ["known", "probes", "run"].map(|name| format!("{root}/{name}"));
    train(&data, &model, &[]);
    // A run knows its data, which are no MNIST.
    assert!(succeed(&["eval", &model, "--adapter", "cpu"]).starts_with("5-NN"));
    pictures(&folder.path().join("known"), &["ant", "bee", "cat"], 0..5);
    pictures(&folder.path().join("probes/test"), &["ant", "cat", "dog"], 5..9);
    let eval = |more: &[&str]| run(&[&["eval", &model, "--adapter", "cpu"], more].concat());
    let output = eval(&["--data", &known, "--all"]);
    let (figures, words) = (text(&output.stdout), text(&output.stderr));
    assert!(figures.contains("each of 15 images of 3 identities among the others"), "{figures} {words}");
    assert!(figures.contains("30 pairs of one, 75 of two") && !figures.contains("5-NN"), "{figures}");
    let output = eval(&["--data", &probes, "--all", "--json"]);
    let found = events(&text(&output.stdout)).pop().unwrap();
    assert_eq!((&found["images"], &found["identities"]), (&12.into(), &3.into()), "{}", text(&output.stderr));

    let output = eval(&["--data", &probes, "--gallery", &known]);
    let (figures, words) = (text(&output.stdout), text(&output.stderr));
    assert!(figures.starts_with("recall at 1") && figures.contains("MAP at R"), "{figures} {words}");
    assert!(words.contains("8 probes in a gallery of 15 pictures of 3 identities"), "{words}");
    assert!(words.contains("4 probes of identities that the gallery does not have"), "{words}");
    let output = eval(&["--data", &known, "--gallery", &known, "--json"]);
    let found = events(&text(&output.stdout)).pop().unwrap();
    assert_eq!((&found["recall_at_1"], &found["probes"]), (&1.0.into(), &15.into()), "each finds itself");
    fs::write(folder.path().join("known/bee/0.png"), "no picture").unwrap();
    let words = fail(&["eval", &model, "--data", &known, "--all", "--adapter", "cpu"]);
    assert!(words.contains("bee/0.png"), "{words}");
    let output = eval(&["--data", &known, "--all", "--skip-bad"]);
    assert!(text(&output.stdout).contains("each of 14 images"), "{}", text(&output.stderr));

    // Other kinds of sets likewise.
    let output = eval(&["--data", &data, "--all"]);
    assert!(text(&output.stdout).contains("each of 420 images of 4 identities"), "{}", text(&output.stderr));
    let set = format!("{root}/known.set");
    succeed(&["pack", &known, "--out", &set, "--input", "8x8x1", "--skip-bad"]);
    let output = eval(&["--data", &set, "--all"]);
    assert!(text(&output.stdout).contains("each of 14 images of 3 identities"), "{}", text(&output.stderr));
    let found = succeed(&["audit", &model, &set, "--adapter", "cpu"]);
    assert!(found.lines().count() == 15 && found.contains("known.set/train/bee/"), "{found}");
    let words = fail(&["audit", &model, &set, &known]);
    assert!(words.contains("known.set is a set by itself"), "{words}");
}

/// A list of pairs is verified by whatever model, its lines are checked, and what is missing is counted.
#[test]
fn pairs_are_verified_as_lfw_has_them() {
    let (folder, root, data) = place();
    let [faces, model, list] = ["faces", "run", "pairs.txt"].map(|name| format!("{root}/{name}"));
    train(&data, &model, &[]);
    for (number, name) in ["Ann", "Bob_Lee", "Cy"].iter().enumerate() {
        let class = folder.path().join("faces").join(name);
        fs::create_dir_all(&class).unwrap();
        for picture in 1..=4 {
            let noise = |x: u32, y: u32| ((x * 31 + y * 17 + picture * 7) % 20) as u8;
            let values =
                GrayImage::from_fn(8, 8, |x, y| Luma([if x / 4 == number as u32 { 200 } else { noise(x, y) }]));
            values.save(class.join(format!("{name}_{picture:04}.png"))).unwrap();
        }
    }
    let lines = "3 2\nAnn 1 2\nBob_Lee 1 2\nAnn 1 Cy 1\nBob_Lee 2 Cy 4\nCy 1 2\nAnn 3 4\nAnn 2 Cy 2\nAnn 4 Bob_Lee 4\n\
                 Cy 3 4\nAnn 1 4\nAnn 3 Bob_Lee 1\nCy 3 Bob_Lee 3\n";
    fs::write(&list, lines).unwrap();
    let eval = ["eval", &model, "--data", &faces, "--pairs", &list, "--adapter", "cpu"];
    let shown = succeed(&eval);
    assert!(shown.contains("accuracy ") && shown.contains("over 3 folds; 6 pairs of one, 6 of two"), "{shown}");
    assert!(["VAL at FAR 1e-3", "AUC", "EER"].iter().all(|name| shown.contains(name)), "{shown}");
    let found = events(&succeed(&[&eval[..], &["--json"]].concat())).pop().unwrap();
    assert_eq!((&found["event"], &found["same"], &found["left_out"]), (&"lfw".into(), &6.into(), &0.into()));

    fs::remove_file(format!("{faces}/Cy/Cy_0004.png")).unwrap();
    let output = run(&[&eval[..], &["--json"]].concat());
    let words = text(&output.stderr);
    assert!(words.contains("2 of 12 pairs left out: 1 pictures are not there") && words.contains("Cy_0004"), "{words}");
    assert_eq!(events(&text(&output.stdout)).pop().unwrap()["left_out"], 2);
    fs::write(&list, "3 2\nAnn 1 2\nBob_Lee one 2\n").unwrap();
    let words = fail(&eval);
    assert!(words.contains("`Bob_Lee one 2` in line 3") && words.contains("hint:"), "{words}");
    fs::write(&list, lines).unwrap();
    let words = fail(&["eval", &model, "--data", &root, "--pairs", &list, "--adapter", "cpu"]);
    assert!(words.contains("a folder of pictures for each name"), "{words}");
}

/// An image is the same to a model as a row of a set and as a picture.
#[test]
fn sets_are_inverted_as_pictures_are() {
    let (folder, root, data) = place();
    let weights = |name: &str, more: &[&str]| {
        let out = format!("{root}/{name}");
        train(&data, &out, more);
        fs::read(format!("{out}/checkpoint.safetensors")).unwrap()
    };
    assert_ne!(weights("as it is", &[]), weights("run", &["--invert"]));
    let model = format!("{root}/run");
    let images = siamese::data::idx::load(&folder.path().join("data")).unwrap().test;
    let picture = GrayImage::from_raw(8, 8, images.image(0).unwrap().to_vec()).unwrap();
    let [png, as_row, as_picture] = ["first.png", "row.csv", "picture.csv"].map(|name| format!("{root}/{name}"));
    picture.save(&png).unwrap();
    succeed(&["embed", &model, "--set", "test", "--out", &as_row, "--adapter", "cpu"]);
    succeed(&["embed", &model, &png, "--out", &as_picture, "--adapter", "cpu"]);
    let values = |file: &str| -> Vec<f32> {
        let table = fs::read_to_string(file).unwrap();
        table.lines().nth(1).unwrap().split(',').filter_map(|cell| cell.parse().ok()).collect()
    };
    let (row, picture) = (values(&as_row), values(&as_picture));
    assert_eq!(row[row.len() - 8..], picture[picture.len() - 8..]);
}
