// y[n, oy, ox, o] = activation(b[o] + sum over ky, kx, i of
//     x[n, oy*stride + ky - pad, ox*stride + kx - pad, i] * w[ky, kx, i, o])
//
// x  [batch, in_height, in_width, in_channels]     zero outside
// w  [kernel, kernel, in_channels, out_channels]
// b  [out_channels]
// y  [batch, out_height, out_width, out_channels]
//
// One thread makes one output value. Channels last, so that neighbouring threads read neighbouring weights.

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
override activation: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<stored>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= batch * out_height * out_width * out_channels {
        return;
    }
    let o = index % out_channels;
    let ox = index / out_channels % out_width;
    let oy = index / (out_channels * out_width) % out_height;
    let n = index / (out_channels * out_width * out_height);
    var sum = b[o];
    for (var ky = 0u; ky < kernel; ky++) {
        // Below zero wraps round to a large number, so one comparison finds both borders.
        let iy = oy * stride + ky - pad;
        if iy >= in_height {
            continue;
        }
        for (var kx = 0u; kx < kernel; kx++) {
            let ix = ox * stride + kx - pad;
            if ix >= in_width {
                continue;
            }
            let pixel = ((n * in_height + iy) * in_width + ix) * in_channels;
            let tap = (ky * kernel + kx) * in_channels;
            for (var i = 0u; i < in_channels; i++) {
                sum += f32(x[pixel + i]) * w[(tap + i) * out_channels + o];
            }
        }
    }
    y[index] = stored(activate(sum));
}
