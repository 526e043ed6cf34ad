//! The program as a user runs it: what it prints, where, and with which exit code.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{SPEC, events, fail, place, siamese, succeed, text};
use serde_json::{Value, json};
use siamese::checkpoint::Checkpoint;

/// One seed makes one model, on however many threads.
#[test]
fn threads_do_not_change_the_model() {
    let (_folder, root, data) = place();
    let spec = "conv4 relu pool dense33 relu dense5 l2";
    let model = |threads: &str| {
        let out = format!("{root}/{threads}");
        let common = ["train", "--spec", spec, "--data", &data, "--steps", "10", "--batch", "4x9", "--out", &out];
        let mut command = siamese(&[common.as_slice(), &["--adapter", "cpu"]].concat());
        let output = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        Checkpoint::load(&Path::new(&out).join("checkpoint.safetensors")).unwrap().parameters
    };
    let one = model("1");
    assert!(["3", "16"].iter().all(|threads| model(threads) == one));
}

#[test]
fn train_eval_export() {
    let (folder, root, data) = place();
    let out = format!("{root}/run");
    let common = ["train", "--spec", SPEC, "--data", &data, "--steps", "40", "--batch", "4x12", "--out", &out];
    let train = [common.as_slice(), &["--json", "--adapter", "0"]].concat();
    let trained = events(&succeed(&train));
    assert_eq!(trained[0]["event"], "start");
    let steps: Vec<_> = trained.iter().filter(|event| event["event"] == "step").collect();
    assert_eq!(steps.len(), 40);
    for (place, step) in steps.iter().enumerate() {
        assert_eq!(step["step"], place as u64 + 1);
        assert_eq!(step["images"], 48 * (place as u64 + 1));
        for figure in ["loss", "active", "images_per_s", "d_ap", "d_an", "gradient_norm"] {
            assert!(step[figure].as_f64().is_some_and(f64::is_finite), "{figure} in {step}");
        }
    }
    let evaluation = trained.last().unwrap();
    assert_eq!(evaluation["event"], "evaluation");
    for figure in ["knn5", "centroid", "one_shot", "auc", "eer", "tar_far_1e3"] {
        let share = evaluation[figure].as_f64().unwrap_or_else(|| panic!("{figure} in {evaluation}"));
        assert!((0.0..=1.0).contains(&share), "{figure} is {share}");
    }
    assert!(evaluation["knn5"].as_f64().unwrap() > 0.9, "four bright quadrants are easy: {evaluation}");

    let metrics = fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    assert_eq!(events(&metrics), trained, "the metrics file holds the events");
    let manifest: Value = serde_json::from_slice(&fs::read(folder.path().join("run/run.json")).unwrap()).unwrap();
    assert_eq!(manifest["config"]["spec"], SPEC);
    assert!(manifest["shaders"].as_array().is_some_and(|shaders| !shaders.is_empty()));

    let evaluated = events(&succeed(&["eval", &out, "--data", &data, "--json", "--adapter", "0"]));
    assert_eq!(&evaluated[0], evaluation, "a saved network evaluates as it did after training");

    let roc = format!("{root}/roc.csv");
    succeed(&["eval", &out, "--data", &data, "--roc", &roc]);
    let roc = fs::read_to_string(roc).unwrap();
    assert!(roc.starts_with("threshold,far,tar\n") && roc.ends_with(",1,1\n"), "{roc}");

    let half = format!("{root}/half.safetensors");
    succeed(&["export", &out, "--out", &half, "--f16"]);
    let table = succeed(&["eval", &half, "--data", &data]);
    assert!(table.contains("5-NN accuracy") && table.contains("TAR at FAR 1e-3"), "{table}");
    let (whole, half) = (fs::metadata(format!("{out}/checkpoint.safetensors")).unwrap(), fs::metadata(&half).unwrap());
    assert!(half.len() < whole.len() / 3, "no moments, half the bits");

    let refused = fail(&train);
    assert!(refused.contains("--out") && refused.contains("--resume"), "{refused}");
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let (_folder, root, data) = place();
    // A constant learning rate, so that the first four steps do not depend on how many follow.
    let recipe = ["--schedule", "constant", "--spec", SPEC, "--ema", "0.9", "--seed", "3"];
    let common = [recipe.as_slice(), &["--data", &data, "--adapter", "0"]].concat();
    let [whole, parts] = ["whole", "parts"].map(|name| format!("{root}/{name}"));
    succeed(&[["train", "--steps", "9", "--out", &whole].as_slice(), &common].concat());
    succeed(&[["train", "--steps", "4", "--out", &parts].as_slice(), &common].concat());
    succeed(&["train", "--resume", "--steps", "9", "--out", &parts, "--data", &data, "--adapter", "0"]);
    let [whole, parts] = [whole, parts].map(|run| fs::read(format!("{run}/checkpoint.safetensors")).unwrap());
    assert!(whole == parts, "the checkpoints differ");
}

