//! The figures of `siamese::eval`: against the NumPy script beside the golden file, by hand, and by their properties.

use serde::Deserialize;
use siamese::error::Error;
use siamese::eval::{
    Embedded, Pairs, Roc, calibrate, centroid_accuracy, evaluate, first_of_each_label, folded_accuracy, knn_accuracy,
    map_at_r, one_shot, one_shot_galleries, retrieval, verification, verification_pairs,
};

/// What `tests/golden/eval.py` writes.
#[derive(Deserialize)]
struct Golden {
    dims: usize,
    reference: Vec<f32>,
    reference_labels: Vec<u32>,
    query: Vec<f32>,
    query_labels: Vec<u32>,
    neighbours: Vec<u32>,
    knn5: f64,
    centroid: f64,
    one_shot: f64,
    gallery: Vec<u32>,
    thresholds: Vec<GoldenThreshold>,
    verification: GoldenVerification,
    verification_of_floor: GoldenVerification,
    pair_count: usize,
    pairs: Vec<GoldenPairs>,
}

#[derive(Deserialize)]
struct GoldenThreshold {
    threshold: f64,
    accepted: f64,
    right: f64,
}

#[derive(Deserialize)]
struct GoldenVerification {
    auc: f64,
    eer: f64,
    eer_threshold: f64,
    tar_far_1e3: f64,
    tar_far_1e3_threshold: f64,
}

/// The first pairs of a list, and the checksum of all of it.
#[derive(Deserialize)]
struct GoldenPairs {
    seed: u64,
    positive: Vec<(u32, u32)>,
    negative: Vec<(u32, u32)>,
    fnv1a: String,
}

impl Golden {
    fn read() -> Golden {
        serde_json::from_str(include_str!("golden/eval.json")).expect("the golden file is what its script writes")
    }

    fn reference(&self) -> Embedded<'_> {
        Embedded { values: &self.reference, dims: self.dims, labels: &self.reference_labels }
    }

    fn query(&self) -> Embedded<'_> {
        Embedded { values: &self.query, dims: self.dims, labels: &self.query_labels }
    }

    fn pairs(&self) -> Pairs {
        verification_pairs(&self.query_labels, self.pair_count, 0).unwrap()
    }
}

/// Both compute the same f64 operations, up to the order of an interpolation's terms, and serde_json reads a number to
/// within one unit in the last place. A share of some thousand rows that is off by one row is off by far more.
#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-13 * expected.abs().max(1.0), "{found} is not {expected}");
}

#[test]
fn every_figure_is_that_of_the_golden_file() {
    let golden = Golden::read();
    let asked: Vec<f64> = golden.thresholds.iter().map(|entry| entry.threshold).collect();
    let found = evaluate(golden.reference(), golden.query(), &golden.neighbours, 5, &asked, &golden.pairs());

    assert_close(found.knn5, golden.knn5);
    assert_close(found.centroid, golden.centroid);
    assert_close(found.one_shot, golden.one_shot);
    assert_eq!(found.gallery, golden.gallery);
    assert_eq!(found.thresholds.len(), golden.thresholds.len());
    for (found, expected) in found.thresholds.iter().zip(&golden.thresholds) {
        assert_eq!(found.threshold, expected.threshold);
        assert_close(found.accepted, expected.accepted);
        assert_close(found.right, expected.right);
    }
    assert_close(found.auc, golden.verification.auc);
    assert_close(found.eer, golden.verification.eer);
    assert_close(found.eer_threshold, golden.verification.eer_threshold);
    assert_close(found.tar_far_1e3.unwrap(), golden.verification.tar_far_1e3);
    assert_close(found.tar_far_1e3_threshold.unwrap(), golden.verification.tar_far_1e3_threshold);
    assert_eq!((found.positive_pairs, found.negative_pairs), (golden.pair_count, golden.pair_count));
}

