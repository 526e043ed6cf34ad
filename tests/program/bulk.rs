//! Embeddings in shards, as a job array makes them: together they are the whole, and what is stopped is started again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::program::{SPEC, fail, place, run, siamese, succeed, text};
use crate::tools::as_pictures;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, RowAccessor};
use serde_json::Value;

/// A row: name, class, and the bits of the embedding.
type Row = (String, String, Vec<u32>);

fn rows(path: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap).map(|row| {
        let values = row.get_list(2).unwrap().elements().iter().map(|value| match value {
            Field::Float(value) => value.to_bits(),
            other => panic!("{other:?}"),
        });
        (row.get_string(0).unwrap().clone(), row.get_string(1).unwrap().clone(), values.collect())
    });
    rows.collect()
}

/// The Parquet files of a folder, in the order of their names.
fn tables(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "parquet")).collect();
    files.sort();
    files
}

fn together(folder: &Path) -> Vec<Row> {
    tables(folder).iter().flat_map(|path| rows(path)).collect()
}

fn manifest(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap()
}

/// A folder with 300 pictures of four classes, a model that embeds them, and their paths as text.
fn pictures_and_model() -> (tempfile::TempDir, String, String) {
    let (folder, root, data) = place();
    let [pictures, model] = ["pictures", "run"].map(|name| format!("{root}/{name}"));
    as_pictures(Path::new(&data), Path::new(&pictures));
    train(&data, &model, "0");
    (folder, pictures, model)
}

fn train(data: &str, model: &str, seed: &str) {
    let train = ["train", "--spec", SPEC, "--adapter", "cpu", "--steps", "2", "--batch", "2x4", "--invert"];
    succeed(&[&train[..], &["--seed", seed, "--data", data, "--out", model]].concat());
}

/// Embeds shard after shard; answers the folder.
fn shards(model: &str, images: &str, out: &Path, of: usize) {
    for number in 1..=of {
        let shard = format!("{number}/{of}");
        succeed(&["embed", model, images, "--adapter", "cpu", "--shard", &shard, "--out", out.to_str().unwrap()]);
    }
}

#[test]
fn shards_together_are_the_whole_wherever_the_pictures_lie() {
    let (folder, pictures, model) = pictures_and_model();
    let path = |name: &str| folder.path().join(name);
    let whole = path("all.parquet");
    succeed(&["embed", &model, &pictures, "--adapter", "cpu", "--out", whole.to_str().unwrap()]);
    let whole = rows(&whole);
    assert_eq!(whole.len(), 300);
    shards(&model, &pictures, &path("shards"), 7);
    let files = tables(&path("shards"));
    assert!(files.len() == 7 && files[2].ends_with("shard-3-of-7.parquet"), "{files:?}");
    assert_eq!(together(&path("shards")), whole);
    for (number, file) in files.iter().enumerate() {
        let known = manifest(file);
        assert_eq!((&known["shard"], &known["of"], &known["images"]), (&(number + 1).into(), &7.into(), &300.into()));
        assert_eq!(known["rows"], rows(file).len());
        assert!(known["sha256"].as_str().unwrap().len() == 64 && known["program"].as_str().unwrap().contains("0.1"));
        assert!(known["model"].is_string() && known["set"].is_string(), "{known}");
    }

    // The same pictures in a tar file.
    let tar = path("pictures.tar");
    let mut archive = tar::Builder::new(File::create(&tar).unwrap());
    archive.append_dir_all("", &pictures).unwrap();
    archive.finish().unwrap();
    shards(&model, tar.to_str().unwrap(), &path("of tar"), 2);
    let values =
        |rows: &[Row]| rows.iter().map(|(_, class, values)| (class.clone(), values.clone())).collect::<Vec<_>>();
    let found = together(&path("of tar"));
    assert_eq!(values(&found), values(&whole));
    assert!(found[0].0.ends_with("pictures.tar/0/000.png"), "{}", found[0].0);

    // And packed, those for training first.
    let packed = path("pictures.set");
    let packed = packed.to_str().unwrap();
    succeed(&["pack", &pictures, "--out", packed, "--input", "8x8x1", "--invert"]);
    shards(&model, packed, &path("of pack"), 3);
    let mut found = together(&path("of pack"));
    assert!(found[0].0.starts_with(&format!("{packed}/train/")) && found[299].0.contains("/test/"), "{:?}", found[0]);
    let by_file = |rows: &mut Vec<Row>| rows.sort_by_key(|row| row.0.rsplit('/').next().unwrap().to_owned());
    let mut sorted = whole.clone();
    by_file(&mut found);
    by_file(&mut sorted);
    assert_eq!(values(&found), values(&sorted));

    // Of chosen classes likewise; and of whole numbers each row group has its scale.
    let out = path("chosen");
    let out = out.to_str().unwrap();
    for shard in ["1/2", "2/2"] {
        succeed(&["embed", &model, &pictures, "--classes", "1-2", "--shard", shard, "--out", out, "--adapter", "cpu"]);
    }
    let chosen = whole.iter().filter(|(_, class, _)| ["1", "2"].contains(&class.as_str()));
    assert_eq!(together(Path::new(out)), chosen.cloned().collect::<Vec<_>>());
}

