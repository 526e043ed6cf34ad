//! Seeded first values of the weights.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How a tensor is filled. `U(±a)` is the uniform distribution over `[-a, a)`, whose variance is `a² / 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// `U(±sqrt(6 / (fan_in + fan_out)))`: keeps the variance of activations and of gradients alike from layer to layer
    /// where the activation is near linear around zero. Glorot and Bengio, *Understanding the difficulty of training
    /// deep feedforward neural networks*, AISTATS 2010, equation 16.
    GlorotUniform,
    /// `U(±sqrt(6 / fan_in))`: variance `2 / fan_in`, which makes up for the half that ReLU sets to zero. He, Zhang,
    /// Ren and Sun, *Delving Deep into Rectifiers*, ICCV 2015, equation 10, as a uniform distribution of that variance.
    HeUniform,
}

/// Fills `out` with the first values of the tensor called `tensor`.
///
/// `fan_in` is the number of values summed into one output (a convolution: input channels × kernel height × kernel
/// width), `fan_out` the number of outputs one input goes to (output channels × kernel height × kernel width).
///
/// The values depend on `seed`, the name and the place in the tensor only, so that another layer more or less does not
/// change them.
///
/// # Panics
/// If a fan that the formula divides by is zero.
pub fn fill(init: Init, seed: u64, tensor: &str, fan_in: usize, fan_out: usize, out: &mut [f32]) {
    let fan = match init {
        Init::GlorotUniform => fan_in + fan_out,
        Init::HeUniform => fan_in,
    };
    assert!(fan > 0, "{tensor}: {init:?} with fan_in {fan_in} and fan_out {fan_out}");
    let limit = (6.0 / fan as f64).sqrt() as f32;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream(tensor));
    for value in out {
        // 24 bits are what an f32 holds exactly, so this is a number of [-1, 1) without rounding.
        let unit = (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0;
        *value = unit * limit;
    }
}

/// The random stream of a tensor or layer: its name by FNV-1a, 64 bits
/// (<http://www.isthe.com/chongo/tech/comp/fnv/>). Rust's own hashes may change with its version.
pub(crate) fn stream(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
