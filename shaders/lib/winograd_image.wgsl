// Appended to the shaders that make images by lib/winograd_block.wgsl, with lib/winograd_pixels.wgsl. Rows are tiles of
// 2×2 pixels, columns channels of what is made, terms channels of what is read.
//
// The shader declares store_tile(tile, channel, pixels), where there may be no such channel; pixels from left to right,
// then down.

const ROWS_BY_TERMS = true;

var<private> first_tile: u32;
var<private> first_channel: u32;

fn tiles_make(lane: u32, tile: u32, channel: u32, terms: u32) {
    first_tile = tile;
    first_channel = channel;
    let last = batch * tile_counts().x * tile_counts().y - 1u;
    pixels_begin(min(tile + own_item(lane % 32u), last), lane / 32u % 4u);
    places_make(lane, 0u, terms);
}

fn rows_line(own: u32, line: u32, start: u32) -> mat4x4f {
    return pixels_line(start / 4u);
}

// A line of G g Gᵀ.
fn weights_line(line: u32, g: array<vec4f, 9>) -> mat4x4f {
    let top = select(1.0, 0.0, line == 3u);
    let middle = select(select(0.0, 1.0, line == 1u), -1.0, line == 2u);
    let bottom = select(1.0, 0.0, line == 0u);
    // for j in 0..3:
    //     let g{j} = top * g[{j}] + middle * g[{j + 3}] + bottom * g[{j + 6}];
    let g0 = top * g[0] + middle * g[3] + bottom * g[6];
    let g1 = top * g[1] + middle * g[4] + bottom * g[7];
    let g2 = top * g[2] + middle * g[5] + bottom * g[8];
    // end
    let sides = g0 + g2;
    return mat4x4f(g0, sides + g1, sides - g1, g2);
}

// Aᵀ m A.
fn store_sums(row: u32, column: u32, m: array<f32, 16>) {
    let tile = first_tile + row;
    if tile < batch * tile_counts().x * tile_counts().y {
        // for j in 0..4:
        //     let line{j} = pair(m[{4 * j}], m[{4 * j + 1}], m[{4 * j + 2}], m[{4 * j + 3}]);
        let line0 = pair(m[0], m[1], m[2], m[3]);
        let line1 = pair(m[4], m[5], m[6], m[7]);
        let line2 = pair(m[8], m[9], m[10], m[11]);
        let line3 = pair(m[12], m[13], m[14], m[15]);
        // end
        let left = pair(line0.x, line1.x, line2.x, line3.x);
        let right = pair(line0.y, line1.y, line2.y, line3.y);
        store_tile(tile, first_channel + column, vec4f(left.x, right.x, left.y, right.y));
    }
}

// Aᵀ times a column.
fn pair(a: f32, b: f32, c: f32, d: f32) -> vec2f {
    return vec2f(a + 0.5 * (b + c), 0.5 * (b - c) - d);
}
