//! What layers and their kernels compute: against finite differences, against PyTorch, and exported, in an engine of
//! other people.

#[path = "../common/mod.rs"]
mod common;
mod drop;
mod foreign;
mod golden;
mod gradients;
mod losses;
mod norm;
mod onnx;
#[path = "../common/reference.rs"]
mod reference;
mod twins;

use siamese::layers::LAYERS;

/// Each word stands in networks that prove it, with all that its help says may follow; and README shows it so.
#[test]
fn words_are_proven_and_shown() {
    let readme = include_str!("../../README.md");
    for word in LAYERS {
        assert!(readme.contains(word.help), "README has no `{}`", word.help);
        let options: Vec<_> = word
            .specs
            .iter()
            .map(|(spec, _)| spec.split(' ').filter_map(|text| text.strip_prefix(word.name)).collect::<Vec<_>>())
            .inspect(|uses| assert!(!uses.is_empty(), "a network that is to prove `{}` has none", word.name))
            .flatten()
            .collect();
        for option in word.help.split('[').skip(1) {
            let first = option.chars().next().expect("an option");
            let is_used = |c: char| if first.is_alphabetic() { c == first } else { c.is_ascii_digit() };
            assert!(
                options.iter().any(|text| text.contains(is_used)),
                "no network proves [{option} of `{}`",
                word.name
            );
        }
    }
}
