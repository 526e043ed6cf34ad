//! Checkpoints: safetensors files with the parameters and states under the names and in the layouts that PyTorch
//! expects, the optimiser's moments, and in the metadata the configuration and the step.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::data::Origin;
use crate::error::{Error, Result};
use crate::head::{Head, Values};
use crate::import::{self, Weights, floats};
use crate::layers;
use crate::net::{self, Net, Parameter};
use crate::output::{self, Kind};
use crate::run::Runner;
use crate::siamese::slots;
use crate::text::hex;

/// A network with its weights, and what a resumed training needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// How it is trained.
    pub config: Config,
    /// Shape of an image, `[height, width, channels]`.
    pub input: [usize; 3],
    /// Steps done.
    pub step: u64,
    /// The arena of the parameters, in device order.
    pub parameters: Vec<f32>,
    /// The arena of their moving average, where the configuration has one; none in an export.
    pub average: Option<Vec<f32>>,
    /// The arena of the states, in device order; empty where the network has none.
    pub state: Vec<f32>,
    /// The arena of their moving average, beside that of the parameters; empty where there is none.
    pub average_state: Vec<f32>,
    /// The arenas of the moments; none in an export.
    pub moments: Option<[Vec<f32>; 2]>,
    /// What the loss keeps besides the network; none in an export, of a loss that keeps nothing, and before the first
    /// step.
    pub head: Option<Values>,
    /// How these weights did on the validation images, where that was looked at.
    pub validation: Option<f64>,
    /// The data set it is trained on; `None` for imported weights, and for files from before this was noted.
    pub origin: Option<Origin>,
}

/// Precision of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits, exact.
    F32,
    /// 16 bits, rounded to nearest.
    F16,
}

struct Tensor {
    dtype: Dtype,
    dims: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.dims
    }

    fn data(&self) -> Cow<'_, [u8]> {
        (&self.bytes).into()
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// What a file says of itself, as JSON.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Of the program that wrote it.
    version: String,
    config: Config,
    input: [usize; 3],
    step: u64,
    validation: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// Classes of the head, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<usize>,
}

/// Metadata entry that holds the [`Header`].
const ENTRY: &str = "siamese";

fn is_checkpoint(head: &[u8]) -> bool {
    output::is_safetensors(head, ENTRY)
}

/// A training that can be resumed.
const TRAINING: Kind = Kind { name: "a checkpoint or a model", is: is_checkpoint };
/// Weights alone: they never replace a training, whose moments would be lost.
const MODEL: Kind = Kind {
    name: "a model without a training's moments",
    // Tensors are in order of their names, and those of the moments come first.
    is: |head| is_checkpoint(head) && !String::from_utf8_lossy(head).contains(&format!("\"{}", MOMENTS[0])),
};

/// Prefix of the tensors that hold the moving average.
const AVERAGE: &str = "ema.";
/// Prefixes of the tensors that hold moments.
const MOMENTS: [&str; 2] = ["adam.m.", "adam.v."];

impl Checkpoint {
    /// The network it belongs to.
    ///
    /// # Errors
    /// As [`Net::of`].
    pub fn net(&self) -> Result<Net> {
        Net::of(&self.config, self.input)
    }

    /// Freshly initialised weights for `config`.
    pub fn initial(config: &Config, net: &Net) -> Checkpoint {
        let mut parameters = vec![0.0; net.arena];
        let mut state = vec![0.0; net.state];
        for tensor in net.placed() {
            let arena = match tensor.kind {
                layers::Kind::Trained => &mut parameters,
                layers::Kind::State => &mut state,
            };
            tensor.fill(config.initialisation, config.gain, config.seed, &mut arena[tensor.range.clone()]);
        }
        let moments = Some([vec![0.0; net.arena], vec![0.0; net.arena]]);
        let average = config.average.map(|_| parameters.clone());
        let average_state = config.average.map(|_| state.clone()).unwrap_or_default();
        Checkpoint {
            config: config.clone(),
            input: net.input,
            step: 0,
            parameters,
            average,
            state,
            average_state,
            moments,
            head: None,
            validation: None,
            origin: None,
        }
    }

