//! From a folder of pictures to recognised ones: the commands that people use after a training, as a user runs them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::program::{SPEC, events, fail, place, run, siamese, small_set, succeed, text};
use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::Value;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::config::PRESETS;
use siamese::data::idx;
use siamese::net::Net;
use siamese::output::Lock;

/// The pictures of an IDX set as PNG files in one folder a class, dark on light: classes 0 to 3.
pub fn as_pictures(idx: &Path, pictures: &Path) {
    let split = idx::load(idx).unwrap();
    for (row, &label) in split.train.labels.iter().enumerate() {
        let folder = pictures.join(label.to_string());
        fs::create_dir_all(&folder).unwrap();
        let side = split.train.width as u32;
        let image = split.train.image(row).unwrap();
        let picture = GrayImage::from_fn(side, side, |x, y| Luma([255 - image[(y * side + x) as usize]]));
        picture.save(folder.join(format!("{row:03}.png"))).unwrap();
    }
}

/// A folder with a data set of pictures, a run trained on it, and their paths as text.
pub fn trained() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let [idx, pictures, model] = ["idx", "pictures", "run"].map(|name| folder.path().join(name));
    fs::create_dir(&idx).unwrap();
    small_set(&idx);
    as_pictures(&idx, &pictures);
    let [pictures, model] = [pictures, model].map(|path| path.to_str().unwrap().to_owned());
    let train = ["train", "--spec", SPEC, "--data", &pictures, "--invert", "--steps", "60", "--batch", "4x12"];
    let evaluation = events(&succeed(&[train.as_slice(), &["--out", &model, "--json"]].concat())).pop().unwrap();
    assert!(evaluation["knn5"].as_f64().unwrap() > 0.9, "four bright quadrants are easy: {evaluation}");
    assert!(Path::new(&model).join("report.html").exists());
    (folder, pictures, model)
}

/// The lines of a table: name and the cells behind it.
fn table(stdout: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = stdout.lines().map(|line| line.split_once('\t').unwrap_or_else(|| panic!("no table: {line}")));
    rows.map(|(name, cells)| (name, cells.split('\t').collect())).collect()
}

#[test]
fn pictures_are_trained_on_enrolled_and_recognised() {
    let (folder, pictures, model) = trained();
    let gallery = format!("{}/shapes.gallery", folder.path().display());

    // One picture of each class; all the others are theirs.
    succeed(&["enroll", &model, &gallery, &pictures, "--take", "first"]);
    let output = run(&["recognize", &model, &gallery, &pictures]);
    let (stdout, words) = (text(&output.stdout), text(&output.stderr));
    let answers = table(&stdout);
    assert_eq!(answers.len(), 296, "300 pictures, four of them enrolled");
    assert!(words.contains("4 images are enrolled themselves") && words.contains("no threshold"), "{words}");
    let right = answers.iter().filter(|(name, cells)| name.contains(&format!("/{}/", cells[0]))).count();
    assert!(right > 280, "{right} of 296 are right");
    assert!(words.contains(&format!("{:.2} %", 100.0 * right as f64 / 296.0)), "{words}");

    // A picture of no class, and the same by way of stdin.
    let single = format!("{pictures}/2/{}", some_file(&format!("{pictures}/2"), 1));
    let alone = succeed(&["recognize", &model, &gallery, &single]);
    assert!(alone.starts_with(&format!("{single}\t2\t")), "{alone}");
    let mut child =
        siamese(&["recognize", &model, &gallery, "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{single}").unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), alone);

    // Nearer than any stranger: all are unknown.
    let strict = succeed(&["recognize", &model, &gallery, &pictures, "--threshold", "0"]);
    assert!(table(&strict).iter().all(|(_, cells)| cells[0] == "unknown"), "{strict}");
}

/// Two classes that differ in colour alone, of many sizes.
#[test]
fn colour_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let [pictures, model, gallery] = ["pictures", "run", "a.gallery"].map(|name| folder.path().join(name));
    for (class, red) in [("cold", 0), ("warm", 1)] {
        fs::create_dir_all(pictures.join(class)).unwrap();
        for n in 0..30_u32 {
            let colour = |x: u32, y: u32| {
                let noise = ((x * 31 + y * 17 + n * 7) % 40) as u8;
                Rgb(if red == 1 { [160 + noise, 60 + noise, 60] } else { [60, 60 + noise, 160 + noise] })
            };
            let picture = RgbImage::from_fn(6 + n % 5, 6 + n % 3, colour);
            picture.save(pictures.join(class).join(format!("{n}.png"))).unwrap();
        }
    }
    let [pictures, model, gallery] = [&pictures, &model, &gallery].map(|path| path.to_str().unwrap());
    let train = ["train", "--spec", SPEC, "--data", pictures, "--input", "8x8x3", "--steps", "30", "--batch", "2x8"];
    succeed(&[train.as_slice(), &["--out", model]].concat());
    succeed(&["enroll", model, gallery, pictures, "--take", "first"]);
    let answers = succeed(&["recognize", model, gallery, pictures]);
    let answers = table(&answers);
    assert_eq!(answers.len(), 58);
    assert!(answers.iter().all(|(name, cells)| name.contains(cells[0])), "{answers:?}");
    succeed(&["export", model, "--out", &format!("{model}/colour.onnx")]);
}

