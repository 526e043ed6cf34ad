//! The plan: named arrays ([`Slot`]) and launches on them ([`Call`]), in order, in seven sections. It is made once;
//! both runners, the tests, the benches, the memory sizes and the printed table read it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;

use serde::Serialize;

use crate::kernel::{Access, ArgAt, At, Element, Format, Kernel};
use crate::kernels::{fused, in_place};

/// A slot of one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(usize);

impl SlotId {
    /// Place in [`Plan::slots`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// What an array is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Trained weights and biases.
    Parameter,
    /// Gradients of the parameters.
    Gradient,
    /// Running moments of the optimiser.
    Moment,
    /// What layers keep from step to step and no gradient changes.
    State,
    /// Zeros, which nobody writes.
    Constant,
    /// What [`Section::Prepare`] makes.
    Prepared,
    /// Anything computed on the way.
    Activation,
    /// Written by the host: images, row numbers, step scalars.
    Input,
    /// Read by the host each step.
    Statistic,
}

impl Role {
    /// Whether a fork of a runner sees the very array: what one writes, the other has.
    pub fn is_shared(self) -> bool {
        matches!(self, Role::Parameter | Role::State | Role::Input)
    }
}

/// Where an array lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the start of a buffer, see [`Plan::buffers`].
    Own,
    /// In another slot, from this element on.
    Within(SlotId, usize),
}

/// A named array.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Unique name: `conv1.weight`, `pool1.argmax`, `stats`.
    pub name: String,
    /// Element type.
    pub element: Element,
    /// Dimensions, row-major.
    pub dims: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// Where it lies.
    pub place: Place,
}

impl Slot {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on a device, a multiple of 4.
    pub fn bytes(&self) -> u64 {
        (self.element.bytes() * self.len() as u64).next_multiple_of(4)
    }
}

/// The parts of a step, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// What follows from the weights alone: run once they are written, before anything else.
    Prepare,
    /// Images of the batch from the data set.
    Gather,
    /// From images to embeddings.
    Forward,
    /// From embeddings to loss and its gradient.
    Loss,
    /// From the gradient of the embeddings to those of the parameters.
    Backward,
    /// The gradients of several shares become one. Of its calls a runner is given those that are due.
    Sum,
    /// Statistics and the optimiser.
    Update,
}

impl Section {
    /// All of them.
    pub const ALL: [Section; 7] = [
        Section::Prepare,
        Section::Gather,
        Section::Forward,
        Section::Loss,
        Section::Backward,
        Section::Sum,
        Section::Update,
    ];
}

/// A kernel at a shape, on slots.
#[derive(Clone, Debug)]
pub struct Call {
    /// Part of the step.
    pub section: Section,
    /// What runs.
    pub at: At,
    /// One slot for each argument.
    pub args: Vec<SlotId>,
}

impl Call {
    /// The slots that it writes, in binding order.
    pub fn outputs(&self) -> impl Iterator<Item = SlotId> {
        let args = self.at.args();
        self.args
            .iter()
            .enumerate()
            .filter(move |(place, _)| args[*place].access != Access::Read)
            .map(|(_, &slot)| slot)
    }
}

/// Elements between the starts of tensors in an arena are a multiple of this: 256 bytes, WebGPU's default offset
/// alignment of storage bindings.
pub const ALIGNMENT: usize = 64;

/// Memory that a runner allocates: that of one slot, or of activations that are never needed at the same time.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// Whether it holds integers; otherwise real numbers, of whatever size.
    pub is_uint: bool,
    /// Most elements that a slot of it has.
    pub len: usize,
    /// Bytes on a device, those of its largest slot: a multiple of 4.
    pub bytes: u64,
    /// What it is for.
    pub role: Role,
    /// Its slots, the largest first, with the calls from the first that writes it to the last that reads it.
    slots: Vec<(SlotId, Range<usize>)>,
}

impl Buffer {
    /// Its largest slot.
    pub fn slot(&self) -> SlotId {
        self.slots[0].0
    }

    fn new(id: SlotId, slot: &Slot, life: Range<usize>) -> Self {
        let (is_uint, role) = (slot.element == Element::U32, slot.role);
        Buffer { is_uint, len: slot.len(), bytes: slot.bytes(), role, slots: vec![(id, life)] }
    }
}

/// A place where the [shares](crate::config::Config::shares) of a step meet: sections before it have worked on the rows
/// of a share, or those behind it will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Values of the rows of a share, `[rows / shares, …]`.
    pub share: SlotId,
    /// Those of all rows, `[rows, …]`.
    pub all: SlotId,
}

