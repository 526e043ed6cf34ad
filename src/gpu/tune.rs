//! The choice among the shaders of a call by measuring them on the device.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Device, Launch};
use crate::error::{Error, Result};
use crate::kernel::{ArgAt, At, ShaderAt, grid};
use crate::kernels;
use crate::plan::Plan;
use crate::text::hex;

/// Nothing more is begun after this long, so that all is over within two seconds.
const BUDGET: Duration = Duration::from_millis(1500);
/// A sample takes at least this long, if the call does.
const SAMPLE: Duration = Duration::from_millis(1);
/// Workgroups that a sample starts with.
const GROUPS: usize = 16;
/// Most launches of a sample.
const LAUNCHES: usize = 64;
/// What another shader must beat of the time of the rule's: less is noise.
const WIN: f64 = 0.9;

/// Which shader each call gets on one device, as measured: plain data, to be kept for the next start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Choices(BTreeMap<String, Choice>);

impl Choices {
    /// Whether nothing has been measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Choice {
    shader: String,
    /// Of the texts of the shaders that were compared.
    digest: String,
    /// What each took.
    microseconds: BTreeMap<String, f64>,
}

/// What [`Device::tune`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuned {
    /// Calls that have several shaders.
    pub calls: usize,
    /// Those measured now.
    pub measured: usize,
    /// Those for which there was no time.
    pub left: usize,
}

/// What the shaders of calls are chosen by, before the rule.
#[derive(Debug, Default)]
pub(super) struct Preferences {
    /// Shaders that the user wants wherever they fit.
    wanted: Vec<String>,
    /// Call, shader.
    chosen: BTreeMap<String, String>,
}

fn digest(shaders: &[ShaderAt]) -> String {
    let mut hash = Sha256::new();
    shaders.iter().for_each(|shader| hash.update(&shader.source));
    hex(&hash.finalize()[..8])
}

/// The fastest shader, if it beats the rule's.
fn winner(microseconds: &BTreeMap<String, f64>, rule: &str) -> String {
    let (fastest, time) = microseconds.iter().min_by(|a, b| a.1.total_cmp(b.1)).expect("several shaders");
    if *time < WIN * microseconds[rule] { fastest.clone() } else { rule.to_owned() }
}

impl Device {
    /// The shaders of a call that this device can run, the most specialised last.
    pub fn offered(&self, at: &At) -> Vec<ShaderAt> {
        let mut shaders = at.shaders();
        shaders.retain(|shader| self.features().offer(shader));
        shaders
    }

    /// The shader that a call gets: one that was asked for by [`Device::want`], else the one that was chosen by
    /// [`Device::choose`] or [`Device::tune`], else by the rule, [`variant`](super::variant).
    pub fn variant(&self, at: &At) -> ShaderAt {
        let preferences = self.preferences.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut offered = self.offered(at);
        let wanted = offered.iter().rposition(|shader| preferences.wanted.iter().any(|name| name == shader.name));
        let chosen = preferences.chosen.get(&at.to_string());
        let chosen = || offered.iter().position(|shader| chosen.is_some_and(|name| name == shader.name));
        match wanted.or_else(chosen) {
            Some(place) => offered.swap_remove(place),
            None => super::variant(&self.features(), at),
        }
    }