/// Every part of a recipe at once: watched on images held back, ended early, the best weights kept and evaluated.
#[test]
fn a_watched_run_keeps_its_best() {
    let (folder, root, data) = place();
    let out = format!("{root}/run");
    let recipe = "--augment=affine --ema=0.9 --warmup=5 --schedule=step --clip=1 --weight-decay=0.01 --batch=4x4 \
                  --validation=60 --validate-every=10 --patience=2 --learning-rate=0.01";
    let train = ["train", "--spec", SPEC, "--data", &data, "--steps", "2000", "--out", &out, "--json"];
    let printed = events(&succeed(&[train.as_slice(), &recipe.split(' ').collect::<Vec<_>>()].concat()));
    let looks: Vec<_> = printed.iter().filter(|event| event["event"] == "validation").collect();
    let steps = printed.iter().filter(|event| event["event"] == "step").count();
    assert_eq!(looks.len(), steps / 10, "a look every ten steps");
    assert!(steps < 2000, "four bright quadrants are learned long before");
    let score = |event: &Value| event["map_at_r"].as_f64().unwrap();
    let best = looks.iter().rev().find(|event| event["best"] == true).expect("a best");
    assert!(looks.iter().all(|event| score(event) <= score(best)));
    assert_eq!(looks[looks.len() - 1]["step"].as_u64().unwrap(), best["step"].as_u64().unwrap() + 20);

    let evaluation = printed.last().unwrap();
    let best_file = format!("{out}/best.safetensors");
    assert_eq!(&events(&succeed(&["eval", &best_file, "--data", &data, "--json"]))[0], evaluation);
    let raw = &events(&succeed(&["eval", &best_file, "--data", &data, "--json", "--raw"]))[0];
    assert_ne!(raw, evaluation, "the average is what is evaluated");
    assert!(evaluation["calibrated"]["threshold"].is_number(), "a threshold from the images held back: {evaluation}");
    assert!(folder.path().join("run/checkpoint.safetensors").exists());
}

