//! Embeddings as files: NumPy, CSV, Parquet, and the folder that TensorBoard's projector opens.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use half::f16;
use image::{DynamicImage, ImageFormat, RgbImage, imageops};
use npyz::WriterBuilder;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArrayType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::eval::{Embedded, map_at_r};
use crate::output::{Draft, Kind, Output};
use crate::text::plain;

/// How many bits a value takes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits, as computed.
    F32,
    /// 16 bits, rounded to nearest.
    F16,
    /// 8 bits: a whole number from -127 to 127, times one scale for the whole file; of a [shard](crate::bulk), for each
    /// of its row groups.
    I8,
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Precision, String> {
        match text {
            "f32" => Ok(Precision::F32),
            "f16" => Ok(Precision::F16),
            "i8" => Ok(Precision::I8),
            _ => Err(format!("`{text}` is none of f32, f16, i8")),
        }
    }
}

/// Embeddings with what is known of their images.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// `[rows, dims]`.
    pub values: Vec<f32>,
    /// Values of a row.
    pub dims: usize,
    /// What each image is called.
    pub names: Vec<String>,
    /// The class of each image; empty where there are none.
    pub classes: Vec<String>,
    /// Fingerprint of the model, see [`Checkpoint::fingerprint`](crate::checkpoint::Checkpoint::fingerprint).
    pub model: String,
}

/// What rounding costs, over the rows that [`Vectors::loss`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// Largest change of a value.
    pub max_error: f32,
    /// MAP@R before and after, where classes are known and one has two images; see [`map_at_r`].
    pub map_at_r: Option<[f64; 2]>,
}

/// Rows that [`Vectors::loss`] looks at, at most.
const MOST_ROWS: usize = 10_000;
/// Rows of a row group of a Parquet file.
pub(crate) const GROUP: usize = 10_000;
/// Most pixels along a side of a sprite.
const SPRITE: u32 = 8192;

/// The file beside an .npy that says what is in it.
#[derive(Serialize)]
struct Sidecar<'a> {
    model: &'a str,
    dims: usize,
    precision: Precision,
    scale: f32,
    names: &'a [String],
    classes: &'a [String],
}

impl Vectors {
    fn rows(&self) -> usize {
        self.names.len()
    }

