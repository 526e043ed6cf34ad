//! Pictures that are there more than once, to the byte: under two labels, where one of them is wrong, and among those
//! for training as well as those for testing, where the figures of a run flatter it.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::decode::{Encoded, Stored};
use super::search::{self, Found};

/// What there is to say of identical pictures in a folder's training and test pictures: how many have several labels,
/// and how many test pictures are training pictures as well, each with the first few. Files that cannot be read are
/// none: who needs their pixels will say so.
///
/// Reads the files that are as long as another, and of the others no more than their length.
pub fn remarks(dir: &Path, train: &[Found], test: &[Found]) -> Vec<String> {
    let all: Vec<&Found> = train.iter().chain(test).collect();
    let files: Vec<&Stored> = all.iter().map(|found| &found.stored).collect();
    let name = |row: usize| files[row].path.strip_prefix(dir).unwrap_or(&files[row].path).display();
    let (mut labels, mut sides, mut test_pictures) = (Vec::new(), Vec::new(), 0);
    for rows in identical(&files) {
        let other = rows.iter().find(|&&row| all[row].class != all[rows[0]].class);
        labels.extend(other.map(|&other| format!("{} = {}", name(rows[0]), name(other))));
        // Rows are in order, those for training first.
        let first_test = rows.partition_point(|&row| row < train.len());
        if 0 < first_test && first_test < rows.len() {
            test_pictures += rows.len() - first_test;
            sides.push(format!("{} = {}", name(rows[first_test]), name(rows[0])));
        }
    }
    let mut remarks = Vec::new();
    if !labels.is_empty() {
        let (count, some) = (search::count(labels.len(), "picture"), search::some(labels, ", "));
        remarks.push(format!("{}: the same bytes under two labels, {count}: {some}", dir.display()));
    }
    if !sides.is_empty() {
        let some = search::some(sides, ", ");
        let count = search::count(test_pictures, "test picture");
        let words = format!("among the training pictures as well, to the byte, {count}");
        remarks.push(format!("{}: {words}: {some}", dir.display()));
    }
    remarks
}

/// The files with the same bytes as another: their numbers in order, in the order of the first of each.
pub fn identical(files: &[&Stored]) -> Vec<Vec<usize>> {
    let rows: Vec<usize> = (0..files.len()).collect();
    let long = alike(&rows, |row| files[row].size().ok());
    let digest = |picture: Encoded| Ok(<[u8; 32]>::from(Sha256::digest(picture.bytes()?)));
    let mut same: Vec<_> = alike(&long.concat(), |row| files[row].encoded(digest).ok());
    same.sort_unstable();
    same
}

/// Numbers for which `what` is the same as for another, together; those for which it is nothing are left out.
fn alike<T: Eq + Hash + Send>(rows: &[usize], what: impl Fn(usize) -> Option<T> + Sync) -> Vec<Vec<usize>> {
    let known: Vec<Option<T>> = rows.par_iter().map(|&row| what(row)).collect();
    let mut groups: HashMap<T, Vec<usize>> = HashMap::new();
    for (&row, known) in rows.iter().zip(known) {
        if let Some(known) = known {
            groups.entry(known).or_default().push(row);
        }
    }
    groups.into_values().filter(|rows| rows.len() > 1).collect()
}
