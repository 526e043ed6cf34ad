//! A gallery: identities with their embeddings, and the threshold under which a probe is one of them. It recognises,
//! says "unknown", and is judged.
//!
//! The file is a safetensors file: `embeddings` `[rows, dims]`, `identity` `[rows]` (its number in the list of names),
//! `images` `[rows]` (how many images an embedding is the mean of), and a JSON text in the metadata.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::eval::{Interval, admitted, flaw};
use crate::losses::Distance;
use crate::output::{self, Kind};
use crate::text::{composed, hex};

/// What a picture is known by, whatever it is called and wherever it lies: the SHA-256, as hexadecimal digits, of the
/// bytes of its file, or of the pixels of a row of a data set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Content(String);

impl Content {
    /// Of the bytes of a file, or the pixels `[height, width, channels]` of an image that is in none of its own.
    pub fn of(bytes: &[u8]) -> Content {
        Content(hex(Sha256::digest(bytes)))
    }
}

/// A picture that is enrolled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Picture {
    /// What it was called.
    name: String,
    /// Number of its identity.
    identity: u32,
}

/// One enrolled embedding.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// Number of its identity.
    identity: u32,
    /// How many images it is the mean of.
    images: u32,
    embedding: Vec<f32>,
}

/// How far a probe may be from an identity, and where that comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Accepted are probes at this distance or nearer, in the loss's distance.
    pub distance: f32,
    /// The false accept rate it was calibrated for; `None`: it was given.
    pub far: Option<f64>,
}

impl Threshold {
    /// One that was given.
    ///
    /// # Errors
    /// [`Error::Config`] if it is not a distance.
    pub fn given(distance: f32) -> Result<Threshold> {
        let threshold = Threshold { distance, far: None };
        if threshold.is_sound() {
            Ok(threshold)
        } else {
            Err(Error::config("--threshold", format!("{distance} is not a distance")))
        }
    }

    fn is_sound(self) -> bool {
        self.distance.is_finite() && self.distance >= 0.0 && self.far.is_none_or(|far| far > 0.0 && far < 1.0)
    }
}

/// What the file says of itself.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Of the program that wrote it.
    version: String,
    /// See [`Checkpoint::fingerprint`].
    model: String,
    dims: usize,
    distance: Distance,
    identities: Vec<String>,
    /// The pictures enrolled.
    #[serde(default)]
    pictures: BTreeMap<Content, Picture>,
    /// Pictures of which no more is known than their name, and the number of their identity: files from before contents
    /// were noted have these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<String, u32>,
    threshold: Option<Threshold>,
}

/// Metadata entry that holds the [`Header`].
const ENTRY: &str = "siamese-gallery";

const KIND: Kind = Kind { name: "a gallery", is: |head| output::is_safetensors(head, ENTRY) };

/// Enrolled identities.
#[derive(Clone, Debug, PartialEq)]
pub struct Gallery {
    model: String,
    dims: usize,
    distance: Distance,
    /// Each has an embedding, and a name that is [`composed`].
    identities: Vec<String>,
    /// The place of each in `identities`.
    numbers: HashMap<String, u32>,
    pictures: BTreeMap<Content, Picture>,
    sources: BTreeMap<String, u32>,
    entries: Vec<Entry>,
    /// How far a probe may be from its identity. One that was calibrated falls where the gallery changes: its rate was
    /// measured on the gallery as it was.
    pub threshold: Option<Threshold>,
}

/// What a gallery says of a probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The identity; `None`: unknown, all are farther than the threshold.
    pub identity: Option<String>,
    /// The identity of the nearest embedding, accepted or not.
    pub nearest: String,
    /// Distance of the nearest embedding of `identity`, of an unknown probe of `nearest`.
    pub distance: f32,
    /// How much farther the nearest embedding of any other identity is: below 0 where a vote has overruled the nearest.
    /// `None` where there is no other.
    pub margin: Option<f32>,
}