/// Of well-apart classes the pictures with wrong labels come first, in the table and on the page.
#[test]
fn wrong_labels_are_found() {
    let (folder, pictures, model) = trained();
    let wrong = folder.path().join("wrong");
    let mut planted = Vec::new();
    for class in fs::read_dir(&pictures).unwrap().map(|entry| entry.unwrap().file_name()) {
        let own = Path::new(&pictures).join(&class);
        fs::create_dir_all(wrong.join(&class)).unwrap();
        for (place, file) in fs::read_dir(&own).unwrap().take(12).enumerate() {
            let file = file.unwrap().file_name();
            // One of the first class lies in the folder of the second, called by both.
            let (to, name) = match (place, class.to_str().unwrap()) {
                (0, "0") => ("1", "wrong-<b>.png"),
                _ => (class.to_str().unwrap(), file.to_str().unwrap()),
            };
            fs::create_dir_all(wrong.join(to)).unwrap();
            fs::copy(own.join(&file), wrong.join(to).join(name)).unwrap();
            planted.extend(name.starts_with("wrong").then(|| wrong.join(to).join(name)));
        }
    }
    let (wrong, page) = (wrong.to_str().unwrap(), folder.path().join("audit.html"));
    let planted = planted[0].to_str().unwrap();
    let found = events(&succeed(&["audit", &model, wrong, "--json", "--out", page.to_str().unwrap()]));
    assert_eq!(found[0]["name"], planted, "{}", found[0]);
    assert!(found[0]["score"].as_f64() > Some(0.5) && found[0]["identity"] == "1" && found[0]["other"] == "0");
    assert!(found.is_sorted_by_key(|event| -event["score"].as_f64().unwrap()));
    let table = succeed(&["audit", &model, wrong]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    assert!(lines.len() == 1 + found.len() && lines.iter().all(|cells| cells.len() == 6), "{table}");
    assert_eq!((lines[1][1], lines[1][2], lines[1][4]), (planted, "1", "0"));
    let html = fs::read_to_string(page).unwrap();
    assert!(html.contains("wrong-&lt;b&gt;.png") && !html.contains("<b>.png"), "names are no markup");
    assert_eq!(html.matches("<tr><td").count(), found.len().min(100));
    assert!(!html.contains("{{") && !html.contains("<script") && !html.contains("http:"));
    assert!(fail(&["audit", &model, &format!("{wrong}/0")]).contains("two identities"));
}

fn some_file(folder: &str, place: usize) -> String {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names[place].to_str().unwrap().to_owned()
}

#[test]
fn an_open_set_is_calibrated_and_judged() {
    let (folder, pictures, model) = trained();
    let gallery = format!("{}/open.gallery", folder.path().display());
    let enroll = ["enroll", &model, &gallery, &pictures, "--classes", "0-2", "--take", "random", "--per-class", "3"];
    let calibrate = ["--far", "0.05", "--calibrate", &pictures];
    let words = text(&run(&[enroll.as_slice(), &calibrate].concat()).stderr);
    assert!(words.contains("3 identities, 9 images") && words.contains("for a FAR of 0.05"), "{words}");
    let judged = events(&succeed(&["recognize", &model, &gallery, &pictures, "--json"])).pop().unwrap();
    assert_eq!(judged["event"], "recognition");
    assert_eq!(judged["known"].as_u64().unwrap() + judged["unknown"].as_u64().unwrap(), 291);
    let far = judged["far"]["share"].as_f64().unwrap();
    assert!(far <= 0.05, "calibrated on these very images: {judged}");
    assert!(judged["right"]["share"].as_f64().unwrap() > 0.8, "{judged}");

    // Extended without any training, then one identity less.
    let words = text(&run(&["enroll", &model, &gallery, &format!("{pictures}/3"), "--identity", "new one"]).stderr);
    assert!(words.contains("calibrate again") && words.contains("no threshold"), "{words}");
    let words = text(&run(&["enroll", &model, &gallery, "--remove", "1", "--centroid"]).stderr);
    assert!(words.contains("3 identities"), "{words}");
    let answers = events(&succeed(&["recognize", &model, &gallery, &pictures, "--classes", "3", "--json"]));
    assert!(answers.is_empty(), "all are enrolled: {answers:?}");
    let names = events(&succeed(&["recognize", &model, &gallery, &pictures, "--json", "--nearest", "2"]));
    let found: BTreeMap<String, usize> =
        names.iter().filter_map(|answer| answer["nearest"].as_str()).fold(BTreeMap::new(), |mut found, name| {
            *found.entry(name.to_owned()).or_default() += 1;
            found
        });
    assert!(!found.contains_key("1") && found.contains_key("0"), "{found:?}");
}

#[test]
fn distances_are_compared() {
    let (_folder, pictures, model) = trained();
    let matrix = succeed(&["compare", &model, &pictures, "--take", "first", "--per-class", "2"]);
    let rows = table(&matrix);
    assert_eq!(rows.len(), 9, "a head and eight pictures");
    let value = |row: usize, column: usize| rows[row + 1].1[column].parse::<f64>().unwrap();
    for row in 0..8 {
        assert_eq!(value(row, row), 0.0);
        for column in 0..8 {
            assert_eq!(value(row, column), value(column, row));
            let same = row / 2 == column / 2;
            assert!(same || value(row, column) > 0.2, "{row} and {column}: {}", value(row, column));
        }
    }
    let pairs = events(&succeed(&["compare", &model, &pictures, "--take", "first", "--json"]));
    assert_eq!(pairs.len(), 6, "four pictures");
}

#[test]
fn embeddings_are_written_and_grouped() {
    let (folder, pictures, model) = trained();
    let out = |name: &str| format!("{}/{name}", folder.path().display());
    succeed(&["embed", &model, &pictures, "--out", &out("all.csv")]);
    let all = fs::read_to_string(out("all.csv")).unwrap();
    assert_eq!(all.lines().count(), 301, "a head and a line a picture");

    let words = text(&run(&["embed", &model, &pictures, "--out", &out("i8.npy"), "--precision", "i8"]).stderr);
    assert!(words.contains("8 bytes each") && words.contains("MAP@R"), "{words}");
    succeed(&["embed", &model, &pictures, "--take", "first", "--out", &out("projector")]);
    assert!(folder.path().join("projector/sprite.png").exists());
    assert!(fail(&["embed", &model, &pictures, "--out", &out("e.txt")]).contains("--out"));

    let words = text(&run(&["cluster", &model, &pictures, "--clusters", "4"]).stderr);
    assert!(words.contains("4 clusters") && ["AMI 0.9", "AMI 1.0"].iter().any(|ami| words.contains(ami)), "{words}");
    let found = events(&succeed(&["cluster", &model, &pictures, "--method", "dbscan", "--json"]));
    assert_eq!(found.len(), 301, "one an image, and how far they agree");
    assert!(fail(&["cluster", &model, &pictures, "--method", "dbscan", "--clusters", "4"]).contains("--clusters"));
}

#[test]
fn galleries_are_guarded() {
    let (folder, pictures, model) = trained();
    let root = folder.path().display();
    let (gallery, other) = (format!("{root}/a.gallery"), format!("{root}/other"));
    succeed(&["enroll", &model, &gallery, &pictures, "--take", "first"]);
    let whole = fs::read(&gallery).unwrap();

    let train = ["train", "--spec", SPEC, "--data", &pictures, "--steps", "1", "--batch", "2x2", "--out", &other];
    succeed(&train);
    for command in ["enroll", "recognize"] {
        let words = fail(&[command, &other, &gallery, &pictures]);
        assert!(words.contains("a.gallery") && words.contains("model"), "{words}");
    }

    for command in ["enroll", "recognize"] {
        let words = fail(&[command, &model, &gallery, &pictures, "--flip"]);
        assert!(words.contains("a.gallery") && words.contains("--flip made none"), "{words}");
    }
    let flipped = format!("{root}/flipped.gallery");
    succeed(&["enroll", &model, &flipped, &pictures, "--take", "first", "--flip"]);
    succeed(&["recognize", &model, &flipped, &pictures, "--flip"]);
    let words = fail(&["recognize", &model, &flipped, &pictures]);
    assert!(words.contains("flipped.gallery") && words.contains("made with --flip"), "{words}");

    let lock = Lock::take(Path::new(&gallery)).unwrap();
    let words = fail(&["enroll", &model, &gallery, &pictures]);
    assert!(words.contains("a.gallery") && words.contains("another program"), "{words}");
    drop(lock);
    let lock = Lock::take(&Path::new(&model).join("checkpoint.safetensors")).unwrap();
    let words = fail(&["train", "--resume", "--out", &model, "--data", &pictures, "--steps", "61"]);
    assert!(words.contains("another program"), "{words}");
    drop(lock);

    fs::write(format!("{root}/broken.png"), "no picture").unwrap();
    let words = fail(&["enroll", &model, &gallery, &format!("{root}/broken.png"), "--identity", "x"]);
    assert!(words.contains("broken.png"), "{words}");
    let words =
        fail(&["enroll", &model, &gallery, &format!("{pictures}/1/{}", some_file(&format!("{pictures}/1"), 2))]);
    assert!(words.contains("--identity"), "{words}");
    assert!(fail(&["enroll", &model, &gallery, "--remove", "nobody"]).contains("`nobody`"));
    assert!(fail(&["enroll", &model, &gallery]).contains("IMAGES"));
    assert!(fail(&["recognize", &model, &format!("{root}/none.gallery"), &pictures]).contains("none.gallery"));
    assert!(fail(&["enroll", &model, &gallery, "--far", "1e-9", "--calibrate", &pictures]).contains("impostors"));
    for threshold in ["--threshold=nan", "--threshold=-1"] {
        assert!(fail(&["enroll", &model, &gallery, threshold]).contains("--threshold"));
        assert!(fail(&["recognize", &model, &gallery, &pictures, threshold]).contains("--threshold"));
    }
    assert!(fail(&["train", "--data", &format!("{pictures}/1"), "--out", &other]).contains("expected"));
    assert!(fs::read(&gallery).unwrap() == whole, "none of these changed the gallery");
}

#[cfg(not(feature = "postgres"))]
#[test]
fn databases_take_a_feature() {
    let (_folder, root, model) = untrained(SPEC, |_| ());
    let url = "postgres://ann:geheim@host/db?gallery=a";
    for arguments in
        [["enroll", &model, url, &root].as_slice(), &["recognize", &model, url, &root], &["gallery", "copy", url, "a"]]
    {
        let words = fail(arguments);
        assert!(words.contains("--features postgres") && !words.contains("geheim"), "{words}");
    }
    // As a picture, by mistake.
    let words = fail(&["compare", &model, url, url]);
    assert!(words.contains("postgres://ann@host/db") && !words.contains("geheim"), "{words}");
    let words = fail(&["enroll", &model, &format!("{root}/a.gallery"), "--index", "hnsw"]);
    assert!(words.contains("--index") && words.contains("searched exactly"), "{words}");
}

/// A model that was never trained, for images of 8×8 grey pixels, and the path of a folder in which it lies.
fn untrained(spec: &str, change: impl Fn(&mut Checkpoint)) -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = PRESETS[0].config();
    config.spec = spec.to_owned();
    let mut model = Checkpoint::initial(&config, &Net::parse(spec, [8, 8, 1]).unwrap()).export();
    change(&mut model);
    let root = folder.path().to_str().unwrap().to_owned();
    let path = format!("{root}/model.safetensors");
    model.save(Path::new(&path), Precision::F32).unwrap();
    (folder, root, path)
}

