//! Clusters and how far they agree with classes: against scikit-learn (`tests/golden/cluster.py`).

use std::collections::HashMap;

use serde::Deserialize;
use siamese::cluster::{Cut, MOST_ROWS, agglomerative, dbscan};
use siamese::eval::agreement;

#[derive(Deserialize)]
struct Golden {
    agreements: Vec<Agreement>,
    points: Vec<f32>,
    dims: usize,
    dbscan: Vec<Density>,
    by_distance: Vec<ByDistance>,
    by_count: Vec<ByCount>,
}

#[derive(Deserialize)]
struct Agreement {
    labels: Vec<u32>,
    clusters: Vec<u32>,
    nmi: f64,
    ami: f64,
}

#[derive(Deserialize)]
struct Density {
    distance: f32,
    min_rows: usize,
    clusters: Vec<i64>,
}

#[derive(Deserialize)]
struct ByDistance {
    distance: f32,
    clusters: Vec<i64>,
}

#[derive(Deserialize)]
struct ByCount {
    count: usize,
    clusters: Vec<i64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/cluster.json")).unwrap()
}

/// scikit-learn's clusters with our numbers: in the order of their first row, -1 being none.
fn renumbered(clusters: &[i64]) -> Vec<Option<u32>> {
    let mut numbers = HashMap::new();
    let number = |&cluster: &i64| {
        let next = numbers.len() as u32;
        (cluster >= 0).then(|| *numbers.entry(cluster).or_insert(next))
    };
    clusters.iter().map(number).collect()
}

#[test]
fn agreement_is_that_of_scikit_learn() {
    for (place, case) in golden().agreements.iter().enumerate() {
        let got = agreement(&case.labels, &case.clusters);
        assert!((got.nmi - case.nmi).abs() < 1e-9, "case {place}: NMI {} and {}", got.nmi, case.nmi);
        assert!((got.ami - case.ami).abs() < 1e-9, "case {place}: AMI {} and {}", got.ami, case.ami);
    }
}

#[test]
fn clusters_are_those_of_scikit_learn() {
    let golden = golden();
    for case in &golden.dbscan {
        let got = dbscan(&golden.points, golden.dims, case.distance, case.min_rows);
        assert_eq!(got, renumbered(&case.clusters), "dbscan at {}", case.distance);
    }
    let merged = |cut| -> Vec<Option<u32>> {
        agglomerative(&golden.points, golden.dims, cut).unwrap().into_iter().map(Some).collect()
    };
    for case in &golden.by_distance {
        assert_eq!(merged(Cut::Distance(case.distance)), renumbered(&case.clusters), "at {}", case.distance);
    }
    for case in &golden.by_count {
        assert_eq!(merged(Cut::Clusters(case.count)), renumbered(&case.clusters), "{} clusters", case.count);
    }
}

#[test]
fn few_and_many_rows() {
    assert_eq!(agglomerative(&[1.0, 2.0], 2, Cut::Distance(1.0)).unwrap(), [0]);
    assert_eq!(dbscan(&[1.0, 2.0], 2, 1.0, 2), [None]);
    let many = vec![0.0; MOST_ROWS + 1];
    let words = agglomerative(&many, 1, Cut::Clusters(2)).unwrap_err().to_string();
    assert!(words.contains("30001") && words.contains("dbscan"), "{words}");
}
