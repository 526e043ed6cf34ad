//! Retrieval of a set within itself: what lies nearest to each embedding among all others.

use rayon::prelude::*;

use super::{Embedded, share, squared_distance};

/// The outcome of [`retrieval`], means over the queries. Queries are the rows that share their label with another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retrieval {
    /// Recall@K: the share of queries with a row of their label among their K nearest, for the K of [`RECALL_AT`].
    pub recall: [f64; 4],
    /// R-precision: with R other rows of the query's label, the share of that label among its R nearest.
    pub r_precision: f64,
    /// MAP@R: the mean over the R nearest of the precision up to each that has the label, or 0 for one that has not
    /// (Musgrave, Belongie & Lim, *A Metric Learning Reality Check*, 2020, section 3.1).
    pub map_at_r: f64,
}

/// The K of [`Retrieval::recall`].
pub const RECALL_AT: [usize; 4] = [1, 2, 4, 8];

/// Looks up every embedding among all others, as pytorch-metric-learning's `AccuracyCalculator` does: by Euclidean
/// distance, of equally near rows the lower first. Each thread holds the distances of one row, so that memory grows
/// with the rows and not with their square.
///
/// # Panics
///
/// If no label has two rows.
pub fn retrieval(e: Embedded) -> Retrieval {
    let mut members = std::collections::HashMap::new();
    e.labels.iter().for_each(|label| *members.entry(label).or_insert(0usize) += 1);
    let found: Vec<(usize, f64, f64)> = e
        .labels
        .par_iter()
        .enumerate()
        .filter(|(_, label)| members[label] > 1)
        .map_init(Vec::new, |ranked: &mut Vec<u64>, (query, label)| {
            let relevant = members[label] - 1;
            let wanted = relevant.max(RECALL_AT[3]).min(e.labels.len() - 1);
            ranked.clear();
            // The bits of numbers from 0 up are in their order; the row behind them settles ties.
            ranked.extend((0..).zip(e.rows()).map(|(row, other)| {
                u64::from(squared_distance(e.row(query as u32), other).to_bits()) << 32 | u64::from(row as u32)
            }));
            ranked.swap_remove(query);
            if wanted < ranked.len() {
                ranked.select_nth_unstable(wanted - 1);
                ranked.truncate(wanted);
            }
            ranked.sort_unstable();
            let hits = |place: &u64| e.labels[*place as u32 as usize] == *label;
            let first = ranked.iter().position(hits).unwrap_or(usize::MAX);
            let (mut right, mut precision) = (0, 0.0);
            for (rank, _) in ranked[..relevant].iter().enumerate().filter(|(_, place)| hits(place)) {
                right += 1;
                precision += share(right, rank + 1);
            }
            (first, share(right, relevant), precision / relevant as f64)
        })
        .collect();
    let mean = |sum: f64| {
        assert!(!found.is_empty(), "retrieval needs two rows of one label");
        sum / found.len() as f64
    };
    Retrieval {
        recall: RECALL_AT.map(|k| mean(found.iter().filter(|(first, ..)| *first < k).count() as f64)),
        r_precision: mean(found.iter().map(|(_, precision, _)| precision).sum()),
        map_at_r: mean(found.iter().map(|(.., precision)| precision).sum()),
    }
}

/// [`Retrieval::map_at_r`] alone.
pub fn map_at_r(e: Embedded) -> f64 {
    retrieval(e).map_at_r
}
