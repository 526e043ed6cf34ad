//! How well clusters agree with classes.

use std::collections::BTreeMap;

/// Agreement of two ways to divide the same rows; 1 is perfect, whatever the parts are called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Normalised mutual information, by the mean of the two entropies. Many small clusters raise it by chance.
    pub nmi: f64,
    /// Adjusted mutual information: 0 is what chance gives. Vinh, Epps & Bailey, *Information Theoretic Measures for
    /// Clusterings Comparison*, 2010.
    pub ami: f64,
}

/// Rows in each part.
fn sizes(parts: &[u32]) -> BTreeMap<u32, usize> {
    let mut sizes = BTreeMap::new();
    parts.iter().for_each(|&part| *sizes.entry(part).or_default() += 1);
    sizes
}

/// The logarithms of 0! to n!.
fn log_factorials(n: usize) -> Vec<f64> {
    let mut sum = 0.0;
    (0..=n)
        .map(|k| {
            sum += (k.max(1) as f64).ln();
            sum
        })
        .collect()
}

/// How far `labels` and `clusters` agree, both one for each row; equal to scikit-learn's `normalized_mutual_info_score`
/// and `adjusted_mutual_info_score`. Rows of no cluster form one of their own, as scikit-learn has it.
///
/// # Panics
/// If they are not equally long.
pub fn agreement(labels: &[u32], clusters: &[u32]) -> Agreement {
    assert_eq!(labels.len(), clusters.len(), "a label and a cluster for each row");
    let n = labels.len();
    let (a, b) = (sizes(labels), sizes(clusters));
    if a.len() == b.len() && a.len() <= 1 {
        return Agreement { nmi: 1.0, ami: 1.0 };
    }
    let mut both: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    labels.iter().zip(clusters).for_each(|(&label, &cluster)| *both.entry((label, cluster)).or_default() += 1);
    let total = n as f64;
    let entropy = |sizes: &BTreeMap<u32, usize>| -> f64 {
        sizes.values().map(|&size| -(size as f64 / total) * (size as f64 / total).ln()).sum()
    };
    let mean = (entropy(&a) + entropy(&b)) / 2.0;
    let term = |common: usize, a: usize, b: usize| {
        common as f64 / total * (total * common as f64 / (a as f64 * b as f64)).ln()
    };
    let information: f64 = both.iter().map(|((label, cluster), &common)| term(common, a[label], b[cluster])).sum();
    let nmi = if information <= f64::EPSILON { 0.0 } else { information / mean };

    let log = log_factorials(n);
    let mut expected = 0.0;
    for &a in a.values() {
        for &b in b.values() {
            for common in (a + b).saturating_sub(n).max(1)..=a.min(b) {
                let ways = log[a] + log[b] + log[n - a] + log[n - b]
                    - log[n]
                    - log[common]
                    - log[a - common]
                    - log[b - common]
                    - log[n + common - a - b];
                expected += term(common, a, b) * ways.exp();
            }
        }
    }
    let room = mean - expected;
    let room = if room < 0.0 { room.min(-f64::EPSILON) } else { room.max(f64::EPSILON) };
    Agreement { nmi, ami: (information - expected) / room }
}
