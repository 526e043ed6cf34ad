// y[n, oy, ox, o] = activation(b[o] + sum over ky, kx, i of
//     x[n, oy + ky - pad_y, ox + kx - pad_x, i] * w[ky, kx, i, o]), for GPUs
//
// x  [batch, in_height, in_width, in_channels]     in_channels a multiple of 4; zero outside
// w  [3, 3, in_channels, out_channels]             out_channels a multiple of 4
// b  [out_channels]
// y  [batch, out_height, out_width, out_channels]  stride 1
//
// One workgroup makes 32 tiles of 2×2 pixels × 32 channels by F(2×2, 3×3), see lib/winograd_block.wgsl.

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
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<stored>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 31u) / 32u;
    let g = group_index(group, workgroups);
    tiles_make(lane, g / across * 32u, g % across * 32u, in_channels);
}

fn made_size() -> vec2u {
    return vec2u(out_height, out_width);
}

fn store_pixel(pixel: u32, channel: u32, value: f32) {
    if channel < out_channels {
        y[pixel * out_channels + channel] = stored(activate(b[channel] + value));
    }
}
