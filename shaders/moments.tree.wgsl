// mean[q, c] = mean of x over the pixels of chunk q;  variance[q, c] = mean of (x - mean)^2, for GPUs
//
// x         [chunks, pixels, channels/4]   chunks = max(sets, parts), pixels = sets*inner / chunks
// mean      [chunks, channels/4]
// variance  [chunks, channels/4]
//
// One workgroup makes one chunk of up to 64 channels, each a group by itself, see lib/columns.wgsl: a thread for itself
// would wait for thousands of pixels one after the other. Width 1, channels a multiple of 4.

override parts: u32;
override sets: u32;
override inner: u32;
override channels: u32;
override width: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> variance: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let columns = channels / 4u;
    let across = columns_across(columns);
    let blocks = (columns + across - 1u) / across;
    let g = group_index(group, groups);
    let column = g % blocks * across + lane % across;
    let chunk = g / blocks;
    let chunks = max(sets, parts);
    let pixels = sets * inner / chunks;
    let inside = chunk < chunks && column < columns;
    let last = select(0u, pixels, inside);
    let first = select(0u, chunk * pixels * columns + column, inside);
    let step = 256u / across;
    var sum = vec4f(0.0);
    for (var i = lane / across; i < last; i += step) {
        sum += vec4f(x[first + i * columns]);
    }
    let center = column_total(lane, across, sum) / f32(pixels);
    var squares = vec4f(0.0);
    for (var i = lane / across; i < last; i += step) {
        let distance = vec4f(x[first + i * columns]) - center;
        squares += distance * distance;
    }
    let total = column_total(lane, across, squares);
    if inside && lane < across {
        mean[chunk * columns + column] = center;
        variance[chunk * columns + column] = total / f32(pixels);
    }
}
