// Appended to the shaders of conv2d and conv2d_pool for GPUs: of what lib/block_terms.wgsl asks for, what does not
// depend on how inputs are loaded. Rows are pixels, columns channels, and terms those of the weights, which are
// neighbours in memory as long as their tap is the same. `LOADED_INPUTS` tells how many input channels one load takes.

const ROWS_BY_TERMS = true;
const COLUMNS_BY_TERMS = false;

// Of four pixels: which taps lie in the image, see lib/tap_bits.wgsl; and where the input under their first tap is.
var<private> row_taps: vec4u;
var<private> row_at: vec4u;

fn rows_begin(row: u32, q: u32) {
    let pixel = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(output_count() - 1u));
    // Below zero wraps round to a large number, so one comparison finds both borders.
    let y = output_y(pixel) * stride - pad_y;
    let x = output_x(pixel) * stride - pad_x;
    row_at = ((output_image(pixel) * in_height + y) * in_width + x) * (in_channels / LOADED_INPUTS);
    for (var tap = 0u; tap < kernel_height * kernel_width; tap++) {
        let down = y + tap / kernel_width < vec4u(in_height);
        let across = x + tap % kernel_width < vec4u(in_width);
        row_taps |= inside_bits(tap, down, across);
    }
}

fn columns_load(start: u32, k: u32, c: u32) -> vec4f {
    let width = out_channels / 4u;
    return w[block_term(start + k, kernel_height * kernel_width * in_channels) * width + min(c, width - 1u)];
}