/// What is stopped leaves nothing that a table would take for a shard, and is made anew to the same bytes; what is
/// whole is not made twice.
#[test]
fn a_stopped_shard_is_started_again() {
    let (folder, pictures, model) = pictures_and_model();
    let out = folder.path().join("shards");
    let command = ["embed", &model, &pictures, "--adapter", "cpu", "--shard", "2/3", "--out", out.to_str().unwrap()];
    let embed = || text(&run(&command).stderr);
    assert!(embed().contains("wrote 100 x 8 values"));
    let file = out.join("shard-2-of-3.parquet");
    let (whole, known) = (fs::read(&file).unwrap(), manifest(&file));

    let made = fs::metadata(&file).unwrap().modified().unwrap();
    let words = embed();
    assert!(words.contains("shard 2/3") && words.contains("done already: 100 rows"), "{words}");
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), made, "it is left as it is");

    let again = || {
        let words = embed();
        assert!(words.contains("wrote 100 x 8 values"), "{words}");
        assert_eq!((fs::read(&file).unwrap(), manifest(&file)), (whole.clone(), known.clone()));
    };
    // Killed before it was whole, and before its manifest was; a file that is not what its manifest says.
    fs::remove_dir_all(&out).unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(out.join(".siamese-00000000-half.tmp"), &whole[..whole.len() / 2]).unwrap();
    assert!(tables(&out).is_empty());
    again();
    fs::remove_file(file.with_extension("json")).unwrap();
    again();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    again();
    fs::remove_file(&file).unwrap();
    again();

    for wait in [5, 20, 60, 150] {
        fs::remove_dir_all(&out).unwrap();
        let mut child = siamese(&command).stderr(std::process::Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let is_whole = file.with_extension("json").exists();
        assert!(!file.exists() || fs::read(&file).unwrap() == whole, "killed after {wait} ms");
        let words = embed();
        assert_eq!(words.contains("done already"), is_whole, "{words}");
        assert_eq!((fs::read(&file).unwrap(), manifest(&file)), (whole.clone(), known.clone()));
    }
}

#[test]
fn shards_of_nothing_of_others_and_of_broken_pictures() {
    let (folder, pictures, model) = pictures_and_model();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (out, common) = (path("shards"), ["embed", &model, &pictures, "--adapter", "cpu"]);
    let with = |more: &[&str]| [&common[..], more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let refused = |more: &[&str]| fail(&with(more).iter().map(String::as_str).collect::<Vec<_>>());
    let embed = |more: &[&str]| {
        let output = run(&with(more).iter().map(String::as_str).collect::<Vec<_>>());
        (output.status.code(), text(&output.stderr))
    };

    // More shards than images.
    let (code, words) = embed(&["--shard", "001/400", "--out", &out]);
    assert!(code == Some(0) && words.contains("0 of 300 images"), "{words}");
    let file = Path::new(&out).join("shard-001-of-400.parquet");
    assert_eq!((rows(&file).len(), &manifest(&file)["rows"]), (0, &0.into()));
    let (code, words) = embed(&["--shard", "1/400", "--out", &out]);
    assert!(code == Some(0) && words.contains("done already: 0 rows"), "{words}");

    for (shard, told) in [("0/4", "0/4"), ("5/4", "5/4"), ("1", "1/4"), ("a/b", "a/b"), ("1/0", "1/0")] {
        let words = refused(&["--shard", shard, "--out", &path("none")]);
        assert!(words.contains(told) && words.contains("--shard"), "{words}");
    }
    assert!(!Path::new(&path("none")).exists());
    assert!(refused(&["--shard", "1/4", "--out", &path("a.npy")]).contains("--out"));
    assert!(refused(&["--shard", "1/4", "--out", &path("none"), "--take", "first"]).contains("--take"));
    let words = refused(&[&path("no such folder"), "--shard", "1/4", "--out", &path("none")]);
    assert!(words.contains("no such folder") && words.contains("not all are there"), "{words}");

    // Of another number of shards, precision, set or model: none is written beside the others.
    let other = path("other");
    train(&path("data"), &other, "1");
    let one = ["--shard", "2/400", "--out", &out];
    for (words, told) in [
        (refused(&["--shard", "2/300", "--out", &out]), "one of 400, not of 300"),
        (refused(&[&one[..], &["--precision", "f16"]].concat()), "precision"),
        (refused(&[&one[..], &["--classes", "1"]].concat()), "a set of 300 images"),
        (fail(&[&["embed", &other, &pictures, "--adapter", "cpu"], &one[..]].concat()), "of the model"),
        (refused(&[&one[..], &["--flip"]].concat()), "of the model"),
    ] {
        assert!(words.contains(told) && words.contains("shard-001-of-400.json"), "{told}: {words}");
    }
    assert_eq!(tables(Path::new(&out)).len(), 1);
    fs::rename(format!("{pictures}/0/000.png"), format!("{pictures}/0/x.png")).unwrap();
    assert!(refused(&one).contains("other images"));

    // What cannot be read is left out and named; --skip-bad allows it.
    let broken = format!("{pictures}/0/x.png");
    fs::write(&broken, b"\x89PNG nothing").unwrap();
    let out = path("of broken");
    for (more, code, told) in
        [(&[][..], 1, broken.as_str()), (&[], 1, "done already"), (&["--skip-bad"], 0, "done already")]
    {
        let (found, words) = embed(&[&["--shard", "1/2", "--out", &out], more].concat());
        assert!(found == Some(code) && words.contains(told), "{words}");
        assert!(words.contains("1 of 150 pictures could not be used"), "{words}");
    }
    let file = Path::new(&out).join("shard-1-of-2.parquet");
    assert_eq!((rows(&file).len(), &manifest(&file)["left_out"]), (149, &serde_json::json!([broken])));
}