/// Saves a grey picture whose pixels follow from `seed`.
fn picture(path: &str, seed: u32) {
    fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    GrayImage::from_fn(8, 8, |x, y| Luma([((x * 37 + y * 59 + seed * 101) % 251) as u8])).save(path).unwrap();
}

/// Runs a command with `input` on its standard input.
fn piped(arguments: &[&str], input: &[u8]) -> Output {
    let pipe = Stdio::piped;
    let mut child = siamese(arguments).stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Of a network without l2, whose weights let a white picture overflow and not a black one.
#[test]
fn embeddings_that_cannot_be_compared_are_refused_by_name() {
    let (_folder, _, model) = untrained("dense2", |_| ());
    let words = fail(&["eval", &model, "--flip"]);
    assert!(words.contains("--flip") && words.contains("`l2`") && words.contains("dense2"), "{words}");
    let (_folder, root, model) = untrained("dense2", |model| model.parameters[..128].fill(1e37));
    let at = |name: &str| format!("{root}/{name}");
    let [black, white, long] = [("black.png", 0), ("white.png", 255), ("long.png", 1)].map(|(name, value)| {
        GrayImage::from_pixel(8, 8, Luma([value])).save(at(name)).unwrap();
        at(name)
    });
    let gallery = at("a.gallery");
    succeed(&["enroll", &model, &gallery, &black, "--identity", "night"]);
    let whole = fs::read(&gallery).unwrap();
    for (bad, reason) in
        [(&white, "white.png: its embedding is not finite"), (&long, "long.png: its embedding is 3.5e36 long")]
    {
        for command in [
            ["recognize", &model, &gallery, bad].as_slice(),
            &["enroll", &model, &gallery, bad, "--identity", "day"],
            &["enroll", &model, &at("new.gallery"), bad, "--identity", "day"],
            &["compare", &model, &black, bad],
            &["cluster", &model, &black, bad],
            &["cluster", &model, &black, bad, "--method", "dbscan"],
            &["embed", &model, &black, bad, "--out", &at("e.npy")],
        ] {
            let output = run(command);
            assert_eq!(output.status.code(), Some(2), "{command:?}");
            let words = text(&output.stderr);
            assert!(words.contains(reason) && words.contains("hint: train again"), "{command:?}: {words}");
            assert!(output.stdout.is_empty(), "{command:?}");
        }
    }
    assert!(fs::read(&gallery).unwrap() == whole);
    assert!(!Path::new(&at("e.npy")).exists() && !Path::new(&at("new.gallery")).exists());

    // The same in another file is another picture.
    GrayImage::new(8, 8).save(at("dark.bmp")).unwrap();
    let list = format!("{white}\n{long}\n{root}/dark.bmp\n");
    let output = piped(&["recognize", &model, &gallery, "-"], list.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), format!("{root}/dark.bmp\tnight\t0.0000\t-\n"));
    assert!(text(&output.stderr).contains("2 of 3 pictures could not be used"));
}