/// Slots and calls; see the module.
#[derive(Clone, Debug)]
pub struct Plan {
    slots: Vec<Slot>,
    calls: Vec<Call>,
    buffers: Vec<Buffer>,
    /// The buffer of each slot.
    places: Vec<usize>,
    /// See [`Plan::statistics`].
    statistics: Vec<&'static str>,
    meetings: Vec<Meeting>,
}

impl Plan {
    /// Every slot, by [`SlotId::index`].
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Every call, in order; sections never go back.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The places of all calls.
    pub fn all(&self) -> Range<usize> {
        0..self.calls.len()
    }

    /// The places of the calls of a run: all but those of [`Section::Prepare`].
    pub fn each(&self) -> Range<usize> {
        self.section(Section::Prepare).end..self.calls.len()
    }

    /// The places of the calls of a section.
    pub fn section(&self, section: Section) -> Range<usize> {
        let start = self.calls.partition_point(|call| call.section < section);
        let end = self.calls.partition_point(|call| call.section <= section);
        start..end
    }

    /// The slot with this id.
    pub fn slot(&self, id: SlotId) -> &Slot {
        &self.slots[id.0]
    }

    /// All ids, by place.
    pub fn ids(&self) -> impl Iterator<Item = SlotId> {
        (0..self.slots.len()).map(SlotId)
    }

    /// The slot of this name. Panics where there is none.
    pub fn id(&self, name: &str) -> SlotId {
        self.find(name).unwrap_or_else(|| panic!("the plan has no slot `{name}`"))
    }

    /// The slot of this name, if there is one.
    pub fn find(&self, name: &str) -> Option<SlotId> {
        self.slots.iter().position(|slot| slot.name == name).map(SlotId)
    }

    /// Names of the elements of the slot of [statistics](Role::Statistic).
    pub fn statistics(&self) -> &[&'static str] {
        &self.statistics
    }

    /// Where the shares of a step meet, in order; none where a step is not cut into shares. Its sections are then not
    /// run one after the other: those between two meetings are run for each share.
    pub fn meetings(&self) -> &[Meeting] {
        &self.meetings
    }

    /// The memory of all slots.
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// Place of the slot's buffer in [`Plan::buffers`], and the element at which the slot starts there.
    pub fn storage(&self, id: SlotId) -> (usize, usize) {
        match self.slots[id.0].place {
            Place::Own => (self.places[id.0], 0),
            Place::Within(arena, offset) => (self.places[arena.0], offset),
        }
    }

    /// The end of the calls that need a slot's values; behind it a later slot may have its memory.
    pub fn needed_until(&self, id: SlotId) -> usize {
        let tenants = &self.buffers[self.storage(id).0].slots;
        let own = tenants.iter().find(|(tenant, _)| *tenant == id);
        own.map_or(self.calls.len(), |(_, life)| life.end)
    }

    /// Whether a slot has its values after a run of the whole plan.
    pub fn keeps(&self, id: SlotId) -> bool {
        self.needed_until(id) == self.calls.len()
    }

    /// The same plan with memory of its own for every slot, so that a run leaves everything to be looked at, and a part
    /// of it can be run again.
    pub fn unshared(mut self) -> Plan {
        self.buffers.clear();
        for (id, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.place == Place::Own) {
            self.places[id] = self.buffers.len();
            self.buffers.push(Buffer::new(SlotId(id), slot, 0..self.calls.len()));
        }
        self
    }

    /// Bytes of all buffers that `role` names.
    pub fn bytes_of(&self, role: Role) -> u64 {
        self.buffers.iter().filter(|buffer| buffer.role == role).map(|buffer| buffer.bytes).sum()
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        self.buffers.iter().map(|buffer| buffer.bytes).sum()
    }

    /// Floating-point operations of one run of the calls.
    pub fn flops(&self) -> u64 {
        self.calls.iter().map(|call| call.at.work().flops).sum()
    }

    /// Each different call once.
    pub fn distinct(&self) -> Vec<At> {
        let mut known = HashSet::new();
        self.calls.iter().map(|call| &call.at).filter(|&at| known.insert(at)).cloned().collect()
    }
}

