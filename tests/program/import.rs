//! `siamese import` and `siamese export` as a user runs them: weights go out and come back bit for bit, in every type
//! of real numbers; what is wrong with a file is named.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use half::{bf16, f16};
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::config::{Config, PRESETS, Pixels};
use siamese::net::Net;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::program;

const SPEC: &str = "conv4 relu pool dense8 relu dense4 l2";
const INPUT: [usize; 3] = [9, 8, 3];

fn siamese(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_siamese")).args(arguments).output().expect("the program starts")
}

fn import(weights: &str, out: &str, more: &[&str]) -> Output {
    siamese(&[&["import", weights, "--spec", SPEC, "--input", "9x8x3", "--out", out][..], more].concat())
}

/// Runs a command that must fail with exit code 2; answers its stderr.
fn fail(output: &Output) -> String {
    let words = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(!words.contains("panicked"), "{words}");
    words
}

fn model(folder: &Path) -> (Checkpoint, String) {
    let config = Config { spec: SPEC.to_owned(), average: Some(0.9), ..PRESETS[0].config() };
    let mut model = Checkpoint::initial(&config, &Net::parse(SPEC, INPUT).unwrap());
    // What is rounded to 16 bits at once is exact in each of the types.
    for (place, value) in model.parameters.iter_mut().enumerate() {
        *value = bf16::from_f32(*value + place as f32 / 4096.0).to_f32();
    }
    model.average.as_mut().unwrap().clone_from(&model.parameters);
    model.parameters.fill(0.5);
    let file = folder.join("model.safetensors");
    model.save(&file, Precision::F32).unwrap();
    // Read again: what lies between the tensors of an arena is zero then.
    (Checkpoint::load(&file).unwrap(), file.to_str().unwrap().to_owned())
}

/// A tensor as a file holds it.
type Stored = (Dtype, Vec<usize>, Vec<u8>);

/// The tensors of an exported file.
fn read(file: &str) -> HashMap<String, Stored> {
    let bytes = fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let stored =
        |(name, view): (String, TensorView)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()));
    tensors.tensors().into_iter().map(stored).collect()
}

/// Writes tensors alone, without metadata.
fn write(file: &str, tensors: &HashMap<String, Stored>) {
    let views = tensors
        .iter()
        .map(|(name, (dtype, dims, bytes))| (name, TensorView::new(*dtype, dims.clone(), bytes).unwrap()));
    fs::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn convert(tensors: &HashMap<String, Stored>, dtype: Dtype) -> HashMap<String, Stored> {
    let convert = |(name, (_, dims, bytes)): (&String, &Stored)| {
        let values = bytes.as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word));
        let bytes = match dtype {
            Dtype::F16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
            Dtype::BF16 => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
            Dtype::F64 => values.flat_map(|value| f64::from(value).to_le_bytes()).collect(),
            _ => bytes.clone(),
        };
        (name.clone(), (dtype, dims.clone(), bytes))
    };
    tensors.iter().map(convert).collect()
}

#[test]
fn weights_go_out_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (model, file) = model(folder.path());
    let [out, plain, back] =
        ["out", "plain", "back"].map(|name| format!("{}/{name}.safetensors", folder.path().display()));
    assert!(siamese(&["export", &file, "--out", &out]).status.success());
    let tensors = read(&out);
    for dtype in [Dtype::F32, Dtype::BF16, Dtype::F64] {
        write(&plain, &convert(&tensors, dtype));
        let output = import(&plain, &back, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found = Checkpoint::load(Path::new(&back)).unwrap();
        assert!(found.parameters == model.export().parameters, "{dtype:?}");
        assert_eq!(found.fingerprint(), model.fingerprint(), "{dtype:?}");
    }
    // Not every value is exact in F16.
    write(&plain, &convert(&tensors, Dtype::F16));
    assert!(import(&plain, &back, &["--preset", "notebook"]).status.success());
    let found = Checkpoint::load(Path::new(&back)).unwrap();
    let rounded: Vec<f32> = model.weights().iter().map(|&value| f16::from_f32(value).to_f32()).collect();
    assert!(found.parameters == rounded);
    assert_eq!(
        (found.config.pixels, found.config.spec.as_str()),
        (Pixels::divided_by(256.0), SPEC),
        "the rest is the preset's"
    );
}

