// Appended to the shaders for GPUs, with lib/sums.wgsl, whose terms are products.

fn add_term(sum: vec4f, a: f32, b: vec4f) -> vec4f {
    return fma(vec4f(a), b, sum);
}
