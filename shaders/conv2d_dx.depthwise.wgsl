// dx[n, iy, ix, c] = sum over ky, kx of dz[n, (iy + pad_y - ky)/stride, (ix + pad_x - kx)/stride, c] * w[ky, kx, c]: as
// many groups as channels
//
// dz  [batch, out_height, out_width, out_channels]   gradient before the activation
// w   [kernel_height, kernel_width, out_channels]
// dx  [batch, in_height, in_width, in_channels]      in_channels = out_channels, a multiple of 4
//
// One thread makes four channels of one pixel of dx. It gathers from the outputs that its input reached (whole
// quotients only), so no two threads write the same place.

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

@group(0) @binding(0) var<storage, read> dz: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, workgroups) * 64u + lane;
    let width = in_channels / 4u;
    if index >= batch * in_height * in_width * width {
        return;
    }
    let c = index % width;
    let ix = index / width % in_width;
    let iy = index / (width * in_width) % in_height;
    let n = index / (width * in_width * in_height);
    var sum = vec4f(0.0);
    for (var ky = 0u; ky < kernel_height; ky++) {
        let sy = iy + pad_y - ky;
        if sy % stride != 0u || sy / stride >= out_height {
            continue;
        }
        for (var kx = 0u; kx < kernel_width; kx++) {
            let sx = ix + pad_x - kx;
            if sx % stride == 0u && sx / stride < out_width {
                let value = dz[((n * out_height + sy / stride) * out_width + sx / stride) * width + c];
                sum = fma(value, w[(ky * kernel_width + kx) * width + c], sum);
            }
        }
    }
    dx[index] = sum;
}
