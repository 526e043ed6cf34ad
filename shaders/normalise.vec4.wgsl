// y[s, i, c] = activation((x[s, i, c] - mean[s, c]) * gamma[c] / sqrt(variance[s, c] + epsilon) + beta[c]), by fours
//
// x         [sets, inner, channels/4]
// mean      [sets, channels/4]
// variance  [sets, channels/4]
// gamma     [channels/4]
// beta      [channels/4]
// y         [sets, inner, channels/4]
//
// One thread makes four values of neighbouring channels, each a group by itself: width 1, channels a multiple of 4.

override parts: u32;
override sets: u32;
override inner: u32;
override channels: u32;
override width: u32;
override epsilon: f32;
override activation: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read> variance: array<vec4f>;
@group(0) @binding(3) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(4) var<storage, read> beta: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> y: array<stored4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let columns = channels / 4u;
    if index >= sets * inner * columns {
        return;
    }
    let c = index % columns;
    let g = index / columns / inner * columns + c;
    let scale = gamma[c] * inverseSqrt(variance[g] + epsilon);
    y[index] = stored4(activate4((vec4f(x[index]) - mean[g]) * scale + beta[c]));
}
