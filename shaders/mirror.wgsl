// y[n, 0] = x[n], y[n, 1, r, c] = x[n, r, width - 1 - c]
//
// x  [batch, height, width, channels]
// y  [batch, 2, height, width, channels]   each image, and behind it its mirror image
//
// One thread makes one value.

override batch: u32;
override height: u32;
override width: u32;
override channels: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read_write> y: array<stored>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= 2u * batch * height * width * channels {
        return;
    }
    let line = width * channels;
    let row = index / line;
    let column = index % line / channels;
    let is_mirrored = row / height % 2u == 1u;
    let n = row / (2u * height);
    let from_column = select(column, width - 1u - column, is_mirrored);
    y[index] = x[(n * height + row % height) * line + from_column * channels + index % channels];
}
