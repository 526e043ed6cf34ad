//! A strict reader of the IDX format, in which MNIST, Fashion-MNIST, KMNIST, EMNIST and others are published.
//!
//! A file is a big-endian header and then the elements: two zero bytes, the element type (`0x08` = unsigned byte), the
//! number of dimensions, and each dimension as a u32 (<http://yann.lecun.com/exdb/mnist/>, "The IDX file format").
//! Images have the dimensions `[rows, height, width]`, or `[rows, height, width, channels]` for colour, labels
//! `[rows]`. Files may be packed with gzip, which shows in their first two bytes, whatever their name.
//!
//! Images and labels are kept as they are, but for EMNIST (Cohen et al. 2017): its files hold the images transposed,
//! and are known by their names, so they are turned upright. Its letters are labelled from 1.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::store::Images;
use super::{Dataset, Origin, Split};
use crate::error::{Error, Result};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const UNSIGNED_BYTE: u8 = 0x08;

/// The most elements a file may announce. A set that large would not fit a device buffer, and without a limit a small
/// gzip file could announce, and unpack to, more than the host's memory.
const MAX_ELEMENTS: u64 = 1 << 32;

/// What a file should hold.
#[derive(Clone, Copy, PartialEq)]
enum Content {
    Images,
    Labels,
}

impl Content {
    fn of_dimensions(dimensions: u8) -> Option<Content> {
        match dimensions {
            1 => Some(Content::Labels),
            3 | 4 => Some(Content::Images),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Content::Images => "image",
            Content::Labels => "label",
        }
    }

    fn magic(self) -> &'static str {
        match self {
            Content::Images => "the magic number 0x00000803 or 0x00000804 of an image file of unsigned bytes",
            Content::Labels => "the magic number 0x00000801 of a label file of unsigned bytes",
        }
    }
}

/// Reads an image file: the pixels `[rows, height, width, channels]`, row-major, then height, width and channels
/// (1 for a file of three dimensions). At least one image of at least one pixel.
///
/// # Errors
/// [`Error::Data`] if the file is missing or is anything but one whole IDX image file; [`Error::Io`] if it cannot be
/// read.
pub fn read_images(path: &Path) -> Result<(Vec<u8>, usize, usize, usize)> {
    let (dimensions, pixels) = read(path, Content::Images, |_| Ok(()))?;
    let size = |axis: usize| dimensions.get(axis).map_or(1, |&size| size as usize);
    Ok((pixels, size(1), size(2), size(3)))
}

/// Reads a label file: `[rows]`, at least one, each 0 to 255 as in the file.
///
/// # Errors
/// [`Error::Data`] if the file is missing or is anything but one whole IDX label file; [`Error::Io`] if it cannot be
/// read.
pub fn read_labels(path: &Path) -> Result<Vec<u32>> {
    let (_, labels) = read(path, Content::Labels, |_| Ok(()))?;
    Ok(labels.into_iter().map(u32::from).collect())
}

/// The labels of so many images; a file that announces another number is not read on.
fn read_labels_of(path: &Path, images: usize, images_path: &Path) -> Result<Vec<u32>> {
    let (_, labels) = read(path, Content::Labels, |dimensions| {
        if dimensions[0] as usize == images {
            return Ok(());
        }
        let expected = format!("{images}, one for each image of {}", images_path.display());
        Err(Error::data(path, format!("{} labels", dimensions[0]), expected))
    })?;
    Ok(labels.into_iter().map(u32::from).collect())
}

/// Whether a file is called as an IDX file.
fn is_one(path: &Path) -> bool {
    let name = file_name(path);
    ["idx1-ubyte", "idx3-ubyte", "idx4-ubyte"].iter().any(|end| name.contains(end))
}

