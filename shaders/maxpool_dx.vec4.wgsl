// dx[n, iy, ix, c] = dy[n, iy/stride, ix/stride, c] where argmax there is this place of the window, else 0
//
// dy      [batch, out_height, out_width, channels]   channels a multiple of 4
// argmax  [batch, out_height, out_width, channels]
// dx      [batch, in_height, in_width, channels]
//
// For windows side by side on the image alone. One thread makes four channels of one window of dx and so reads its
// gradient once. Windows that are cut off by the border have no output: their values are zeros.

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
@group(0) @binding(1) var<storage, read> argmax: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let width = channels / 4u;
    let down = (in_height + stride - 1u) / stride;
    let across = (in_width + stride - 1u) / stride;
    if index >= batch * down * across * width {
        return;
    }
    let c = index % width;
    let ox = index / width % across;
    let oy = index / (width * across) % down;
    let n = index / (width * across * down);
    let whole = oy < out_height && ox < out_width;
    let pooled = select(0u, ((n * out_height + oy) * out_width + ox) * width + c, whole);
    let value = select(vec4f(0.0), dy[pooled], whole);
    let place = argmax[pooled];
    for (var k = 0u; k < stride * stride; k++) {
        let iy = oy * stride + k / stride;
        let ix = ox * stride + k % stride;
        if iy < in_height && ix < in_width {
            dx[((n * in_height + iy) * in_width + ix) * width + c] = select(vec4f(0.0), value, place == vec4u(k));
        }
    }
}
