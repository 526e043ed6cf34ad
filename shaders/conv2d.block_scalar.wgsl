// y[n, oy, ox, o] = activation(b[o] + sum over ky, kx, i of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * w[ky, kx, i, o]), for GPUs and any
// number of input channels
//
// x  [batch, in_height, in_width, in_channels]     zero outside
// w  [kernel_height, kernel_width, in_channels, out_channels]   out_channels a multiple of 4
// b  [out_channels]
// y  [batch, out_height, out_width, out_channels]
//
// One workgroup makes a block of 128 pixels × 64 channels, see lib/block.wgsl: the product of the image's unfolded
// terms, which are never written, with the weights.

override batch: u32;
override in_height: u32;
override in_width: u32;
override in_channels: u32;
override out_height: u32;
override out_width: u32;
override out_channels: u32;
override kernel_height: u32;
override kernel_width: u32;
override stride: u32;
override pad_y: u32;
override pad_x: u32;
override groups: u32;
override activation: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<stored4>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let g = group_index(group, workgroups);
    block_make_scalar(lane, g / across * (BLOCK_ROWS / 4u), g % across * (BLOCK_COLUMNS / 4u));
}

const BLOCK_ROWS = 128u;
const BLOCK_COLUMNS = 64u;
const BLOCK_TERMS = 16u;
