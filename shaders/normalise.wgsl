// y[s, i, c] = activation((x[s, i, c] - mean[s, g]) * gamma[c] / sqrt(variance[s, g] + epsilon) + beta[c])
//
// x         [sets, inner, channels]
// mean      [sets, channels/width]   channel c is of group g = c / width
// variance  [sets, channels/width]
// gamma     [channels]
// beta      [channels]
// y         [sets, inner, channels]
//
// One thread makes one value.

override parts: u32;
override sets: u32;
override inner: u32;
override channels: u32;
override width: u32;
override epsilon: f32;
override activation: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> variance: array<f32>;
@group(0) @binding(3) var<storage, read> gamma: array<f32>;
@group(0) @binding(4) var<storage, read> beta: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<stored>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= sets * inner * channels {
        return;
    }
    let c = index % channels;
    let g = index / channels / inner * (channels / width) + c / width;
    let scale = gamma[c] * inverseSqrt(variance[g] + epsilon);
    y[index] = stored(activate((f32(x[index]) - mean[g]) * scale + beta[c]));
}
