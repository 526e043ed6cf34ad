//! Tensors by name: words such as `conv1`, `conv1-20`, `*.bias`, of which a tensor fits one.
//!
//! A word names layers, all whose tensors are meant, or behind a point some of their tensors. `*` stands for any
//! characters, and `1-20` at the end of a layer's name for these numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Words that tensors fit, divided by white space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names(pub String);

impl Names {
    /// Whether a tensor, such as `conv1.weight`, fits a word.
    pub fn fit(&self, tensor: &str) -> bool {
        self.words().any(|word| fits(word, tensor))
    }

    /// Checks that each word fits one of `tensors`.
    ///
    /// # Errors
    /// [`Error::Config`] for `setting` naming the word that fits none.
    pub fn check(&self, setting: &str, tensors: &[String]) -> Result<()> {
        match self.words().find(|word| !tensors.iter().any(|tensor| fits(word, tensor))) {
            None if self.words().next().is_some() => Ok(()),
            None => Err(Error::config(setting, "no name is given")),
            Some(stray) => {
                let reason = format!("`{stray}` fits no tensor that is trained: {}", tensors.join(", "));
                Err(Error::config(setting, reason))
            }
        }
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.0.split_whitespace()
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn fits(word: &str, tensor: &str) -> bool {
    let (layer, own) = tensor.split_once('.').unwrap_or((tensor, ""));
    let (layers, tensors) = word.split_once('.').unwrap_or((word, "*"));
    let is_meant = match range(layers) {
        Some((kind, first, last)) => number(kind, layer).is_some_and(|number| (first..=last).contains(&number)),
        None => glob(layers, layer),
    };
    is_meant && glob(tensors, own)
}

/// `conv1-20` as kind, first and last number.
fn range(layers: &str) -> Option<(&str, usize, usize)> {
    let (first, last) = layers.split_once('-')?;
    let kind = first.trim_end_matches(|c: char| c.is_ascii_digit());
    Some((kind, first[kind.len()..].parse().ok()?, last.parse().ok()?))
}

/// The number of a layer of this kind.
fn number(kind: &str, layer: &str) -> Option<usize> {
    layer.strip_prefix(kind)?.parse().ok()
}

/// Whether a name is the pattern, in which `*` stands for any characters. Each part between two of them may be taken
/// where it is first found.
fn glob(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let (parts, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in parts.split('*') {
        let Some(place) = name.find(part) else { return false };
        name = &name[place + part.len()..];
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn words_name_layers_ranges_and_tensors() {
        for (words, fitting, others) in [
            ("conv1", &["conv1.weight", "conv1.bias"][..], &["conv10.weight", "dense1.bias"][..]),
            ("conv9-10 l2", &["conv9.bias", "conv10.weight"], &["conv1.weight", "conv90.bias", "convx.bias"]),
            ("*.bias", &["conv1.bias", "bn2.bias"], &["bn2.weight"]),
            ("bn*", &["bn2.weight"], &["conv1.bias"]),
            ("conv2-3.bias", &["conv3.bias"], &["conv3.weight"]),
            ("*1.w*g*t", &["conv11.weight"], &["conv1.wegh", "conv2.weight"]),
            ("", &[], &["conv1.bias"]),
        ] {
            let names = Names(words.to_owned());
            assert!(fitting.iter().all(|tensor| names.fit(tensor)), "{words}: {fitting:?}");
            assert!(!others.iter().any(|tensor| names.fit(tensor)), "{words}: {others:?}");
        }
        let tensors = ["conv1.weight".to_owned()];
        let check =
            |words: &str| Names(words.to_owned()).check("--freeze", &tensors).map_err(|error| error.to_string());
        assert!(check("conv1 *.weight conv1-7").is_ok());
        assert!(check("conv1 conv2-3").unwrap_err().contains("`conv2-3`"));
        assert!(check(" ").is_err());
    }
}