#[test]
fn a_stream_answers_all_that_can_be_read() {
    let (_folder, root, model) = untrained(SPEC, |_| ());
    let at = |name: &str| format!("{root}/{name}");
    for (place, name) in ["a.png", "b.png", "c.png", "line\nbreak.png"].into_iter().enumerate() {
        picture(&at(name), place as u32);
    }
    fs::write(at("broken.png"), "no picture").unwrap();
    let gallery = at("a.gallery");
    succeed(&["enroll", &model, &gallery, &at("c.png"), "--identity", "c"]);
    let recognize = ["recognize", &model, &gallery, "-"];
    let answered = |output: &Output| -> Vec<String> {
        text(&output.stdout).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };

    let list = format!("{root}/a.png\n{root}/broken.png\n{root}/none.png\n\n{root}\n{root}/c.png\n{root}/b.png");
    let output = piped(&recognize, list.as_bytes());
    let words = text(&output.stderr);
    assert_eq!((output.status.code(), answered(&output)), (Some(1), vec![at("a.png"), at("b.png")]), "{words}");
    for part in ["broken.png", "none.png: found nothing there", "an empty line (4)", "4 of 7 pictures"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert!(words.contains("1 images are enrolled themselves and left out"), "{words}");
    let output = piped(&[recognize.as_slice(), &["--json"]].concat(), list.as_bytes());
    let found = events(&text(&output.stdout));
    let kinds: Vec<_> = found.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["answer", "error", "error", "error", "error", "answer"]);
    assert!(found[1]["source"] == at("broken.png") && found[1]["error"].as_str().unwrap().contains("broken.png"));

    // Lists as Windows writes them, and names with NUL between, in which anything else may stand.
    let list = format!("\u{feff}{root}/a.png\r\n{root}/b.png\r\n");
    let output = piped(&recognize, list.as_bytes());
    assert_eq!((output.status.code(), answered(&output)), (Some(0), vec![at("a.png"), at("b.png")]));
    let list = format!("{root}/a.png\0{root}/line\nbreak.png\0{root}/b.png\0");
    let output = piped(&recognize, list.as_bytes());
    let expected = vec![at("a.png"), at("line\\nbreak.png"), at("b.png")];
    assert_eq!((output.status.code(), answered(&output)), (Some(0), expected));
    assert_eq!(piped(&recognize, b"").status.code(), Some(0));

    #[cfg(unix)]
    {
        let name = [root.as_bytes(), b"/caf\xe9.png"].concat();
        let copy: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(&name);
        fs::copy(at("b.png"), copy).unwrap();
        let output = piped(&recognize, &[&name, b"\n".as_slice(), at("a.png").as_bytes()].concat());
        assert_eq!((output.status.code(), answered(&output).len()), (Some(0), 2), "{}", text(&output.stderr));
    }
}

