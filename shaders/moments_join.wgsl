// mean[c] = mean over q of means[q, c];  variance[c] = mean over q of variances[q, c] + (means[q, c] - mean[c])^2
//
// means      [chunks, channels]   of chunks of equal size
// variances  [chunks, channels]
// mean       [channels]
// variance   [channels]
//
// The variance of all is the mean of the chunks' and the variance of their means. One thread makes one channel, over
// the chunks in order.

override chunks: u32;
override channels: u32;

@group(0) @binding(0) var<storage, read> means: array<f32>;
@group(0) @binding(1) var<storage, read> variances: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= channels {
        return;
    }
    var sum = 0.0;
    for (var q = 0u; q < chunks; q++) {
        sum += means[q * channels + index];
    }
    let center = sum / f32(chunks);
    var squares = 0.0;
    for (var q = 0u; q < chunks; q++) {
        let distance = means[q * channels + index] - center;
        squares += variances[q * channels + index] + distance * distance;
    }
    mean[index] = center;
    variance[index] = squares / f32(chunks);
}
