// dx[n, iy, ix, c] = sum of dy[n, oy, ox, c] / (window_height*window_width) over the windows that this pixel is in
//
// dy  [batch, out_height, out_width, channels]   channels a multiple of 4
// dx  [batch, in_height, in_width, channels]
//
// As avgpool_dx, four channels a thread.

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

@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let width = channels / 4u;
    if index >= batch * in_height * in_width * width {
        return;
    }
    let c = index % width;
    let ix = index / width % in_width;
    let iy = index / (width * in_width) % in_height;
    let n = index / (width * in_width * in_height);
    var sum = vec4f(0.0);
    let rows = places_of(iy, window_height, out_height);
    let columns = places_of(ix, window_width, out_width);
    for (var ky = rows.x; ky < rows.y; ky += stride) {
        let oy = (iy + pad - ky) / stride;
        for (var kx = columns.x; kx < columns.y; kx += stride) {
            let ox = (ix + pad - kx) / stride;
            let at = ((n * out_height + oy) * out_width + ox) * width + c;
            sum += dy[at];
        }
    }
    dx[index] = sum * (1.0 / f32(window_height * window_width));
}
