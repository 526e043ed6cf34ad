// Appended to the shaders of conv2d and conv2d_pool for first layers on eight-lane software Vulkan, as
// lib/conv2d_tile.wgsl, one input channel at a time: images have one or three.

var<private> column: u32;

fn tile_make(g: u32, lane: u32) {
    let across = (out_channels + 31u) / 32u;
    let row = g / across * 32u;
    column = g % across * 8u + lane;
    let width = out_channels / 4u;
    let own = min(column, width - 1u);
    // The four output pixels whose inputs this lane loads.
    let pixel = min(row + lane + vec4u(0u, 8u, 16u, 24u), vec4u(output_count() - 1u));
    let left = output_x(pixel) * stride - pad_x;
    let top = output_y(pixel) * stride - pad_y;
    let image = output_image(pixel) * in_height;
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            let iy = top + ky;
            let ix = left + kx;
            let inside = (iy < vec4u(in_height)) & (ix < vec4u(in_width));
            let mask = select(vec4f(0.0), vec4f(1.0), inside);
            let at = select(vec4u(0u), ((image + iy) * in_width + ix) * in_channels, inside);
            let tap = (ky * kernel_width + kx) * in_channels * width + own;
            for (var i = 0u; i < in_channels; i++) {
                let values = vec4f(stored4(x[at.x + i], x[at.y + i], x[at.z + i], x[at.w + i]));
                tile_add_column(mask * values, four(w[tap + i * width]));
            }
        }
    }
    tile_store(row);
}

fn store_row(row: u32, values: vec4f) {
    store_part(row, column, values);
}
