//! What the registry says and what the shaders say are the same, by naga's reading of them: files, bindings,
//! constants, limits. And every shader translates to the languages of Vulkan, Metal and Direct3D.
//!
//! Everything follows the registry and the plans: nothing here names a kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use naga::valid::{Capabilities, FunctionInfo, GlobalUse, ModuleInfo, ValidationFlags, Validator};
use naga::{
    AddressSpace, ArraySize, Block, Function, Module, Scalar, ScalarKind, ShaderStage, Span, Statement, StorageAccess,
    TypeInner,
};
use siamese::check::plan_calls;
use siamese::config::{Config, PRESETS, Storage};
use siamese::gpu::{Features, variant};
use siamese::kernel::{Access, At, Element, Format, Needs, ShaderAt};
use siamese::kernels::{self, Entry};

/// WebGPU's defaults, which every browser grants.
const INVOCATIONS: u32 = 256;
const STORAGE_BUFFERS: usize = 8;
const WORKGROUP_BYTES: u32 = 16 << 10;

/// Stem and text of each `.wgsl` file of a folder, which is relative to the crate.
fn files(folder: &str) -> BTreeMap<String, String> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wgsl"))
        .map(|path| {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a UTF-8 name").to_owned();
            (stem, fs::read_to_string(&path).expect("a UTF-8 text"))
        })
        .collect()
}

/// What is put before the text of a shader that stores in 16 bits, or multiplies by cooperative matrices.
fn prelude(shader: &ShaderAt) -> &'static str {
    match (shader.needs, shader.format) {
        (Needs::Matrices(_), _) => "enable f16; enable wgpu_cooperative_matrix; ",
        (_, Format::F16) => "enable f16; ",
        (_, Format::F32) => "",
    }
}

/// The text of its own file, and what is appended.
fn own(shader: &ShaderAt) -> &str {
    shader.source.strip_prefix(prelude(shader)).unwrap_or_else(|| panic!("{} is not enabled", shader.name))
}

/// The file of a shader: that of matrices is one for all sizes.
fn stem(shader: &str) -> String {
    shader.split_once(".matrix").map_or_else(|| shader.to_owned(), |(kernel, _)| format!("{kernel}.matrix"))
}

/// Every shader of a kernel with the cases it is made for; those that store in 16 bits behind the others. Matrices are
/// not for what is stored in 32.
fn shaders(entry: &Entry) -> Vec<(ShaderAt, Vec<At>)> {
    let mut shaders = Vec::new();
    for format in Format::ALL {
        let cases: Vec<_> = entry.cases.iter().filter(|at| at.format() == format).collect();
        for shader in cases.first().into_iter().flat_map(|at| at.shaders()) {
            let fits = |at: &&&At| at.shaders().iter().any(|other| other.name == shader.name && other.fits);
            let fitting: Vec<_> = cases.iter().filter(fits).map(|at| (*at).clone()).collect();
            let rounds = matches!(shader.needs, Needs::Matrices(_)) && format == Format::F32;
            if !(rounds && fitting.is_empty()) {
                shaders.push((shader, fitting));
            }
        }
    }
    shaders
}

/// Collects what is wrong, so that a failure shows all of it at once.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
        }
    }
}

/// What a shader may use by what it needs; naga refuses the rest, f16 and subgroups above all.
fn capabilities(shader: &ShaderAt) -> Capabilities {
    let own = match shader.needs {
        Needs::Nothing | Needs::WorkgroupMemory => Capabilities::empty(),
        Needs::EightLaneCpu => {
            Capabilities::SUBGROUP | Capabilities::SHADER_INT64 | Capabilities::SHADER_FLOAT16_IN_FLOAT32
        }
        Needs::Matrices(_) => Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16 | Capabilities::COOPERATIVE_MATRIX,
    };
    if shader.format == Format::F16 { own | Capabilities::SHADER_FLOAT16 } else { own }
}

fn validate(source: &str, capabilities: Capabilities) -> Result<(Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|error| error.emit_to_string(source))?;
    Ok((module, info))
}

/// The module as its author wrote it, overrides open.
fn parsed(shader: &ShaderAt) -> (Module, ModuleInfo) {
    validate(&shader.source, capabilities(shader)).unwrap_or_else(|error| panic!("{}: {error}", shader.name))
}

