//! The figures of `siamese::eval`: against the scripts beside the golden files, by hand, and by their properties.

use std::collections::HashSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use siamese::error::Error;
use siamese::eval::{
    Calibrated, Embedded, Evaluation, FOLDS, Interval, OneShotSpread, Pairs, Retrieval, Roc, Unit, VOTES, Verification,
    admitted, centroid_accuracy, collapsed, evaluate, first_of_each_label, judge, knn_accuracy, left_out, map_at_r,
    measurable, one_shot, one_shot_galleries, retrieval, retrieval_from, squared_distance, threshold_at_far,
    verification, verification_accuracy, verification_pairs,
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
    one_shot_galleries: GoldenSpread,
    gallery: Vec<u32>,
    thresholds: Vec<GoldenThreshold>,
    verification: GoldenVerification,
    verification_of_floor: GoldenVerification,
    judged: GoldenJudged,
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
    tar_far_1e2: f64,
    tar_far_1e3: f64,
    tar_far_1e3_threshold: f64,
    intervals: GoldenIntervals,
    accuracy: GoldenAccuracy,
}

#[derive(Deserialize)]
struct GoldenIntervals {
    auc: GoldenInterval,
    eer: GoldenInterval,
    tar_far_1e2: GoldenInterval,
    tar_far_1e3: GoldenInterval,
}

#[derive(Deserialize)]
struct GoldenInterval {
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct GoldenAccuracy {
    mean: f64,
    error: f64,
}

#[derive(Deserialize)]
struct GoldenSpread {
    mean: f64,
    low: f64,
    high: f64,
    galleries: usize,
}

#[derive(Deserialize)]
struct GoldenJudged {
    threshold: f64,
    far: f64,
    tar: f64,
}

/// What `tests/golden/retrieval.py` writes.
#[derive(Deserialize)]
struct GoldenRetrieval {
    dims: usize,
    values: Vec<f32>,
    labels: Vec<u32>,
    recall_at_1: f64,
    recall_at_2: f64,
    recall_at_4: f64,
    recall_at_8: f64,
    r_precision: f64,
    map_at_r: f64,
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
        serde_json::from_str(include_str!("../golden/eval.json")).expect("the golden file is what its script writes")
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

#[track_caller]
fn assert_interval(found: Interval, expected: &GoldenInterval) {
    assert_close(found.low, expected.low);
    assert_close(found.high, expected.high);
}

#[track_caller]
fn assert_spread(found: OneShotSpread, expected: &GoldenSpread) {
    assert_close(found.mean, expected.mean);
    assert_close(found.low, expected.low);
    assert_close(found.high, expected.high);
    assert_eq!(found.galleries, expected.galleries);
}

#[track_caller]
fn assert_verification(found: Verification, expected: &GoldenVerification) {
    assert_close(found.auc, expected.auc);
    assert_close(found.eer.rate, expected.eer);
    assert_close(found.eer.threshold, expected.eer_threshold);
    let ([at_1e2, at_1e3, at_1e4], [around_1e2, around_1e3, around_1e4]) =
        (found.tar_at_far, found.intervals.unwrap().tar_at_far);
    assert_close(at_1e2.unwrap().rate, expected.tar_far_1e2);
    assert_close(at_1e3.unwrap().rate, expected.tar_far_1e3);
    assert_close(at_1e3.unwrap().threshold, expected.tar_far_1e3_threshold);
    assert_interval(found.intervals.unwrap().auc, &expected.intervals.auc);
    assert_interval(found.intervals.unwrap().eer, &expected.intervals.eer);
    assert_interval(around_1e2.unwrap(), &expected.intervals.tar_far_1e2);
    assert_interval(around_1e3.unwrap(), &expected.intervals.tar_far_1e3);
    assert_eq!((at_1e4, around_1e4), (None, None), "there are 2,000 negative pairs");
}

fn evaluated(golden: &Golden, neighbours: &[u32], k: usize, thresholds: &[f64], pairs: &Pairs) -> Evaluation {
    evaluate(golden.reference(), golden.query(), neighbours, k, thresholds, Some(pairs), |_| ()).0
}

/// `labels` clusters on a line, each `spread` wide, their lower ends `apart`.
struct Clusters {
    values: Vec<f32>,
    labels: Vec<u32>,
}

impl Clusters {
    fn new(rows: usize, labels: u32, apart: f32, spread: f32) -> Clusters {
        // SplitMix64: the tests need numbers that only look random.
        let uniform = |at: u64| {
            let mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed >> 40) as f32 / (1 << 24) as f32
        };
        let labels: Vec<u32> = (0..rows as u32).map(|row| row % labels).collect();
        let values = (1..).zip(&labels).map(|(at, &label)| apart * label as f32 + spread * uniform(at)).collect();
        Clusters { values, labels }
    }

    fn embedded(&self) -> Embedded<'_> {
        Embedded { values: &self.values, dims: 1, labels: &self.labels }
    }
}

