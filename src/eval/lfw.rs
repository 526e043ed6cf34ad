//! The protocol of Labeled Faces in the Wild, as most face networks are measured: accuracy and validation rate over
//! folds of pairs, by the definitions of davidsandberg/facenet.

use serde::Serialize;

use super::Embedded;

/// Between two thresholds on a squared distance, of accuracy and ROC.
const COARSE: f64 = 0.01;
/// Of the validation rate.
const FINE: f64 = 0.001;
/// Where thresholds end: rows of length 1 are no farther apart.
const LAST: f64 = 4.0;
/// The false accept rate that the validation rate is for.
const FAR: f64 = 1e-3;

/// The outcome of [`lfw`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lfw {
    /// The share of pairs told apart rightly, the mean over the folds; the threshold of each is the one that is right
    /// most often on all others.
    pub accuracy: f64,
    /// The standard error of that mean, which is what tables of LFW print: the standard deviation over the folds, with
    /// `folds - 1`, over the root of `folds`.
    pub accuracy_error: f64,
    /// The standard deviation over the folds, with `folds`, which is what facenet prints.
    pub accuracy_deviation: f64,
    /// VAL, the share of pairs of one person that are accepted, the mean over the folds; the threshold of each is the
    /// one that has a false accept rate of 1e-3 on all others.
    pub val: f64,
    /// Its standard deviation over the folds, with `folds`.
    pub val_deviation: f64,
    /// The false accept rate that this has on the folds themselves.
    pub far: f64,
    /// Area under the mean ROC of the folds.
    pub auc: f64,
    /// Where that ROC has as many false accepts as false rejects; `None` where no threshold accepts all pairs of two
    /// persons, as facenet, which cannot go on then.
    pub eer: Option<f64>,
    /// Pairs of one person.
    pub same: usize,
    /// Pairs of two persons.
    pub different: usize,
    /// How many folds there are.
    pub folds: usize,
}

/// The squared distances between the first and the second row of each pair, in 64 bits as facenet has them.
pub fn pair_distances(e: Embedded, pairs: &[(u32, u32)]) -> Vec<f64> {
    let distance = |&(a, b): &(u32, u32)| {
        let differences = e.row(a).iter().zip(e.row(b)).map(|(&a, &b)| f64::from(a) - f64::from(b));
        differences.map(|difference| difference * difference).sum()
    };
    pairs.iter().map(distance).collect()
}

/// Verification over folds: pairs at `distances` apart, of one person where `same` says so. The folds are consecutive
/// pairs, the first of them one longer where the number does not divide, as scikit-learn's `KFold` has it; a pair is
/// accepted below a threshold, and thresholds go from 0 to 4, in steps of 0.01 and for VAL of 0.001.
///
/// `None` with fewer than two folds, and where a fold, or what is left of the others, has no pair of one kind.
///
/// Source: `evaluate`, `calculate_roc` and `calculate_val` of davidsandberg/facenet, without mean subtraction.
///
/// # Panics
/// If lengths differ.
pub fn lfw(distances: &[f64], same: &[bool], folds: usize) -> Option<Lfw> {
    assert_eq!(distances.len(), same.len(), "a distance and a kind for each pair");
    let coarse = thresholds(COARSE);
    let fine = thresholds(FINE);
    // What each fold accepts at each threshold; what all others do is the difference to the whole.
    let count = |range: std::ops::Range<usize>, thresholds: &[f64]| {
        Accepted::of(&distances[range.clone()], &same[range], thresholds)
    };
    let (all, all_fine) = (count(0..same.len(), &coarse), count(0..same.len(), &fine));
    let (mut accuracies, mut vals, mut fars) = (Vec::new(), Vec::new(), Vec::new());
    let (mut tpr, mut fpr) = (vec![0.0; coarse.len()], vec![0.0; coarse.len()]);
    for range in k_folds(same.len(), folds)? {
        let own = count(range.clone(), &coarse);
        let others = all.without(&own);
        if [&own, &others].iter().any(|part| part.same == 0 || part.different == 0) {
            return None;
        }
        let rights: Vec<usize> = (0..coarse.len()).map(|at| others.right(at)).collect();
        let most = rights.iter().copied().max()?;
        let best = rights.iter().position(|&right| right == most)?;
        accuracies.push(own.right(best) as f64 / (own.same + own.different) as f64);
        for at in 0..coarse.len() {
            tpr[at] += own.tpr(at) / folds as f64;
            fpr[at] += own.fpr(at) / folds as f64;
        }

        let others = all_fine.without(&count(range.clone(), &fine));
        let rates: Vec<f64> = (0..fine.len()).map(|at| others.fpr(at)).collect();
        let at_far = [threshold_at(&rates, &fine, FAR)];
        let own = count(range, &at_far);
        vals.push(own.tpr(0));
        fars.push(own.fpr(0));
    }
    let (accuracy, accuracy_deviation) = mean_and_deviation(&accuracies);
    let (val, val_deviation) = mean_and_deviation(&vals);
    Some(Lfw {
        accuracy,
        accuracy_error: accuracy_deviation / ((folds - 1) as f64).sqrt(),
        accuracy_deviation,
        val,
        val_deviation,
        far: mean_and_deviation(&fars).0,
        auc: (1..fpr.len()).map(|at| (fpr[at] - fpr[at - 1]) * (tpr[at] + tpr[at - 1]) / 2.0).sum(),
        eer: equal_error(&fpr, &tpr),
        same: all.same,
        different: all.different,
        folds,
    })
}