/// The module with the overrides set as at a shape.
fn resolved(module: &Module, info: &ModuleInfo, at: &At) -> Result<(Module, ModuleInfo), String> {
    let constants = at.constants().iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let main = Some((ShaderStage::Compute, "main"));
    naga::back::pipeline_constants::process_overrides(module, info, main, &constants)
        .map(|(module, info)| (module.into_owned(), info.into_owned()))
        .map_err(|error| error.to_string())
}

#[test]
fn the_files_are_those_of_the_registry() {
    let named: Vec<_> = kernels::all().into_iter().flat_map(|entry| entry.shaders).collect();
    let files: BTreeSet<_> = files("shaders").into_keys().collect();
    let distinct: BTreeSet<_> = named.iter().collect();
    assert_eq!(distinct.len(), named.len(), "two rows of the registry have one name: {named:?}");
    let stems = named.into_iter().map(stem).collect();
    assert_eq!(files, stems, "left: files in `shaders/`; right: shaders in the registry");
}

#[test]
fn shaders_are_named_after_their_kernel_and_the_plain_one_is_first() {
    let mut faults = Faults::default();
    let mut names = BTreeSet::new();
    for entry in kernels::all() {
        faults.check(names.insert(entry.name), || format!("two kernels are named {}", entry.name));
        faults.check(entry.shaders[0] == entry.name, || format!("the plain shader of {} is not first", entry.name));
        for (shader, cases) in shaders(&entry) {
            let name = shader.name;
            if name == entry.name {
                faults.check(shader.needs == Needs::Nothing, || format!("{name} is plain and needs a feature"));
                let all = entry.cases.iter().filter(|at| at.format() == shader.format).count();
                faults.check(cases.len() == all, || format!("{name} is plain and does not fit a case"));
            } else {
                let variant = name.strip_prefix(entry.name).and_then(|rest| rest.strip_prefix('.'));
                faults.check(variant.is_some_and(|variant| !variant.is_empty()), || {
                    format!("{name} is not named {}.<variant>", entry.name)
                });
                faults.check(!cases.is_empty(), || format!("{name} fits no case: nothing proves it"));
            }
        }
    }
}

#[test]
fn each_text_is_its_file_with_library_files_behind_it() {
    let (plain, libraries) = (files("shaders"), files("shaders/lib"));
    let mut faults = Faults::default();
    let mut used = BTreeSet::new();
    for (shader, _) in kernels::all().iter().flat_map(shaders) {
        let Some(mut rest) = own(&shader).strip_prefix(plain[&stem(shader.name)].as_str()) else {
            faults.check(false, || format!("{} does not begin with its file", shader.name));
            continue;
        };
        while !rest.is_empty() {
            let Some((library, text)) = libraries.iter().find(|(_, text)| rest.starts_with(text.as_str())) else {
                faults.check(false, || format!("{}: no library file begins with {:?}", shader.name, &rest[..40]));
                break;
            };
            faults.check(rest.len() == text.len() || text.ends_with('\n'), || format!("lib/{library}: no last line"));
            used.insert(library.clone());
            rest = &rest[text.len()..];
        }
    }
    let all: BTreeSet<_> = libraries.into_keys().collect();
    assert_eq!(used, all, "left: libraries that shaders use; right: files in `shaders/lib`");
}

#[test]
fn each_file_begins_with_a_header_that_lays_out_its_arrays() {
    let mut faults = Faults::default();
    for entry in kernels::all() {
        let args = entry.cases[0].args();
        for (shader, _) in shaders(&entry) {
            let header: Vec<_> = own(&shader).lines().take_while(|line| line.starts_with("//")).collect();
            for arg in args {
                // `// name  [rows, columns]   what is to be known`
                let layout = header.iter().any(|line| {
                    let mut words = line.trim_start_matches('/').split_whitespace();
                    words.next() == Some(arg.name) && words.next().is_some_and(|word| word.starts_with('['))
                });
                faults.check(layout, || format!("{}: the header does not lay out `{}`", shader.name, arg.name));
            }
            let who =
                header.iter().any(|line| ["thread", "workgroup", "subgroup"].iter().any(|who| line.contains(who)));
            faults.check(who, || format!("{}: the header does not say which thread makes what", shader.name));
        }
    }
    for (library, text) in files("shaders/lib") {
        faults.check(text.starts_with("// Appended to") || text.starts_with("// Takes the place of"), || {
            format!("lib/{library}: say what it is appended to")
        });
    }
}

