// y[n, oy, ox, c] = max over ky, kx of x[n, oy*stride + ky - pad, ox*stride + kx - pad, c] inside the image;
// argmax = ky*window_width + kx of the first maximum
//
// x       [batch, in_height, in_width, channels]
// y       [batch, out_height, out_width, channels]
// argmax  [batch, out_height, out_width, channels]   stored, so that the gradient decides nothing anew
//
// One thread makes one output value. Rows and columns that fill no whole window are left out.

override batch: u32;
override in_height: u32;
override in_width: u32;
override channels: u32;
override out_height: u32;
override out_width: u32;
override window_height: u32;
override window_width: u32;
override stride: u32;
override pad: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read_write> y: array<stored>;
@group(0) @binding(2) var<storage, read_write> argmax: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= batch * out_height * out_width * channels {
        return;
    }
    let c = index % channels;
    let ox = index / channels % out_width;
    let oy = index / (channels * out_width) % out_height;
    let n = index / (channels * out_width * out_height);
    var largest = 0.0;
    var place = 0u;
    var found = false;
    for (var ky = 0u; ky < window_height; ky++) {
        // Below zero wraps round to a large number, so one comparison finds both borders.
        let iy = oy * stride + ky - pad;
        for (var kx = 0u; kx < window_width; kx++) {
            let ix = ox * stride + kx - pad;
            if iy >= in_height || ix >= in_width {
                continue;
            }
            let value = f32(x[((n * in_height + iy) * in_width + ix) * channels + c]);
            if value > largest || !found {
                largest = value;
                place = ky * window_width + kx;
            }
            found = true;
        }
    }
    y[index] = stored(largest);
    argmax[index] = place;
}
