//! Siamese embedding networks, trained on any GPU through raw wgpu compute shaders.
//!
//! This page is the map: the idea, the way of the data, what is guaranteed and by which test, who may use whom, and
//! where to change what.
//!
//! # The idea
//!
//! - [`Kernel`](kernel::Kernel): an operation with its contract, its shaders, and its scalar CPU reference.
//! - [`At`](kernel::At): a kernel at a shape; everything needed to check it, time it, launch it.
//! - [`Slot`](plan::Slot): a named array with a shape, an element type and a role (parameter, gradient, moment,
//!   activation, input, statistic).
//! - [`Call`](plan::Call): an `At` on slots, one for each argument.
//! - [`Plan`](plan::Plan): slots and calls in order. Each call belongs to one of seven sections, prepare · gather ·
//!   forward · loss · backward · sum · update, and a section is a range of calls.
//! - [`Runner`](run::Runner): executes a plan: `write` a slot, `run` a range of calls, `read` a slot. There are two,
//!   [`cpu::Runner`] and [`gpu::Runner`].
//!
//! A [`Net`](net::Net) is a graph of nodes, each a [`Layer`](layers::Layer) on earlier nodes: a word of its text, with
//! a contract as a kernel has one. It is parsed from text and lowered to a plan once. Both runners, the tests, the
//! benches, the memory sizes and the printed table read that plan; nothing is described twice. Where the runners
//! disagree, [`check::calls`] runs a plan call by call and stops at the first that is wrong.
//!
//! The three branches of the Siamese network share their weights because they are rows of one batch over one weight
//! slot: of random triplets, anchors are rows `0..B`, positives `B..2B`, negatives `2B..3B` ([`siamese::Branch`]).
//! Their gradients are summed because the weight-gradient kernels sum over rows. With online mining the rows are K
//! images of each of P labels, and only the loss section differs: whatever chooses the triplets writes their slopes
//! into a matrix of weights on pairs, and one kernel makes the gradient of that (`src/kernels/mine.rs`).
//!
//! # The way of the data
//!
//! ```text
//! once      Config ─ siamese::training_plan(Net) ─▶ Plan ─ gpu::Runner::new ─▶ pipelines · buffers · bind groups
//!           files ─ data ─▶ Dataset ─ write(images) ─▶ device        u8, four to a word; or with each batch, by Feed
//!           init(seed) or a checkpoint ─ write(parameters, moments) ─▶ device
//!
//! a step    sampler(seed, step) ─ write(rows, warps) ─▶ device       row numbers; a few numbers a row to augment
//!           Config::scalars(step) ─ write(step) ─▶ device            four numbers
//!           run(all)   gather ▸ forward ▸ loss ▸ backward ▸ update   one submission
//!           of shares: gather ▸ forward of each, loss of all, gather ▸ forward ▸ backward of each, update by the sum
//!           snapshot(stats) … collect ─▶ Stats                       a few numbers, two steps later
//!
//! eval      fork(inference plan) on the same parameters or their average ─ embed ─▶ embeddings ─ eval ─▶ figures
//! report    embeddings ─ figures ─▶ figures.json ─ report ─▶ report.html
//! save      read(parameters, moments) ─ checkpoint ─▶ safetensors file
//! a run     session: folder · start or resume · steps · looks · saves ─▶ events, and how it ended
//! ```
//!
//! It flows one way: images go up once, or those of a batch in its step; row numbers go up each step, a few numbers
//! come down. The host waits only where it needs an answer, and to keep no more than a few steps in flight.
//!
//! # What is guaranteed, and by which test
//!
//! - Each shader computes what its reference computes: every kernel, shader and awkward shape of the registry, and
//!   every call of the default preset; each call of the other presets, of all losses and of the networks that prove the
//!   words in one of its shaders; heavy calls on fewer images. (`tests/kernels/`; `siamese check` has the presets in
//!   every shader, on a graphics card at their whole size)
//! - What a kernel says of its rows holds: one by itself is as among others, and of a local argument it needs its own
//!   alone. (`tests/contract/rows.rs`)
//! - The comparison sees a mistake: shaders broken on purpose fail it, an overrun as well as a term left out.
//!   (`tests/contract/sabotage.rs`)
//! - The backward pass of the reference is the derivative of its forward pass. (`tests/layers/gradients.rs`)
//! - The reference computes what PyTorch computes, and each layer what it says that it is there.
//!   (`tests/layers/golden.rs`, `tests/layers/twins.rs`)
//! - An exported ONNX file computes what the reference computes, in an engine of other people, and is read back as the
//!   network that was written, whatever its words. (`tests/layers/onnx.rs`)
//! - The stacked plan is three branches with one set of weights. (`tests/plan/siamese.rs`)
//! - Whole plans make the same steps on both runners. (`tests/run/train.rs`)
//! - Registry, files and WGSL agree: names, bindings, constants. Every shader keeps WebGPU's default limits and
//!   translates to SPIR-V, MSL and HLSL; every kernel is used by a plan. (`tests/contract/shaders.rs`)
//! - A kernel without a reference, cases, a work count or a tolerance, or one left off the registry, does not
//!   compile. ([`kernel::Kernel`])
//! - A layer without a shape rule, a way back, an ONNX operator or a twin in PyTorch, or one left off the registry,
//!   does not compile. ([`layers::Layer`]) Every word is in a spec that proves it. (`tests/layers/`)
//! - A loss that leaves out its terms, its calls, its charts or its ailments, or is left off the registry, does not
//!   compile. ([`losses::Objective`]) Every loss is right on a device, and states cost and count first.
//!   (`tests/plan/losses.rs`)
//! - What is let go and made again on the way back makes the same bits. (`tests/run/train.rs`)
//! - After `Runner::new` a step makes no pipeline, buffer or bind group. (`tests/run/train.rs`)
//! - Images cross the bus once, or once a batch, to the same bits wherever they lie and whoever reads them.
//!   (`tests/run/train.rs`, `tests/unit/store.rs`)
//! - Same seed, same device, same shaders: same bits, on however many threads; a resumed run is the uninterrupted one.
//!   No shader has atomics. (`tests/run/train.rs`, `tests/contract/tidy.rs`)
//! - Shares of a step are part of the arithmetic, ranks are not: however many compute them, the bits are the same.
//!   (`tests/run/crew.rs`, over MPI `tests/mpi/`)
//! - Batches, warps and dropout are a pure function of (seed, step), so a checkpoint holds no state of chance.
//!   (`tests/unit/data.rs`, `tests/run/train.rs`)
//! - Pictures of every depth, palette, ink and orientation become inputs by the rules of [`data::pictures`].
//!   (`tests/unit/pictures.rs`)
//! - A picture is enrolled once and as one identity's, known by its content whatever its name.
//!   (`tests/unit/gallery.rs`)
//! - A picture that cannot be read keeps no other from its answer. (`tests/program/tools.rs`)
//! - Whatever ends a run, an error included, what there is is saved before; a run that leaves the finite numbers says
//!   where. (`tests/run/session.rs`, `tests/program/run.rs`)
//! - The folder of a web page runs a network without anything of this program, trains it too, and browsers take every
//!   shader that needs nothing beyond WebGPU. (`tests/web/`)
//! - The page of a run loads nothing, and `siamese report` makes it anew to the byte. (`tests/program/report.rs`)
//! - An enrolment that the service has answered outlives its being killed, once; nothing that is sent to it breaks it.
//!   (`tests/serve/`) What it answers is as its description says. (`scripts/schemathesis.sh`)
//! - Whatever a file, a list or a text says: no panic, bounded memory and time, an error that names it. (`tests/fuzz/`)
//! - A wrong plan panics while it is built, naming kernel and slot. A spec that cannot be run is an error that points
//!   at the word. (`tests/plan/plan.rs`)
//! - Only `gpu` names wgpu. The library does not print, exit or read the environment. Modules use lower rungs only.
//!   (`tests/contract/tidy.rs`)
//!
//! Mistakes in the program panic. What is wrong in the world (files, adapters, memory, arguments) is an [`Error`] that
//! carries names and numbers, with a [hint](Error::hint).
//!
//! # Who may use whom
//!
//! A module may use its own rung and those below, never one above, and never in a circle.
//!
//! ```text
//! 7  main  cli  report  serve  outcome                     the program
//! 6  session  train  eval  embed  checkpoint  import  onnx  torch  gallery  figures  vectors  cluster  tensorboard
//!    check  audit  bulk  web
//! 5  cpu  gpu                                              the runners; only gpu names wgpu
//! 4  net  siamese  config  head  feed
//! 3  layers  losses  run                                   lower to calls, or execute them; not both
//! 2  plan
//! 1  kernels                                               know no plan and no device
//! 0  kernel  host  error  text  settings  names  output  memory  data  sampler  init  graph
//!    crew
//! ```
//!
//! # Where to change what
//!
//! | change | files |
//! | --- | --- |
//! | a faster shader | `shaders/<kernel>.<variant>.wgsl`, one row in the kernel's `SHADERS` |
//! | a faster routine of the processor | `src/kernels/routines/<kernel>.rs`, one row in the kernel's `ROUTINES` |
//! | a new kernel | its plain shader, its family and the list in `src/kernels/`, its use in a layer, a loss or a plan |
//! | a new layer | its kernels, one file in `src/layers/`, its name in [the list there](layers::LAYERS) |
//! | a new loss | its kernels, one file in `src/losses/`, its name in the `losses!` list there |
//! | a new optimiser | its kernel, one [`Update`](config::Update) in `src/config.rs`, its call in `src/siamese.rs` |
//! | a new preset | one row of [`PRESETS`](config::PRESETS) |
//! | a new metric | `src/eval/`, `tests/unit/eval.rs` |
//! | what the page of a run shows | `src/figures/`, `src/report/page.html`; a new layout: [`figures::VERSION`] |
//! | what a network's web page shows and does | `src/web/page/`; what is in its folder: `src/web/`, [`web::VERSION`] |
//! | how files are written, over what | `src/output.rs`; what a file of a kind begins with: the file that writes it |
//! | what a run does beside its steps: saves, looks, ends | `src/session/`; what is shown of it: `src/report/` |
//! | what the service answers | `src/serve/`; of its pictures `device.rs`, of its gallery `keeper.rs` |
//! | a new command or option | one file in `src/cli/`, the setting in `src/config.rs` |
//! | another kind of data set | one [`Store`](data::store::Store) in `src/data/` |
//! | another rule for pictures | one file in `src/data/` |
//! | another way for ranks to talk | one [`Crew`](crew::Crew) in `src/crew/` |
//! | another backend | one file that implements [`Runner`](run::Runner) |
//!
//! The kernel tests and the benches follow the registry and the plans, those of layers the list of layers: none of them
//! needs a line for a new shader, kernel, layer or preset. The rules of the shader folder are in `shaders/README.md`.

#![warn(missing_docs)]

pub mod audit;
pub mod bulk;
pub mod check;
pub mod checkpoint;
pub mod cluster;
pub mod config;
pub mod cpu;
pub mod crew;
pub mod data;
pub mod embed;
pub mod error;
pub mod eval;
pub mod feed;
pub mod figures;
pub mod gallery;
pub mod gpu;
pub mod graph;
pub mod head;
pub mod host;
pub mod import;
pub mod init;
pub mod kernel;
pub mod kernels;
pub mod layers;
pub mod losses;
pub mod memory;
pub mod names;
pub mod net;
pub mod onnx;
pub mod output;
pub mod plan;
pub mod run;
pub mod sampler;
pub mod session;
pub mod settings;
pub mod siamese;
pub mod tensorboard;
pub mod text;
pub mod torch;
pub mod train;
pub mod vectors;
pub mod web;

pub use error::{Error, Result};
