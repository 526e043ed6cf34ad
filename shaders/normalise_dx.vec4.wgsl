// dx[s, i, c] = gamma[c]*r*(dz[s, i, c] - (p[s, c] + h*q[s, c]) / inner), four channels at a time
// with r = 1 / sqrt(variance[s, c] + epsilon), h = (x[s, i, c] - mean[s, c]) * r
//
// x         [sets, inner, channels/4]
// dz        [sets, inner, channels/4]   the gradient before the activation
// mean      [sets, channels/4]
// variance  [sets, channels/4]
// gamma     [channels/4]
// p         [sets, channels/4]          of normalise_sums, whole
// q         [sets, channels/4]
// dx        [sets, inner, channels/4]
//
// One thread makes four values of neighbouring channels, each a group by itself: width 1, channels a multiple of 4.

override parts: u32;
override sets: u32;
override inner: u32;
override channels: u32;
override width: u32;
override epsilon: f32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read> mean: array<vec4f>;
@group(0) @binding(3) var<storage, read> variance: array<vec4f>;
@group(0) @binding(4) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(5) var<storage, read> p: array<vec4f>;
@group(0) @binding(6) var<storage, read> q: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let columns = channels / 4u;
    if index >= sets * inner * columns {
        return;
    }
    let c = index % columns;
    let g = index / columns / inner * columns + c;
    let r = inverseSqrt(variance[g] + epsilon);
    let h = (vec4f(x[index]) - mean[g]) * r;
    dx[index] = gamma[c] * r * (dz[index] - (p[g] + h * q[g]) / f32(inner));
}