#[test]
fn one_picture_that_cannot_be_read_keeps_no_other_from_its_answer() {
    let (_folder, root, model) = untrained(SPEC, |_| ());
    let at = |name: &str| format!("{root}/{name}");
    for (place, name) in ["set/x/1.png", "set/x/2.png", "set/y/1.png", "set/y/2.png"].into_iter().enumerate() {
        picture(&at(name), place as u32);
    }
    picture(&at("other.png"), 9);
    let (gallery, set, none) = (at("a.gallery"), at("set"), at("none.png"));
    succeed(&["enroll", &model, &gallery, &at("other.png"), "--identity", "other"]);
    fs::write(at("set/x/broken.png"), "no picture").unwrap();
    for (command, lines) in [
        (["recognize", &model, &gallery, &set, &none].as_slice(), 4),
        (&["compare", &model, &set, &none], 5),
        (&["cluster", &model, &set, &none], 4),
        (&["embed", &model, &set, &none, "--out", &at("e.csv")], 0),
        (&["enroll", &model, &gallery, "--far", "0.4", "--calibrate", &set], 0),
        (&["enroll", &model, &gallery, &set], 0),
    ] {
        let output = run(command);
        let words = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {words}");
        assert_eq!(text(&output.stdout).lines().count(), lines, "{command:?}");
        assert!(words.contains("x/broken.png"), "{command:?}: {words}");
        let count = if command.contains(&none.as_str()) { "2 of 6 pictures" } else { "1 of 5 pictures" };
        assert!(words.contains(count), "{command:?}: {words}");
    }
    assert_eq!(fs::read_to_string(at("e.csv")).unwrap().lines().count(), 5);
    assert!(text(&run(&["enroll", &model, &gallery, "--remove", "x"]).stderr).contains("2 identities, 3 images"));
    let found = run(&["compare", &model, &set, "--json"]);
    assert_eq!(events(&text(&found.stdout))[0]["event"], "error");
    assert!(fail(&["cluster", &model, &at("set/x/broken.png"), &none]).contains("no image is left"));

    // No name speaks to the terminal.
    for command in [["cluster", &model, "\u{1b}[2Jnone.png"], ["export", "\u{1b}[2Jnone", "--out=x.onnx"]] {
        let words = fail(&command);
        assert!(words.contains("\\u{1b}[2Jnone") && !words.contains('\u{1b}'), "{words}");
    }
}

