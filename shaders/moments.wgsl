// mean[q, g] = mean of x over the pixels and channels of chunk q and group g;  variance[q, g] = mean of (x - mean)^2
//
// x         [chunks, pixels, channels]   chunks = max(sets, parts), pixels = sets*inner / chunks
// mean      [chunks, channels/width]     a group are width channels
// variance  [chunks, channels/width]
//
// One thread makes the moments of one chunk and group, in two passes: the square of a mean taken from the mean of
// squares would leave nothing of a small variance. Where a group is one channel, neighbouring threads read neighbouring
// channels.

override parts: u32;
override sets: u32;
override inner: u32;
override channels: u32;
override width: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read_write> mean: array<f32>;
@group(0) @binding(2) var<storage, read_write> variance: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let chunks = max(sets, parts);
    if index >= chunks * (channels / width) {
        return;
    }
    let g = index % (channels / width);
    let pixels = sets * inner / chunks;
    let first = index / (channels / width) * pixels * channels + g * width;
    let count = f32(pixels * width);
    var sum = 0.0;
    for (var i = 0u; i < pixels; i++) {
        for (var c = 0u; c < width; c++) {
            sum += f32(x[first + i * channels + c]);
        }
    }
    let center = sum / count;
    var squares = 0.0;
    for (var i = 0u; i < pixels; i++) {
        for (var c = 0u; c < width; c++) {
            let distance = f32(x[first + i * channels + c]) - center;
            squares += distance * distance;
        }
    }
    mean[index] = center;
    variance[index] = squares / count;
}
