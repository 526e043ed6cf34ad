// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * dz[n, oy, ox, o], for GPUs, few input channels and
// 3×3 taps
//
// x   [batch, in_height, in_width, in_channels]       zero outside
// dz  [batch, out_height, out_width, out_channels]    gradient before the activation; out_channels a multiple of 4
// dw  [splits, 3, 3, in_channels, out_channels]
//
// One workgroup makes the nine weights of one input channel and 32 outputs of a split, see lib/conv2d_dw_taps.wgsl.
// Split s takes images [s*chunk, (s+1)*chunk).

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

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    weights_make(lane, group_index(group, workgroups));
}

fn window_count() -> vec2u {
    return vec2u((out_height + 1u) / 2u, (out_width + 1u) / 2u);
}

fn gradients_load(at: vec3u, column: u32) {
    // for q in 0..4:
    //     gradients[{q}] = gradient(at.x, 2u * at.y, {q / 2}u, {q % 2}u, column);
    gradients[0] = gradient(at.x, 2u * at.y, 0u, 0u, column);
    gradients[1] = gradient(at.x, 2u * at.y, 0u, 1u, column);
    gradients[2] = gradient(at.x, 2u * at.y, 1u, 0u, column);
    gradients[3] = gradient(at.x, 2u * at.y, 1u, 1u, column);
    // end
}

// That of the output `below` the upper ones of a line of windows and to the right of ox.
fn gradient(line: u32, ox: u32, below: u32, right: u32, column: u32) -> vec4f {
    // Where images have an odd number of lines or columns, windows reach beyond the last.
    let count = window_count();
    let image = select(line / count.x, 0u, out_height % 2u == 0u);
    let oy = 2u * line - image * (out_height % 2u);
    let has_lower = below == 0u || out_height % 2u == 0u || line % count.x + 1u < count.x;
    let is_inside = has_lower && (right == 0u || out_width % 2u == 0u || ox + 1u < out_width);
    let at = ((oy + below) * out_width + ox + right) * (out_channels / 4u) + column;
    return select(vec4f(0.0), dz[select(0u, at, is_inside)], is_inside);
}
