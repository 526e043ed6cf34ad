//! `scale<factor>`, `leaky<slope>`, `silu`, `hswish`: functions value by value whose slopes need the input.

use std::sync::Arc;

use super::{Backward, Follows, Forward, Item, Layer, Listed, Operators, Options, Shape, Tensor, Torch, Word};
use crate::kernels::{self, Function, MapDx, MapShape};

/// Times a factor.
pub struct Scale;

impl Word for Scale {
    const NAME: &'static str = "scale";
    const HELP: &'static str = "scale<factor>";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv4 add( conv4 scale0.17 | ) relu dense5 scale3 l2", [5, 4, 2]),
        ("scale0.5 conv3 scale2 dense5", [3, 5, 1]),
    ];

    fn read(options: &mut Options) -> Result<Item, String> {
        let factor = options.decimal("a factor", 65_536.0)?;
        Ok(Item::Layer(Arc::new(Mapped { function: Function::Scale(factor) })))
    }
}

/// Below zero times a factor (Maas et al. 2013).
pub struct Leaky;

impl Word for Leaky {
    const NAME: &'static str = "leaky";
    const HELP: &'static str = "leaky<slope>";
    const SPECS: &'static [(&'static str, [usize; 3])] =
        &[("conv3 leaky0.1 dense5 leaky0.3 dense4 l2", [5, 4, 2]), ("conv4 leaky0.01 dense5", [3, 4, 1])];

    fn read(options: &mut Options) -> Result<Item, String> {
        let slope = options.decimal("a slope below zero", 1.0)?;
        Ok(Item::Layer(Arc::new(Mapped { function: Function::Leaky(slope) })))
    }
}

/// `x / (1 + exp(-x))` (Elfwing et al. 2017).
pub struct Silu;

impl Word for Silu {
    const NAME: &'static str = "silu";
    const HELP: &'static str = "silu";
    const SPECS: &'static [(&'static str, [usize; 3])] =
        &[("conv3 silu dense5 silu dense4 l2", [5, 4, 2]), ("conv4 silu dense5", [3, 4, 1])];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Layer(Arc::new(Mapped { function: Function::Silu })))
    }
}

/// `x * min(max(x + 3, 0), 6) / 6` (Howard et al. 2019).
pub struct Hswish;

impl Word for Hswish {
    const NAME: &'static str = "hswish";
    const HELP: &'static str = "hswish";
    const SPECS: &'static [(&'static str, [usize; 3])] =
        &[("conv3 hswish dense5 hswish dense4 l2", [5, 4, 2]), ("conv4 hswish dense5", [3, 4, 1])];

    fn read(_: &mut Options) -> Result<Item, String> {
        Ok(Item::Layer(Arc::new(Mapped { function: Function::HardSwish })))
    }
}

/// A function of each value.
#[derive(Clone, Debug)]
pub struct Mapped {
    function: Function,
}

/// What the words of functions become.
impl Listed for Mapped {}

impl Mapped {
    fn on(&self, rows: usize, input: Shape) -> MapShape {
        MapShape { rows, columns: input.values(), function: self.function }
    }
}

impl Layer for Mapped {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(match inputs[0] {
            Shape::Unit(values) => Shape::Row(values),
            other => other,
        })
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
        let y = at.y(at.element(0));
        at.call::<kernels::Map>(self.on(at.rows(), at.shape(0)), &[at.x(0), y]);
    }

    fn backward(&self, at: &mut Backward) {
        if let Some(dx) = at.dx(0) {
            at.call::<MapDx>(self.on(at.rows(), at.shape(0)), &[at.x(0), at.dy(), dx]);
        }
    }

    fn onnx(&self, at: &mut Operators) -> String {
        let (name, x) = (at.name(), at.x(0));
        let own = |part: &str| format!("{name}.{part}");
        match self.function {
            Function::Scale(factor) => {
                let factor = at.number(&own("factor"), factor);
                at.node(name, "Mul", [x, factor], vec![])
            }
            Function::Leaky(slope) => {
                let slope = at.number(&own("slope"), slope);
                at.node(name, "PRelu", [x, slope], vec![])
            }
            Function::Silu => {
                let share = at.node(&own("share"), "Sigmoid", [x.clone()], vec![]);
                at.node(name, "Mul", [x, share], vec![])
            }
            Function::HardSwish => at.node(name, "HardSwish", [x], vec![]),
        }
    }

    fn torch(&self, at: &mut Torch) -> String {
        let x = at.x(0);
        match self.function {
            Function::Scale(factor) => format!("{factor} * {x}"),
            Function::Leaky(slope) => format!("F.leaky_relu({x}, {slope})"),
            Function::Silu => format!("F.silu({x})"),
            Function::HardSwish => format!("F.hardswish({x})"),
        }
    }
}
