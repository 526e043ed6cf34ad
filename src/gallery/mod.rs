//! A gallery: identities with their embeddings, and the threshold under which a probe is one of them. It recognises,
//! says "unknown", and is judged.

#[cfg(feature = "postgres")]
mod database;
mod file;
mod nearest;
mod place;
mod search;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::eval::{Interval, admitted, flaw};
use crate::losses::Distance;
use crate::text::{composed, hex};
use nearest::{Enrolled, Nearest};
pub use place::{Change, Index, Place, place};
pub use search::{Approximate, Candidate, Search};

/// What a picture is known by, whatever it is called and wherever it lies: the SHA-256, as hexadecimal digits, of the
/// bytes of its file, or of the pixels of a row of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Content([u8; 32]);

impl Content {
    /// Of the bytes of a file, or the pixels `[height, width, channels]` of an image that is in none of its own.
    pub fn of(bytes: &[u8]) -> Content {
        Content(Sha256::digest(bytes).into())
    }
}

impl From<Content> for String {
    fn from(content: Content) -> String {
        hex(content.0)
    }
}

impl TryFrom<String> for Content {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Content, &'static str> {
        let mut bytes = [0; 32];
        let is_hex = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_hex {
            return Err("a content is 64 hexadecimal digits");
        }
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * place..][..2], 16).expect("two digits");
        }
        Ok(Content(bytes))
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
    /// Pictures of which no more is known than their name, and the number of their identity.
    sources: BTreeMap<String, u32>,
    /// `[rows, dims]`.
    embeddings: Vec<f32>,
    /// The number of the identity of each embedding.
    identity: Vec<u32>,
    /// How many images each embedding is the mean of.
    images: Vec<u32>,
    /// How far a probe may be from its identity. One that was calibrated falls where the gallery changes: its rate was
    /// measured on the gallery as it was.
    pub threshold: Option<Threshold>,
    unsaved: Unsaved,
}

/// What has changed since a gallery was read; a place that keeps no file writes this alone.
#[derive(Clone, Debug, Default)]
struct Unsaved {
    /// Identities that were taken out, before anything was added.
    removed: Vec<String>,
    /// The first new embedding; `None`: all are other ones than were read.
    rows: Option<usize>,
    /// New pictures; some may have been taken out since.
    pictures: BTreeSet<Content>,
}

impl PartialEq for Unsaved {
    /// It is no part of what a gallery is.
    fn eq(&self, _: &Unsaved) -> bool {
        true
    }
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

fn numbered(identities: &[String]) -> HashMap<String, u32> {
    identities.iter().cloned().zip(0..).collect()
}

impl Gallery {
    /// An empty gallery for the embeddings of a model.
    ///
    /// # Errors
    /// [`Error::Spec`] if the model's spec cannot be understood.
    pub fn new(model: &Checkpoint) -> Result<Gallery> {
        let gallery = Gallery::empty(model.fingerprint(), model.config.loss.distance());
        Ok(Gallery { dims: model.net()?.dims(), ..gallery })
    }

    /// An empty gallery, of no length of embeddings yet.
    fn empty(model: String, distance: Distance) -> Gallery {
        Gallery {
            model,
            dims: 0,
            distance,
            identities: Vec::new(),
            numbers: HashMap::new(),
            pictures: BTreeMap::new(),
            sources: BTreeMap::new(),
            embeddings: Vec::new(),
            identity: Vec::new(),
            images: Vec::new(),
            threshold: None,
            unsaved: Unsaved { rows: Some(0), ..Unsaved::default() },
        }
    }

    /// The same for others to have: where its pictures lie is left out, and so are those that are known by that alone.
    pub fn without_paths(&self) -> Gallery {
        let mut gallery = Gallery { sources: BTreeMap::new(), ..self.clone() };
        for picture in gallery.pictures.values_mut() {
            let start = picture.name.rfind(['/', '\\']).map_or(0, |end| end + 1);
            picture.name.drain(..start);
        }
        gallery
    }

    /// The names of the identities, in the order of their enrolment.
    pub fn identities(&self) -> &[String] {
        &self.identities
    }

    /// Embeddings kept for an identity, and images that they come from.
    pub fn counts(&self, identity: &str) -> (usize, u32) {
        let number = self.number(identity);
        let own = self.identity.iter().zip(&self.images).filter(|(identity, _)| Some(**identity) == number);
        own.fold((0, 0), |(embeddings, all), (_, images)| (embeddings + 1, all + images))
    }

    /// The identities in the order of their enrolment, with [the counts](Gallery::counts) of each.
    pub fn counted(&self) -> Vec<(&str, usize, u32)> {
        let mut all: Vec<_> = self.identities.iter().map(|name| (name.as_str(), 0, 0)).collect();
        for (&identity, &images) in self.identity.iter().zip(&self.images) {
            let (_, embeddings, sum) = &mut all[identity as usize];
            *embeddings += 1;
            *sum += images;
        }
        all
    }

    /// Whether somebody of this name is enrolled.
    pub fn has(&self, identity: &str) -> bool {
        self.number(identity).is_some()
    }

    /// Embeddings kept.
    pub fn len(&self) -> usize {
        self.identity.len()
    }

    /// Whether nobody is enrolled.
    pub fn is_empty(&self) -> bool {
        self.identity.is_empty()
    }

