//! Retrieval of a set within itself: each row asks all the others.

use std::collections::HashMap;

use rayon::prelude::*;

use super::{Embedded, share, squared_distance};

/// The outcome of [`retrieval`]: means over the rows whose label has another row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retrieval {
    /// The share of rows whose nearest other row has their label.
    pub recall_at_1: f64,
    /// The share of rows that have a row of their label among the 2 nearest.
    pub recall_at_2: f64,
    /// The same among the 4 nearest.
    pub recall_at_4: f64,
    /// The same among the 8 nearest.
    pub recall_at_8: f64,
    /// Of the R nearest rows the share that have the label, where R is how many there are.
    pub r_precision: f64,
    /// Mean average precision at R: the sum of the precision at each of the R nearest places that holds the label, over
    /// R.
    pub map_at_r: f64,
}

/// How one row fared.
struct Answer {
    /// The place of the nearest row of the label, from 0, if it is among those looked at.
    first: Option<usize>,
    r_precision: f64,
    average_precision: f64,
}

/// The most neighbours that a recall looks at.
const DEPTH: usize = 8;

/// How well each row of `e` finds the other rows of its label by distance.
///
/// Rows whose label has no other row ask nothing, but are found by others. Of equally near rows the lower is nearer.
/// Time grows with the square of the rows; memory, a row of distances a thread, with the rows.
///
/// Recall at K as in Oh Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding" (2016); R-precision
/// and MAP@R as in Musgrave et al., "A Metric Learning Reality Check" (2020). `precision_at_1`, `r_precision` and
/// `mean_average_precision_at_r` of pytorch-metric-learning are `recall_at_1`, `r_precision` and `map_at_r`.
///
/// # Panics
///
/// If no label has two rows, or an embedding is not finite.
pub fn retrieval(e: Embedded) -> Retrieval {
    assert!(e.values.iter().all(|value| value.is_finite()), "embeddings must be finite");
    let mut sizes: HashMap<u32, usize> = HashMap::new();
    e.labels.iter().for_each(|&label| *sizes.entry(label).or_default() += 1);
    let asking: Vec<_> =
        (0..).zip(e.labels).map(|(row, label)| (row, sizes[label] - 1)).filter(|row| row.1 > 0).collect();
    let answers: Vec<Answer> =
        asking.into_par_iter().map_init(Vec::new, |keys, (row, relevant)| ask(e, row, relevant, keys)).collect();

    let recall_at =
        |k| share(answers.iter().filter(|answer| answer.first.is_some_and(|at| at < k)).count(), answers.len());
    let mean = |figure: fn(&Answer) -> f64| answers.iter().map(figure).sum::<f64>() / answers.len() as f64;
    Retrieval {
        recall_at_1: recall_at(1),
        recall_at_2: recall_at(2),
        recall_at_4: recall_at(4),
        recall_at_8: recall_at(DEPTH),
        r_precision: mean(|answer| answer.r_precision),
        map_at_r: mean(|answer| answer.average_precision),
    }
}

/// [`Retrieval::map_at_r`] alone.
///
/// # Panics
///
/// As [`retrieval`].
pub fn map_at_r(e: Embedded) -> f64 {
    retrieval(e).map_at_r
}

/// The neighbours of `row`, whose label `relevant` other rows have. `keys` is scratch space.
fn ask(e: Embedded, row: u32, relevant: usize, keys: &mut Vec<u64>) -> Answer {
    let own = e.row(row);
    // Bits of distances, which are not negative, order as the distances do; below them, the row breaks ties.
    let key = |(other, at): (&[f32], u64)| u64::from(squared_distance(own, other).to_bits()) << 32 | at;
    keys.clear();
    keys.extend(e.rows().zip(0..).map(key));
    keys.swap_remove(row as usize);
    let depth = relevant.max(DEPTH);
    if depth < keys.len() {
        keys.select_nth_unstable(depth);
        keys.truncate(depth);
    }
    keys.sort_unstable();

    let label = e.labels[row as usize];
    let mut first = None;
    let mut hits = 0;
    let mut precisions = 0.0;
    for (at, &key) in keys.iter().enumerate() {
        if e.labels[key as u32 as usize] != label {
            continue;
        }
        first.get_or_insert(at);
        if at >= relevant {
            break;
        }
        hits += 1;
        precisions += share(hits, at + 1);
    }
    Answer { first, r_precision: share(hits, relevant), average_precision: precisions / relevant as f64 }
}
