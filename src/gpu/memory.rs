//! Buffers, bind groups, and the ways back to the host.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use half::f16;
use half::slice::HalfFloatSliceExt;
use half::vec::HalfFloatVecExt;

use super::Device;
use crate::error::{Error, Result};
use crate::host::Array;
use crate::kernel::Element;
use crate::plan::{Call, Plan, Role, Slot, SlotId};
use crate::run::Values;

/// Values as the bytes of an array of `element` on a device, padded to a multiple of 4.
pub(super) fn to_device(values: Values<'_>, element: Element) -> Cow<'_, [u8]> {
    match (values, element) {
        (Values::Float(values), Element::F16) => {
            let halves = Vec::<f16>::from_f32_slice(values);
            let mut bytes: Vec<u8> = bytemuck::cast_slice(&halves).to_vec();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            Cow::Owned(bytes)
        }
        (Values::Float(values), _) => Cow::Borrowed(bytemuck::cast_slice(values)),
        (Values::Uint(values), _) => Cow::Borrowed(bytemuck::cast_slice(values)),
    }
}

/// The first `len` values of the bytes of an array of `element` on a device.
pub(super) fn from_device(bytes: &[u8], element: Element, len: usize) -> Array {
    let bytes = &bytes[..element.bytes() as usize * len];
    match element {
        Element::F32 => Array::Float(bytemuck::pod_collect_to_vec(bytes)),
        Element::F16 => Array::Float(bytemuck::pod_collect_to_vec::<u8, f16>(bytes).to_f32_vec()),
        Element::U32 => Array::Uint(bytemuck::pod_collect_to_vec(bytes)),
    }
}

/// Bytes that the shaders can number: images are gathered by bytes, with 32 bits.
const MOST_BYTES: u64 = u32::MAX as u64;

/// What makes an array of this role smaller.
fn remedy(role: Role) -> &'static str {
    match role {
        Role::Parameter | Role::Gradient | Role::Moment | Role::State | Role::Prepared => {
            "a smaller network or `--memory`, or a `--loss` without a vector for each class"
        }
        Role::Input => "fewer images or a smaller `--input`, `--adapter cpu`, which holds what the memory holds",
        Role::Activation | Role::Statistic | Role::Constant => {
            "a smaller `--batch`, network or `--memory`, or a `--loss` without a vector for each class"
        }
    }
}

impl Device {
    /// Bytes of one array at most.
    pub fn most_array(&self) -> u64 {
        let report = self.report();
        report.max_binding.min(report.max_buffer).min(MOST_BYTES)
    }

    /// Whether this device can bind every array of `plan`: data sets, too, lie in one each.
    ///
    /// # Errors
    /// [`Error::Limit`] naming the first array that is too large.
    pub fn fits(&self, plan: &Plan) -> Result<()> {
        let report = self.report();
        let allowed = self.most_array();
        let Some(buffer) = plan.buffers().iter().find(|buffer| buffer.bytes > allowed) else { return Ok(()) };
        let slot = plan.slot(buffer.slot());
        Err(Error::Limit {
            adapter: report.title(),
            what: format!("`{}`", slot.name),
            needed: buffer.bytes,
            allowed,
            remedy: remedy(slot.role),
        })
    }

    pub(super) fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        self.buffers_made.fetch_add(1, Ordering::Relaxed);
        self.bytes_made.fetch_add(size, Ordering::Relaxed);
        self.wgpu.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
    }

    /// Binds byte ranges of buffers, in binding order.
    pub(super) fn bind_group<'a>(
        &self,
        label: &str,
        pipeline: &wgpu::ComputePipeline,
        ranges: impl Iterator<Item = (&'a wgpu::Buffer, Range<u64>)>,
    ) -> wgpu::BindGroup {
        let entries: Vec<_> = ranges
            .enumerate()
            .map(|(binding, (buffer, range))| {
                let size = wgpu::BufferSize::new(range.end - range.start);
                let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: range.start, size });
                wgpu::BindGroupEntry { binding: binding as u32, resource }
            })
            .collect();
        self.bind_groups_made.fetch_add(1, Ordering::Relaxed);
        self.wgpu.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// Reads bytes of a buffer through a buffer made for it. The range is in multiples of 4.
    pub(super) fn read(&self, buffer: &wgpu::Buffer, range: Range<u64>) -> Result<Vec<u8>> {
        Staging::default().read(self, buffer, range)
    }
}

/// A buffer through which others are read, made for the largest read so far.
#[derive(Default)]
pub(super) struct Staging(Option<wgpu::Buffer>);

impl Staging {
    /// Reads bytes of a buffer. The range is in multiples of 4.
    pub(super) fn read(&mut self, device: &Device, buffer: &wgpu::Buffer, range: Range<u64>) -> Result<Vec<u8>> {
        let size = range.end - range.start;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        device.scoped(|| {
            self.0.take_if(|staging| staging.size() < size);
            let staging = self.0.get_or_insert_with(|| device.buffer("read", size, usage));
            let mut encoder = device.wgpu.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(buffer, range.start, staging, 0, size);
            let submission = device.queue.submit([encoder.finish()]);
            let mapped = map(staging, size);
            device.wait(Some(submission))?;
            unmap(device, staging, size, &mapped)
        })
    }
}

