// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, oy*stride + ky - pad, ox*stride + kx - pad, i] * dz[n, oy, ox, o], for eight-lane software Vulkan
//
// x   [batch, in_height, in_width, in_channels]      in_channels a multiple of 4
// dz  [batch, out_height, out_width, out_channels]   out_channels a multiple of 4; gradient before the activation
// dw  [splits, kernel, kernel, in_channels, out_channels]
//
// One subgroup makes a tile of 32 input channels × 32 output channels of one tap and one split, see lib/tile.wgsl. It
// walks over the outputs that the tap reaches inside the image.

override batch: u32;
override in_height: u32;
override in_width: u32;
override in_channels: u32;
override out_height: u32;
override out_width: u32;
override out_channels: u32;
override kernel: u32;
override stride: u32;
override pad: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

var<private> column: u32;
var<private> tap: u32;
var<private> split: u32;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 31u) / 32u;
    let down = (in_channels + 31u) / 32u;
    let g = group_index(group, groups);
    let row = g / across % down * 32u;
    column = g % across * 8u + lane;
    tap = g / (across * down) % (kernel * kernel);
    split = g / (across * down * kernel * kernel);
    let a = min(row / 4u + lane, in_channels / 4u - 1u);
    let b = min(column, out_channels / 4u - 1u);
    let ky = tap / kernel;
    let kx = tap % kernel;
    let chunk = (batch + splits - 1u) / splits;
    for (var n = split * chunk; n < min((split + 1u) * chunk, batch); n++) {
        for (var oy = 0u; oy < out_height; oy++) {
            let iy = oy * stride + ky - pad;
            if iy >= in_height {
                continue;
            }
            let from_row = (n * in_height + iy) * in_width;
            let to_row = (n * out_height + oy) * out_width;
            for (var ox = 0u; ox < out_width; ox++) {
                let ix = ox * stride + kx - pad;
                if ix >= in_width {
                    continue;
                }
                tile_add_outer(
                    vec4f(x[(from_row + ix) * (in_channels / 4u) + a]),
                    dz[(to_row + ox) * (out_channels / 4u) + b],
                );
            }
        }
    }
    tile_store(row);
}

fn store_row(row: u32, values: vec4f) {
    if split < splits && row < in_channels && column < out_channels / 4u {
        dw[((split * kernel * kernel + tap) * in_channels + row) * (out_channels / 4u) + column] = values;
    }
}
