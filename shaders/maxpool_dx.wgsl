// dx[n, iy, ix, c] = sum of dy[n, oy, ox, c] over the windows that have chosen this pixel by argmax
//
// dy      [batch, out_height, out_width, channels]
// argmax  [batch, out_height, out_width, channels]
// dx      [batch, in_height, in_width, channels]
//
// One thread makes one value of dx, the zeros too: it gathers from the windows that its pixel is in.

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

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> argmax: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= batch * in_height * in_width * channels {
        return;
    }
    let c = index % channels;
    let ix = index / channels % in_width;
    let iy = index / (channels * in_width) % in_height;
    let n = index / (channels * in_width * in_height);
    var sum = 0.0;
    let rows = places_of(iy, window_height, out_height);
    let columns = places_of(ix, window_width, out_width);
    for (var ky = rows.x; ky < rows.y; ky += stride) {
        let oy = (iy + pad - ky) / stride;
        for (var kx = columns.x; kx < columns.y; kx += stride) {
            let ox = (ix + pad - kx) / stride;
            let at = ((n * out_height + oy) * out_width + ox) * channels + c;
            if argmax[at] == ky * window_width + kx {
                sum += dy[at];
            }
        }
    }
    dx[index] = sum;
}
