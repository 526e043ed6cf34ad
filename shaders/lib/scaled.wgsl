// Appended to the shaders that make numbers of bytes. They declare `override mean_0: f32` … `mean_3` and
// `override factor_0: f32` … `factor_3`, one for each channel; of more than four channels all have the same.

// The number that a byte of a channel is, or what lies between such bytes.
fn scaled(byte: f32, channel: u32) -> f32 {
    let c = channel % 4u;
    return (byte - vec4f(mean_0, mean_1, mean_2, mean_3)[c]) * vec4f(factor_0, factor_1, factor_2, factor_3)[c];
}
