//! What kernels say about their output rows holds: the processor deals rows to threads, runs several calls on some
//! images before the next, and heavy calls are proven on some rows alone. All of that counts on nothing else.

use std::collections::BTreeSet;
use std::ops::Range;

use siamese::check;
use siamese::host::Array;
use siamese::kernel::{Access, ArgAt, At, Io, Number, RoutineAt};
use siamese::kernels::{self, MineDx, MineDxShape};

/// The ways in which the processor computes a kernel at a shape: the reference, and the routines made for it.
fn ways(at: &At) -> Vec<Option<RoutineAt>> {
    std::iter::once(None).chain(at.routines().into_iter().filter(|routine| routine.fits).map(Some)).collect()
}

/// All arrays after the rows of `at` have been computed in one go, from arrays that nobody has cut.
fn computed(at: &At, way: Option<RoutineAt>, mut arrays: Vec<Array>) -> Vec<Array> {
    f32::compute(&**at, way, 0..at.rows(), &mut Io::new(at.name(), check::views(at, &mut arrays)));
    arrays
}

/// The bits of an array.
fn words(array: &Array) -> Vec<u32> {
    match array {
        Array::Float(values) => values.iter().map(|value| value.to_bits()).collect(),
        Array::Uint(values) => values.clone(),
    }
}

/// The bits of some rows of an array that has as many as `at`.
fn bits(at: &At, array: &Array, rows: Range<usize>) -> Vec<u32> {
    let length = array.len() / at.rows();
    words(array)[rows.start * length..rows.end * length].to_vec()
}

/// Takes other values everywhere but in one row.
fn perturb(at: &At, array: &mut Array, others: &Array, row: usize) {
    let length = array.len() / at.rows();
    let is_other = |place: usize| place / length != row;
    match (array, others) {
        (Array::Float(own), Array::Float(others)) => {
            own.iter_mut()
                .zip(others)
                .enumerate()
                .filter(|(place, _)| is_other(*place))
                .for_each(|(_, (o, n))| *o = *n);
        }
        (Array::Uint(own), Array::Uint(others)) => {
            own.iter_mut()
                .zip(others)
                .enumerate()
                .filter(|(place, _)| is_other(*place))
                .for_each(|(_, (o, n))| *o = *n);
        }
        _ => unreachable!("both are inputs of one argument"),
    }
}

/// First, middle and last row.
fn some_rows(at: &At) -> [usize; 3] {
    [0, at.rows() / 2, at.rows() - 1]
}

/// The first output row found that changes when other rows of the argument at `place` do.
fn dependent(at: &At, way: Option<RoutineAt>, place: usize) -> Option<usize> {
    let (arrays, others) = (check::inputs(at, 1), check::inputs(at, 2));
    let before = computed(at, way, arrays.clone());
    some_rows(at).into_iter().find(|&row| {
        let mut perturbed = arrays.clone();
        perturb(at, &mut perturbed[place], &others[place], row);
        let after = computed(at, way, perturbed);
        written(at).any(|(place, _)| bits(at, &before[place], row..row + 1) != bits(at, &after[place], row..row + 1))
    })
}

/// The arguments that a kernel writes, and their places.
fn written(at: &At) -> impl Iterator<Item = (usize, &ArgAt)> {
    at.args().iter().enumerate().filter(|(_, arg)| arg.access != Access::Read)
}

fn cases() -> impl Iterator<Item = At> {
    kernels::all().into_iter().flat_map(|entry| entry.cases)
}

#[test]
fn a_row_depends_on_the_same_row_of_a_local_argument_alone() {
    let mut faults = Vec::new();
    let mut looked_at = 0;
    for at in cases().filter(|at| at.rows() > 1) {
        for (place, arg) in at.args().iter().enumerate().filter(|(_, arg)| arg.local) {
            for way in ways(&at) {
                looked_at += 1;
                if let Some(row) = dependent(&at, way, place) {
                    faults.push(format!("{at}, {way:?}: row {row} depends on other rows of `{}`", arg.name));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert!(looked_at > 50, "only {looked_at} looked at");
}

#[test]
fn a_row_that_depends_on_others_is_seen() {
    let at = At::new::<MineDx>(MineDxShape { labels: 3, images: 5, dims: 7, scale: 1.0, columns: 2 });
    for place in [0, 1] {
        assert!(dependent(&at, None, place).is_some(), "the gradient of each embedding is by all others");
    }
}

#[test]
fn rows_computed_apart_are_those_computed_together() {
    let mut faults = Vec::new();
    for at in cases() {
        let arrays = check::inputs(&at, 1);
        let together = computed(&at, None, arrays.clone());
        let rows: BTreeSet<usize> = some_rows(&at).into();
        let ranges: Vec<_> = rows.iter().map(|&row| row..row + 1).collect();
        let apart = check::expected::<f32>(&at, ranges, &arrays).arrays;
        for (place, arg) in written(&at) {
            let among: Vec<u32> = rows.iter().flat_map(|&row| bits(&at, &together[place], row..row + 1)).collect();
            if words(&apart[place]) != among {
                faults.push(format!("{at}: rows {rows:?} of `{}`", arg.name));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