/// How a gallery did on probes whose labels are known. Shares come with their 95 % intervals (Wilson 1927).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recognition {
    /// Probes whose identity is enrolled.
    pub known: usize,
    /// Probes whose identity is not.
    pub unknown: usize,
    /// Closed set: of the known, those whose nearest identity is theirs, at any distance.
    pub closed: Option<Share>,
    /// Of the known, those accepted as who they are.
    pub right: Option<Share>,
    /// Of the known, those accepted as another.
    pub wrong: Option<Share>,
    /// False accept rate: of the unknown, those accepted as anyone.
    pub far: Option<Share>,
    /// Of all probes, those accepted as who they are and those rightly unknown.
    pub open: Share,
}

/// A share with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The share.
    pub share: f64,
    /// Its interval.
    pub interval: Interval,
}

impl Share {
    /// `count` of `total`, with the interval of E. B. Wilson, *Probable Inference*, 1927. `None` of nothing.
    pub fn of(count: usize, total: usize) -> Option<Share> {
        if total == 0 {
            return None;
        }
        let (n, z) = (total as f64, 1.959_963_984_540_054_f64);
        let share = count as f64 / n;
        let centre = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
        Some(Share { share, interval: Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) } })
    }
}

/// Distances of one probe to the identities, nearest first: (number of the identity, distance of its nearest entry).
type Ranking = Vec<(u32, f32)>;

fn numbered(identities: &[String]) -> HashMap<String, u32> {
    identities.iter().cloned().zip(0..).collect()
}

/// The different names of `identities` once they are composed, in order, and the new number of each.
fn united(identities: &[String]) -> (Vec<String>, Vec<u32>) {
    let (mut names, mut numbers) = (Vec::new(), HashMap::new());
    let number = |name: &String| {
        let name = composed(name).into_owned();
        *numbers.entry(name.clone()).or_insert_with(|| {
            names.push(name);
            names.len() as u32 - 1
        })
    };
    let renumbered = identities.iter().map(number).collect();
    (names, renumbered)
}

impl Gallery {
    /// An empty gallery for the embeddings of a model.
    ///
    /// # Errors
    /// [`Error::Spec`] if the model's spec cannot be understood.
    pub fn new(model: &Checkpoint) -> Result<Gallery> {
        Ok(Gallery {
            model: model.fingerprint(),
            dims: model.net()?.dims(),
            distance: model.config.loss.distance(),
            identities: Vec::new(),
            numbers: HashMap::new(),
            pictures: BTreeMap::new(),
            sources: BTreeMap::new(),
            entries: Vec::new(),
            threshold: None,
        })
    }

    /// The names of the identities, in the order of their enrolment.
    pub fn identities(&self) -> &[String] {
        &self.identities
    }

    /// Embeddings kept for an identity, and images that they come from.
    pub fn counts(&self, identity: &str) -> (usize, u32) {
        let number = self.number(identity);
        let own = self.entries.iter().filter(|entry| Some(entry.identity) == number);
        own.fold((0, 0), |(embeddings, images), entry| (embeddings + 1, images + entry.images))
    }

