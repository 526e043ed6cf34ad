//! The MNIST database of handwritten digits (LeCun, Cortes, Burges), read through the `mnist` package.
//!
//! The package panics on files it does not like, and quietly shifts images against labels when a file is a few bytes
//! too long or too short. So nothing reaches it here before its length and checksum are those of the original.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::{Dataset, Split};
use crate::error::{Error, Result};

/// The four files of the set, packed with gzip, as they lie in `data/mnist`. The program embeds them; the library does
/// not, so that one who brings other data does not carry 11 MB of digits.
pub struct Files<'a> {
    /// `train-images-idx3-ubyte.gz`
    pub train_images: &'a [u8],
    /// `train-labels-idx1-ubyte.gz`
    pub train_labels: &'a [u8],
    /// `t10k-images-idx3-ubyte.gz`
    pub test_images: &'a [u8],
    /// `t10k-labels-idx1-ubyte.gz`
    pub test_labels: &'a [u8],
}

const TRAIN_ROWS: u32 = 60_000;
const TEST_ROWS: u32 = 10_000;
const SIDE: usize = 28;

/// What the authors published, unpacked.
struct Original {
    name: &'static str,
    bytes: usize,
    sha256: &'static str,
}

const TRAIN_IMAGES: Original = Original {
    name: "train-images-idx3-ubyte",
    bytes: 47_040_016,
    sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
};
const TRAIN_LABELS: Original = Original {
    name: "train-labels-idx1-ubyte",
    bytes: 60_008,
    sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
};
const TEST_IMAGES: Original = Original {
    name: "t10k-images-idx3-ubyte",
    bytes: 7_840_016,
    sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
};
const TEST_LABELS: Original = Original {
    name: "t10k-labels-idx1-ubyte",
    bytes: 10_008,
    sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
};

/// Unpacks and verifies the four files and gives 60,000 training and 10,000 test images of 28 × 28 × 1.
///
/// # Errors
/// [`Error::Data`] naming the file, if one is not gzip or does not unpack to the original, byte for byte;
/// [`Error::Io`] if the temporary folder, from which the `mnist` package reads, cannot be written (55 MB).
pub fn load(files: &Files) -> Result<Split> {
    let folder = tempfile::tempdir().map_err(Error::io("make a temporary folder for", Path::new("MNIST")))?;
    // From the smallest to the largest, so that a wrong file shows before the long work.
    for (gz, original) in [
        (files.test_labels, TEST_LABELS),
        (files.train_labels, TRAIN_LABELS),
        (files.test_images, TEST_IMAGES),
        (files.train_images, TRAIN_IMAGES),
    ] {
        let path = folder.path().join(original.name);
        fs::write(&path, unpack(gz, &original)?).map_err(Error::io("write", &path))?;
    }
    // The package takes its folder as text.
    let base_path = folder.path().to_str().ok_or_else(|| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "its name is not UTF-8");
        Error::io("read MNIST from", folder.path())(source)
    })?;
    // It joins the two sets before it cuts off what was asked for: with any other lengths, "test" images would be
    // training images.
    let set = ::mnist::MnistBuilder::new()
        .base_path(base_path)
        .label_format_digit()
        .training_set_length(TRAIN_ROWS)
        .validation_set_length(0)
        .test_set_length(TEST_ROWS)
        .finalize();
    let train = dataset("MNIST train", set.trn_img, &set.trn_lbl);
    let test = dataset("MNIST test", set.tst_img, &set.tst_lbl);
    Ok(Split::new("MNIST", train, test))
}

fn dataset(name: &str, images: Vec<u8>, labels: &[u8]) -> Dataset {
    let labels = labels.iter().map(|&label| u32::from(label)).collect();
    Dataset { name: name.to_owned(), images, labels, label_names: Vec::new(), height: SIDE, width: SIDE, channels: 1 }
}

fn unpack(gz: &[u8], original: &Original) -> Result<Vec<u8>> {
    let path = Path::new(original.name);
    let mut bytes = Vec::new();
    // One byte more than expected is enough to see that a file is too long, however much more it would unpack to.
    GzDecoder::new(gz).take(original.bytes as u64 + 1).read_to_end(&mut bytes).map_err(|error| {
        Error::data(path, format!("{} bytes that do not unpack ({error})", gz.len()), "a complete gzip file")
    })?;
    if bytes.len() != original.bytes {
        let more_than = if bytes.len() > original.bytes { "more than " } else { "" };
        let found = format!("{more_than}{} bytes when unpacked", bytes.len().min(original.bytes));
        return Err(Error::data(path, found, format!("{} bytes", original.bytes)));
    }
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if sha256 != original.sha256 {
        return Err(Error::data(path, format!("SHA-256 {sha256}"), original.sha256));
    }
    Ok(bytes)
}
