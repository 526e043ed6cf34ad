// y[n, oy, ox, o] = activation(b[o] + sum over ky, kx, i of
//     x[n, oy + ky - pad_y, ox + kx - pad_x, i] * w[ky, kx, i, o]), for eight-lane software Vulkan
//
// x  [batch, in_height, in_width, in_channels]     in_channels a multiple of 4; zero outside
// w  [3, 3, in_channels, out_channels]             out_channels a multiple of 4
// b  [out_channels]
// y  [batch, out_height, out_width, out_channels]  stride 1, pad_x not 0
//
// One subgroup makes 16 tiles of 2×2 pixels × 32 channels, see lib/conv2d_winograd.wgsl.

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

@group(0) @binding(0) var<storage, read> x: array<stored_wide4>;
@group(0) @binding(1) var<storage, read> w: array<wide4>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<stored4>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    tiles_make(group_index(group, workgroups), lane);
}

fn store_tile(tile: u32, lane: u32, pixels: mat4x4f) {
    let own = subgroupShuffle(bias, lane);
    let place = tile_at(tile, size());
    let width = out_channels / 4u;
    if place.x < batch && column + lane < width {
        let oy = 2u * place.y;
        let ox = 2u * place.z;
        let at = ((place.x * out_height + oy) * out_width + ox) * width + column + lane;
        let is_right = ox + 1u < out_width;
        let is_below = oy + 1u < out_height;
        y[at] = stored4(activate4(own + pixels[0]));
        if is_right {
            y[at + width] = stored4(activate4(own + pixels[1]));
        }
        if is_below {
            y[at + out_width * width] = stored4(activate4(own + pixels[2]));
        }
        if is_right && is_below {
            y[at + (out_width + 1u) * width] = stored4(activate4(own + pixels[3]));
        }
    }
}
