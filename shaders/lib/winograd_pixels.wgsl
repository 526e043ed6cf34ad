// Appended to the shaders with lib/winograd_block.wgsl: the 4×4 pixels under a tile, of which a line of places takes
// two lines. Bᵀ d B as in lib/winograd.wgsl.
//
// The shader declares
//   tile_counts(): lines and columns of tiles of an image;
//   seen_size(): lines, columns, and channels in fours, of the images that it reads;
//   seen_first(tile): line and column of the first pixel under a tile, which may lie before the image's;
//   seen(at): four channels of a pixel.

// Where the two lines begin and the columns behind that; 0 outside of the image.
var<private> line_at: vec2u;
var<private> column_at: vec4u;
// What the pixels of the two lines count for: 0 outside.
var<private> first_counts: vec4f;
var<private> second_counts: vec4f;

// Begins with a line of places of a tile.
fn pixels_begin(tile: u32, line: u32) {
    let size = seen_size();
    let place = tile_at(tile, tile_counts());
    let first = seen_first(place.yz);
    let two = vec2u(select(line, 1u, line == 3u), select(select(2u, 1u, line == 2u), 3u, line == 3u));
    // Below zero wraps round to a large number, so one comparison finds both borders.
    let lines = first.x + two;
    let columns = first.y + vec4u(0u, 1u, 2u, 3u);
    let is_line = lines < vec2u(size.x);
    let is_column = columns < vec4u(size.y);
    let wide = size.y * size.z;
    line_at = select(vec2u(0u), (place.x * size.x + first.x) * wide + two * wide, is_line);
    column_at = select(vec4u(0u), first.y * size.z + vec4u(0u, size.z, 2u * size.z, 3u * size.z), is_column);
    first_counts = select(vec4f(0.0), vec4f(1.0), is_column & vec4<bool>(is_line.x));
    second_counts = select(vec4f(0.0), vec4f(select(-1.0, 1.0, line == 1u)), is_column & vec4<bool>(is_line.y));
}

fn pixels_line(channels: u32) -> mat4x4f {
    // for j in 0..4:
    //     let first{j} = seen(line_at.x + column_at[{j}] + channels);
    //     let second{j} = seen(line_at.y + column_at[{j}] + channels);
    let first0 = seen(line_at.x + column_at[0] + channels);
    let second0 = seen(line_at.y + column_at[0] + channels);
    let first1 = seen(line_at.x + column_at[1] + channels);
    let second1 = seen(line_at.y + column_at[1] + channels);
    let first2 = seen(line_at.x + column_at[2] + channels);
    let second2 = seen(line_at.y + column_at[2] + channels);
    let first3 = seen(line_at.x + column_at[3] + channels);
    let second3 = seen(line_at.y + column_at[3] + channels);
    // end
    // for j in 0..4:
    //     let d{j} = first_counts[{j}] * first{j} + second_counts[{j}] * second{j};
    let d0 = first_counts[0] * first0 + second_counts[0] * second0;
    let d1 = first_counts[1] * first1 + second_counts[1] * second1;
    let d2 = first_counts[2] * first2 + second_counts[2] * second2;
    let d3 = first_counts[3] * first3 + second_counts[3] * second3;
    // end
    return mat4x4f(d0 - d2, d1 + d2, d2 - d1, d1 - d3);
}
