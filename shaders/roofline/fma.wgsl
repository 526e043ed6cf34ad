// y[i] = what 32 chains of `rounds` multiply-adds come to
//
// y  [threads]
//
// Measures the rate of multiply-adds: eight vectors of four that do not wait for each other, in registers. No kernel of
// a plan.

override rounds: u32;

@group(0) @binding(0) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
    let a = vec4f(0.999);
    let b = vec4f(f32(thread.x) * 1e-6);
    var s0 = b;
    var s1 = b + 1.0;
    var s2 = b + 2.0;
    var s3 = b + 3.0;
    var s4 = b + 4.0;
    var s5 = b + 5.0;
    var s6 = b + 6.0;
    var s7 = b + 7.0;
    for (var round = 0u; round < rounds; round++) {
        s0 = fma(s0, a, b);
        s1 = fma(s1, a, b);
        s2 = fma(s2, a, b);
        s3 = fma(s3, a, b);
        s4 = fma(s4, a, b);
        s5 = fma(s5, a, b);
        s6 = fma(s6, a, b);
        s7 = fma(s7, a, b);
    }
    y[thread.x] = dot(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7, vec4f(1.0));
}
