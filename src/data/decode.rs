//! Files of pictures as pixels, whole and within limits.
//!
//! A file's head says how large its picture is, and what is too large is refused before a pixel of it is decoded: a few
//! hundred bytes can announce, and unpack to, gigabytes. What several threads decode at a time is bounded together.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::store::read_exact_at;
use crate::error::{Error, Result};

/// Most rows or columns of a picture.
pub const MOST_SIDE: u32 = 1 << 15;
/// Most pixels of a picture: 64 Mi, as 8192 × 8192.
pub const MOST_PIXELS: u64 = 1 << 26;
/// Most bytes of a picture unpacked.
pub const MOST_BYTES: u64 = 1 << 29;

/// Bytes that all pictures may take that are being decoded. The largest takes them all: turning it needs a second one.
static MEMORY: Budget = Budget::new(2 * MOST_BYTES);

/// Bytes that threads share: one that asks for more than are free waits until others have given theirs back.
#[derive(Debug)]
pub struct Budget {
    free: Mutex<u64>,
    given_back: Condvar,
}

/// Bytes taken of a [`Budget`], until they are dropped.
#[derive(Debug)]
pub struct Share<'a> {
    of: &'a Budget,
    bytes: u64,
}

impl Budget {
    /// So many bytes, all free.
    pub const fn new(bytes: u64) -> Budget {
        Budget { free: Mutex::new(bytes), given_back: Condvar::new() }
    }

    /// Takes bytes, as soon as so many are free: at most those that there are at all, or it waits for ever.
    pub fn take(&self, bytes: u64) -> Share<'_> {
        let free = self.free.lock().expect("nobody panics while holding it");
        let mut free = self.given_back.wait_while(free, |free| *free < bytes).expect("nobody panics while holding it");
        *free -= bytes;
        Share { of: self, bytes }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.of.free.lock().expect("nobody panics while holding it") += self.bytes;
        self.of.given_back.notify_all();
    }
}

/// A picture as it is stored: a file, or bytes out of one. A path makes the former.
#[derive(Clone, Copy, Debug)]
pub enum Encoded<'a> {
    /// A file of its own.
    File(&'a Path),
    /// What is in memory already.
    Bytes {
        /// What errors call it, such as `faces-0003.tar/anna/1.jpg`.
        name: &'a Path,
        /// All of the picture, as a file would have it.
        bytes: &'a [u8],
    },
}

impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for Encoded<'a> {
    fn from(path: &'a P) -> Encoded<'a> {
        Encoded::File(path.as_ref())
    }
}

/// Where a picture is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its file; of a part of an archive the path of the archive with that of the part behind it.
    pub path: PathBuf,
    /// Where it lies in an archive, if it does.
    pub within: Option<Within>,
}

/// A part of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// The archive.
    pub archive: Arc<Path>,
    /// Its first byte.
    pub start: u64,
    /// How many it has.
    pub bytes: u64,
}

impl From<PathBuf> for Stored {
    fn from(path: PathBuf) -> Stored {
        Stored { path, within: None }
    }
}

impl Stored {
    /// How many bytes it has, as it is stored.
    ///
    /// # Errors
    /// [`Error::Io`] where the file is not there.
    pub fn size(&self) -> Result<u64> {
        match &self.within {
            Some(within) => Ok(within.bytes),
            None => fs::metadata(&self.path).map(|file| file.len()).map_err(Error::io("read", &self.path)),
        }
    }

    /// Gives the picture, as it is stored, to `take`.
    ///
    /// # Errors
    /// [`Error::Data`] where it is larger than a picture may be; [`Error::Io`] where it cannot be read; what `take`
    /// answers.
    pub fn encoded<T>(&self, take: impl FnOnce(Encoded) -> Result<T>) -> Result<T> {
        let Some(Within { archive, start, bytes }) = &self.within else { return take(Encoded::File(&self.path)) };
        if *bytes > MOST_BYTES {
            return Err(fault(&self.path, format!("{bytes} bytes; a picture may have {MOST_BYTES}")));
        }
        let file = File::open(archive).map_err(Error::io("read", archive))?;
        let mut picture = vec![0; *bytes as usize];
        read_exact_at(&file, &mut picture, *start).map_err(Error::io("read", &self.path))?;
        take(Encoded::Bytes { name: &self.path, bytes: &picture })
    }
}

