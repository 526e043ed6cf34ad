// Appended to the shaders of conv2d and conv2d_pool for GPUs: what lib/block.wgsl asks for. Rows are pixels, columns
// channels, and terms those of the weights, which are neighbours in memory as long as their tap is the same.

alias Loaded = stored4;
const ROWS_BY_TERMS = true;
const COLUMNS_BY_TERMS = false;

// Of four pixels: line and column of the input under their first tap, and where that is.
var<private> row_y: vec4u;
var<private> row_x: vec4u;
var<private> row_at: vec4u;

fn rows_begin(r: u32) {
    let pixel = min(4u * r + vec4u(0u, 1u, 2u, 3u), vec4u(output_count() - 1u));
    // Below zero wraps round to a large number, so one comparison finds both borders.
    row_y = output_y(pixel) * stride - pad_y;
    row_x = output_x(pixel) * stride - pad_x;
    row_at = ((output_image(pixel) * in_height + row_y) * in_width + row_x) * (in_channels / 4u);
}

fn rows_load(first: u32, q: u32) {
    let depth = in_channels / 4u;
    // Where all terms from `first` have one tap, all threads have the same.
    let tap = select(first + q, first, depth % (BLOCK_TERMS / 4u) == 0u) / depth;
    let ky = tap / kernel_width;
    let kx = tap % kernel_width;
    inside = (row_y + ky < vec4u(in_height)) & (row_x + kx < vec4u(in_width))
        & vec4<bool>(tap < kernel_height * kernel_width);
    let at = select(vec4u(0u), row_at + ((ky * in_width + kx - tap) * depth + first + q), inside);
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
