// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * dz[n, oy, ox, o], by matrices
//
// x   [batch, in_height, in_width, in_channels]       zero outside; in_channels a multiple of 4
// dz  [batch, out_height, out_width, out_channels]    gradient before the activation; out_channels a multiple of 4
// dw  [splits, kernel_height, kernel_width, in_channels, out_channels]
//
// One workgroup makes a block of eight tiles of weights of an output × four of outputs of a split, see
// lib/matrix.wgsl; its terms are the pixels of the split's images. Split s takes images [s*chunk, (s+1)*chunk).

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
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32) {
    for (var first = 0u; first < STRIPS; first += subgroups) {
        strips_begin(first, subgroup, subgroups);
        block_make_split(lane, group_index(group, workgroups));
    }
}

const ROWS_SCALE = 1.0;
const COLUMNS_SCALE = GRADIENT_SCALE;
