// dw[s, ky, kx, c] = sum over n in split s, oy, ox of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, c] * dz[n, oy, ox, c]: as many groups as channels
//
// x   [batch, in_height, in_width, in_channels]      zero outside; in_channels a multiple of 4
// dz  [batch, out_height, out_width, out_channels]   gradient before the activation; out_channels = in_channels
// dw  [splits, kernel_height, kernel_width, out_channels]
//
// One thread makes four channels of one tap and one split. Split s takes images [s*chunk, (s+1)*chunk).

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

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, workgroups) * 64u + lane;
    let width = out_channels / 4u;
    if index >= splits * kernel_height * kernel_width * width {
        return;
    }
    let c = index % width;
    let kx = index / width % kernel_width;
    let ky = index / (width * kernel_width) % kernel_height;
    let s = index / (width * kernel_width * kernel_height);
    let chunk = (batch + splits - 1u) / splits;
    var sum = vec4f(0.0);
    for (var n = s * chunk; n < min((s + 1u) * chunk, batch); n++) {
        for (var oy = 0u; oy < out_height; oy++) {
            let iy = oy * stride + ky - pad_y;
            if iy >= in_height {
                continue;
            }
            for (var ox = 0u; ox < out_width; ox++) {
                let ix = ox * stride + kx - pad_x;
                if ix < in_width {
                    let value = vec4f(x[((n * in_height + iy) * in_width + ix) * width + c]);
                    sum = fma(value, dz[((n * out_height + oy) * out_width + ox) * width + c], sum);
                }
            }
        }
    }
    dw[index] = sum;
}
