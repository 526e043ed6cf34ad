//! Weights of others: tensors by name from safetensors files, their names brought to ours by a map, and networks from
//! ONNX files. What a network makes of them is [`Checkpoint::import`](crate::checkpoint::Checkpoint::import).

pub mod onnx;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors};

use crate::error::{Error, Result};

/// Counts of batches that PyTorch's normalisations keep and nobody needs.
const COUNTER: &str = "num_batches_tracked";

/// An array in the layout of files.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Dimensions.
    pub dims: Vec<usize>,
    dtype: Dtype,
    bytes: Vec<u8>,
}

impl Tensor {
    /// An array of 32-bit numbers.
    pub fn new(dims: Vec<usize>, values: &[f32]) -> Tensor {
        Tensor { dims, dtype: Dtype::F32, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }

    /// Its numbers, rounded to 32 bits; or what it holds instead.
    pub fn values(&self) -> Result<Vec<f32>, String> {
        floats(self.dtype, &self.bytes)
    }
}

/// The numbers of a tensor, rounded to 32 bits; or what it holds instead of one of the four kinds of real numbers.
pub(crate) fn floats(dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, String> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|&word| value(word)).collect()
    }
    Ok(match dtype {
        Dtype::F16 => each(bytes, |word| f16::from_le_bytes(word).to_f32()),
        Dtype::BF16 => each(bytes, |word| bf16::from_le_bytes(word).to_f32()),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F64 => each(bytes, |word| f64::from_le_bytes(word) as f32),
        _ => return Err(format!("is {dtype:?}, expected F16, BF16, F32 or F64")),
    })
}

/// Tensors by the names that a network has for them.
#[derive(Clone, Debug)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
    /// What tensors are called in the file, where a map has brought their names to ours.
    theirs: Option<HashMap<String, String>>,
}

impl Weights {
    /// Of tensors that come from `path`.
    pub fn new(path: &Path, tensors: BTreeMap<String, Tensor>) -> Weights {
        Weights { path: path.to_owned(), tensors, theirs: None }
    }

    /// Reads a safetensors file. Counts of batches (`num_batches_tracked`) are left out.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Weights`] where it is no such file.
    pub fn read(path: &Path) -> Result<Weights> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| Error::Weights {
            path: path.to_owned(),
            reason: format!("not a whole safetensors file: {error}"),
        })?;
        let tensors = file.iter().filter(|(name, _)| !name.ends_with(COUNTER)).map(|(name, view)| {
            let tensor = Tensor { dims: view.shape().to_vec(), dtype: view.dtype(), bytes: view.data().to_vec() };
            (name.to_owned(), tensor)
        });
        Ok(Weights::new(path, tensors.collect()))
    }

    /// Brings the names to ours.
    ///
    /// # Errors
    /// [`Error::Weights`] naming a tensor that the map does not have.
    pub fn mapped(self, map: &Map) -> Result<Weights> {
        let ours: HashMap<_, _> = map.pairs.iter().map(|(ours, theirs)| (theirs, ours)).collect();
        let mut tensors = BTreeMap::new();
        for (name, tensor) in self.tensors {
            match ours.get(&name) {
                Some(own) if *own == NOTHING => {}
                Some(&own) => drop(tensors.insert(own.clone(), tensor)),
                None => {
                    let map = map.path.display();
                    let reason = format!(
                        "{map} has no line for tensor `{name}`; add `OURS = {name}`, or `{NOTHING} = {name}` to leave \
                         it out"
                    );
                    return Err(Error::Weights { path: self.path, reason });
                }
            }
        }
        let theirs = map.pairs.iter().filter(|(ours, _)| ours != NOTHING).cloned().collect();
        Ok(Weights { path: self.path, tensors, theirs: Some(theirs) })
    }

    /// The file that they come from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a map has brought the names to ours: it may have lines for layers that a network does not have.
    pub fn is_mapped(&self) -> bool {
        self.theirs.is_some()
    }

    /// The tensor of a name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A name in words, with that in the file where it is another.
    pub fn called(&self, name: &str) -> String {
        match self.theirs.as_ref().and_then(|theirs| theirs.get(name)) {
            Some(theirs) if theirs != name => format!("`{name}` (`{theirs}` in the file)"),
            _ => format!("`{name}`"),
        }
    }
}

/// What a map says of tensors that are to be left out.
const NOTHING: &str = "-";

/// Names of tensors: ours, and those that another program has for them.
#[derive(Clone, Debug)]
pub struct Map {
    path: PathBuf,
    pairs: Vec<(String, String)>,
}

impl Map {
    /// Reads lines `ours = theirs`, each name once. `- = theirs` leaves a tensor out; `#` begins a comment.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Config`] for `--map` naming the line at fault.
    pub fn read(path: &Path) -> Result<Map> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let (mut pairs, mut known) = (Vec::new(), HashSet::new());
        for (line, number) in text.lines().zip(1..) {
            let fault = |reason: &str| Error::config("--map", format!("{}:{number}: {reason}", path.display()));
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let pair = line.split_once('=').map(|(ours, theirs)| (ours.trim(), theirs.trim()));
            let Some((ours, theirs)) = pair.filter(|(ours, theirs)| !ours.is_empty() && !theirs.is_empty()) else {
                return Err(fault(&format!("`{line}` is not as in `conv1.weight = layer1.0.conv1.weight`")));
            };
            for (side, name) in [("ours", ours), ("theirs", theirs)] {
                if name != NOTHING && !known.insert((side, name.to_owned())) {
                    return Err(fault(&format!("`{name}` stands on two lines")));
                }
            }
            pairs.push((ours.to_owned(), theirs.to_owned()));
        }
        Ok(Map { path: path.to_owned(), pairs })
    }
}