    /// Lets the calls of `plan` have these shaders wherever they fit.
    ///
    /// # Errors
    /// [`Error::Config`] for a shader that no call of the plan can take here.
    pub fn want(&self, plan: &Plan, shaders: &[String]) -> Result<()> {
        let offered: Vec<_> =
            plan.distinct().iter().flat_map(|at| self.offered(at)).map(|shader| shader.name).collect();
        for name in shaders {
            let known = kernels::all().iter().any(|kernel| kernel.shaders.contains(&name.as_str()));
            if !offered.contains(&name.as_str()) {
                let reason = match known {
                    true => format!("no call of this network can take `{name}` on {}", self.report().title()),
                    false => format!("there is no shader `{name}`; shaders/ has them all"),
                };
                return Err(Error::config("--shader", reason));
            }
        }
        self.preferences.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).wanted = shaders.to_vec();
        Ok(())
    }

    /// Lets the call with this text have a shader, as an earlier run did; if the device does not offer it, the rule
    /// decides.
    pub fn choose(&self, call: &str, shader: &str) {
        let mut preferences = self.preferences.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        preferences.chosen.insert(call.to_owned(), shader.to_owned());
    }

    /// Chooses the fastest shader for each call of `plan` that has several: what `known` knows of the same texts is
    /// taken over, the rest is measured, the heaviest calls first, for at most two seconds (one of them however long it
    /// takes, so that every start knows more), and added to `known`. Calls for which there is no time are left to the
    /// rule, and to the next start. `progress` hears of calls done and in all.
    ///
    /// # Errors
    /// [`Error::Limit`] where it cannot hold the plan; what the device reports.
    pub fn tune(&self, plan: &Plan, known: &mut Choices, mut progress: impl FnMut(usize, usize)) -> Result<Tuned> {
        self.fits(plan)?;
        let begin = Instant::now();
        let features = self.features();
        let mut calls: Vec<_> = plan.distinct().into_iter().map(|at| (features.candidates(&at), at)).collect();
        calls.retain(|(candidates, _)| candidates.len() > 1);
        calls.sort_by_key(|(_, at)| Reverse(at.work().flops));
        let mut tuned = Tuned { calls: calls.len(), measured: 0, left: 0 };
        for (done, (candidates, at)) in calls.iter().enumerate() {
            let (call, digest) = (at.to_string(), digest(candidates));
            if known.0.get(&call).is_none_or(|choice| choice.digest != digest) {
                progress(done, calls.len());
                let begin = (tuned.measured > 0).then_some(begin);
                let Some(mut microseconds) = self.compare(at, candidates, begin)? else {
                    tuned.left += 1;
                    continue;
                };
                let rule = super::variant(&features, at).name;
                let mut shader = winner(&microseconds, rule);
                if shader != rule {
                    // Something else may have kept the device busy: what beats the rule must do so twice.
                    let mut both = candidates.clone();
                    both.retain(|candidate| candidate.name == rule || candidate.name == shader);
                    for (name, time) in self.compare(at, &both, begin)?.into_iter().flatten() {
                        microseconds.entry(name).and_modify(|best| *best = best.min(time));
                    }
                    shader = winner(&microseconds, rule);
                }
                known.0.insert(call.clone(), Choice { shader, digest, microseconds });
                tuned.measured += 1;
            }
            self.choose(&call, &known.0[&call].shader);
        }
        progress(calls.len(), calls.len());
        Ok(tuned)
    }

    /// Microseconds that a launch of each shader takes; `None` where the time since `begin` ran out.
    fn compare(&self, at: &At, shaders: &[ShaderAt], begin: Option<Instant>) -> Result<Option<BTreeMap<String, f64>>> {
        let args = at.args();
        let buffers = self.scoped(|| {
            let buffer = |arg: &ArgAt| self.buffer(at.name(), arg.bytes(), wgpu::BufferUsages::STORAGE);
            Ok(args.iter().map(buffer).collect::<Vec<_>>())
        })?;
        let mut times = BTreeMap::new();
        for shader in shaders.iter().rev() {
            if begin.is_some_and(|begin| begin.elapsed() > BUDGET) {
                return Ok(None);
            }
            let (pipeline, bind_group) = self.scoped(|| {
                let pipeline = self.pipeline(at, shader)?;
                let ranges = buffers.iter().zip(args).map(|(buffer, arg)| (buffer, 0..arg.bytes()));
                let bind_group = self.bind_group(at.name(), &pipeline, ranges);
                Ok((pipeline, bind_group))
            })?;
            let launch = |groups: usize, times: usize| {
                let (pipeline, bind_group) = (pipeline.clone(), bind_group.clone());
                Launch { pipeline, bind_group, grid: grid(groups) }.run(self, times)
            };
            times.insert(shader.name.to_owned(), 1e6 * sample(shader.groups, launch)?);
        }
        Ok(Some(times))
    }
}

/// Seconds of one whole launch. A part of the workgroups stands for all where they take long: a shader that is a
/// hundred times too slow must not cost a hundred times as much to find out about.
fn sample(all: usize, launch: impl Fn(usize, usize) -> Result<Duration>) -> Result<f64> {
    // Drivers compile at the first launch.
    launch(1, 1)?;
    let (mut groups, mut times) = (GROUPS.min(all), 1);
    let mut time = launch(groups, times)?;
    while time < SAMPLE && (groups < all || times < LAUNCHES) {
        if groups < all {
            groups = (4 * groups).min(all);
        } else {
            times *= 4;
        }
        time = launch(groups, times)?;
    }
    let time = time.min(launch(groups, times)?).min(launch(groups, times)?);
    Ok(time.as_secs_f64() / times as f64 * all as f64 / groups as f64)
}
