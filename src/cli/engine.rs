//! What runs the plans: the CPU, or a device.

use std::sync::Arc;

use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::{Result, cpu, gpu};

use super::Failure;

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
        let is = |name| adapter.eq_ignore_ascii_case(name);
        if is("cpu") || (is("auto") && gpu::adapters().iter().all(|adapter| adapter.kind == "cpu")) {
            return Ok(Engine::Cpu);
        }
        gpu::open(adapter).map(Engine::Gpu)
    }

    /// Name, kind and driver in a line.
    pub fn title(&self) -> String {
        match self {
            Engine::Cpu => "CPU runner".to_owned(),
            Engine::Gpu(device) => format!("{}, {}", device.report().title(), device.report().driver),
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
            Engine::Gpu(device) => gpu::variant(&device.features(), at).name.to_owned(),
        };
        plan.distinct().iter().map(|at| (at.to_string(), variant(at))).collect()
    }

    /// Does a job on runners of this engine.
    pub fn run<J: Job>(&self, job: J) -> Result<J::Output, Failure> {
        match self {
            Engine::Cpu => job.run(|plan| Ok(cpu::Runner::<f32>::new(plan))),
            Engine::Gpu(device) => job.run(|plan| gpu::Runner::new(device.clone(), plan)),
        }
    }
}
