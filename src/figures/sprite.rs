//! Many small images in one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The longer side of a tile at most, in pixels.
pub const SIDE: usize = 64;
/// Pixels of all tiles at most: where there are many, they are smaller.
const PIXELS: usize = 1 << 21;
/// Bytes of the PNG file at most, so that a page is no more than 5 MB.
const BYTES: usize = 11 << 18;
/// Pixels of a tile's longer side at least, whatever that takes.
const LEAST: usize = 8;
/// Tiles in a row.
const COLUMNS: usize = 50;

/// A PNG image of tiles, in rows from the top left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sprite {
    /// The PNG file in base64.
    pub png: String,
    /// Tiles.
    pub tiles: usize,
    /// Tiles in a row.
    pub columns: usize,
    /// Width of a tile in pixels.
    pub width: usize,
    /// Height of a tile in pixels.
    pub height: usize,
}

impl Sprite {
    /// Whether it holds the beginning of a PNG file in base64, and nothing but base64.
    pub fn is_png(&self) -> bool {
        STANDARD.decode(&self.png).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG\r\n\x1a\n"))
    }
}

/// Collects images for a [`Sprite`]. The same image twice is one tile.
pub struct Tiles<'a> {
    shape: [usize; 3],
    images: Vec<Cow<'a, [u8]>>,
    places: HashMap<Cow<'a, [u8]>, u32>,
    /// The first image that could not be read.
    fault: Option<Error>,
}

impl<'a> Tiles<'a> {
    /// For images of one shape, `[height, width, channels]`. With three channels they are shown in colour, else the
    /// first channel in grey.
    pub fn new(shape: [usize; 3]) -> Tiles<'a> {
        Tiles { shape, images: Vec::new(), places: HashMap::new(), fault: None }
    }

    /// Adds an image; answers its tile. One that could not be read is an error of [`Tiles::sprite`].
    ///
    /// # Panics
    /// If it does not have the shape.
    pub fn add(&mut self, image: Result<Cow<'a, [u8]>>) -> u32 {
        let image = match image {
            Ok(image) => image,
            Err(error) => {
                self.fault.get_or_insert(error);
                return 0;
            }
        };
        assert_eq!(image.len(), self.shape.iter().product::<usize>(), "an image of {:?}", self.shape);
        *self.places.entry(image).or_insert_with_key(|image| {
            self.images.push(image.clone());
            self.images.len() as u32 - 1
        })
    }

    /// All images that were added.
    ///
    /// # Errors
    /// What was wrong with the first that could not be read.
    pub fn sprite(self) -> Result<Sprite> {
        if let Some(error) = self.fault {
            return Err(error);
        }
        let mut side = SIDE.min((PIXELS / self.images.len().max(1)).isqrt());
        loop {
            let (png, sprite) = self.sheet(side);
            // Photographs do not shrink in a file as drawings do.
            if png.len() <= BYTES || side <= LEAST {
                return Ok(Sprite { png: STANDARD.encode(png), ..sprite });
            }
            let fitting = side as f64 * (BYTES as f64 / png.len() as f64).sqrt();
            side = (fitting as usize).clamp(LEAST, side - 1);
        }
    }

    /// The PNG file of tiles whose longer side is at most `side`, and its measures.
    fn sheet(&self, side: usize) -> (Vec<u8>, Sprite) {
        let [height, width, channels] = self.shape;
        let scaled = |length: usize| (length * side / height.max(width).max(side)).max(1);
        let (tile_height, tile_width) = (scaled(height), scaled(width));
        let columns = COLUMNS.min(self.images.len().max(1));
        let size = [columns * tile_width, self.images.len().div_ceil(columns).max(1) * tile_height];
        let [sheet_width, sheet_height] = size.map(|length| length as u32);
        let mut sheet = match channels {
            3 => DynamicImage::new_rgb8(sheet_width, sheet_height),
            _ => DynamicImage::new_luma8(sheet_width, sheet_height),
        };
        for (at, image) in self.images.iter().enumerate() {
            let tile = picture(image, [height, width, channels]);
            let tile = if (tile_height, tile_width) == (height, width) {
                tile
            } else {
                tile.resize_exact(tile_width as u32, tile_height as u32, FilterType::Triangle)
            };
            let (x, y) = (at % columns * tile_width, at / columns * tile_height);
            imageops::replace(&mut sheet, &tile, x as i64, y as i64);
        }
        let mut png = Cursor::new(Vec::new());
        sheet.write_to(&mut png, ImageFormat::Png).expect("memory takes any image");
        let sprite =
            Sprite { png: String::new(), tiles: self.images.len(), columns, width: tile_width, height: tile_height };
        (png.into_inner(), sprite)
    }
}

fn picture(image: &[u8], [height, width, channels]: [usize; 3]) -> DynamicImage {
    let (w, h) = (width as u32, height as u32);
    let picture = match channels {
        3 => RgbImage::from_raw(w, h, image.to_vec()).map(DynamicImage::from),
        _ => {
            let grey = image.iter().step_by(channels).copied().collect();
            GrayImage::from_raw(w, h, grey).map(DynamicImage::from)
        }
    };
    picture.expect("an image of its shape")
}
