//! An exponential that the compiler turns into vector code, as that of the system is not.

/// e^x within 2 ulp from -87 to 88; of what lies outside, that of the nearer end.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Where the last bit of an f32 counts ones: what is added to it is rounded to a whole number.
    const ONES: f32 = (3 << 22) as f32;
    // ln 2 in two parts, of which the first times a whole number is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = if x > -87.0 { x } else { -87.0 };
    let x = if x < 88.0 { x } else { 88.0 };
    // x = n ln 2 + r, so that e^x = 2ⁿ eʳ with |r| at most half of ln 2.
    let shifted = x * std::f32::consts::LOG2_E + ONES;
    let n = shifted - ONES;
    let r = x - n * LN_2[0] - n * LN_2[1];
    // The series of e^r, which at half of ln 2 is behind this by 2⁻²⁷.
    let series = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let mantissa = series.into_iter().fold(0.0, |sum, coefficient| sum * r + coefficient);
    // 2ⁿ by its bits.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    mantissa * power
}
