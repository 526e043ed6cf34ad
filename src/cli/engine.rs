//! What runs the plans: the CPU, or a device.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use siamese::config::Storage;
use siamese::gpu::Tuned;
use siamese::output::{self, Kind};
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::{Error, Result, cpu, gpu, memory};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use super::crew::Local;
use super::{Failure, Tune, TuneArgs};
use crate::report::counter;

/// The CPU's threads, or an open device.
pub enum Engine {
    /// The processor, on all threads.
    Cpu,
    /// A device.
    Gpu(Arc<gpu::Device>),
}

/// Work that any runner can do.
pub trait Job {
    /// What comes of it.
    type Output;
    /// Does it with runners that `make` makes.
    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<Self::Output, Failure>;
}

impl Engine {
    /// Opens what `--adapter` names. `auto` is the best GPU, or without one the processor, which its own routines use
    /// several times better than shaders on software Vulkan do.
    pub fn open(adapter: &str) -> Result<Engine> {
        Engine::open_one(adapter, 0)
    }

    /// As [`Engine::open`], for a rank of a crew, of which several share a machine and so its adapters and the threads
    /// of its processor. Of a list of adapters, with commas between, it gets its own in turn.
    pub fn open_for(adapters: &str, (rank, ranks): Local) -> Result<Engine> {
        // Who says it by rayon's own variable has thought of it.
        if ranks > 1 && std::env::var_os("RAYON_NUM_THREADS").is_none() {
            let own = std::thread::available_parallelism().map_or(1, usize::from);
            // Where the launcher has given the rank some processors of its own, they are divided already.
            let all =
                System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing())).cpus().len();
            let threads = own.min((all / ranks).max(1));
            if own * ranks < all {
                say!(
                    "warning: the launcher binds each of {ranks} ranks to {own} of {all} processors; `mpirun --bind-to \
                     none` leaves them all"
                );
            }
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
            pool.map_err(|error| Error::config("--crew", format!("cannot start {threads} threads: {error}")))?;
        }
        let list: Vec<_> = adapters.split(',').map(str::trim).collect();
        Engine::open_one(list[rank % list.len()], rank / list.len())
    }

    fn open_one(adapter: &str, place: usize) -> Result<Engine> {
        let is = |name| adapter.eq_ignore_ascii_case(name);
        if is("cpu") || (is("auto") && gpu::adapters().iter().all(|adapter| adapter.kind == "cpu")) {
            return Ok(Engine::Cpu);
        }
        gpu::open_one(adapter, place).map(Engine::Gpu)
    }

    /// Name, kind and driver in a line.
    pub fn title(&self) -> String {
        match self {
            Engine::Cpu => "CPU runner".to_owned(),
            Engine::Gpu(device) => format!("{}, {}", device.report().title(), device.report().driver),
        }
    }

    /// Bytes that the images of a set may have to lie on it all at once: what a device binds; of the processor's
    /// memory, where they lie twice, a quarter.
    pub fn most_images(&self) -> u64 {
        match self {
            Engine::Cpu => memory::available() / 4,
            Engine::Gpu(device) => device.most_array(),
        }
    }

    /// What a run's manifest says of it.
    pub fn manifest(&self) -> serde_json::Value {
        match self {
            Engine::Cpu => serde_json::json!({ "name": "cpu" }),
            Engine::Gpu(device) => serde_json::json!(device.report()),
        }
    }

    /// Name of the shader or routine that each distinct call of a plan gets.
    pub fn variants(&self, plan: &Plan) -> Vec<(String, String)> {
        let variant = |at: &siamese::kernel::At| match self {
            Engine::Cpu => at.routine_for_shape().map_or(at.name(), |routine| routine.name).to_owned(),
            Engine::Gpu(device) => device.variant(at).name.to_owned(),
        };
        plan.distinct().iter().map(|at| (at.to_string(), variant(at))).collect()
    }

    /// The engine for a training that stores images and activations so. A device without cooperative matrices trains
    /// with f16 alone, which is said.
    ///
    /// # Errors
    /// [`siamese::Error::Config`] where the CPU runner is to store in 16 bits; a device speaks for itself.
    pub fn storing(self, storage: Storage) -> Result<Engine> {
        match (&self, storage) {
            (Engine::Cpu, Storage::F16 | Storage::F16Matrix) => {
                let reason = "the CPU runner stores in 32 bits; name a device with --adapter, or leave --precision out";
                Err(Error::config("--precision", reason))
            }
            (_, Storage::F16Matrix) => self.with_matrices(),
            _ => Ok(self),
        }
    }

    /// The engine with shaders that multiply by cooperative matrices, if it has any; if not, that is said.
    ///
    /// # Errors
    /// What the device reports.
    pub fn with_matrices(self) -> Result<Engine> {
        match &self {
            Engine::Gpu(device) if !device.report().matrices.is_empty() => device.with_matrices().map(Engine::Gpu),
            Engine::Gpu(device) => {
                say!("{} has no cooperative matrices of 16 bits: it goes without", device.report().title());
                Ok(self)
            }
            Engine::Cpu => Ok(self),
        }
    }

    /// Chooses the shaders of a plan as the arguments say.
    ///
    /// # Errors
    /// [`siamese::Error::Config`] for a shader that no call can take, and what the device reports.
    pub fn tune(&self, plan: &Plan, args: &TuneArgs) -> Result<()> {
        let Engine::Gpu(device) = self else {
            return match args.shaders.as_slice() {
                [] => Ok(()),
                _ => Err(Error::config("--shader", "the CPU runner has none; name a device with --adapter")),
            };
        };
        device.want(plan, &args.shaders)?;
        if args.tune == Tune::Off {
            return Ok(());
        }
        let file = dirs::cache_dir().map(|folder| folder.join("siamese").join("shaders.json"));
        // What cannot be read is measured again.
        let text = file.as_ref().and_then(|file| fs::read(file).ok());
        let mut all: BTreeMap<String, gpu::Choices> =
            text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let known = all.entry(self.title()).or_default();
        if args.tune == Tune::Again {
            *known = gpu::Choices::default();
        } else if known.is_empty() && device.features().on_cpu {
            // Software Vulkan takes seconds to compile one shader more, and the rule was measured on it.
            return Ok(());
        }
        let mut bar = None;
        let tuned = device.tune(plan, known, |done, total| {
            if done < total {
                let begin = || {
                    say!("comparing shaders …");
                    counter(total as u64, "calls")
                };
                bar.get_or_insert_with(begin).set_position(done as u64);
            }
        })?;
        let Tuned { calls, measured, left } = tuned;
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        if left > 0 {
            say!("compared the shaders of {measured} of {calls} calls; the rest is left to the next start");
        }
        if let Some(file) = file.filter(|_| measured > 0) {
            let text = serde_json::to_vec(&all).expect("plain data");
            let folder = file.parent().expect("it lies in a folder");
            let kept = fs::create_dir_all(folder).map_err(Error::io("make folder", folder));
            if let Err(error) = kept.and_then(|()| output::write(&file, Kind::OWN, &text)) {
                say!("warning: the choice of shaders is not kept: {error}");
            }
        }
        Ok(())
    }

    /// Takes the shaders that a run's manifest, or another rank, names.
    pub fn repeat(&self, shaders: &[(String, String)]) {
        if let Engine::Gpu(device) = self {
            shaders.iter().for_each(|(call, shader)| device.choose(call, shader));
        }
    }

    /// Does a job on runners of this engine.
    pub fn run<J: Job>(&self, job: J) -> Result<J::Output, Failure> {
        match self {
            Engine::Cpu => job.run(|plan| {
                memory::check("the network with its batch", plan.bytes())?;
                Ok(cpu::Runner::<f32>::new(plan))
            }),
            Engine::Gpu(device) => job.run(|plan| gpu::Runner::new(device.clone(), plan)),
        }
    }
}
