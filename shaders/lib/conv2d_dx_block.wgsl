// Appended to the shaders of conv2d_dx for GPUs, with lib/phases.wgsl: what lib/block_terms.wgsl asks for. Rows are
// pixels in the order of their phases, columns channels, and terms the outputs of each tap.

alias Loaded = vec4f;
alias Inside = vec4<bool>;
const ROWS_BY_TERMS = true;
const COLUMNS_BY_TERMS = true;

// Of four pixels: which taps meet an output, see lib/tap_bits.wgsl; and where the output under their first tap is, by
// the stride.
var<private> row_taps: vec4u;
var<private> row_at: vec4u;

fn rows_begin(row: u32, q: u32) {
    let place = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(batch * in_height * in_width - 1u));
    let pixel = vec4u(pixel_at(place.x), pixel_at(place.y), pixel_at(place.z), pixel_at(place.w));
    let y = pixel / in_width % in_height + pad_y;
    let x = pixel % in_width + pad_x;
    let line = pixel / (in_width * in_height) * out_height + y / stride;
    row_at = (line * out_width + x / stride) * (out_channels / 4u) + q;
    for (var tap = 0u; tap < kernel_height * kernel_width; tap++) {
        let ky = tap / kernel_width;
        let kx = tap % kernel_width;
        // Below zero wraps round to a large number, so one comparison finds both borders.
        let down = (y % stride == vec4u(ky % stride)) & (y / stride - ky / stride < vec4u(out_height));
        let across = (x % stride == vec4u(kx % stride)) & (x / stride - kx / stride < vec4u(out_width));
        row_taps |= inside_bits(tap, down, across);
    }
}

fn rows_load(first: u32, q: u32) {
    let depth = out_channels / 4u;
    // Where all terms from `first` have one tap, all threads have the same.
    let tap = select(first + q, first, depth % (BLOCK_TERMS / 4u) == 0u) / depth;
    let ky = tap / kernel_width;
    let kx = tap % kernel_width;
    let taps = tap_bits(tap);
    inside = (row_taps & vec4u(taps)) == vec4u(taps);
    let on = first - (ky / stride * out_width + kx / stride + tap) * depth;
    let at = select(vec4u(0u), row_at + on, inside);
    loaded[0] = dz[at.x];
    loaded[1] = dz[at.y];
    loaded[2] = dz[at.z];
    loaded[3] = dz[at.w];
}

fn columns_load(start: u32, k: u32, c: u32) -> vec4f {
    let term = block_term(start + k, kernel_height * kernel_width * out_channels);
    // Where all terms from `start` have one tap, all threads have the same.
    let tap = select(term, start, out_channels % BLOCK_TERMS == 0u) / out_channels;
    let at = tap * (in_channels - 1u) * out_channels + term + 4u * min(c, in_channels / 4u - 1u) * out_channels;
    return vec4f(w[at], w[at + out_channels], w[at + 2u * out_channels], w[at + 3u * out_channels]);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if row < batch * in_height * in_width && column < in_channels / 4u {
        dx[pixel_at(row) * (in_channels / 4u) + column] = values;
    }
}

// Which taps may meet pixels of the block from a row on, as bits. They decide how often all threads meet, so they are
// handed on as a value: of a private variable WGSL does not know that all threads have the same.
fn taps_met(row: u32) -> u32 {
    var met = 0u;
    for (var tap = 0u; tap < kernel_height * kernel_width; tap++) {
        let meets = tap_meets(row, row + BLOCK_ROWS - 1u, tap / kernel_width, tap % kernel_width);
        met |= select(0u, tap_bits(tap), meets);
    }
    return met;
}

// The next terms from `least` of which some meet pixels of the block.
fn next_terms(least: u32, met: u32) -> u32 {
    let terms = kernel_height * kernel_width * out_channels;
    // All meet some, or those in the middle of a tap, which would have been left out from its beginning.
    if stride == 1u || least % out_channels >= BLOCK_TERMS {
        return least;
    }
    var start = least;
    while start < terms {
        let tap = start / out_channels;
        let taps = tap_bits(tap);
        if (met & taps) == taps || (min(start + BLOCK_TERMS, terms) - 1u) / out_channels != tap {
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
    let met = taps_met(4u * row);
    var start = next_terms(0u, met);
    block_load(lane, column, min(start, (terms - 1u) / BLOCK_TERMS * BLOCK_TERMS));
    block_put(lane);
    while start < terms {
        start = next_terms(start + BLOCK_TERMS, met);
        block_load(lane, column, min(start, (terms - 1u) / BLOCK_TERMS * BLOCK_TERMS));
        block_add(lane);
        block_put(lane);
    }
    block_store(lane, row, column);
}
