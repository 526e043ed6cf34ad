// dx[n, iy, ix, i] = sum over ky, kx, o of
//     dz[n, (iy + pad_y - ky)/stride, (ix + pad_x - kx)/stride, first + o] * w[ky, kx, i % inputs, first + o]
//
// dz  [batch, out_height, out_width, out_channels]   gradient before the activation
// w   [kernel_height, kernel_width, inputs, out_channels]           inputs = in_channels/groups
// dx  [batch, in_height, in_width, in_channels]
//
// The channels are dealt to groups in order, and `first` is the first output channel of the group of input channel i.
// One thread makes one value of dx. It gathers from the outputs that its input reached (whole quotients only), so no
// two threads write the same place.

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

@group(0) @binding(0) var<storage, read> dz: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, workgroups) * 64u + lane;
    if index >= batch * in_height * in_width * in_channels {
        return;
    }
    let i = index % in_channels;
    let ix = index / in_channels % in_width;
    let iy = index / (in_channels * in_width) % in_height;
    let n = index / (in_channels * in_width * in_height);
    let inputs = in_channels / groups;
    let outputs = out_channels / groups;
    let first = i / inputs * outputs;
    var sum = 0.0;
    for (var ky = 0u; ky < kernel_height; ky++) {
        let sy = iy + pad_y - ky;
        if sy % stride != 0u || sy / stride >= out_height {
            continue;
        }
        for (var kx = 0u; kx < kernel_width; kx++) {
            let sx = ix + pad_x - kx;
            if sx % stride != 0u || sx / stride >= out_width {
                continue;
            }
            let pixel = ((n * out_height + sy / stride) * out_width + sx / stride) * out_channels + first;
            let tap = ((ky * kernel_width + kx) * inputs + i % inputs) * out_channels + first;
            for (var o = 0u; o < outputs; o++) {
                sum += dz[pixel + o] * w[tap + o];
            }
        }
    }
    dx[index] = sum;
}
