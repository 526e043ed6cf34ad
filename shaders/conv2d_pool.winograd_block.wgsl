// y[n, oy, ox, o] = activation(b[o] + max over qy, qx in 0, 1 of sum over ky, kx, i of
//     x[n, 2*oy + qy + ky - pad_y, 2*ox + qx + kx - pad_x, i] * w[ky, kx, i, o]);
// argmax = 2*qy + qx of the first maximum; for GPUs
//
// x       [batch, in_height, in_width, in_channels]     in_channels a multiple of 4; zero outside
// w       [3, 3, in_channels, out_channels]             out_channels a multiple of 4
// b       [out_channels]
// y       [batch, out_height/2, out_width/2, out_channels]      of a convolution of stride 1
// argmax  [batch, out_height/2, out_width/2, out_channels]
//
// One workgroup makes 32 windows × 32 channels by F(2×2, 3×3), see lib/winograd_block.wgsl: a window is a tile.

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
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 31u) / 32u;
    let g = group_index(group, workgroups);
    tiles_make(lane, g / across * 32u, g % across * 32u, in_channels);
}

// Tiles at the edge of images of odd sizes are no whole windows.
fn tile_counts() -> vec2u {
    return vec2u(out_height, out_width) / 2u;
}

fn store_tile(window: u32, channel: u32, pixels: vec4f) {
    if channel < out_channels {
        var largest = pixels.x;
        var place = 0u;
        // for q in 1..4:
        //     place = select(place, {q}u, pixels[{q}] > largest);
        //     largest = max(largest, pixels[{q}]);
        place = select(place, 1u, pixels[1] > largest);
        largest = max(largest, pixels[1]);
        place = select(place, 2u, pixels[2] > largest);
        largest = max(largest, pixels[2]);
        place = select(place, 3u, pixels[3] > largest);
        largest = max(largest, pixels[3]);
        // end
        let at = window * out_channels + channel;
        y[at] = stored(activate(b[channel] + largest));
        argmax[at] = place;
    }
}