#[test]
fn pictures_are_known_by_what_they_show() {
    let (_folder, root, model) = untrained(SPEC, |_| ());
    let at = |name: &str| format!("{root}/{name}");
    for (place, name) in ["set/x/1.png", "set/x/2.png", "set/y/1.png"].into_iter().enumerate() {
        picture(&at(name), place as u32);
    }
    let (gallery, set, x1) = (at("a.gallery"), at("set"), at("set/x/1.png"));
    succeed(&["enroll", &model, &gallery, &set]);

    // Under another spelling, a copy, a list: the same pictures.
    fs::copy(&x1, at("copy.png")).unwrap();
    for name in [format!("{root}/./set"), at("copy.png")] {
        let output = run(&["recognize", &model, &gallery, &name]);
        assert!(output.stdout.is_empty() && text(&output.stderr).contains("enrolled themselves"), "{name}");
    }
    let words = text(&run(&["enroll", &model, &gallery, &format!("{root}/./set")]).stderr);
    assert!(words.contains("3 images were enrolled already") && words.contains("2 identities, 3 images"), "{words}");

    // As another's it is refused, with the name of whose it is; the others of the list are enrolled.
    picture(&at("new.png"), 7);
    let output = run(&["enroll", &model, &gallery, &at("copy.png"), &at("new.png"), "--identity", "z"]);
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains(&format!("copy.png: it is enrolled as a picture of `x`, by the name {x1}")), "{words}");
    assert!(words.contains("3 identities, 4 images") && words.contains("1 of 2 pictures"), "{words}");

    // What was overwritten is a new picture.
    picture(&x1, 8);
    assert!(succeed(&["recognize", &model, &gallery, &x1]).starts_with(&x1));
    let words = text(&run(&["enroll", &model, &gallery, &x1, "--identity", "y"]).stderr);
    assert!(words.contains("3 identities, 5 images"), "{words}");

    // Two names that differ in what is not UTF-8 are two.
    #[cfg(unix)]
    for (byte, seed) in [(0xe8, 20), (0xe9, 21)] {
        let name: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(vec![byte, b'.', b'p', b'n', b'g']);
        picture(&at("latin.png"), seed);
        fs::create_dir_all(at("latin")).unwrap();
        fs::rename(at("latin.png"), Path::new(&at("latin")).join(name)).unwrap();
    }
    #[cfg(unix)]
    {
        let words = text(&run(&["enroll", &model, &gallery, &at("latin"), "--identity", "latin"]).stderr);
        assert!(words.contains("4 identities, 7 images"), "{words}");
    }

    // Names that differ in capitals are two, which is said.
    let words = text(&run(&["enroll", &model, &gallery, &at("new.png"), "--identity", "Z"]).stderr);
    assert!(words.contains("new.png: it is enrolled as a picture of `z`"), "{words}");
    picture(&at("newer.png"), 30);
    let words = text(&run(&["enroll", &model, &gallery, &at("newer.png"), "--identity", "Z"]).stderr);
    assert!(words.contains("`z` and `Z` are two identities"), "{words}");
    picture(&at("newest.png"), 31);
    let words = text(&run(&["enroll", &model, &gallery, &at("newest.png"), "--identity", "unknown"]).stderr);
    assert!(words.contains("an identity is called `unknown`"), "{words}");

    // Calibrating on no other than the enrolled.
    let words = fail(&["enroll", &model, &gallery, "--far", "0.5", "--calibrate", &format!("{root}/set/../set")]);
    assert!(words.contains("--calibrate: all 3 images are enrolled themselves"), "{words}");

    // Rows of two sets of one name and other images.
    for (place, name) in ["p/set", "q/set"].into_iter().enumerate() {
        fs::create_dir_all(at(name)).unwrap();
        small_set(Path::new(&at(name)));
        let images = Path::new(&at(name)).join("t10k-images-idx3-ubyte");
        let mut bytes = fs::read(&images).unwrap();
        bytes[16..].iter_mut().for_each(|value| *value ^= place as u8);
        fs::write(images, bytes).unwrap();
    }
    let rows = at("rows.gallery");
    succeed(&["enroll", &model, &rows, "--set", "test", "--data", &at("p/set"), "--other-data"]);
    for (set, answers) in [("p/set", 0), ("q/set", 120)] {
        let found = succeed(&["recognize", &model, &rows, "--set", "test", "--data", &at(set), "--other-data"]);
        assert_eq!(found.lines().count(), answers, "{set}");
    }
}

