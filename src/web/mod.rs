//! A trained network as a folder that a browser runs: the plan, the same shaders, the weights, and a page with plain
//! JavaScript. Any static server serves it; nothing is built and nothing is loaded from elsewhere.
//!
//! ```text
//! index.html  *.js       the page, and what runs the plan: on WebGPU, or where there is none in JavaScript
//! plan.json              the input's rules, and plans: slots, buffers, calls
//! shaders/NAME.wgsl      whole texts of the shaders that the calls may be run by
//! weights.bin            arrays behind each other, little-endian; which they are, `plan.json` says
//! enrolled.gallery       the file of a gallery, if one is given
//! ```

mod plan;

use std::collections::BTreeMap;

use half::f16;
use serde::Serialize;

use crate::checkpoint::{Checkpoint, Precision};
use crate::config::{Config, Storage};
use crate::data::pictures::{Ground, Pictures};
use crate::embed::BINDING;
use crate::error::{Error, Result};
use crate::gallery::Gallery;
use crate::head::{Head, Values};
use crate::kernel::Element;
use crate::losses::Distance;
use crate::net::Net;
use crate::plan::Plan;
use crate::siamese::{Source, embedding_slot, inference_plan, slots, training_plan};
use crate::train;

use plan::PlanOf;

/// Version of the layout of the folder.
pub const VERSION: u32 = 1;

/// Name of the file that describes the network.
pub const PLAN: &str = "plan.json";
/// Name of the file of the weights.
pub const WEIGHTS: &str = "weights.bin";
/// Name of the folder of the shaders.
pub const SHADERS: &str = "shaders";
/// Name of the file of the gallery.
pub const GALLERY: &str = "enrolled.gallery";

/// The files that are the same for all networks.
const FIXED: &[(&str, &str)] = &[
    ("gallery.js", include_str!("page/gallery.js")),
    ("index.html", include_str!("page/index.html")),
    ("network.js", include_str!("page/network.js")),
    ("page.js", include_str!("page/page.js")),
    ("picture.js", include_str!("page/picture.js")),
    ("reference.js", include_str!("page/reference.js")),
    ("runner.js", include_str!("page/runner.js")),
];

/// Images that are embedded at once: what somebody draws, or some of many.
const ROWS: [usize; 2] = [1, 8];

/// What is in the folder beside the network.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How the weights are written. Where they are rounded, embeddings differ a little from those of the program.
    pub precision: Precision,
    /// Whether the plan of a training step is there.
    pub training: bool,
}

/// What `plan.json` holds.
#[derive(Debug, Serialize)]
struct Page<'a> {
    /// [`VERSION`].
    version: u32,
    /// Version of the program that wrote it.
    program: &'a str,
    /// See [`Checkpoint::fingerprint`]: that of galleries that go with it.
    model: String,
    /// The network as text.
    spec: &'a str,
    /// What the data set is called that it was trained on, where that is known.
    data: Option<&'a str>,
    input: Input,
    /// Values of an embedding.
    dims: usize,
    /// How embeddings are compared.
    distance: Distance,
    /// The arrays of `weights.bin`.
    weights: Vec<Array>,
    /// The file of the gallery, if there is one.
    gallery: Option<&'a str>,
    /// Plans that embed some images at once, the fewest first.
    plans: Vec<PlanOf<'a>>,
    /// The plan of a training step, if it was asked for. It starts from the weights; everything else is zeros.
    training: Option<PlanOf<'a>>,
}

/// What pictures become, by the rules of [`pictures`](crate::data::pictures).
#[derive(Debug, Serialize)]
struct Input {
    height: usize,
    width: usize,
    channels: usize,
    invert: bool,
    ground: Ground,
}

/// First values of a slot, whichever plan has one of this name.
#[derive(Debug, Serialize)]
struct Array {
    slot: &'static str,
    element: Element,
    /// The first byte in the file, a multiple of 4.
    offset: usize,
    /// Number of values.
    length: usize,
}

/// What `weights.bin` holds.
#[derive(Default)]
struct Weights {
    arrays: Vec<Array>,
    bytes: Vec<u8>,
}

impl Weights {
    /// Adds the first values of a slot; where there are none, it has none.
    fn add(&mut self, slot: &'static str, values: &[f32], element: Element) {
        if values.is_empty() {
            return;
        }
        self.arrays.push(Array { slot, element, offset: self.bytes.len(), length: values.len() });
        match element {
            Element::F16 => {
                self.bytes.extend(values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()));
                self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
            }
            _ => self.bytes.extend_from_slice(bytemuck::cast_slice(values)),
        }
    }

    /// Gives another slot the first values of one that has some.
    fn also(&mut self, slot: &'static str, of: &str) {
        let same = self.arrays.iter().find(|array| array.slot == of);
        self.arrays.extend(same.map(|&Array { element, offset, length, .. }| Array { slot, element, offset, length }));
    }
}