#[test]
fn every_figure_is_that_of_the_golden_file() {
    let golden = Golden::read();
    let asked: Vec<f64> = golden.thresholds.iter().map(|entry| entry.threshold).collect();
    let found = evaluated(&golden, &golden.neighbours, 5, &asked, &golden.pairs());

    assert_close(found.knn5.unwrap(), golden.knn5);
    assert_close(found.centroid.unwrap(), golden.centroid);
    assert_close(found.one_shot.unwrap(), golden.one_shot);
    assert_eq!(found.gallery, golden.gallery);
    assert_eq!(found.thresholds.len(), golden.thresholds.len());
    for (found, expected) in found.thresholds.iter().zip(&golden.thresholds) {
        assert_eq!(found.threshold, expected.threshold);
        assert_close(found.accepted, expected.accepted);
        assert_close(found.right, expected.right);
    }
    assert_spread(found.one_shot_galleries.unwrap(), &golden.one_shot_galleries);
    let expected = &golden.verification;
    assert_close(found.auc.unwrap(), expected.auc);
    assert_close(found.eer.unwrap(), expected.eer);
    assert_close(found.eer_threshold.unwrap(), expected.eer_threshold);
    assert_close(found.tar_far_1e2.unwrap(), expected.tar_far_1e2);
    assert_close(found.tar_far_1e3.unwrap(), expected.tar_far_1e3);
    assert_close(found.tar_far_1e3_threshold.unwrap(), expected.tar_far_1e3_threshold);
    assert_interval(found.auc_interval.unwrap(), &expected.intervals.auc);
    assert_interval(found.eer_interval.unwrap(), &expected.intervals.eer);
    assert_interval(found.tar_far_1e2_interval.unwrap(), &expected.intervals.tar_far_1e2);
    assert_interval(found.tar_far_1e3_interval.unwrap(), &expected.intervals.tar_far_1e3);
    assert_eq!((found.tar_far_1e4, found.tar_far_1e4_interval), (None, None));
    assert_close(found.verification_accuracy.unwrap(), expected.accuracy.mean);
    assert_close(found.verification_accuracy_error.unwrap(), expected.accuracy.error);
    assert_eq!(found.calibrated, None);
    assert_eq!(found.map_at_r, map_at_r(golden.query()));
    assert_eq!((found.positive_pairs, found.negative_pairs), (golden.pair_count, golden.pair_count));
}

#[test]
fn tied_distances_count_as_in_the_golden_file() {
    let golden = Golden::read();
    let values: Vec<f32> = golden.query.iter().map(|value| value.floor()).collect();
    let e = Embedded { values: &values, ..golden.query() };
    let expected = &golden.verification_of_floor;
    assert_verification(verification(e, &golden.pairs()).unwrap(), expected);
    let accuracy = verification_accuracy(e, &golden.pairs(), FOLDS).unwrap();
    assert_close(accuracy.mean, expected.accuracy.mean);
    assert_close(accuracy.error, expected.accuracy.error);
}

#[test]
fn retrieval_is_that_of_the_golden_file() {
    let golden: GoldenRetrieval = serde_json::from_str(include_str!("../golden/retrieval.json"))
        .expect("the golden file is what its script writes");
    let found = retrieval(Embedded { values: &golden.values, dims: golden.dims, labels: &golden.labels }).unwrap();
    assert_close(found.recall_at_1, golden.recall_at_1);
    assert_close(found.recall_at_2, golden.recall_at_2);
    assert_close(found.recall_at_4, golden.recall_at_4);
    assert_close(found.recall_at_8, golden.recall_at_8);
    assert_close(found.r_precision, golden.r_precision);
    assert_close(found.map_at_r, golden.map_at_r);
}

#[test]
fn a_threshold_chosen_on_some_pairs_is_judged_on_others() {
    let golden = Golden::read();
    let pairs = golden.pairs();
    let half = golden.pair_count / 2;
    let part = |range: std::ops::Range<usize>| Pairs {
        positive: pairs.positive[range.clone()].to_vec(),
        negative: pairs.negative[range].to_vec(),
    };
    let (chosen_on, judged_on) = (part(0..half), part(half..golden.pair_count));
    let threshold = threshold_at_far(golden.query(), &chosen_on, 1e-2).unwrap();
    let roc = |pairs| Roc::of(golden.query(), pairs).unwrap();
    let judged = judge(&roc(&judged_on), threshold);
    assert_close(judged.threshold, golden.judged.threshold);
    assert_close(judged.far, golden.judged.far);
    assert_close(judged.tar, golden.judged.tar);

    let same = judge(&roc(&chosen_on), threshold);
    let point = verification(golden.query(), &chosen_on).unwrap().tar_at_far[0].unwrap();
    assert_eq!((same.far, same.tar, same.threshold), (1e-2, point.rate, point.threshold));
    assert_eq!(threshold_at_far(golden.query(), &chosen_on, 1e-4), None, "there are 1,000 negative pairs");

    let json = serde_json::to_value(Calibrated { target_far: 1e-2, judged }).unwrap();
    let names: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(names, ["target_far", "threshold", "far", "tar"]);
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
    let found = evaluated(&golden, &golden.neighbours, 5, &[3.5], &few);
    let json = serde_json::to_value(&found).unwrap();
    let figures = ["knn5", "centroid", "one_shot", "auc", "eer", "tar_far_1e2", "verification_accuracy"];
    let retrieved = ["recall_at_1", "recall_at_2", "recall_at_4", "recall_at_8", "r_precision", "map_at_r"];
    for figure in figures.into_iter().chain(retrieved) {
        let share = json[figure].as_f64().unwrap_or_else(|| panic!("{figure} is a number in {json}"));
        assert!((0.0..=1.0).contains(&share), "{figure} is {share}");
    }
    for interval in ["auc_interval", "eer_interval", "tar_far_1e2_interval", "one_shot_galleries"] {
        assert!(json[interval]["low"].as_f64() < json[interval]["high"].as_f64(), "{interval} in {json}");
    }
    for missing in ["tar_far_1e3", "tar_far_1e3_interval", "tar_far_1e4", "tar_far_1e4_interval", "calibrated"] {
        assert!(json[missing].is_null(), "999 negative pairs have no {missing}");
    }
    assert_eq!(json["thresholds"][0]["threshold"], 3.5);
}

#[test]
fn only_the_five_nearest_of_longer_lists_vote() {
    let golden = Golden::read();
    let pairs = golden.pairs();
    let longer: Vec<u32> = golden.neighbours.chunks(5).flat_map(|row| [row, &[0, 0]].concat()).collect();
    assert_eq!(evaluated(&golden, &longer, 7, &[], &pairs), evaluated(&golden, &golden.neighbours, 5, &[], &pairs),);
}

