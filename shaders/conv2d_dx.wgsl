// dx[n, iy, ix, i] = sum over ky, kx, o of dz[n, (iy + pad - ky)/stride, (ix + pad - kx)/stride, o] * w[ky, kx, i, o]
//
// dz  [batch, out_height, out_width, out_channels]   gradient before the activation
// w   [kernel, kernel, in_channels, out_channels]
// dx  [batch, in_height, in_width, in_channels]
//
// One thread makes one value of dx. It gathers from the outputs that its input reached (whole quotients only), so no
// two threads write the same place.

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

@group(0) @binding(0) var<storage, read> dz: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= batch * in_height * in_width * in_channels {
        return;
    }
    let i = index % in_channels;
    let ix = index / in_channels % in_width;
    let iy = index / (in_channels * in_width) % in_height;
    let n = index / (in_channels * in_width * in_height);
    var sum = 0.0;
    for (var ky = 0u; ky < kernel; ky++) {
        let sy = iy + pad - ky;
        if sy % stride != 0u || sy / stride >= out_height {
            continue;
        }
        for (var kx = 0u; kx < kernel; kx++) {
            let sx = ix + pad - kx;
            if sx % stride != 0u || sx / stride >= out_width {
                continue;
            }
            let pixel = ((n * out_height + sy / stride) * out_width + sx / stride) * out_channels;
            let tap = ((ky * kernel + kx) * in_channels + i) * out_channels;
            for (var o = 0u; o < out_channels; o++) {
                sum += dz[pixel + o] * w[tap + o];
            }
        }
    }
    dx[index] = sum;
}
