//! What a GPU would run: every shader of the presets' calls as machine code, without a GPU.
//!
//! Mesa's driver for AMD's GPUs compiles for any of them where `RADV_FORCE_FAMILY` names one, and tells registers and
//! assembly by `VK_KHR_pipeline_executable_properties`. wgpu cannot use it, since the device that stands in for the GPU
//! has no fences; so the shaders go by naga and ash here. `scripts/isa.sh [FILTER]` runs this for three families.
//!
//! One row for each shader of each call:
//!
//! * waves: of 64 lanes in a launch, and the share of 40, 80 and 132 compute units that idle for want of workgroups;
//! * VGPR, spilt, waves on a SIMD that the registers leave room for;
//! * inner: share of multiply-adds in the instructions of the loop that has most of them, unrolled or not;
//! * bound: share of the card's multiply-adds that the loop can reach: of the slots of its vector instructions, and of
//!   128 bytes of workgroup memory a clock; less what a block has beyond the edge of the output. Waiting comes on top.
//!   By tiles (`winograd_block`) it is the share that the taps one by one would need, and can be more than all; each half of
//!   the threads goes past the transforms of the other, which are counted as if it made them.
//!
//! It fails where a shader that the rule takes, or would without those by tiles, spills or falls below [`LEAST`], and
//! for the default preset where the rule's has too few waves.

use std::ffi::CStr;
use std::process::ExitCode;

use ash::vk;
use siamese::check::plan_calls;
use siamese::config::PRESETS;
use siamese::gpu::{Features, variant};
use siamese::kernel::{Access, At, ShaderAt};

/// What the presets' calls of at least [`MUCH`] operations must reach on each family, a point or two below what they do:
/// shader; share of multiply-adds in the inner loop; and for the default preset, bound.
const LEAST: [(&str, f64, f64); 23] = [
    ("conv2d.block", 0.85, 0.94),
    ("conv2d.block32", 0.81, 0.90),
    ("conv2d.block_scalar", 0.80, 0.89),
    ("conv2d.taps", 0.80, 0.93),
    ("conv2d_dx.block", 0.81, 0.90),
    ("conv2d_dx.block32", 0.79, 0.90),
    ("conv2d_dw.block", 0.79, 0.82),
    ("conv2d_dw.block32", 0.73, 0.60),
    ("conv2d_dw.slices", 0.62, 0.60),
    ("conv2d_dw.taps", 0.66, 0.74),
    ("conv2d_pool.block", 0.85, 0.94),
    ("conv2d_pool.block32", 0.81, 0.90),
    ("conv2d_pool.taps", 0.81, 0.93),
    ("conv2d_pool_dw.taps", 0.70, 0.75),
    ("conv2d.winograd_block", 0.54, 1.20),
    ("conv2d_pool.winograd_block", 0.54, 1.20),
    ("conv2d_dx.winograd_block", 0.53, 1.20),
    ("conv2d_dw.winograd_block", 0.42, 0.80),
    ("dense.slices", 0.78, 0.93),
    ("dense_dx.slices", 0.80, 0.90),
    ("dense_dx.block", 0.86, 0.80),
    ("dense_dw.block", 0.85, 0.93),
    ("distances.slices", 0.44, 0.48),
];

/// Below this the loop is so short that drivers leave none.
const MUCH: u64 = 30_000_000;
/// Calls with fewer operations need not fill a GPU.
const FLOPS: u64 = 5_000_000;
/// Waves of 64 lanes that the others need.
const WAVES: usize = 80;

/// Compute units: of a middling card, of navi21, of an H100 or H200.
const UNITS: [usize; 3] = [40, 80, 132];

/// A device that compiles and runs nothing.
struct Compiler {
    device: ash::Device,
    executables: ash::khr::pipeline_executable_properties::Device,
    _instance: ash::Instance,
    _entry: ash::Entry,
}

/// What the driver made of a shader.
struct Compiled {
    /// By the driver's names.
    statistics: Vec<(String, u64)>,
    assembly: String,
}

impl Compiled {
    fn statistic(&self, name: &str) -> u64 {
        self.statistics.iter().find(|(own, _)| own == name).map_or(0, |&(_, value)| value)
    }
}

fn text(chars: &[std::ffi::c_char]) -> String {
    // The driver ends each text with a zero.
    unsafe { CStr::from_ptr(chars.as_ptr()) }.to_string_lossy().into_owned()
}