    /// Reads the arenas of a training runner, whose loss has this head.
    pub fn of(config: &Config, net: &Net, head: &Head, step: u64, runner: &mut impl Runner) -> Result<Checkpoint> {
        let mut arena = |name| {
            let slot = runner.plan().id(name);
            runner.read(slot).map(|array| array.floats().to_vec())
        };
        let parameters = arena(slots::PARAMETERS)?;
        let average = config.average.map(|_| arena(slots::AVERAGE)).transpose()?;
        let moments = Some([arena(slots::MOMENTS[0])?, arena(slots::MOMENTS[1])?]);
        let [state, average_state] = match (net.state > 0, config.average) {
            (false, _) => [vec![], vec![]],
            (true, None) => [arena(slots::STATE)?, vec![]],
            (true, Some(_)) => [arena(slots::STATE)?, arena(slots::AVERAGE_STATE)?],
        };
        Ok(Checkpoint {
            config: config.clone(),
            input: net.input,
            step,
            parameters,
            average,
            state,
            average_state,
            moments,
            head: head.read(runner)?,
            validation: None,
            origin: None,
        })
    }

    /// Writes to a runner what its plan has of the parameters, the states, the averages, the moments and the head.
    pub fn restore(&self, runner: &mut impl Runner) -> Result<()> {
        let [moment1, moment2] = &self.moments.as_ref().map_or([None, None], |[m, v]| [Some(m), Some(v)]);
        let arenas = [
            (slots::PARAMETERS, Some(&self.parameters)),
            (slots::AVERAGE, self.average.as_ref()),
            (slots::STATE, Some(&self.state)),
            (slots::AVERAGE_STATE, self.average.as_ref().map(|_| &self.average_state)),
            (slots::MOMENTS[0], *moment1),
            (slots::MOMENTS[1], *moment2),
        ];
        for (name, values) in arenas {
            if let (Some(slot), Some(values)) = (runner.plan().find(name), values) {
                runner.write(slot, values.as_slice())?;
            }
        }
        self.head.as_ref().map_or(Ok(()), |head| head.restore(runner))
    }

    /// The weights to be used: their average where there is one.
    pub fn weights(&self) -> &[f32] {
        self.average.as_ref().unwrap_or(&self.parameters)
    }

    /// The states that belong to these weights: their average where there is one.
    pub fn states(&self) -> &[f32] {
        if self.average.is_some() { &self.average_state } else { &self.state }
    }

    /// The weights to be used and their states, each tensor with its values in file order.
    ///
    /// # Errors
    /// [`Error::Spec`] if the network cannot be understood.
    pub fn tensors(&self) -> Result<Vec<(Parameter, Vec<f32>)>> {
        let values = |tensor: Parameter| {
            let arena = match tensor.kind {
                layers::Kind::Trained => self.weights(),
                layers::Kind::State => self.states(),
            };
            let values = tensor.layout.to_file(&arena[tensor.range.clone()]);
            (tensor, values)
        };
        Ok(self.net()?.placed().into_iter().map(values).collect())
    }

    /// What tells this model's embeddings from those of any other: the first 16 digits of the SHA-256 of network,
    /// input, what is done to images before, whether their mirror images take part, and the weights to be used with
    /// their states.
    pub fn fingerprint(&self) -> String {
        let Config { spec, pixels, pictures, flip, .. } = &self.config;
        let flip = if *flip { " flip" } else { "" };
        let mut hash = Sha256::new_with_prefix(format!("{spec} {:?} {pixels} {pictures:?}{flip}", self.input));
        self.weights().iter().chain(self.states()).for_each(|value| hash.update(value.to_le_bytes()));
        hex(&hash.finalize()[..8])
    }

    /// The weights to be used alone, as the parameters of a network that is not trained further.
    pub fn export(&self) -> Checkpoint {
        let config = Config { average: None, ..self.config.clone() };
        let (parameters, state) = (self.weights().to_vec(), self.states().to_vec());
        Checkpoint {
            config,
            parameters,
            average: None,
            state,
            average_state: vec![],
            moments: None,
            head: None,
            ..self.clone()
        }
    }