#[test]
fn overrides_bindings_and_code_come_in_this_order() {
    let mut faults = Faults::default();
    for (shader, _) in kernels::all().iter().flat_map(shaders) {
        let place = |pattern: &str| shader.source.match_indices(pattern).map(|(place, _)| place).collect::<Vec<_>>();
        let (overrides, bindings, main) = (place("\noverride "), place("\n@group("), place("\n@compute "));
        let ordered = overrides.last() < bindings.first() && bindings.last() < main.first();
        faults.check(ordered && main.len() == 1, || format!("{}: overrides, bindings, one main", shader.name));
    }
}

#[test]
fn overrides_are_the_constants_of_the_shape() {
    let mut faults = Faults::default();
    for entry in kernels::all() {
        let constants: BTreeSet<_> = entry.cases[0].constants().iter().map(|(name, _)| *name).collect();
        let fractions: BTreeSet<_> = entry
            .cases
            .iter()
            .flat_map(|at| at.constants())
            .filter(|(_, value)| value.fract() != 0.0)
            .map(|(name, _)| *name)
            .collect();
        for (shader, _) in shaders(&entry) {
            let (module, _) = parsed(&shader);
            let overrides = module.overrides.iter().map(|(_, item)| item).collect::<Vec<_>>();
            let names: BTreeSet<_> = overrides.iter().filter_map(|item| item.name.as_deref()).collect();
            faults.check(names == constants, || {
                format!("{}: overrides {names:?} are not the shape's constants {constants:?}", shader.name)
            });
            for item in overrides {
                let name = item.name.as_deref().unwrap_or("an override without a name");
                faults.check(item.init.is_none(), || format!("{}: `{name}` has a default", shader.name));
                faults.check(item.id.is_none(), || format!("{}: `{name}` goes by a number", shader.name));
                let TypeInner::Scalar(scalar) = module.types[item.ty].inner else {
                    faults.check(false, || format!("{}: `{name}` is no number", shader.name));
                    continue;
                };
                // A fraction given to an integer override is cut off without a word.
                let wanted = if fractions.contains(name) { ScalarKind::Float } else { scalar.kind };
                let known = matches!(scalar.kind, ScalarKind::Float | ScalarKind::Uint);
                faults.check(known && scalar.width == 4 && scalar.kind == wanted, || {
                    format!("{}: `{name}` is {scalar:?}, which does not hold its values", shader.name)
                });
            }
        }
    }
}

/// Element type of an `array<f32>`, `array<u32>` or an array of their 4-vectors, with the number of lanes; four of them
/// may be declared as integers of 64 bits.
fn element(module: &Module, inner: &TypeInner) -> Option<(Element, usize)> {
    let &TypeInner::Array { base, size: ArraySize::Dynamic, .. } = inner else { return None };
    let (scalar, lanes) = match module.types[base].inner {
        TypeInner::Scalar(scalar) => (scalar, 1),
        TypeInner::Vector { size: naga::VectorSize::Quad, scalar } => (scalar, 4),
        TypeInner::Vector { size: naga::VectorSize::Bi, scalar: Scalar::U64 } => (Scalar::F32, 4),
        _ => return None,
    };
    match (scalar.kind, scalar.width) {
        (ScalarKind::Uint, 8) => Some((Element::F16, 4)),
        (ScalarKind::Float, 4) => Some((Element::F32, lanes)),
        (ScalarKind::Float, 2) => Some((Element::F16, lanes)),
        (ScalarKind::Uint, 4) => Some((Element::U32, lanes)),
        _ => None,
    }
}

