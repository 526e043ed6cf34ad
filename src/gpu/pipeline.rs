//! From a kernel at a shape to a compute pipeline.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{Device, Launch};
use crate::error::Result;
use crate::kernel::{Access, ArgAt, At, Format, Needs, ShaderAt};
use crate::plan::Call;

/// What shaders may use on a device.
#[derive(Clone, Debug)]
pub struct Features {
    /// Smallest and largest subgroup, 0 where there are none.
    pub subgroup: [u32; 2],
    /// Whether the device is a processor.
    pub on_cpu: bool,
    /// Whether it knows 16-bit floats.
    pub half: bool,
    /// Whether it knows 64-bit integers.
    pub int64: bool,
    /// Rows of the cooperative matrices that it was asked for and has, see [`Needs::Matrices`].
    pub matrices: Vec<u32>,
}

impl Features {
    /// Whether a shader is made for its call and runs here.
    pub fn offer(&self, shader: &ShaderAt) -> bool {
        let runs = match shader.needs {
            Needs::Nothing | Needs::WorkgroupMemory => true,
            Needs::EightLaneCpu => self.on_cpu && self.subgroup == [8, 8] && self.int64,
            Needs::Matrices(rows) => self.half && self.matrices.contains(&rows),
        };
        runs && shader.fits && (self.half || shader.format == Format::F32)
    }

    /// The shaders of a call that may be the fastest here: on a processor none is that goes through workgroup memory.
    pub fn candidates(&self, at: &At) -> Vec<ShaderAt> {
        let mut shaders = at.shaders();
        let suits = |shader: &ShaderAt| !(self.on_cpu && shader.needs == Needs::WorkgroupMemory);
        shaders.retain(|shader| self.offer(shader) && suits(shader));
        shaders
    }
}

/// The rule for the shader that a call gets on a device: the last of the kernel's list, so the most specialised, that
/// the device can run and that is made for the shape; on a processor none that goes through workgroup memory.
pub fn variant(features: &Features, at: &At) -> ShaderAt {
    features.candidates(at).pop().unwrap_or_else(|| panic!("{at}: the plain shader fits every shape and device"))
}

/// Bytes of a buffer of which only one element must be there.
const EMPTY: u64 = 256;

/// Shader text and constants, by which pipelines are found again.
pub(super) type PipelineKey = (String, Vec<(&'static str, u64)>);

fn key(at: &At, shader: &ShaderAt) -> PipelineKey {
    (shader.source.clone(), at.constants().iter().map(|&(name, value)| (name, value.to_bits())).collect())
}

impl Device {
    /// The pipeline of `shader` at the shape of `at`, made once. Errors appear in the enclosing scope.
    pub(super) fn pipeline(&self, at: &At, shader: &ShaderAt) -> Result<wgpu::ComputePipeline> {
        let key = key(at, shader);
        let known = || self.pipelines.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(pipeline) = known().get(&key) {
            return Ok(pipeline.clone());
        }
        let label = Some(shader.name);
        let module = self.wgpu.create_shader_module(wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(shader.source.as_str().into()),
        });
        let entries: Vec<_> = at
            .args()
            .iter()
            .enumerate()
            .map(|(binding, arg)| wgpu::BindGroupLayoutEntry {
                binding: binding as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Storage { read_only: arg.access == Access::Read },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let group = self.wgpu.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let layout = self.wgpu.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&group)],
            immediate_size: 0,
        });
        let pipeline = self.wgpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: at.constants(), ..Default::default() },
            cache: None,
        });
        self.pipelines_made.fetch_add(1, Ordering::Relaxed);
        known().insert(key, pipeline.clone());
        Ok(pipeline)
    }

    /// The pipeline of each call in its shader, and the number of its workgroups. Different ones are compiled side by
    /// side.
    pub(super) fn pipelines(&self, calls: &[Call]) -> Result<Vec<(wgpu::ComputePipeline, usize)>> {
        let mut known = HashSet::new();
        let distinct = calls.iter().map(|call| &call.at).filter(|&at| known.insert(at));
        let distinct: Vec<_> = distinct.map(|at| (at, self.variant(at))).collect();
        if self.features().on_cpu && self.report().backend == "vulkan" {
            self.compile_ahead(&distinct)?;
        }
        let compiled = distinct.into_par_iter().map(|(at, shader)| {
            // A scope sees the errors of its own thread.
            let pipeline = self.scoped(|| self.pipeline(at, &shader))?;
            Ok((at, (pipeline, shader.groups)))
        });
        let compiled: HashMap<_, _> = compiled.collect::<Result<_>>()?;
        Ok(calls.iter().map(|call| compiled[&call.at].clone()).collect())
    }

    /// Fills the driver's cache side by side. Software Vulkan makes code when a shader is launched first, in the one
    /// thread of a device's queue: here devices of their own, one for each core, launch no workgroups of each.
    fn compile_ahead(&self, shaders: &[(&At, ShaderAt)]) -> Result<()> {
        let known = self.pipelines.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut longest: Vec<_> = shaders.iter().filter(|(at, shader)| !known.contains_key(&key(at, shader))).collect();
        drop(known);
        longest.sort_by_key(|(_, shader)| Reverse(shader.source.len()));
        let next = AtomicUsize::new(0);
        (0..rayon::current_num_threads().min(longest.len())).into_par_iter().try_for_each(|_| {
            let device = self.open_again(!self.features().matrices.is_empty())?;
            while let Some((at, shader)) = longest.get(next.fetch_add(1, Ordering::Relaxed)) {
                device.scoped(|| device.launch_nothing(at, shader))?;
            }
            Ok(())
        })
    }

    fn launch_nothing(&self, at: &At, shader: &ShaderAt) -> Result<()> {
        let pipeline = self.pipeline(at, shader)?;
        let buffer = |arg: &ArgAt| self.buffer(arg.name, EMPTY, wgpu::BufferUsages::STORAGE);
        let buffers: Vec<_> = at.args().iter().map(buffer).collect();
        let bind_group = self.bind_group(at.name(), &pipeline, buffers.iter().map(|buffer| (buffer, 0..EMPTY)));
        Launch { pipeline, bind_group, grid: [0, 0] }.run(self, 1).map(drop)
    }
}
