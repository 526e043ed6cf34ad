// g' = g * min(clip / norm, 1)
// m = beta1*m + (1 - beta1)*g';  v = beta2*v + (1 - beta2)*g'^2
// p -= rate * ((m*m_scale) / (sqrt(v*v_scale) + epsilon)), four at a time
//
// step   [4]          rate, m_scale = 1/(1 - beta1^t), v_scale = 1/(1 - beta2^t), which change each step; the last
//                     belongs to average
// stats  [norm+2]     the one at norm is the norm of all gradients
// g      [length/4]   gradients
// p      [length/4]   parameters
// m      [length/4]   first moments
// v      [length/4]   second moments
//
// One thread updates four values. Length must be a multiple of 4, as that of the arenas is.

override length: u32;
override beta1: f32;
override beta2: f32;
override epsilon: f32;
override clip: f32;
override norm: u32;

@group(0) @binding(0) var<storage, read> step: array<f32>;
@group(0) @binding(1) var<storage, read> stats: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> p: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> v: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let j = group_index(group, groups) * 64u + lane;
    if j >= length / 4u {
        return;
    }
    var gradient = g[j];
    if clip > 0.0 && stats[norm] > clip {
        gradient *= clip / stats[norm];
    }
    let first = beta1 * m[j] + (1.0 - beta1) * gradient;
    let second = beta2 * v[j] + (1.0 - beta2) * gradient * gradient;
    m[j] = first;
    v[j] = second;
    p[j] -= step[0] * ((first * step[1]) / (sqrt(second * step[2]) + epsilon));
}