#[test]
fn bindings_are_the_arguments() {
    let mut faults = Faults::default();
    for entry in kernels::all() {
        for (shader, cases) in shaders(&entry) {
            let args = cases[0].args();
            let (module, info) = parsed(&shader);
            let name = shader.name;
            let mut bound: Vec<_> =
                module.global_variables.iter().filter(|(_, variable)| variable.binding.is_some()).collect();
            bound.sort_by_key(|(_, variable)| variable.binding);
            faults.check(bound.len() == args.len(), || {
                format!("{name}: {} bindings, {} arguments", bound.len(), args.len())
            });
            faults.check(bound.len() <= STORAGE_BUFFERS, || format!("{name}: {} storage buffers", bound.len()));
            for (place, ((handle, variable), arg)) in bound.into_iter().zip(args).enumerate() {
                let what = format!("{name}, argument `{}`", arg.name);
                let binding = variable.binding.expect("kept those with one");
                faults.check((binding.group, binding.binding) == (0, place as u32), || format!("{what}: {binding:?}"));
                faults.check(variable.name.as_deref() == Some(arg.name), || {
                    format!("{what}: the binding is named {:?}", variable.name)
                });
                let (access, uses) = match arg.access {
                    Access::Read => (StorageAccess::LOAD, GlobalUse::READ),
                    Access::Write => (StorageAccess::LOAD | StorageAccess::STORE, GlobalUse::WRITE),
                    Access::Update => (StorageAccess::LOAD | StorageAccess::STORE, GlobalUse::READ | GlobalUse::WRITE),
                };
                faults.check(variable.space == AddressSpace::Storage { access }, || {
                    format!("{what}: {:?} in WGSL, {:?} in the registry", variable.space, arg.access)
                });
                let used = info.get_entry_point(0)[handle];
                faults
                    .check(used == uses, || format!("{what}: {:?} in the registry, {used:?} by the code", arg.access));
                let Some((element, lanes)) = element(&module, &module.types[variable.ty].inner) else {
                    faults.check(false, || format!("{what}: no array of f32, u32 or their 4-vectors"));
                    continue;
                };
                faults.check(element == arg.element, || format!("{what}: {element:?} in WGSL, {:?}", arg.element));
                for at in &cases {
                    // The last elements of an array that fills no whole vector would be out of the shader's reach.
                    let len = at.args()[place].len;
                    faults.check(len.is_multiple_of(lanes), || format!("{what} at {at}: {len} elements by {lanes}"));
                }
            }
        }
    }
}

#[test]
fn every_shader_keeps_webgpu_s_default_limits() {
    let mut faults = Faults::default();
    for (shader, cases) in kernels::all().iter().flat_map(shaders) {
        let (module, info) = parsed(&shader);
        let names: Vec<_> = module.entry_points.iter().map(|entry| (entry.stage, entry.name.as_str())).collect();
        assert_eq!(names, [(ShaderStage::Compute, "main")], "{}: entry points", shader.name);
        for at in cases {
            let module = match resolved(&module, &info, &at) {
                Ok((module, _)) => module,
                Err(error) => {
                    faults.check(false, || format!("{} at {at}: {error}", shader.name));
                    continue;
                }
            };
            let invocations: u32 = module.entry_points[0].workgroup_size.iter().product();
            faults.check((1..=INVOCATIONS).contains(&invocations), || {
                format!("{} at {at}: {invocations} invocations", shader.name)
            });
            let shared = module.global_variables.iter().filter(|(_, item)| item.space == AddressSpace::WorkGroup);
            let bytes: u32 =
                shared.map(|(_, item)| module.types[item.ty].inner.size(module.to_ctx()).next_multiple_of(16)).sum();
            faults.check(bytes <= WORKGROUP_BYTES, || format!("{} at {at}: {bytes} B shared", shader.name));
        }
    }
}

/// What is met when a function runs, as far as it matters here.
#[derive(Clone, Copy, Default)]
struct Met {
    /// An instruction for which threads wait on each other: a barrier, or a subgroup operation.
    meeting: bool,
    /// A `return` that is not the function's last statement.
    leaving: bool,
    /// A meeting that some thread may have left before.
    broken: bool,
}

impl Met {
    fn then(self, next: Met) -> Met {
        Met {
            meeting: self.meeting || next.meeting,
            leaving: self.leaving || next.leaving,
            broken: self.broken || next.broken || (self.leaving && next.meeting),
        }
    }
}