#[test]
fn options_that_do_nothing_are_refused() {
    let (_folder, root, model) = untrained(SPEC, |_| ());
    let at = |name: &str| format!("{root}/{name}");
    for (place, name) in ["set/x/1.png", "set/x/2.png", "set/2019-2021/1.png"].into_iter().enumerate() {
        picture(&at(name), place as u32);
    }
    let (gallery, set) = (at("a.gallery"), at("set"));
    succeed(&["enroll", &model, &gallery, &set, "--take", "first"]);
    let recognize = |more: &[&str]| fail(&[["recognize", &model, &gallery].as_slice(), more].concat());
    for choice in [["--take", "first"], ["--classes", "x"], ["--take", "random"]] {
        let words = recognize(&[&["-"], choice.as_slice()].concat());
        assert!(words.contains(choice[0]) && words.contains("standard input"), "{words}");
    }
    assert!(recognize(&["-", &set]).contains("stands alone"));
    for (command, option) in [
        (["enroll", &model, &gallery, &set, "--per-class", "2"].as_slice(), "--take"),
        (&["enroll", &model, &gallery, &set, "--seed", "2"], "--take"),
        (&["enroll", &model, &gallery, &set, "--take", "first", "--seed", "2"], "--seed"),
        (&["enroll", &model, &gallery, &set, "--take", "all", "--per-class", "2"], "--per-class"),
        (&["enroll", &model, &gallery, &set, "--take", "first", "--per-class", "0"], "--per-class"),
        (&["enroll", &model, &gallery, &set, "--data", &set], "--data"),
        (&["enroll", &model, &gallery, "--remove", "x", "--identity", "y"], "IMAGES"),
        (&["enroll", &model, &gallery, "--remove", "x", "--classes", "y"], "IMAGES"),
        (&["compare", &model, &set, "--set", "test"], "--set"),
        (&["cluster", &model, &set, "--min-images", "3"], "--min-images"),
        (&["cluster", &model, &set, "--method", "dbscan", "--clusters", "3"], "--clusters"),
        (&["cluster", &model, &set, "--clusters", "0"], "--clusters"),
        (&["cluster", &model, &set, "--clusters", "4"], "--clusters: 3 images"),
        (&["enroll", &model, &gallery, &set, "--identity", ""], "--identity"),
        (&["cluster", &model, &set, "--method", "dbscan", "--min-images", "0"], "--min-images"),
        (&["bench", "--seconds", "nan"], "--seconds"),
        (&["bench", "--seconds", "0"], "--seconds"),
        (&["bench", "--infer", "--mining", "random"], "--mining"),
        (&["bench", "--workload", "w1-infer", "--precision", "f16"], "--precision"),
        (&["bench", "--workload", "w1-infer", "--precision", "f16-matrix"], "--precision"),
        (&["bench", "--workload", "w0", "--adapter", "cpu", "--precision", "f16-matrix"], "--precision"),
        (&["plan", "--infer", "--batch", "2x2"], "--batch"),
        (&["check", "--kernel", "none of them"], "--kernel"),
    ] {
        let words = fail(command);
        assert!(words.contains(option), "{command:?}: {words}");
    }

    // A class may be called like a range; a range ends at the first class that is missing, however long.
    let rows = succeed(&["compare", &model, &set, "--classes", "2019-2021"]);
    assert_eq!(rows.lines().count(), 2);
    for part in ["0-4294967295", "3-1", "z"] {
        let words = fail(&["compare", &model, &set, "--classes", part]);
        assert!(words.contains("--classes") && words.contains("there are 2019-2021, x"), "{words}");
    }
}

#[test]
fn nothing_of_another_kind_is_overwritten() {
    let (folder, pictures, model) = trained();
    let at = |name: &str| format!("{model}/{name}");
    let all = || -> BTreeMap<_, _> {
        let files = fs::read_dir(&model).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    };
    let before = all();
    let weights = format!("{}/weights.safetensors", folder.path().display());
    succeed(&["export", &model, "--out", &weights]);
    for (arguments, target) in [
        (["export", &model, "--out"].as_slice(), "checkpoint.safetensors"),
        (&["report", &model, "--out"], "run.json"),
        (&["report", &model, "--out"], "."),
        (&["eval", &model, "--data", &pictures, "--roc"], "metrics.jsonl"),
        (&["eval", &model, "--data", &pictures, "--roc"], "no folder/roc.csv"),
        (&["import", &weights, "--spec", SPEC, "--input", "8x8x1", "--out"], "report.html"),
    ] {
        let words = fail(&[arguments, &[&at(target)]].concat());
        assert!(words.contains(target), "{arguments:?}: {words}");
    }
    assert!(all() == before, "none of these changed a file of the run");

    // What was kept beside an .npy once had the manifest's name.
    succeed(&["embed", &model, &pictures, "--out", &at("run.npy")]);
    assert!(fs::read(at("run.json")).unwrap() == before[Path::new(&at("run.json"))]);
    let words = fail(&["embed", &model, "no pictures", "--out", &format!("{model}/no folder/e.npy")]);
    assert!(words.contains("no folder"), "the place is checked before the images: {words}");

    // A lock goes with the command, also with one that fails.
    let gallery = format!("{}/new.gallery", folder.path().display());
    fail(&["enroll", &model, &gallery, "nothing there"]);
    assert!(!Path::new(&gallery).exists() && !Path::new(&format!("{gallery}.lock")).exists());
}

