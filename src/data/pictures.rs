//! Pictures as people have them, brought to a network's input.
//!
//! The rules, which are the same for training, enrolment and recognition:
//!
//! 1. The file is decoded (PNG, JPEG, BMP, GIF's first frame, WebP, TIFF, PNM, known by its content), and turned as its
//!    EXIF orientation says.
//! 2. What is transparent shows the background: black, or white where pictures are inverted.
//! 3. For a network of one channel colour becomes grey by luma (Rec. 709); for one of three, grey becomes colour.
//! 4. Where the model says so ([`Pictures::invert`]) every value becomes 255 less it: MNIST is light on dark.
//! 5. A picture of another size is scaled to fit, its proportions kept, each new pixel the weighted mean of those that
//!    it covers (a triangle filter), and centred on a black ground. A picture of the right size stays as it is.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, Rgb, RgbImage, Rgba};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::Dataset;
use crate::error::{Error, Result};

/// What a model wants done to pictures, beyond its input's shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pictures {
    /// They are dark on light, and the network wants light on dark.
    pub invert: bool,
}

/// Ends of the names of files that are taken for pictures when a folder is searched.
const EXTENSIONS: [&str; 12] = ["png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "pgm", "ppm", "pnm", "pbm"];

/// Most rows or columns of a picture.
const MOST_SIDE: u32 = 1 << 15;
/// Most bytes that decoding may take.
const MOST_BYTES: u64 = 1 << 29;

/// A picture file that was found, and the class that its folder names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Name of the folder below the one that was searched; `None` for a file given as such or lying directly in it.
    pub class: Option<String>,
}

fn is_hidden(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with('.')
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// The pictures that `paths` mean, in the order of the paths and within a folder in that of the names: files as they
/// are, folders with all that lies in them. A picture in a subfolder has the first subfolder's name as its class.
///
/// # Errors
/// [`Error::Data`] for a path where nothing is, and a folder without pictures; [`Error::Io`] for a folder that cannot
/// be listed.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in paths {
        if !path.exists() {
            return Err(Error::data(path, "nothing there", "a picture, or a folder of pictures"));
        }
        if !path.is_dir() {
            found.push(Found { path: path.clone(), class: None });
            continue;
        }
        let before = found.len();
        let seen = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
        for entry in seen.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name())) {
            let entry = entry.map_err(|error| Error::io("list", path)(error.into()))?;
            if !entry.file_type().is_file() || !is_picture(entry.path()) {
                continue;
            }
            let inside = entry.path().strip_prefix(path).expect("it was found there");
            let class = (entry.depth() > 1).then(|| inside.iter().next().expect("a folder").to_string_lossy().into());
            found.push(Found { path: entry.into_path(), class });
        }
        if found.len() == before {
            let expected = "pictures, or a folder of pictures for each class (png, jpg, bmp, gif, webp, tiff, pnm)";
            return Err(Error::data(path, "no picture", expected));
        }
    }
    Ok(found)
}

fn fault(path: &Path, error: &impl ToString) -> Error {
    Error::data(
        path,
        format!("a picture that cannot be used ({})", error.to_string()),
        "a whole PNG, JPEG, BMP, GIF, WebP, TIFF or PNM file",
    )
}

/// A reader of the file that knows its format, by its content or else by its name.
fn open(path: &Path) -> Result<ImageReader<BufReader<File>>> {
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::data(path, "nothing there", "a picture"),
        _ => Error::io("read", path)(error),
    })?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOST_SIDE);
    limits.max_image_height = Some(MOST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    let mut reader = ImageReader::new(BufReader::new(file));
    reader.limits(limits);
    reader.with_guessed_format().map_err(Error::io("read", path))
}

/// Height, width and channels of a picture as its file's head says: 3 channels where it has colour.
///
/// # Errors
/// [`Error::Data`] naming the file where it is no picture.
pub fn shape(path: &Path) -> Result<[usize; 3]> {
    let decoder = open(path)?.into_decoder().map_err(|error| fault(path, &error))?;
    let (width, height) = decoder.dimensions();
    Ok([height as usize, width as usize, if decoder.color_type().has_color() { 3 } else { 1 }])
}

