//! Which data set it was: what a run notes of its images, and finds again before it goes on with them.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::Dataset;
use crate::text::hex;

/// What a data set is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Where it lies, from the root; `None` for one that lies nowhere, as the built-in MNIST.
    #[serde(serialize_with = "as_text")]
    pub path: Option<PathBuf>,
    /// What it is called.
    pub name: String,
    /// Its training images.
    pub train: usize,
    /// Its test images.
    pub test: usize,
    /// Its different labels.
    pub labels: usize,
    /// SHA-256 as hexadecimal digits: of images and labels, or of a folder of pictures which file is of which class
    /// and on which side.
    pub digest: String,
}

/// JSON has no words for a path that is not UTF-8: such a one is written for reading alone.
fn as_text<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

impl Origin {
    /// Of two sets and the digest of both.
    pub fn new(name: &str, path: Option<&Path>, train: &Dataset, test: &Dataset, digest: String) -> Origin {
        let known = [train, test].map(Dataset::rows_by_label);
        let occurs = |label: usize| known.iter().any(|rows| rows.get(label).is_some_and(|rows| !rows.is_empty()));
        Origin {
            path: path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
            name: name.to_owned(),
            train: train.len(),
            test: test.len(),
            labels: (0..train.classes().max(test.classes())).filter(|&label| occurs(label)).count(),
            digest,
        }
    }

    /// How `other` differs from this set, in words; `None` where it is the same set, wherever it lies and whatever it
    /// is called.
    pub fn difference(&self, other: &Origin) -> Option<String> {
        if self.digest == other.digest {
            return None;
        }
        let counts = [
            ("training images", self.train, other.train),
            ("test images", self.test, other.test),
            ("labels", self.labels, other.labels),
        ];
        let name = (self.name != other.name).then(|| format!("`{}` for `{}`", other.name, self.name));
        let differing = counts.into_iter().filter(|(_, own, others)| own != others);
        let mut words: Vec<String> =
            name.into_iter().chain(differing.map(|(what, own, others)| format!("{others} {what} for {own}"))).collect();
        if words.is_empty() {
            words.push("as many images under the same name, but others".to_owned());
        }
        Some(words.join(", "))
    }
}

/// In one line.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Origin { name, train, test, labels, .. } = self;
        write!(f, "{name} ({train} training and {test} test images, {labels} labels)")
    }
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> impl AsRef<[u8]> {
    let mut hash = Sha256::new();
    parts.into_iter().for_each(|part| hash.update(part));
    hash.finalize()
}

/// SHA-256 of parts one after the other, as hexadecimal digits.
pub(super) fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    hex(hash(parts))
}

/// A number that follows from parts alone, and is as likely to be any as another: the first bytes of their SHA-256.
pub(super) fn lot<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    u64::from_be_bytes(*hash(parts).as_ref().first_chunk().expect("it has 32"))
}
