// folded[t, c] = w[t, c] * s[c];  bias[c] = beta[c] - mean[c] * s[c],  s[c] = gamma[c] / sqrt(variance[c] + epsilon)
//
// w         [terms, channels]
// gamma     [channels]
// beta      [channels]
// mean      [channels]
// variance  [channels]
// folded    [terms, channels]
// bias      [channels]
//
// A layer with weights and the normalisation of its outputs as one layer. One thread makes one weight, and the first of
// them one bias each.

override terms: u32;
override channels: u32;
override epsilon: f32;

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> variance: array<f32>;
@group(0) @binding(5) var<storage, read_write> folded: array<f32>;
@group(0) @binding(6) var<storage, read_write> bias: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= terms * channels {
        return;
    }
    let c = index % channels;
    let scale = gamma[c] * inverseSqrt(variance[c] + epsilon);
    folded[index] = w[index] * scale;
    if index < channels {
        bias[index] = beta[index] - mean[index] * scale;
    }
}
