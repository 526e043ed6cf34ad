// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, (2*oy + q/2)*stride + ky - pad_y, (2*ox + q%2)*stride + kx - pad_x, i] * dy[n, oy, ox, o],
// q = argmax[n, oy, ox, o], for eight-lane software Vulkan
//
// x       [batch, in_height, in_width, in_channels]      any number of channels
// dy      [batch, out_height/2, out_width/2, out_channels]   gradient before the activation
//                                                            out_channels a multiple of 4
// argmax  [batch, out_height/2, out_width/2, out_channels]
// dw      [splits, kernel_height, kernel_width, in_channels, out_channels]
//
// For the first layer, whose images have one or three channels. One subgroup makes nine weights (taps × channels in
// their order) × 32 output channels of one split, the eight pixels of two windows at a time, see lib/taps.wgsl: of a
// window each pixel has the gradient in those channels in which it was the largest.

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
@group(0) @binding(1) var<storage, read> dy: array<wide4>;
@group(0) @binding(2) var<storage, read> argmax: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let channels = (out_channels + 31u) / 32u;
    let weights = kernel_height * kernel_width * in_channels;
    let g = group_index(group, workgroups);
    let first = g / channels % ((weights + 8u) / 9u) * 9u;
    let column = g % channels * 8u + lane;
    let split = g / (channels * ((weights + 8u) / 9u));
    let width = out_channels / 4u;
    let across = out_width / 2u;
    let windows = out_height / 2u * across;
    let chunk = (batch + splits - 1u) / splits;
    for (var n = split * chunk; n < min((split + 1u) * chunk, batch); n++) {
        for (var start = 0u; start < windows; start += 2u) {
            let window = start + lane / 4u;
            let inside = window < windows;
            let top = (2u * (window / across) + lane / 2u % 2u) * stride - pad_y;
            let left = (2u * (window % across) + lane % 2u) * stride - pad_x;
            // for k in 0..9:
            //     let a{k} = taps_input(n, top, left, first + {k}u, inside);
            let a0 = taps_input(n, top, left, first + 0u, inside);
            let a1 = taps_input(n, top, left, first + 1u, inside);
            let a2 = taps_input(n, top, left, first + 2u, inside);
            let a3 = taps_input(n, top, left, first + 3u, inside);
            let a4 = taps_input(n, top, left, first + 4u, inside);
            let a5 = taps_input(n, top, left, first + 5u, inside);
            let a6 = taps_input(n, top, left, first + 6u, inside);
            let a7 = taps_input(n, top, left, first + 7u, inside);
            let a8 = taps_input(n, top, left, first + 8u, inside);
            // end
            // The second of two windows may be one behind the last: its inputs count as 0.
            let own = (n * windows + start) * width + min(column, width - 1u);
            let next = select(own, own + width, start + 1u < windows);
            let d = four(dy[own]);
            let e = four(dy[next]);
            let p = argmax[own];
            let q = argmax[next];
            let none = vec4f(0.0);
            taps_add(
                a0, a1, a2, a3, a4, a5, a6, a7, a8,
                select(none, d, p == vec4u(0u)), select(none, d, p == vec4u(1u)),
                select(none, d, p == vec4u(2u)), select(none, d, p == vec4u(3u)),
                select(none, e, q == vec4u(0u)), select(none, e, q == vec4u(1u)),
                select(none, e, q == vec4u(2u)), select(none, e, q == vec4u(3u)),
            );
        }
    }
    if split < splits && column < width {
        for (var k = 0u; k < min(9u, weights - first); k++) {
            dw[(split * weights + first + k) * width + column] = taps[k];
        }
    }
}