#[test]
fn a_tied_vote_goes_to_the_smallest_sum_of_ranks() {
    // Reference i has label i / 2, so each pair of references is one label.
    let labels = [0, 0, 1, 1, 2, 2];
    let winner = |row: [u32; 5]| (0..3).find(|&label| knn_accuracy(&row, 5, &labels, &[label]) == Some(1.0));
    assert_eq!(winner([2, 3, 0, 1, 4]), Some(1), "ranks 0 + 1 beat 2 + 3");
    assert_eq!(winner([0, 2, 3, 1, 4]), Some(0), "ranks 0 + 3 tie with 1 + 2: the smaller label");
    assert_eq!(winner([2, 0, 1, 3, 4]), Some(0), "the same with the labels exchanged");
    assert_eq!(winner([4, 2, 0, 1, 3]), Some(0), "ranks 2 + 3 beat 1 + 4 only by the label: sums are equal");
    assert_eq!(winner([4, 2, 3, 0, 1]), Some(1), "one vote at rank 0 does not beat two");
    assert_eq!(knn_accuracy(&[0, 2], 1, &labels, &[0, 2]), Some(0.5), "one of two queries");
    assert_eq!(knn_accuracy(&[0, 2], 1, &labels, &[0, 7]), Some(1.0), "no reference has label 7");
    assert_eq!(knn_accuracy(&[0], 1, &labels, &[7]), None, "no query is left");
}

#[test]
fn centroids_are_plain_means() {
    // Means 1 and 4: at 2.4 label 7 is nearer, at 2.6 label 9; at 2.5 they tie. No reference has label 8.
    let reference = Embedded { values: &[0.0, 2.0, 4.0], dims: 1, labels: &[7, 7, 9] };
    let right =
        |value: f32, label: u32| centroid_accuracy(reference, Embedded { values: &[value], dims: 1, labels: &[label] });
    assert_eq!([right(2.4, 7), right(2.6, 9), right(2.5, 7), right(2.4, 9)], [1.0, 1.0, 1.0, 0.0].map(Some));
    assert_eq!(right(2.4, 8), None);
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
    let found = one_shot(query, &[0, 1], &[0.5, 0.6, 2.1]).unwrap();
    assert_eq!(found.accuracy, 0.5, "the tie goes to the first in the gallery");
    assert_eq!(one_shot(query, &[1, 0], &[]).unwrap().accuracy, 0.75, "with the gallery turned round, to label 1");
    let shares: Vec<_> = found.thresholds.iter().map(|entry| (entry.accepted, entry.right)).collect();
    assert_eq!(shares, [(0.0, 0.0), (0.5, 0.5), (1.0, 0.5)], "0.5 is not below 0.5");
}

#[test]
fn perfect_separation() {
    let roc = Roc::new(vec![1.0, 2.0], (0..1000).map(|i| 3.0 + i as f32).collect()).unwrap();
    assert_eq!(roc.auc(), 1.0);
    assert_eq!((roc.equal_error().rate, roc.equal_error().threshold), (0.0, 2.0));
    let at_far = roc.tar_at_far(1e-3).unwrap();
    assert_eq!((at_far.rate, at_far.threshold), (1.0, 3.0));
    assert_eq!((roc.far(2.5), roc.frr(2.5), roc.frr(1.5)), (0.0, 0.0, 0.5));
}

#[test]
fn reversed_separation() {
    let roc = Roc::new(vec![3.0, 4.0], vec![1.0, 2.0]).unwrap();
    assert_eq!(roc.auc(), 0.0);
    assert_eq!(roc.equal_error().rate, 1.0);
}

#[test]
fn identical_distributions_are_chance() {
    let distances: Vec<f32> = (0..1000).map(|i| i as f32).collect();
    let roc = Roc::new(distances.clone(), distances).unwrap();
    assert_eq!(roc.auc(), 0.5);
    assert_eq!((roc.equal_error().rate, roc.equal_error().threshold), (0.5, 499.0));
    assert_eq!(roc.tar_at_far(1e-3).unwrap().rate, 1e-3);
}

#[test]
fn a_collapsed_embedding_is_chance() {
    let e = Embedded { values: &[0.25; 8], dims: 2, labels: &[0, 0, 1, 1] };
    let pairs = verification_pairs(e.labels, 1000, 0).unwrap();
    let found = verification(e, &pairs).unwrap();
    assert_eq!((found.auc, found.eer.rate), (0.5, 0.5));
    assert_eq!(found.tar_at_far[1].map(|point| (point.rate, point.accepting())), Some((0.0, None)));
    assert_eq!(threshold_at_far(e, &pairs, 1e-3), None);
    assert!(collapsed(e));
    let nearly = Embedded { values: &[1.0, 0.0, 1.0, 1e-3], dims: 2, labels: &[0, 1] };
    assert!(!collapsed(nearly), "a thousandth apart is apart");
    assert!(collapsed(Embedded { values: &[1.0, 0.0, 1.0, 1e-7], ..nearly }), "as far as 32 bits tell");
    assert!(!collapsed(Embedded { values: &[1.0, 0.0], dims: 2, labels: &[0] }), "one image shows nothing");
}

#[test]
fn the_equal_error_is_interpolated() {
    // (FAR, FRR) is (1/4, 1) at 1, (1/4, 1/2) at 2, (3/4, 1/2) at 3: they cross halfway between 2 and 3.
    let roc = Roc::new(vec![2.0, 4.0], vec![1.0, 3.0, 3.0, 5.0]).unwrap();
    assert_eq!((roc.equal_error().rate, roc.equal_error().threshold), (0.5, 2.5));
    // Nearer than the positive pair: 1, 3, 3 of 4 for the one at 4, and 1 of 4 for the one at 2.
    assert_eq!(roc.auc(), 0.5);
    assert_eq!(roc.tar_at_far(0.25).unwrap().threshold, 1.0);
    assert!(roc.tar_at_far(0.2).is_none(), "a FAR of 0.2 takes five negative pairs");
    assert_eq!(roc.tar_at_far(0.5).unwrap().threshold, 1.0, "the two at 3 are one too many");
    assert_eq!(roc.tar_at_far(0.75).unwrap().threshold, 3.0);
}

