// dx[s, i, c] = r*(gamma[c]*dz[s, i, c] - (sum over e of gamma[e]*p[s, e] + h * sum over e of gamma[e]*q[s, e]) / m)
// with r = 1 / sqrt(variance[s, g] + epsilon), h = (x[s, i, c] - mean[s, g]) * r, e over the channels of group g, m =
// inner*width
//
// x         [sets, inner, channels]
// dz        [sets, inner, channels]   the gradient before the activation
// mean      [sets, channels/width]    channel c is of group g = c / width
// variance  [sets, channels/width]
// gamma     [channels]
// p         [sets, channels]          of normalise_sums, whole
// q         [sets, channels]
// dx        [sets, inner, channels]
//
// One thread makes one value.

override parts: u32;
override sets: u32;
override inner: u32;
override channels: u32;
override width: u32;
override epsilon: f32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> dz: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> variance: array<f32>;
@group(0) @binding(4) var<storage, read> gamma: array<f32>;
@group(0) @binding(5) var<storage, read> p: array<f32>;
@group(0) @binding(6) var<storage, read> q: array<f32>;
@group(0) @binding(7) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= sets * inner * channels {
        return;
    }
    let c = index % channels;
    let s = index / channels / inner;
    let g = s * (channels / width) + c / width;
    let r = inverseSqrt(variance[g] + epsilon);
    let h = (f32(x[index]) - mean[g]) * r;
    var shift = 0.0;
    var turn = 0.0;
    for (var e = c / width * width; e < (c / width + 1u) * width; e++) {
        shift += gamma[e] * p[s * channels + e];
        turn += gamma[e] * q[s * channels + e];
    }
    dx[index] = r * (gamma[c] * dz[index] - (shift + h * turn) / f32(inner * width));
}
