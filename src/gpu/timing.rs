//! How long calls take on the device, and how fast the device is at best.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Device, Runner};
use crate::error::Result;
use crate::kernel::Roofline;

impl Runner {
    /// The calls one after the other, each between two timestamps of the device.
    pub(super) fn by_timestamps(&mut self, calls: Range<usize>) -> Result<Vec<Duration>> {
        let count = 2 * calls.len() as u32;
        let size = u64::from(count) * wgpu::QUERY_SIZE as u64;
        let device = self.device().clone();
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let (queries, resolved) = device.scoped(|| {
            let ty = wgpu::QueryType::Timestamp;
            let queries = device.wgpu.create_query_set(&wgpu::QuerySetDescriptor { label: None, ty, count });
            Ok((queries, device.buffer("timestamps", size, usage)))
        })?;
        let mut encoder = device.wgpu.create_command_encoder(&Default::default());
        for (place, launch) in self.launches(calls).iter().enumerate() {
            let place = 2 * place as u32;
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries,
                    beginning_of_pass_write_index: Some(place),
                    end_of_pass_write_index: Some(place + 1),
                }),
            });
            launch.encode(&mut pass);
        }
        encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
        device.queue.submit([encoder.finish()]);
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&device.read(&resolved, 0..size)?);
        let period = f64::from(device.queue.get_timestamp_period());
        let time = |pair: &[u64]| Duration::from_nanos((pair[1].saturating_sub(pair[0]) as f64 * period) as u64);
        Ok(stamps.chunks(2).map(time).collect())
    }

    /// The calls one by one, each waited for.
    pub(super) fn one_by_one(&mut self, calls: Range<usize>) -> Result<Vec<Duration>> {
        self.wait()?;
        let mut times = Vec::with_capacity(calls.len());
        for call in calls {
            let start = Instant::now();
            crate::run::Runner::run(self, call..call + 1)?;
            self.wait()?;
            times.push(start.elapsed());
        }
        Ok(times)
    }
}

/// Bytes of the array that is copied: past every cache.
const COPIED: u64 = 256 << 20;
/// Threads that multiply and add: enough for every device.
const THREADS: u32 = 1 << 18;

impl Device {
    /// The best rates of this device: buffers copied by its own copy command, multiply-adds in registers.
    ///
    /// # Errors
    /// What the device reports.
    pub fn roofline(&self) -> Result<Roofline> {
        let best = |work: f64, launch: &dyn Fn() -> Result<Duration>| {
            launch()?;
            let times = (0..5).map(|_| launch()).collect::<Result<Vec<_>>>()?;
            Ok(work / times.into_iter().min().expect("five samples").as_secs_f64())
        };
        let timed = |encode: &dyn Fn(&mut wgpu::CommandEncoder)| {
            let start = Instant::now();
            let mut encoder = self.wgpu.create_command_encoder(&Default::default());
            encode(&mut encoder);
            let submission = self.queue.submit([encoder.finish()]);
            self.wait(Some(submission))?;
            Ok(start.elapsed())
        };
        let size = COPIED.min(self.report().max_buffer);
        let [from, to] = self.scoped(|| {
            let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            Ok([self.buffer("from", size, usage), self.buffer("to", size, usage)])
        })?;
        let copy = |encoder: &mut wgpu::CommandEncoder| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, size);
        let bytes_per_s = best(2.0 * size as f64, &|| timed(&copy))?;

        let sums = self.scoped(|| Ok(self.buffer("sums", 4 * u64::from(THREADS), wgpu::BufferUsages::STORAGE)))?;
        let rate = |rounds: u32| {
            let (pipeline, group) = self.scoped(|| {
                let pipeline = self.fma_pipeline(rounds);
                let range = std::iter::once((&sums, 0..4 * u64::from(THREADS)));
                Ok((pipeline.clone(), self.bind_group("fma", &pipeline, range)))
            })?;
            let run = |encoder: &mut wgpu::CommandEncoder| {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(&pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(THREADS / 64, 1, 1);
            };
            best(64.0 * f64::from(rounds) * f64::from(THREADS), &|| timed(&run))
        };
        // So many rounds that a launch takes some 20 ms.
        let guess = rate(16)?;
        let rounds = (0.02 * guess / (64.0 * f64::from(THREADS))).clamp(16.0, 1e6) as u32;
        Ok(Roofline { bytes_per_s, flops_per_s: guess.max(rate(rounds)?) })
    }

    fn fma_pipeline(&self, rounds: u32) -> wgpu::ComputePipeline {
        let source = wgpu::ShaderSource::Wgsl(include_str!("../../shaders/roofline/fma.wgsl").into());
        let module = self.wgpu.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("fma"), source });
        let constants = [("rounds", f64::from(rounds))];
        self.wgpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("fma"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: None,
        })
    }
}