/// However pairs tie, no rate is reached by accepting more negative pairs than it admits, and no threshold that admits
/// them accepts more negative pairs.
#[test]
fn a_false_accept_rate_is_never_exceeded() {
    for levels in [1, 2, 5, 40, 1000] {
        let tied = |factor: usize, count| (0..count).map(|at| (at * factor % levels) as f32).collect::<Vec<_>>();
        let roc = Roc::new(tied(7, 300), tied(11, 2900)).unwrap();
        for far in [1e-3, 0.01, 0.1, 0.5, 0.99, 1.0] {
            let point = roc.tar_at_far(far).unwrap();
            let reached = roc.far(point.threshold as f32);
            assert!(reached <= far, "{levels} levels: {reached} for {far}");
            assert_eq!(point.rate, roc.tar(point.threshold as f32));
            let next = roc.negative().iter().find(|&&distance| f64::from(distance) > point.threshold);
            assert!(next.is_none_or(|&next| roc.far(next) > far), "{levels} levels: {next:?} would do for {far}");
        }
    }
    assert_eq!((admitted(0.01, 2900), admitted(0.001, 999), admitted(0.1, 30)), (29, 0, 3));
}

#[test]
fn verification_does_not_depend_on_the_scale() {
    let golden = Golden::read();
    let plain = verification(golden.query(), &golden.pairs()).unwrap();
    // A power of two, so that rounding scales too and the rates must be the same bits.
    let values: Vec<f32> = golden.query.iter().map(|value| value * 8.0).collect();
    let scaled = verification(Embedded { values: &values, ..golden.query() }, &golden.pairs()).unwrap();
    assert_eq!((scaled.auc, scaled.eer.rate), (plain.auc, plain.eer.rate));
    assert_eq!(scaled.eer.threshold, plain.eer.threshold * 64.0);
    assert_eq!(scaled.tar_at_far[1].map(|point| point.rate), plain.tar_at_far[1].map(|point| point.rate));
}

