// Appended to the shaders of conv2d and conv2d_pool whose threads make a tile of 8 pixels × 8 channels each, see
// lib/registers.wgsl; neighbours have the same pixels. Outside the image they load element 0 and multiply it by 0.

fn registers_make(index: u32) {
    let across = (out_channels + 7u) / 8u;
    let row = index / across * 8u;
    let column = index % across * 2u;
    let width = out_channels / 4u;
    let depth = in_channels / 4u;
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
            let p = select(vec4u(0u), t * depth, t < vec4u(OUTSIDE));
            let q = select(vec4u(0u), u * depth, u < vec4u(OUTSIDE));
            let tap = (ky * kernel_width + kx) * in_channels * width + column;
            for (var i = 0u; i < depth; i++) {
                let l = tap + 4u * i * width;
                let r = l + step;
                sums_add_rows(
                    m.x * vec4f(x[p.x + i]), m.y * vec4f(x[p.y + i]), m.z * vec4f(x[p.z + i]), m.w * vec4f(x[p.w + i]),
                    n.x * vec4f(x[q.x + i]), n.y * vec4f(x[q.y + i]), n.z * vec4f(x[q.z + i]), n.w * vec4f(x[q.w + i]),
                    w[l], w[l + width], w[l + 2u * width], w[l + 3u * width],
                    w[r], w[r + width], w[r + 2u * width], w[r + 3u * width],
                );
            }
        }
    }
    sums_store(row, column);
}
