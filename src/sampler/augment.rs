//! How the images of a batch are changed: amounts, and what is drawn of them.

use std::f64::consts::TAU;
use std::str::FromStr;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::settings::{self, Range, Setting, Text};

/// [`Augment`] of its amounts, each with what it may be and what it does in a few words. Older checkpoints have the
/// first five alone, so the others may be left out, and are where they are 0.
macro_rules! amounts {
    ($($(#[$attribute:meta])* $name:ident in $low:literal..$high:literal, $about:literal;)*) => {
        /// How far an image may be changed on its way into a batch: every amount is drawn uniformly from zero to its
        /// bound, to either side, but for those that are probabilities. All zero: images stay as they are.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Augment {
            $($(#[$attribute])* pub $name: f32,)*
        }

        impl Augment {
            /// Images as they are.
            pub const NONE: Augment = Augment { $($name: 0.0),* };

            /// The amounts as a text sets them.
            pub const SETTINGS: &[Setting] = &[$(Setting {
                name: stringify!($name),
                default: 0.0,
                range: Range::Within($low, $high),
                about: $about,
            }),*];

            /// Checks the amounts.
            ///
            /// # Errors
            /// [`Error::Config`] naming the amount and its range.
            pub fn validate(&self) -> Result<()> {
                settings::check("--augment", Augment::SETTINGS, [$(self.$name),*])
            }

            /// Takes the amounts that are given.
            fn take(&mut self, given: &settings::Settings) {
                $(self.$name = given.given(stringify!($name)).unwrap_or(self.$name);)*
            }
        }
    };
}

amounts! {
    /// Shift to each side, in pixels.
    shift in 0.0..1e3, "how far to each side, in pixels";
    /// Turn about the centre, in degrees.
    rotate in 0.0..180.0, "how far to each side, in degrees";
    /// Change of height and of width, as a share; the two are drawn apart.
    scale in 0.0..0.9, "change of height and of width, as shares";
    /// Shear, in pixels of width a pixel of height.
    shear in 0.0..10.0, "pixels of width a pixel of height";
    /// Displacement of the control points of an elastic distortion, in pixels, to each side. The points lie a quarter
    /// of the image apart and are joined by cubic B-splines: the smooth random fields of Simard, Steinkraus & Platt
    /// 2003 with a deviation of 0.58 times the points' distance.
    elastic in 0.0..1e3, "how far the control points of a distortion go, in pixels";
    /// Probability that left and right are exchanged.
    #[serde(default, skip_serializing_if = "is_zero")]
    flip in 0.0..1.0, "probability that left and right are exchanged";
    /// Share of the area that may be cut away: what is left, a rectangle of the image's proportions or up to 4:3 wider
    /// or higher, fills the image (Szegedy et al. 2015, *Going Deeper with Convolutions*, section 6; torchvision's
    /// `RandomResizedCrop`).
    #[serde(default, skip_serializing_if = "is_zero")]
    crop in 0.0..0.95, "share of the area cut away, what is left filling the image";
    /// Change of the factor on all bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    brightness in 0.0..1.0, "change of the factor on all bytes";
    /// Change of the factor on distances from middle grey.
    #[serde(default, skip_serializing_if = "is_zero")]
    contrast in 0.0..1.0, "change of the factor on distances from middle grey";
    /// Change of the factor on distances from the grey of the same luminance. Of images of one channel nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    saturation in 0.0..1.0, "of images in colour: change of the factor on distances from grey";
    /// Turn of the hues, as a share of the circle. Of images of one channel nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    hue in 0.0..0.5, "of images in colour: turn of the hues, as a share of the circle";
    /// Probability that an image in colour becomes grey.
    #[serde(default, skip_serializing_if = "is_zero")]
    grey in 0.0..1.0, "probability that an image in colour becomes grey";
    /// Probability that a rectangle of 2 to 33 % of the area is blanked (Zhong et al. 2020, *Random Erasing Data
    /// Augmentation*; the sizes are torchvision's).
    #[serde(default, skip_serializing_if = "is_zero")]
    erase in 0.0..1.0, "probability that a rectangle of 2 to 33 % of the area is blanked";
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(amount: &f32) -> bool {
    *amount == 0.0
}

/// Names of amounts that belong together, and the amounts.
const WORDS: [(&str, Augment); 4] = [
    ("none", Augment::NONE),
    ("affine", Augment::AFFINE),
    ("elastic", Augment::ELASTIC),
    ("pictures", Augment::PICTURES),
];

impl Augment {
    /// Moved, turned, scaled and sheared as handwriting is.
    pub const AFFINE: Augment = Augment { shift: 1.0, rotate: 8.0, scale: 0.08, shear: 0.08, ..Augment::NONE };
    /// The same, and bent.
    pub const ELASTIC: Augment = Augment { elastic: 2.0, ..Augment::AFFINE };
    /// Turned, cut, mirrored, lit and hidden in part as what pictures show is.
    pub const PICTURES: Augment = Augment {
        rotate: 10.0,
        shear: 0.1,
        flip: 0.5,
        crop: 0.3,
        brightness: 0.2,
        contrast: 0.2,
        saturation: 0.2,
        hue: 0.02,
        erase: 0.25,
        ..Augment::NONE
    };

    /// Whether pixels are taken from other places than their own.
    pub fn moves(&self) -> bool {
        let Augment { shift, rotate, scale, shear, elastic, flip, crop, .. } = *self;
        [shift, rotate, scale, shear, elastic, flip, crop].into_iter().any(|amount| amount != 0.0)
    }

    /// Whether values become others where they are.
    pub fn tints(&self) -> bool {
        let Augment { brightness, contrast, saturation, hue, grey, erase, .. } = *self;
        [brightness, contrast, saturation, hue, grey, erase].into_iter().any(|amount| amount != 0.0)
    }

    /// How the `rows` images of a step's batch, of so many rows and columns, are changed. What is drawn for a row
    /// depends on nothing but seed, step, row, and its amount.
    pub(super) fn draw(&self, seed: u64, step: u64, rows: usize, sides: [usize; 2]) -> Warps {
        // The streams below 2⁶¹ belong to the batches. Each of these has one of its own, so that no amount takes the
        // numbers of others.
        let [mut places, mut cuts, mut tints] = [4, 6, 7].map(|eighth| Draw::new(seed, step | eighth << 61));
        let mut warps = Warps::default();
        for _ in 0..rows {
            let (map, key) = (self.map(&mut places), places.0.next_u32());
            let map = if self.flip != 0.0 || self.crop != 0.0 { self.cut(map, &mut cuts, sides) } else { map };
            warps.maps.extend(map.map(|value| value as f32));
            warps.keys.push(key);
            if self.tints() {
                warps.colours.extend(self.colours(&mut tints).map(|value| value as f32));
                warps.blanks.extend(self.blank(&mut tints, sides));
            }
        }
        warps
    }

    /// Shifted, turned, scaled and sheared.
    fn map(&self, draw: &mut Draw) -> [f64; 6] {
        let [shift_x, shift_y] = [draw.amount(self.shift), draw.amount(self.shift)];
        let (sin, cos) = draw.amount(self.rotate).to_radians().sin_cos();
        let [width, height] = [1.0 + draw.amount(self.scale), 1.0 + draw.amount(self.scale)];
        let shear = draw.amount(self.shear);
        // Rotation × shear × scale.
        [cos * width, (cos * shear - sin) * height, shift_x, sin * width, (sin * shear + cos) * height, shift_y]
    }

    /// A map of which a rectangle is cut out and perhaps mirrored.
    fn cut(&self, map: [f64; 6], draw: &mut Draw, [height, width]: [usize; 2]) -> [f64; 6] {
        let mirrored = draw.happens(self.flip);
        let area = 1.0 - f64::from(self.crop) * draw.share();
        // No wider or higher than lies within the image.
        let proportions = ((4.0f64 / 3.0).ln().min(-area.ln()) * draw.side()).exp();
        let [wide, high] = [(area * proportions).sqrt(), (area / proportions).sqrt()];
        let [x, y] =
            [(width, wide), (height, high)].map(|(side, share)| draw.side() * (1.0 - share) * side as f64 / 2.0);
        let wide = if mirrored { -wide } else { wide };
        let [a, b, c, d, e, f] = map;
        [a * wide, b * high, a * x + b * y + c, d * wide, e * high, d * x + e * y + f]
    }

    /// See [`Warps::colours`].
    fn colours(&self, draw: &mut Draw) -> [f64; 12] {
        let [brightness, contrast, saturation] =
            [self.brightness, self.contrast, self.saturation].map(|bound| 1.0 + draw.amount(bound));
        let (sin, cos) = (TAU * draw.amount(self.hue)).sin_cos();
        let saturation = if draw.happens(self.grey) { 0.0 } else { saturation };
        let mut colours = [0.0; 12];
        for (row, colours) in colours.chunks_mut(4).enumerate() {
            for (column, colour) in colours[..3].iter_mut().enumerate() {
                let grey = LUMINANCE[column];
                let distance = if row == column { 1.0 - grey } else { -grey };
                *colour = brightness * contrast * (grey + saturation * (cos * distance + sin * TURNED[row][column]));
            }
            colours[3] = (1.0 - contrast) * 127.5;
        }
        colours
    }

    /// See [`Warps::blanks`].
    fn blank(&self, draw: &mut Draw, [height, width]: [usize; 2]) -> [f32; 4] {
        let happens = draw.happens(self.erase);
        let area = (0.02 + 0.31 * draw.share()) * (height * width) as f64;
        let proportions = (0.3f64.ln() * draw.side()).exp();
        let [wide, high] = [(area * proportions, width), (area / proportions, height)]
            .map(|(square, side)| square.sqrt().round().clamp(1.0, side as f64));
        let [left, top] =
            [(width, wide), (height, high)].map(|(side, blank)| (draw.share() * (side as f64 - blank + 1.0)).floor());
        if happens { [left, top, left + wide, top + high].map(|place| place as f32) } else { [0.0; 4] }
    }
}

/// Shares of red, green and blue in the luminance, as `feColorMatrix` has them (W3C, *Filter Effects Module Level 1*).
const LUMINANCE: [f64; 3] = [0.213, 0.715, 0.072];

/// What turns hues by a right angle in the same place, luminance left as it is.
const TURNED: [[f64; 3]; 3] = [[-0.213, -0.715, 0.928], [0.143, 0.140, -0.283], [-0.787, 0.715, 0.072]];

/// Random numbers of one stream. 24 bits are what an f32 holds exactly.
struct Draw(ChaCha8Rng);

impl Draw {
    fn new(seed: u64, stream: u64) -> Draw {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Draw(rng)
    }

    /// From -1 to below 1.
    fn side(&mut self) -> f64 {
        f64::from(self.0.next_u32() >> 8) / f64::from(1 << 23) - 1.0
    }

    /// From -bound to below bound.
    fn amount(&mut self, bound: f32) -> f64 {
        f64::from(bound) * self.side()
    }

    /// From 0 to below 1.
    fn share(&mut self) -> f64 {
        f64::from(self.0.next_u32() >> 8) / f64::from(1 << 24)
    }

    /// Whether something of this probability happens.
    fn happens(&mut self, probability: f32) -> bool {
        self.share() < f64::from(probability)
    }
}

impl FromStr for Augment {
    type Err = Error;

    /// `none`, `affine`, `elastic`, `pictures`; amounts such as `shift=2 rotate=10`, in place of those of such a word.
    fn from_str(text: &str) -> Result<Augment> {
        let text = Text::new("--augment", text);
        let word = text.word()?.unwrap_or("none");
        let found = WORDS.into_iter().find(|(name, _)| *name == word);
        let (_, mut augment) = found.ok_or_else(|| {
            let names = WORDS.map(|(name, _)| name).join(", ");
            text.fault(word, format!("there are {names}, and amounts such as shift=2 rotate=10"))
        })?;
        augment.take(&text.settings("augmentation", Augment::SETTINGS)?);
        augment.validate()?;
        Ok(augment)
    }
}

/// How the images of one batch are changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Warps {
    /// `[rows, 6]`: the map from a place of the new image to one of the old, both as (x, y) from the centre, in pixels:
    /// `x' = m0·x + m1·y + m2`, `y' = m3·x + m4·y + m5`.
    pub maps: Vec<f32>,
    /// `[rows]`: where the displacements of the elastic distortion come from, and what a dropout leaves out.
    pub keys: Vec<u32>,
    /// `[rows, 3, 4]`: the matrix from red, green, blue and 1 to new red, green and blue, in bytes. Greys stay grey.
    /// Empty where nothing [tints](Augment::tints).
    pub colours: Vec<f32>,
    /// `[rows, 4]`: left, top, right and bottom of a blanked rectangle in pixels, the latter two outside; four zeros
    /// where there is none. Empty as `colours` are.
    pub blanks: Vec<f32>,
}
