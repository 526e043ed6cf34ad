// y[n, oy, ox, o] = activation(b[o] + max over qy, qx in 0, 1 of sum over ky, kx, i of
//     x[n, 2*oy + qy + ky - pad_y, 2*ox + qx + kx - pad_x, i] * w[ky, kx, i, o]);
// argmax = 2*qy + qx of the first maximum; for eight-lane software Vulkan
//
// x       [batch, in_height, in_width, in_channels]     in_channels a multiple of 4; zero outside
// w       [3, 3, in_channels, out_channels]             out_channels a multiple of 4
// b       [out_channels]
// y       [batch, out_height/2, out_width/2, out_channels]      of a convolution of stride 1, pad_x not 0
// argmax  [batch, out_height/2, out_width/2, out_channels]
//
// One subgroup makes 16 tiles of 2×2 pixels × 32 channels, see lib/conv2d_winograd.wgsl: a tile is a window.

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
@group(0) @binding(4) var<storage, read_write> argmax: array<vec4u>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    tiles_make(group_index(group, workgroups), lane);
}

fn store_tile(tile: u32, lane: u32, pixels: mat4x4f) {
    let own = subgroupShuffle(bias, lane);
    var largest = pixels[0];
    var largest_at = vec4u(0u);
    // for r in 1..4:
    //     let is_larger{r} = pixels[{r}] > largest;
    //     largest = select(largest, pixels[{r}], is_larger{r});
    //     largest_at = select(largest_at, vec4u({r}u), is_larger{r});
    let is_larger1 = pixels[1] > largest;
    largest = select(largest, pixels[1], is_larger1);
    largest_at = select(largest_at, vec4u(1u), is_larger1);
    let is_larger2 = pixels[2] > largest;
    largest = select(largest, pixels[2], is_larger2);
    largest_at = select(largest_at, vec4u(2u), is_larger2);
    let is_larger3 = pixels[3] > largest;
    largest = select(largest, pixels[3], is_larger3);
    largest_at = select(largest_at, vec4u(3u), is_larger3);
    // end
    let place = tile_at(tile, size());
    let width = out_channels / 4u;
    // Tiles at the edge of images of odd sizes are no whole windows.
    if place.x < batch && place.y < out_height / 2u && place.z < out_width / 2u && column + lane < width {
        let at = ((place.x * (out_height / 2u) + place.y) * (out_width / 2u) + place.z) * width + column + lane;
        y[at] = stored4(activate4(own + largest));
        argmax[at] = largest_at;
    }
}