/// The folder of IDX files that `dir` means: itself, or where it has none, the one such folder `raw` or `gzip` in it or
/// in a folder of it, as torchvision and the archive of EMNIST have them. `None` where there is none.
///
/// # Errors
/// [`Error::DataSet`] where `dir` is no folder, or has several such folders in it; [`Error::Io`] if it cannot be
/// listed.
pub fn folder(dir: &Path) -> Result<Option<PathBuf>> {
    if !dir.is_dir() {
        let found = if dir.exists() { "a file" } else { "nothing there" };
        return Err(Error::data_set(dir, found, "a folder of pictures, or of the four files of an IDX set"));
    }
    let holds = |dir: &Path| Ok::<_, Error>(list(dir)?.iter().any(|path| is_one(path)));
    if holds(dir)? {
        return Ok(Some(dir.to_owned()));
    }
    let entries = fs::read_dir(dir).map_err(Error::io("list", dir))?;
    let folders = entries.map(|entry| Ok(entry.map_err(Error::io("list", dir))?.path())).collect::<Result<Vec<_>>>()?;
    let usual = |dir: &Path| ["raw", "gzip"].map(|name| dir.join(name));
    let places = usual(dir).into_iter().chain(folders.iter().flat_map(|folder| usual(folder)));
    let mut found = Vec::new();
    for place in places.filter(|place| place.is_dir()) {
        if holds(&place)? {
            found.push(place);
        }
    }
    found.sort();
    match &found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => {
            let names: Vec<_> = several.iter().map(|place| place.display().to_string()).collect();
            let found = format!("several folders of IDX files ({})", names.join(", "));
            Err(Error::data_set(dir, found, "one; say which"))
        }
    }
}

/// Reads the four files of a set from the folder `dir`, and names the two sets after the folder.
///
/// A file is known by the end of its name: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and the same with
/// `t10k` or `test` for `train`. Anything may come before (`emnist-letters-train-images-idx3-ubyte`), a dot may stand
/// before `idx`, colour images may say `idx4`, and `.gz` may follow. Of a file that is there packed and plain the plain
/// one is read. Files that are called `emnist` hold images that are transposed; they are turned upright, and the
/// split's remarks say so.
///
/// # Errors
/// [`Error::DataSet`] if one of the four is missing or there are several to choose from; [`Error::Data`] if a file is
/// not what [`read_images`] and [`read_labels`] accept, if images and labels differ in number, or if training and test
/// images differ in size; [`Error::Io`] if the folder or a file cannot be read.
pub fn load(dir: &Path) -> Result<Split> {
    let files = list(dir)?;
    // All four are looked for before the first is read: a missing one shows at once.
    let train_images = find(dir, &files, &["train"], Content::Images)?;
    let train_labels = find(dir, &files, &["train"], Content::Labels)?;
    let test_images = find(dir, &files, &["t10k", "test"], Content::Images)?;
    let test_labels = find(dir, &files, &["t10k", "test"], Content::Labels)?;

    let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
    let train = read_set(format!("{name} train"), train_images, train_labels)?;
    let test = read_set(format!("{name} test"), test_images, test_labels)?;
    let size = |set: &Dataset| format!("images of {} × {} × {}", set.height, set.width, set.channels);
    if size(&test) != size(&train) {
        let expected = format!("{} as in {}", size(&train), train_images.display());
        return Err(Error::data(test_images, size(&test), expected));
    }
    let split = Split::new(&name, train, test)?;
    let path = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let turned = is_transposed(train_images) || is_transposed(test_images);
    let remark = turned.then(|| format!("{}: EMNIST's images are transposed; they are turned upright", dir.display()));
    Ok(Split { origin: Origin { path: Some(path), ..split.origin }, remarks: remark.into_iter().collect(), ..split })
}

/// Whether a file has images that are transposed, as those of EMNIST are.
fn is_transposed(path: &Path) -> bool {
    file_name(path).to_lowercase().contains("emnist")
}

