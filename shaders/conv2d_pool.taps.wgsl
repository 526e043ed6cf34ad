// y[n, oy, ox, o] = activation(b[o] + max over qy, qx in 0, 1 of sum over ky, kx, i of
//     x[n, (2*oy + qy)*stride + ky - pad_y, (2*ox + qx)*stride + kx - pad_x, i] * w[ky, kx, i, o]), for GPUs and
// few input channels;
// argmax = 2*qy + qx of the first maximum
//
// x       [batch, in_height, in_width, in_channels]     zero outside
// w       [kernel_height, kernel_width, in_channels, out_channels]   out_channels a multiple of 16
// b       [out_channels]
// y       [batch, out_height/2, out_width/2, out_channels]
// argmax  [batch, out_height/2, out_width/2, out_channels]
//
// One thread makes a window of two by two pixels × 16 channels, see lib/conv2d_taps.wgsl.

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
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<stored4>;
@group(0) @binding(4) var<storage, read_write> argmax: array<vec4u>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = out_channels / 16u;
    let g = group_index(group, workgroups);
    window_make(g / across * 64u + lane, g % across * 4u);
}

fn window_count() -> vec2u {
    return vec2u(out_height / 2u, out_width / 2u);
}

// No activation ever falls, so that it is taken of the largest alone.
fn store_window(window: u32, at: vec3u, column: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
    let upper = max(a, b);
    let largest = max(max(upper, c), d);
    let is_lower = largest > upper;
    let is_right = largest > select(a, c, is_lower);
    let place = select(vec4u(0u), vec4u(2u), is_lower) + select(vec4u(0u), vec4u(1u), is_right);
    y[window * (out_channels / 4u) + column] = stored4(activate4(largest));
    argmax[window * (out_channels / 4u) + column] = place;
}
