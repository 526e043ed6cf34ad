// Appended to the shaders of 3×3 taps at stride 1 that go by Winograd's minimal filtering F(2×2, 3×3), for eight-lane
// software Vulkan: 16 products of channels for each tile of 2×2 pixels made, in place of 36. With d the 4×4 pixels
// under a tile and g the weights of two channels, the tile is Aᵀ((G g Gᵀ) ⊙ (Bᵀ d B)) A, where
//
//     Aᵀ = 1 ½  ½  0    G = 1  0 0    Bᵀ = 1  0 -1  0     (Lavin & Gray, Fast Algorithms for Convolutional Neural
//          0 ½ -½ -1        1  1 1         0  1  1  0      Networks, 2016; here the halves are in A)
//                           1 -1 1         0 -1  1  0
//                           0  0 1         0  1  0 -1
//
// Here are the pixels. A load costs as much as dozens of multiply-adds there: a lane loads the inner two columns under
// a tile, and has the outer ones from its neighbours.
//
// The shader that uses it declares `fn pixel(at: vec3u, channels: u32) -> vec4f`: by image, row and column, four
// channels of what it reads; zero outside.

// Where a lane finds the pixels under a tile.
struct Under {
    // Image, row and column of the first of them. Rows and columns may lie before the image's.
    first: vec3u,
    // Of the pixel that it loads for others: of the four before those of lane 0, or of the four behind those of lane 7.
    side: vec3u,
    // Whether the tile is the first of its row, or the last: beyond are zeros.
    is_first: bool,
    is_last: bool,
}

// Under the tile of each lane, for images with so many rows and columns of zeros before them.
fn under(tile: u32, size: vec2u, pad: vec2u, lane: u32) -> Under {
    let at = tile_at(tile, size);
    let first = vec3u(at.x, 2u * at.yz - pad);
    let before = subgroupBroadcast(first, 0u);
    let behind = subgroupBroadcast(first, 7u) + vec3u(0u, 0u, 3u);
    let side = select(before, behind, lane > 3u) + vec3u(0u, lane % 4u, 0u);
    return Under(first, side, at.z == 0u, at.z + 1u == size.y);
}

// Bᵀ d B of four channels of them.
fn transformed_pixels(at: Under, lane: u32, channels: u32) -> array<vec4f, 16> {
    let s = pixel(at.side, channels);
    // for r in 0..4:
    //     let b{r} = pixel(at.first + vec3u(0u, {r}u, 1u), channels);
    //     let c{r} = pixel(at.first + vec3u(0u, {r}u, 2u), channels);
    //     let a{r} = select(subgroupShuffleUp(c{r}, 1u), subgroupBroadcast(s, {r}u), lane == 0u);
    //     let d{r} = select(subgroupShuffleDown(b{r}, 1u), subgroupBroadcast(s, {r + 4}u), lane == 7u);
    //     let before{r} = select(a{r}, vec4f(0.0), at.is_first);
    //     let behind{r} = select(d{r}, vec4f(0.0), at.is_last);
    //     let row{r} = differences(before{r}, b{r}, c{r}, behind{r});
    let b0 = pixel(at.first + vec3u(0u, 0u, 1u), channels);
    let c0 = pixel(at.first + vec3u(0u, 0u, 2u), channels);
    let a0 = select(subgroupShuffleUp(c0, 1u), subgroupBroadcast(s, 0u), lane == 0u);
    let d0 = select(subgroupShuffleDown(b0, 1u), subgroupBroadcast(s, 4u), lane == 7u);
    let before0 = select(a0, vec4f(0.0), at.is_first);
    let behind0 = select(d0, vec4f(0.0), at.is_last);
    let row0 = differences(before0, b0, c0, behind0);
    let b1 = pixel(at.first + vec3u(0u, 1u, 1u), channels);
    let c1 = pixel(at.first + vec3u(0u, 1u, 2u), channels);
    let a1 = select(subgroupShuffleUp(c1, 1u), subgroupBroadcast(s, 1u), lane == 0u);
    let d1 = select(subgroupShuffleDown(b1, 1u), subgroupBroadcast(s, 5u), lane == 7u);
    let before1 = select(a1, vec4f(0.0), at.is_first);
    let behind1 = select(d1, vec4f(0.0), at.is_last);
    let row1 = differences(before1, b1, c1, behind1);
    let b2 = pixel(at.first + vec3u(0u, 2u, 1u), channels);
    let c2 = pixel(at.first + vec3u(0u, 2u, 2u), channels);
    let a2 = select(subgroupShuffleUp(c2, 1u), subgroupBroadcast(s, 2u), lane == 0u);
    let d2 = select(subgroupShuffleDown(b2, 1u), subgroupBroadcast(s, 6u), lane == 7u);
    let before2 = select(a2, vec4f(0.0), at.is_first);
    let behind2 = select(d2, vec4f(0.0), at.is_last);
    let row2 = differences(before2, b2, c2, behind2);
    let b3 = pixel(at.first + vec3u(0u, 3u, 1u), channels);
    let c3 = pixel(at.first + vec3u(0u, 3u, 2u), channels);
    let a3 = select(subgroupShuffleUp(c3, 1u), subgroupBroadcast(s, 3u), lane == 0u);
    let d3 = select(subgroupShuffleDown(b3, 1u), subgroupBroadcast(s, 7u), lane == 7u);
    let before3 = select(a3, vec4f(0.0), at.is_first);
    let behind3 = select(d3, vec4f(0.0), at.is_last);
    let row3 = differences(before3, b3, c3, behind3);
    // end
    // for r in 0..4:
    //     let column{r} = differences(row0[{r}], row1[{r}], row2[{r}], row3[{r}]);
    let column0 = differences(row0[0], row1[0], row2[0], row3[0]);
    let column1 = differences(row0[1], row1[1], row2[1], row3[1]);
    let column2 = differences(row0[2], row1[2], row2[2], row3[2]);
    let column3 = differences(row0[3], row1[3], row2[3], row3[3]);
    // end
    return places(column0, column1, column2, column3);
}

// Bᵀ times a column.
fn differences(a: vec4f, b: vec4f, c: vec4f, d: vec4f) -> mat4x4f {
    return mat4x4f(a - c, b + c, c - b, b - d);
}

// From four columns to sixteen places, row by row.
fn places(p: mat4x4f, q: mat4x4f, r: mat4x4f, s: mat4x4f) -> array<vec4f, 16> {
    return array(
        p[0], q[0], r[0], s[0], p[1], q[1], r[1], s[1], p[2], q[2], r[2], s[2], p[3], q[3], r[3], s[3],
    );
}