/// What decoders read from.
trait Source: BufRead + Seek {}

impl<S: BufRead + Seek> Source for S {}

impl<'a> Encoded<'a> {
    /// What errors call it.
    fn name(self) -> &'a Path {
        match self {
            Encoded::File(path) => path,
            Encoded::Bytes { name, .. } => name,
        }
    }

    /// Its bytes, to be read from the first, and how many there are.
    fn source(self) -> Result<(Box<dyn Source + 'a>, u64)> {
        match self {
            Encoded::File(path) => {
                let file = File::open(path).map_err(|error| match error.kind() {
                    ErrorKind::NotFound => Error::data(path, "nothing there", "a picture"),
                    _ => Error::io("read", path)(error),
                })?;
                let length = file.metadata().map_err(Error::io("read", path))?.len();
                Ok((Box::new(BufReader::new(file)), length))
            }
            Encoded::Bytes { bytes, .. } => Ok((Box::new(Cursor::new(bytes)), bytes.len() as u64)),
        }
    }

    /// All of its bytes.
    ///
    /// # Errors
    /// [`Error::Io`] where a file cannot be read.
    pub fn bytes(self) -> Result<Cow<'a, [u8]>> {
        match self {
            Encoded::File(path) => Ok(fs::read(path).map_err(Error::io("read", path))?.into()),
            Encoded::Bytes { bytes, .. } => Ok(bytes.into()),
        }
    }
}

fn fault(path: &Path, reason: impl ToString) -> Error {
    Error::data(
        path,
        format!("a picture that cannot be used ({})", reason.to_string()),
        "a whole PNG, JPEG, BMP, GIF, WebP, TIFF or PNM file",
    )
}

/// A picture of which only the head is read, which is within the limits.
struct Head<'a> {
    /// What it is by its content.
    format: Option<ImageFormat>,
    decoder: Box<dyn ImageDecoder + 'a>,
}

fn open(picture: Encoded<'_>) -> Result<Head<'_>> {
    let path = picture.name();
    let (source, length) = picture.source()?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_BYTES);
    let mut reader = ImageReader::new(source).with_guessed_format().map_err(Error::io("read", path))?;
    reader.limits(limits);
    let format = reader.format();
    // Such a file is read whole.
    if format == Some(ImageFormat::Jpeg) && length > MOST_BYTES {
        return Err(fault(path, format!("{length} bytes; a JPEG file may have {MOST_BYTES}")));
    }
    let decoder: Box<dyn ImageDecoder + '_> = Box::new(reader.into_decoder().map_err(|error| fault(path, error))?);
    let (width, height) = decoder.dimensions();
    let (pixels, bytes) = (u64::from(width) * u64::from(height), decoder.total_bytes());
    let reason = if pixels == 0 {
        format!("{width} × {height} pixels are none")
    } else if pixels > MOST_PIXELS {
        format!("{width} × {height} pixels are more than the {MOST_PIXELS} that a picture may have")
    } else if width.max(height) > MOST_SIDE {
        format!("of {width} × {height} pixels one side is longer than the {MOST_SIDE} that it may be")
    } else if bytes > MOST_BYTES {
        format!("unpacked it has {bytes} bytes, more than the {MOST_BYTES} that a picture may have")
    } else {
        return Ok(Head { format, decoder });
    };
    Err(fault(path, reason))
}

