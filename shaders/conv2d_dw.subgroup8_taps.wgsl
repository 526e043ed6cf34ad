// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * dz[n, oy, ox, o], for eight-lane software Vulkan
//
// x   [batch, in_height, in_width, in_channels]      any number of channels
// dz  [batch, out_height, out_width, out_channels]   out_channels a multiple of 4; gradient before the activation
// dw  [splits, kernel_height, kernel_width, in_channels, out_channels]
//
// For the first layer, whose images have one or three channels. One subgroup makes nine weights (taps × channels in
// their order) × 32 output channels of one split, eight output pixels at a time, see lib/taps.wgsl.

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
@group(0) @binding(1) var<storage, read> dz: array<wide4>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 31u) / 32u;
    let weights = kernel_height * kernel_width * in_channels;
    let down = (weights + 8u) / 9u;
    let g = group_index(group, workgroups);
    let first = g / across % down * 9u;
    let column = g % across * 8u + lane;
    let split = g / (across * down);
    let width = out_channels / 4u;
    let pixels = out_height * out_width;
    let chunk = (batch + splits - 1u) / splits;
    for (var n = split * chunk; n < min((split + 1u) * chunk, batch); n++) {
        for (var start = 0u; start < pixels; start += 8u) {
            // The last eight begin early enough to be whole; those done before count as outside.
            let base = min(start, pixels - min(pixels, 8u));
            let pixel = base + lane;
            let inside = pixel >= start && pixel < pixels;
            let top = pixel / out_width * stride - pad_y;
            let left = pixel % out_width * stride - pad_x;
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
            let at = (n * pixels + base) * width + min(column, width - 1u);
            taps_add(
                a0, a1, a2, a3, a4, a5, a6, a7, a8,
                four(dz[at + 0u * width]), four(dz[at + 1u * width]),
                four(dz[at + 2u * width]), four(dz[at + 3u * width]),
                four(dz[at + 4u * width]), four(dz[at + 5u * width]),
                four(dz[at + 6u * width]), four(dz[at + 7u * width]),
            );
        }
    }
    if split < splits && column < width {
        for (var k = 0u; k < min(9u, weights - first); k++) {
            dw[(split * weights + first + k) * width + column] = taps[k];
        }
    }
}
