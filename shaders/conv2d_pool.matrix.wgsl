// y[n, oy, ox, o] = activation(b[o] + max over qy, qx in 0, 1 of sum over ky, kx, i of
//     x[n, (2*oy + qy)*stride + ky - pad_y, (2*ox + qx)*stride + kx - pad_x, i] * w[ky, kx, i, o]), by matrices;
// argmax = 2*qy + qx of the first maximum
//
// x       [batch, in_height, in_width, in_channels]     in_channels a multiple of 4; zero outside
// w       [kernel_height, kernel_width, in_channels, out_channels]   out_channels a multiple of 4
// b       [out_channels]
// y       [batch, out_height/2, out_width/2, out_channels]
// argmax  [batch, out_height/2, out_width/2, out_channels]
//
// One workgroup makes a block of eight tiles of pixels × four of channels, see lib/matrix.wgsl: the product of the
// image's unfolded terms, which are never written, with the weights.

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

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<stored4>;
@group(0) @binding(4) var<storage, read_write> argmax: array<vec4u>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32) {
    let across = (out_channels + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let g = group_index(group, workgroups);
    let terms = kernel_height * kernel_width * in_channels;
    for (var first = 0u; first < STRIPS; first += subgroups) {
        strips_begin(first, subgroup, subgroups);
        block_make(lane, g / across * (BLOCK_ROWS / 4u), g % across * (BLOCK_COLUMNS / 4u), terms);
    }
}

const ROWS_SCALE = 1.0;
const COLUMNS_SCALE = 1.0;