#[test]
fn tied_distances_count_as_in_the_golden_file() {
    let golden = Golden::read();
    let values: Vec<f32> = golden.query.iter().map(|value| value.floor()).collect();
    let found = verification(Embedded { values: &values, ..golden.query() }, &golden.pairs());
    let expected = &golden.verification_of_floor;
    assert_close(found.auc, expected.auc);
    assert_close(found.eer.rate, expected.eer);
    assert_close(found.eer.threshold, expected.eer_threshold);
    let at_far = found.tar_far_1e3.expect("2,000 negative pairs are enough");
    assert_close(at_far.rate, expected.tar_far_1e3);
    assert_close(at_far.threshold, expected.tar_far_1e3_threshold);
}

#[test]
fn the_pair_list_is_numpys() {
    let golden = Golden::read();
    for expected in &golden.pairs {
        let Pairs { positive, negative } =
            verification_pairs(&golden.query_labels, golden.pair_count, expected.seed).unwrap();
        assert_eq!((positive.len(), negative.len()), (golden.pair_count, golden.pair_count));
        assert_eq!(positive[..expected.positive.len()], expected.positive, "seed {}", expected.seed);
        assert_eq!(negative[..expected.negative.len()], expected.negative, "seed {}", expected.seed);
        let bytes = positive.iter().chain(&negative).flat_map(|&(a, b)| [a, b]).flat_map(u32::to_le_bytes);
        let hash =
            bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        assert_eq!(format!("{hash:016x}"), expected.fnv1a, "seed {}", expected.seed);
    }
}

#[test]
fn an_evaluation_is_one_flat_json_object() {
    let golden = Golden::read();
    let few = verification_pairs(&golden.query_labels, 999, 0).unwrap();
    let found = evaluate(golden.reference(), golden.query(), &golden.neighbours, 5, &[3.5], &few);
    let json = serde_json::to_value(&found).unwrap();
    for figure in ["knn5", "centroid", "one_shot", "auc", "eer"] {
        let share = json[figure].as_f64().unwrap_or_else(|| panic!("{figure} is a number in {json}"));
        assert!((0.0..=1.0).contains(&share), "{figure} is {share}");
    }
    assert!(json["tar_far_1e3"].is_null(), "999 negative pairs have no FAR of 0.001");
    assert_eq!(json["thresholds"][0]["threshold"], 3.5);
}

#[test]
fn only_the_five_nearest_of_longer_lists_vote() {
    let golden = Golden::read();
    let pairs = golden.pairs();
    let longer: Vec<u32> = golden.neighbours.chunks(5).flat_map(|row| [row, &[0, 0]].concat()).collect();
    assert_eq!(
        evaluate(golden.reference(), golden.query(), &longer, 7, &[], &pairs),
        evaluate(golden.reference(), golden.query(), &golden.neighbours, 5, &[], &pairs),
    );
}

#[test]
fn a_tied_vote_goes_to_the_smallest_sum_of_ranks() {
    // Reference i has label i / 2, so each pair of references is one label.
    let labels = [0, 0, 1, 1, 2, 2];
    let winner = |row: [u32; 5]| (0..3).find(|&label| knn_accuracy(&row, 5, &labels, &[label]) == 1.0);
    assert_eq!(winner([2, 3, 0, 1, 4]), Some(1), "ranks 0 + 1 beat 2 + 3");
    assert_eq!(winner([0, 2, 3, 1, 4]), Some(0), "ranks 0 + 3 tie with 1 + 2: the smaller label");
    assert_eq!(winner([2, 0, 1, 3, 4]), Some(0), "the same with the labels exchanged");
    assert_eq!(winner([4, 2, 0, 1, 3]), Some(0), "ranks 2 + 3 beat 1 + 4 only by the label: sums are equal");
    assert_eq!(winner([4, 2, 3, 0, 1]), Some(1), "one vote at rank 0 does not beat two");
    assert_eq!(knn_accuracy(&[0, 2], 1, &labels, &[0, 2]), 0.5, "one of two queries");
}

