//! The head of a loss: what it keeps from step to step besides the network, such as a vector for each class. It lies in
//! arenas of its own, which exports and inference leave out.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::kernel::Element;
use crate::kernels::Activation;
use crate::layers::{Kind, Layout, Start, Tensor, TensorSlots};
use crate::losses::MEMORY;
use crate::net::{self, Parameter, length};
use crate::plan::{Builder, Role};
use crate::run::Runner;

/// Names of the arenas.
pub mod arenas {
    /// The trained values.
    pub const HEAD: &str = "head";
    /// Their gradients.
    pub const HEAD_GRADIENTS: &str = "head.gradients";
    /// Their moments.
    pub const HEAD_MOMENTS: [&str; 2] = ["head.moment1", "head.moment2"];
    /// What the loss itself changes.
    pub const HEAD_STATE: &str = "head.state";
}

/// The tensors of a loss, each with its place in the arena of its kind.
#[derive(Clone, Debug)]
pub struct Head {
    /// Those that the optimiser changes.
    pub trained: Vec<Parameter>,
    /// Those that the loss itself changes.
    pub states: Vec<Parameter>,
    classes: usize,
}

impl Head {
    /// Of `config` on embeddings of `dims` values and so many classes.
    pub fn new(config: &Config, dims: usize, classes: usize) -> Head {
        let named = |tensor: Tensor| (format!("head.{}", tensor.name), Activation::None, tensor);
        let places = Layout::new(&[&[config.memory], &[dims]], &[&[0], &[1]]);
        let memory = (config.memory > 0).then(|| Tensor::state(MEMORY, places, Start::Zeros));
        let tensors = config.loss.tensors(dims, classes).into_iter().chain(memory).map(named);
        let (trained, states) = net::placed(tensors).into_iter().partition(|tensor| tensor.kind == Kind::Trained);
        Head { trained, states, classes }
    }

    /// Whether the loss keeps nothing.
    pub fn is_empty(&self) -> bool {
        self.trained.is_empty() && self.states.is_empty()
    }

    /// Checks that 32-bit indices reach all values, and all products and pairs of a batch with them.
    ///
    /// # Errors
    /// [`Error::Config`] naming the sizes.
    pub fn check(&self, config: &Config) -> Result<()> {
        let Config { loss, batch, memory, .. } = config;
        let pairs = batch.rows().saturating_mul(*memory);
        if pairs.max(length(&self.states)) > net::MOST && self.trained.is_empty() {
            let rows = batch.rows();
            let reason = format!(
                "{memory} embeddings, or their pairs with the {rows} images of a batch, are more values than 32-bit \
                 indices reach; take fewer, or a smaller --batch"
            );
            return Err(Error::config("--memory", reason));
        }
        let products = if self.trained.is_empty() { 0 } else { batch.rows().saturating_mul(self.classes) };
        let largest = length(&self.trained).max(length(&self.states)).max(products);
        if largest <= net::MOST {
            return Ok(());
        }
        let reason = format!(
            "{} keeps values for each of {} classes, and an array of {largest} values is more than 32-bit indices \
             reach; take a loss on pairs, such as multi-similarity",
            loss.name(),
            self.classes
        );
        Err(Error::config("--loss", reason))
    }

    /// Its values as a training starts; `None` if it keeps nothing.
    pub fn start(&self, config: &Config) -> Option<Values> {
        if self.is_empty() {
            return None;
        }
        let filled = |tensors: &[Parameter]| {
            let mut arena = vec![0.0; length(tensors)];
            for tensor in tensors {
                // The gain is for what lies before a normalisation of the network.
                tensor.fill(config.initialisation, 1.0, config.seed, &mut arena[tensor.range.clone()]);
            }
            arena
        };
        let moments = [(); 2].map(|()| vec![0.0; length(&self.trained)]);
        Some(Values { classes: self.classes, trained: filled(&self.trained), moments, state: filled(&self.states) })
    }

    /// Adds the tensors to a training plan with their arenas, and those of gradients and moments; with their names
    /// within the loss.
    pub fn declare(&self, builder: &mut Builder) -> Vec<(String, TensorSlots)> {
        let mut declared = Vec::new();
        let mut add = |values: &str, role, gradients: Option<&str>, tensors: &[Parameter]| {
            if tensors.is_empty() {
                return;
            }
            let dims = [length(tensors)];
            let arena = builder.slot(values, Element::F32, &dims, role);
            let gradients = gradients.map(|name| {
                for name in arenas::HEAD_MOMENTS {
                    builder.slot(name, Element::F32, &dims, Role::Moment);
                }
                builder.slot(name, Element::F32, &dims, Role::Gradient)
            });
            for Parameter { name, layout, range, .. } in tensors {
                let dims = layout.device_dims();
                let value = builder.part(name, &dims, arena, range.start);
                let part = |arena| builder.part(format!("{name}.gradient"), &dims, arena, range.start);
                let gradient = gradients.map(part);
                let own = name.strip_prefix("head.").expect("they are named so").to_owned();
                declared.push((own, TensorSlots { value, gradient }));
            }
        };
        add(arenas::HEAD, Role::Parameter, Some(arenas::HEAD_GRADIENTS), &self.trained);
        add(arenas::HEAD_STATE, Role::State, None, &self.states);
        declared
    }

    /// Reads its values from a training runner; `None` if it keeps nothing.
    ///
    /// # Errors
    /// What the device reports.
    pub fn read(&self, runner: &mut impl Runner) -> Result<Option<Values>> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut arena = |name| match runner.plan().find(name) {
            Some(slot) => runner.read(slot).map(|array| array.floats().to_vec()),
            None => Ok(vec![]),
        };
        let trained = arena(arenas::HEAD)?;
        let [first, second] = arenas::HEAD_MOMENTS;
        let moments = [arena(first)?, arena(second)?];
        Ok(Some(Values { classes: self.classes, trained, moments, state: arena(arenas::HEAD_STATE)? }))
    }
}

/// The values of a [`Head`], in device order.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Classes that they are for.
    pub classes: usize,
    /// The arena of what is trained.
    pub trained: Vec<f32>,
    /// The arenas of its moments.
    pub moments: [Vec<f32>; 2],
    /// The arena of what the loss itself changes.
    pub state: Vec<f32>,
}

impl Values {
    /// Writes to a runner what its plan has of them.
    ///
    /// # Errors
    /// What the device reports.
    pub fn restore(&self, runner: &mut impl Runner) -> Result<()> {
        let [first, second] = arenas::HEAD_MOMENTS;
        let arenas = [
            (arenas::HEAD, &self.trained),
            (arenas::HEAD_STATE, &self.state),
            (first, &self.moments[0]),
            (second, &self.moments[1]),
        ];
        for (name, values) in arenas {
            if let Some(slot) = runner.plan().find(name) {
                runner.write(slot, values.as_slice())?;
            }
        }
        Ok(())
    }
}