impl Compiler {
    fn open() -> Result<(Self, String), String> {
        let failed = |error: vk::Result| format!("no device: {error}; is RADV_FORCE_FAMILY a family that Mesa knows?");
        // Safety of this and the next: arguments are as the Vulkan specification wants them.
        unsafe {
            let entry = ash::Entry::load().map_err(|error| error.to_string())?;
            let app = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let instance = vk::InstanceCreateInfo::default().application_info(&app);
            let instance = entry.create_instance(&instance, None).map_err(failed)?;
            let devices = instance.enumerate_physical_devices().map_err(failed)?;
            let &physical = devices.first().ok_or("no device: is VK_DRIVER_FILES RADV's?")?;
            let name = text(&instance.get_physical_device_properties(physical).device_name);
            let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
            let extensions =
                [ash::khr::pipeline_executable_properties::NAME.as_ptr(), ash::ext::robustness2::NAME.as_ptr()];
            let features = vk::PhysicalDeviceFeatures::default().robust_buffer_access(true);
            let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default().robust_buffer_access2(true);
            let mut tells =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let mut of_1_2 = vk::PhysicalDeviceVulkan12Features::default().vulkan_memory_model(true);
            let mut of_1_3 = vk::PhysicalDeviceVulkan13Features::default()
                .subgroup_size_control(true)
                .shader_zero_initialize_workgroup_memory(true);
            let device = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&extensions)
                .enabled_features(&features)
                .push_next(&mut robust)
                .push_next(&mut tells)
                .push_next(&mut of_1_2)
                .push_next(&mut of_1_3);
            let device = instance.create_device(physical, &device, None).map_err(failed)?;
            let executables = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok((Compiler { device, executables, _instance: instance, _entry: entry }, name))
        }
    }

    fn compile(&self, at: &At, module: &naga::Module) -> Result<Compiled, String> {
        let words = spirv(at, module)?;
        let made = |error: vk::Result| format!("the driver refuses it: {error}");
        let device = &self.device;
        unsafe {
            let binding = |place: usize| {
                vk::DescriptorSetLayoutBinding::default()
                    .binding(place as u32)
                    .descriptor_count(1)
                    .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            };
            let bindings: Vec<_> = (0..at.args().len()).map(binding).collect();
            let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [device.create_descriptor_set_layout(&set, None).map_err(made)?];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device.create_pipeline_layout(&layout, None).map_err(made)?;
            let shader = vk::ShaderModuleCreateInfo::default().code(&words);
            let shader = device.create_shader_module(&shader, None).map_err(made)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(shader)
                .name(c"main")
                .flags(vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE);
            let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let info = [vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout).flags(flags)];
            let pipelines = device.create_compute_pipelines(vk::PipelineCache::null(), &info, None);
            let pipeline = pipelines.map_err(|(_, error)| made(error))?[0];
            let compiled = self.compiled(pipeline).map_err(made);
            device.destroy_pipeline(pipeline, None);
            device.destroy_shader_module(shader, None);
            device.destroy_pipeline_layout(layout, None);
            device.destroy_descriptor_set_layout(sets[0], None);
            compiled
        }
    }

    unsafe fn compiled(&self, pipeline: vk::Pipeline) -> Result<Compiled, vk::Result> {
        unsafe {
            let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(0);
            let statistics = self.executables.get_pipeline_executable_statistics(&info)?;
            let statistics = statistics.iter().map(|own| (text(&own.name), own.value.u64)).collect();
            // Twice: first the sizes, then the texts.
            let tell = self.executables.fp().get_pipeline_executable_internal_representations_khr;
            let device = self.device.handle();
            let mut count = 0;
            tell(device, &info, &mut count, std::ptr::null_mut()).result()?;
            let mut texts = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            tell(device, &info, &mut count, texts.as_mut_ptr()).result()?;
            let mut held: Vec<_> = texts.iter().map(|own| vec![0u8; own.data_size]).collect();
            for (own, held) in texts.iter_mut().zip(&mut held) {
                own.p_data = held.as_mut_ptr().cast();
            }
            tell(device, &info, &mut count, texts.as_mut_ptr()).result()?;
            let assembly = texts.iter().position(|own| text(&own.name).contains("ssembly"));
            let assembly = assembly.map_or(String::new(), |place| String::from_utf8_lossy(&held[place]).into_owned());
            Ok(Compiled { statistics, assembly })
        }
    }
}

fn parsed(shader: &ShaderAt) -> Result<naga::Module, String> {
    naga::front::wgsl::parse_str(&shader.source).map_err(|error| error.emit_to_string(&shader.source))
}

/// The shader at a shape as wgpu-hal 30.0 hands it to a Vulkan driver of version 1.3 with robustBufferAccess2.
fn spirv(at: &At, module: &naga::Module) -> Result<Vec<u32>, String> {
    use naga::back::spv;
    use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
    let validated = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all())
        .validate(module)
        .map_err(|error| error.to_string())?;
    let constants = at.constants().iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let main = Some((naga::ShaderStage::Compute, "main"));
    let (module, info) = naga::back::pipeline_constants::process_overrides(module, &validated, main, &constants)
        .map_err(|error| error.to_string())?;
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Restrict,
            ..BoundsCheckPolicies::default()
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::Native,
        force_loop_bounding: true,
        emit_int_div_checks: true,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions { entry_point: "main".to_owned(), shader_stage: naga::ShaderStage::Compute };
    spv::write_vec(&module, &info, &options, Some(&pipeline)).map_err(|error| error.to_string())
}