/// Height, width and channels of a picture, upright, as its file's head says: 3 channels where it has colour.
///
/// # Errors
/// [`Error::Data`] naming the picture where it is missing, none or one without a pixel, or beyond [`MOST_PIXELS`],
/// [`MOST_SIDE`] or [`MOST_BYTES`].
pub fn shape<'a>(picture: impl Into<Encoded<'a>>) -> Result<[usize; 3]> {
    let mut decoder = open(picture.into())?.decoder;
    let (width, height) = decoder.dimensions();
    let turned = matches!(
        orientation(&mut *decoder),
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    let [height, width] = if turned { [width, height] } else { [height, width] };
    Ok([height as usize, width as usize, if decoder.color_type().has_color() { 3 } else { 1 }])
}

/// What the EXIF note says. A file without one, or with a broken one, is taken to be upright.
fn orientation(decoder: &mut dyn ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

/// Decodes a picture, turned as its EXIF note says, and gives it to `take`. One that is large waits until others are
/// done with.
///
/// # Errors
/// As [`shape`]; and for a file that is broken or ends too early.
pub fn upright<'a, T>(encoded: impl Into<Encoded<'a>>, take: impl FnOnce(DynamicImage) -> T) -> Result<T> {
    let encoded = encoded.into();
    let Head { format, mut decoder } = open(encoded)?;
    let _memory = MEMORY.take(2 * decoder.total_bytes());
    let orientation = orientation(&mut *decoder);
    let mut picture = if format == Some(ImageFormat::Jpeg) {
        drop(decoder);
        jpeg(encoded)?
    } else {
        DynamicImage::from_decoder(decoder).map_err(|error| fault(encoded.name(), error))?
    };
    picture.apply_orientation(orientation);
    Ok(take(picture))
}

/// A JPEG file's picture. `image` itself fills with grey what a broken file lacks, and calls that a picture. One thing
/// does not show: a file that was cut off and then closed by an end-of-image marker. Decoding at a fraction of the size
/// would gain little: the jpeg-decoder crate at a quarter takes nine tenths of the time that this takes for the whole.
fn jpeg(encoded: Encoded<'_>) -> Result<DynamicImage> {
    let path = encoded.name();
    let bytes = encoded.bytes()?;
    let bytes = segments(&bytes).ok_or_else(|| fault(path, "it ends before the end of its image"))?;
    let side = MOST_SIDE as usize;
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(side).set_max_height(side);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes), options);
    decoder.decode_headers().map_err(|error| fault(path, error))?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let space = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(space));
    let values = decoder.decode().map_err(|error| fault(path, error))?;
    let (width, height) = decoder.dimensions().expect("the head is read");
    let (width, height) = (width as u32, height as u32);
    let picture = if grey {
        GrayImage::from_raw(width, height, values).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, values).map(DynamicImage::from)
    };
    picture.ok_or_else(|| fault(path, "it has fewer pixels than its head says"))
}

/// What a JPEG file holds up to the end-of-image marker, segment by segment (ITU-T T.81, annex B); `None` where that
/// marker does not come. What some cameras write between segments and behind the image stays out, since the strict
/// decoder takes it for a fault.
fn segments(bytes: &[u8]) -> Option<Vec<u8>> {
    const RESTART_0: u8 = 0xd0;
    const RESTART_7: u8 = 0xd7;
    const END: u8 = 0xd9;
    const SCAN: u8 = 0xda;
    // The first place of a marker that `is` wanted: 0xff and a byte that is neither 0 nor 0xff.
    let marker = |from: usize, is: fn(u8) -> bool| {
        let pairs = bytes.get(from..)?.windows(2);
        let mut markers = pairs.enumerate().filter(|(_, pair)| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff));
        markers.find(|(_, pair)| is(pair[1])).map(|(place, _)| from + place)
    };
    let mut kept = Vec::with_capacity(bytes.len());
    let mut place = 0;
    loop {
        let start = marker(place, |_| true)?;
        let kind = bytes[start + 1];
        let mut end = start + 2;
        // Restarts, start and end of an image stand alone.
        if !matches!(kind, RESTART_0..=END) {
            let length = bytes.get(end..)?.first_chunk()?;
            end += usize::from(u16::from_be_bytes(*length));
        }
        if kind == SCAN {
            end = marker(end, |kind| !matches!(kind, RESTART_0..=RESTART_7))?;
        }
        kept.extend(bytes.get(start..end)?);
        if kind == END {
            return Some(kept);
        }
        place = end;
    }
}
