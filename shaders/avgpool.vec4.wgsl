// y[n, oy, ox, c] = sum over ky, kx of x[n, oy*stride + ky - pad, ox*stride + kx - pad, c]
//     / (window_height*window_width)
//
// x  [batch, in_height, in_width, channels]     zero outside; channels a multiple of 4
// y  [batch, out_height, out_width, channels]
//
// As avgpool, four channels a thread.

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

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read_write> y: array<stored4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let width = channels / 4u;
    if index >= batch * out_height * out_width * width {
        return;
    }
    let c = index % width;
    let ox = index / width % out_width;
    let oy = index / (width * out_width) % out_height;
    let n = index / (width * out_width * out_height);
    var sum = vec4f(0.0);
    for (var ky = 0u; ky < window_height; ky++) {
        // Below zero wraps round to a large number, so one comparison finds both borders.
        let iy = oy * stride + ky - pad;
        for (var kx = 0u; kx < window_width; kx++) {
            let ix = ox * stride + kx - pad;
            if iy < in_height && ix < in_width {
                sum += vec4f(x[((n * in_height + iy) * in_width + ix) * width + c]);
            }
        }
    }
    y[index] = stored4(sum * (1.0 / f32(window_height * window_width)));
}
