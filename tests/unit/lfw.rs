//! LFW's protocol: its figures against `tests/golden/lfw.py`, and its lists.

use std::fs;

use serde::Deserialize;
use siamese::data::lfw::Pairs;
use siamese::eval::{Embedded, lfw, pair_distances};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    dims: usize,
    values: Vec<f32>,
    pairs: Vec<(u32, u32)>,
    same: Vec<u8>,
    found: Figures,
}

#[derive(Deserialize)]
struct Figures {
    accuracy: f64,
    accuracy_error: f64,
    accuracy_deviation: f64,
    val: f64,
    val_deviation: f64,
    far: f64,
    auc: f64,
    eer: f64,
    same: usize,
    different: usize,
    folds: usize,
}

#[test]
fn figures_are_those_of_facenet() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/lfw.json")).unwrap();
    assert_eq!(golden.cases.len(), 4);
    for (at, case) in golden.cases.iter().enumerate() {
        let labels = vec![0; case.values.len() / case.dims];
        let e = Embedded { values: &case.values, dims: case.dims, labels: &labels };
        let same: Vec<bool> = case.same.iter().map(|&same| same == 1).collect();
        let expected = &case.found;
        let found = lfw(&pair_distances(e, &case.pairs), &same, expected.folds).unwrap();
        for (name, found, expected) in [
            ("accuracy", found.accuracy, expected.accuracy),
            ("standard error", found.accuracy_error, expected.accuracy_error),
            ("deviation", found.accuracy_deviation, expected.accuracy_deviation),
            ("VAL", found.val, expected.val),
            ("deviation of VAL", found.val_deviation, expected.val_deviation),
            ("FAR", found.far, expected.far),
            ("AUC", found.auc, expected.auc),
            ("EER", found.eer.unwrap(), expected.eer),
        ] {
            assert!((found - expected).abs() < 1e-9, "case {at}: {name} is {found}, expected {expected}");
        }
        assert_eq!((found.same, found.different), (expected.same, expected.different));
    }
}

#[test]
fn what_has_no_folds_has_no_figures() {
    let same = [true, true, false, false];
    assert_eq!(lfw(&[0.1, 0.2, 0.9, 1.0], &same, 2), None, "a fold of one kind");
    assert_eq!(lfw(&[0.1, 0.9, 0.1, 1.0], &[true, false, true, false], 1), None);
    let found = lfw(&[0.1, 0.9, 0.1, 1.0], &[true, false, true, false], 2).unwrap();
    assert_eq!((found.accuracy, found.auc, found.eer), (1.0, 1.0, Some(0.0)));
    // Pairs farther than any threshold: facenet ends with an error where it wants the EER.
    let far = lfw(&[0.1, 9.0, 0.1, 9.0], &[true, false, true, false], 2).unwrap();
    assert_eq!((far.accuracy, far.val, far.eer), (1.0, 0.0, None));
}

#[test]
fn a_list_is_read_and_its_pictures_found() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("pairs.txt");
    let read = |text: &str| {
        fs::write(&list, text).unwrap();
        Pairs::read(&list)
    };
    let pairs = read("2\t1\nAnn\t1\t2\nAnn\t1\tBob_Lee\t3\n\nBob_Lee 3 12\r\nAnn 2 Bob_Lee 12\n").unwrap();
    assert_eq!((pairs.folds, pairs.pairs.len()), (2, 4));
    assert_eq!(pairs.pairs[2], [("Bob_Lee".to_owned(), 3), ("Bob_Lee".to_owned(), 12)]);
    for name in ["Ann/Ann_0001.jpg", "Ann/Ann_0002.png", "Bob_Lee/Bob_Lee_0003.jpg"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let found = pairs.find(folder.path());
    let names: Vec<_> = found.pictures.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["Ann_0001.jpg", "Ann_0002.png", "Bob_Lee_0003.jpg"]);
    assert_eq!((found.pairs, found.same), (vec![(0, 1), (0, 2)], vec![true, false]));
    assert_eq!((found.missing.len(), found.left_out), (1, 2));
    assert!(found.missing[0].ends_with("Bob_Lee/Bob_Lee_0012.jpg"));

    for (text, words) in [
        ("", "no line"),
        ("Ann 1 2\n", "`Ann 1 2` in line 1"),
        ("2\nAnn 1 2\n", "`2` in line 1"),
        ("0 300\n", "two folds at least"),
        ("2 1 5\n", "`2 1 5` in line 1"),
        ("2 1\nAnn 1\n", "`Ann 1` in line 2"),
        ("2 1\nAnn 1 x\n", "`Ann 1 x` in line 2"),
        ("2 1\nAnn 1 2\nAnn 1 Ann 2\n", "`Ann 1 Ann 2` in line 3"),
        ("2 1\n../Ann 1 2\n", "`../Ann 1 2` in line 2"),
        ("2 1\nAnn 1 2\nAnn 1 Bob 2\n", "1 pairs of one person and 1 of two"),
        ("2 1\nAnn 1 2\nAnn 1 Bob 2\n", "2 of either, as line 1 says"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("pairs.txt") && error.contains(words), "{text:?}: {error}");
    }
    fs::write(&list, [0xff, 0xfe, 0, b'\n']).unwrap();
    assert!(Pairs::read(&list).unwrap_err().to_string().contains("in line 1"), "what is no text");
}