#[test]
fn what_is_wrong_with_weights_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_, file) = model(folder.path());
    let [out, plain, back] =
        ["out", "plain", "back"].map(|name| format!("{}/{name}.safetensors", folder.path().display()));
    assert!(siamese(&["export", &file, "--out", &out]).status.success());
    let tensors = read(&out);
    let refused = |change: &dyn Fn(&mut HashMap<String, Stored>), words: &[&str]| {
        let mut tensors = tensors.clone();
        change(&mut tensors);
        write(&plain, &tensors);
        let found = fail(&import(&plain, &back, &[]));
        words.iter().for_each(|word| assert!(found.contains(word), "`{word}` in {found}"));
        assert!(found.contains(&plain) && found.contains("hint:"), "{found}");
        assert!(!Path::new(&back).exists(), "nothing was written");
    };
    let set = |tensors: &mut HashMap<String, Stored>, value: f32| {
        tensors.get_mut("dense1.weight").unwrap().2[40..44].copy_from_slice(&value.to_le_bytes());
    };
    refused(&|tensors| drop(tensors.remove("dense2.bias")), &["`dense2.bias` is missing"]);
    refused(&|tensors| tensors.get_mut("dense2.weight").unwrap().1.reverse(), &["`dense2.weight`", "[8, 4]", "[4, 8]"]);
    let more = || (Dtype::F32, vec![1], vec![0; 4]);
    refused(&|tensors| drop(tensors.insert("dense3.bias".to_owned(), more())), &["`dense3.bias`", "none"]);
    refused(&|tensors| set(tensors, f32::NAN), &["`dense1.weight`", "NaN", "not finite"]);
    refused(&|tensors| set(tensors, f32::INFINITY), &["`dense1.weight`", "inf", "not finite"]);
    refused(&|tensors| tensors.get_mut("conv1.bias").unwrap().0 = Dtype::I32, &["`conv1.bias`", "I32", "BF16"]);

    fs::write(&plain, b"no tensors").unwrap();
    assert!(fail(&import(&plain, &back, &[])).contains("not a whole safetensors file"));
    assert!(fail(&import(&format!("{plain}.none"), &back, &[])).contains("cannot read"));
    let spec = ["import", &out, "--spec", "dense4 l3", "--input", "9x8x3", "--out", &back];
    assert!(fail(&siamese(&spec)).contains("`l3` is no layer"));
}

#[test]
fn the_ending_chooses_what_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let (model, file) = model(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let onnx = |model: &Checkpoint, precision| siamese::onnx::model(model, precision).unwrap();
    let raw = Checkpoint { average: None, ..model.clone() };
    for (options, wanted) in [
        (&[][..], onnx(&model, Precision::F32)),
        (&["--precision", "f16"][..], onnx(&model, Precision::F16)),
        (&["--f16"][..], onnx(&model, Precision::F16)),
        (&["--raw"][..], onnx(&raw, Precision::F32)),
    ] {
        let out = path("model.onnx");
        assert!(siamese(&[&["export", &file, "--out", &out][..], options].concat()).status.success());
        assert!(fs::read(out).unwrap() == wanted, "{options:?}");
    }
    let out = path("model.py");
    assert!(siamese(&["export", &file, "--out", &out]).status.success());
    let text = fs::read_to_string(out).unwrap();
    assert!(text == siamese::torch::source(&model).unwrap(), "{text}");
    assert!(text.contains("class Network(nn.Module)") && text.contains("load_state_dict"), "{text}");
    for name in ["model.pt", "model"] {
        let words = fail(&siamese(&["export", &file, "--out", &path(name)]));
        assert!([".safetensors", ".onnx", ".py", name].iter().all(|word| words.contains(word)), "{words}");
        assert!(!Path::new(&path(name)).exists());
    }
}

