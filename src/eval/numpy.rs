//! NumPy's `default_rng`.

/// NumPy's `default_rng`: PCG64 (XSL-RR output, 128 bits of state), seeded through `SeedSequence`, with bounded
/// integers by Lemire's multiplication. Reimplemented because a pair list is only worth publishing if others can draw
/// it, and the crates' generators are seeded differently.
///
/// Sources: O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
/// Generation" (2014); Lemire, "Fast Random Integer Generation in an Interval" (2019); O'Neill, "Developing a seed_seq
/// Alternative" (2015).
pub struct NumpyRng {
    state: u128,
    increment: u128,
    /// The upper half of the last 64-bit output, until it is used.
    upper: Option<u32>,
}

impl NumpyRng {
    const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

    pub fn new(seed: u64) -> NumpyRng {
        let words = seed_sequence(seed);
        let mut rng = NumpyRng { state: 0, increment: words[1] << 1 | 1, upper: None };
        rng.step();
        rng.state = rng.state.wrapping_add(words[0]);
        rng.step();
        rng
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(Self::MULTIPLIER).wrapping_add(self.increment);
    }

    fn next_u32(&mut self) -> u32 {
        if let Some(upper) = self.upper.take() {
            return upper;
        }
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        let output = folded.rotate_right((self.state >> 122) as u32);
        self.upper = Some((output >> 32) as u32);
        output as u32
    }

    /// Uniform in `0..bound`, without bias.
    pub fn below(&mut self, bound: u32) -> u32 {
        // NumPy spends no draw where there is no choice.
        if bound == 1 {
            return 0;
        }
        let rejected_below = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            if product as u32 >= rejected_below {
                return (product >> 32) as u32;
            }
        }
    }
}

/// `SeedSequence(seed).generate_state(4, uint64)` as two 128-bit words: PCG64's initial state and its stream.
fn seed_sequence(seed: u64) -> [u128; 2] {
    fn hash(value: u32, constant: &mut u32, multiplier: u32) -> u32 {
        let value = value ^ *constant;
        *constant = constant.wrapping_mul(multiplier);
        let value = value.wrapping_mul(*constant);
        value ^ value >> 16
    }

    const INIT_A: u32 = 0x43b0_d7e5;
    const MULT_A: u32 = 0x931e_8875;
    const INIT_B: u32 = 0x8b51_f9dd;
    const MULT_B: u32 = 0x58f3_8ded;
    const MIX_LEFT: u32 = 0xca01_f9dd;
    const MIX_RIGHT: u32 = 0x4973_f715;

    let mut constant = INIT_A;
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(|word| hash(word, &mut constant, MULT_A));
    for source in 0..pool.len() {
        for target in (0..pool.len()).filter(|&target| target != source) {
            let hashed = hash(pool[source], &mut constant, MULT_A);
            let mixed = pool[target].wrapping_mul(MIX_LEFT).wrapping_sub(hashed.wrapping_mul(MIX_RIGHT));
            pool[target] = mixed ^ mixed >> 16;
        }
    }

    let mut constant = INIT_B;
    [(); 2].map(|()| {
        let words = pool.map(|word| u128::from(hash(word, &mut constant, MULT_B)));
        // 64-bit words are little-endian pairs; of those, the first is the upper half.
        words[1] << 96 | words[0] << 64 | words[3] << 32 | words[2]
    })
}

#[cfg(test)]
mod tests {
    use super::NumpyRng;

    /// `default_rng(seed).integers(0, BOUNDS)` of NumPy. The first seed has three of its draws rejected, bounds of 1
    /// take no draw, and the second seed has more than 32 bits.
    #[test]
    fn draws_are_numpys() {
        const BOUNDS: [u32; 8] = [3_000_000_000, 1, 10, 1, 3_000_000_000, 3_000_000_000, 1, 7];
        for (seed, expected) in [
            (5, [2415008770, 0, 0, 0, 1545976682, 1890702091, 0, 2]),
            (1 << 40 | 5, [42477235, 0, 0, 0, 1349911287, 1117753746, 0, 6]),
        ] {
            let mut rng = NumpyRng::new(seed);
            assert_eq!(BOUNDS.map(|bound| rng.below(bound)), expected, "seed {seed}");
        }
    }
}
