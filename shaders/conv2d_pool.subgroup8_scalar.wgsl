// y[n, oy, ox, o] = activation(b[o] + max over qy, qx in 0, 1 of sum over ky, kx, i of
//     x[n, (2*oy + qy)*stride + ky - pad_y, (2*ox + qx)*stride + kx - pad_x, i] * w[ky, kx, i, o]);
// argmax = 2*qy + qx of the first maximum; for eight-lane software Vulkan
//
// x       [batch, in_height, in_width, in_channels]     any number of channels; zero outside
// w       [kernel_height, kernel_width, in_channels, out_channels]   out_channels a multiple of 4
// b       [out_channels]
// y       [batch, out_height/2, out_width/2, out_channels]
// argmax  [batch, out_height/2, out_width/2, out_channels]
//
// For the first layer, see lib/conv2d_tile_scalar.wgsl. One subgroup makes a tile of 32 output pixels × 32 channels.

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
@group(0) @binding(1) var<storage, read> w: array<wide4>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<stored4>;
@group(0) @binding(4) var<storage, read_write> argmax: array<vec4u>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    tile_make(group_index(group, workgroups), lane);
}