#[test]
fn centroids_are_plain_means() {
    // Means 1 and 4: at 2.4 label 7 is nearer, at 2.6 label 9; at 2.5 they tie. No reference has label 8.
    let reference = Embedded { values: &[0.0, 2.0, 4.0], dims: 1, labels: &[7, 7, 9] };
    let right = |value: f32, label: u32| {
        centroid_accuracy(reference, Embedded { values: &[value], dims: 1, labels: &[label] }) == 1.0
    };
    assert!(right(2.4, 7) && right(2.6, 9) && right(2.5, 7) && !right(2.4, 8));
}

#[test]
fn one_shot_excludes_its_gallery_and_may_answer_unknown() {
    assert_eq!(first_of_each_label(&[5, 3, 5, 3, 4]), [1, 4, 0]);

    // Gallery: label 0 at (0, 0), label 1 at (4, 0). Probes at (1, 0) and (3, 0), rightly recognised with a mean
    // squared difference of 1/2; at (2, 0), a tie with 2; and at (0, 2), label 1 but near label 0, with 2.
    let query = Embedded {
        values: &[0.0, 0.0, 4.0, 0.0, 1.0, 0.0, 3.0, 0.0, 2.0, 0.0, 0.0, 2.0],
        dims: 2,
        labels: &[0, 1, 0, 1, 1, 1],
    };
    let found = one_shot(query, &[0, 1], &[0.5, 0.6, 2.1]);
    assert_eq!(found.accuracy, 0.5, "the tie goes to the first in the gallery");
    assert_eq!(one_shot(query, &[1, 0], &[]).accuracy, 0.75, "with the gallery turned round, to label 1");
    let shares: Vec<_> = found.thresholds.iter().map(|entry| (entry.accepted, entry.right)).collect();
    assert_eq!(shares, [(0.0, 0.0), (0.5, 0.5), (1.0, 0.5)], "0.5 is not below 0.5");
}

#[test]
fn perfect_separation() {
    let roc = Roc::new(vec![1.0, 2.0], (0..1000).map(|i| 3.0 + i as f32).collect());
    assert_eq!(roc.auc(), 1.0);
    assert_eq!((roc.equal_error().rate, roc.equal_error().threshold), (0.0, 2.0));
    let at_far = roc.tar_at_far(1e-3).unwrap();
    assert_eq!((at_far.rate, at_far.threshold), (1.0, 3.0));
    assert_eq!((roc.far(2.5), roc.frr(2.5), roc.frr(1.5)), (0.0, 0.0, 0.5));
}

#[test]
fn reversed_separation() {
    let roc = Roc::new(vec![3.0, 4.0], vec![1.0, 2.0]);
    assert_eq!(roc.auc(), 0.0);
    assert_eq!(roc.equal_error().rate, 1.0);
}

#[test]
fn identical_distributions_are_chance() {
    let distances: Vec<f32> = (0..1000).map(|i| i as f32).collect();
    let roc = Roc::new(distances.clone(), distances);
    assert_eq!(roc.auc(), 0.5);
    assert_eq!((roc.equal_error().rate, roc.equal_error().threshold), (0.5, 499.0));
    assert_eq!(roc.tar_at_far(1e-3).unwrap().rate, 1e-3);
}

#[test]
fn a_collapsed_embedding_is_chance() {
    let e = Embedded { values: &[0.25; 8], dims: 2, labels: &[0, 0, 1, 1] };
    let found = verification(e, &verification_pairs(e.labels, 1000, 0).unwrap());
    assert_eq!((found.auc, found.eer.rate), (0.5, 0.5));
}