/// Bytes as a person reads them.
fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<9} {:<12} {:>12} {:>10}  arguments", "section", "kernel", "MFLOP", "moves")?;
        for call in &self.calls {
            let names: Vec<_> = call.args.iter().map(|&id| self.slot(id).name.as_str()).collect();
            let outputs = call.at.args().iter().filter(|arg| arg.access != Access::Read).count();
            let (inputs, outputs) = names.split_at(names.len() - outputs);
            let work = call.at.work();
            writeln!(
                f,
                "{:<9} {:<12} {:>12.3} {:>10}  {} -> {}",
                format!("{:?}", call.section).to_lowercase(),
                call.at.name(),
                work.flops as f64 / 1e6,
                bytes(work.bytes),
                inputs.join(" "),
                outputs.join(" ")
            )?;
        }
        writeln!(f, "\n{:<10} {:>10}  {:<22} shape", "role", "size", "slot")?;
        for slot in &self.slots {
            let indent = if slot.place == Place::Own { "" } else { "  " };
            let dims: Vec<_> = slot.dims.iter().map(usize::to_string).collect();
            writeln!(
                f,
                "{:<10} {:>10}  {:<22} {}",
                format!("{:?}", slot.role).to_lowercase(),
                bytes(slot.bytes()),
                format!("{indent}{}", slot.name),
                dims.join(" × ")
            )?;
        }
        let own = self.slots.iter().filter(|slot| slot.place == Place::Own);
        write!(
            f,
            "\n{} calls, {:.1} MFLOP a run, {} in {} buffers ({} if activations did not share them)",
            self.calls.len(),
            self.flops() as f64 / 1e6,
            bytes(self.bytes()),
            self.buffers.len(),
            bytes(own.map(Slot::bytes).sum()),
        )
    }
}

/// Builds a [`Plan`] and refuses what could not run. Its panics are mistakes in the program: they name kernel and slot.
#[derive(Clone, Default)]
pub struct Builder {
    slots: Vec<Slot>,
    calls: Vec<Call>,
    /// The slots by name.
    names: HashMap<String, SlotId>,
    /// The parts of each arena.
    parts: HashMap<SlotId, Vec<SlotId>>,
    written: HashSet<SlotId>,
    /// Calls that wait for their section.
    later: Vec<Call>,
    statistics: Vec<&'static str>,
    meetings: Vec<Meeting>,
}

impl Builder {
    /// Adds a slot with a buffer of its own.
    pub fn slot(&mut self, name: impl Into<String>, element: Element, dims: &[usize], role: Role) -> SlotId {
        self.add(Slot { name: name.into(), element, dims: dims.to_vec(), role, place: Place::Own })
    }

    /// Adds an activation stored as `element`.
    pub fn stored(&mut self, name: impl Into<String>, element: Element, dims: &[usize]) -> SlotId {
        self.slot(name, element, dims, Role::Activation)
    }

    /// Adds an activation of real numbers.
    pub fn activation(&mut self, name: impl Into<String>, dims: &[usize]) -> SlotId {
        self.slot(name, Element::F32, dims, Role::Activation)
    }

    /// Adds the slot of what a step reports: a real number for each name.
    pub fn statistics(&mut self, name: &str, names: Vec<&'static str>) -> SlotId {
        let id = self.slot(name, Element::F32, &[names.len()], Role::Statistic);
        self.statistics = names;
        id
    }

    /// Adds a place where shares meet.
    pub fn meet(&mut self, share: SlotId, all: SlotId) {
        self.meetings.push(Meeting { share, all });
    }

    /// The slot of `length` zeros.
    pub fn zeros(&mut self, length: usize) -> SlotId {
        let name = format!("zeros.{length}");
        match self.names.get(&name) {
            Some(&id) => id,
            None => self.slot(name, Element::F32, &[length], Role::Constant),
        }
    }

    fn add(&mut self, slot: Slot) -> SlotId {
        let id = SlotId(self.slots.len());
        assert!(!slot.is_empty(), "slot `{}` is empty", slot.name);
        assert!(self.names.insert(slot.name.clone(), id).is_none(), "two slots are named `{}`", slot.name);
        if let Place::Within(arena, _) = slot.place {
            self.parts.entry(arena).or_default().push(id);
        }
        self.slots.push(slot);
        id
    }

    /// Adds a slot of real numbers that lies in the slot `arena`, from element `start` on.
    pub fn part(&mut self, name: impl Into<String>, dims: &[usize], arena: SlotId, start: usize) -> SlotId {
        let (name, place) = (name.into(), Place::Within(arena, start));
        let Slot { name: whole, role, .. } = &self.slots[arena.0];
        assert!(start.is_multiple_of(ALIGNMENT), "slot `{name}` begins at {start} in `{whole}`, not at a multiple");
        let ends = start + dims.iter().product::<usize>();
        assert!(ends <= self.len(arena), "slot `{name}` ends behind `{whole}`, at {ends}");
        self.add(Slot { name, element: Element::F32, dims: dims.to_vec(), role: *role, place })
    }

