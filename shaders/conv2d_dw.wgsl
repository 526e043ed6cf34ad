// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, first + i] * dz[n, oy, ox, o]
//
// x   [batch, in_height, in_width, in_channels]
// dz  [batch, out_height, out_width, out_channels]   gradient before the activation
// dw  [splits, kernel_height, kernel_width, inputs, out_channels]   inputs = in_channels/groups
//
// The channels are dealt to groups in order, and `first` is the first input channel of the group of output channel o.
// One thread makes one value of dw. The images are dealt to `splits` partial sums, which sum_rows adds in order: more
// threads than weights, and no atomics. Split s takes images [s*chunk, (s+1)*chunk).

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
@group(0) @binding(1) var<storage, read> dz: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, workgroups) * 64u + lane;
    let inputs = in_channels / groups;
    if index >= splits * kernel_height * kernel_width * inputs * out_channels {
        return;
    }
    let o = index % out_channels;
    let i = index / out_channels % inputs;
    let kx = index / (out_channels * inputs) % kernel_width;
    let ky = index / (out_channels * inputs * kernel_width) % kernel_height;
    let s = index / (out_channels * inputs * kernel_width * kernel_height);
    let first = o / (out_channels / groups) * inputs;
    let chunk = (batch + splits - 1u) / splits;
    var sum = 0.0;
    for (var n = s * chunk; n < min((s + 1u) * chunk, batch); n++) {
        for (var oy = 0u; oy < out_height; oy++) {
            let iy = oy * stride + ky - pad_y;
            if iy >= in_height {
                continue;
            }
            for (var ox = 0u; ox < out_width; ox++) {
                let ix = ox * stride + kx - pad_x;
                if ix >= in_width {
                    continue;
                }
                sum += f32(x[((n * in_height + iy) * in_width + ix) * in_channels + first + i])
                    * dz[((n * out_height + oy) * out_width + ox) * out_channels + o];
            }
        }
    }
    dw[index] = sum;
}
