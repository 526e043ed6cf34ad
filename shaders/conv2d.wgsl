// y[n, oy, ox, o] = activation(b[o] + sum over ky, kx, i of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, first + i] * w[ky, kx, i, o])
//
// x  [batch, in_height, in_width, in_channels]     zero outside
// w  [kernel_height, kernel_width, in_channels/groups, out_channels]
// b  [out_channels]
// y  [batch, out_height, out_width, out_channels]
//
// The channels are dealt to groups in order, and `first` is the first input channel of the group of output channel o.
// One thread makes one output value. Channels last, so that neighbouring threads read neighbouring weights.

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
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<stored>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, workgroups) * 64u + lane;
    if index >= batch * out_height * out_width * out_channels {
        return;
    }
    let o = index % out_channels;
    let ox = index / out_channels % out_width;
    let oy = index / (out_channels * out_width) % out_height;
    let n = index / (out_channels * out_width * out_height);
    let inputs = in_channels / groups;
    let first = o / (out_channels / groups) * inputs;
    var sum = b[o];
    for (var ky = 0u; ky < kernel_height; ky++) {
        // Below zero wraps round to a large number, so one comparison finds both borders.
        let iy = oy * stride + ky - pad_y;
        if iy >= in_height {
            continue;
        }
        for (var kx = 0u; kx < kernel_width; kx++) {
            let ix = ox * stride + kx - pad_x;
            if ix >= in_width {
                continue;
            }
            let pixel = ((n * in_height + iy) * in_width + ix) * in_channels + first;
            let tap = (ky * kernel_width + kx) * inputs;
            for (var i = 0u; i < inputs; i++) {
                sum += f32(x[pixel + i]) * w[(tap + i) * out_channels + o];
            }
        }
    }
    y[index] = stored(activate(sum));
}
