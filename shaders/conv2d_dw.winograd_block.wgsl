// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of x[n, oy + ky - pad_y, ox + kx - pad_x, i] * dz[n, oy, ox, o],
// for GPUs
//
// x   [batch, in_height, in_width, in_channels]      in_channels a multiple of 4
// dz  [batch, out_height, out_width, out_channels]   out_channels a multiple of 4; gradient before the activation
// dw  [splits, 3, 3, in_channels, out_channels]      stride 1
//
// The gradient of what lib/winograd.wgsl does: with z the 2×2 outputs of a tile and d the 4×4 pixels under it, the sum
// over tiles of Gᵀ((A z Aᵀ) ⊙ (Bᵀ d B)) G. One workgroup makes 32 input channels × 32 output channels of one split, see
// lib/winograd_block.wgsl, whose terms are tiles.

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

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

const ROWS_BY_TERMS = false;
const COLUMNS_BY_TERMS = false;

var<private> split: u32;
// One behind the last tile of the split.
var<private> tiles_end: u32;
var<private> first_input: u32;
var<private> first_output: u32;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 31u) / 32u;
    let down = (in_channels + 31u) / 32u;
    let g = group_index(group, workgroups);
    first_input = g / across % down * 32u;
    first_output = g % across * 32u;
    // A value, as threads meet in the loop that it bounds.
    let part = g / (across * down);
    split = part;
    let chunk = (batch + splits - 1u) / splits;
    let tiles = tile_counts().x * tile_counts().y;
    let end = min((part + 1u) * chunk, batch) * tiles;
    tiles_end = end;
    places_make(lane, min(part * chunk, batch) * tiles, end);
}

fn tile_counts() -> vec2u {
    return (vec2u(out_height, out_width) + 1u) / 2u;
}

fn rows_line(own: u32, line: u32, start: u32) -> mat4x4f {
    pixels_begin(min(start + own / 8u, tiles_end - 1u), line);
    return pixels_line(min(first_input / 4u + own % 8u, in_channels / 4u - 1u));
}

// A line of A z Aᵀ.
fn columns_line(own: u32, line: u32, start: u32) -> mat4x4f {
    let tile = start + own / 8u;
    let place = tile_at(tile, tile_counts());
    let oy = 2u * place.y;
    let ox = 2u * place.z;
    let width = out_channels / 4u;
    let pixel = (place.x * out_height + oy) * out_width + ox;
    let at = pixel * width + min(first_output / 4u + own % 8u, width - 1u);
    let is_tile = tile < tiles_end;
    let is_right = is_tile && ox + 1u < out_width;
    let is_below = oy + 1u < out_height;
    let top = select(select(0.5, 1.0, line == 0u), 0.0, line == 3u);
    let bottom = select(0.0, select(select(0.5, -0.5, line == 2u), -1.0, line == 3u), line != 0u && is_below);
    let down = select(0u, out_width * width, is_below);
    let left_at = select(0u, at, is_tile);
    let right_at = select(0u, at + width, is_right);
    let left = select(0.0, 1.0, is_tile) * (top * dz[left_at] + bottom * dz[left_at + down]);
    let right = select(0.0, 1.0, is_right) * (top * dz[right_at] + bottom * dz[right_at + down]);
    return mat4x4f(left, 0.5 * (left + right), 0.5 * (left - right), -right);
}

// Gᵀ m G.
fn store_sums(row: u32, column: u32, m: array<f32, 16>) {
    let i = first_input + row;
    let o = first_output + column;
    if split < splits && i < in_channels && o < out_channels {
        // for j in 0..4:
        //     let line{j} = three(m[{4 * j}], m[{4 * j + 1}], m[{4 * j + 2}], m[{4 * j + 3}]);
        let line0 = three(m[0], m[1], m[2], m[3]);
        let line1 = three(m[4], m[5], m[6], m[7]);
        let line2 = three(m[8], m[9], m[10], m[11]);
        let line3 = three(m[12], m[13], m[14], m[15]);
        // end
        let tap = in_channels * out_channels;
        let at = split * 9u * tap + i * out_channels + o;
        // for j in 0..3:
        //     let column{j} = three(line0[{j}], line1[{j}], line2[{j}], line3[{j}]);
        //     dw[at + {j}u * tap] = column{j}.x;
        //     dw[at + {j + 3}u * tap] = column{j}.y;
        //     dw[at + {j + 6}u * tap] = column{j}.z;
        let column0 = three(line0[0], line1[0], line2[0], line3[0]);
        dw[at + 0u * tap] = column0.x;
        dw[at + 3u * tap] = column0.y;
        dw[at + 6u * tap] = column0.z;
        let column1 = three(line0[1], line1[1], line2[1], line3[1]);
        dw[at + 1u * tap] = column1.x;
        dw[at + 4u * tap] = column1.y;
        dw[at + 7u * tap] = column1.z;
        let column2 = three(line0[2], line1[2], line2[2], line3[2]);
        dw[at + 2u * tap] = column2.x;
        dw[at + 5u * tap] = column2.y;
        dw[at + 8u * tap] = column2.z;
        // end
    }
}

// Gᵀ times a column.
fn three(a: f32, b: f32, c: f32, d: f32) -> vec3f {
    return vec3f(a + (b + c), b - c, (b + c) + d);
}
