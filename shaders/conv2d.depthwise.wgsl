// y[n, oy, ox, c] = activation(b[c] + sum over ky, kx of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, c] * w[ky, kx, c]): as many groups as channels
//
// x  [batch, in_height, in_width, in_channels]     zero outside; in_channels a multiple of 4
// w  [kernel_height, kernel_width, out_channels]   out_channels = in_channels
// b  [out_channels]
// y  [batch, out_height, out_width, out_channels]
//
// One thread makes four channels of one output.

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

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, workgroups) * 64u + lane;
    let width = out_channels / 4u;
    if index >= batch * out_height * out_width * width {
        return;
    }
    let c = index % width;
    let ox = index / width % out_width;
    let oy = index / (width * out_width) % out_height;
    let n = index / (width * out_width * out_height);
    var sum = b[c];
    for (var ky = 0u; ky < kernel_height; ky++) {
        // Below zero wraps round to a large number, so one comparison finds both borders.
        let iy = oy * stride + ky - pad_y;
        if iy >= in_height {
            continue;
        }
        for (var kx = 0u; kx < kernel_width; kx++) {
            let ix = ox * stride + kx - pad_x;
            if ix < in_width {
                let value = vec4f(x[((n * in_height + iy) * in_width + ix) * width + c]);
                sum = fma(value, w[(ky * kernel_width + kx) * width + c], sum);
            }
        }
    }
    y[index] = stored4(activate4(sum));
}