    /// What a stored number is multiplied with to give a value back: of 8 bits the largest absolute value / 127,
    /// else 1.
    pub fn scale(&self, precision: Precision) -> f32 {
        match precision {
            Precision::I8 => self.values.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs())) / 127.0,
            Precision::F32 | Precision::F16 => 1.0,
        }
    }

    /// The whole numbers of 8 bits.
    fn bytes(&self) -> impl Iterator<Item = i8> {
        bytes_of(&self.values, self.scale(Precision::I8))
    }

    /// The values as a file of this precision gives them back.
    pub fn rounded(&self, precision: Precision) -> Vec<f32> {
        let scale = self.scale(precision);
        match precision {
            Precision::F32 => self.values.clone(),
            Precision::F16 => self.values.iter().map(|&value| f16::from_f32(value).to_f32()).collect(),
            Precision::I8 => self.bytes().map(|byte| f32::from(byte) * scale).collect(),
        }
    }

    /// What rounding costs, measured on these vectors; on 10,000 of them, evenly taken, where there are more.
    pub fn loss(&self, precision: Precision) -> Loss {
        let rounded = self.rounded(precision);
        let errors = self.values.iter().zip(&rounded).map(|(a, b)| (a - b).abs());
        let max_error = errors.fold(0.0, f32::max);
        let taken: Vec<usize> = (0..self.rows()).step_by(self.rows().div_ceil(MOST_ROWS).max(1)).collect();
        let map_at_r = (!self.classes.is_empty()).then(|| {
            let mut known: Vec<&String> = self.classes.iter().collect();
            known.sort();
            known.dedup();
            let label = |&row: &usize| known.partition_point(|&class| *class < self.classes[row]) as u32;
            let labels: Vec<u32> = taken.iter().map(label).collect();
            let quality = |values: &[f32]| {
                let values: Vec<f32> =
                    taken.iter().flat_map(|row| &values[row * self.dims..][..self.dims]).copied().collect();
                map_at_r(Embedded { values: &values, dims: self.dims, labels: &labels })
            };
            Some([quality(&self.values)?, quality(&rounded)?])
        });
        let map_at_r = map_at_r.flatten();
        Loss { max_error, map_at_r }
    }

    /// Writes them where and as `destination` says; `images` are shown by TensorBoard's projector.
    ///
    /// # Errors
    /// [`Error::Io`] naming the path; files that were there are then whole.
    pub fn write(&self, destination: Destination, precision: Precision, images: &Dataset) -> Result<()> {
        match destination {
            Destination::Npy { values, sidecar } => self.write_npy(values, sidecar, precision),
            Destination::Csv(file) => file.fill(|file| self.csv(file, precision)),
            Destination::Parquet(file) => file.fill(|file| self.parquet(file, precision)),
            Destination::Projector(files) => self.write_projector(files, precision, images),
        }
    }

    fn write_npy(&self, values: Output, sidecar: Output, precision: Precision) -> Result<()> {
        let shape = [self.rows() as u64, self.dims as u64];
        let values = values.draft(|file| match precision {
            Precision::F32 => npy(file, &shape, self.values.iter().copied()),
            Precision::F16 => npy(file, &shape, self.values.iter().map(|&value| f16::from_f32(value))),
            Precision::I8 => npy(file, &shape, self.bytes()),
        })?;
        let text = serde_json::to_vec_pretty(&Sidecar {
            model: &self.model,
            dims: self.dims,
            precision,
            scale: self.scale(precision),
            names: &self.names,
            classes: &self.classes,
        });
        let sidecar = sidecar.draft(|file| file.write_all(&text.expect("plain data")))?;
        // Both are on the disk before one of them replaces what belongs to the other.
        sidecar.publish()?;
        values.publish()
    }

    /// The class of a row, empty where there is none.
    fn class(&self, row: usize) -> &str {
        self.classes.get(row).map_or("", String::as_str)
    }

    fn csv(&self, file: &mut File, precision: Precision) -> io::Result<()> {
        let mut table = csv::Writer::from_writer(file);
        let heads = (0..self.dims).map(|dim| format!("e{dim}"));
        table.write_record(["name".to_owned(), "class".to_owned()].into_iter().chain(heads))?;
        for (row, values) in self.rounded(precision).chunks_exact(self.dims).enumerate() {
            let words = [self.names[row].clone(), self.class(row).to_owned()];
            table.write_record(words.into_iter().chain(values.iter().map(f32::to_string)))?;
        }
        table.flush()
    }

    fn parquet(&self, file: &mut File, precision: Precision) -> io::Result<()> {
        // Once: it looks at all values.
        let scale = self.scale(precision);
        let mut table = Table::begin(file, &self.model, self.dims, precision)?;
        for start in (0..self.rows()).step_by(GROUP) {
            table.group(self, start..(start + GROUP).min(self.rows()), scale)?;
        }
        table.end().map(drop)
    }

    fn write_projector(&self, files: [Output; 4], precision: Precision, images: &Dataset) -> Result<()> {
        let [vectors, metadata, picture, config] = files;
        let vectors = vectors.draft(|file| {
            let mut file = BufWriter::new(file);
            for row in self.rounded(precision).chunks_exact(self.dims) {
                let cells: Vec<String> = row.iter().map(f32::to_string).collect();
                writeln!(file, "{}", cells.join("\t"))?;
            }
            file.flush()
        })?;
        // The projector splits at tabs and line breaks, and knows no quotes.
        let metadata = metadata.draft(|file| {
            let mut file = BufWriter::new(file);
            write!(file, "{METADATA_HEAD}")?;
            for (row, name) in self.names.iter().enumerate() {
                writeln!(file, "{}\t{}", plain(name), plain(self.class(row)))?;
            }
            file.flush()
        })?;
        let (sprite, side) = sprite(images)?;
        let mut png = io::Cursor::new(Vec::new());
        sprite.write_to(&mut png, ImageFormat::Png).expect("memory takes a picture");
        let picture = picture.draft(|file| file.write_all(&png.into_inner()))?;
        let config = config.draft(|file| {
            write!(
                file,
                "{CONFIG_HEAD}  tensor_name: \"embeddings\"\n  tensor_path: \"vectors.tsv\"\n  metadata_path: \
                 \"metadata.tsv\"\n  sprite {{\n    image_path: \"sprite.png\"\n    single_image_dim: {side}\n    \
                 single_image_dim: {side}\n  }}\n}}\n"
            )
        })?;
        [vectors, metadata, picture, config].into_iter().try_for_each(Draft::publish)
    }
}

/// A Parquet file that is written a group of rows at a time: name, class and embedding; 8-bit integers have a column
/// `scale` too. The metadata name the model.
pub(crate) struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    precision: Precision,
}

