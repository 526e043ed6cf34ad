// y[n, oy, ox, o] = activation(b[o] + sum over ky, kx, i of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * w[ky, kx, i, o]), for any device
//
// x  [batch, in_height, in_width, in_channels]     any number of channels; zero outside
// w  [kernel_height, kernel_width, in_channels, out_channels]   out_channels a multiple of 4
// b  [out_channels]
// y  [batch, out_height, out_width, out_channels]
//
// As conv2d.registers, one input channel at a time: for the first layer, whose images have one or three. One thread
// makes a tile of 8 pixels × 8 channels.

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
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<stored4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 7u) / 8u;
    let index = group_index(group, workgroups) * 64u + lane;
    let row = index / across * 8u;
    let column = index % across * 2u;
    let width = out_channels / 4u;
    let step = min(column + 1u, width - 1u) - column;
    let last = vec4u(batch * out_height * out_width - 1u);
    let upper = min(row + vec4u(0u, 1u, 2u, 3u), last);
    let lower = min(row + vec4u(4u, 5u, 6u, 7u), last);
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            let t = input_pixels(upper, ky, kx);
            let u = input_pixels(lower, ky, kx);
            let m = select(vec4f(0.0), vec4f(1.0), t < vec4u(OUTSIDE));
            let n = select(vec4f(0.0), vec4f(1.0), u < vec4u(OUTSIDE));
            let p = select(vec4u(0u), t * in_channels, t < vec4u(OUTSIDE));
            let q = select(vec4u(0u), u * in_channels, u < vec4u(OUTSIDE));
            let tap = (ky * kernel_width + kx) * in_channels * width + column;
            for (var i = 0u; i < in_channels; i++) {
                let l = tap + i * width;
                sums_add_outer(
                    m * vec4f(stored4(x[p.x + i], x[p.y + i], x[p.z + i], x[p.w + i])),
                    n * vec4f(stored4(x[q.x + i], x[q.y + i], x[q.z + i], x[q.w + i])),
                    w[l], w[l + step],
                );
            }
        }
    }
    sums_store(row, column);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if row < batch * out_height * out_width && column < out_channels / 4u {
        y[row * (out_channels / 4u) + column] = stored4(activate4(b[column] + values));
    }
}