/// Images `[rows, width, height, channels]` from those of `[rows, height, width, channels]`.
fn transposed(images: &[u8], height: usize, width: usize, channels: usize) -> Vec<u8> {
    let mut turned = Vec::with_capacity(images.len());
    for image in images.chunks_exact(height * width * channels) {
        for place in 0..height * width {
            let (x, y) = (place / height, place % height);
            turned.extend_from_slice(&image[(y * width + x) * channels..][..channels]);
        }
    }
    turned
}

fn read_set(name: String, images_path: &Path, labels_path: &Path) -> Result<Dataset> {
    let (mut images, mut height, mut width, channels) = read_images(images_path)?;
    if is_transposed(images_path) {
        images = transposed(&images, height, width, channels);
        (height, width) = (width, height);
    }
    let labels = read_labels_of(labels_path, images.len() / (height * width * channels), images_path)?;
    let images = Images::new(images, height * width * channels);
    Ok(Dataset { name, images, labels, label_names: Vec::new(), height, width, channels })
}

/// The files of a folder, in the order of their names. Hidden files are left out: archive tools leave some that are
/// named after the real ones.
fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::data_set(dir, "nothing there", "a folder that holds an IDX set"),
        ErrorKind::NotADirectory => Error::data_set(dir, "a file", "a folder that holds an IDX set"),
        _ => Error::io("list", dir)(error),
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.is_file() && !file_name(&path).starts_with('.') {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The one file of a set's part, which is called by any of `parts`.
fn find<'a>(dir: &Path, files: &'a [PathBuf], parts: &[&str], content: Content) -> Result<&'a Path> {
    let suffixes: &[&str] = match content {
        Content::Images => &["images-idx3-ubyte", "images-idx4-ubyte"],
        Content::Labels => &["labels-idx1-ubyte"],
    };
    let fits = |path: &&PathBuf| {
        let name = file_name(path).replace(".idx", "-idx");
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let before_suffix = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)?.strip_suffix('-'));
        // The part must be a whole word: `latest-images` is no `test-images`.
        before_suffix
            .and_then(|rest| parts.iter().find_map(|part| rest.strip_suffix(part)))
            .is_some_and(|prefix| !prefix.ends_with(char::is_alphanumeric))
    };
    // What is there plain and packed is one file.
    let plain =
        |path: &&PathBuf| path.extension().is_none_or(|end| end != "gz") || !files.contains(&path.with_extension(""));
    let candidates: Vec<&PathBuf> = files.iter().filter(fits).filter(plain).collect();
    if let [one] = candidates[..] {
        return Ok(one);
    }
    let expected = format!("one file whose name ends in {}-{}, plain or with .gz", parts[0], suffixes[0]);
    let found = match (candidates.is_empty(), files.is_empty()) {
        (false, _) => {
            let found = format!("{} ({})", candidates.len(), some_names(candidates.into_iter()));
            return Err(Error::data_set(dir, found, expected + "; of several sets give each a folder of its own"));
        }
        (true, false) => format!("none among its {} files ({})", files.len(), some_names(files.iter())),
        (true, true) => "an empty folder".to_owned(),
    };
    Err(Error::data_set(dir, found, expected))
}

fn some_names<'a>(files: impl ExactSizeIterator<Item = &'a PathBuf>) -> String {
    const SHOWN: usize = 8;
    let more = if files.len() > SHOWN { ", …" } else { "" };
    files.take(SHOWN).map(|path| file_name(path)).collect::<Vec<_>>().join(", ") + more
}

/// Dimensions and elements of a file. `check` sees the dimensions before the elements are read.
fn read(path: &Path, content: Content, check: impl Fn(&[u32]) -> Result<()>) -> Result<(Vec<u32>, Vec<u8>)> {
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::data(path, "nothing there", format!("an IDX {} file", content.name())),
        _ => Error::io("open", path)(error),
    })?;
    let mut file = BufReader::new(file);
    let packed = file.fill_buf().map_err(Error::io("read", path))?.starts_with(&GZIP_MAGIC);
    if packed {
        let mut stream = MultiGzDecoder::new(file);
        parse(path, content, &check, &mut |limit| {
            let mut bytes = Vec::new();
            // A broken stream is a fault of the file; anything else is one of the disk.
            match stream.by_ref().take(limit).read_to_end(&mut bytes) {
                Ok(_) => Ok(bytes),
                Err(error) => Err(match error.kind() {
                    ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                        Error::data(path, format!("broken gzip data ({error})"), "a complete gzip file")
                    }
                    _ => Error::io("read", path)(error),
                }),
            }
        })
    } else {
        parse(path, content, &check, &mut |limit| {
            let mut bytes = Vec::new();
            file.by_ref().take(limit).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
            Ok(bytes)
        })
    }
}

