// y[n, oy, ox, c] = max over ky, kx of x[n, oy*size + ky, ox*size + kx, c];  argmax = ky*size + kx of the first maximum
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
override size: u32;

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
    let corner = ((n * in_height + oy * size) * in_width + ox * size) * channels + c;
    var largest = f32(x[corner]);
    var place = 0u;
    for (var k = 1u; k < size * size; k++) {
        let value = f32(x[corner + (k / size * in_width + k % size) * channels]);
        if value > largest {
            largest = value;
            place = k;
        }
    }
    y[index] = stored(largest);
    argmax[index] = place;
}
