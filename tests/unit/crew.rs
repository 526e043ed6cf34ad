//! What ranks tell each other, over threads.

use std::thread;

use siamese::crew::{Crew, Threads, by_halves, crew, divides};

/// What `talk` answers on each of so many ranks.
fn each<T: Send>(ranks: usize, talk: impl Fn(&mut Threads) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let talk = &talk;
        let ranks: Vec<_> = crew(ranks).into_iter().map(|mut own| scope.spawn(move || talk(&mut own))).collect();
        ranks.into_iter().map(|rank| rank.join().expect("no rank panics")).collect()
    })
}

#[test]
fn ranks_hear_the_first_and_each_other() {
    for ranks in [1, 2, 3, 4] {
        let heard = each(ranks, |own| {
            let mut bytes = if own.rank() == 0 { b"all of it".to_vec() } else { vec![7; 3] };
            own.broadcast(&mut bytes).expect("all are there");
            let mut all = vec![0; 2 * ranks];
            own.gather(&[own.rank() as u8, 9], &mut all).expect("all are there");
            (bytes, all)
        });
        let all: Vec<u8> = (0..ranks as u8).flat_map(|rank| [rank, 9]).collect();
        assert!(heard.iter().all(|heard| *heard == (b"all of it".to_vec(), all.clone())), "{ranks} ranks: {heard:?}");
    }
}

#[test]
fn whoever_adds_shares_makes_the_same_bits() {
    for shares in [1, 2, 3, 4, 6, 8, 12] {
        // Of magnitudes whose sums are rounded in another way in another order.
        let value =
            |share: usize, place: usize| ((share * 37 + place * 11) as f32).sin() * 10f32.powi(share as i32 % 5);
        let rows: Vec<Vec<f32>> = (0..shares).map(|share| (0..97).map(|place| value(share, place)).collect()).collect();
        let bits = |row: &[f32]| row.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let whole = bits(&by_halves(rows.clone()));
        for ranks in (1..=shares).filter(|&ranks| divides(shares, ranks)) {
            let sums = each(ranks, |own| {
                let mut sum = by_halves(rows[own.own(shares)].to_vec());
                own.sum(&mut sum).expect("all are there");
                bits(&sum)
            });
            assert!(sums.iter().all(|sum| *sum == whole), "{shares} shares on {ranks} ranks");
        }
    }
    let possible = |shares| (1..=shares).filter(|&ranks| divides(shares, ranks)).collect::<Vec<_>>();
    assert_eq!(possible(8), [1, 2, 4, 8]);
    assert_eq!(possible(12), [1, 3, 6, 12]);
    assert!(!divides(4, 0) && !divides(4, 8));
}

#[test]
fn a_rank_that_is_gone_is_an_error_for_the_others() {
    let mut ranks = crew(2);
    drop(ranks.pop());
    let error = ranks[0].sum(&mut [1.0]).expect_err("rank 1 is gone");
    assert_eq!(error.to_string(), "rank 1: it has ended");
}
