//! Pictures that are there more than once.

use std::fs;
use std::path::Path;

use siamese::data::decode::Stored;
use siamese::data::duplicates::{identical, remarks};
use siamese::data::search::{Side, folder};

/// Files of these names and contents.
fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

#[test]
fn files_are_identical_by_all_their_bytes() {
    let dir =
        written(&[("a", "same"), ("b", "sum2"), ("c", "same"), ("d", "other"), ("e", ""), ("f", ""), ("g", "same")]);
    let paths: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "missing"].map(|name| dir.path().join(name)).into();
    let files: Vec<Stored> = paths.into_iter().map(Stored::from).collect();
    let files: Vec<&Stored> = files.iter().collect();
    assert_eq!(identical(&files), [vec![0, 2, 6], vec![4, 5]]);
    assert!(identical(&[]).is_empty());
    // Many of one length, of which each has one twin.
    let many: Vec<_> = (0..500).map(|number| (format!("{number}.png"), format!("{:04}", number % 250))).collect();
    let many: Vec<_> = many.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    let dir = written(&many);
    let paths: Vec<_> = (0..500).map(|number| dir.path().join(format!("{number}.png"))).collect();
    let files: Vec<Stored> = paths.into_iter().map(Stored::from).collect();
    let files: Vec<&Stored> = files.iter().collect();
    assert_eq!(identical(&files), (0..250).map(|number| vec![number, number + 250]).collect::<Vec<_>>());
}

#[test]
fn what_lies_under_two_labels_or_on_two_sides_is_told() {
    let dir = written(&[
        ("train/anna/1.png", "one"),
        ("train/anna/2.png", "two"),
        ("train/anna/twice.png", "two"),
        ("train/ben/1.png", "one"),
        ("train/ben/2.png", "six"),
        ("test/anna/3.png", "two"),
        ("test/anna/4.png", "two"),
        ("test/carla/1.png", "ten"),
        ("test/carla/2.png", "ten"),
    ]);
    let found = folder(dir.path()).unwrap().found;
    let side = |side| found.iter().filter(|found| found.side == Some(side)).cloned().collect::<Vec<_>>();
    let (train, test) = (side(Side::Train), side(Side::Test));
    let name = |path: &str| Path::new(path).display().to_string();
    let said = remarks(dir.path(), &train, &test);
    let labels = format!("two labels, 1 picture: {} = {}", name("train/anna/1.png"), name("train/ben/1.png"));
    let sides = format!("as well, to the byte, 2 test pictures: {} = ", name("test/anna/3.png"));
    assert!(said.len() == 2 && said[0].ends_with(&labels) && said[1].contains(&sides), "{said:#?}");
    assert!(said.iter().all(|remark| remark.starts_with(&dir.path().display().to_string())));
    // Twice under one label on one side is nobody's mistake.
    assert!(remarks(dir.path(), &train[1..3], &[]).is_empty());
    assert!(remarks(dir.path(), &[], &test).is_empty());
    // Of many the first are named.
    let many: Vec<String> =
        (0..12).flat_map(|number| ["a", "b"].map(|class| format!("{class}/{number}.png"))).collect();
    let contents: Vec<String> =
        (0..12).flat_map(|number| [number, number].map(|number| format!("{number:02}"))).collect();
    let many: Vec<_> = many.iter().zip(&contents).map(|(name, content)| (name.as_str(), content.as_str())).collect();
    let dir = written(&many);
    let said = remarks(dir.path(), &folder(dir.path()).unwrap().found, &[]);
    assert!(said.len() == 1 && said[0].contains("12 pictures") && said[0].ends_with(", …"), "{said:#?}");
}