/// The buffers of a plan.
pub(super) struct Memory {
    buffers: Vec<wgpu::Buffer>,
}

impl Memory {
    /// Makes the buffers, except those [shared](Role::is_shared) with another plan's memory, of equal name and length.
    pub(super) fn new(device: &Device, plan: &Plan, shared: Option<(&Plan, &Memory)>) -> Self {
        let mut buffers = Vec::with_capacity(plan.buffers().len());
        for buffer in plan.buffers() {
            let slot = plan.slot(buffer.slot());
            let other = shared.filter(|_| slot.role.is_shared()).and_then(|(other, memory)| {
                let id = other.find(&slot.name).filter(|&id| other.slot(id).len() == slot.len())?;
                Some(memory.buffers[other.storage(id).0].clone())
            });
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
            buffers.push(other.unwrap_or_else(|| device.buffer(&slot.name, buffer.bytes, usage)));
        }
        Memory { buffers }
    }

    /// The buffer that holds a slot, and the slot's bytes in it.
    pub(super) fn range(&self, plan: &Plan, slot: SlotId) -> (&wgpu::Buffer, Range<u64>) {
        let (buffer, start) = plan.storage(slot);
        let Slot { element, .. } = plan.slot(slot);
        let (start, size) = (element.bytes() * start as u64, element.bytes() * plan.slot(slot).len() as u64);
        (&self.buffers[buffer], start..start + size.next_multiple_of(4))
    }

    /// The bind group of a call.
    pub(super) fn bind_group(
        &self,
        device: &Device,
        plan: &Plan,
        call: &Call,
        pipeline: &wgpu::ComputePipeline,
    ) -> wgpu::BindGroup {
        device.bind_group(call.at.name(), pipeline, call.args.iter().map(|&slot| self.range(plan, slot)))
    }
}

type Mapped = mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>;

fn map(buffer: &wgpu::Buffer, size: u64) -> Mapped {
    let (sender, receiver) = mpsc::channel();
    // The receiver is gone only when nobody wants the answer any more.
    buffer.map_async(wgpu::MapMode::Read, ..size, move |answer| drop(sender.send(answer)));
    receiver
}

fn unmap(device: &Device, buffer: &wgpu::Buffer, size: u64, mapped: &Mapped) -> Result<Vec<u8>> {
    // Another thread that polls the device may still be about to make the call.
    match mapped.recv_timeout(Duration::from_secs(10)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(device.error(error)),
        Err(_) => return Err(device.error("the device did not answer a read")),
    }
    let view = buffer.get_mapped_range(..size).map_err(|error| device.error(error))?;
    let bytes = view.to_vec();
    drop(view);
    buffer.unmap();
    Ok(bytes)
}

/// Copies of statistics on their way to the host, in buffers made once.
pub(super) struct Ring {
    free: Vec<wgpu::Buffer>,
    /// Copied by an encoder that is not submitted yet.
    encoded: Vec<(wgpu::Buffer, u64, Element)>,
    flying: VecDeque<Flying>,
}

struct Flying {
    buffer: wgpu::Buffer,
    size: u64,
    element: Element,
    mapped: Mapped,
    submission: wgpu::SubmissionIndex,
}

impl Ring {
    /// Most snapshots that may be outstanding.
    const DEPTH: usize = 4;

    pub(super) fn new(device: &Device, plan: &Plan) -> Self {
        let statistics = plan.slots().iter().filter(|slot| slot.role == Role::Statistic);
        let size = statistics.map(|slot| 4 * slot.len() as u64).max();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let free = size
            .map_or(Vec::new(), |size| (0..Self::DEPTH).map(|_| device.buffer("statistics", size, usage)).collect());
        Ring { free, encoded: Vec::new(), flying: VecDeque::new() }
    }

    pub(super) fn copy(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        from: &wgpu::Buffer,
        range: Range<u64>,
        element: Element,
    ) {
        let buffer = self.free.pop().unwrap_or_else(|| panic!("more than {} snapshots outstanding", Self::DEPTH));
        let size = range.end - range.start;
        encoder.copy_buffer_to_buffer(from, range.start, &buffer, 0, size);
        self.encoded.push((buffer, size, element));
    }

    pub(super) fn submitted(&mut self, submission: &wgpu::SubmissionIndex) {
        for (buffer, size, element) in self.encoded.drain(..) {
            let mapped = map(&buffer, size);
            self.flying.push_back(Flying { buffer, size, element, mapped, submission: submission.clone() });
        }
    }

    pub(super) fn collect(&mut self, device: &Device, keep: usize) -> Result<Vec<Array>> {
        let ready = self.flying.len().saturating_sub(keep);
        let mut arrays = Vec::with_capacity(ready);
        for Flying { buffer, size, element, mapped, submission } in self.flying.drain(..ready) {
            device.wait(Some(submission))?;
            let bytes = unmap(device, &buffer, size, &mapped)?;
            arrays.push(from_device(&bytes, element, (size / element.bytes()) as usize));
            self.free.push(buffer);
        }
        Ok(arrays)
    }
}