/// A disk that is full after the first kilobytes, as the shell can pretend.
#[cfg(unix)]
#[test]
fn a_full_disk_loses_nothing() {
    let (folder, pictures, model) = trained();
    let gallery = format!("{}/a.gallery", folder.path().display());
    succeed(&["enroll", &model, &gallery, &pictures, "--take", "first"]);
    let whole = fs::read(&gallery).unwrap();
    let before = fs::read_dir(folder.path()).unwrap().count();
    // The signal of the limit ignored, writing fails as on a full disk.
    let full = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let output = Command::new("bash")
        .args(["-c", full, "bash", env!("CARGO_BIN_EXE_siamese"), "enroll", &model, &gallery, &pictures])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("cannot write") && text(&output.stderr).contains("a.gallery"));
    assert!(fs::read(&gallery).unwrap() == whole, "the old gallery is whole");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before, "no temporary file stays");
}

#[test]
fn settings_come_from_a_file() {
    let (_folder, root, data) = place();
    let file = format!("{root}/run.toml");
    let settings = "spec = \"conv4 relu pool dense8 l2\"\nbatch = \"2x4\"\nsteps = 3\nsoft-margin = 2\n\
                    threshold = [0.5, 1.5]\ninvert = false\n";
    fs::write(&file, settings).unwrap();
    let config = |out: &str| -> Value {
        serde_json::from_slice::<Value>(&fs::read(format!("{out}/run.json")).unwrap()).unwrap()["config"].clone()
    };
    let first = format!("{root}/first");
    let base = ["train", "--data", &data, "--out"];
    succeed(&[base.as_slice(), &[&first, "--config", &file]].concat());
    let found = config(&first);
    assert_eq!((&found["steps"], &found["thresholds"]), (&Value::from(3), &serde_json::json!([0.5, 1.5])));
    assert_eq!(found["loss"]["margin"], serde_json::json!({ "soft": 2.0 }));

    // By hand: another length, and a margin that excludes the file's soft one.
    let second = format!("{root}/second");
    succeed(&[base.as_slice(), &[&second, "--config", &file, "--epochs", "1", "--margin", "0.3"]].concat());
    let found = config(&second);
    assert!(found["steps"].as_u64().unwrap() > 3 && found["loss"]["margin"]["hinge"].is_number(), "{found}");

    // What a run kept makes the same run again, from whatever folder.
    let near =
        siamese(&["train", "--data", "data", "--out", "near", "--config", "run.toml"]).current_dir(&root).output();
    assert!(near.unwrap().status.success());
    for (made, out) in [(&second, "third"), (&format!("{root}/near"), "fourth")] {
        let again = format!("{root}/{out}");
        succeed(&["train", "--out", &again, "--config", &format!("{made}/run.toml")]);
        assert_eq!(config(&again), config(made));
    }

    for (text, complaint) in [
        ("stepps = 3", "did you mean `steps`?"),
        ("out = \"x\"", "on the command line alone"),
        ("outt = \"x\"", "has no such setting"),
        ("steps = true", "boolean"),
        ("[train]\nsteps = 3", "no such setting"),
        ("steps = ", "run.toml"),
        ("invert = 3", "true or false"),
    ] {
        fs::write(&file, text).unwrap();
        let words = fail(&["train", "--config", &file]);
        assert!(words.contains(complaint) && words.contains("run.toml"), "{text}: {words}");
    }
    fs::write(&file, "steps = 3").unwrap();
    assert!(fail(&["train", "--resume", "--out", &first, "--config", &file]).contains("--config"));
}

#[test]
fn shells_and_manuals_are_served() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = succeed(&["completions", shell]);
        assert!(script.contains("recognize") && script.contains("per-class"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let man = folder.path().join("man");
    succeed(&["man", man.to_str().unwrap()]);
    let page = fs::read_to_string(man.join("siamese-train.1")).unwrap();
    assert!(page.contains(".TH siamese\\-train 1") || page.contains(".TH siamese-train 1"), "{page}");
    assert!(man.join("siamese.1").exists() && page.contains("notebook"));
    let help = succeed(&["--help"]);
    assert!(help.contains("Exit codes") && help.contains("recognize"), "{help}");
}