impl<W: Write + Send> Table<W> {
    /// Begins a file without rows.
    pub(crate) fn begin(file: W, model: &str, dims: usize, precision: Precision) -> io::Result<Table<W>> {
        let (element, factor) = match precision {
            Precision::F32 => ("float element", ""),
            Precision::F16 => ("fixed_len_byte_array (2) element (FLOAT16)", ""),
            Precision::I8 => ("int32 element (INTEGER(8,true))", "required float scale;"),
        };
        let schema = format!(
            "message embeddings {{ required binary name (UTF8); required binary class (UTF8); required group embedding \
             (LIST) {{ repeated group list {{ required {element}; }} }} {factor} }}"
        );
        let schema = Arc::new(parse_message_type(&schema).expect("a schema of our own"));
        let entry = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
        let metadata = vec![entry("siamese.model", model.to_owned()), entry("siamese.dims", dims.to_string())];
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_key_value_metadata(Some(metadata))
            .build();
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(parquet_fault)?;
        Ok(Table { writer, precision })
    }

    /// Writes some of the rows of `vectors`; `scale` is what their numbers of 8 bits are multiplied with.
    pub(crate) fn group(&mut self, vectors: &Vectors, rows: Range<usize>, scale: f32) -> io::Result<()> {
        self.columns(vectors, rows, scale).map_err(parquet_fault)
    }

    fn columns(&mut self, vectors: &Vectors, rows: Range<usize>, scale: f32) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        let values = &vectors.values[rows.start * vectors.dims..rows.end * vectors.dims];
        // Every element is there; the first of a row begins a new list.
        let definition = vec![1; values.len()];
        let repetition: Vec<i16> = (0..values.len()).map(|place| i16::from(place % vectors.dims != 0)).collect();
        let (definition, repetition) = (Some(definition.as_slice()), Some(repetition.as_slice()));
        let mut place = 0;
        while let Some(mut column) = group.next_column()? {
            match (place, self.precision) {
                (0, _) => {
                    let names: Vec<ByteArray> = rows.clone().map(|row| vectors.names[row].as_str().into()).collect();
                    column.typed::<ByteArrayType>().write_batch(&names, None, None)?;
                }
                (1, _) => {
                    let classes: Vec<ByteArray> = rows.clone().map(|row| vectors.class(row).into()).collect();
                    column.typed::<ByteArrayType>().write_batch(&classes, None, None)?;
                }
                (2, Precision::F32) => {
                    column.typed::<FloatType>().write_batch(values, definition, repetition)?;
                }
                (2, Precision::F16) => {
                    let halves = values.iter().map(|&value| f16::from_f32(value));
                    let halves: Vec<_> =
                        halves.map(|value| ByteArray::from(value.to_le_bytes().to_vec()).into()).collect();
                    column.typed::<FixedLenByteArrayType>().write_batch(&halves, definition, repetition)?;
                }
                (2, Precision::I8) => {
                    let bytes: Vec<i32> = bytes_of(values, scale).map(i32::from).collect();
                    column.typed::<Int32Type>().write_batch(&bytes, definition, repetition)?;
                }
                _ => {
                    let scales = vec![scale; rows.len()];
                    column.typed::<FloatType>().write_batch(&scales, None, None)?;
                }
            }
            column.close()?;
            place += 1;
        }
        group.close().map(drop)
    }

    /// Ends the file, and gives it back.
    pub(crate) fn end(self) -> io::Result<W> {
        self.writer.into_inner().map_err(parquet_fault)
    }
}

/// Values as whole numbers of 8 bits.
fn bytes_of(values: &[f32], scale: f32) -> impl Iterator<Item = i8> {
    values.iter().map(move |value| (value / scale).round() as i8)
}

fn npy<T: npyz::AutoSerialize>(file: &mut File, shape: &[u64], values: impl Iterator<Item = T>) -> io::Result<()> {
    let file = BufWriter::new(file);
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd()?;
    writer.extend(values)?;
    writer.finish()
}

fn parquet_fault(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}