    /// The slot of this name, if there is one.
    pub fn find(&self, name: &str) -> Option<SlotId> {
        self.names.get(name).copied()
    }

    /// The slot of this name. Panics where there is none.
    pub fn id(&self, name: &str) -> SlotId {
        *self.names.get(name).unwrap_or_else(|| panic!("the plan has no slot `{name}`"))
    }

    /// Element type of a slot.
    pub fn element(&self, id: SlotId) -> Element {
        self.slots[id.0].element
    }

    /// Number of elements of a slot.
    pub fn len(&self, id: SlotId) -> usize {
        self.slots[id.0].len()
    }

    /// Elements `[start, end)` that a slot takes in the buffer that holds it.
    fn range(&self, id: SlotId) -> (SlotId, Range<usize>) {
        let slot = &self.slots[id.0];
        match slot.place {
            Place::Own => (id, 0..slot.len()),
            Place::Within(arena, offset) => (arena, offset..offset + slot.len()),
        }
    }

    /// Whether all that a read of `id` would see has been written, by the host or by an earlier call.
    fn is_written(&self, id: SlotId) -> bool {
        let roles = [Role::Input, Role::Parameter, Role::Moment, Role::State, Role::Constant];
        let by_host = roles.contains(&self.slots[id.0].role);
        let parts = self.parts.get(&id);
        let whole_by_parts = parts.is_some_and(|parts| parts.iter().all(|part| self.written.contains(part)));
        by_host || self.written.contains(&id) || whole_by_parts
    }

    /// Adds the kernel `K` at `shape` on `args`, in binding order.
    /// Where one of the slots is stored in 16 bits, the kernel takes its images and activations so.
    pub fn call<K: Kernel>(&mut self, section: Section, shape: K::Shape, args: &[SlotId]) {
        self.append(self.made::<K>(section, shape, args));
    }

    /// [`Builder::call`] at the end of [`Section::Prepare`], whatever is there already.
    pub fn prepare<K: Kernel>(&mut self, shape: K::Shape, args: &[SlotId]) {
        let call = self.made::<K>(Section::Prepare, shape, args);
        self.accept(&call);
        let end = self.calls.partition_point(|call| call.section == Section::Prepare);
        self.calls.insert(end, call);
    }

    /// [`Builder::call`] at the beginning of a section to come, behind what waits for it already.
    pub fn later<K: Kernel>(&mut self, section: Section, shape: K::Shape, args: &[SlotId]) {
        self.later.push(self.made::<K>(section, shape, args));
    }

    /// What [`Builder::call`] would add.
    pub(crate) fn made<K: Kernel>(&self, section: Section, shape: K::Shape, args: &[SlotId]) -> Call {
        let stored = |format: &Format| args.iter().any(|id| self.slots[id.0].element == format.element());
        let at = At::stored::<K>(shape, Format::ALL.into_iter().rfind(stored).unwrap_or(Format::F32));
        Call { section, at, args: args.to_vec() }
    }