    /// Images that all embeddings come from.
    pub fn images(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.images)).sum()
    }

    /// Whose picture this is, if it is enrolled: it is known by its content, or, where a gallery from before contents
    /// were noted has it, by the name that it was enrolled under.
    pub fn holder(&self, name: &str, content: &Content) -> Option<&str> {
        let number = self.pictures.get(content).map(|picture| picture.identity);
        let number = number.or_else(|| self.sources.get(name).copied());
        number.map(|number| self.identities[number as usize].as_str())
    }

    fn number(&self, identity: &str) -> Option<u32> {
        self.numbers.get(&*composed(identity)).copied()
    }

    fn drop_calibration(&mut self) {
        self.threshold = self.threshold.filter(|threshold| threshold.far.is_none());
    }

    /// Adds the embedding of a picture to an identity, which is made if it is new. Answers whether it did: a picture
    /// that is enrolled already is not enrolled again. `name` is what it is called.
    ///
    /// # Errors
    /// [`Error::Enrolled`] where it is the picture of another identity, [`Error::Embedding`] where the embedding has a
    /// [`flaw`].
    ///
    /// # Panics
    /// If the embedding has not the model's length.
    pub fn add(&mut self, identity: &str, name: &str, content: &Content, embedding: &[f32]) -> Result<bool> {
        assert_eq!(embedding.len(), self.dims, "an embedding of another model");
        if let Some(reason) = flaw(embedding) {
            return Err(Error::Embedding { image: name.to_owned(), reason });
        }
        let identity = &*composed(identity);
        if let Some(holder) = self.holder(name, content) {
            if holder == identity {
                return Ok(false);
            }
            let known = self.pictures.get(content).map_or(name, |picture| &picture.name);
            let [image, identity, known] = [name, holder, known].map(str::to_owned);
            return Err(Error::Enrolled { image, identity, known });
        }
        let number = self.number(identity).unwrap_or_else(|| {
            let number = self.identities.len() as u32;
            self.identities.push(identity.to_owned());
            self.numbers.insert(identity.to_owned(), number);
            number
        });
        self.drop_calibration();
        self.pictures.insert(content.clone(), Picture { name: name.to_owned(), identity: number });
        self.entries.push(Entry { identity: number, images: 1, embedding: embedding.to_vec() });
        Ok(true)
    }

    /// Takes an identity out.
    ///
    /// # Errors
    /// [`Error::Config`] with the names there are, if there is none of this name.
    pub fn remove(&mut self, identity: &str) -> Result<()> {
        let Some(number) = self.number(identity) else {
            let some = self.identities.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
            let reason = format!("`{identity}` is not enrolled; the gallery has {} ({some})", self.identities.len());
            return Err(Error::config("--remove", reason));
        };
        self.drop_calibration();
        self.identities.remove(number as usize);
        self.numbers = numbered(&self.identities);
        self.entries.retain(|entry| entry.identity != number);
        self.pictures.retain(|_, picture| picture.identity != number);
        self.sources.retain(|_, identity| *identity != number);
        let enrolled = self.entries.iter_mut().map(|entry| &mut entry.identity);
        let pictures = self.pictures.values_mut().map(|picture| &mut picture.identity);
        let numbers = enrolled.chain(pictures).chain(self.sources.values_mut());
        numbers.filter(|identity| **identity > number).for_each(|identity| *identity -= 1);
        Ok(())
    }

    /// Replaces the embeddings of each identity by their mean, weighted by the images behind them.
    pub fn to_centroids(&mut self) {
        if self.entries.len() == self.identities.len() {
            return;
        }
        self.drop_calibration();
        let mut means: BTreeMap<u32, (Vec<f64>, u32)> = BTreeMap::new();
        for entry in &self.entries {
            let (sum, images) = means.entry(entry.identity).or_insert_with(|| (vec![0.0; self.dims], 0));
            let weight = f64::from(entry.images);
            sum.iter_mut().zip(&entry.embedding).for_each(|(sum, &value)| *sum += weight * f64::from(value));
            *images += entry.images;
        }
        let mean = |(identity, (sum, images)): (u32, (Vec<f64>, u32))| {
            let embedding = sum.iter().map(|sum| (sum / f64::from(images)) as f32).collect();
            Entry { identity, images, embedding }
        };
        self.entries = means.into_iter().map(mean).collect();
    }

    fn rank(&self, probe: &[f32]) -> Ranking {
        let mut nearest = vec![f32::INFINITY; self.identities.len()];
        for entry in &self.entries {
            let own = &mut nearest[entry.identity as usize];
            *own = own.min(self.distance.between(probe, &entry.embedding));
        }
        let mut ranking: Ranking = (0..).zip(nearest).collect();
        ranking.sort_by(|a, b| a.1.total_cmp(&b.1));
        ranking
    }

    /// Whether a probe at this distance is accepted.
    fn admits(&self, distance: f32) -> bool {
        self.threshold.is_none_or(|threshold| distance <= threshold.distance)
    }

    /// The identity that most of the `k` nearest embeddings have, of those within the threshold; of equally many the
    /// one whose ranks sum up to less. `None` where no embedding is within.
    fn vote(&self, probe: &[f32], k: usize) -> Option<u32> {
        let all = self.entries.iter().map(|entry| (self.distance.between(probe, &entry.embedding), entry.identity));
        let mut within: Vec<(f32, u32)> = all.filter(|&(distance, _)| self.admits(distance)).collect();
        within.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut votes: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for (rank, (_, identity)) in within.iter().take(k).enumerate() {
            let (count, ranks) = votes.entry(*identity).or_default();
            *count += 1;
            *ranks += rank;
        }
        let best = votes.into_iter().min_by_key(|&(_, (count, ranks))| (usize::MAX - count, ranks));
        best.map(|(identity, _)| identity)
    }

    /// Recognises a probe by the vote of its `k` nearest embeddings (1: the nearest). Only embeddings within the
    /// threshold vote, so that whether a probe is accepted does not depend on `k`, and an identity of a single picture
    /// is not outvoted by what is far away. Without a threshold every probe is somebody.
    ///
    /// # Panics
    /// If the gallery is empty, `k` is 0, or the probe has not the model's length.
    pub fn recognise(&self, probe: &[f32], k: usize) -> Answer {
        assert_eq!(probe.len(), self.dims, "an embedding of another model");
        assert!(k > 0, "nobody votes");
        let ranking = self.rank(probe);
        let (nearest, least) = ranking[0];
        let winner = if k == 1 { self.admits(least).then_some(nearest) } else { self.vote(probe, k) };
        let shown = winner.unwrap_or(nearest);
        let distance = ranking.iter().find(|(identity, _)| *identity == shown).expect("all are ranked").1;
        let second = ranking.iter().find(|(identity, _)| *identity != shown);
        let name = |identity: u32| self.identities[identity as usize].clone();
        Answer {
            identity: winner.map(name),
            nearest: name(nearest),
            distance,
            margin: second.map(|(_, other)| other - distance),
        }
    }

    /// [`Gallery::recognise`] for many probes, `[rows, dims]`.
    pub fn recognise_all(&self, probes: &[f32], k: usize) -> Vec<Answer> {
        probes.par_chunks_exact(self.dims).map(|probe| self.recognise(probe, k)).collect()
    }

    /// Chooses the threshold for a false accept rate from images whose names are known: the largest distance at which
    /// no more than that share of impostors is accepted. Impostors are the images of identities that are not enrolled;
    /// where those are fewer than 1 / `far`, every image plays one against all identities but its own. Answers how many
    /// impostors there were.
    ///
    /// # Errors
    /// [`Error::Config`] where there are fewer than 1 / `far` impostors even so, where one who must be refused is at
    /// distance 0, or `far` is not between 0 and 1.
    pub fn calibrate(&mut self, probes: &[f32], names: &[String], far: f64) -> Result<usize> {
        if !(far > 0.0 && far < 1.0) {
            return Err(Error::config("--far", format!("{far} is not between 0 and 1")));
        }
        let rows: Vec<_> = probes.chunks_exact(self.dims).zip(names).collect();
        let needed = (1.0 / far - 1e-9).ceil() as usize;
        let strangers: Vec<f32> = rows
            .par_iter()
            .filter(|(_, name)| self.number(name).is_none())
            .filter_map(|(probe, _)| self.rank(probe).first().map(|nearest| nearest.1))
            .collect();
        let mut scores = if strangers.len() >= needed {
            strangers
        } else {
            let nearest_other = |(probe, name): &(&[f32], &String)| {
                let own = self.number(name);
                self.rank(probe).into_iter().find(|(identity, _)| Some(*identity) != own).map(|nearest| nearest.1)
            };
            rows.par_iter().filter_map(nearest_other).collect()
        };
        if scores.len() < needed {
            let reason =
                format!("{} images of impostors cannot show a rate of {far}; {needed} or more can", scores.len());
            return Err(Error::config("--far", reason));
        }
        scores.sort_by(f32::total_cmp);
        // The first impostor who must stay outside; everyone strictly nearer may come in.
        let outside = scores[admitted(far, scores.len())];
        if outside <= 0.0 {
            let alike = scores.iter().filter(|&&score| score <= 0.0).count();
            let reason = format!(
                "{alike} of {} impostors are at distance 0 of somebody enrolled, so that no threshold has a rate of \
                 {far}; take pictures out that are the same as enrolled ones, or train again if the network maps all \
                 to one point",
                scores.len()
            );
            return Err(Error::config("--far", reason));
        }
        self.threshold = Some(Threshold { distance: outside.next_down(), far: Some(far) });
        Ok(scores.len())
    }

    /// How answers compare with the true names.
    pub fn judge(&self, answers: &[Answer], names: &[String]) -> Option<Recognition> {
        let names: Vec<Cow<str>> = names.iter().map(|name| composed(name)).collect();
        let count = |counts: &dyn Fn(&Answer, &str) -> bool| {
            answers.iter().zip(&names).filter(|(answer, name)| counts(answer, name)).count()
        };
        let enrolled = |name: &str| self.number(name).is_some();
        let known = count(&|_, name| enrolled(name));
        let unknown = answers.len() - known;
        let closed = count(&|answer, name| answer.nearest == name);
        let right = count(&|answer, name| answer.identity.as_deref() == Some(name));
        let wrong = count(&|answer, name| {
            enrolled(name) && answer.identity.as_deref().is_some_and(|identity| identity != name)
        });
        let accepted = count(&|answer, name| !enrolled(name) && answer.identity.is_some());
        Some(Recognition {
            known,
            unknown,
            closed: Share::of(closed, known),
            right: Share::of(right, known),
            wrong: Share::of(wrong, known),
            far: Share::of(accepted, unknown),
            open: Share::of(right + unknown - accepted, answers.len())?,
        })
    }

    /// Checks that the gallery belongs to a model.
    ///
    /// # Errors
    /// [`Error::Gallery`] naming both; [`Error::Spec`] if the model's spec cannot be understood.
    pub fn check_model(&self, path: &Path, model: &Checkpoint) -> Result<()> {
        let (fingerprint, dims) = (model.fingerprint(), model.net()?.dims());
        // What was trained to be compared with the embeddings here may be.
        let compatible = model.config.compatible.as_ref().filter(|old| !model.config.flip && old.model == self.model);
        let reason = if fingerprint != self.model && compatible.is_none() {
            let flip = !model.config.flip;
            let other = Checkpoint { config: Config { flip, ..model.config.clone() }, ..model.clone() };
            if other.fingerprint() == self.model {
                let how =
                    if flip { "its embeddings were made with --flip" } else { "--flip made none of its embeddings" };
                format!("{how}: distances to others mean nothing")
            } else {
                format!(
                    "it holds embeddings of the model {}, and this model is {fingerprint}: their distances mean \
                     nothing to each other",
                    self.model
                )
            }
        } else if dims != self.dims {
            format!("its embeddings have {} numbers, those of its model have {dims}", self.dims)
        } else if self.distance != model.config.loss.distance() {
            let own = model.config.loss.distance();
            format!("its distances are {:?}, those of its model are {own:?}", self.distance)
        } else {
            return Ok(());
        };
        Err(Error::Gallery { path: path.to_owned(), reason })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// As [`output::write`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let header = Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: self.model.clone(),
            dims: self.dims,
            distance: self.distance,
            identities: self.identities.clone(),
            pictures: self.pictures.clone(),
            sources: self.sources.clone(),
            threshold: self.threshold,
        };
        let rows = self.entries.len();
        let embeddings: Vec<u8> =
            self.entries.iter().flat_map(|entry| &entry.embedding).flat_map(|value| value.to_le_bytes()).collect();
        let words = |word: fn(&Entry) -> u32| -> Vec<u8> {
            self.entries.iter().flat_map(|entry| word(entry).to_le_bytes()).collect()
        };
        let (identity, images) = (words(|entry| entry.identity), words(|entry| entry.images));
        let view = |dtype, dims, bytes| TensorView::new(dtype, dims, bytes).expect("lengths that agree");
        let tensors = [
            ("embeddings", view(Dtype::F32, vec![rows, self.dims], &embeddings)),
            ("identity", view(Dtype::U32, vec![rows], &identity)),
            ("images", view(Dtype::U32, vec![rows], &images)),
        ];
        let metadata = HashMap::from([(ENTRY.to_owned(), serde_json::to_string(&header).expect("plain data"))]);
        let bytes = safetensors::serialize(tensors, Some(metadata)).expect("tensors whose sizes agree");
        output::write(path, KIND, &bytes)
    }

    /// Reads a file that [`Gallery::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Gallery`] if it is cut off, not a gallery, or contradicts itself.
    pub fn load(path: &Path) -> Result<Gallery> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Gallery::parse(&bytes).map_err(|reason| Error::Gallery { path: path.to_owned(), reason: reason.into_owned() })
    }

    fn parse(bytes: &[u8]) -> Result<Gallery, Cow<'static, str>> {
        let whole = |error| format!("it is no whole gallery file ({error})");
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(whole)?;
        let file = SafeTensors::deserialize(bytes).map_err(whole)?;
        let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        let header = entry.ok_or("it is a safetensors file, but no gallery: `siamese enroll` makes one")?;
        let header: Header =
            serde_json::from_str(header).map_err(|error| format!("its header cannot be understood ({error})"))?;
        let tensor = |name: &str, dtype| match file.tensor(name) {
            Ok(tensor) if tensor.dtype() == dtype => Ok(tensor),
            Ok(tensor) => Err(format!("`{name}` is {:?}, expected {dtype:?}", tensor.dtype())),
            Err(_) => Err(format!("`{name}` is missing")),
        };
        let words = |name| -> Result<Vec<u32>, String> {
            Ok(tensor(name, Dtype::U32)?
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&word| u32::from_le_bytes(word))
                .collect())
        };
        let (identity, images) = (words("identity")?, words("images")?);
        let values = tensor("embeddings", Dtype::F32)?;
        let rows = identity.len();
        if values.shape() != [rows, header.dims] || images.len() != rows || header.dims == 0 {
            let reason = format!("{rows} identities, {} counts and embeddings {:?}", images.len(), values.shape());
            return Err(reason.into());
        }
        let pictures = header.pictures.values().map(|picture| &picture.identity);
        let mut numbers_used = identity.iter().chain(pictures).chain(header.sources.values());
        if let Some(number) = numbers_used.find(|&&number| number as usize >= header.identities.len()) {
            return Err(format!("identity {number} of {} is named", header.identities.len()).into());
        }
        if numbered(&header.identities).len() != header.identities.len() {
            return Err("two of its identities have one name".into());
        }
        let enrolled: HashSet<u32> = identity.iter().copied().collect();
        if let Some((_, name)) = (0..).zip(&header.identities).find(|(number, _)| !enrolled.contains(number)) {
            return Err(format!("its identity `{name}` has no embedding").into());
        }
        if let Some(Threshold { distance, far }) = header.threshold.filter(|threshold| !threshold.is_sound()) {
            return Err(format!("its threshold is {distance}, for a FAR of {far:?}").into());
        }
        let values: Vec<f32> = values.data().as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        let flaws = values.chunks_exact(header.dims).map(flaw).enumerate();
        if let Some((row, reason)) = flaws.filter_map(|(row, flaw)| Some((row, flaw?))).next() {
            return Err(format!("its embedding {row} {reason}").into());
        }
        if images.contains(&0) || images.iter().try_fold(0, |sum: u32, &images| sum.checked_add(images)).is_none() {
            return Err("an embedding is of no image, or all are of too many".into());
        }
        let entries = values.chunks(header.dims).zip(identity).zip(images);
        // Files from before names were composed may have two that look the same.
        let (identities, number) = united(&header.identities);
        let entry = |((embedding, identity), images): ((&[f32], u32), u32)| Entry {
            identity: number[identity as usize],
            images,
            embedding: embedding.to_vec(),
        };
        let mut gallery = Gallery {
            model: header.model,
            dims: header.dims,
            distance: header.distance,
            numbers: numbered(&identities),
            identities,
            pictures: header.pictures,
            sources: header.sources,
            entries: entries.map(entry).collect(),
            threshold: header.threshold,
        };
        let pictures = gallery.pictures.values_mut().map(|picture| &mut picture.identity);
        pictures.chain(gallery.sources.values_mut()).for_each(|identity| *identity = number[*identity as usize]);
        if gallery.identities.len() < number.len() {
            gallery.drop_calibration();
        }
        Ok(gallery)
    }
}
