// y[n, oy, ox, o] = activation(b[o] + sum over ky, kx, i of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * w[ky, kx, i, o]), for eight-lane software Vulkan
//
// x  [batch, in_height, in_width, in_channels]     in_channels a multiple of 4; zero outside
// w  [kernel_height, kernel_width, in_channels, out_channels]   out_channels a multiple of 4
// b  [out_channels]
// y  [batch, out_height, out_width, out_channels]
//
// One subgroup makes a tile of 32 output pixels × 32 channels, see lib/tile.wgsl: a matrix product whose left side is
// gathered from the image as it goes. Outside the image a lane loads element 0 and multiplies it by 0.

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

var<private> column: u32;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 31u) / 32u;
    let g = group_index(group, workgroups);
    let row = g / across * 32u;
    column = g % across * 8u + lane;
    let width = out_channels / 4u;
    let own = min(column, width - 1u);
    // The four output pixels whose inputs this lane loads.
    let pixel = min(row + lane + vec4u(0u, 8u, 16u, 24u), vec4u(batch * out_height * out_width - 1u));
    let left = pixel % out_width * stride - pad_x;
    let top = pixel / out_width % out_height * stride - pad_y;
    let image = pixel / (out_width * out_height) * in_height;
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            let iy = top + ky;
            let ix = left + kx;
            let inside = (iy < vec4u(in_height)) & (ix < vec4u(in_width));
            let mask = select(vec4f(0.0), vec4f(1.0), inside);
            let at = select(vec4u(0u), ((image + iy) * in_width + ix) * (in_channels / 4u), inside);
            let tap = (ky * kernel_width + kx) * in_channels * width + own;
            for (var i = 0u; i < in_channels / 4u; i++) {
                let v = tap + 4u * i * width;
                tile_add_rows(
                    mask.x * vec4f(x[at.x + i]), mask.y * vec4f(x[at.y + i]),
                    mask.z * vec4f(x[at.z + i]), mask.w * vec4f(x[at.w + i]),
                    w[v], w[v + width], w[v + 2u * width], w[v + 3u * width],
                );
            }
        }
    }
    tile_store(row);
}

fn store_row(row: u32, values: vec4f) {
    if row < batch * out_height * out_width && column < out_channels / 4u {
        y[row * (out_channels / 4u) + column] = stored4(activate4(b[column] + values));
    }
}