    /// Adds a call.
    pub(crate) fn append(&mut self, call: Call) {
        self.begin(call.section);
        self.push(call);
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Adds the calls that wait for `section` or one before it.
    fn begin(&mut self, section: Section) {
        let waiting = std::mem::take(&mut self.later);
        let (mut due, later): (Vec<_>, _) = waiting.into_iter().partition(|call| call.section <= section);
        self.later = later;
        due.sort_by_key(|call| call.section);
        due.into_iter().for_each(|call| self.push(call));
    }

    fn push(&mut self, call: Call) {
        let (section, kernel) = (call.section, call.at.name());
        assert!(
            self.calls.last().is_none_or(|last| last.section <= section),
            "{kernel} goes back to section {section:?}"
        );
        self.accept(&call);
        self.calls.push(call);
    }

    /// Refuses a call that could not run, and notes what it writes.
    fn accept(&mut self, Call { at, args, .. }: &Call) {
        let wanted = at.args();
        let kernel = at.name();
        assert_eq!(wanted.len(), args.len(), "{kernel} takes {} arguments", wanted.len());
        for (place, (arg, &id)) in wanted.iter().zip(args).enumerate() {
            let slot = &self.slots[id.0];
            let what = format!("{kernel}: argument `{}` on slot `{}`", arg.name, slot.name);
            assert_eq!(slot.len(), arg.len, "{what}: wrong number of elements");
            assert_eq!(slot.element, arg.element, "{what}: wrong element type");
            assert!(arg.len <= u32::MAX as usize, "{what}: more elements than 32-bit indices reach");
            if arg.access != Access::Write {
                assert!(self.is_written(id), "{what}: read before anything wrote it");
            }
            let (buffer, range) = self.range(id);
            for (other_arg, &other) in wanted.iter().zip(args).take(place) {
                let (other_buffer, other_range) = self.range(other);
                if buffer == other_buffer && (arg.access, other_arg.access) != (Access::Read, Access::Read) {
                    let overlap = range.start < other_range.end && other_range.start < range.end;
                    let reason = if overlap { "overlaps" } else { "lies in the same buffer as" };
                    panic!("{what}: {reason} slot `{}`, and one of them is written", self.slots[other.0].name);
                }
            }
        }
        for (arg, &id) in wanted.iter().zip(args) {
            if arg.access != Access::Read {
                let Slot { role, name, .. } = &self.slots[id.0];
                assert!(!matches!(role, Role::Input | Role::Constant), "{kernel} writes input `{name}`");
                self.written.insert(id);
            }
        }
    }

    /// Makes one call of two wherever [a kernel does both](fused) and nobody else takes what the first hands to the
    /// second: that is never stored then, and its slot is gone.
    fn fuse(&mut self) {
        let mut gone = HashSet::new();
        let mut place = 0;
        while place < self.calls.len() {
            if let Some((first, between, call)) = self.fusable(place) {
                self.accept(&call);
                self.calls[place] = call;
                self.calls.remove(first);
                gone.insert(between);
            } else {
                place += 1;
            }
        }
        self.remove(&gone);
    }

    /// Makes an output [in the place of an input](in_place) wherever nobody needs that any more.
    fn save_memory(&mut self) {
        let mut gone = HashSet::new();
        for place in 0..self.calls.len() {
            let call = &self.calls[place];
            let Some((at, input, output)) = in_place(&call.at) else { continue };
            let arg = |name: &str| call.args[call.at.args().iter().position(|arg| arg.name == name).expect("its own")];
            let (input, made) = (arg(input), arg(output));
            let may_end = |id: SlotId| {
                let Slot { role, place, .. } = &self.slots[id.0];
                let meets = self.meetings.iter().any(|meeting| [meeting.share, meeting.all].contains(&id));
                (*role, *place) == (Role::Activation, Place::Own) && !meets
            };
            let is_taken = |id: SlotId| self.calls[place + 1..].iter().any(|call| call.args.contains(&id));
            let once = call.args.iter().filter(|&&slot| slot == input).count() == 1;
            // A section may be run again, so that it must make anew what it changes.
            let maker = self.calls.iter().find(|call| call.args.contains(&input));
            let anew = maker.is_some_and(|maker| maker.section == call.section);
            if may_end(input) && may_end(made) && is_taken(made) && !is_taken(input) && once && anew {
                let args = call.args.iter().copied().filter(|&slot| slot != made).collect();
                let call = Call { section: call.section, at, args };
                self.accept(&call);
                self.calls[place] = call;
                let later = self.calls[place + 1..].iter_mut().flat_map(|call| &mut call.args);
                later.filter(|slot| **slot == made).for_each(|slot| *slot = input);
                gone.insert(made);
            }
        }
        self.remove(&gone);
    }

    /// What a call can be fused with: the place of an earlier one, the slot between them, and the call that takes the
    /// place of both.
    fn fusable(&self, second: usize) -> Option<(usize, SlotId, Call)> {
        let last = &self.calls[second];
        let mut slots = last.args.iter().copied().filter(|&id| {
            let Slot { role, place, .. } = &self.slots[id.0];
            (*role, *place) == (Role::Activation, Place::Own)
        });
        slots.find_map(|between| {
            // Mostly near, and mostly no kernel does both: what else takes the slot is looked for last.
            let first = self.calls[..second].iter().rposition(|call| call.args.contains(&between))?;
            let call = &self.calls[first];
            let at = fused(&call.at, &last.at)?;
            let mut rest = self.calls[..first].iter().chain(&self.calls[second + 1..]);
            let alone = rest.all(|call| !call.args.contains(&between));
            let others = &self.calls[first + 1..second];
            let stays = others.iter().flat_map(Call::outputs).all(|output| !call.args.contains(&output));
            if call.section != last.section || !call.outputs().eq([between]) || !alone || !stays {
                return None;
            }
            let arg = |wanted: &ArgAt| {
                let own = [call, last].into_iter().flat_map(|call| call.at.args().iter().zip(&call.args));
                let found = own.filter(|&(arg, &slot)| slot != between && arg.name == wanted.name);
                found.map(|(_, &slot)| slot).next().expect("its arguments are theirs")
            };
            let args = at.args().iter().map(arg).collect();
            Some((first, between, Call { section: last.section, at, args }))
        })
    }

    /// Removes slots that no call has.
    fn remove(&mut self, gone: &HashSet<SlotId>) {
        let mut left = 0;
        let number = |id| {
            let own = SlotId(left);
            left += usize::from(!gone.contains(&SlotId(id)));
            own
        };
        let numbers: Vec<SlotId> = (0..self.slots.len()).map(number).collect();
        let renumber = |id: &mut SlotId| *id = numbers[id.0];
        self.calls.iter_mut().flat_map(|call| &mut call.args).for_each(renumber);
        self.meetings.iter_mut().flat_map(|meeting| [&mut meeting.share, &mut meeting.all]).for_each(renumber);
        let mut id = 0..;
        self.slots.retain(|_| !gone.contains(&SlotId(id.next().expect("without end"))));
        for slot in &mut self.slots {
            if let Place::Within(arena, _) = &mut slot.place {
                renumber(arena);
            }
        }
    }

    /// Number of the calls in sections before this one.
    fn before(&self, section: Section) -> usize {
        self.calls.partition_point(|call| call.section < section)
    }

    /// For each slot the calls during which its values are needed: from the first that has it to the last, and to the
    /// end where that one writes it, since what no call reads is for the host. (An update reads.) Only activations come
    /// and go.
    fn lives(&self) -> Vec<Range<usize>> {
        let end = self.calls.len();
        let mut lives: Vec<Option<Range<usize>>> = vec![None; self.slots.len()];
        for (place, call) in self.calls.iter().enumerate() {
            for (arg, id) in call.at.args().iter().zip(&call.args) {
                let until = if arg.access == Access::Write { end } else { place + 1 };
                let start = lives[id.0].as_ref().map_or(place, |life| life.start);
                lives[id.0] = Some(start..until);
            }
        }
        // Between loss and update the sections before the loss are run again where shares take turns.
        let [loss, update] = [Section::Loss, Section::Update].map(|section| self.before(section));
        let outlasts = |life: &Range<usize>| !self.meetings.is_empty() && life.start >= loss && life.end > update;
        let life = |(slot, life): (&Slot, Option<Range<usize>>)| match (slot.role, life) {
            (Role::Activation, Some(life)) if outlasts(&life) => 0..life.end,
            (Role::Activation, life) => life.unwrap_or(0..0),
            _ => 0..end,
        };
        self.slots.iter().zip(lives).map(life).collect()
    }

    /// The finished plan. Calls are fused, and work in place, where that goes. Activations that are not needed at the
    /// same time share memory: the largest first, each takes the first buffer that is free while it lives.
    pub fn finish(mut self) -> Plan {
        self.begin(Section::Update);
        self.fuse();
        self.save_memory();
        let lives = self.lives();
        let mut own: Vec<_> = (0..self.slots.len()).filter(|&id| self.slots[id].place == Place::Own).collect();
        own.sort_by_key(|&id| std::cmp::Reverse(self.slots[id].bytes()));
        let mut buffers: Vec<Buffer> = Vec::new();
        let mut places = vec![usize::MAX; self.slots.len()];
        for id in own {
            let (slot, life) = (&self.slots[id], lives[id].clone());
            let free = |buffer: &Buffer| {
                let alike = (buffer.role, buffer.is_uint) == (slot.role, slot.element == Element::U32);
                alike && buffer.slots.iter().all(|(_, other)| life.end <= other.start || other.end <= life.start)
            };
            places[id] = buffers.iter().position(free).unwrap_or(buffers.len());
            match buffers.get_mut(places[id]) {
                Some(buffer) => {
                    buffer.len = buffer.len.max(slot.len());
                    buffer.slots.push((SlotId(id), life));
                }
                None => buffers.push(Buffer::new(SlotId(id), slot, life)),
            }
        }
        let Builder { slots, calls, statistics, meetings, .. } = self;
        Plan { slots, calls, buffers, places, statistics, meetings }
    }
}
