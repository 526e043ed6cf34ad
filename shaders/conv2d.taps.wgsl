// y[n, oy, ox, o] = activation(b[o] + sum over ky, kx, i of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * w[ky, kx, i, o]), for GPUs and few
// input channels
//
// x  [batch, in_height, in_width, in_channels]     zero outside
// w  [kernel_height, kernel_width, in_channels, out_channels]   out_channels a multiple of 16
// b  [out_channels]
// y  [batch, out_height, out_width, out_channels]
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

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = out_channels / 16u;
    let g = group_index(group, workgroups);
    window_make(g / across * 64u + lane, g % across * 4u);
}

fn window_count() -> vec2u {
    return vec2u((out_height + 1u) / 2u, (out_width + 1u) / 2u);
}

fn store_window(window: u32, at: vec3u, column: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
    let first = ((at.x * out_height + at.y) * out_width + at.z) * (out_channels / 4u) + column;
    let has_right = out_width % 2u == 0u || at.z + 1u < out_width;
    let has_lower = out_height % 2u == 0u || at.y + 1u < out_height;
    store(first, a, true);
    store(first + out_channels / 4u, b, has_right);
    store(first + out_width * (out_channels / 4u), c, has_lower);
    store(first + (out_width + 1u) * (out_channels / 4u), d, has_lower && has_right);
}

fn store(at: u32, values: vec4f, is_inside: bool) {
    if is_inside {
        y[at] = stored4(activate4(values));
    }
}
