//! Adapters, the choice among them, and the device with its errors.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::pipeline::{Features, PipelineKey};
use super::tune::Preferences;
use crate::error::{Error, Result};

/// An adapter as `siamese adapters` lists it.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterReport {
    /// Place in the list, by which `--adapter` can choose it.
    pub index: usize,
    /// Name of the hardware.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `gl`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub kind: String,
    /// Driver and its version.
    pub driver: String,
    /// Smallest and largest subgroup, 0 where there are none.
    pub subgroup: [u32; 2],
    /// Optional features that matter here: `f16`, `int64`, `subgroups`, `timestamps`.
    pub features: Vec<String>,
    /// Rows of the square cooperative matrices of 16 bits that it multiplies and sums in 32.
    pub matrices: Vec<u32>,
    /// Bytes that one binding may have.
    pub max_binding: u64,
    /// Bytes that one buffer may have.
    pub max_buffer: u64,
    /// Bytes of workgroup memory.
    pub max_workgroup_memory: u32,
    /// Threads of a workgroup.
    pub max_invocations: u32,
}

impl AdapterReport {
    fn new(index: usize, adapter: &wgpu::Adapter) -> Self {
        let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "cpu",
            wgpu::DeviceType::Other => "other",
        };
        let named = [
            ("f16", wgpu::Features::SHADER_F16),
            ("int64", wgpu::Features::SHADER_INT64),
            ("subgroups", wgpu::Features::SUBGROUP),
            ("timestamps", wgpu::Features::TIMESTAMP_QUERY),
        ];
        AdapterReport {
            index,
            name: info.name.clone(),
            backend: info.backend.to_string().to_lowercase(),
            kind: kind.to_owned(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            subgroup: if features.contains(wgpu::Features::SUBGROUP) {
                [info.subgroup_min_size, info.subgroup_max_size]
            } else {
                [0, 0]
            },
            features: named
                .into_iter()
                .filter(|&(_, feature)| features.contains(feature))
                .map(|(name, _)| name.to_owned())
                .collect(),
            matrices: matrices(adapter),
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            max_workgroup_memory: limits.max_compute_workgroup_storage_size,
            max_invocations: limits.max_compute_invocations_per_workgroup,
        }
    }

    /// How much rather `auto` takes it than another.
    fn rank(&self) -> usize {
        let kind = ["other", "cpu", "virtual", "integrated", "discrete"].iter().position(|kind| *kind == self.kind);
        // OpenGL's compute shaders come last among the ways to one piece of hardware.
        2 * kind.unwrap_or(0) + usize::from(self.backend != "gl")
    }

    /// In a few words: `NVIDIA A100 (vulkan, discrete)`.
    pub fn title(&self) -> String {
        format!("{} ({}, {})", self.name, self.backend, self.kind)
    }
}

/// See [`AdapterReport::matrices`].
fn matrices(adapter: &wgpu::Adapter) -> Vec<u32> {
    use wgpu::CooperativeScalarType::{F16, F32};
    let suits = |rows: u32, own: &wgpu::CooperativeMatrixProperties| {
        [own.m_size, own.n_size, own.k_size] == [rows; 3] && (own.ab_type, own.cr_type) == (F16, F32)
    };
    let offered = adapter.cooperative_matrix_properties();
    [8, 16].into_iter().filter(|&rows| offered.iter().any(|own| suits(rows, own))).collect()
}

fn enumerate() -> Vec<(AdapterReport, wgpu::Adapter)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12 | wgpu::Backends::GL;
    let instance = wgpu::Instance::new(descriptor);
    pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()))
        .into_iter()
        .enumerate()
        .map(|(index, adapter)| (AdapterReport::new(index, &adapter), adapter))
        .collect()
}

/// Every adapter of this machine that wgpu finds.
pub fn adapters() -> Vec<AdapterReport> {
    enumerate().into_iter().map(|(report, _)| report).collect()
}

/// Opens the best adapter that `wanted` names: `auto`, a backend (`vulkan`, `metal`, `dx12`, `gl`), an index of
/// [`adapters`], or a part of a name, case ignored. Real GPUs go before software.
///
/// # Errors
/// [`Error::NoAdapter`] with what was found; [`Error::Device`] where the driver refuses.
pub fn open(wanted: &str) -> Result<Arc<Device>> {
    open_one(wanted, 0)
}

/// As [`open`], for programs that share a machine: where several adapters are as good as the best, and reached the same
/// way, they are dealt out in turn, and this is program number `place`.
///
/// # Errors
/// As there.
pub fn open_one(wanted: &str, place: usize) -> Result<Arc<Device>> {
    let found = enumerate();
    let titles = found.iter().map(|(report, _)| format!("{}: {}", report.index, report.title())).collect();
    let lower = wanted.to_lowercase();
    let fits = |report: &AdapterReport| match (lower.as_str(), lower.parse::<usize>()) {
        ("auto", _) => true,
        ("vulkan" | "metal" | "dx12" | "gl", _) => report.backend == lower,
        (_, Ok(index)) => report.index == index,
        (name, _) => report.name.to_lowercase().contains(name),
    };
    let mut fitting: Vec<_> = found.into_iter().filter(|(report, _)| fits(report)).collect();
    // Stable: of equals the first comes first.
    fitting.sort_by_key(|(report, _)| Reverse(report.rank()));
    let like_best =
        |report: &AdapterReport, best: &AdapterReport| (report.rank(), &report.backend) == (best.rank(), &best.backend);
    let alike = fitting.iter().take_while(|(report, _)| like_best(report, &fitting[0].0)).count();
    if alike == 0 {
        return Err(Error::NoAdapter { wanted: wanted.to_owned(), found: titles });
    }
    let (report, adapter) = fitting.swap_remove(place % alike);
    Device::new(report, adapter, false)
}

