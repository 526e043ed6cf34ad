//! Pictures as people have them, brought to a network's input.
//!
//! The rules, which are the same for training, enrolment and recognition:
//!
//! 1. The file is decoded (PNG, JPEG, BMP, GIF, WebP, TIFF, PNM, known by its content; of several pictures the first),
//!    and turned as its EXIF orientation says. Palettes become colours, and every GIF has some; 1, 2 and 4 bits of
//!    grey are spread over 0 to 255; four inks of a JPEG (CMYK, or YCCK) become C·K/255, M·K/255 and Y·K/255 of values
//!    that are 255 without ink, as Adobe's programs and whoever follows them write. Colour profiles are not applied.
//! 2. 16 bits become 8: a 257th, rounded to the nearest. What is transparent shows the [`Ground`]: both are
//!    mixed by the opacity, and rounded down.
//! 3. For a network of one channel colour becomes grey by luma (Rec. 709); for one of three, grey becomes colour.
//! 4. Where the model says so ([`Pictures::invert`]) every value becomes 255 less it: MNIST is light on dark.
//! 5. A picture of another size is scaled to fit, its proportions kept, each new pixel the weighted mean of those that
//!    it covers (a triangle filter; along columns first, then along rows, each rounded to whole values), and centred on
//!    the ground. A picture of the right size stays as it is.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::imageops;
use image::{DynamicImage, ImageBuffer, Pixel, Rgba};
use serde::{Deserialize, Serialize};

use super::Dataset;
use super::decode::{self, Encoded, Stored};
use super::origin::sha256;
use super::search::Found;
use super::store::{Images, Store};
use crate::error::Result;

/// What a model wants done to pictures, beyond its input's shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pictures {
    /// They are dark on light, and the network wants light on dark.
    pub invert: bool,
    /// What lies behind them.
    #[serde(default, skip_serializing_if = "Ground::is_black")]
    pub ground: Ground,
}

/// What shows where a picture is transparent, and beside it where its proportions are not the input's: as the network
/// sees it, so that pictures to be inverted are laid on the ground's negative. Drawings in black lines vanish on black.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ground {
    /// 0, as of models that say nothing of it.
    #[default]
    Black,
    /// 128.
    Grey,
    /// 255.
    White,
}

impl Ground {
    fn value(self) -> u8 {
        match self {
            Ground::Black => 0,
            Ground::Grey => 128,
            Ground::White => 255,
        }
    }

    fn is_black(&self) -> bool {
        *self == Ground::Black
    }
}

impl FromStr for Ground {
    type Err = String;

    fn from_str(text: &str) -> Result<Ground, String> {
        match text {
            "black" => Ok(Ground::Black),
            "grey" => Ok(Ground::Grey),
            "white" => Ok(Ground::White),
            _ => Err(format!("`{text}` is none of black, grey, white")),
        }
    }
}

/// A picture as an input `[height, width, channels]`, by the rules of this module.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) naming the picture where it is missing, broken, none, or larger than
/// [`decode`] takes: 64 Mi pixels, 32,768 a side, 512 MiB unpacked.
pub fn read<'a>(picture: impl Into<Encoded<'a>>, input: [usize; 3], pictures: Pictures) -> Result<Vec<u8>> {
    decode::upright(picture, |picture| bring(picture, input, pictures))
}

/// Rules 2 to 5. What is no longer needed of a picture goes before the next form of it is made.
fn bring(mut picture: DynamicImage, [height, width, channels]: [usize; 3], pictures: Pictures) -> Vec<u8> {
    if picture.color().has_alpha() {
        let ground = pictures.ground.value();
        let ground = if pictures.invert { 255 - ground } else { ground };
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
    let scaled = resized(&values, fitted);
    let mut all = ImageBuffer::from_raw(wide, high, vec![pictures.ground.value(); values_of::<P>([wide, high])])
        .expect("as many values as it has");
    let place = [(wide - fitted[0]) / 2, (high - fitted[1]) / 2];
    imageops::replace(&mut all, &scaled, place[0].into(), place[1].into());
    all
}

/// How many values an image of pixels of this kind has.
fn values_of<P: Pixel>([wide, high]: [u32; 2]) -> usize {
    usize::from(P::CHANNEL_COUNT) * wide as usize * high as usize
}

/// An image of one or three channels in another size. In whole numbers, and so the same on every processor.
fn resized<P>(values: &ImageBuffer<P, Vec<u8>>, [wide, high]: [u32; 2]) -> ImageBuffer<P, Vec<u8>>
where
    P: Pixel<Subpixel = u8> + 'static,
{
    let kind = if P::CHANNEL_COUNT == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let own = ImageRef::new(values.width(), values.height(), values, kind).expect("its size is its own");
    let mut scaled = Image::new(wide, high, kind);
    let triangle = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&own, &mut scaled, &triangle).expect("both are of one kind");
    ImageBuffer::from_raw(wide, high, scaled.into_vec()).expect("it has the size asked for")
}

/// Pictures in files, which are decoded whenever they are asked for.
struct Files {
    files: Vec<Stored>,
    input: [usize; 3],
    pictures: Pictures,
}

impl Store for Files {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn read(&self, row: usize, image: &mut [u8]) -> Result<()> {
        let values = self.files[row].encoded(|picture| read(picture, self.input, self.pictures))?;
        image.copy_from_slice(&values);
        Ok(())
    }

    fn digest(&self) -> String {
        sha256(self.files.iter().flat_map(|file| [file.path.as_os_str().as_encoded_bytes(), b"\0"]))
    }
}

/// Pictures as images `input`, decoded when they are asked for.
pub fn images(files: Vec<Stored>, input: [usize; 3], pictures: Pictures) -> Images {
    Images::of(Files { files, input, pictures }, input.iter().product())
}

/// The same as a data set of this name, as [`labelled`] has it.
pub fn data_set(
    name: String,
    found: &[Found],
    label_names: Vec<String>,
    input: [usize; 3],
    pictures: Pictures,
) -> Dataset {
    let files = found.iter().map(|found| found.stored.clone()).collect();
    labelled(name, found, label_names, images(files, input, pictures), input)
}

/// The images of pictures, a row each, as a data set of this name; labels are the classes in the order of
/// `label_names`. Pictures without a class, or of another, have the label behind the last.
pub fn labelled(
    name: String,
    found: &[Found],
    label_names: Vec<String>,
    images: Images,
    [height, width, channels]: [usize; 3],
) -> Dataset {
    let known: HashMap<&str, u32> = (0..).zip(&label_names).map(|(label, name)| (name.as_str(), label)).collect();
    let label = |found: &Found| known.get(found.class.as_deref()?).copied();
    let labels = found.iter().map(|found| label(found).unwrap_or(label_names.len() as u32)).collect();
    Dataset { name, images, labels, label_names, height, width, channels }
}

/// The classes that occur, in order: of numbers if all are numbers, of letters otherwise.
pub fn classes(found: &[Found]) -> Vec<String> {
    let names: BTreeSet<&str> = found.iter().filter_map(|found| found.class.as_deref()).collect();
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let number = |name: &String| name.parse::<u64>().ok();
    if names.iter().all(|name| number(name).is_some()) {
        names.sort_by_key(number);
    }
    names
}