    /// Writes the file: to a temporary name beside it first, so that a failure leaves an older file whole.
    ///
    /// # Errors
    /// As [`output::write`]: weights alone do not replace a training; [`Error::Spec`] if the network cannot be
    /// understood.
    pub fn save(&self, path: &Path, precision: Precision) -> Result<()> {
        let kind = if self.moments.is_some() { TRAINING } else { MODEL };
        output::write(path, kind, &self.to_bytes(precision)?)
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// [`Error::Spec`] if the network cannot be understood.
    pub fn to_bytes(&self, precision: Precision) -> Result<Vec<u8>> {
        let net = self.net()?;
        let (parameters, states) = (net.parameters(), net.states());
        let classes = self.head.as_ref().map(|head| head.classes);
        let own = Head::new(&self.config, net.dims(), classes.unwrap_or(0));
        let average = self.average.iter();
        let arenas = [("", &self.parameters, &parameters), ("", &self.state, &states)]
            .into_iter()
            .chain(average.clone().map(|average| (AVERAGE, average, &parameters)))
            .chain(average.map(|_| (AVERAGE, &self.average_state, &states)))
            .chain(
                MOMENTS.into_iter().zip(self.moments.iter().flatten()).map(|(name, arena)| (name, arena, &parameters)),
            )
            .chain(self.head.iter().flat_map(|head| {
                let Values { trained, moments, state, .. } = head;
                let moments = MOMENTS.into_iter().zip(moments).map(|(name, arena)| (name, arena, &own.trained));
                [("", trained, &own.trained), ("", state, &own.states)].into_iter().chain(moments)
            }));
        let mut views = Vec::new();
        for (prefix, arena, tensors) in arenas {
            for parameter in tensors {
                let values = parameter.layout.to_file(&arena[parameter.range.clone()]);
                let (dtype, bytes) = match precision {
                    Precision::F32 => (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
                    Precision::F16 => {
                        (Dtype::F16, values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect())
                    }
                };
                let tensor = Tensor { dtype, dims: parameter.layout.file_dims(), bytes };
                views.push((format!("{prefix}{}", parameter.name), tensor));
            }
        }
        let header = Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: self.config.clone(),
            input: self.input,
            step: self.step,
            validation: self.validation,
            origin: self.origin.clone(),
            classes,
        };
        // One entry: the format keeps entries in no order, and equal checkpoints are to be equal files.
        let metadata = HashMap::from([(ENTRY.to_owned(), serde_json::to_string(&header).expect("plain data"))]);
        Ok(safetensors::serialize(views, Some(metadata)).expect("tensors whose sizes agree"))
    }

    /// Reads a file that [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Checkpoint`] naming the tensor or entry at fault.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        Checkpoint::from_bytes(&std::fs::read(path).map_err(Error::io("read", path))?, path)
    }

    /// Reads the bytes of a file that is called `path`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] naming the tensor or entry at fault.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Checkpoint> {
        let fault = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
        let not_whole = |error| fault(format!("not a whole safetensors file: {error}"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_whole)?;
        let file = SafeTensors::deserialize(bytes).map_err(not_whole)?;
        let metadata = header.metadata().as_ref().and_then(|metadata| metadata.get(ENTRY));
        let text = metadata.ok_or_else(|| fault(format!("the metadata has no entry `{ENTRY}`")))?;
        let unreadable = |error: String| fault(format!("metadata entry `{ENTRY}`: {error}"));
        let Header { config, input, step, validation, origin, classes, .. } =
            serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        config.validate().map_err(|error| unreadable(error.to_string()))?;
        let net = Net::of(&config, input).map_err(|error| unreadable(error.to_string()))?;

        let arena = |prefix: &str| read_arena(&file, prefix, &net.parameters()).map_err(fault);
        let states = |prefix: &str| read_arena(&file, prefix, &net.states()).map_err(fault);
        let (parameters, state) = (arena("")?, states("")?);
        let average = config.average.map(|_| arena(AVERAGE)).transpose()?;
        let average_state = config.average.map_or(Ok(vec![]), |_| states(AVERAGE))?;
        let has_moments = file.names().iter().any(|name| name.starts_with(MOMENTS[0]));
        let moments = if has_moments { Some([arena(MOMENTS[0])?, arena(MOMENTS[1])?]) } else { None };
        let head = classes.map(|classes| {
            let own = Head::new(&config, net.dims(), classes);
            let arena = |prefix: &str, tensors: &[Parameter]| read_arena(&file, prefix, tensors).map_err(fault);
            let trained = arena("", &own.trained)?;
            let moments = [arena(MOMENTS[0], &own.trained)?, arena(MOMENTS[1], &own.trained)?];
            Ok(Values { classes, trained, moments, state: arena("", &own.states)? })
        });
        let head = head.transpose()?;
        Ok(Checkpoint {
            config,
            input,
            step,
            parameters,
            average,
            state,
            average_state,
            moments,
            head,
            validation,
            origin,
        })
    }