/// Trained on two labels, evaluated on the other two.
#[test]
fn unseen_labels_are_evaluated() {
    let (_folder, root, data) = place();
    let common = ["--spec", SPEC, "--data", &data, "--steps", "20", "--json", "--out"];
    let out = format!("{root}/run");
    let trained = succeed(&[["train", "--train-classes", "0,2"].as_slice(), &common, &[&out]].concat());
    let evaluation = events(&trained).pop().unwrap();
    assert_eq!(evaluation["gallery"].as_array().unwrap().len(), 2, "{evaluation}");
    assert_eq!(events(&succeed(&["eval", &out, "--data", &data, "--json"]))[0], evaluation);
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_ends() {
    let (_folder, root, data) = place();
    let out = format!("{root}/run");
    let mut child = siamese(&["train", "--spec", SPEC, "--data", &data, "--steps", "1000000", "--out", &out, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("\"step\":5,")), "it trains");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let last = lines.map(|line| line.unwrap()).last().expect("a line after the interrupt");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(last.contains("\"saved\""), "{last}");
    let saved: Value = serde_json::from_str(&last).unwrap();
    let steps = (saved["step"].as_u64().unwrap() + 2).to_string();
    succeed(&["train", "--resume", "--out", &out, "--data", &data, "--steps", &steps]);
}

#[test]
fn the_cpu_trains_without_a_driver() {
    let (_folder, root, data) = place();
    let output =
        siamese(&["train", "--adapter", "cpu", "--spec", SPEC, "--data", &data, "--steps", "3", "--batch", "2x4"])
            .args(["--out", &format!("{root}/run")])
            .env("VK_DRIVER_FILES", "/nowhere.json")
            .env("VK_ICD_FILENAMES", "/nowhere.json")
            .output()
            .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn mnist_is_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let output = siamese(&["train", "--spec", "dense8 l2", "--steps", "2", "--batch", "2x4"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("MNIST train (60000 images, 10 labels)"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("5-NN accuracy"));
    assert!(folder.path().join("runs/cnn/checkpoint.safetensors").exists(), "the folder is named by the preset");
}

#[test]
fn wrong_use_is_explained() {
    let (_folder, root, data) = place();
    let out = format!("{root}/run");
    let spec = fail(&["train", "--spec", "conv8 rely dense4", "--out", &out]);
    assert!(spec.contains("`rely` is no layer") && spec.contains("        ^^^^"), "{spec}");
    assert!(spec.contains("hint:"), "{spec}");

    let adapter = fail(&["train", "--adapter", "no such card", "--data", &data, "--out", &out]);
    assert!(adapter.contains("`no such card`") && adapter.contains("found: 0:"), "{adapter}");

    let missing = fail(&["train", "--data", &root, "--out", &out]);
    assert!(missing.contains(&root) && missing.contains("expected"), "{missing}");

    let images = format!("{data}/train-images-idx3-ubyte");
    let bytes = fs::read(&images).unwrap();
    fs::write(&images, &bytes[..bytes.len() - 1]).unwrap();
    let truncated = fail(&["train", "--data", &data, "--out", &out]);
    assert!(truncated.contains(&images), "{truncated}");
    fs::write(&images, bytes).unwrap();

    for (option, value) in [
        ("--learning-rate", "-1"),
        ("--margin", "nan"),
        ("--soft-margin", "0"),
        ("--batch", "1x8"),
        ("--batch", "64"),
        ("--batch", "9x8"),
        ("--steps", "0"),
        ("--ema", "1"),
        ("--clip", "0"),
        ("--weight-decay", "-1"),
        ("--augment", "bend"),
        ("--loss", "circle gamma=1"),
        ("--group", "conv1"),
        ("--validation", "300"),
        ("--train-classes", "0-2"),
        ("--train-classes", "0,9"),
        ("--train-classes", "a"),
        ("--mining", "hardest"),
        ("--schedule", "never"),
        ("--epochs", "3074457345618258603"),
        ("--images", "18446744073709551615"),
        ("--steps", "9007199254740992"),
        ("--batch", "4294967296x4294967296"),
        ("--batch", "18446744073709551615"),
        ("--input", "4294967296x1x1"),
        ("--input", "4294967296x4294967296x1"),
        ("--input", "65536x65536x3"),
        ("--train-classes", "0-4294967295"),
    ] {
        let words = fail(&["train", "--data", &data, "--out", &out, &format!("{option}={value}")]);
        assert!(words.contains(option), "{words}");
    }
    let watched = ["train", "--data", &data, "--out", &out, "--batch", "4x8", "--validation", "32"];
    let patience = ["--validate-every", "2", "--patience", "9223372036854775808"];
    assert!(fail(&[watched.as_slice(), &patience].concat()).contains("--patience"));
    for command in ["train", "plan"] {
        let spec = ["--spec", "conv65536 relu dense8 l2", "--mining", "random", "--batch", "400"];
        let words = fail(&[[command, "--data", &data].as_slice(), &spec].concat());
        assert!(words.contains("--batch") && words.contains("`conv1`"), "{command}: {words}");
    }
    // What does not go together is said before a set is looked for.
    for (options, words) in [
        (["--loss", "supcon", "--margin", "0.2"], "--margin: belongs to the triplet loss"),
        (["--preset", "pictures", "--mining", "batch-all"], "--mining: belongs to the triplet loss"),
        (["--loss", "supcon", "--batch", "64"], "--batch: a batch is labels x images"),
    ] {
        let said = fail(&[["train", "--data", "/nowhere"].as_slice(), &options].concat());
        assert!(said.contains(words), "{said}");
    }
    assert!(fail(&["bench", "--data", "/nowhere", "--batch", "64"]).contains("--batch: mining takes labels x images"));
    assert!(fail(&["train", "--preset", "resnet"]).contains("cnn, notebook, best"));
    assert!(fail(&["train", "--resume", "--out", &out, "--seed", "1"]).contains("--seed"));
    assert!(!Path::new(&out).exists(), "nothing was made for a run that did not start");
}

#[test]
fn no_driver_says_how_to_get_one() {
    let output = siamese(&["adapters"])
        .env("VK_DRIVER_FILES", "/nowhere.json")
        .env("VK_ICD_FILENAMES", "/nowhere.json")
        .env("LIBGL_DRIVERS_PATH", "/nowhere")
        .env("__EGL_VENDOR_LIBRARY_FILENAMES", "/nowhere.json")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    let words = text(&output.stderr);
    assert!(words.contains("none was found") && words.contains("scripts/setup.sh"), "{words}");
}

#[test]
fn bad_checkpoints_are_refused() {
    let (_folder, root, data) = place();
    let out = format!("{root}/run");
    succeed(&["train", "--spec", SPEC, "--data", &data, "--steps", "1", "--batch", "2x4", "--out", &out]);
    let file = format!("{out}/checkpoint.safetensors");
    let bytes = fs::read(&file).unwrap();
    for (name, content) in [("cut", &bytes[..bytes.len() / 2]), ("empty", &[]), ("text", b"no tensors here at all")] {
        let bad = format!("{root}/{name}.safetensors");
        fs::write(&bad, content).unwrap();
        let words = fail(&["eval", &bad, "--data", &data]);
        assert!(words.contains(&bad) && words.contains("safetensors"), "{words}");
    }
    let words = fail(&["eval", &format!("{root}/nothing")]);
    assert!(words.contains("cannot read"), "{words}");
    // Weights of another program say nothing of their data.
    let [exported, imported] = ["exported", "imported"].map(|name| format!("{root}/{name}.safetensors"));
    succeed(&["export", &out, "--out", &exported]);
    succeed(&["import", &exported, "--spec", SPEC, "--input", "8x8x1", "--out", &imported]);
    let words = fail(&["eval", &imported]);
    assert!(words.contains("[28, 28, 1]") && words.contains("[8, 8, 1]"), "{words}");
}

/// The bytes of a safetensors file with another header, in which `edit` changes what the program says of itself, and
/// the tensors; none of them where `values` are given, which are then what the file holds.
fn crafted(bytes: &[u8], edit: impl Fn(&mut Value, &mut Value), values: Option<&[u8]>) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut tensors: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut metadata = tensors["__metadata__"].take();
    let mut own: Value = serde_json::from_str(metadata["siamese"].as_str().unwrap()).unwrap();
    if values.is_some() {
        tensors = json!({});
    }
    edit(&mut own, &mut tensors);
    metadata["siamese"] = own.to_string().into();
    tensors["__metadata__"] = metadata;
    let header = tensors.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), values.unwrap_or(&bytes[8 + length..])].concat()
}

