//! `drop<share>`: dropout. In training so large a share of the values becomes 0, and the others grow by
//! `1 / (1 - share)`; else it does nothing.

use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Operators, Options, Shape, Tensor, Torch, Word};
use crate::kernels::{self, DropShape};

/// Dropout (Srivastava et al. 2014). Which values go is a function of seed, step, row of the batch, layer and place in
/// the row: forward and backward pass find it anew, and nothing is stored.
#[derive(Clone, Debug)]
pub struct Drop {
    share: f32,
}

impl Word for Drop {
    const NAME: &'static str = "drop";
    const HELP: &'static str = "drop<share>";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv3 relu drop0.3 dense6 drop0.5 sigmoid dense4 l2", [5, 4, 2]),
        ("drop0.2 conv8 bn drop0.1 relu mean dense5 drop0.25", [5, 6, 3]),
    ];

    fn read(options: &mut Options) -> Result<Item, String> {
        match options.decimal("a share", 1.0)? {
            1.0 => Err(options.error("leaves nothing: a share below 1")),
            share => Ok(Item::Layer(Arc::new(Drop { share }))),
        }
    }
}

impl Drop {
    fn on(&self, rows: usize, input: Shape, layer: u32) -> DropShape {
        DropShape { rows, columns: input.values(), share: self.share, layer }
    }
}

impl Layer for Drop {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(inputs[0])
    }

    fn tensors(&self, _: &[Shape]) -> Vec<Tensor> {
        vec![]
    }

    fn activation(&self) -> Follows {
        Follows::Apart
    }

    fn without_bias(&self) -> Option<Arc<dyn Layer>> {
        None
    }

    fn absorbs_bias(&self) -> bool {
        false
    }

    fn folds(&self) -> Option<f32> {
        None
    }

    fn forward(&self, at: &mut Forward) {
        if !at.training() {
            return at.pass(0);
        }
        let (keys, layer) = at.keys();
        let y = at.y(at.element(0));
        at.call::<kernels::Drop>(self.on(at.rows(), at.shape(0), layer), &[keys, at.x(0), y]);
    }

    fn backward(&self, at: &mut Backward) {
        if let Some(dx) = at.dx(0) {
            let (keys, layer) = at.keys();
            at.call::<kernels::Drop>(self.on(at.rows(), at.shape(0), layer), &[keys, at.dy(), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        at.x(0)
    }

    fn torch(&self, at: &mut Torch) -> String {
        let module = at.module(format!("nn.Dropout({})", self.share));
        format!("{module}({})", at.x(0))
    }
}
