// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, (2*oy + q/2)*stride + ky - pad_y, (2*ox + q%2)*stride + kx - pad_x, i] * dy[n, oy, ox, o],
// q = argmax[n, oy, ox, o]
//
// x       [batch, in_height, in_width, in_channels]
// dy      [batch, out_height/2, out_width/2, out_channels]   gradient before the activation
// argmax  [batch, out_height/2, out_width/2, out_channels]
// dw      [splits, kernel_height, kernel_width, in_channels, out_channels]
//
// The gradient of conv2d_pool by its weights, for convolutions of one group: of each window the pixel that was the
// largest has the gradient. One thread makes one value of dw. The images are dealt to `splits` partial sums, which
// sum_rows adds in order. Split s takes images [s*chunk, (s+1)*chunk).

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

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> argmax: array<u32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, workgroups) * 64u + lane;
    if index >= splits * kernel_height * kernel_width * in_channels * out_channels {
        return;
    }
    let o = index % out_channels;
    let i = index / out_channels % in_channels;
    let kx = index / (out_channels * in_channels) % kernel_width;
    let ky = index / (out_channels * in_channels * kernel_width) % kernel_height;
    let s = index / (out_channels * in_channels * kernel_width * kernel_height);
    let down = out_height / 2u;
    let across = out_width / 2u;
    let chunk = (batch + splits - 1u) / splits;
    var sum = 0.0;
    for (var n = s * chunk; n < min((s + 1u) * chunk, batch); n++) {
        for (var window = 0u; window < down * across; window++) {
            let at = (n * down * across + window) * out_channels + o;
            let q = argmax[at];
            // Below zero wraps round to a large number, so one comparison finds both borders.
            let iy = (2u * (window / across) + q / 2u) * stride + ky - pad_y;
            let ix = (2u * (window % across) + q % 2u) * stride + kx - pad_x;
            if iy < in_height && ix < in_width {
                sum += f32(x[((n * in_height + iy) * in_width + ix) * in_channels + i]) * dy[at];
            }
        }
    }
    dw[index] = sum;
}
