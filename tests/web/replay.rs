//! The folder run by wgpu as it stands, without anything of the program that wrote it.

use std::collections::HashMap;
use std::ops::Range;

use pollster::block_on;
use serde_json::Value;
use siamese::config::{Config, PRESETS};
use siamese::layers::LAYERS;
use siamese::net::Net;
use siamese::siamese::{Source, inference_plan, slots};
use wgpu::BufferUsages as Usage;

use crate::{Folder, assert_near, expected, images, model};

/// A plan of a folder on a device.
pub struct Replay<'a> {
    device: wgpu::Device,
    queue: wgpu::Queue,
    plan: &'a Value,
    buffers: Vec<wgpu::Buffer>,
    launches: Vec<(wgpu::ComputePipeline, wgpu::BindGroup, [u32; 2])>,
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// A device with what every browser grants, and nothing more.
pub fn device() -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::default();
    let adapter = block_on(instance.request_adapter(&Default::default())).unwrap();
    let limits = wgpu::Limits::defaults();
    block_on(adapter.request_device(&wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() })).unwrap()
}

impl Replay<'_> {
    /// Takes of each call's shaders the one at `place` from the last, or the first one.
    pub fn new<'a>(
        (device, queue): (wgpu::Device, wgpu::Queue),
        folder: &'a Folder,
        plan: &'a Value,
        place: usize,
    ) -> Replay<'a> {
        let usage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        let buffer = |size| {
            device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
        };
        let buffers: Vec<_> = list(&plan["buffers"]).iter().map(|size| buffer(number(size))).collect();
        let mut replay = Replay { device, queue, plan, buffers, launches: vec![] };
        let mut pipelines = HashMap::new();
        for call in list(&plan["calls"]) {
            let shaders = list(&call["shaders"]);
            let shader = &shaders[shaders.len().saturating_sub(1 + place)];
            let key = (word(&shader["name"]), call["constants"].to_string());
            let pipeline = pipelines.entry(key).or_insert_with(|| replay.pipeline(folder, call, shader));
            let entries: Vec<_> = (0..)
                .zip(list(&call["args"]))
                .map(|(binding, name)| wgpu::BindGroupEntry {
                    binding,
                    resource: wgpu::BindingResource::Buffer(replay.binding(word(name))),
                })
                .collect();
            let layout = pipeline.get_bind_group_layout(0);
            let bind_group = replay.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &layout,
                entries: &entries,
            });
            let grid = [0, 1].map(|side| number(&shader["grid"][side]) as u32);
            replay.launches.push((pipeline.clone(), bind_group, grid));
        }
        for array in list(&folder.page["weights"]) {
            let (start, length) = (number(&array["offset"]) as usize, number(&array["length"]) as usize);
            assert_eq!(array["element"], "f32");
            if plan["slots"].get(word(&array["slot"])).is_some() {
                replay.write(word(&array["slot"]), &folder.files["weights.bin"][start..start + 4 * length]);
            }
        }
        replay
    }

    fn pipeline(&self, folder: &Folder, call: &Value, shader: &Value) -> wgpu::ComputePipeline {
        let name = word(&shader["name"]);
        let text = std::str::from_utf8(&folder.files[&format!("shaders/{name}.wgsl")]).unwrap();
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(name), source });
        let constants: Vec<_> = call["constants"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_f64().unwrap()))
            .collect();
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: None,
        })
    }

    fn binding(&self, name: &str) -> wgpu::BufferBinding<'_> {
        let slot = &self.plan["slots"][name];
        let bytes = 4 * list(&slot["dims"]).iter().map(number).product::<u64>();
        let buffer = &self.buffers[number(&slot["buffer"]) as usize];
        wgpu::BufferBinding { buffer, offset: number(&slot["offset"]), size: std::num::NonZero::new(bytes) }
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let at = self.binding(name);
        self.queue.write_buffer(at.buffer, at.offset, bytes);
    }

    /// The calls of a section.
    pub fn section(&self, name: &str) -> Range<usize> {
        let [start, end] = [0, 1].map(|side| number(&self.plan["sections"][name][side]) as usize);
        start..end
    }

    pub fn run(&self, calls: Range<usize>) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for (pipeline, bind_group, grid) in &self.launches[calls] {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, bind_group, &[]);
            pass.dispatch_workgroups(grid[0], grid[1], 1);
        }
        drop(pass);
        self.queue.submit([encoder.finish()]);
    }

    pub fn read(&self, name: &str) -> Vec<f32> {
        let at = self.binding(name);
        let size = at.size.unwrap().get();
        let usage = Usage::COPY_DST | Usage::MAP_READ;
        let staging =
            self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(at.buffer, at.offset, &staging, 0, size);
        self.queue.submit([encoder.finish()]);
        staging.slice(..).map_async(wgpu::MapMode::Read, |outcome| outcome.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        bytemuck::pod_collect_to_vec(&staging.slice(..).get_mapped_range().unwrap())
    }
}

/// The smaller presets, and the networks that prove each word.
pub fn networks() -> Vec<(String, Config, [usize; 3])> {
    let presets = PRESETS.iter().map(|preset| (preset.name.to_owned(), preset.config(), preset.input));
    let words = LAYERS.iter().flat_map(|word| word.specs).map(|&(spec, input)| {
        let config = Config { spec: spec.to_owned(), ..PRESETS[0].config() };
        (spec.to_owned(), config, input)
    });
    let flops = |config: &Config, input| {
        let net = Net::of(config, input).unwrap();
        inference_plan(&net, &Source::streamed(1, 1, config.scale()), 1, slots::PARAMETERS).flops()
    };
    presets.chain(words).filter(|(_, config, input)| flops(config, *input) < 50_000_000).collect()
}

/// Each network: one image in the last of each call's shaders, and eight in the one before.
#[test]
fn a_folder_is_complete_and_right() {
    let device = device();
    for (name, config, input) in networks() {
        let model = model(&config, input);
        let folder = Folder::of(&model, false);
        for (place, plan) in list(&folder.page["plans"]).iter().enumerate() {
            let rows = number(&plan["rows"]) as usize;
            let images = images(rows, input.iter().product());
            let expected = expected(&model, &images);
            let replay = Replay::new(device.clone(), &folder, plan, place);
            let mut bytes = images.clone();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            replay.write("images", &bytes);
            replay.write("rows", bytemuck::cast_slice(&(0..rows as u32).collect::<Vec<_>>()));
            replay.run(replay.section("prepare").start..replay.section("forward").end);
            assert_near(&format!("{name}, {rows} rows, {place}"), &replay.read(word(&plan["embedding"])), &expected);
        }
    }
}