/// What has been made on a device; a step must not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Compute pipelines.
    pub pipelines: usize,
    /// Buffers.
    pub buffers: usize,
    /// Bytes of the buffers.
    pub bytes: u64,
    /// Bind groups.
    pub bind_groups: usize,
}

/// An open device.
pub struct Device {
    pub(super) wgpu: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    report: AdapterReport,
    adapter: wgpu::Adapter,
    fault: Arc<Mutex<Option<String>>>,
    pub(super) preferences: Mutex<Preferences>,
    pub(super) pipelines: Mutex<HashMap<PipelineKey, wgpu::ComputePipeline>>,
    pub(super) pipelines_made: AtomicUsize,
    pub(super) buffers_made: AtomicUsize,
    pub(super) bytes_made: AtomicU64,
    pub(super) bind_groups_made: AtomicUsize,
}

impl Device {
    fn new(report: AdapterReport, adapter: wgpu::Adapter, matrices: bool) -> Result<Arc<Device>> {
        let mut features = wgpu::Features::SUBGROUP
            | wgpu::Features::SHADER_F16
            | wgpu::Features::SHADER_INT64
            | wgpu::Features::TIMESTAMP_QUERY;
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if matrices && !report.matrices.is_empty() {
            features |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            // Safety: only shaders of the registry use it. They load and store tiles within arrays of workgroup memory,
            // in control flow that is the same in a whole subgroup, and tests prove each.
            experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let descriptor = wgpu::DeviceDescriptor {
            required_features: adapter.features() & features,
            required_limits: adapter.limits(),
            experimental_features,
            ..Default::default()
        };
        let (wgpu, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| Error::Device { adapter: report.title(), reason: error.to_string() })?;
        let fault = Arc::new(Mutex::new(None));
        let store = |fault: &Arc<Mutex<Option<String>>>| {
            let fault = fault.clone();
            move |reason: String| {
                // The first error is the cause, the later ones follow from it.
                fault.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(reason);
            }
        };
        let (on_error, on_loss) = (store(&fault), store(&fault));
        wgpu.on_uncaptured_error(Arc::new(move |error: wgpu::Error| on_error(error.to_string())));
        wgpu.set_device_lost_callback(move |reason, message| on_loss(format!("device lost ({reason:?}): {message}")));
        Ok(Arc::new(Device {
            wgpu,
            queue,
            report,
            adapter,
            fault,
            preferences: Mutex::default(),
            pipelines: Mutex::default(),
            pipelines_made: AtomicUsize::new(0),
            buffers_made: AtomicUsize::new(0),
            bytes_made: AtomicU64::new(0),
            bind_groups_made: AtomicUsize::new(0),
        }))
    }

    /// The adapter opened once more, so that shaders may multiply by cooperative matrices where it has them. wgpu calls
    /// that experimental, so no device is opened so by itself.
    ///
    /// # Errors
    /// [`Error::Device`] where the driver refuses.
    pub fn with_matrices(&self) -> Result<Arc<Device>> {
        self.open_again(true)
    }

    /// Another device of the same adapter, with or without cooperative matrices.
    pub(super) fn open_again(&self, matrices: bool) -> Result<Arc<Device>> {
        Device::new(self.report.clone(), self.adapter.clone(), matrices)
    }

    /// What it runs on.
    pub fn report(&self) -> &AdapterReport {
        &self.report
    }

    /// What its shaders may use.
    pub fn features(&self) -> Features {
        Features {
            subgroup: self.report.subgroup,
            on_cpu: self.report.kind == "cpu",
            half: self.wgpu.features().contains(wgpu::Features::SHADER_F16),
            int64: self.wgpu.features().contains(wgpu::Features::SHADER_INT64),
            matrices: match self.wgpu.features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
                true => self.report.matrices.clone(),
                false => Vec::new(),
            },
        }
    }

    /// Whether it can say when it began and ended something.
    pub(super) fn has_timestamps(&self) -> bool {
        self.wgpu.features().contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// What has been made so far.
    pub fn made(&self) -> Made {
        Made {
            pipelines: self.pipelines_made.load(Ordering::Relaxed),
            buffers: self.buffers_made.load(Ordering::Relaxed),
            bytes: self.bytes_made.load(Ordering::Relaxed),
            bind_groups: self.bind_groups_made.load(Ordering::Relaxed),
        }
    }

    pub(super) fn error(&self, reason: impl ToString) -> Error {
        Error::Device { adapter: self.report.title(), reason: reason.to_string() }
    }

    /// The first error that the driver has reported since the last check.
    pub(super) fn check(&self) -> Result<()> {
        match self.fault.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take() {
            None => Ok(()),
            Some(reason) => Err(self.error(reason)),
        }
    }

    /// Runs `make` and turns errors of what it creates into results.
    pub(super) fn scoped<T>(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let memory = self.wgpu.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.wgpu.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make();
        let errors = [pollster::block_on(validation.pop()), pollster::block_on(memory.pop())];
        match errors.into_iter().flatten().next() {
            Some(error) => Err(self.error(error)),
            None => made,
        }
    }

    /// Waits for a submission, or for all.
    pub(super) fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let waited = self.wgpu.poll(wgpu::PollType::Wait { submission_index: submission, timeout: None });
        self.check()?;
        waited.map(drop).map_err(|error| self.error(error))
    }
}