#[test]
fn the_equal_error_is_interpolated() {
    // (FAR, FRR) is (1/4, 1) at 1, (1/4, 1/2) at 2, (3/4, 1/2) at 3: they cross halfway between 2 and 3.
    let roc = Roc::new(vec![2.0, 4.0], vec![1.0, 3.0, 3.0, 5.0]);
    assert_eq!((roc.equal_error().rate, roc.equal_error().threshold), (0.5, 2.5));
    // Nearer than the positive pair: 1, 3, 3 of 4 for the one at 4, and 1 of 4 for the one at 2.
    assert_eq!(roc.auc(), 0.5);
    assert_eq!(roc.tar_at_far(0.25).unwrap().threshold, 1.0);
    assert!(roc.tar_at_far(0.2).is_none(), "a FAR of 0.2 takes five negative pairs");
}

#[test]
fn verification_does_not_depend_on_the_scale() {
    let golden = Golden::read();
    let plain = verification(golden.query(), &golden.pairs());
    // A power of two, so that rounding scales too and the rates must be the same bits.
    let values: Vec<f32> = golden.query.iter().map(|value| value * 8.0).collect();
    let scaled = verification(Embedded { values: &values, ..golden.query() }, &golden.pairs());
    assert_eq!((scaled.auc, scaled.eer.rate), (plain.auc, plain.eer.rate));
    assert_eq!(scaled.eer.threshold, plain.eer.threshold * 64.0);
    assert_eq!(scaled.tar_far_1e3.map(|point| point.rate), plain.tar_far_1e3.map(|point| point.rate));
}

#[test]
fn exchanging_positive_and_negative_mirrors_the_auc() {
    let golden = Golden::read();
    let Pairs { positive, negative } = golden.pairs();
    let exchanged = Pairs { positive: negative.clone(), negative: positive.clone() };
    let auc = |pairs| verification(golden.query(), pairs).auc;
    assert_close(auc(&Pairs { positive, negative }) + auc(&exchanged), 1.0);
}

#[test]
fn pairs_hold_what_they_promise() {
    // Label 2 has one image: it has no positive pair, and is in negative ones.
    let labels = [0, 1, 0, 2, 1, 0, 0];
    let Pairs { positive, negative } = verification_pairs(&labels, 500, 3).unwrap();
    let label = |row: u32| labels[row as usize];
    assert!(positive.iter().all(|&(a, b)| a != b && label(a) == label(b)));
    assert!(negative.iter().all(|&(a, b)| label(a) != label(b)));
    for anchor in 0..7 {
        assert_eq!(positive.iter().any(|pair| pair.0 == anchor), anchor != 3, "anchor {anchor}");
        assert!(negative.iter().any(|pair| pair.0 == anchor), "anchor {anchor}");
    }
}

#[test]
fn labels_without_pairs_are_refused() {
    for labels in [&[] as &[u32], &[4, 4, 4], &[0, 1, 2]] {
        assert!(matches!(verification_pairs(labels, 10, 0), Err(Error::Config { .. })), "{labels:?}");
    }
}

// -------------------------------------------------------------------------------------- retrieval, folds, intervals

/// What `tests/golden/retrieval.py` writes.
#[derive(Deserialize)]
struct GoldenRetrieval {
    dims: usize,
    values: Vec<f32>,
    labels: Vec<u32>,
    recall: [f64; 4],
    r_precision: f64,
    map_at_r: f64,
    positive: Vec<f32>,
    negative: Vec<f32>,
    accuracy: f64,
    accuracy_error: f64,
}

fn golden_retrieval() -> GoldenRetrieval {
    serde_json::from_str(include_str!("golden/retrieval.json")).expect("the golden file is what its script writes")
}

#[test]
fn retrieval_is_that_of_pytorch_metric_learning() {
    let golden = golden_retrieval();
    let e = Embedded { values: &golden.values, dims: golden.dims, labels: &golden.labels };
    let found = retrieval(e);
    for (found, expected) in found.recall.into_iter().zip(golden.recall) {
        assert_close(found, expected);
    }
    // The library computes in f32.
    assert!((found.r_precision - golden.r_precision).abs() < 1e-6, "{found:?}");
    assert!((found.map_at_r - golden.map_at_r).abs() < 1e-6, "{found:?}, not {}", golden.map_at_r);
    assert_eq!(map_at_r(e), found.map_at_r);
}