#[test]
fn crafted_checkpoints_are_refused_by_every_command() {
    let (_folder, root, data) = place();
    let at = |name: &str| format!("{root}/{name}");
    let run_of = |name: &str| format!("{root}/{name}/checkpoint.safetensors");
    succeed(&["train", "--spec", SPEC, "--data", &data, "--steps", "1", "--batch", "2x4", "--out", &at("run")]);
    let whole = fs::read(run_of("run")).unwrap();
    succeed(&["enroll", &at("run"), &at("a.gallery"), "--set", "test", "--take", "first"]);
    let nothing_of = |input: [u64; 3]| {
        move |own: &mut Value, tensors: &mut Value| {
            own["config"]["spec"] = "dense3 l2".into();
            own["input"] = json!(input);
            for (place, prefix) in ["", "adam.m.", "adam.v."].into_iter().enumerate() {
                let of =
                    |shape: Value, range: [usize; 2]| json!({"dtype": "F32", "shape": shape, "data_offsets": range});
                tensors[format!("{prefix}dense1.weight")] = of(json!([3, 0]), [0, 0]);
                tensors[format!("{prefix}dense1.bias")] = of(json!([3]), [12 * place, 12 * place + 12]);
            }
        }
    };
    let batch = |labels: u64, images: u64| {
        move |own: &mut Value, _: &mut Value| {
            own["config"]["batch"] = json!({"mined": {"labels": labels, "images": images, "mining": "semi-hard"}});
        }
    };
    let adam = |key: &'static str, value: f32| {
        move |own: &mut Value, _: &mut Value| own["config"]["update"]["adam"][key] = value.into()
    };
    type Edit = Box<dyn Fn(&mut Value, &mut Value)>;
    let cases: [(&str, Edit, bool); 11] = [
        ("zero", Box::new(nothing_of([0, 0, 1])), true),
        ("flat", Box::new(nothing_of([0, 8, 1])), true),
        ("wrap", Box::new(nothing_of([1 << 32, 1 << 32, 1])), true),
        ("wrap2", Box::new(nothing_of([1 << 32, 1 << 31, 2])), true),
        ("batch", Box::new(batch(1 << 32, 1 << 32)), false),
        ("batch2", Box::new(batch(2, (1 << 63) + 2)), false),
        ("labels", Box::new(|own, _| own["config"]["train_classes"] = json!([])), false),
        ("beta", Box::new(adam("beta1", 5.0)), false),
        ("beta1", Box::new(adam("beta2", 1.0)), false),
        ("epsilon", Box::new(adam("epsilon", -1.0)), false),
        ("steps", Box::new(|own, _| own["config"]["steps"] = u64::MAX.into()), false),
    ];
    for (name, edit, bare) in cases {
        fs::create_dir(at(name)).unwrap();
        let bytes = crafted(&whole, edit, bare.then_some(&[0; 36]));
        fs::write(run_of(name), &bytes).unwrap();
        let (model, gallery) = (at(name), at("a.gallery"));
        for command in [
            ["embed", &model, "--set", "test", "--out", &at("e.npy")].as_slice(),
            &["compare", &model, "--set", "test", "--take", "first"],
            &["cluster", &model, "--set", "test"],
            &["audit", &model, "--set", "test"],
            &["recognize", &model, &gallery, "--set", "test"],
            &["recognize", &model, &gallery, "-"],
            &["enroll", &model, &at("new.gallery"), "--set", "test"],
            &["export", &model, "--out", &at("x.onnx")],
            &["export", &model, "--out", &at("x.safetensors")],
            &["eval", &model],
            &["train", "--out", &model, "--resume"],
            &["train", "--out", &model, "--resume", "--steps", "3"],
        ] {
            let words = fail(command);
            assert!(words.contains("checkpoint.safetensors: "), "{name}, {command:?}: {words}");
        }
        assert!(fs::read(run_of(name)).unwrap() == bytes, "{name}: as it was");
    }
    assert!(["e.npy", "new.gallery", "x.onnx", "x.safetensors"].iter().all(|name| !Path::new(&at(name)).exists()));
}