#[test]
fn exchanging_positive_and_negative_mirrors_the_auc() {
    let golden = Golden::read();
    let Pairs { positive, negative } = golden.pairs();
    let exchanged = Pairs { positive: negative.clone(), negative: positive.clone() };
    let auc = |pairs| verification(golden.query(), pairs).unwrap().auc;
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

#[test]
fn a_gallery_is_no_probe_of_its_own() {
    // Each image lies beside one of the other label and far from that of its own.
    let e = Embedded { values: &[0.0, 10.0, 1.0, 11.0], dims: 1, labels: &[0, 0, 1, 1] };
    let found = one_shot_galleries(e, 200, 0).unwrap();
    // Right are only the probes 11 of the gallery at 0 and 1, and 0 of that at 10 and 11.
    let accuracies = [[0, 2], [0, 3], [1, 2], [1, 3]].map(|gallery| one_shot(e, &gallery, &[]).unwrap().accuracy);
    assert_eq!(accuracies, [0.5, 0.0, 0.0, 0.5]);
    assert!((found.mean - 0.25).abs() < 0.05, "{found:?}");
    assert_eq!((found.low, found.high, found.galleries), (0.0, 0.5, 200));
}

#[test]
fn the_spread_of_galleries_is_seeded_and_holds_the_mean() {
    let golden = Golden::read();
    let spread = |galleries, seed| one_shot_galleries(golden.query(), galleries, seed).unwrap();
    let found = spread(100, 1);
    assert_eq!(found, spread(100, 1));
    assert_ne!(found, spread(100, 2));
    assert!(found.low < found.mean && found.mean < found.high, "{found:?}");
    let single = spread(1, 1);
    assert_eq!((single.low, single.high), (single.mean, single.mean));
}

#[test]
fn galleries_of_perfect_collapsed_and_random_embeddings() {
    let perfect = Clusters::new(60, 3, 10.0, 1.0);
    let found = one_shot_galleries(perfect.embedded(), 50, 0).unwrap();
    assert_eq!((found.mean, found.low, found.high), (1.0, 1.0, 1.0));
    // All tie, and the first label wins: 19 of its 20 rows are among the 57 probes.
    let collapsed = Clusters::new(60, 3, 0.0, 0.0);
    let found = one_shot_galleries(collapsed.embedded(), 50, 0).unwrap();
    assert_eq!((found.low, found.high), (19.0 / 57.0, 19.0 / 57.0));
    let random = Clusters::new(600, 3, 0.0, 1.0);
    let found = one_shot_galleries(random.embedded(), 200, 0).unwrap();
    assert!((found.mean - 1.0 / 3.0).abs() < 0.03, "{found:?}");
}

#[test]
fn retrieval_by_hand() {
    // From 0 the others come in the order of the labels 0, 1, 0, 2; from 1: 1, 0, 0, 2; from 5: 2, 1, 0, 0. Of label 0
    // there are two others, so that R is 2. Labels 1 and 2 have none and do not ask.
    let e = Embedded { values: &[0.0, 1.0, 1.75, 5.0, 6.0], dims: 1, labels: &[0, 0, 1, 0, 2] };
    let Retrieval { recall_at_1, recall_at_2, recall_at_4, recall_at_8, r_precision, map_at_r } = retrieval(e).unwrap();
    assert_eq!((recall_at_1, recall_at_2, recall_at_4, recall_at_8), (1.0 / 3.0, 2.0 / 3.0, 1.0, 1.0));
    assert_close(r_precision, (0.5 + 0.5 + 0.0) / 3.0);
    // Precision 1 at place 1, 1/2 at place 2, and nothing, each over R.
    assert_close(map_at_r, (0.5 + 0.25 + 0.0) / 3.0);
}

#[test]
fn of_equally_near_rows_the_lower_is_nearer() {
    let recall = |labels| retrieval(Embedded { values: &[1.0, 0.0, 2.0, 9.0], dims: 1, labels }).unwrap().recall_at_1;
    // The row at 1 lies between those at 0 and 2.
    assert_eq!(recall(&[0, 0, 1, 2]), 1.0);
    assert_eq!(recall(&[0, 1, 0, 2]), 0.5, "the row at 0 is the lower one");
}

#[test]
fn retrieval_of_perfect_collapsed_and_random_embeddings() {
    let perfect = retrieval(Clusters::new(60, 3, 10.0, 1.0).embedded()).unwrap();
    assert_eq!((perfect.recall_at_1, perfect.r_precision, perfect.map_at_r), (1.0, 1.0, 1.0));
    // All tie, and the lower rows come first, with labels 0, 1, 2, 0, 1, 2, ...: label 0 is at the first place for 3 of
    // its 4 rows, and only row 2 finds its label no earlier than at the fifth place.
    let collapsed = retrieval(Clusters::new(12, 3, 0.0, 0.0).embedded()).unwrap();
    assert_eq!((collapsed.recall_at_1, collapsed.recall_at_4, collapsed.recall_at_8), (3.0 / 12.0, 11.0 / 12.0, 1.0));
    let random = retrieval(Clusters::new(600, 3, 0.0, 1.0).embedded()).unwrap();
    assert!((random.recall_at_1 - 1.0 / 3.0).abs() < 0.06, "{random:?}");
    assert!((random.r_precision - 1.0 / 3.0).abs() < 0.03, "{random:?}");
    assert!((random.map_at_r - 1.0 / 9.0).abs() < 0.03, "{random:?}");
}

/// What the labels cannot give is left out with a reason, and nothing else; whatever they are, nothing panics.
#[test]
fn figures_without_meaning_are_left_out() {
    let verified = ["auc", "eer", "tar_far_1e2", "tar_far_1e3", "tar_far_1e4", "verification_accuracy"];
    let within = ["one_shot", "one_shot_galleries", "recall_at_1", "map_at_r"];
    let two = [0, 1].repeat(20);
    // References, queries, what must be missing, what must be there.
    type Case<'a> = (&'a [u32], &'a [u32], Vec<&'a str>, Vec<&'a str>);
    let cases: [Case; 8] = [
        (&two, &two, vec!["tar_far_1e3", "tar_far_1e4"], vec!["knn5", "centroid", "auc", "tar_far_1e2", "map_at_r"]),
        (&two, &[0, 1], [verified.as_slice(), &within].concat(), vec!["knn5", "centroid"]),
        (&two, &[1, 1, 1], [verified.as_slice(), &within].concat(), vec!["knn5", "centroid"]),
        (&[0, 1, 1], &two, vec!["knn5"], vec!["centroid", "one_shot", "auc"]),
        (&[3; 9], &two, vec!["knn5", "centroid"], vec!["one_shot", "auc"]),
        (&[7, 8].repeat(5), &two, vec!["knn5", "centroid"], vec!["one_shot", "auc"]),
        (&[], &two, vec!["knn5", "centroid"], vec!["one_shot", "map_at_r"]),
        (&two, &[], [verified.as_slice(), &within, &["knn5", "centroid"]].concat(), vec![]),
    ];
    for (reference, query, missing, there) in cases {
        let values = |labels: &[u32]| (0..).zip(labels).map(|(at, &label)| (label * 9 + at % 7) as f32).collect();
        let [reference_values, query_values]: [Vec<f32>; 2] = [reference, query].map(values);
        let k = VOTES.min(reference.len());
        let neighbours: Vec<u32> = query.iter().flat_map(|_| 0..k as u32).collect();
        let pairs = verification_pairs(query, 1000, 0).ok();
        let (found, nearest) = evaluate(
            Embedded { values: &reference_values, dims: 1, labels: reference },
            Embedded { values: &query_values, dims: 1, labels: query },
            &neighbours,
            k,
            &[1.0],
            pairs.as_ref(),
            |_| (),
        );
        assert!(nearest.len() <= query.len());
        let foreseen = left_out(reference, query);
        assert!(foreseen.iter().all(|(name, reason)| found.left_out.get(name) == Some(reason)), "{found:?}");
        for figure in found.figures() {
            let name = figure.key.split('/').nth(1).unwrap();
            assert_eq!(figure.value.is_none(), found.left_out.contains_key(name), "{name}: {figure:?}");
            assert!(figure.value.is_some() || figure.words.len() > "left out: ".len(), "{figure:?}");
            assert!(!missing.contains(&name) || figure.value.is_none(), "{name} of {reference:?} and {query:?}");
            assert!(!there.contains(&name) || figure.value.is_some(), "{name} of {reference:?} and {query:?}");
        }
    }
}

#[test]
fn images_of_unseen_labels_are_counted_and_left_out() {
    let reference = Embedded { values: &[0.0, 0.1, 0.2, 5.0, 5.1, 5.2], dims: 1, labels: &[0, 0, 0, 1, 1, 1] };
    let query = Embedded { values: &[0.0, 5.0, 9.0, 9.1], dims: 1, labels: &[0, 1, 2, 2] };
    let neighbours = [[0, 1, 2, 3, 4], [3, 4, 5, 2, 1], [5, 4, 3, 2, 1], [5, 4, 3, 2, 1]].concat();
    let (found, _) = evaluate(reference, query, &neighbours, 5, &[], None, |_| ());
    assert_eq!((found.knn5, found.centroid, found.unseen), (Some(1.0), Some(1.0), 2));
    let words = &found.figures()[0].words;
    assert!(words.contains("without 2 test images"), "{words}");
}

/// A table's line and the JSON have one number, whatever the figure.
#[test]
fn the_table_has_the_numbers_of_the_json() {
    let golden = Golden::read();
    let found = evaluated(&golden, &golden.neighbours, 5, &[2.5, 3.5], &golden.pairs());
    let json = serde_json::to_value(&found).unwrap();
    let figures = found.figures();
    for figure in &figures {
        assert_eq!(json.pointer(&figure.key).and_then(serde_json::Value::as_f64), figure.value, "{}", figure.key);
        let text = match (figure.unit, figure.value) {
            (_, None) => "-".to_owned(),
            (Unit::Percent, Some(value)) => format!("{:.2} %", 100.0 * value),
            (Unit::Plain, Some(value)) => format!("{value:.5}"),
        };
        assert_eq!(figure.text, text);
    }
    let names: HashSet<&str> = figures.iter().map(|figure| figure.name).collect();
    assert_eq!(names.len() + 1, figures.len(), "recognition twice, every other name once");
    let one_shot = figures.iter().find(|figure| figure.name == "one-shot accuracy").unwrap();
    assert_eq!(one_shot.value, found.one_shot, "not the mean of random galleries");
    assert_eq!(serde_json::from_value::<Evaluation>(json).unwrap(), Evaluation { roc: None, ..found });
}

#[test]
fn embeddings_that_cannot_be_measured_are_refused() {
    for (value, word) in [(f32::NAN, "finite"), (f32::INFINITY, "finite"), (1e20, "32 bits"), (-2e19, "32 bits")] {
        let values = [0.0, 1.0, value, 1.0];
        let error = measurable(&values, 2, "MNIST test").unwrap_err();
        let words = error.to_string();
        assert!(words.contains("MNIST test") && words.contains("image 1") && words.contains(word), "{words}");
        assert!(error.hint().is_some());
        let e = Embedded { values: &values, dims: 2, labels: &[0, 0] };
        assert_eq!((retrieval(e), map_at_r(e)), (None, None));
    }
    assert!(measurable(&[0.0, 9e18, 1.0, 1.0], 2, "").is_ok());
    let e = Embedded { values: &[0.0, f32::NAN, 1.0], dims: 1, labels: &[0, 0, 1] };
    let pairs = Pairs { positive: vec![(0, 1)], negative: vec![(1, 2)] };
    assert!(verification(e, &pairs).is_none() && Roc::of(e, &pairs).is_none());
    assert!(Roc::new(vec![], vec![1.0]).is_none());
}

#[test]
fn intervals_hold_their_rate_and_shrink_with_more_pairs() {
    let clusters = Clusters::new(2000, 4, 0.4, 1.0);
    let e = clusters.embedded();
    let found = |count| verification(e, &verification_pairs(e.labels, count, 0).unwrap()).unwrap();
    let (few, many) = (found(1000), found(16_000));
    let ranges = |found: &Verification| {
        let Verification { auc, eer, tar_at_far, intervals } = *found;
        let intervals = intervals.unwrap();
        [
            (auc, intervals.auc),
            (eer.rate, intervals.eer),
            (tar_at_far[0].unwrap().rate, intervals.tar_at_far[0].unwrap()),
            (tar_at_far[1].unwrap().rate, intervals.tar_at_far[1].unwrap()),
        ]
    };
    for ((rate, interval), (_, narrow)) in ranges(&few).into_iter().zip(ranges(&many)) {
        assert!(interval.low <= rate && rate <= interval.high, "{rate} in {interval:?}");
        // Four times narrower, were it not for chance.
        let ratio = (interval.high - interval.low) / (narrow.high - narrow.low);
        assert!(ratio > 1.5, "{interval:?} and {narrow:?}");
    }
    assert!(few.tar_at_far[2].is_none() && few.intervals.unwrap().tar_at_far[2].is_none());
    let (rate, interval) = (many.tar_at_far[2].unwrap().rate, many.intervals.unwrap().tar_at_far[2].unwrap());
    assert!(interval.low <= rate && rate <= interval.high, "{rate} in {interval:?}");
}

#[test]
fn perfect_and_collapsed_rates_have_no_spread() {
    let point = |rate| Interval { low: rate, high: rate };
    let perfect = Roc::new(vec![1.0; 50], vec![2.0; 200]).unwrap().bootstrap(100, 0);
    assert_eq!((perfect.auc, perfect.eer, perfect.tar_at_far[0]), (point(1.0), point(0.0), Some(point(1.0))));
    assert_eq!(perfect.tar_at_far[1], None);
    let collapsed = Roc::new(vec![1.0; 50], vec![1.0; 200]).unwrap().bootstrap(100, 0);
    assert_eq!((collapsed.auc, collapsed.eer, collapsed.tar_at_far[0]), (point(0.5), point(0.5), Some(point(0.0))));
}

#[test]
fn replicas_are_seeded() {
    let roc = Roc::new((0..50).map(|i| i as f32).collect(), (0..100).map(|i| 0.7 * i as f32).collect()).unwrap();
    assert_eq!(roc.bootstrap(100, 1), roc.bootstrap(100, 1));
    assert_ne!(roc.bootstrap(100, 1), roc.bootstrap(100, 2));
}

#[test]
fn accuracy_of_perfect_collapsed_and_random_embeddings() {
    let accuracy = |clusters: &Clusters, count| {
        let e = clusters.embedded();
        verification_accuracy(e, &verification_pairs(e.labels, count, 0).unwrap(), FOLDS)
    };
    let perfect = accuracy(&Clusters::new(60, 3, 10.0, 1.0), 500).unwrap();
    assert_eq!((perfect.mean, perfect.error), (1.0, 0.0));
    let collapsed = accuracy(&Clusters::new(60, 3, 0.0, 0.0), 500).unwrap();
    assert_eq!((collapsed.mean, collapsed.error), (0.5, 0.0));
    let random = accuracy(&Clusters::new(2000, 3, 0.0, 1.0), 5000).unwrap();
    assert!((random.mean - 0.5).abs() < 0.03 && random.error < 0.02, "{random:?}");
    assert_eq!(accuracy(&Clusters::new(60, 3, 10.0, 1.0), 9), None, "ten folds take ten pairs");
}

#[test]
fn the_threshold_of_a_fold_is_chosen_on_the_others() {
    // Two folds of one positive and one negative pair each. The first has distances 0 and 4, halfway 2; the second 1
    // and 16, halfway 8.5. The negative pair at 4 is therefore judged wrongly.
    let e = Embedded { values: &[0.0, 0.0, 2.0, 1.0, 4.0], dims: 1, labels: &[0, 0, 1, 0, 2] };
    let pairs = Pairs { positive: vec![(0, 1), (0, 3)], negative: vec![(0, 2), (0, 4)] };
    let found = verification_accuracy(e, &pairs, 2).unwrap();
    // 1/2 and 1: the standard deviation is 1/2 of the root of 1/2, and the error that over the root of 2.
    assert_close(found.mean, 0.75);
    assert_close(found.error, 0.25);
}

// ------------------------------------------------------------------------------------------------- many identities

/// Rows of many labels in `dims` dimensions about a place for each; on a grid where it is `coarse`, so that many
/// distances tie.
struct Crowd {
    dims: usize,
    values: Vec<f32>,
    labels: Vec<u32>,
}

impl Crowd {
    fn new(rows: usize, labels: u32, dims: usize, spread: f32, coarse: bool) -> Crowd {
        let mut rng = ChaCha8Rng::seed_from_u64(rows as u64 + dims as u64);
        let mut draw = |width: f32| width * rng.random_range(-1.0..1.0_f32);
        let centres: Vec<f32> = (0..labels as usize * dims).map(|_| draw(2.0)).collect();
        // Some labels have one row, some many.
        let labels: Vec<u32> = (0..rows as u32).map(|row| row % labels * (row % 3).min(1) + row % labels / 2).collect();
        let values = labels.iter().flat_map(|&label| (0..dims).map(move |dim| label as usize * dims + dim));
        let values = values.map(|at| centres[at % centres.len()] + draw(spread)).collect::<Vec<_>>();
        let values = if coarse { values.into_iter().map(|value| value.round()).collect() } else { values };
        Crowd { dims, values, labels }
    }

    fn embedded(&self) -> Embedded<'_> {
        Embedded { values: &self.values, dims: self.dims, labels: &self.labels }
    }

    /// Other rows in their order by distance, then number.
    fn order(&self, row: usize) -> Vec<(f32, usize)> {
        let e = self.embedded();
        let others = (0..self.labels.len()).filter(|&other| other != row);
        let mut all: Vec<_> =
            others.map(|other| (squared_distance(e.row(row as u32), e.row(other as u32)), other)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all
    }
}

/// Of many labels neighbours come from tiles: every figure is that of its definition, by brute force, ties and points
/// that coincide included.
#[test]
fn figures_of_many_identities_are_those_of_their_definition() {
    for crowd in [
        Crowd::new(900, 300, 5, 1.5, false),
        Crowd::new(700, 250, 2, 2.0, true),
        Crowd { values: vec![1.0; 3 * 400], ..Crowd::new(400, 200, 3, 1.0, false) },
    ] {
        let (e, rows) = (crowd.embedded(), crowd.labels.len());
        let found = retrieval(e).unwrap();
        let (mut recalls, mut precisions, mut maps, mut asking) = ([0; 4], 0.0, 0.0, 0);
        for row in 0..rows {
            let hits: Vec<bool> =
                crowd.order(row).iter().map(|&(_, other)| crowd.labels[other] == crowd.labels[row]).collect();
            let relevant = hits.iter().filter(|&&hit| hit).count();
            if relevant == 0 {
                continue;
            }
            asking += 1;
            for (recall, k) in recalls.iter_mut().zip([1, 2, 4, 8]) {
                *recall += usize::from(hits[..k].contains(&true));
            }
            let so_far = |at: usize| hits[..=at].iter().filter(|&&hit| hit).count() as f64;
            precisions += so_far(relevant - 1) / relevant as f64;
            let each = (0..relevant).filter(|&at| hits[at]).map(|at| so_far(at) / (at + 1) as f64);
            maps += each.sum::<f64>() / relevant as f64;
        }
        let mean = |sum: f64| sum / f64::from(asking);
        for (found, expected) in
            [found.recall_at_1, found.recall_at_2, found.recall_at_4, found.recall_at_8].into_iter().zip(recalls)
        {
            assert_close(found, mean(expected as f64));
        }
        assert_close(found.r_precision, mean(precisions));
        assert_close(found.map_at_r, mean(maps));

        let gallery = first_of_each_label(&crowd.labels);
        let one_shot = one_shot(e, &gallery, &[]).unwrap();
        let nearest = |row: usize| {
            let distances = gallery.iter().map(|&shown| squared_distance(e.row(row as u32), e.row(shown)));
            distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
        };
        let probes: Vec<usize> = (0..rows).filter(|&row| !gallery.contains(&(row as u32))).collect();
        let right = probes.iter().filter(|&&row| crowd.labels[gallery[nearest(row)] as usize] == crowd.labels[row]);
        assert_close(one_shot.accuracy, right.count() as f64 / probes.len() as f64);
    }
}

/// Of few labels each gallery is searched through, of many the nearest rows say it: the same set brings the same, with
/// more labels of one row each that are in every gallery and in nobody's way.
#[test]
fn galleries_of_many_identities_recognise_as_those_of_few() {
    for (dims, coarse) in [(4, false), (2, true)] {
        let crowd = Crowd::new(240, 80, dims, 1.0, coarse);
        let few = one_shot_galleries(crowd.embedded(), 300, 4).unwrap();
        assert!(first_of_each_label(&crowd.labels).len() < 128 && few.low < few.high);
        let next = crowd.labels.iter().max().unwrap() + 1;
        let (mut values, mut labels) = (crowd.values.clone(), crowd.labels.clone());
        values.extend((0..140 * dims).map(|at| 1e4 + 1e3 * (at / dims) as f32));
        labels.extend(next..next + 140);
        let many = one_shot_galleries(Embedded { values: &values, dims, labels: &labels }, 300, 4).unwrap();
        assert_eq!(few, many);
    }
}

/// Of other rows the same as within a set; those without a mate ask nothing.
#[test]
fn a_gallery_of_others_is_searched_as_a_set_within_itself() {
    let mut crowd = Crowd::new(500, 160, 4, 1.5, false);
    crowd.labels[490..].fill(9000);
    let (values, labels) = (&crowd.values, &crowd.labels);
    let part = |rows: std::ops::Range<usize>| Embedded {
        values: &values[4 * rows.start..4 * rows.end],
        dims: 4,
        labels: &labels[rows],
    };
    let (gallery, probes) = (part(0..350), part(350..500));
    let (found, asked) = retrieval_from(gallery, probes).unwrap();
    let (mut recall, mut maps, mut asking) = (0, 0.0, 0);
    for (probe, label) in probes.rows().zip(probes.labels) {
        let mut order: Vec<_> =
            gallery.rows().zip(gallery.labels).map(|(row, own)| (squared_distance(probe, row), own == label)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let relevant = order.iter().filter(|(_, hit)| *hit).count();
        if relevant > 0 {
            asking += 1;
            recall += usize::from(order[0].1);
            let so_far = |at: usize| order[..=at].iter().filter(|(_, hit)| *hit).count() as f64;
            let each = (0..relevant).filter(|&at| order[at].1).map(|at| so_far(at) / (at + 1) as f64);
            maps += each.sum::<f64>() / relevant as f64;
        }
    }
    assert!((100..=140).contains(&asking), "ten at least have no mate: {asking}");
    assert_eq!((asked, found.recall_at_1), (asking, recall as f64 / asking as f64));
    assert_close(found.map_at_r, maps / asking as f64);
    assert_eq!(retrieval_from(gallery, Embedded { values: &[0.0; 4], dims: 4, labels: &[9999] }), None);
}

#[test]
fn all_pairs_are_verified_where_identities_are_foreign() {
    let crowd = Crowd::new(300, 90, 6, 1.0, false);
    let e = crowd.embedded();
    let pairs = verification_pairs(&crowd.labels, 500, 0).unwrap();
    let nobody = Embedded { values: &[], dims: 6, labels: &[] };
    let (found, _) = evaluate(nobody, e, &[], 0, &[], Some(&pairs), |_| ());
    let mut kinds = [Vec::new(), Vec::new()];
    for a in 0..300 {
        for b in 0..a {
            kinds[usize::from(crowd.labels[a] != crowd.labels[b])]
                .push(squared_distance(e.row(a as u32), e.row(b as u32)));
        }
    }
    let [positive, negative] = kinds;
    let expected = Roc::new(positive, negative).unwrap();
    assert_eq!(found.roc.as_ref(), Some(&expected));
    assert_eq!([found.positive_pairs as u64, found.negative_pairs as u64], expected.pairs());
    assert_eq!(found.auc, Some(expected.auc()));
    assert!(found.tar_far_1e4.is_some() && found.verification_accuracy.is_some());
    let words = &found.figures().into_iter().find(|figure| figure.name == "ROC AUC").unwrap().words;
    assert!(words.starts_with(&format!("{} pairs of one, {} of two", found.positive_pairs, found.negative_pairs)));
    // Others are verified by their list.
    let (of_list, _) = evaluate(e, e, &[0; 300], 1, &[], Some(&pairs), |_| ());
    assert_eq!((of_list.positive_pairs, of_list.auc), (500, verification(e, &pairs).map(|found| found.auc)));
}

/// More pairs than are sorted are counted in tiles: as many, and their rates are those of the sorted ones to within
/// what is counted together.
#[test]
fn very_many_pairs_are_counted() {
    let crowd = Crowd::new(5900, 1500, 8, 0.5, false);
    let e = crowd.embedded();
    let found = Roc::of_all(e).unwrap();
    assert!(found.is_counted());
    let mut kinds = [Vec::new(), Vec::new()];
    for a in 0..5900_u32 {
        for b in 0..a {
            kinds[usize::from(crowd.labels[a as usize] != crowd.labels[b as usize])]
                .push(squared_distance(e.row(a), e.row(b)));
        }
    }
    let [positive, negative] = kinds;
    let exact = Roc::new(positive, negative).unwrap();
    assert_eq!(found.pairs(), exact.pairs());
    assert!((found.auc() - exact.auc()).abs() < 1e-5, "{} and {}", found.auc(), exact.auc());
    assert!((found.equal_error().rate - exact.equal_error().rate).abs() < 1e-4);
    for far in [1e-2, 1e-3, 1e-4, 1e-5] {
        let (found, exact) = (found.tar_at_far(far).unwrap(), exact.tar_at_far(far).unwrap());
        assert!((found.rate - exact.rate).abs() < 5e-4, "{found:?} and {exact:?} at {far}");
        assert!((found.threshold / exact.threshold - 1.0).abs() < 1e-4, "{found:?} and {exact:?} at {far}");
    }
    for threshold in [0.01, 0.3, 2.0, 50.0] {
        assert!((found.far(threshold) - exact.far(threshold)).abs() < 1e-4, "{threshold}");
    }
    assert_eq!(found, Roc::of_all(e).unwrap(), "the same again");
    let counted: u64 = found.negative_counts().map(|(_, pairs)| pairs).sum();
    assert_eq!([found.positive_counts().map(|(_, pairs)| pairs).sum::<u64>(), counted], found.pairs());
}