/// All files of the folder, by their paths in it.
///
/// # Errors
/// [`Error::Spec`] if the network cannot be understood; [`Error::Config`] where a browser could not run it, or where
/// what is trained besides the network cannot be known.
pub fn files(model: &Checkpoint, gallery: Option<&Gallery>, options: Options) -> Result<BTreeMap<String, Vec<u8>>> {
    let net = model.net()?;
    let exported = model.export();
    let mut weights = Weights::default();
    let element = match options.precision {
        Precision::F32 => Element::F32,
        Precision::F16 => Element::F16,
    };
    weights.add(slots::PARAMETERS, &exported.parameters, element);
    // Variances may be larger than 16 bits hold.
    weights.add(slots::STATE, &exported.state, Element::F32);
    let embedding = |rows: usize| {
        let source = Source::streamed(rows, 1, model.config.scale());
        (rows, inference_plan(&net, &source, rows, slots::PARAMETERS))
    };
    let most = net.rows_within(BINDING);
    let plans: Vec<(usize, Plan)> = ROWS.into_iter().filter(|&rows| rows <= most).map(embedding).collect();
    let training = options.training.then(|| training(model, &net, &mut weights)).transpose()?;

    let mut texts = BTreeMap::new();
    let page = Page {
        version: VERSION,
        program: env!("CARGO_PKG_VERSION"),
        model: model.fingerprint(),
        spec: &net.spec,
        data: model.origin.as_ref().map(|origin| origin.name.as_str()),
        input: {
            let ([height, width, channels], Pictures { invert, ground }) = (net.input, model.config.pictures);
            Input { height, width, channels, invert, ground }
        },
        dims: net.dims(),
        distance: model.config.loss.distance(),
        gallery: gallery.map(|_| GALLERY),
        plans: plans.iter().map(|plan| described(&net, plan, &mut texts)).collect::<Result<_>>()?,
        training: training.as_ref().map(|plan| described(&net, plan, &mut texts)).transpose()?,
        weights: weights.arrays,
    };
    let page = serde_json::to_vec(&page).expect("plain data");
    let mut files: BTreeMap<_, _> =
        FIXED.iter().map(|&(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect();
    files.insert(PLAN.to_owned(), page);
    files.insert(WEIGHTS.to_owned(), weights.bytes);
    files.extend(texts.into_iter().map(|(name, text)| (format!("{SHADERS}/{name}.wgsl"), text.into_bytes())));
    if let Some(gallery) = gallery {
        files.insert(GALLERY.to_owned(), gallery.without_paths().to_bytes(GALLERY.as_ref())?);
    }
    Ok(files)
}

fn described<'a>(
    net: &'a Net,
    (rows, plan): &'a (usize, Plan),
    texts: &mut BTreeMap<&'static str, String>,
) -> Result<PlanOf<'a>> {
    PlanOf::new(plan, *rows, embedding_slot(net, plan), texts)
}

/// The rows of a training step and its plan, as the settings of the model have it, with what it starts from.
fn training(model: &Checkpoint, net: &Net, weights: &mut Weights) -> Result<(usize, Plan)> {
    let refused = |reason: &str| Err(Error::config("--training", reason));
    let config = Config { storage: Storage::F32, ..model.config.clone() };
    if config.shares > 1 {
        return refused("the model is trained in shares, which a page does not take in turns");
    }
    if config.compatible.is_some() {
        return refused("the model is trained to go with an older one, which a page does not have");
    }
    let head = model.head.as_ref().map(|head| head.classes);
    let Some(classes) = head.or(model.origin.as_ref().map(|origin| origin.labels)) else {
        return refused("the model does not say what it was trained on; give a run folder");
    };
    let start = Head::new(&config, net.dims(), classes).start(&config);
    if let Some(Values { trained, state, .. }) = model.head.as_ref().or(start.as_ref()) {
        weights.add(slots::HEAD, trained, Element::F32);
        weights.add(slots::HEAD_STATE, state, Element::F32);
    }
    if config.average.is_some() {
        weights.also(slots::AVERAGE, slots::PARAMETERS);
        weights.also(slots::AVERAGE_STATE, slots::STATE);
    }
    if config.is_grouped() {
        weights.add(slots::RATES, &train::rates(&config, net), Element::F32);
    }
    let rows = config.batch.rows();
    train::check(&config, net, classes)?;
    Ok((rows, training_plan(net, &Source::streamed(rows, classes, config.scale()), &config)))
}