#[test]
fn tables_are_printed() {
    let plan = succeed(&["plan", "--spec", "conv4 relu pool dense8 l2", "--batch", "2x2"]);
    for word in ["conv2d_dw", "conv1.weight", "adam", "parameters", "buffers"] {
        assert!(plan.contains(word), "{word} in {plan}");
    }
    assert!(succeed(&["plan", "--preset", "notebook", "--infer"]).contains("54400 parameters"));
    // No set is read for a shape by itself, and layers are told in the order of the text.
    let spec = "conv4s2 relu 2*{ add( conv4 relu conv4 | ) relu } dense8 l2";
    let plan = succeed(&["plan", "--spec", spec, "--input", "10x12x3", "--batch", "2x2"]);
    for line in
        ["conv1 conv4s2 relu 5×6×4 112 images", "add2 add relu 5×6×4 0 conv5 add1", "l2 l2 8 of length 1 0 dense1"]
    {
        let found = plan.lines().any(|row| row.split_whitespace().collect::<Vec<_>>().join(" ") == line);
        assert!(found, "no `{line}` in {plan}");
    }
    assert!(succeed(&["adapters"]).contains("backend"));
    for line in events(&succeed(&["adapters", "--json"])) {
        assert!(line["name"].is_string() && line["max_binding"].is_u64(), "{line}");
    }
    for workload in ["w0", "w1-infer", "w3"] {
        let measured = events(&succeed(&["bench", "--workload", workload, "--seconds", "0.01", "--json"]));
        let throughput = measured.last().unwrap();
        assert_eq!((&throughput["event"], &throughput["workload"]), (&"throughput".into(), &workload.into()));
        assert!(throughput["images_per_s"].as_f64().unwrap() > 0.0, "{throughput}");
        let shares: f64 = measured.iter().filter_map(|event| event["share"].as_f64()).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    }
    let check = succeed(&["check", "--kernel", "l2norm", "--adapter", "0"]);
    assert!(check.contains("l2norm_dx") && check.contains("tolerance used"), "{check}");
}

#[test]
fn a_run_says_which_shaders_it_had_and_goes_on_with_them() {
    let (folder, root, data) = place();
    let out = format!("{root}/run");
    let run = |arguments: &[&str]| {
        let common = ["train", "--data", &data, "--adapter", "0", "--out", &out];
        let output = siamese(&[&common, arguments].concat()).env("XDG_CACHE_HOME", folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let manifest: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(format!("{out}/run.json")).unwrap()).unwrap();
        manifest["shaders"].clone()
    };
    let network = ["--spec", "dense16 relu dense8 l2", "--batch", "4x4"];
    let first = run(&[&network[..], &["--steps", "3", "--tune", "off", "--shader", "dense"]].concat());
    let dense = |shaders: &serde_json::Value| {
        let calls = shaders.as_array().unwrap().iter().filter(|call| call[0].as_str().unwrap().starts_with("dense "));
        calls.map(|call| call[1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(dense(&first), ["dense", "dense"]);
    // The shaders of the manifest, not those of the rule.
    let second = run(&["--resume", "--steps", "5"]);
    assert_eq!(second, first);
    assert!(!folder.path().join("siamese").exists(), "nothing was measured");
    run(&["--resume", "--steps", "6", "--tune", "again"]);
    assert!(folder.path().join("siamese/shaders.json").exists());
}
