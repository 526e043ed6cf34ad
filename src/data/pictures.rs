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
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageBuffer, Pixel, Rgba};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::{Dataset, decode};
use crate::error::{Error, Result};

/// What a model wants done to pictures, beyond its input's shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pictures {
    /// They are dark on light, and the network wants light on dark.
    pub invert: bool,
}

/// Ends of the names of files that are taken for pictures when a folder is searched.
const EXTENSIONS: [&str; 12] = ["png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "pgm", "ppm", "pnm", "pbm"];

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

/// A picture as an input `[height, width, channels]`, by the rules of this module.
///
/// # Errors
/// [`Error::Data`] naming the file where it is missing, broken, no picture, or larger than [`decode`] takes: 64 Mi
/// pixels, 32,768 a side, 512 MiB unpacked.
pub fn read(path: &Path, input: [usize; 3], pictures: Pictures) -> Result<Vec<u8>> {
    decode::upright(path, |picture| bring(picture, input, pictures))
}

/// Rules 2 to 5. What is no longer needed of a picture goes before the next form of it is made.
fn bring(mut picture: DynamicImage, [height, width, channels]: [usize; 3], pictures: Pictures) -> Vec<u8> {
    if picture.color().has_alpha() {
        let ground = if pictures.invert { 255 } else { 0 };
        let mut opaque = picture.into_rgba8();
        for pixel in opaque.pixels_mut() {
            let mut below = Rgba([ground, ground, ground, 255]);
            below.blend(pixel);
            *pixel = below;
        }
        picture = opaque.into();
    }
    let side = [width as u32, height as u32];
    if channels == 1 {
        return fit(picture.into_luma8(), side, pictures).into_raw();
    }
    if picture.color().has_color() {
        return fit(picture.into_rgb8(), side, pictures).into_raw();
    }
    fit(picture.into_luma8(), side, pictures).iter().flat_map(|value| [*value; 3]).collect()
}

/// Rules 4 and 5, for pixels of any kind.
fn fit<P>(mut values: ImageBuffer<P, Vec<u8>>, [wide, high]: [u32; 2], pictures: Pictures) -> ImageBuffer<P, Vec<u8>>
where
    P: Pixel<Subpixel = u8> + 'static,
{
    if pictures.invert {
        imageops::invert(&mut values);
    }
    if values.dimensions() == (wide, high) {
        return values;
    }
    let scale = (f64::from(wide) / f64::from(values.width())).min(f64::from(high) / f64::from(values.height()));
    let side = |length: u32, most: u32| ((f64::from(length) * scale).round() as u32).clamp(1, most);
    let fitted = [side(values.width(), wide), side(values.height(), high)];
    let scaled = imageops::resize(&values, fitted[0], fitted[1], FilterType::Triangle);
    let mut ground = ImageBuffer::new(wide, high);
    let place = [(wide - fitted[0]) / 2, (high - fitted[1]) / 2];
    imageops::replace(&mut ground, &scaled, place[0].into(), place[1].into());
    ground
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
