// p[q, c] = sum over the pixels of chunk q of dz;  q[q, c] = sum of dz * (x - mean) / sqrt(variance + epsilon), for
// four channels at a time
//
// x         [chunks, pixels, channels/4]   chunks = max(sets, parts), pixels = sets*inner / chunks
// dz        [chunks, pixels, channels/4]   the gradient before the activation
// mean      [sets, channels/4]
// variance  [sets, channels/4]
// p         [chunks, channels/4]
// q         [chunks, channels/4]
//
// One thread makes both sums of one chunk and four channels, each a group by itself: width 1, channels a multiple of 4.

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
@group(0) @binding(4) var<storage, read_write> p: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> q: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let chunks = max(sets, parts);
    let columns = channels / 4u;
    if index >= chunks * columns {
        return;
    }
    let c = index % columns;
    let chunk = index / columns;
    let pixels = sets * inner / chunks;
    let g = chunk / (chunks / sets) * columns + c;
    let center = mean[g];
    var sum = vec4f(0.0);
    var along = vec4f(0.0);
    for (var i = chunk * pixels * columns + c; i < (chunk + 1u) * pixels * columns; i += columns) {
        let slope = dz[i];
        sum += slope;
        along += slope * (vec4f(x[i]) - center);
    }
    p[index] = sum;
    q[index] = along * inverseSqrt(variance[g] + epsilon);
}