    /// A model of the weights of another program, under the names and in the layouts of [`Net`]'s tensors, which are
    /// PyTorch's: `conv1.weight`, `conv1.bias`, … `config` says what network they belong to and how its embeddings are
    /// to be used. Answers besides the names of what is left over: what a map has for layers that the network has not.
    ///
    /// # Errors
    /// [`Error::Spec`] and [`Error::Config`] if `config` is wrong; [`Error::Weights`] naming the tensor that is
    /// missing, unknown, of another shape or type, or not finite.
    pub fn import(weights: &Weights, config: &Config, input: [usize; 3]) -> Result<(Checkpoint, Vec<String>)> {
        config.validate()?;
        let net = Net::of(config, input)?;
        let config = Config { average: None, spec: net.spec.clone(), ..config.clone() };
        let mut model = Checkpoint {
            config,
            input,
            step: 0,
            parameters: vec![0.0; net.arena],
            average: None,
            state: vec![0.0; net.state],
            average_state: vec![],
            moments: None,
            head: None,
            validation: None,
            origin: None,
        };
        let Taken { missing, misshapen, left } = model.take(weights)?;
        let fault = |reason: String| Error::Weights { path: weights.path().to_owned(), reason };
        if let Some(name) = missing.first() {
            return Err(fault(format!("tensor {} is missing", weights.called(name))));
        }
        if let Some((name, found, wanted)) = misshapen.first() {
            let name = weights.called(name);
            return Err(fault(format!("tensor {name} is {found:?}, the network needs {wanted:?}")));
        }
        match left.first() {
            Some(name) if !weights.is_mapped() => Err(fault(format!("tensor `{name}` is none of the network's"))),
            _ => Ok((model, left)),
        }
    }

    /// Takes over the tensors of others that fit by name and shape, as parameters and as their average.
    ///
    /// # Errors
    /// [`Error::Weights`] naming a tensor that fits and holds no numbers, or such as are not finite.
    pub fn take(&mut self, weights: &Weights) -> Result<Taken> {
        let tensors = self.net()?.placed();
        let fault = |reason: String| Error::Weights { path: weights.path().to_owned(), reason };
        let known: HashSet<_> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        let left = weights.names().filter(|name| !known.contains(name)).map(str::to_owned).collect();
        let mut taken = Taken { missing: vec![], misshapen: vec![], left };
        for tensor in &tensors {
            let (name, wanted) = (&tensor.name, tensor.layout.file_dims());
            let Some(found) = weights.get(name) else {
                taken.missing.push(name.clone());
                continue;
            };
            if found.dims != wanted {
                taken.misshapen.push((name.clone(), found.dims.clone(), wanted));
                continue;
            }
            let called = weights.called(name);
            let values = found.values().map_err(|reason| fault(format!("tensor {called} {reason}")))?;
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(fault(format!("tensor {called} holds {value}, which is not finite in 32 bits")));
            }
            let arena = match tensor.kind {
                layers::Kind::Trained => &mut self.parameters,
                layers::Kind::State => &mut self.state,
            };
            arena[tensor.range.clone()].copy_from_slice(&tensor.layout.to_device(&values));
        }
        if let Some(average) = &mut self.average {
            average.clone_from(&self.parameters);
            self.average_state.clone_from(&self.state);
        }
        Ok(taken)
    }

    /// The weights to be used, by name.
    ///
    /// # Errors
    /// As [`Checkpoint::net`].
    pub fn named(&self, path: &Path) -> Result<Weights> {
        let tensor = |(parameter, values): (Parameter, Vec<f32>)| {
            (parameter.name, import::Tensor::new(parameter.layout.file_dims(), &values))
        };
        Ok(Weights::new(path, self.tensors()?.into_iter().map(tensor).collect()))
    }
}

/// What became of weights that a network was handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The network's tensors that are not among them.
    pub missing: Vec<String>,
    /// Those of another shape: name, the shape among them, the network's.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensors that the network does not have.
    pub left: Vec<String>,
}

/// Whether a file is a checkpoint or model of this program rather than tensors alone; no where it cannot be read.
pub fn is_ours(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(256).read_to_end(&mut head));
    read.is_ok() && is_checkpoint(&head)
}

/// The arena of some tensors of a network, whose names in the file begin with `prefix`, in device order; or what is
/// wrong.
fn read_arena(file: &SafeTensors, prefix: &str, tensors: &[Parameter]) -> Result<Vec<f32>, String> {
    let mut found = Vec::new();
    for parameter in tensors {
        let name = format!("{prefix}{}", parameter.name);
        let tensor = file.tensor(&name).map_err(|_| format!("tensor `{name}` is missing"))?;
        let wanted = parameter.layout.file_dims();
        if tensor.shape() != wanted {
            return Err(format!("tensor `{name}` is {:?}, the network needs {wanted:?}", tensor.shape()));
        }
        found.push((name, parameter, tensor));
    }
    // A file may ask for any network: memory is taken once all its weights are there.
    let mut arena = vec![0.0; net::length(tensors)];
    for (name, parameter, tensor) in found {
        let values = floats(tensor.dtype(), tensor.data()).map_err(|reason| format!("tensor `{name}` {reason}"))?;
        arena[parameter.range.clone()].copy_from_slice(&parameter.layout.to_device(&values));
    }
    Ok(arena)
}
