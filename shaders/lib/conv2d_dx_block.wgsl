// Appended to the shaders of conv2d_dx for GPUs, with lib/phases.wgsl: what lib/block_terms.wgsl asks for. Rows are
// pixels in the order of their phases, columns channels, and terms the outputs of each tap.

alias Loaded = vec4f;
alias Inside = vec4<bool>;
const ROWS_BY_TERMS = true;
const COLUMNS_BY_TERMS = true;

// Of four pixels: which taps meet an output, a bit for each line of them and from bit 16 one for each column; and where
// the output under their first tap is, by the stride.
var<private> row_taps: vec4u;
var<private> row_at: vec4u;

fn rows_begin(row: u32) {
    let place = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(batch * in_height * in_width - 1u));
    let pixel = vec4u(pixel_at(place.x), pixel_at(place.y), pixel_at(place.z), pixel_at(place.w));
    let y = pixel / in_width % in_height + pad_y;
    let x = pixel % in_width + pad_x;
    let line = pixel / (in_width * in_height) * out_height + y / stride;
    row_at = (line * out_width + x / stride) * (out_channels / 4u);
    for (var k = 0u; k < max(kernel_height, kernel_width); k++) {
        // Below zero wraps round to a large number, so one comparison finds both borders.
        let down = (y % stride == vec4u(k % stride)) & (y / stride - k / stride < vec4u(out_height));
        let across = (x % stride == vec4u(k % stride)) & (x / stride - k / stride < vec4u(out_width));
        row_taps |= select(vec4u(0u), vec4u(1u << k), down & vec4<bool>(k < kernel_height));
        row_taps |= select(vec4u(0u), vec4u(0x10000u << k), across & vec4<bool>(k < kernel_width));
    }
}

fn rows_load(first: u32, q: u32) {
    let depth = out_channels / 4u;
    // Where all terms from `first` have one tap, all threads have the same.
    let tap = select(first + q, first, depth % (BLOCK_TERMS / 4u) == 0u) / depth;
    let ky = tap / kernel_width;
    let kx = tap % kernel_width;
    let taps = (1u << ky) | (0x10000u << kx);
    inside = (row_taps & vec4u(taps)) == vec4u(taps);
    let on = first - (ky / stride * out_width + kx / stride + tap) * depth + q;
    let at = select(vec4u(0u), row_at + on, inside);
    loaded[0] = dz[at.x];
    loaded[1] = dz[at.y];
    loaded[2] = dz[at.z];
    loaded[3] = dz[at.w];
}

fn columns_load(k: u32, c: u32) -> vec4f {
    let term = block_term(k, kernel_height * kernel_width * out_channels);
    let tap = term / out_channels;
    let at = tap * (in_channels - 1u) * out_channels + term + 4u * min(c, in_channels / 4u - 1u) * out_channels;
    return vec4f(w[at], w[at + out_channels], w[at + 2u * out_channels], w[at + 3u * out_channels]);
}

fn add_term(sum: vec4f, a: f32, b: vec4f) -> vec4f {
    return fma(vec4f(a), b, sum);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if row < batch * in_height * in_width && column < in_channels / 4u {
        dx[pixel_at(row) * (in_channels / 4u) + column] = values;
    }
}

// The next terms from `start` of which some meet pixels of the block of rows from `row`.
fn next_terms(row: u32, least: u32) -> u32 {
    let terms = kernel_height * kernel_width * out_channels;
    var start = least;
    while start < terms {
        let tap = start / out_channels;
        let last = min(start + BLOCK_TERMS, terms) - 1u;
        if last / out_channels != tap || tap_meets(row, row + BLOCK_ROWS - 1u, tap / kernel_width, tap % kernel_width) {
            break;
        }
        start += BLOCK_TERMS;
    }
    return start;
}

// As block_make, without the terms that meet no pixel of the block.
fn block_make_phases(lane: u32, row: u32, column: u32) {
    let terms = kernel_height * kernel_width * out_channels;
    block_begin(lane, row);
    var start = next_terms(4u * row, 0u);
    block_load(lane, column, min(start, (terms - 1u) / BLOCK_TERMS * BLOCK_TERMS));
    block_put(lane);
    while start < terms {
        start = next_terms(4u * row, start + BLOCK_TERMS);
        block_load(lane, column, min(start, (terms - 1u) / BLOCK_TERMS * BLOCK_TERMS));
        block_add(lane);
        block_put(lane);
    }
    block_store(lane, row, column);
}