/// Images in a square, row after row, and the side of each in pixels: smaller where they are too many.
fn sprite(images: &Dataset) -> Result<(DynamicImage, u32)> {
    let across = (images.len() as f64).sqrt().ceil().max(1.0) as u32;
    let side = (images.height.max(images.width) as u32).min(SPRITE / across).max(1);
    let mut sprite = RgbImage::new(across * side, across * side);
    for row in 0..images.len() {
        let values = images.image(row)?;
        let pixel = |x: u32, y: u32| {
            let at = (y as usize * images.width + x as usize) * images.channels;
            let channel = |c: usize| values[at + c.min(images.channels - 1)];
            image::Rgb([channel(0), channel(1), channel(2)])
        };
        let own = RgbImage::from_fn(images.width as u32, images.height as u32, pixel);
        let tile = imageops::resize(&own, side, side, imageops::FilterType::Triangle);
        let (column, line) = (row as u32 % across, row as u32 / across);
        imageops::replace(&mut sprite, &tile, i64::from(column * side), i64::from(line * side));
    }
    Ok((sprite.into(), side))
}

/// How the names and classes of a projector begin.
const METADATA_HEAD: &str = "name\tclass\n";
/// How its configuration begins.
const CONFIG_HEAD: &str = "embeddings {\n";

const NPY: Kind = Kind { name: "a NumPy file", is: |head| head.starts_with(b"\x93NUMPY") };
const SIDECAR: Kind = Kind { name: "what belongs to a NumPy file", is: |head| head.starts_with(b"{\n  \"model\": ") };
const CSV: Kind = Kind { name: "a table of embeddings", is: |head| head.starts_with(b"name,class,e0") };
pub(crate) const PARQUET: Kind = Kind { name: "a Parquet file", is: |head| head.starts_with(b"PAR1") };
/// The files of a folder for TensorBoard's projector.
const PROJECTOR: [(&str, Kind); 4] = [
    ("vectors.tsv", Kind { name: "vectors of a projector", is: |head| head.iter().all(|byte| is_of_numbers(*byte)) }),
    (
        "metadata.tsv",
        Kind { name: "names and classes of a projector", is: |head| head.starts_with(METADATA_HEAD.as_bytes()) },
    ),
    ("sprite.png", Kind { name: "a PNG picture", is: |head| head.starts_with(b"\x89PNG") }),
    (
        "projector_config.pbtxt",
        Kind { name: "a projector's configuration", is: |head| head.starts_with(CONFIG_HEAD.as_bytes()) },
    ),
];

fn is_of_numbers(byte: u8) -> bool {
    byte.is_ascii_digit() || b"+-.eE\t\n".contains(&byte)
}

/// Where embeddings go, which is checked before they are made; the end of the path says in which format.
#[derive(Debug)]
pub enum Destination {
    /// `<name>.npy`, `[rows, dims]`, and beside it `<name>.npy.json` with names, classes, scale and the model.
    Npy {
        /// The numbers.
        values: Output,
        /// The rest.
        sidecar: Output,
    },
    /// `.csv`, a table: name, class, e0, e1, …; the values as they are after rounding.
    Csv(Output),
    /// `.parquet`, with the columns name, class (empty where there is none) and embedding, a list of floats of 32 or 16
    /// bits, or of 8-bit integers; those with a column `scale`. Its metadata name the model.
    Parquet(Output),
    /// No ending: the folder that `tensorboard --logdir FOLDER` shows in its projector. Vectors, names and classes, the
    /// images in a square sprite, and the configuration that names them.
    Projector([Output; 4]),
}

impl Destination {
    /// Checks a path.
    ///
    /// # Errors
    /// [`Error::Config`] with the endings there are; as [`Output::prepare`] where a file cannot be written.
    pub fn prepare(path: &Path) -> Result<Destination> {
        Ok(match path.extension().and_then(|ending| ending.to_str()) {
            Some("npy") => {
                let mut sidecar = path.as_os_str().to_owned();
                sidecar.push(".json");
                let sidecar = Output::prepare(Path::new(&sidecar), SIDECAR)?;
                Destination::Npy { values: Output::prepare(path, NPY)?, sidecar }
            }
            Some("csv") => Destination::Csv(Output::prepare(path, CSV)?),
            Some("parquet") => Destination::Parquet(Output::prepare(path, PARQUET)?),
            None => {
                std::fs::create_dir_all(path).map_err(Error::io("make folder", path))?;
                let [vectors, metadata, sprite, config] =
                    PROJECTOR.map(|(name, kind)| Output::prepare(&path.join(name), kind));
                Destination::Projector([vectors?, metadata?, sprite?, config?])
            }
            Some(_) => {
                let reason = format!(
                    "{} ends in none of .npy, .csv, .parquet; without an ending it is a folder for TensorBoard's \
                     projector",
                    path.display()
                );
                return Err(Error::config("--out", reason));
            }
        })
    }
}
