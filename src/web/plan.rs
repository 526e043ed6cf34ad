//! A plan as data: all that a page needs to make buffers, pipelines and bind groups of it.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::embed::BINDING;
use crate::error::{Error, Result};
use crate::kernel::{Access, Element, ShaderAt, grid};
use crate::plan::{Call, Plan, Role, Section};

/// Bytes of a buffer that every browser makes: WebGPU's default limit.
const MOST_BUFFER: u64 = 256 << 20;

/// A plan of some rows.
#[derive(Debug, Serialize)]
pub struct PlanOf<'a> {
    /// Images at once.
    rows: usize,
    /// The slot with the embeddings.
    embedding: &'a str,
    /// Bytes of each buffer.
    buffers: Vec<u64>,
    slots: BTreeMap<&'a str, SlotOf<'a>>,
    /// The first call of each section and that behind its last.
    sections: BTreeMap<Section, [usize; 2]>,
    calls: Vec<CallOf<'a>>,
}

/// A named array.
#[derive(Debug, Serialize)]
struct SlotOf<'a> {
    element: Element,
    dims: &'a [usize],
    role: Role,
    /// Place of its buffer in the list.
    buffer: usize,
    /// Its first byte there.
    offset: u64,
}

/// A kernel at a shape, on slots.
#[derive(Debug, Serialize)]
struct CallOf<'a> {
    kernel: &'a str,
    /// The `override`s of its shaders.
    constants: BTreeMap<&'a str, f64>,
    /// The slots, in binding order.
    args: Vec<&'a str>,
    /// What the kernel calls them.
    names: Vec<&'a str>,
    /// Which of them it writes.
    writes: Vec<bool>,
    /// By which it may be run: the plain one, which every device compiles at once, and that for graphics cards, where
    /// it is another.
    shaders: Vec<ShaderOf>,
}

/// A shader of a call.
#[derive(Debug, Serialize)]
struct ShaderOf {
    name: &'static str,
    /// Workgroups in two dimensions.
    grid: [u32; 2],
}

impl<'a> PlanOf<'a> {
    /// Describes a plan; the texts of its shaders go to `texts`, by their names.
    ///
    /// # Errors
    /// [`Error::Config`] where an array is larger than every browser takes.
    pub fn new(
        plan: &'a Plan,
        rows: usize,
        embedding: &'a str,
        texts: &mut BTreeMap<&'static str, String>,
    ) -> Result<PlanOf<'a>> {
        let buffers = plan.buffers().iter().map(|buffer| (buffer.slot(), buffer.bytes, MOST_BUFFER));
        let bindings = plan.calls().iter().flat_map(|call| {
            let args = call.at.args().iter().zip(&call.args);
            args.map(|(arg, &slot)| (slot, arg.bytes(), BINDING as u64)).collect::<Vec<_>>()
        });
        if let Some((slot, bytes, most)) = buffers.chain(bindings).find(|&(_, bytes, most)| bytes > most) {
            let name = &plan.slot(slot).name;
            let reason =
                format!("array `{name}` takes {bytes} bytes, and browsers grant {most}: the network is too large");
            return Err(Error::config("--web", reason));
        }
        let slots = plan.ids().map(|id| {
            let slot = plan.slot(id);
            let (buffer, start) = plan.storage(id);
            let offset = start as u64 * slot.element.bytes();
            (slot.name.as_str(), SlotOf { element: slot.element, dims: &slot.dims, role: slot.role, buffer, offset })
        });
        let sections = Section::ALL.into_iter().map(|section| {
            let Range { start, end } = plan.section(section);
            (section, [start, end])
        });
        Ok(PlanOf {
            rows,
            embedding,
            buffers: plan.buffers().iter().map(|buffer| buffer.bytes).collect(),
            slots: slots.collect(),
            sections: sections.collect(),
            calls: plan.calls().iter().map(|call| CallOf::new(plan, call, texts)).collect(),
        })
    }
}

impl<'a> CallOf<'a> {
    fn new(plan: &'a Plan, call: &'a Call, texts: &mut BTreeMap<&'static str, String>) -> CallOf<'a> {
        let shaders = call.at.shaders().into_iter().filter(|shader| shader.fits && shader.needs.is_webgpu());
        let mut shaders: Vec<ShaderAt> = shaders.collect();
        // The plain one, and the most specialised: what lies between is nobody's first choice.
        shaders.drain(1..(shaders.len() - 1).max(1));
        let mut described = |ShaderAt { name, groups, source, .. }| {
            texts.entry(name).or_insert(source);
            ShaderOf { name, grid: grid(groups) }
        };
        let shaders = shaders.into_iter().map(&mut described).collect();
        let args = call.at.args();
        CallOf {
            kernel: call.at.name(),
            constants: call.at.constants().iter().copied().collect(),
            args: call.args.iter().map(|&id| plan.slot(id).name.as_str()).collect(),
            names: args.iter().map(|arg| arg.name).collect(),
            writes: args.iter().map(|arg| arg.access != Access::Read).collect(),
            shaders,
        }
    }
}
