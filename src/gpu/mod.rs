//! The GPU runner, the only place that names wgpu. Pipelines, buffers and bind groups are made once, in
//! [`Runner::new`]; a step only writes, encodes and submits.

mod device;
mod memory;
mod pipeline;
mod probe;
mod timing;
mod tune;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use device::{AdapterReport, Device, adapters, open, open_one};
pub use pipeline::{Features, variant};
pub use probe::Probe;
pub use tune::{Choices, Tuned};

use crate::error::{Error, Result};
use crate::host::Array;
use crate::kernel::{At, Element, grid};
use crate::plan::{Plan, Role, SlotId};
use crate::run::Values;
use memory::{Memory, Ring, Staging, from_device, to_device};

/// A call ready to be encoded.
struct Launch {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    grid: [u32; 2],
}

impl Launch {
    fn encode(&self, pass: &mut wgpu::ComputePass) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], 1);
    }

    /// Runs it by itself so many times in one submission, waits, and tells how long that took.
    fn run(&self, device: &Device, times: usize) -> Result<Duration> {
        let start = Instant::now();
        let mut encoder = device.wgpu.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        (0..times).for_each(|_| self.encode(&mut pass));
        drop(pass);
        let submission = device.queue.submit([encoder.finish()]);
        device.wait(Some(submission))?;
        Ok(start.elapsed())
    }
}

/// Runs a plan on a device.
pub struct Runner {
    device: Arc<Device>,
    plan: Arc<Plan>,
    memory: Memory,
    launches: Vec<Launch>,
    ring: Ring,
    staging: Staging,
    /// Work that is encoded and not yet submitted: a step and the copy of its statistics share one submission.
    pending: Option<wgpu::CommandEncoder>,
}

impl Runner {
    /// Makes buffers, pipelines and bind groups of a plan.
    ///
    /// # Errors
    /// [`crate::Error::Limit`] where the adapter cannot hold a buffer, [`crate::Error::Device`] for what the driver
    /// reports.
    pub fn new(device: Arc<Device>, plan: Arc<Plan>) -> Result<Self> {
        Self::with(device, plan, None)
    }

    fn with(device: Arc<Device>, plan: Arc<Plan>, shared: Option<(&Plan, &Memory)>) -> Result<Self> {
        let stored_half = plan.slots().iter().find(|slot| slot.element == Element::F16);
        if let Some(slot) = stored_half.filter(|_| !device.features().half) {
            let reason = format!("{} has no 16-bit floats to store `{}` in", device.report().title(), slot.name);
            return Err(Error::config("--precision", reason));
        }
        device.fits(&plan)?;
        let compiled = device.pipelines(plan.calls())?;
        let (memory, ring, launches) = device.scoped(|| {
            let memory = Memory::new(&device, &plan, shared);
            let ring = Ring::new(&device, &plan);
            let launches = plan.calls().iter().zip(compiled).map(|(call, (pipeline, groups))| {
                let bind_group = memory.bind_group(&device, &plan, call, &pipeline);
                Launch { pipeline, bind_group, grid: grid(groups) }
            });
            let launches = launches.collect();
            Ok((memory, ring, launches))
        })?;
        Ok(Runner { device, plan, memory, launches, ring, staging: Staging::default(), pending: None })
    }

    /// The device it runs on.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    fn launches(&self, calls: Range<usize>) -> &[Launch] {
        &self.launches[calls]
    }

    /// Submits what is encoded.
    fn flush(&mut self) -> Result<()> {
        if let Some(encoder) = self.pending.take() {
            let submission = self.device.queue.submit([encoder.finish()]);
            self.ring.submitted(&submission);
        }
        self.device.check()
    }

    fn encoder(&mut self) -> &mut wgpu::CommandEncoder {
        self.pending.get_or_insert_with(|| self.device.wgpu.create_command_encoder(&Default::default()))
    }

    /// Waits until everything submitted is done.
    pub fn wait(&mut self) -> Result<()> {
        self.flush()?;
        self.device.wait(None)
    }
}

impl crate::run::Runner for Runner {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn write<'a>(&mut self, slot: SlotId, values: impl Into<Values<'a>>) -> Result<()> {
        self.flush()?;
        let bytes = to_device(values.into(), self.plan.slot(slot).element);
        let (buffer, range) = self.memory.range(&self.plan, slot);
        assert_eq!(bytes.len() as u64, range.end - range.start, "slot `{}`", self.plan.slot(slot).name);
        self.device.queue.write_buffer(buffer, range.start, &bytes);
        Ok(())
    }

    fn write_part(&mut self, slot: SlotId, start: usize, values: &[u32]) -> Result<()> {
        self.flush()?;
        let (buffer, range) = self.memory.range(&self.plan, slot);
        let (start, bytes) = (range.start + 4 * start as u64, bytemuck::cast_slice(values));
        assert!(start + bytes.len() as u64 <= range.end, "slot `{}`", self.plan.slot(slot).name);
        self.device.queue.write_buffer(buffer, start, bytes);
        let written = self.device.queue.submit([]);
        self.device.wait(Some(written))
    }

    fn run(&mut self, calls: Range<usize>) -> Result<()> {
        self.encoder();
        let encoder = self.pending.as_mut().expect("made above");
        let mut pass = encoder.begin_compute_pass(&Default::default());
        self.launches[calls].iter().for_each(|launch| launch.encode(&mut pass));
        Ok(())
    }

    fn widen(&self, at: &At) -> f64 {
        self.device.variant(at).widen
    }

    fn read(&mut self, slot: SlotId) -> Result<Array> {
        self.flush()?;
        let (buffer, range) = self.memory.range(&self.plan, slot);
        let slot = self.plan.slot(slot);
        let bytes = self.staging.read(&self.device, buffer, range)?;
        Ok(from_device(&bytes, slot.element, slot.len()))
    }

    fn profile(&mut self, calls: Range<usize>) -> Result<Vec<Duration>> {
        self.flush()?;
        if self.device.has_timestamps() { self.by_timestamps(calls) } else { self.one_by_one(calls) }
    }

    fn snapshot(&mut self, slot: SlotId) -> Result<()> {
        assert_eq!(self.plan.slot(slot).role, Role::Statistic, "only statistics are copied each step");
        self.encoder();
        let encoder = self.pending.as_mut().expect("made above");
        let (buffer, range) = self.memory.range(&self.plan, slot);
        self.ring.copy(encoder, buffer, range, self.plan.slot(slot).element);
        Ok(())
    }

    fn collect(&mut self, keep: usize) -> Result<Vec<Array>> {
        self.flush()?;
        self.ring.collect(&self.device, keep)
    }

    fn is_on_host(&self) -> bool {
        self.device.features().on_cpu
    }

    fn fork(&self, plan: Arc<Plan>) -> Result<Self> {
        Self::with(self.device.clone(), plan, Some((&self.plan, &self.memory)))
    }
}
