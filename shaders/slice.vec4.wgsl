// y[n, i, j, c] = x[n, i, j, start + c], four channels at a time
//
// x  [rows, in_height, in_width, in_channels/4]
// y  [rows, out_height, out_width, out_channels/4]
//
// One thread makes four channels.

override rows: u32;
override in_height: u32;
override in_width: u32;
override in_channels: u32;
override out_height: u32;
override out_width: u32;
override out_channels: u32;
override start: u32;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let channels = out_channels / 4u;
    if index >= rows * out_height * out_width * channels {
        return;
    }
    let c = index % channels;
    let j = index / channels % out_width;
    let i = index / (channels * out_width) % out_height;
    let n = index / (channels * out_width * out_height);
    y[index] = x[((n * in_height + i) * in_width + j) * (in_channels / 4u) + start / 4u + c];
}
