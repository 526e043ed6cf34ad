//! Pictures whose label is probably wrong.

use std::sync::Arc;

use siamese::audit::places;
use siamese::cpu;
use siamese::eval::Embedded;
use siamese::kernels::Scale;
use siamese::net::Net;
use siamese::siamese::{Source, inference_plan, slots};

fn runner() -> cpu::Runner<f32> {
    let net = Net::parse("dense4 l2", [28, 28, 1]).unwrap();
    let source = Source { slot: "images".to_owned(), images: 1, scale: Scale::by(1.0), classes: 1 };
    cpu::Runner::new(Arc::new(inference_plan(&net, &source, 1, slots::PARAMETERS)))
}

/// On a line: label 3 at 0, 1 and 2; label 5 at 10 and 12; of label 3 also one at 11; label 9 is alone at 20.
#[test]
fn places_are_by_the_means_of_others() {
    let values = [0.0, 1.0, 10.0, 11.0, 2.0, 12.0, 20.0];
    let labels = [3, 3, 5, 3, 3, 5, 9];
    let found = places(&runner(), Embedded { values: &values, dims: 1, labels: &labels }, |_| ()).unwrap();
    let close = |a: f32, b: f32| (a - b).abs() <= 1e-4 * b.abs().max(1.0);
    // The mean of label 3 is 3.5; without the picture at 11, 1.
    let worst = found[0];
    assert_eq!((worst.row, worst.label), (3, 5));
    assert!(close(worst.own, 100.0) && worst.other == 0.0 && worst.score() == 1.0, "{worst:?}");
    assert!(found.iter().all(|place| place.row != 6), "the only one of its label has no place");
    assert_eq!(found.len(), 6);
    assert!(found.is_sorted_by(|a, b| a.score() >= b.score()));
    let of = |row| *found.iter().find(|place| place.row == row).unwrap();
    // 5's other picture is at 12; of the other labels' means, 3.5 is 6.5 away.
    assert!(close(of(2).own, 4.0) && close(of(2).other, 42.25) && of(2).label == 3, "{:?}", of(2));
    // From 12 to 20 it is nearer than to 3.5.
    assert!(close(of(5).own, 4.0) && close(of(5).other, 64.0) && of(5).label == 9, "{:?}", of(5));
}

#[test]
fn what_has_no_places() {
    let places =
        |values: &[f32], labels: &[u32]| places(&runner(), Embedded { values, dims: 1, labels }, |_| ()).unwrap();
    assert!(places(&[1.0, 2.0], &[4, 4]).is_empty(), "nobody else");
    assert!(places(&[1.0, 2.0], &[4, 5]).is_empty(), "nobody twice");
    assert!(places(&[], &[]).is_empty());
    let same = places(&[1.0; 4], &[0, 0, 1, 1]);
    assert!(same.len() == 4 && same.iter().all(|place| place.score() == 0.5), "{same:?}");
}

/// Wrong labels among identities of two to twenty pictures that vary differently: all are found before any other.
#[test]
fn planted_labels_come_first() {
    const DIMS: usize = 8;
    let hash = |number: usize| (number as u32).wrapping_mul(2_654_435_761) ^ (number as u32).wrapping_mul(40_503) >> 3;
    let noise = |number: usize| f64::from(hash(hash(number) as usize) >> 8) / f64::from(1 << 24) - 0.5;
    let (mut values, mut labels, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for label in 0..60_u32 {
        let spread = 0.1 + 0.4 * f64::from(label % 4);
        for picture in 0..2 + label as usize % 19 {
            let number = 1000 * (1 + label as usize) + 10 * picture;
            let place =
                (0..DIMS).map(|dim| 3.0 * noise(77_777 * (1 + label as usize) + dim) + spread * noise(number + dim));
            values.extend(place.map(|value| value as f32));
            let is_wrong = picture == 3 && label % 5 == 0;
            wrong.extend(is_wrong.then_some(labels.len()));
            labels.push(if is_wrong { (label + 7) % 60 } else { label });
        }
    }
    let found = places(&runner(), Embedded { values: &values, dims: DIMS, labels: &labels }, |_| ()).unwrap();
    let mut first: Vec<usize> = found[..wrong.len()].iter().map(|place| place.row).collect();
    first.sort_unstable();
    assert!(wrong.len() > 8);
    assert_eq!(first, wrong);
}
