// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * dz[n, oy, ox, o], for GPUs and any
// number of input channels
//
// x   [batch, in_height, in_width, in_channels]       zero outside
// dz  [batch, out_height, out_width, out_channels]    gradient before the activation; out_channels a multiple of 4
// dw  [splits, kernel_height, kernel_width, in_channels, out_channels]
//
// One workgroup makes 32 weights of an output × 32 outputs of a split, see lib/slices.wgsl; its terms are the pixels of
// the split's images. Split s takes images [s*chunk, (s+1)*chunk).

override batch: u32;
override in_height: u32;
override in_width: u32;
override in_channels: u32;
override out_height: u32;
override out_width: u32;
override out_channels: u32;
override kernel_height: u32;
override kernel_width: u32;
override stride: u32;
override pad_y: u32;
override pad_x: u32;
override groups: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

// Of eight weights: a bit for the line of their tap and from bit 16 one for its column; and how far from the input
// under a pixel theirs is.
var<private> taps: array<vec4u, 2>;
var<private> tap_at: array<vec4u, 2>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let down = (kernel_height * kernel_width * in_channels + BLOCK_ROWS - 1u) / BLOCK_ROWS;
    let g = group_index(group, workgroups);
    pixels_begin(g / (across * down), lane / 4u, in_channels);
    let terms = (batch + splits - 1u) / splits * out_height * out_width;
    slices_make(lane, g / across % down * (BLOCK_ROWS / 4u), g % across * (BLOCK_COLUMNS / 4u), terms);
}

const BLOCK_ROWS = 32u;
const BLOCK_COLUMNS = 32u;

alias Loaded = vec4f;
alias Inside = array<vec4<bool>, 2>;
const ROWS_BY_TERMS = false;
const COLUMNS_BY_TERMS = false;

fn rows_begin(row: u32, q: u32) {
    // for j in 0..2:
    //     rows_begin_four({j}u, row + vec4u({16 * j}u, {16 * j + 1}u, {16 * j + 2}u, {16 * j + 3}u));
    rows_begin_four(0u, row + vec4u(0u, 1u, 2u, 3u));
    rows_begin_four(1u, row + vec4u(16u, 17u, 18u, 19u));
    // end
}

fn rows_begin_four(j: u32, rows: vec4u) {
    let row = min(rows, vec4u(kernel_height * kernel_width * in_channels - 1u));
    let tap = row / in_channels;
    let ky = tap / kernel_width;
    let kx = tap % kernel_width;
    taps[j] = (vec4u(1u) << ky) | (vec4u(0x10000u) << kx);
    tap_at[j] = ((ky - pad_y) * in_width + kx - pad_x) * in_channels + row % in_channels;
}

// A bit for each of `count` places from `first` that is one of `size`, where what is below zero has wrapped round.
fn places(first: u32, count: u32, size: u32) -> u32 {
    let below = u32(max(-i32(first), 0));
    let end = u32(clamp(i32(size - first), 0, i32(count)));
    return (1u << end) - (1u << min(below, end));
}

// Eight weights of a pixel; behind the last terms of one that there is not, which nobody adds.
fn rows_load(first: u32, q: u32) {
    let down = places(out_y * stride - pad_y, kernel_height, in_height);
    let across = places(out_x * stride - pad_x, kernel_width, in_width);
    let found = select(0u, down | (across << 16u), begin + 4u * first + q < end);
    // for j in 0..2:
    //     inside[{j}] = (taps[{j}] & vec4u(found)) == taps[{j}];
    //     let at{j} = select(vec4u(0u), pixel_at + tap_at[{j}], inside[{j}]);
    //     loaded[{j}] = vec4f(vec4<stored>(x[at{j}.x], x[at{j}.y], x[at{j}.z], x[at{j}.w]));
    inside[0] = (taps[0] & vec4u(found)) == taps[0];
    let at0 = select(vec4u(0u), pixel_at + tap_at[0], inside[0]);
    loaded[0] = vec4f(vec4<stored>(x[at0.x], x[at0.y], x[at0.z], x[at0.w]));
    inside[1] = (taps[1] & vec4u(found)) == taps[1];
    let at1 = select(vec4u(0u), pixel_at + tap_at[1], inside[1]);
    loaded[1] = vec4f(vec4<stored>(x[at1.x], x[at1.y], x[at1.z], x[at1.w]));
    // end
    pixels_next(in_channels);
}
