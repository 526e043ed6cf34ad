// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, (2*oy + q/2)*stride + ky - pad_y, (2*ox + q%2)*stride + kx - pad_x, i] * dy[n, oy, ox, o],
// q = argmax[n, oy, ox, o], for GPUs, few input channels and 3×3 taps
//
// x       [batch, in_height, in_width, in_channels]          zero outside
// dy      [batch, out_height/2, out_width/2, out_channels]   gradient before the activation
//                                                            out_channels a multiple of 4
// argmax  [batch, out_height/2, out_width/2, out_channels]
// dw      [splits, 3, 3, in_channels, out_channels]
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
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> argmax: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    weights_make(lane, group_index(group, workgroups));
}

fn window_count() -> vec2u {
    return vec2u(out_height / 2u, out_width / 2u);
}

fn gradients_load(at: vec3u, column: u32) {
    let d = dy[at.z * (out_channels / 4u) + column];
    let p = argmax[at.z * (out_channels / 4u) + column];
    // for q in 0..4:
    //     gradients[{q}] = select(vec4f(0.0), d, p == vec4u({q}u));
    gradients[0] = select(vec4f(0.0), d, p == vec4u(0u));
    gradients[1] = select(vec4f(0.0), d, p == vec4u(1u));
    gradients[2] = select(vec4f(0.0), d, p == vec4u(2u));
    gradients[3] = select(vec4f(0.0), d, p == vec4u(3u));
    // end
}
