// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * dz[n, oy, ox, o], for GPUs
//
// x   [batch, in_height, in_width, in_channels]       zero outside; in_channels a multiple of 4
// dz  [batch, out_height, out_width, out_channels]    gradient before the activation; out_channels a multiple of 4
// dw  [splits, kernel_height, kernel_width, in_channels, out_channels]
//
// One workgroup makes a block of 128 weights of an output × 64 outputs of a split, see lib/block.wgsl; its terms are
// the pixels of the split's images. Split s takes images [s*chunk, (s+1)*chunk).

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

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let taps = kernel_height * kernel_width * in_channels;
    let across = (out_channels + 63u) / 64u;
    let down = (taps + 127u) / 128u;
    let g = group_index(group, workgroups);
    let split = g / (across * down);
    let row = g / across % down * 32u;
    let column = g % across * 16u;
    let width = out_channels / 4u;
    let depth = in_channels / 4u;
    let chunk = (batch + splits - 1u) / splits;
    let image = out_height * out_width;
    let end = min((split + 1u) * chunk, batch) * image;
    for (var step = 0u; step < chunk * image; step += 16u) {
        let start = split * chunk * image + step;
        for (var j = lane; j < 512u; j += 256u) {
            let pixel = start + j / 32u;
            let term = row + j % 32u;
            let tap = term / depth;
            let iy = pixel / out_width % out_height * stride + tap / kernel_width - pad_y;
            let ix = pixel % out_width * stride + tap % kernel_width - pad_x;
            let inside = pixel < end && term < taps / 4u && iy < in_height && ix < in_width;
            let at = ((pixel / image * in_height + iy) * in_width + ix) * depth + term % depth;
            block_put_rows(j % 32u, j / 32u, select(vec4f(0.0), vec4f(x[select(0u, at, inside)]), inside));
        }
        let pixel = start + lane / 16u;
        let c = column + lane % 16u;
        let inside = pixel < end && c < width;
        let columns = dz[select(0u, pixel * width + c, inside)];
        block_put_columns(lane % 16u, lane / 16u, select(vec4f(0.0), columns, inside));
        block_multiply(lane);
    }
    let c = column + lane % 16u;
    for (var j = 0u; j < 8u; j++) {
        let term = 4u * row + block_row(lane, j);
        if split < splits && term < taps && c < width {
            dw[(split * taps + term) * width + c] = block[j];
        }
    }
}
