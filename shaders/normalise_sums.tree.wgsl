// p[q, c] = sum over the pixels of chunk q of dz;  q[q, c] = sum of dz * (x - mean) / sqrt(variance + epsilon), for
// GPUs
//
// x         [chunks, pixels, channels/4]   chunks = max(sets, parts), pixels = sets*inner / chunks
// dz        [chunks, pixels, channels/4]   the gradient before the activation
// mean      [sets, channels/4]
// variance  [sets, channels/4]
// p         [chunks, channels/4]
// q         [chunks, channels/4]
//
// One workgroup makes both sums of one chunk of up to 64 channels, each a group by itself, see lib/columns.wgsl.
// Width 1, channels a multiple of 4.

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
    let of_set = select(0u, chunk / (chunks / sets) * columns + column, inside);
    let center = mean[of_set];
    let step = 256u / across;
    var sum = vec4f(0.0);
    var along = vec4f(0.0);
    for (var i = lane / across; i < last; i += step) {
        let slope = dz[first + i * columns];
        sum += slope;
        along += slope * (vec4f(x[first + i * columns]) - center);
    }
    let sums = column_total(lane, across, sum);
    let alongs = column_total(lane, across, along);
    if inside && lane < across {
        p[chunk * columns + column] = sums;
        q[chunk * columns + column] = alongs * inverseSqrt(variance[of_set] + epsilon);
    }
}
