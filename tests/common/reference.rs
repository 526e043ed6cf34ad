//! The references of single kernels in f64, on arrays given by name: no plan, no runner, no device.

use std::slice;

use siamese::host::Array;
use siamese::kernel::{Access, At, Element, Kernel};
use siamese::{check, cpu};

/// The written arguments of a kernel after a run, by name.
pub struct Outputs(Vec<(&'static str, Array<f64>)>);

impl Outputs {
    /// The output of this name.
    pub fn array(&self, name: &str) -> &Array<f64> {
        let found = self.0.iter().find(|(candidate, _)| *candidate == name);
        &found.unwrap_or_else(|| panic!("no output `{name}`")).1
    }

    /// The real numbers of an output.
    pub fn floats(&self, name: &str) -> &[f64] {
        self.array(name).floats()
    }
}

/// Real numbers as an argument of [`run`].
pub fn floats(values: &[f64]) -> Array<f64> {
    Array::Float(values.to_vec())
}

/// Runs the reference of `K` at `shape` in f64. `inputs` names every argument that is read or updated. Outputs start
/// as NaN or the largest integer, so that an element left unwritten shows in whatever compares them.
pub fn run<K: Kernel>(shape: K::Shape, inputs: &[(&str, Array<f64>)]) -> Outputs {
    let at = At::new::<K>(shape);
    let args = at.args();
    let mut arrays: Vec<Array<f64>> = args
        .iter()
        .map(|arg| match (arg.access, arg.element) {
            (Access::Write, Element::F32) => Array::Float(vec![f64::NAN; arg.len]),
            (Access::Write, Element::U32) => Array::Uint(vec![u32::MAX; arg.len]),
            _ => {
                let found = inputs.iter().find(|(name, _)| *name == arg.name);
                let array = &found.unwrap_or_else(|| panic!("{at}: no input `{}`", arg.name)).1;
                assert_eq!(array.len(), arg.len, "{at}: elements of `{}`", arg.name);
                array.clone()
            }
        })
        .collect();
    cpu::reference(&at, slice::from_ref(&(0..at.rows())), check::views(&at, &mut arrays));
    let written = args.iter().zip(arrays).filter(|(arg, _)| arg.access != Access::Read);
    Outputs(written.map(|(arg, array)| (arg.name, array)).collect())
}
