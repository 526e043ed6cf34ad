//! One kernel alone, between guard words: what checks and benches run.

use std::sync::Arc;
use std::time::Duration;

use super::memory::{from_device, to_device};
use super::{Device, Launch};
use crate::error::Result;
use crate::host::Array;
use crate::kernel::{ArgAt, At, ShaderAt, grid};
use crate::plan::ALIGNMENT;

/// Pattern of the guard words on both sides of every array.
const GUARD: u32 = 0xdead_beef;
/// Number of guard words on each side.
const GUARDS: usize = ALIGNMENT;

/// A kernel at a shape in one of its shaders, on arrays of its own.
pub struct Probe {
    device: Arc<Device>,
    launch: Launch,
    /// Each argument, with what its buffer held at first.
    arrays: Vec<(wgpu::Buffer, ArgAt, Vec<u8>)>,
}

impl Probe {
    /// Uploads `arrays`, one for each argument, between guard words.
    pub fn new(device: Arc<Device>, at: &At, shader: &ShaderAt, arrays: &[Array]) -> Result<Self> {
        let (pipeline, arrays, bind_group) = device.scoped(|| {
            let pipeline = device.pipeline(at, shader)?;
            let arrays: Vec<_> = at
                .args()
                .iter()
                .zip(arrays)
                .map(|(arg, array)| {
                    let guard: Vec<u8> = GUARD.to_le_bytes().repeat(GUARDS);
                    let mut bytes = to_device(array.into(), arg.element).into_owned();
                    let len = (arg.element.bytes() * array.len() as u64) as usize;
                    // What pads the array to a word is guarded as well.
                    let padding = bytes.len() - len;
                    bytes[len..].copy_from_slice(&guard[4 - padding..4]);
                    let guarded = [guard.clone(), bytes, guard].concat();
                    let usage =
                        wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
                    let buffer = device.buffer(arg.name, guarded.len() as u64, usage);
                    device.queue.write_buffer(&buffer, 0, &guarded);
                    (buffer, arg.clone(), guarded)
                })
                .collect();
            // The binding takes in the guard words behind the array: where it ended with the array, drivers would drop
            // or clamp what a shader writes past the end, and none of it would show.
            let ranges = arrays.iter().map(|(buffer, _, guarded)| (buffer, 4 * GUARDS as u64..guarded.len() as u64));
            let bind_group = device.bind_group(at.name(), &pipeline, ranges);
            Ok((pipeline, arrays, bind_group))
        })?;
        Ok(Probe { device, launch: Launch { pipeline, bind_group, grid: grid(shader.groups) }, arrays })
    }

    /// Launches the kernel `times` times in one submission, waits, and tells how long that took.
    pub fn run(&self, times: usize) -> Result<Duration> {
        self.launch.run(&self.device, times)
    }

    /// Reads all arrays; `None` stands for one whose guard words were overwritten.
    pub fn read(&self) -> Result<Vec<Option<Array>>> {
        self.arrays
            .iter()
            .map(|(buffer, arg, guarded)| {
                let bytes = self.device.read(buffer, 0..guarded.len() as u64)?;
                let start = 4 * GUARDS;
                let end = start + arg.element.bytes() as usize * arg.len;
                let intact = bytes[..start] == guarded[..start] && bytes[end..] == guarded[end..];
                Ok(intact.then(|| from_device(&bytes[start..], arg.element, arg.len)))
            })
            .collect()
    }
}