/// `next(limit)` gives the next bytes of the unpacked file: fewer than `limit` only at its end. What is held in memory
/// grows with what arrives, never with what the header says.
fn parse(
    path: &Path,
    content: Content,
    check: &dyn Fn(&[u32]) -> Result<()>,
    next: &mut dyn FnMut(u64) -> Result<Vec<u8>>,
) -> Result<(Vec<u32>, Vec<u8>)> {
    let magic = next(4)?;
    let &[zero_0, zero_1, element, count] = &magic[..] else {
        let found = if magic.is_empty() { "an empty file".to_owned() } else { format!("only {} bytes", magic.len()) };
        return Err(Error::data(path, found, content.magic()));
    };
    let is_idx = [zero_0, zero_1] == [0, 0];
    if !is_idx || element != UNSIGNED_BYTE || Content::of_dimensions(count) != Some(content) {
        let kind = match (is_idx, element_name(element), Content::of_dimensions(count)) {
            (true, Some("unsigned bytes"), Some(other)) => format!("a file of {}s", other.name()),
            (true, Some(elements), _) => format!("{elements} in {count} dimensions"),
            _ => "not an IDX file".to_owned(),
        };
        let found = format!("0x{zero_0:02x}{zero_1:02x}{element:02x}{count:02x} ({kind})");
        return Err(Error::data(path, found, content.magic()));
    }

    let header_bytes = 4 * usize::from(count);
    let header = next(header_bytes as u64)?;
    if header.len() < header_bytes {
        let found = format!("a header of {} bytes", 4 + header.len());
        return Err(Error::data(path, found, format!("{} bytes for {count} dimensions", 4 + header_bytes)));
    }
    let dimensions: Vec<u32> = header.as_chunks().0.iter().map(|&size| u32::from_be_bytes(size)).collect();
    let shown = || dimensions.iter().map(u32::to_string).collect::<Vec<_>>().join(" × ");
    if dimensions.contains(&0) {
        let expected = match content {
            Content::Images => "at least one image, of at least one pixel",
            Content::Labels => "at least one label",
        };
        return Err(Error::data(path, format!("the dimensions {}", shown()), expected));
    }
    let elements = dimensions.iter().try_fold(1u64, |product, &size| product.checked_mul(u64::from(size)));
    let Some(elements) = elements.filter(|&elements| elements <= MAX_ELEMENTS) else {
        let expected = format!("at most {MAX_ELEMENTS} bytes of {}s", content.name());
        return Err(Error::data(path, format!("the dimensions {}", shown()), expected));
    };

    check(&dimensions)?;
    let data = next(elements + 1)?;
    if data.len() as u64 != elements {
        let expected = format!("{elements} bytes for {}", shown());
        let found = if data.len() as u64 > elements {
            "more data than the header announces".to_owned()
        } else {
            format!("{} bytes of data", data.len())
        };
        return Err(Error::data(path, found, expected));
    }
    Ok((dimensions, data))
}

/// The element types of the format.
fn element_name(element: u8) -> Option<&'static str> {
    Some(match element {
        UNSIGNED_BYTE => "unsigned bytes",
        0x09 => "signed bytes",
        0x0b => "16-bit integers",
        0x0c => "32-bit integers",
        0x0d => "32-bit floats",
        0x0e => "64-bit floats",
        _ => return None,
    })
}
