//! The MNIST database of handwritten digits (LeCun, Cortes, Burges), from the files in `data/mnist`.
//!
//! They are the authors' IDX files, packed with xz into less than gzip makes of them, and are unpacked straight into
//! memory. Nothing is unpacked before its checksum is that of the file which was packed: a wrong file is refused at
//! once, and no decoder meets one. That these files unpack to what the authors published, and are read alike by the
//! `mnist` package, is held by `tests/unit/data.rs`.

use std::io::{Cursor, Read};
use std::path::Path;

use lzma_rust2::XzReaderMt;
use rayon::prelude::*;

use super::origin::sha256;
use super::store::Images;
use super::{Dataset, Split};
use crate::error::{Error, Result};

/// The four files of the set, packed with xz, as they lie in `data/mnist`. The program embeds them; the library does
/// not, so that one who brings other data does not carry 9 MB of digits.
pub struct Files<'a> {
    /// `train-images-idx3-ubyte.xz`
    pub train_images: &'a [u8],
    /// `train-labels-idx1-ubyte.xz`
    pub train_labels: &'a [u8],
    /// `t10k-images-idx3-ubyte.xz`
    pub test_images: &'a [u8],
    /// `t10k-labels-idx1-ubyte.xz`
    pub test_labels: &'a [u8],
}

const SIDE: usize = 28;

/// A file as it was packed.
struct Original {
    name: &'static str,
    /// Of the packed file.
    sha256: &'static str,
    /// Bytes of the IDX header, and of the data that follow it.
    header: usize,
    data: usize,
}

const TRAIN_IMAGES: Original = Original {
    name: "train-images-idx3-ubyte.xz",
    sha256: "f1ac1d22dd8273d67c34ed97a331cf2e81f7043c1b6092e7509f5e989fc67385",
    header: 16,
    data: 60_000 * SIDE * SIDE,
};
const TRAIN_LABELS: Original = Original {
    name: "train-labels-idx1-ubyte.xz",
    sha256: "dcd3d8184fe1a8be6231f172fb3390116f91c127282fd736ab55752c179963d8",
    header: 8,
    data: 60_000,
};
const TEST_IMAGES: Original = Original {
    name: "t10k-images-idx3-ubyte.xz",
    sha256: "d815adbb3188b5bafed15d649960a5dbcb0f9138b9a4205b88b175001cb394c9",
    header: 16,
    data: 10_000 * SIDE * SIDE,
};
const TEST_LABELS: Original = Original {
    name: "t10k-labels-idx1-ubyte.xz",
    sha256: "f2edae9ce0307abae4671a37b70e6e3858696b48b16c3cfdfef97388dc9925d5",
    header: 8,
    data: 10_000,
};

/// Verifies and unpacks the four files, on all cores, and gives 60,000 training and 10,000 test images of 28 × 28 × 1.
///
/// # Errors
/// [`Error::Data`] naming the file, if one is not the file of `data/mnist`, byte for byte; [`Error::Io`] if the system
/// gives no memory or threads to unpack it.
pub fn load(files: &Files) -> Result<Split> {
    let packed = [
        (files.train_images, TRAIN_IMAGES),
        (files.train_labels, TRAIN_LABELS),
        (files.test_images, TEST_IMAGES),
        (files.test_labels, TEST_LABELS),
    ];
    for (xz, original) in &packed {
        verify(xz, original)?;
    }
    let unpacked: Vec<Vec<u8>> = packed.par_iter().map(|(xz, original)| unpack(xz, original)).collect::<Result<_>>()?;
    let [train_images, train_labels, test_images, test_labels] =
        unpacked.try_into().expect("as many files come out as go in");
    let train = dataset("MNIST train", train_images, &train_labels);
    let test = dataset("MNIST test", test_images, &test_labels);
    Split::new("MNIST", train, test)
}

fn dataset(name: &str, images: Vec<u8>, labels: &[u8]) -> Dataset {
    let labels = labels.iter().map(|&label| u32::from(label)).collect();
    let images = Images::new(images, SIDE * SIDE);
    Dataset { name: name.to_owned(), images, labels, label_names: Vec::new(), height: SIDE, width: SIDE, channels: 1 }
}

fn verify(xz: &[u8], original: &Original) -> Result<()> {
    let sha256 = sha256([xz]);
    if sha256 != original.sha256 {
        let found = format!("{} bytes with the SHA-256 {sha256}", xz.len());
        return Err(Error::data(Path::new(original.name), found, original.sha256));
    }
    Ok(())
}

/// The data of a verified file, without the header.
fn unpack(xz: &[u8], original: &Original) -> Result<Vec<u8>> {
    let read = || {
        // The training images are packed in two blocks.
        let threads = rayon::current_num_threads() as u32;
        let mut reader = XzReaderMt::new(Cursor::new(xz), false, threads)?;
        let mut data = vec![0; original.header];
        reader.read_exact(&mut data)?;
        data.clear();
        data.reserve_exact(original.data);
        reader.read_to_end(&mut data)?;
        Ok(data)
    };
    let data: Vec<u8> = read().map_err(Error::io("unpack", Path::new(original.name)))?;
    assert_eq!(data.len(), original.data, "{} is verified", original.name);
    Ok(data)
}