fn walk(module: &Module, block: &Block) -> Met {
    let mut met = Met::default();
    for statement in block {
        let next = match statement {
            Statement::Block(block) => walk(module, block),
            Statement::If { accept, reject, .. } => {
                let (accept, reject) = (walk(module, accept), walk(module, reject));
                Met { broken: accept.broken || reject.broken, ..accept.then(reject) }
            }
            Statement::Switch { cases, .. } => cases.iter().fold(Met::default(), |met, case| {
                let case = walk(module, &case.body);
                Met { broken: met.broken || case.broken, ..met.then(case) }
            }),
            Statement::Loop { body, continuing, .. } => {
                // The next round comes behind this one.
                let round = walk(module, body).then(walk(module, continuing));
                round.then(round)
            }
            Statement::Return { .. } | Statement::Kill => Met { leaving: true, ..Met::default() },
            Statement::ControlBarrier(_)
            | Statement::WorkGroupUniformLoad { .. }
            | Statement::SubgroupBallot { .. }
            | Statement::SubgroupGather { .. }
            | Statement::SubgroupCollectiveOperation { .. } => Met { meeting: true, ..Met::default() },
            Statement::Call { function, .. } => {
                // A `return` in there comes back to here.
                Met { leaving: false, ..of_function(module, &module.functions[*function]) }
            }
            _ => Met::default(),
        };
        met = met.then(next);
    }
    met
}

fn of_function(module: &Module, function: &Function) -> Met {
    let mut body = function.body.clone();
    // naga ends every function with a `return`; it leaves nobody behind.
    if let Some(Statement::Return { .. }) = body.last() {
        let end = body.len() - 1;
        body.cull(end..);
    }
    walk(module, &body)
}

/// Whether a thread may have returned before a barrier or subgroup operation of `main`. Browsers refuse that; naga
/// does not.
fn returns_before_a_meeting(module: &Module) -> bool {
    of_function(module, &module.entry_points[0].function).broken
}

#[test]
fn no_thread_returns_before_a_barrier() {
    let mut faults = Faults::default();
    for (shader, _) in kernels::all().iter().flat_map(shaders) {
        let (module, _) = parsed(&shader);
        faults.check(!returns_before_a_meeting(&module), || format!("{}: a return before a barrier", shader.name));
    }
}

/// The first place where a function stores into a component of a vector that threads share.
fn shared_component_store(module: &Module, function: &Function, info: &FunctionInfo) -> Option<Span> {
    fn search(module: &Module, info: &FunctionInfo, block: &Block) -> Option<Span> {
        block.span_iter().find_map(|(statement, span)| match statement {
            // naga gives the pointer to a scalar within a vector a type of its own.
            &Statement::Store { pointer, .. } => match info[pointer].ty.inner_with(&module.types) {
                TypeInner::ValuePointer { size: None, space: AddressSpace::WorkGroup, .. }
                | TypeInner::ValuePointer { size: None, space: AddressSpace::Storage { .. }, .. } => Some(*span),
                _ => None,
            },
            Statement::Block(block) => search(module, info, block),
            Statement::If { accept, reject, .. } => {
                search(module, info, accept).or_else(|| search(module, info, reject))
            }
            Statement::Switch { cases, .. } => cases.iter().find_map(|case| search(module, info, &case.body)),
            Statement::Loop { body, continuing, .. } => {
                search(module, info, body).or_else(|| search(module, info, continuing))
            }
            _ => None,
        })
    }
    search(module, info, &function.body)
}

/// Where a shader stores into a component of a vector in workgroup or storage memory. Such a store may access the
/// whole vector (WGSL, "Memory locations"), so that threads with a component each overwrite one another's: Metal and
/// Direct3D do so.
fn shared_component_stores(module: &Module, info: &ModuleInfo) -> Vec<Span> {
    let functions = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
    let entry_points = module.entry_points.iter().enumerate().map(|(place, entry)| (&entry.function, place));
    let entry_points = entry_points.map(|(function, place)| (function, info.get_entry_point(place)));
    functions
        .chain(entry_points)
        .filter_map(|(function, info)| shared_component_store(module, function, info))
        .collect()
}

#[test]
fn no_shader_stores_a_component_of_a_shared_vector() {
    let mut faults = Faults::default();
    for (shader, _) in kernels::all().iter().flat_map(shaders) {
        let (module, info) = parsed(&shader);
        for span in shared_component_stores(&module, &info) {
            let line = span.location(&shader.source).line_number;
            faults.check(false, || format!("{}: line {line} stores a component of a shared vector", shader.name));
        }
    }
}

