// y[n, oy, ox, o] = activation(b[o] + max over qy, qx in 0, 1 of sum over ky, kx, i of
//     x[n, (2*oy + qy)*stride + ky - pad_y, (2*ox + qx)*stride + kx - pad_x, i] * w[ky, kx, i, o]);
// argmax = 2*qy + qx of the first maximum
//
// x       [batch, in_height, in_width, in_channels]     zero outside
// w       [kernel_height, kernel_width, in_channels, out_channels]
// b       [out_channels]
// y       [batch, out_height/2, out_width/2, out_channels]
// argmax  [batch, out_height/2, out_width/2, out_channels]   stored, so that the gradient decides nothing anew
//
// A convolution (conv2d) of one group and the maximum of windows of two by two (maxpool) in one: what lies between them
// is never stored. One thread makes one output value. Rows and columns that fill no whole window are left out. No
// activation ever falls, so that it is taken of the maximum alone.

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
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, workgroups) * 64u + lane;
    let down = out_height / 2u;
    let across = out_width / 2u;
    if index >= batch * down * across * out_channels {
        return;
    }
    let o = index % out_channels;
    let ox = index / out_channels % across;
    let oy = index / (out_channels * across) % down;
    let n = index / (out_channels * across * down);
    var largest = 0.0;
    var place = 0u;
    for (var k = 0u; k < 4u; k++) {
        let sum = convolved(n, 2u * oy + k / 2u, 2u * ox + k % 2u, o);
        if sum > largest || k == 0u {
            largest = sum;
            place = k;
        }
    }
    y[index] = stored(activate(b[o] + largest));
    argmax[index] = place;
}

fn convolved(n: u32, oy: u32, ox: u32, o: u32) -> f32 {
    var sum = 0.0;
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
            let pixel = ((n * in_height + iy) * in_width + ix) * in_channels;
            let tap = (ky * kernel_width + kx) * in_channels;
            for (var i = 0u; i < in_channels; i++) {
                sum += f32(x[pixel + i]) * w[(tap + i) * out_channels + o];
            }
        }
    }
    return sum;
}
