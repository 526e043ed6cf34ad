// p[q, c] = sum over the pixels of chunk q of dz;  q[q, c] = sum of dz * (x - mean) / sqrt(variance + epsilon)
//
// x         [chunks, pixels, channels]   chunks = max(sets, parts), pixels = sets*inner / chunks
// dz        [chunks, pixels, channels]   the gradient before the activation
// mean      [sets, channels/width]       channel c is of group g = c / width
// variance  [sets, channels/width]
// p         [chunks, channels]           summed over the chunks: the gradient of beta
// q         [chunks, channels]           likewise of gamma
//
// One thread makes both sums of one chunk and channel; neighbouring threads read neighbouring channels.

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
@group(0) @binding(4) var<storage, read_write> p: array<f32>;
@group(0) @binding(5) var<storage, read_write> q: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let chunks = max(sets, parts);
    if index >= chunks * channels {
        return;
    }
    let c = index % channels;
    let chunk = index / channels;
    let pixels = sets * inner / chunks;
    let g = chunk / (chunks / sets) * (channels / width) + c / width;
    let center = mean[g];
    var sum = 0.0;
    var along = 0.0;
    for (var i = chunk * pixels * channels + c; i < (chunk + 1u) * pixels * channels; i += channels) {
        sum += dz[i];
        along += dz[i] * (f32(x[i]) - center);
    }
    p[index] = sum;
    q[index] = along * inverseSqrt(variance[g] + epsilon);
}
