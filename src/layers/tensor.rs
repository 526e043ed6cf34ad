//! Tensors that a layer keeps: their names, how they start, and how their elements are ordered.

/// Who changes a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The optimiser, by a gradient.
    Trained,
    /// The layer itself, as running averages are, or nobody, as one that is frozen: it has no gradient.
    State,
}

/// A tensor that a layer keeps from step to step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name within the layer: `weight`, `bias`, `running_mean`. Names, like layouts in files, are PyTorch's.
    pub name: &'static str,
    /// Who changes it.
    pub kind: Kind,
    /// Order of its elements.
    pub layout: Layout,
    /// Its first values.
    pub start: Start,
}

impl Tensor {
    /// A trained tensor.
    pub fn trained(name: &'static str, layout: Layout, start: Start) -> Tensor {
        Tensor { name, kind: Kind::Trained, layout, start }
    }

    /// A tensor that the layer itself changes in each step of a training, see
    /// [`Forward::later`](super::Forward::later).
    pub fn state(name: &'static str, layout: Layout, start: Start) -> Tensor {
        Tensor { name, kind: Kind::State, layout, start }
    }

    /// `weight`, which is trained and starts at random.
    pub fn weight(layout: Layout, fan_in: usize, fan_out: usize) -> Tensor {
        Tensor::trained("weight", layout, Start::Random { fan_in, fan_out })
    }

    /// `bias`, which is trained and starts at zero, one value for each output or output channel.
    pub fn bias(outputs: usize) -> Tensor {
        Tensor::trained("bias", Layout::vector(outputs), Start::Zeros)
    }
}

/// The first values of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Random, as [`Init`](crate::init::Init) has it.
    Random {
        /// Inputs that reach one output.
        fan_in: usize,
        /// Outputs that one input reaches.
        fan_out: usize,
    },
    /// Zero.
    Zeros,
    /// One.
    Ones,
    /// A quarter.
    Quarter,
}

/// How the elements of a tensor are ordered: on the device as the kernels like it, in files as PyTorch has it. Both
/// sides are lists of dimensions, a dimension being a list of axes, the outermost first: it is one axis, or several
/// flattened into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The sizes of the axes on the device.
    device: Vec<Vec<usize>>,
    /// The device's axes by number, in the order of files.
    file: Vec<Vec<usize>>,
}

impl Layout {
    /// The dimensions on the device, as sizes of axes, and those in files, as numbers of the device's axes.
    pub fn new(device: &[&[usize]], file: &[&[usize]]) -> Layout {
        let [device, file] = [device, file].map(|dims| dims.iter().map(|axes| axes.to_vec()).collect::<Vec<_>>());
        Layout { device, file }
    }

    /// So many values in a row.
    pub fn vector(values: usize) -> Layout {
        Layout::new(&[&[values]], &[&[0]])
    }

    /// Number of elements; the largest number where that is beyond all numbers.
    pub fn len(&self) -> usize {
        self.device.iter().flatten().fold(1, |product, &size| product.saturating_mul(size))
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Dimensions on the device.
    pub fn device_dims(&self) -> Vec<usize> {
        self.device.iter().map(|sizes| sizes.iter().product()).collect()
    }

    /// Dimensions in files.
    pub fn file_dims(&self) -> Vec<usize> {
        let sizes = self.device.concat();
        self.file.iter().map(|axes| axes.iter().map(|&axis| sizes[axis]).product()).collect()
    }

    /// For each element in file order, its place on the device.
    fn places(&self) -> Vec<usize> {
        let sizes = self.device.concat();
        let mut places = vec![0];
        for axis in self.file.concat() {
            let stride: usize = sizes[axis + 1..].iter().product();
            let along = |&start: &usize| (0..sizes[axis]).map(move |index| start + index * stride);
            places = places.iter().flat_map(along).collect();
        }
        places
    }

    /// Reorders values from the device into file order.
    pub fn to_file(&self, device: &[f32]) -> Vec<f32> {
        self.places().into_iter().map(|place| device[place]).collect()
    }

    /// Reorders values from file order for the device.
    pub fn to_device(&self, file: &[f32]) -> Vec<f32> {
        let mut device = vec![0.0; file.len()];
        self.places().into_iter().zip(file).for_each(|(place, &value)| device[place] = value);
        device
    }
}