/// A folder with a page is made, and made anew; nothing else is written over, and a gallery goes out without its paths.
#[test]
fn a_page_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let (model, file) = model(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [page, gallery, people] = ["page", "a.gallery", "people"].map(path);
    for (number, name) in ["anna", "ben"].into_iter().enumerate() {
        fs::create_dir_all(format!("{people}/{name}")).unwrap();
        let picture =
            image::RgbImage::from_fn(9, 8, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, 90 * number as u8]));
        picture.save(format!("{people}/{name}/1.png")).unwrap();
    }
    assert!(siamese(&["enroll", &file, &gallery, &people, "--threshold", "0.5"]).status.success());
    let export = |more: &[&str]| siamese(&[&["export", &file, "--web", &page][..], more].concat());
    let read = |name: &str| fs::read(format!("{page}/{name}")).unwrap();
    let output = export(&["--gallery", &gallery, "--training"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    // The model does not say on how many classes it was trained.
    assert!(output.status.code() == Some(2) && words.contains("--training"), "{words}");
    assert!(!Path::new(&page).exists());
    let output = export(&["--gallery", &gallery]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("http.server"));
    let plan: serde_json::Value = serde_json::from_slice(&read("plan.json")).unwrap();
    assert_eq!(plan["model"], model.fingerprint());
    assert_eq!((&plan["gallery"], &plan["dims"]), (&"enrolled.gallery".into(), &4.into()));
    assert_eq!(
        plan["plans"].as_array().unwrap().iter().map(|plan| plan["rows"].as_u64()).collect::<Vec<_>>(),
        [Some(1), Some(8)]
    );
    let enrolled = format!("{page}/enrolled.gallery");
    assert!(!String::from_utf8_lossy(&fs::read(&enrolled).unwrap()).contains(&people), "where the pictures lie");
    let answers = [&gallery, &enrolled].map(|gallery| {
        let picture = format!("{people}/ben/1.png");
        let copy = path("who.png");
        image::open(&picture).unwrap().brighten(3).save(&copy).unwrap();
        let output = siamese(&["recognize", &file, gallery, &copy]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    });
    assert!(answers[0] == answers[1] && String::from_utf8_lossy(&answers[0]).contains("ben"));

    let whole = read("weights.bin").len();
    fs::write(format!("{page}/shaders/of_another.wgsl"), "").unwrap();
    assert!(export(&["--precision", "f16"]).status.success());
    assert_eq!(read("weights.bin").len(), whole / 2);
    for name in ["shaders/of_another.wgsl", "enrolled.gallery"] {
        assert!(!Path::new(&format!("{page}/{name}")).exists(), "{name} is of the page before");
    }
    let words = fail(&siamese(&["export", &file, "--web", &people]));
    assert!(words.contains(&people) && words.contains("something else"), "{words}");
    let other = path("other.safetensors");
    let config = Config { seed: 1, ..model.config.clone() };
    Checkpoint::initial(&config, &Net::parse(SPEC, INPUT).unwrap()).save(Path::new(&other), Precision::F32).unwrap();
    let words = fail(&siamese(&["export", &other, "--web", &page, "--gallery", &gallery]));
    assert!(words.contains(&gallery) && words.contains("model"), "{words}");
}

#[test]
fn a_map_brings_names_to_ours() {
    let folder = tempfile::tempdir().unwrap();
    let (model, file) = model(folder.path());
    let [out, theirs, map, back] = ["out.safetensors", "theirs.safetensors", "names.map", "back.safetensors"]
        .map(|name| format!("{}/{name}", folder.path().display()));
    assert!(siamese(&["export", &file, "--out", &out]).status.success());
    let mut tensors: HashMap<_, _> =
        read(&out).into_iter().map(|(name, stored)| (format!("net.{}", name.replace("dense", "fc")), stored)).collect();
    tensors.insert("net.bn1.num_batches_tracked".to_owned(), (Dtype::I64, vec![], vec![0; 8]));
    tensors.insert("net.head.weight".to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
    tensors.insert("net.unused".to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
    write(&theirs, &tensors);
    let lines = "# theirs have other names\n\nconv1.weight = net.conv1.weight\nconv1.bias=net.conv1.bias\n\
                 dense1.weight = net.fc1.weight  # the first\ndense1.bias = net.fc1.bias\n\
                 dense2.weight = net.fc2.weight\ndense2.bias = net.fc2.bias\n";
    let whole = format!("{lines}dense3.weight = net.head.weight\n- = net.unused\n");
    fs::write(&map, &whole).unwrap();
    let output = import(&theirs, &back, &["--map", &map]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && words.contains("left out") && words.contains("dense3.weight"), "{words}");
    let found = Checkpoint::load(Path::new(&back)).unwrap();
    assert_eq!(found.fingerprint(), model.fingerprint());

    fs::remove_file(&back).unwrap();
    for (text, expected) in [
        (lines.to_owned(), "`OURS = net.head.weight`"),
        (whole.replace("conv1.weight = net.conv1.weight", "- = net.conv1.weight"), "`conv1.weight` is missing"),
        (whole.replace("fc2.weight", "gone"), "has no line for tensor `net.fc2.weight`"),
        (
            whole.replace("dense2.weight = net.fc2", "dense9.weight = net.fc2").replace("dense3.w", "dense2.w"),
            "`dense2.weight` (`net.head.weight` in the file) is [1]",
        ),
        (format!("{whole}conv1.bias = net.x"), "names.map:11: `conv1.bias` stands on two lines"),
        (format!("{whole}conv1.bias"), "names.map:11: `conv1.bias` is not as in"),
    ] {
        fs::write(&map, text).unwrap();
        let words = fail(&import(&theirs, &back, &["--map", &map]));
        assert!(words.contains(expected), "`{expected}` in {words}");
        assert!(!Path::new(&back).exists());
    }
}

/// Each name of a map stands for one of the network that it is for.
#[test]
fn maps_are_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/maps");
    let mut seen = 0;
    for file in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        siamese::import::Map::read(&file).unwrap_or_else(|error| panic!("{error}"));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("# ") && text.contains("\nconv1.weight = "), "{}", file.display());
        seen += 1;
    }
    assert!(seen >= 4, "{seen} maps");
}

#[test]
fn a_network_comes_from_an_onnx_file() {
    let folder = tempfile::tempdir().unwrap();
    let (model, file) = model(folder.path());
    let [onnx, back] = ["model.onnx", "back.safetensors"].map(|name| format!("{}/{name}", folder.path().display()));
    assert!(siamese(&["export", &file, "--out", &onnx]).status.success());
    let read = siamese(&["import", &onnx, "--out", &back]);
    let words = String::from_utf8(read.stderr.clone()).unwrap();
    assert!(read.status.success() && words.contains(SPEC), "{words}");
    let found = Checkpoint::load(Path::new(&back)).unwrap();
    assert!(found.parameters == model.export().parameters && found.input == INPUT);
    for (more, expected) in
        [(["--spec", SPEC], "--spec"), (["--map", &file], "--map"), (["--input", "8x8x3"], "[9, 8, 3]")]
    {
        let words = fail(&siamese(&[&["import", &onnx, "--out", &back][..], &more[..]].concat()));
        assert!(words.contains(expected), "`{expected}` in {words}");
    }
    fs::write(&onnx, b"no graph at all").unwrap();
    let words = fail(&siamese(&["import", &onnx, "--out", &back]));
    assert!(words.contains(&onnx) && words.contains("hint:"), "{words}");
}

#[test]
fn a_training_starts_from_others_weights() {
    let (_folder, root, data) = program::place();
    let train = |out: &str, more: &[&str]| {
        let run = ["train", "--adapter", "cpu", "--data", &data, "--steps", "2", "--batch", "4x4", "--out", out];
        program::run(&[&run[..], more].concat())
    };
    let [first, second, third] = ["first", "second", "third"].map(|name| format!("{root}/{name}"));
    let made = train(&first, &["--spec", "conv4 relu pool dense8 l2", "--mean", "30", "--deviation", "60"]);
    assert!(made.status.success(), "{}", program::text(&made.stderr));
    let started = train(&second, &["--from", &first, "--freeze", "conv*"]);
    let words = program::text(&started.stderr);
    assert!(started.status.success() && words.contains("4 of the network's 4 tensors"), "{words}");
    let load = |run: &str| Checkpoint::load(&Path::new(run).join("checkpoint.safetensors")).unwrap();
    let [before, after] = [&first, &second].map(|run| load(run));
    assert_eq!((&after.config.spec, &after.config.pixels), (&before.config.spec, &before.config.pixels));
    let tensors = [&before, &after].map(|model| model.tensors().unwrap());
    for ((tensor, was), (_, is)) in tensors[0].iter().zip(&tensors[1]) {
        assert_eq!(was == is, tensor.name.starts_with("conv"), "{}", tensor.name);
    }
    let head = "conv4 relu pool dense6 l2";
    let started = train(&third, &["--from", &first, "--spec", head]);
    let words = program::text(&started.stderr);
    assert!(
        started.status.success() && words.contains("2 of the network's 4") && words.contains("`dense1.weight`"),
        "{words}"
    );
    for (more, expected) in [
        (["--from", &first, "--spec", "conv9k1 dense9 l2"], "no tensor of"),
        (["--from", &first, "--freeze", "conv7"], "`conv7`"),
        (["--from", &data, "--freeze", "conv1"], "cannot read"),
    ] {
        let out = format!("{root}/none");
        let output = train(&out, &more);
        let words = program::text(&output.stderr);
        assert!(output.status.code() == Some(2) && words.contains(expected), "`{expected}` in {words}");
        assert!(!Path::new(&out).exists(), "nothing was made");
    }
}
