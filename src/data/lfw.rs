//! Lists of pairs of pictures as Labeled Faces in the Wild has them, to verify: do two show one person?
//!
//! ```text
//! 10   300
//! Abel_Pacheco   1   4
//! Robert_Downey_Jr   1   Tommy_Shane_Steiner   1
//! ```
//!
//! The first line says how many folds there are, and how many pairs of one person and then of two each of them has
//! ("view 2" of that set). Picture 4 of a person is `DIR/Abel_Pacheco/Abel_Pacheco_0004.jpg`, or the same as a PNG.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A picture of a list: whose, and which of theirs.
pub type Picture = (String, u32);

/// A list of pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    /// Folds that the list is made of, one after the other.
    pub folds: usize,
    /// The pictures of each pair.
    pub pairs: Vec<[Picture; 2]>,
}

/// A list of pairs, with the pictures that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The pictures that pairs have, each once.
    pub pictures: Vec<PathBuf>,
    /// The places of both pictures of a pair there, in the order of the list.
    pub pairs: Vec<(u32, u32)>,
    /// Whether both are of one person, of each pair.
    pub same: Vec<bool>,
    /// Pictures of the list that are not there, each once.
    pub missing: Vec<PathBuf>,
    /// Pairs that were left out for them.
    pub left_out: usize,
}

impl Pairs {
    /// Reads a list.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Data`] naming file and line where it is no such list, or
    /// has other pairs than its first line says.
    pub fn read(path: &Path) -> Result<Pairs> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let fault = |line: usize, words: &str, expected: &str| {
            let mut words: String = words.trim().chars().take(60).collect();
            words = words.replace('\t', " ");
            Error::data(path, format!("`{words}` in line {line}"), expected)
        };
        let head = "the number of folds, and of pairs of one person in each, such as `10<TAB>300`";
        let Some((first, line)) = lines.next() else { return Err(Error::data(path, "no line", head)) };
        let numbers: Vec<usize> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [folds, of_each] = numbers[..] else { return Err(fault(first, line, head)) };
        if folds < 2 || of_each == 0 || line.split_whitespace().count() != 2 {
            return Err(fault(first, line, "two folds at least, of one pair at least"));
        }
        let expected = "`name 1 4`, two pictures of one person, or `name 1 other 2`, of two";
        let mut pairs = Vec::new();
        for (number, line) in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            let picture = |name: &str, number: &str| {
                // A name is a folder in the folder of the pictures, and nothing outside.
                let is_name = !matches!(name, "." | "..") && !name.contains(['/', '\\']);
                Some((name.to_owned(), number.parse().ok()?)).filter(|_| is_name)
            };
            let pair = match words[..] {
                [name, a, b] => picture(name, a).zip(picture(name, b)),
                [a, first, b, second] => picture(a, first).zip(picture(b, second)),
                _ => None,
            };
            let (a, b) = pair.ok_or_else(|| fault(number, line, expected))?;
            // Of one person three words say it.
            if words.len() == 4 && a.0 == b.0 {
                return Err(fault(number, line, expected));
            }
            pairs.push([a, b]);
        }
        let same = pairs.iter().filter(|[a, b]| a.0 == b.0).count();
        let (each, different) = (folds.saturating_mul(of_each), pairs.len() - same);
        if (same, different) != (each, each) {
            let found = format!("{same} pairs of one person and {different} of two");
            let expected = format!("{each} of either, as line {first} says: {folds} folds of {of_each} of either");
            return Err(Error::data(path, found, expected));
        }
        Ok(Pairs { folds, pairs })
    }

    /// Looks for the pictures in a folder. A pair that lacks one is left out.
    pub fn find(&self, dir: &Path) -> Found {
        let mut places: BTreeMap<&Picture, Option<u32>> = BTreeMap::new();
        let mut found =
            Found { pictures: Vec::new(), pairs: Vec::new(), same: Vec::new(), missing: Vec::new(), left_out: 0 };
        for [a, b] in &self.pairs {
            let mut place = |picture| {
                *places.entry(picture).or_insert_with(|| {
                    let path = path(dir, picture);
                    if !path.exists() {
                        found.missing.push(path);
                        return None;
                    }
                    found.pictures.push(path);
                    Some(found.pictures.len() as u32 - 1)
                })
            };
            match (place(a), place(b)) {
                (Some(one), Some(two)) => {
                    found.pairs.push((one, two));
                    found.same.push(a.0 == b.0);
                }
                _ => found.left_out += 1,
            }
        }
        found
    }
}

/// Where a picture lies, or should: as JPEG unless there is a PNG.
fn path(dir: &Path, (name, number): &Picture) -> PathBuf {
    let file = |ending: &str| dir.join(name).join(format!("{name}_{number:04}.{ending}"));
    let endings = ["jpg", "png", "jpeg", "JPG", "PNG"];
    endings.into_iter().map(file).find(|path| path.exists()).unwrap_or_else(|| file(endings[0]))
}
