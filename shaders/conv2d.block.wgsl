// y[n, oy, ox, o] = activation(b[o] + sum over ky, kx, i of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * w[ky, kx, i, o]), for GPUs
//
// x  [batch, in_height, in_width, in_channels]     zero outside; in_channels a multiple of 4
// w  [kernel_height, kernel_width, in_channels, out_channels]   out_channels a multiple of 4
// b  [out_channels]
// y  [batch, out_height, out_width, out_channels]
//
// One workgroup makes a block of 128 pixels × 64 channels, see lib/block.wgsl: the product of the image's unfolded
// terms, which are never written, with the weights.

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

// Terms 4*term.. of a pixel, 0 outside.
fn terms_of(pixel: u32, term: u32) -> vec4f {
    let depth = in_channels / 4u;
    let tap = term / depth;
    // Below zero wraps round to a large number, so one comparison finds both borders.
    let iy = pixel / out_width % out_height * stride + tap / kernel_width - pad_y;
    let ix = pixel % out_width * stride + tap % kernel_width - pad_x;
    let image = pixel / (out_width * out_height);
    let inside = image < batch && tap < kernel_height * kernel_width && iy < in_height && ix < in_width;
    let at = ((image * in_height + iy) * in_width + ix) * depth + term % depth;
    return select(vec4f(0.0), vec4f(x[select(0u, at, inside)]), inside);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 63u) / 64u;
    let g = group_index(group, workgroups);
    let row = g / across * 128u;
    let column = g % across * 16u;
    let width = out_channels / 4u;
    let pixels = batch * out_height * out_width;
    let terms = kernel_height * kernel_width * in_channels;
    for (var start = 0u; start < terms; start += 16u) {
        block_put_terms(lane, row, start);
        let term = start + lane / 16u;
        let c = column + lane % 16u;
        let inside = term < terms && c < width;
        block_put_columns(lane % 16u, lane / 16u, select(vec4f(0.0), w[select(0u, term * width + c, inside)], inside));
        block_multiply(lane);
    }
    let c = column + lane % 16u;
    for (var j = 0u; j < 8u; j++) {
        let pixel = row + block_row(lane, j);
        if pixel < pixels && c < width {
            y[pixel * width + c] = stored4(activate4(b[c] + block[j]));
        }
    }
}
