// mean[c] = mean over q of means[q, c];  variance[c] = mean over q of variances[q, c] + (means[q, c] - mean[c])^2, for
// GPUs
//
// means      [chunks, channels/4]   of chunks of equal size
// variances  [chunks, channels/4]
// mean       [channels/4]
// variance   [channels/4]
//
// One workgroup makes up to 64 channels, see lib/columns.wgsl. Channels a multiple of 4.

override chunks: u32;
override channels: u32;

@group(0) @binding(0) var<storage, read> means: array<vec4f>;
@group(0) @binding(1) var<storage, read> variances: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> variance: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let columns = channels / 4u;
    let across = columns_across(columns);
    let column = group_index(group, groups) * across + lane % across;
    let inside = column < columns;
    let last = select(0u, chunks, inside);
    let at = select(0u, column, inside);
    let step = 256u / across;
    var sum = vec4f(0.0);
    for (var q = lane / across; q < last; q += step) {
        sum += means[q * columns + at];
    }
    let center = column_total(lane, across, sum) / f32(chunks);
    var squares = vec4f(0.0);
    for (var q = lane / across; q < last; q += step) {
        let distance = means[q * columns + at] - center;
        squares += variances[q * columns + at] + distance * distance;
    }
    let total = column_total(lane, across, squares);
    if inside && lane < across {
        mean[column] = center;
        variance[column] = total / f32(chunks);
    }
}