/// The value of a constant of the shader's text, such as the rows of its blocks.
fn constant(module: &naga::Module, name: &str) -> Option<usize> {
    let (_, found) = module.constants.iter().find(|(_, own)| own.name.as_deref() == Some(name))?;
    match module.global_expressions[found.init] {
        naga::Expression::Literal(naga::Literal::U32(value)) => Some(value as usize),
        _ => None,
    }
}

/// Instructions of some lines of assembly.
#[derive(Clone, Copy, Default)]
struct Counts {
    all: usize,
    multiply_adds: usize,
    /// Slots of the vector units; some instructions take four.
    vector: usize,
    /// Bytes that a lane moves to and from workgroup memory.
    workgroup_bytes: usize,
}

fn any(operation: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| operation.starts_with(beginning))
}

impl Counts {
    fn of(operations: &[&str]) -> Counts {
        let mut counts = Counts::default();
        for operation in operations {
            counts.all += 1;
            if any(operation, &["v_fma", "v_mac_f32", "v_mad_f32", "v_dual_fma", "v_pk_fma"]) {
                counts.multiply_adds += 1;
            }
            if operation.starts_with("v_") {
                let slow = any(operation, &["v_mul_lo", "v_mul_hi", "v_mad_u64", "v_rcp", "v_sqrt", "v_exp", "v_log"]);
                counts.vector += if slow { 4 } else { 1 };
            }
            if operation.starts_with("ds_") {
                let twice = if operation.contains("2_b") || operation.contains("2addr") { 2 } else { 1 };
                let bits = operation.rsplit_once("_b").and_then(|(_, bits)| bits.parse().ok()).unwrap_or(32);
                counts.workgroup_bytes += twice * bits / 8;
            }
        }
        counts
    }

    /// Share of multiply-adds in all instructions.
    fn share(&self) -> f64 {
        self.multiply_adds as f64 / self.all.max(1) as f64
    }

    /// Share of the card's multiply-adds that there can be: each lane makes one a clock, and has two bytes of workgroup
    /// memory a clock.
    fn bound(&self) -> f64 {
        self.multiply_adds as f64 / (self.vector as f64).max(self.workgroup_bytes as f64 / 2.0).max(1.0)
    }
}

/// The instructions of the loop with the most multiply-adds, of those that have no loop with any inside; where none has
/// any, since a driver has unrolled the loop, those from the first multiply-add to the last.
fn inner_loop(assembly: &str) -> Counts {
    let mut operations: Vec<&str> = Vec::new();
    let mut labels: Vec<(&str, usize)> = Vec::new();
    let mut loops: Vec<(usize, usize)> = Vec::new();
    for line in assembly.lines() {
        let line = line.split(';').next().unwrap_or(line).trim();
        if let Some(label) = line.strip_suffix(':') {
            labels.push((label, operations.len()));
            continue;
        }
        // Two that are issued together stand on one line.
        for operation in line.split("::") {
            let mut words = operation.split_whitespace();
            let Some(name) = words.next() else { continue };
            operations.push(name);
            let target = words.next_back().filter(|_| any(name, &["s_branch", "s_cbranch"]));
            if let Some(&(_, start)) = target.and_then(|target| labels.iter().find(|(label, _)| *label == target)) {
                loops.push((start, operations.len()));
            }
        }
    }
    let loops: Vec<_> = loops.iter().map(|&(start, end)| (start, end, Counts::of(&operations[start..end]))).collect();
    let loops: Vec<_> = loops.iter().filter(|(.., counts)| counts.multiply_adds > 0).collect();
    let innermost = loops.iter().filter(|(start, end, _)| {
        !loops.iter().any(|(other, last, _)| (other, last) != (start, end) && start <= other && last <= end)
    });
    innermost.map(|&&(.., counts)| counts).max_by_key(|counts| counts.multiply_adds).unwrap_or_else(|| {
        let is_one = |operation: &str| Counts::of(&[operation]).multiply_adds > 0;
        let ends = operations.iter().position(|own| is_one(own)).zip(operations.iter().rposition(|own| is_one(own)));
        ends.map_or(Counts::of(&operations), |(first, last)| Counts::of(&operations[first..=last]))
    })
}

/// Waves on a SIMD that so many vector registers leave room for.
fn occupancy(family: &str, registers: usize) -> usize {
    match family {
        "vega10" => (256 / registers).min(10),
        "gfx1100" => (768 / registers).min(16),
        _ => (512 / registers).min(16),
    }
}

