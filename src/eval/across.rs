//! Two models side by side: how probes of one are recognised among images of the other.

use rayon::prelude::*;
use serde::Serialize;

use super::verification::{Pairs, Roc};
use super::{Embedded, share, squared_distance};

/// How embeddings that one model has of some images do against those that the same or another has of the same images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Across {
    /// Of the images whose label has another, the share whose nearest other image is of their label: the probe is
    /// embedded by the one model, all others by the other. `None` where no label has two images.
    pub recall_at_1: Option<f64>,
    /// Share of the positive pairs accepted where of the negative ones no more than 1 in 1,000 are; the first of a pair
    /// is embedded by the one model, the second by the other. `None` where there are no pairs, or too few.
    pub tar_at_far_1e3: Option<f64>,
}

/// Probes and gallery are embeddings of the same images, row by row.
///
/// # Panics
/// If they are not as many, or of other lengths.
pub fn across(probes: Embedded, gallery: Embedded, pairs: Option<&Pairs>) -> Across {
    assert_eq!((probes.dims, probes.labels), (gallery.dims, gallery.labels), "embeddings of the same images");
    let found: Vec<bool> = (0..probes.labels.len() as u32)
        .into_par_iter()
        .filter_map(|probe| {
            let others = || (0..gallery.labels.len() as u32).filter(|&row| row != probe);
            let is_own = |row: &u32| gallery.labels[*row as usize] == probes.labels[probe as usize];
            others().any(|row| is_own(&row)).then(|| {
                let distance = |row: &u32| squared_distance(probes.row(probe), gallery.row(*row));
                let nearest = others().map(|row| (distance(&row), row)).min_by(|a, b| a.0.total_cmp(&b.0));
                nearest.is_some_and(|(_, row)| is_own(&row))
            })
        })
        .collect();
    let right = found.iter().filter(|&&right| right).count();
    let distances = |pairs: &[(u32, u32)]| -> Vec<f32> {
        pairs.par_iter().map(|&(a, b)| squared_distance(probes.row(a), gallery.row(b))).collect()
    };
    let roc = pairs.and_then(|pairs| Roc::new(distances(&pairs.positive), distances(&pairs.negative)));
    let tar_at_far_1e3 = roc.and_then(|roc| roc.tar_at_far(1e-3)).map(|point| point.rate);
    Across { recall_at_1: share(right, found.len()), tar_at_far_1e3 }
}
