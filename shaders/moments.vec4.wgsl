// mean[q, c] = mean of x over the pixels of chunk q;  variance[q, c] = mean of (x - mean)^2, four channels at a time
//
// x         [chunks, pixels, channels/4]   chunks = max(sets, parts), pixels = sets*inner / chunks
// mean      [chunks, channels/4]
// variance  [chunks, channels/4]
//
// One thread makes the moments of one chunk and four channels, each a group by itself: width 1, a multiple of 4.

override parts: u32;
override sets: u32;
override inner: u32;
override channels: u32;
override width: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> variance: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let chunks = max(sets, parts);
    let columns = channels / 4u;
    if index >= chunks * columns {
        return;
    }
    let pixels = sets * inner / chunks;
    let first = index / columns * pixels * columns + index % columns;
    var sum = vec4f(0.0);
    for (var i = 0u; i < pixels; i++) {
        sum += vec4f(x[first + i * columns]);
    }
    let center = sum / f32(pixels);
    var squares = vec4f(0.0);
    for (var i = 0u; i < pixels; i++) {
        let distance = vec4f(x[first + i * columns]) - center;
        squares += distance * distance;
    }
    mean[index] = center;
    variance[index] = squares / f32(pixels);
}