fn main() -> ExitCode {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let family = std::env::var("RADV_FORCE_FAMILY").unwrap_or_default();
    let (compiler, name) = match Compiler::open() {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{name}");
    println!(
        "{:<24} {:>6} {:>14} {:>5} {:>5} {:>3} {:>6} {:>6}   preset and shape (* the rule's)",
        "shader", "waves", "idle of units", "VGPR", "spilt", "w/S", "inner", "bound"
    );
    let features = Features { subgroup: [32, 64], on_cpu: false, half: false, int64: false, matrices: vec![] };
    let mut known: Vec<At> = Vec::new();
    let mut faults = Vec::new();
    for (place, preset) in PRESETS.iter().enumerate() {
        let calls = plan_calls(&preset.config(), preset.input, None).expect("a preset has plans");
        for at in calls {
            if known.contains(&at) {
                continue;
            }
            let rule = variant(&features, &at).name;
            let by_tiles = |shader: &ShaderAt| shader.name.ends_with(".winograd_block");
            let next = features.candidates(&at).into_iter().rfind(|shader| !by_tiles(shader));
            let next = next.expect("the plain shader fits every shape and device").name;
            for shader in at.shaders() {
                if !features.offer(&shader) || !shader.name.contains(&filter) {
                    continue;
                }
                let chosen = shader.name == rule;
                let what = format!("{}{}", if chosen { "* " } else { "" }, preset.name);
                let constants: Vec<_> = at.constants().iter().map(|(_, value)| format!("{}", *value as f32)).collect();
                let what = format!("{what} {}", constants.join(" "));
                let compiled = parsed(&shader).and_then(|module| Ok((compiler.compile(&at, &module)?, module)));
                let (compiled, module) = match compiled {
                    Ok(compiled) => compiled,
                    Err(error) => {
                        faults.push(format!("{} {what}: {error}", shader.name));
                        continue;
                    }
                };
                let lanes: u32 = module.entry_points[0].workgroup_size.iter().product();
                let waves = shader.groups * lanes.div_ceil(64) as usize;
                let idle = UNITS.map(|units| 100 * units.saturating_sub(shader.groups) / units);
                let registers = compiled.statistic("VGPRs") as usize;
                let spilt = compiled.statistic("Spilled VGPRs") + compiled.statistic("Scratch size");
                let counts = inner_loop(&compiled.assembly);
                let block = constant(&module, "BLOCK_ROWS").zip(constant(&module, "BLOCK_COLUMNS"));
                let written = at.args().iter().rfind(|arg| arg.access == Access::Write).map_or(0, |arg| arg.len);
                // A maximum is stored for four outputs.
                let outputs = if at.name() == "conv2d_pool" { 4 * written } else { written };
                // Of a pair of channels nine weights, or four pixels.
                let made = if at.name() == "conv2d_dw" { 9 } else { 4 };
                // A turn's multiply-adds but those of the transforms, each in the place of 36/16.
                let products = 256.0 / counts.multiply_adds as f64 * 36.0 / 16.0;
                let useful = match block {
                    Some((rows, columns)) => outputs as f64 / (shader.groups * rows * columns) as f64,
                    None if by_tiles(&shader) => outputs as f64 / (shader.groups * 32 * 32 * made) as f64 * products,
                    None => 1.0,
                };
                let bound = counts.bound() * useful;
                println!(
                    "{:<24} {waves:>6} {:>4} {:>3} {:>3} % {registers:>5} {spilt:>5} {:>3} {:>5.0}% {:>5.0}%   {what}",
                    shader.name,
                    idle[0],
                    idle[1],
                    idle[2],
                    occupancy(&family, registers.max(1)),
                    100.0 * counts.share(),
                    100.0 * bound,
                );
                let mut fault = |reason: String| faults.push(format!("{} {what}: {reason}", shader.name));
                let may_run = chosen || shader.name == next;
                if may_run && spilt > 0 {
                    fault(format!("{spilt} registers and bytes spilt"));
                }
                if place == 0 && chosen && waves < WAVES && at.work().flops >= FLOPS {
                    fault(format!("{waves} waves for {} operations", at.work().flops));
                }
                let least = LEAST.iter().find(|(name, ..)| *name == shader.name);
                let held = may_run && at.work().flops >= MUCH;
                if let Some(&(_, share, least)) = least.filter(|_| held) {
                    if counts.share() < share {
                        fault(format!("{:.0} % multiply-adds, not {:.0}", 100.0 * counts.share(), 100.0 * share));
                    }
                    if place == 0 && bound < least {
                        fault(format!("at most {:.0} % of the card, not {:.0}", 100.0 * bound, 100.0 * least));
                    }
                }
            }
            known.push(at);
        }
    }
    faults.iter().for_each(|fault| eprintln!("{family}: {fault}"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