    /// Images that all embeddings come from.
    pub fn images(&self) -> u64 {
        self.images.iter().copied().map(u64::from).sum()
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
        self.pictures.insert(*content, Picture { name: name.to_owned(), identity: number });
        self.embeddings.extend_from_slice(embedding);
        self.identity.push(number);
        self.images.push(1);
        self.unsaved.pictures.insert(*content);
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
        self.unsaved.removed.push(self.identities.remove(number as usize));
        self.numbers = numbered(&self.identities);
        self.keep_embeddings(|identity| identity != number);
        self.pictures.retain(|_, picture| picture.identity != number);
        self.sources.retain(|_, identity| *identity != number);
        let pictures = self.pictures.values_mut().map(|picture| &mut picture.identity);
        let numbers = self.identity.iter_mut().chain(pictures).chain(self.sources.values_mut());
        numbers.filter(|identity| **identity > number).for_each(|identity| *identity -= 1);
        Ok(())
    }

    /// Takes out the embeddings of some identities.
    fn keep_embeddings(&mut self, is_kept: impl Fn(u32) -> bool) {
        let (mut kept, mut first_new) = (0, None);
        for row in 0..self.identity.len() {
            if Some(row) == self.unsaved.rows {
                first_new = Some(kept);
            }
            if is_kept(self.identity[row]) {
                self.embeddings.copy_within(row * self.dims..(row + 1) * self.dims, kept * self.dims);
                (self.identity[kept], self.images[kept]) = (self.identity[row], self.images[row]);
                kept += 1;
            }
        }
        self.embeddings.truncate(kept * self.dims);
        self.identity.truncate(kept);
        self.images.truncate(kept);
        self.unsaved.rows = self.unsaved.rows.map(|_| first_new.unwrap_or(kept));
    }

    /// Replaces the embeddings of each identity by their mean, weighted by the images behind them.
    pub fn to_centroids(&mut self) {
        if self.identity.len() == self.identities.len() {
            return;
        }
        self.drop_calibration();
        let mut sums = vec![0.0; self.identities.len() * self.dims];
        let mut all = vec![0_u32; self.identities.len()];
        let rows = self.embeddings.chunks_exact(self.dims).zip(&self.identity).zip(&self.images);
        for ((embedding, &identity), &images) in rows {
            let sum = &mut sums[identity as usize * self.dims..][..self.dims];
            sum.iter_mut().zip(embedding).for_each(|(sum, &value)| *sum += f64::from(images) * f64::from(value));
            all[identity as usize] += images;
        }
        let means = sums.chunks_exact(self.dims).zip(&all);
        self.embeddings =
            means.flat_map(|(sum, &images)| sum.iter().map(move |sum| (sum / f64::from(images)) as f32)).collect();
        self.identity = (0..self.identities.len() as u32).collect();
        self.images = all;
        self.unsaved.rows = None;
    }

    /// What is nearest to each of `probes`.
    fn nearest(&self, probes: &[f32], k: usize) -> Vec<Nearest> {
        let (embeddings, identity) = (&self.embeddings, &self.identity);
        Enrolled { embeddings, identity, dims: self.dims, distance: self.distance }.nearest(probes, k)
    }

    /// Whether a probe at this distance is accepted.
    fn admits(&self, distance: f32) -> bool {
        self.threshold.is_none_or(|threshold| distance <= threshold.distance)
    }

    /// The identity that most of the nearest embeddings have, of those within the threshold; of equally many the one
    /// whose ranks sum up to less. `None` where no embedding is within.
    fn vote(&self, nearest: &Nearest) -> Option<u32> {
        let within = nearest.embeddings.iter().filter(|&&(distance, ..)| self.admits(distance));
        let mut votes: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for (rank, (.., identity)) in within.enumerate() {
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
        self.recognise_all(probe, k).pop().expect("an answer to each probe")
    }

    /// [`Gallery::recognise`] for many probes, `[rows, dims]`.
    pub fn recognise_all(&self, probes: &[f32], k: usize) -> Vec<Answer> {
        assert!(k > 0, "nobody votes");
        self.nearest(probes, k).iter().map(|nearest| self.answer(nearest)).collect()
    }

    fn answer(&self, nearest: &Nearest) -> Answer {
        let [first, second] = nearest.identities;
        let (least, first) = first.expect("somebody is enrolled");
        let winner = if nearest.k == 1 { self.admits(least).then_some(first) } else { self.vote(nearest) };
        let (distance, other) = match winner.filter(|&winner| winner != first) {
            None => (least, second),
            Some(winner) => {
                // Who wins has one of the nearest embeddings.
                let own = nearest.embeddings.iter().find(|(.., identity)| *identity == winner).expect("it has votes");
                (own.0, Some((least, first)))
            }
        };
        let name = |identity: u32| self.identities[identity as usize].clone();
        Answer {
            identity: winner.map(name),
            nearest: name(first),
            distance,
            margin: other.map(|(other, _)| other - distance),
        }
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
        let nearest: Vec<_> = self.nearest(probes, 1).into_iter().map(|nearest| nearest.identities).collect();
        let numbers: Vec<_> = names.iter().map(|name| self.number(name)).collect();
        let rows = || nearest.iter().zip(&numbers);
        let needed = (1.0 / far - 1e-9).ceil() as usize;
        let strangers: Vec<f32> = rows()
            .filter(|(_, number)| number.is_none())
            .filter_map(|(nearest, _)| nearest[0].map(|(distance, _)| distance))
            .collect();
        let mut scores = if strangers.len() >= needed {
            strangers
        } else {
            let others = rows().map(|(nearest, own)| {
                let mut nearest = nearest.iter().flatten();
                nearest.find(|(_, identity)| Some(*identity) != *own).map(|(distance, _)| *distance)
            });
            others.flatten().collect()
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
}