#[test]
fn folds_are_those_of_the_golden_file() {
    let golden = golden_retrieval();
    let found = folded_accuracy(&golden.positive, &golden.negative);
    assert_close(found.mean, golden.accuracy);
    assert_close(found.error, golden.accuracy_error);
}

/// Two labels on a line: 0, 1, 2 and 3, 4.
#[test]
fn retrieval_by_hand() {
    let values = [0.0, 1.0, 2.0, 2.6, 9.0];
    let labels = [7, 7, 7, 3, 3];
    let found = retrieval(Embedded { values: &values, dims: 1, labels: &labels });
    // Nearest to 0: 1 2; to 1: 0 2 (0 first, both at distance 1); to 2: 2.6 1; to 2.6: 2; to 9: 2.6.
    assert_close(found.recall[0], 3.0 / 5.0);
    assert_close(found.r_precision, (1.0 + 1.0 + 0.5 + 0.0 + 1.0) / 5.0);
    assert_close(found.map_at_r, (1.0 + 1.0 + 0.25 + 0.0 + 1.0) / 5.0);
    assert_close(found.recall[3], 1.0);
}

#[test]
fn galleries_are_random_and_leave_themselves_out() {
    // Ten clusters, one image of each far off in another cluster: a gallery that takes it loses two labels' probes.
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for label in 0..10u32 {
        for place in 0..20u32 {
            let cluster = if place == 0 { (label + 1) % 10 } else { label };
            values.extend([cluster as f32, place as f32 * 1e-3]);
            labels.push(label);
        }
    }
    let e = Embedded { values: &values, dims: 2, labels: &labels };
    let found = one_shot_galleries(e);
    assert_eq!(found, one_shot_galleries(e));
    assert_eq!(found.galleries, 200);
    assert!(found.low < found.mean && found.mean < found.high && found.high < 1.0, "{found:?}");
    assert!((0.8..0.95).contains(&found.mean), "{found:?}");
}

#[test]
fn intervals_hold_the_figure_and_shrink_with_more_pairs() {
    let golden = Golden::read();
    let intervals = |count| {
        let pairs = verification_pairs(&golden.query_labels, count, 0).unwrap();
        let found = verification(golden.query(), &pairs);
        let auc = found.intervals.auc;
        assert!(auc.low < found.auc && found.auc < auc.high, "{found:?}");
        let eer = found.intervals.eer;
        assert!(eer.low < found.eer.rate && found.eer.rate < eer.high, "{found:?}");
        let (tar, bounds) = (found.tar_far_1e2.unwrap().rate, found.intervals.tar_far_1e2.unwrap());
        assert!(bounds.low <= tar && tar <= bounds.high, "{found:?}");
        assert_eq!(found.tar_far_1e4.is_some(), count >= 10_000);
        assert_eq!(found.intervals.tar_far_1e4.is_some(), count >= 10_000);
        auc.high - auc.low
    };
    let (few, many) = (intervals(500), intervals(12_500));
    assert!((4.0..6.5).contains(&(few / many)), "25 times the pairs, a fifth of the interval: {few} and {many}");
}

#[test]
fn a_threshold_is_chosen_here_and_judged_there() {
    let ramp = |from: f32, count: usize| (0..count).map(|place| from + place as f32 / count as f32).collect::<Vec<_>>();
    let validation = Roc::new(ramp(0.0, 100), ramp(0.5, 1000));
    let test = Roc::new(ramp(0.1, 100), ramp(0.4, 1000));
    let found = calibrate(&validation, &test, 0.01).unwrap();
    // The tenth of 1,000 negatives from 0.5 up lies at 0.509; there 0.1 has 41 of 100, 0.4 has 110 of 1,000.
    assert!((found.threshold - 0.509).abs() < 1e-6, "{found:?}");
    assert_close(found.tar, 0.41);
    assert_close(found.far, 0.11);
    assert_eq!(calibrate(&validation, &test, 1e-4), None);
}
