// dx[n, iy, ix, i] = sum over ky, kx, o of dz[n, iy + pad_y - ky, ix + pad_x - kx, o] * w[ky, kx, i, o], by matrices;
// one group, the stride divides in_height and in_width
//
// dz  [batch, out_height, out_width, out_channels]   gradient before the activation; out_channels a multiple of 4
// w   [kernel_height, kernel_width, in_channels, out_channels]
// dx  [batch, in_height, in_width, in_channels]      in_channels a multiple of 4
//
// One workgroup makes a block of eight tiles of pixels × four of channels of dx, see lib/phases.wgsl and
// lib/matrix.wgsl.

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

@group(0) @binding(0) var<storage, read> dz: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32) {
    let across = (in_channels + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let g = group_index(group, workgroups);
    for (var first = 0u; first < STRIPS; first += subgroups) {
        strips_begin(first, subgroup, subgroups);
        block_make_phases(lane, g / across * (BLOCK_ROWS / 4u), g % across * (BLOCK_COLUMNS / 4u));
    }
}

const ROWS_SCALE = GRADIENT_SCALE;
const COLUMNS_SCALE = 1.0;
