// Appended to the shaders of conv2d_dx for GPUs, with lib/phases.wgsl: what lib/block.wgsl asks for. Rows are pixels in
// the order of their phases, columns channels, and terms the outputs of each tap.

alias Loaded = vec4f;
const ROWS_BY_TERMS = true;
const COLUMNS_BY_TERMS = true;

// Of four pixels, by the stride: what is left of line and column, the output under their first tap, and where that is.
var<private> row_phase_y: vec4u;
var<private> row_phase_x: vec4u;
var<private> row_y: vec4u;
var<private> row_x: vec4u;
var<private> row_at: vec4u;

fn rows_begin(r: u32) {
    let place = min(4u * r + vec4u(0u, 1u, 2u, 3u), vec4u(batch * in_height * in_width - 1u));
    let pixel = vec4u(pixel_at(place.x), pixel_at(place.y), pixel_at(place.z), pixel_at(place.w));
    let y = pixel / in_width % in_height + pad_y;
    let x = pixel % in_width + pad_x;
    row_phase_y = y % stride;
    row_phase_x = x % stride;
    row_y = y / stride;
    row_x = x / stride;
    row_at = ((pixel / (in_width * in_height) * out_height + row_y) * out_width + row_x) * (out_channels / 4u);
}

fn rows_load(first: u32, q: u32) {
    let depth = out_channels / 4u;
    // Where all terms from `first` have one tap, all threads have the same.
    let tap = select(first + q, first, depth % (BLOCK_TERMS / 4u) == 0u) / depth;
    let ky = tap / kernel_width;
    let kx = tap % kernel_width;
    // Below zero wraps round to a large number, so one comparison finds both borders.
    inside = (row_phase_y == vec4u(ky % stride)) & (row_y - ky / stride < vec4u(out_height))
        & (row_phase_x == vec4u(kx % stride)) & (row_x - kx / stride < vec4u(out_width))
        & vec4<bool>(tap < kernel_height * kernel_width);
    let on = first + q - (ky / stride * out_width + kx / stride + tap) * depth;
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
    while start < terms {
        block_put(lane);
        start = next_terms(4u * row, start + BLOCK_TERMS);
        block_load(lane, column, min(start, (terms - 1u) / BLOCK_TERMS * BLOCK_TERMS));
        block_add(lane);
    }
    block_store(lane, row, column);
}
