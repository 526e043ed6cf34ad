//! Readers and parsers against anything: random bytes, whole files with bytes changed, cut off or added. None may
//! panic, and what they refuse they refuse with an error that names the file. `PROPTEST_CASES=100000 cargo test --test
//! fuzz` tries for longer.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::config::PRESETS;
use siamese::data::pictures::{self, Pictures};
use siamese::data::{decode, idx};
use siamese::gallery::{Content, Gallery};
use siamese::net::Net;
use siamese::sampler::Augment;

/// One change of a file.
#[derive(Clone, Debug)]
enum Change {
    /// A byte at a share of the length becomes another.
    Set(f64, u8),
    /// The file ends at a share of its length.
    Cut(f64),
    /// Bytes are put in.
    Insert(f64, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0.0..1.0, any::<u8>()).prop_map(|(place, byte)| Change::Set(place, byte)),
        // The head is where the structure is.
        4 => (0.0..0.05, any::<u8>()).prop_map(|(place, byte)| Change::Set(place, byte)),
        1 => (0.0..1.0).prop_map(Change::Cut),
        1 => ((0.0..1.0), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

/// `whole` with changes, or bytes of no format.
fn file(whole: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let changed = prop::collection::vec(change(), 1..6).prop_map(move |changes| {
        let mut bytes = whole.to_vec();
        for change in changes {
            let at =
                |place: f64, bytes: &[u8]| ((place * bytes.len() as f64) as usize).min(bytes.len().saturating_sub(1));
            match change {
                Change::Set(place, byte) if !bytes.is_empty() => {
                    let place = at(place, &bytes);
                    bytes[place] = byte;
                }
                Change::Cut(place) => bytes.truncate(at(place, &bytes)),
                Change::Insert(place, new) => {
                    let place = at(place, &bytes);
                    bytes.splice(place..place, new);
                }
                Change::Set(..) => {}
            }
        }
        bytes
    });
    prop_oneof![3 => changed, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

fn checkpoint() -> Checkpoint {
    let mut config = PRESETS[0].config();
    config.spec = "conv2 relu pool dense3 l2".to_owned();
    Checkpoint::initial(&config, &Net::parse(&config.spec, [6, 6, 1]).unwrap())
}

/// What `write` leaves in the file that it is given.
fn written(write: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path);
    fs::read(path).unwrap()
}

static CHECKPOINT: LazyLock<Vec<u8>> =
    LazyLock::new(|| written(|path| checkpoint().save(path, Precision::F32).unwrap()));
static GALLERY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    written(|path| {
        let mut gallery = Gallery::new(&checkpoint()).unwrap();
        gallery.add("a", "1.png", &Content::of_pixels(b"1"), &[0.0, 0.6, 0.8]).unwrap();
        gallery.add("b", "2.png", &Content::of_pixels(b"2"), &[1.0, 0.0, 0.0]).unwrap();
        gallery.save(path).unwrap();
    })
});
static IMAGES: LazyLock<Vec<u8>> =
    LazyLock::new(|| [&[0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 5][..], &[7; 60]].concat());
static PNG: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
});

/// Gives `read` a file with these bytes; its error must name the file.
fn names_its_file<T>(bytes: &[u8], read: impl FnOnce(&Path) -> siamese::Result<T>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fuzzed");
    fs::write(&path, bytes).unwrap();
    if let Err(error) = read(&path) {
        assert!(error.to_string().contains("fuzzed"), "{error}");
    }
}

/// What looks like a spec.
const SPECS: &str =
    "((conv|pool|dense|relu|sigmoid|l2|[a-zα-ω])?[0-9]{0,9}(k[0-9]{0,3})?(s[0-9]{0,3})?v?[ \t\n]{0,2}){0,8}";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn checkpoints(bytes in file(&CHECKPOINT)) {
        names_its_file(&bytes, Checkpoint::load);
    }

    #[test]
    fn galleries(bytes in file(&GALLERY)) {
        names_its_file(&bytes, |path| {
            let gallery = Gallery::load(path)?;
            if !gallery.identities().is_empty() && gallery.counts(&gallery.identities()[0]).0 > 0 {
                gallery.save(path)?;
            }
            Ok(())
        });
    }

    #[test]
    fn idx_images(bytes in file(&IMAGES)) {
        names_its_file(&bytes, idx::read_images);
    }

    #[test]
    fn idx_labels(bytes in file(&[0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4])) {
        names_its_file(&bytes, idx::read_labels);
    }

    #[test]
    fn pictures(bytes in file(&PNG)) {
        names_its_file(&bytes, decode::shape);
        names_its_file(&bytes, |path| pictures::read(path, [4, 4, 3], Pictures::default()));
    }

    #[test]
    fn specs(text in SPECS) {
        // Whatever it says, the text of the error fits the spec that it points into.
        if let Err(error) = Net::parse(&text, [28, 28, 1]) {
            prop_assert!(!error.to_string().is_empty() && error.hint().is_some());
        }
    }

    #[test]
    fn any_text_as_spec(text in any::<String>(), sides in any::<[u16; 3]>()) {
        let _ = Net::parse(&text, sides.map(usize::from)).map_err(|error| error.to_string());
    }

    #[test]
    fn augmentations(text in "((shift|rotate|scale|shear|elastic|none|affine)?=?[-0-9.e]{0,9} ?){0,4}") {
        let _ = text.parse::<Augment>().map_err(|error| error.to_string());
    }
}
