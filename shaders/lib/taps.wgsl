// Appended to the shaders that make weights of few input channels on eight-lane software Vulkan: 9 weights × 32
// channels in the registers of one subgroup. Lane l holds channels 4l..4l+3 of every weight. Written out for the
// reasons that lib/tile.wgsl gives.

var<private> taps: array<vec4f, 9>;

// Adds the products of eight pixels: lane l has the inputs of pixel l under the nine weights in a0..a8, and its own
// channels of pixel 0..7 in b0..b7.
fn taps_add(
    a0: f32, a1: f32, a2: f32, a3: f32, a4: f32, a5: f32, a6: f32, a7: f32, a8: f32,
    b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f, b4: vec4f, b5: vec4f, b6: vec4f, b7: vec4f,
) {
    // for t in 0..72:
    //     taps[{t % 9}] = fma(vec4f(subgroupBroadcast(a{t % 9}, {t / 9}u)), b{t / 9}, taps[{t % 9}]);
    taps[0] = fma(vec4f(subgroupBroadcast(a0, 0u)), b0, taps[0]);
    taps[1] = fma(vec4f(subgroupBroadcast(a1, 0u)), b0, taps[1]);
    taps[2] = fma(vec4f(subgroupBroadcast(a2, 0u)), b0, taps[2]);
    taps[3] = fma(vec4f(subgroupBroadcast(a3, 0u)), b0, taps[3]);
    taps[4] = fma(vec4f(subgroupBroadcast(a4, 0u)), b0, taps[4]);
    taps[5] = fma(vec4f(subgroupBroadcast(a5, 0u)), b0, taps[5]);
    taps[6] = fma(vec4f(subgroupBroadcast(a6, 0u)), b0, taps[6]);
    taps[7] = fma(vec4f(subgroupBroadcast(a7, 0u)), b0, taps[7]);
    taps[8] = fma(vec4f(subgroupBroadcast(a8, 0u)), b0, taps[8]);
    taps[0] = fma(vec4f(subgroupBroadcast(a0, 1u)), b1, taps[0]);
    taps[1] = fma(vec4f(subgroupBroadcast(a1, 1u)), b1, taps[1]);
    taps[2] = fma(vec4f(subgroupBroadcast(a2, 1u)), b1, taps[2]);
    taps[3] = fma(vec4f(subgroupBroadcast(a3, 1u)), b1, taps[3]);
    taps[4] = fma(vec4f(subgroupBroadcast(a4, 1u)), b1, taps[4]);
    taps[5] = fma(vec4f(subgroupBroadcast(a5, 1u)), b1, taps[5]);
    taps[6] = fma(vec4f(subgroupBroadcast(a6, 1u)), b1, taps[6]);
    taps[7] = fma(vec4f(subgroupBroadcast(a7, 1u)), b1, taps[7]);
    taps[8] = fma(vec4f(subgroupBroadcast(a8, 1u)), b1, taps[8]);
    taps[0] = fma(vec4f(subgroupBroadcast(a0, 2u)), b2, taps[0]);
    taps[1] = fma(vec4f(subgroupBroadcast(a1, 2u)), b2, taps[1]);
    taps[2] = fma(vec4f(subgroupBroadcast(a2, 2u)), b2, taps[2]);
    taps[3] = fma(vec4f(subgroupBroadcast(a3, 2u)), b2, taps[3]);
    taps[4] = fma(vec4f(subgroupBroadcast(a4, 2u)), b2, taps[4]);
    taps[5] = fma(vec4f(subgroupBroadcast(a5, 2u)), b2, taps[5]);
    taps[6] = fma(vec4f(subgroupBroadcast(a6, 2u)), b2, taps[6]);
    taps[7] = fma(vec4f(subgroupBroadcast(a7, 2u)), b2, taps[7]);
    taps[8] = fma(vec4f(subgroupBroadcast(a8, 2u)), b2, taps[8]);
    taps[0] = fma(vec4f(subgroupBroadcast(a0, 3u)), b3, taps[0]);
    taps[1] = fma(vec4f(subgroupBroadcast(a1, 3u)), b3, taps[1]);
    taps[2] = fma(vec4f(subgroupBroadcast(a2, 3u)), b3, taps[2]);
    taps[3] = fma(vec4f(subgroupBroadcast(a3, 3u)), b3, taps[3]);
    taps[4] = fma(vec4f(subgroupBroadcast(a4, 3u)), b3, taps[4]);
    taps[5] = fma(vec4f(subgroupBroadcast(a5, 3u)), b3, taps[5]);
    taps[6] = fma(vec4f(subgroupBroadcast(a6, 3u)), b3, taps[6]);
    taps[7] = fma(vec4f(subgroupBroadcast(a7, 3u)), b3, taps[7]);
    taps[8] = fma(vec4f(subgroupBroadcast(a8, 3u)), b3, taps[8]);
    taps[0] = fma(vec4f(subgroupBroadcast(a0, 4u)), b4, taps[0]);
    taps[1] = fma(vec4f(subgroupBroadcast(a1, 4u)), b4, taps[1]);
    taps[2] = fma(vec4f(subgroupBroadcast(a2, 4u)), b4, taps[2]);
    taps[3] = fma(vec4f(subgroupBroadcast(a3, 4u)), b4, taps[3]);
    taps[4] = fma(vec4f(subgroupBroadcast(a4, 4u)), b4, taps[4]);
    taps[5] = fma(vec4f(subgroupBroadcast(a5, 4u)), b4, taps[5]);
    taps[6] = fma(vec4f(subgroupBroadcast(a6, 4u)), b4, taps[6]);
    taps[7] = fma(vec4f(subgroupBroadcast(a7, 4u)), b4, taps[7]);
    taps[8] = fma(vec4f(subgroupBroadcast(a8, 4u)), b4, taps[8]);
    taps[0] = fma(vec4f(subgroupBroadcast(a0, 5u)), b5, taps[0]);
    taps[1] = fma(vec4f(subgroupBroadcast(a1, 5u)), b5, taps[1]);
    taps[2] = fma(vec4f(subgroupBroadcast(a2, 5u)), b5, taps[2]);
    taps[3] = fma(vec4f(subgroupBroadcast(a3, 5u)), b5, taps[3]);
    taps[4] = fma(vec4f(subgroupBroadcast(a4, 5u)), b5, taps[4]);
    taps[5] = fma(vec4f(subgroupBroadcast(a5, 5u)), b5, taps[5]);
    taps[6] = fma(vec4f(subgroupBroadcast(a6, 5u)), b5, taps[6]);
    taps[7] = fma(vec4f(subgroupBroadcast(a7, 5u)), b5, taps[7]);
    taps[8] = fma(vec4f(subgroupBroadcast(a8, 5u)), b5, taps[8]);
    taps[0] = fma(vec4f(subgroupBroadcast(a0, 6u)), b6, taps[0]);
    taps[1] = fma(vec4f(subgroupBroadcast(a1, 6u)), b6, taps[1]);
    taps[2] = fma(vec4f(subgroupBroadcast(a2, 6u)), b6, taps[2]);
    taps[3] = fma(vec4f(subgroupBroadcast(a3, 6u)), b6, taps[3]);
    taps[4] = fma(vec4f(subgroupBroadcast(a4, 6u)), b6, taps[4]);
    taps[5] = fma(vec4f(subgroupBroadcast(a5, 6u)), b6, taps[5]);
    taps[6] = fma(vec4f(subgroupBroadcast(a6, 6u)), b6, taps[6]);
    taps[7] = fma(vec4f(subgroupBroadcast(a7, 6u)), b6, taps[7]);
    taps[8] = fma(vec4f(subgroupBroadcast(a8, 6u)), b6, taps[8]);
    taps[0] = fma(vec4f(subgroupBroadcast(a0, 7u)), b7, taps[0]);
    taps[1] = fma(vec4f(subgroupBroadcast(a1, 7u)), b7, taps[1]);
    taps[2] = fma(vec4f(subgroupBroadcast(a2, 7u)), b7, taps[2]);
    taps[3] = fma(vec4f(subgroupBroadcast(a3, 7u)), b7, taps[3]);
    taps[4] = fma(vec4f(subgroupBroadcast(a4, 7u)), b7, taps[4]);
    taps[5] = fma(vec4f(subgroupBroadcast(a5, 7u)), b7, taps[5]);
    taps[6] = fma(vec4f(subgroupBroadcast(a6, 7u)), b7, taps[6]);
    taps[7] = fma(vec4f(subgroupBroadcast(a7, 7u)), b7, taps[7]);
    taps[8] = fma(vec4f(subgroupBroadcast(a8, 7u)), b7, taps[8]);
    // end
}

// The input under weight k of the output at (top + pad_y)/stride, (left + pad_x)/stride; 0 outside.
fn taps_input(n: u32, top: u32, left: u32, k: u32, inside: bool) -> f32 {
    let i = k % in_channels;
    let iy = top + k / in_channels / kernel_width;
    let ix = left + k / in_channels % kernel_width;
    let found = inside && iy < in_height && ix < in_width;
    return select(0.0, f32(x[select(0u, ((n * in_height + iy) * in_width + ix) * in_channels + i, found)]), found);
}