/// A picture as an input `[height, width, channels]`, by the rules of this module.
///
/// # Errors
/// [`Error::Data`] naming the file where it is missing, broken, no picture, or larger than 32,768 pixels a side or
/// 512 MiB unpacked.
pub fn read(path: &Path, input: [usize; 3], pictures: Pictures) -> Result<Vec<u8>> {
    let mut decoder = open(path)?.into_decoder().map_err(|error| fault(path, &error))?;
    // A file without or with a broken note is taken to be upright.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| fault(path, &error))?;
    picture.apply_orientation(orientation);
    Ok(bring(&picture, input, pictures))
}

/// Rules 2 to 5.
fn bring(picture: &DynamicImage, [height, width, channels]: [usize; 3], pictures: Pictures) -> Vec<u8> {
    let ground = if pictures.invert { 255 } else { 0 };
    let opaque = if picture.color().has_alpha() {
        let mut below =
            image::RgbaImage::from_pixel(picture.width(), picture.height(), Rgba([ground, ground, ground, 255]));
        imageops::overlay(&mut below, &picture.to_rgba8(), 0, 0);
        DynamicImage::ImageRgba8(below)
    } else {
        picture.clone()
    };
    let colours = if channels == 1 { DynamicImage::ImageLuma8(opaque.to_luma8()) } else { opaque };
    let mut values = colours.to_rgb8();
    if pictures.invert {
        imageops::invert(&mut values);
    }
    let (wide, high) = (width as u32, height as u32);
    if values.dimensions() != (wide, high) {
        let scale = (f64::from(wide) / f64::from(values.width())).min(f64::from(high) / f64::from(values.height()));
        let side = |length: u32, most: u32| ((f64::from(length) * scale).round() as u32).clamp(1, most);
        let fitted = [side(values.width(), wide), side(values.height(), high)];
        let scaled = imageops::resize(&values, fitted[0], fitted[1], FilterType::Triangle);
        values = RgbImage::from_pixel(wide, high, Rgb([0; 3]));
        let place = [(wide - fitted[0]) / 2, (high - fitted[1]) / 2];
        imageops::replace(&mut values, &scaled, place[0].into(), place[1].into());
    }
    // Of a grey picture all three values are one.
    values.pixels().flat_map(|pixel| pixel.0.into_iter().take(channels)).collect()
}

/// Reads pictures as a data set of this name, as [`labelled`] has it.
///
/// # Errors
/// As [`read`], for the first picture in order that cannot be read.
pub fn load(
    name: String,
    found: &[Found],
    label_names: Vec<String>,
    input: [usize; 3],
    pictures: Pictures,
) -> Result<Dataset> {
    let images: Result<Vec<_>> = found.par_iter().map(|found| read(&found.path, input, pictures)).collect();
    Ok(labelled(name, found, label_names, images?.concat(), input))
}

/// Pictures that were read, `[rows, height, width, channels]`, as a data set of this name; labels are the classes in
/// the order of `label_names`. Pictures without a class, or of another, have the label behind the last.
pub fn labelled(
    name: String,
    found: &[Found],
    label_names: Vec<String>,
    images: Vec<u8>,
    [height, width, channels]: [usize; 3],
) -> Dataset {
    let label = |class: &Option<String>| label_names.iter().position(|name| Some(name) == class.as_ref());
    let labels = found.iter().map(|found| label(&found.class).unwrap_or(label_names.len()) as u32).collect();
    Dataset { name, images, labels, label_names, height, width, channels }
}

/// The classes that occur, in order: of numbers if all are numbers, of letters otherwise.
pub fn classes(found: &[Found]) -> Vec<String> {
    let mut names: Vec<String> = found.iter().filter_map(|found| found.class.clone()).collect();
    let number = |name: &String| name.parse::<u64>().ok();
    if names.iter().all(|name| number(name).is_some()) {
        names.sort_by_key(number);
    } else {
        names.sort();
    }
    names.dedup();
    names
}