/// The rules above rest on code of this file and on naga's; they must see a shader that breaks them.
#[test]
fn the_rules_see_what_they_forbid() {
    let main = |head: &str, body: &str| {
        format!("{head}\n@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) lane: u32) {{ {body} }}")
    };
    let breaks = |body: &str| {
        let source = main("fn meet() { workgroupBarrier(); }", body);
        let (module, _) = validate(&source, Capabilities::SUBGROUP).unwrap_or_else(|error| panic!("{error}"));
        returns_before_a_meeting(&module)
    };
    assert!(breaks("if lane > 3u { return; } workgroupBarrier();"), "a return, then a barrier");
    assert!(breaks("if lane > 3u { return; } meet();"), "a return, then a barrier in a function");
    assert!(breaks("for (var i = 0u; i < 4u; i++) { workgroupBarrier(); if lane > i { return; } }"), "in a loop");
    assert!(breaks("switch lane { case 1u: { return; } default: {} } workgroupBarrier();"), "in a switch");
    assert!(breaks("if lane > 3u { return; } let x = subgroupBroadcast(lane, 0u);"), "then a subgroup operation");
    assert!(!breaks("workgroupBarrier(); if lane > 3u { return; } "), "a return after the barrier");
    assert!(!breaks("if lane > 3u { return; } var x = lane;"), "no barrier at all");

    let shared = "var<workgroup> a: array<vec4f, 64>; var<workgroup> one: vec4f; var<workgroup> m: mat4x4f;
        var<workgroup> scalars: array<f32, 64>; var<private> own: vec4f;
        @group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
        @group(0) @binding(1) var<storage, read_write> z: array<f32>;";
    let stores = |body: &str| {
        let source = main(shared, body);
        let (module, info) = validate(&source, Capabilities::empty()).unwrap_or_else(|error| panic!("{error}"));
        !shared_component_stores(&module, &info).is_empty()
    };
    assert!(stores("a[lane / 4u][lane % 4u] = 1.0;"), "a component chosen at run time");
    assert!(stores("a[lane].x = 1.0;"), "a named component");
    assert!(stores("one.x += 1.0;"), "an update");
    assert!(stores("let p = &a[lane]; (*p)[1] = 1.0;"), "through a pointer");
    assert!(stores("m[lane % 4u].x = 1.0;"), "a component of a column");
    assert!(stores("y[lane].w = 1.0;"), "in storage");
    assert!(stores("for (var i = 0u; i < 4u; i++) { if i < lane { a[lane][i] = 1.0; } }"), "within a loop");
    assert!(stores("put(lane); } fn put(i: u32) { a[i].y = 1.0;"), "in a function");
    assert!(!stores("a[lane] = vec4f(1.0); one = a[0]; m[lane % 4u] = vec4f(1.0);"), "whole vectors");
    assert!(!stores("y[lane] = vec4f(1.0); z[lane] = 1.0; scalars[lane] = 1.0;"), "whole elements");
    assert!(!stores("own[lane % 4u] = 1.0; var x = vec4f(0.0); x.y = 1.0;"), "a thread's own vector");

    for (head, body) in [
        ("enable f16;", "var x = f16(lane);"),
        ("", "var x = subgroupAdd(lane);"),
        ("", "var x = subgroupBroadcast(lane, 0u);"),
        ("", "subgroupBarrier();"),
        ("", "var x = f64(lane);"),
    ] {
        let source = main(head, body);
        let refused = validate(&source, Capabilities::empty()).is_err();
        assert!(refused, "a base shader may use `{body}`");
    }
    let source = "@compute @workgroup_size(64) fn main(@builtin(subgroup_size) size: u32) { var x = size; }";
    assert!(validate(source, Capabilities::empty()).is_err(), "a base shader may use @builtin(subgroup_size)");
}

/// In a check the binding takes in the guard words behind the array, in a plan it ends with the array.
#[test]
fn no_shader_asks_how_long_an_array_is() {
    for (shader, _) in kernels::all().iter().flat_map(shaders) {
        let (module, _) = parsed(&shader);
        let functions = module.functions.iter().map(|(_, function)| function);
        for function in functions.chain(module.entry_points.iter().map(|entry| &entry.function)) {
            let asks = function.expressions.iter().any(|(_, item)| matches!(item, naga::Expression::ArrayLength(_)));
            assert!(!asks, "{}: arrayLength; lengths are overrides", shader.name);
        }
    }
}

