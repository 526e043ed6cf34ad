// Appended to the shaders of conv2d and conv2d_pool for first layers, as lib/conv2d_registers.wgsl, one input channel
// at a time: images have one or three.

fn registers_make(index: u32) {
    let across = (out_channels + 7u) / 8u;
    let row = index / across * 8u;
    let column = index % across * 2u;
    let width = out_channels / 4u;
    let step = min(column + 1u, width - 1u) - column;
    let last = vec4u(output_count() - 1u);
    let upper = min(row + vec4u(0u, 1u, 2u, 3u), last);
    let lower = min(row + vec4u(4u, 5u, 6u, 7u), last);
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            let t = input_pixels(upper, ky, kx);
            let u = input_pixels(lower, ky, kx);
            let m = select(vec4f(0.0), vec4f(1.0), t < vec4u(OUTSIDE));
            let n = select(vec4f(0.0), vec4f(1.0), u < vec4u(OUTSIDE));
            let p = select(vec4u(0u), t * in_channels, t < vec4u(OUTSIDE));
            let q = select(vec4u(0u), u * in_channels, u < vec4u(OUTSIDE));
            let tap = (ky * kernel_width + kx) * in_channels * width + column;
            for (var i = 0u; i < in_channels; i++) {
                let l = tap + i * width;
                sums_add_outer(
                    m * vec4f(stored4(x[p.x + i], x[p.y + i], x[p.z + i], x[p.w + i])),
                    n * vec4f(stored4(x[q.x + i], x[q.y + i], x[q.z + i], x[q.w + i])),
                    w[l], w[l + step],
                );
            }
        }
    }
    sums_store(row, column);
}
