// Appended to the shaders of conv2d and conv2d_pool for GPUs: what lib/block_terms.wgsl asks for. Rows are pixels,
// columns channels, and terms those of the weights, which are neighbours in memory as long as their tap is the same.

alias Loaded = stored4;
alias Inside = vec4<bool>;
const ROWS_BY_TERMS = true;
const COLUMNS_BY_TERMS = false;

// Of four pixels: which taps lie in the image, a bit for each line of them and from bit 16 one for each column; and
// where the input under their first tap is.
var<private> row_taps: vec4u;
var<private> row_at: vec4u;

fn rows_begin(row: u32) {
    let pixel = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(output_count() - 1u));
    // Below zero wraps round to a large number, so one comparison finds both borders.
    let y = output_y(pixel) * stride - pad_y;
    let x = output_x(pixel) * stride - pad_x;
    row_at = ((output_image(pixel) * in_height + y) * in_width + x) * (in_channels / 4u);
    for (var k = 0u; k < max(kernel_height, kernel_width); k++) {
        row_taps |= select(vec4u(0u), vec4u(1u << k), y + k < vec4u(select(0u, in_height, k < kernel_height)));
        row_taps |= select(vec4u(0u), vec4u(0x10000u << k), x + k < vec4u(select(0u, in_width, k < kernel_width)));
    }
}

fn rows_load(first: u32, q: u32) {
    let depth = in_channels / 4u;
    // Where all terms from `first` have one tap, all threads have the same.
    let tap = select(first + q, first, depth % (BLOCK_TERMS / 4u) == 0u) / depth;
    let ky = tap / kernel_width;
    let kx = tap % kernel_width;
    let taps = (1u << ky) | (0x10000u << kx);
    inside = (row_taps & vec4u(taps)) == vec4u(taps);
    let at = select(vec4u(0u), row_at + (first + (ky * in_width + kx - tap) * depth + q), inside);
    loaded[0] = x[at.x];
    loaded[1] = x[at.y];
    loaded[2] = x[at.z];
    loaded[3] = x[at.w];
}

fn columns_load(k: u32, c: u32) -> vec4f {
    let width = out_channels / 4u;
    return w[block_term(k, kernel_height * kernel_width * in_channels) * width + min(c, width - 1u)];
}

fn add_term(sum: vec4f, a: f32, b: vec4f) -> vec4f {
    return fma(vec4f(a), b, sum);
}