#[test]
fn every_shader_translates_to_spirv_msl_and_hlsl() {
    let mut faults = Faults::default();
    let main = || Some((ShaderStage::Compute, "main".to_owned()));
    for (shader, cases) in kernels::all().iter().flat_map(shaders) {
        let (module, info) = parsed(&shader);
        // The oldest version of each language that has what the shader needs, so that old drivers run it.
        let (spirv, msl, hlsl) = match shader.needs {
            Needs::Nothing | Needs::WorkgroupMemory => ((1, 0), (1, 2), naga::back::hlsl::ShaderModel::V5_1),
            Needs::EightLaneCpu => ((1, 3), (2, 4), naga::back::hlsl::ShaderModel::V6_0),
            Needs::Matrices(_) => ((1, 3), (2, 4), naga::back::hlsl::ShaderModel::V6_2),
        };
        let hlsl = if shader.format == Format::F16 { naga::back::hlsl::ShaderModel::V6_2 } else { hlsl };
        for at in cases {
            let what = format!("{} at {at}", shader.name);
            let (module, info) = match resolved(&module, &info, &at) {
                Ok(resolved) => resolved,
                Err(error) => {
                    faults.check(false, || format!("{what}: {error}"));
                    continue;
                }
            };

            let options = naga::back::spv::Options { lang_version: spirv, ..Default::default() };
            let entry_point = "main".to_owned();
            let pipeline = naga::back::spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point };
            match naga::back::spv::write_vec(&module, &info, &options, Some(&pipeline)) {
                Ok(words) => faults.check(words[0] == 0x0723_0203, || format!("{what}: no SPIR-V")),
                Err(error) => faults.check(false, || format!("{what}, SPIR-V: {error}")),
            }

            let options = naga::back::msl::Options { lang_version: msl, ..Default::default() };
            let pipeline = naga::back::msl::PipelineOptions { entry_point: main(), ..Default::default() };
            match naga::back::msl::write_string(&module, &info, &options, &pipeline) {
                Ok((text, _)) => faults.check(text.contains("kernel void main_("), || format!("{what}: no MSL")),
                Err(error) => faults.check(false, || format!("{what}, MSL: {error}")),
            }

            // Direct3D has no such matrices.
            if matches!(shader.needs, Needs::Matrices(_)) {
                continue;
            }
            let options = naga::back::hlsl::Options { shader_model: hlsl, ..Default::default() };
            let pipeline = naga::back::hlsl::PipelineOptions { entry_point: main() };
            let mut text = String::new();
            match naga::back::hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None) {
                Ok(_) => faults.check(text.contains("[numthreads("), || format!("{what}: no HLSL")),
                Err(error) => faults.check(false, || format!("{what}, HLSL: {error}")),
            }
        }
    }
}

#[test]
fn every_kernel_is_used_by_a_plan() {
    let plans = crate::common::plans();
    let used: BTreeSet<_> = plans.iter().flat_map(|(_, plan)| plan.calls()).map(|call| call.at.name()).collect();
    let all: BTreeSet<_> = kernels::all().into_iter().map(|entry| entry.name).collect();
    assert_eq!(used, all, "left: kernels that plans use; right: the registry");
}

#[test]
fn every_variant_is_chosen_somewhere() {
    let stored = |storage| {
        PRESETS.iter().map(move |preset| {
            plan_calls(&Config { storage, ..preset.config() }, preset.input, None).expect("a preset")
        })
    };
    let presets = stored(Storage::F32).chain(stored(Storage::F16));
    let others = crate::common::other_plans();
    let calls: Vec<_> = presets.flatten().chain(others.iter().flat_map(|(_, plan)| plan.distinct())).collect();
    // A GPU, software Vulkan with eight lanes, and with four; GPUs with matrices, for plans that store in 16 bits.
    let devices = [
        ([32, 32], false, vec![]),
        ([8, 8], true, vec![]),
        ([4, 4], true, vec![]),
        ([32, 32], false, vec![8]),
        ([32, 64], false, vec![16]),
    ];
    let devices =
        devices.map(|(subgroup, on_cpu, matrices)| Features { subgroup, on_cpu, half: true, int64: true, matrices });
    let chosen: BTreeSet<_> =
        devices.iter().flat_map(|features| calls.iter().map(|at| variant(features, at).name)).collect();
    for entry in kernels::all() {
        // The plain shader stays as documentation and as the one that always fits.
        for variant in &entry.shaders[1..] {
            assert!(chosen.contains(variant), "no call of a plan ever gets {variant}");
        }
    }
}