fn thresholds(step: f64) -> Vec<f64> {
    (0..(LAST / step).ceil() as usize).map(|at| at as f64 * step).collect()
}

/// Consecutive parts of `0..pairs`, as equal as can be, the longer ones first; `None` with fewer than two.
fn k_folds(pairs: usize, folds: usize) -> Option<Vec<std::ops::Range<usize>>> {
    let start = |fold: usize| fold * (pairs / folds) + fold.min(pairs % folds);
    (folds > 1).then(|| (0..folds).map(|fold| start(fold)..start(fold + 1)).collect())
}

/// How many pairs each threshold accepts, and how many there are.
struct Accepted {
    same: usize,
    different: usize,
    /// Of one person and of two, by threshold.
    at: Vec<(usize, usize)>,
}

impl Accepted {
    fn of(distances: &[f64], same: &[bool], thresholds: &[f64]) -> Accepted {
        let sorted = |kind: bool| {
            let own = distances.iter().zip(same).filter(|pair| *pair.1 == kind);
            let mut own: Vec<f64> = own.map(|(&distance, _)| distance).collect();
            own.sort_unstable_by(f64::total_cmp);
            own
        };
        let (one, two) = (sorted(true), sorted(false));
        let below = |sorted: &[f64], limit: f64| sorted.partition_point(|&distance| distance < limit);
        let at = thresholds.iter().map(|&limit| (below(&one, limit), below(&two, limit))).collect();
        Accepted { same: one.len(), different: two.len(), at }
    }

    fn without(&self, part: &Accepted) -> Accepted {
        Accepted {
            same: self.same - part.same,
            different: self.different - part.different,
            at: self.at.iter().zip(&part.at).map(|(all, part)| (all.0 - part.0, all.1 - part.1)).collect(),
        }
    }

    fn right(&self, at: usize) -> usize {
        self.at[at].0 + self.different - self.at[at].1
    }

    fn tpr(&self, at: usize) -> f64 {
        self.at[at].0 as f64 / self.same as f64
    }

    fn fpr(&self, at: usize) -> f64 {
        self.at[at].1 as f64 / self.different as f64
    }
}

/// The threshold that has a rate, between two of `thresholds` in a line; 0 where all rates are below it. `rates` do not
/// fall.
fn threshold_at(rates: &[f64], thresholds: &[f64], rate: f64) -> f64 {
    let above = rates.partition_point(|&own| own <= rate);
    match rates.get(above) {
        // SciPy's spline of first order goes from the last place of a level to the first of the next.
        Some(&next) => {
            let (level, at) = (rates[above - 1], thresholds[above - 1]);
            at + (rate - level) / (next - level) * (thresholds[above] - at)
        }
        None if rates.last() == Some(&rate) => *thresholds.last().expect("a threshold"),
        None => 0.0,
    }
}

/// Where `1 - x` meets the curve through `(fpr, tpr)`, which does not fall.
fn equal_error(fpr: &[f64], tpr: &[f64]) -> Option<f64> {
    if *fpr.last()? < 1.0 - 1e-12 {
        return None;
    }
    let after = fpr.iter().zip(tpr).position(|(fpr, tpr)| fpr + tpr >= 1.0)?;
    let before = after.checked_sub(1)?;
    let (across, up) = (fpr[after] - fpr[before], tpr[after] - tpr[before]);
    Some(fpr[before] + across * (1.0 - fpr[before] - tpr[before]) / (across + up))
}

/// The mean, and the standard deviation with the number of values.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
}
