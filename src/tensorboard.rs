//! Event files for TensorBoard: a sequence of records, each with its length and checksums, that hold messages of
//! TensorFlow's `event.proto` and `summary.proto` as far as scalars need them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::error::{Error, Result};

/// One record.
#[derive(Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// The step that it belongs to.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// `brain.Event:2`, in the first record alone.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    /// What was measured.
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
}

/// Values of one step.
#[derive(Message)]
pub struct Summary {
    /// The values.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// One value.
#[derive(Message)]
pub struct Value {
    /// Its name, such as `train/loss`.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// The value.
    #[prost(float, tag = "2")]
    pub simple_value: f32,
}

/// A checksum as the format has it: CRC-32C, rotated and moved, so that a checksum of checksums is not weak.
pub fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// An event file that is being written.
pub struct TensorBoard {
    file: BufWriter<File>,
    path: PathBuf,
}

impl TensorBoard {
    /// Begins a file in a run folder. A resumed run begins another, and TensorBoard shows all of a folder.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn create(folder: &Path) -> Result<TensorBoard> {
        let begun = now();
        let path = folder.join(format!("events.out.tfevents.{:.0}.{}.siamese", begun.floor(), std::process::id()));
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        let mut board = TensorBoard { file: BufWriter::new(file), path };
        let file_version = Some("brain.Event:2".to_owned());
        board.write(&Event { wall_time: begun, step: 0, file_version, summary: None })?;
        Ok(board)
    }

    /// Writes the values of a step: tags and numbers.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn scalars<'a>(&mut self, step: u64, values: impl IntoIterator<Item = (&'a str, f64)>) -> Result<()> {
        let value = |(tag, value): (&str, f64)| Value { tag: tag.to_owned(), simple_value: value as f32 };
        let summary = Some(Summary { value: values.into_iter().map(value).collect() });
        self.write(&Event { wall_time: now(), step: step as i64, file_version: None, summary })
    }

    /// Brings to the disk what has been written.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(Error::io("write", &self.path))
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let data = event.encode_to_vec();
        let length = (data.len() as u64).to_le_bytes();
        let checks = [&length[..], &data].map(|bytes| masked_crc(bytes).to_le_bytes());
        let record = [&length[..], &checks[0], &data, &checks[1]].concat();
        self.file.write_all(&record).map_err(Error::io("write", &self.path))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
