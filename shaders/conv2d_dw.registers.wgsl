// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * dz[n, oy, ox, o], for any device
//
// x   [batch, in_height, in_width, in_channels]       zero outside; in_channels a multiple of 4
// dz  [batch, out_height, out_width, out_channels]    gradient before the activation; out_channels a multiple of 4
// dw  [splits, kernel_height, kernel_width, in_channels, out_channels]
//
// One thread makes a tile of 8 input channels × 8 output channels of one tap and one split, see lib/registers.wgsl;
// neighbours have the same tap and input channels. It walks over the outputs that the tap reaches inside the image.

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

var<private> plane: u32;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 7u) / 8u;
    let down = (in_channels + 7u) / 8u;
    let index = group_index(group, workgroups) * 64u + lane;
    let row = index / across % down * 2u;
    let column = index % across * 2u;
    plane = index / (across * down);
    let split = plane / (kernel_height * kernel_width);
    let ky = plane / kernel_width % kernel_height;
    let kx = plane % kernel_width;
    let lower = min(row + 1u, in_channels / 4u - 1u);
    let right = min(column + 1u, out_channels / 4u - 1u);
    let chunk = (batch + splits - 1u) / splits;
    for (var n = split * chunk; n < min((split + 1u) * chunk, batch); n++) {
        for (var oy = 0u; oy < out_height; oy++) {
            let iy = oy * stride + ky - pad_y;
            if iy >= in_height {
                continue;
            }
            let from_row = (n * in_height + iy) * in_width;
            let to_row = (n * out_height + oy) * out_width;
            for (var ox = 0u; ox < out_width; ox++) {
                let ix = ox * stride + kx - pad_x;
                if ix >= in_width {
                    continue;
                }
                let a = (from_row + ix) * (in_channels / 4u);
                let c = (to_row + ox) * (out_channels / 4u);
                sums_add_outer(vec4f(x[a + row]), vec4f(x[a + lower]), dz[c + column], dz[c + right]);
            }
        }
    }
    sums_store(4u * row, column);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if plane < splits * kernel_height * kernel_width && row < in_channels && column < out_channels / 4u {
        dw[(plane * in_channels + row) * (out_channels / 4u) + column] = values;
    }
}
