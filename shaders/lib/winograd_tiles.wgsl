// Appended to the shaders that make images by F(2×2, 3×3), behind winograd.wgsl: 16 tiles × 32 channels by one
// subgroup.
//
// Lane l holds tiles l and l + 8, and loads the weights of channels 4l..4l+3, which it transforms and spreads to the
// others. A is applied to every four terms, so that the sums kept are 4 for each tile and channel, not 16: they stay
// nearer, and compile faster.
//
// The shader that uses it declares `fn store_tile(tile: u32, lane: u32, pixels: mat4x4f)`, which stores a tile, from
// left to right, then down, in the channels whose weights that lane has. All lanes call it together.

// The two tiles of a lane in channels 4r..4r+3.
var<private> made: array<array<mat4x4f, 2>, 8>;

// G g Gᵀ of three rows of weights.
fn transformed_weights(g: array<vec4f, 9>) -> array<vec4f, 16> {
    // for r in 0..3:
    //     let row{r} = sums(g[{3 * r}], g[{3 * r + 1}], g[{3 * r + 2}]);
    let row0 = sums(g[0], g[1], g[2]);
    let row1 = sums(g[3], g[4], g[5]);
    let row2 = sums(g[6], g[7], g[8]);
    // end
    // for r in 0..4:
    //     let column{r} = sums(row0[{r}], row1[{r}], row2[{r}]);
    let column0 = sums(row0[0], row1[0], row2[0]);
    let column1 = sums(row0[1], row1[1], row2[1]);
    let column2 = sums(row0[2], row1[2], row2[2]);
    let column3 = sums(row0[3], row1[3], row2[3]);
    // end
    return places(column0, column1, column2, column3);
}

// G times a column.
fn sums(a: vec4f, b: vec4f, c: vec4f) -> mat4x4f {
    return mat4x4f(a, a + c + b, a + c - b, c);
}

// Adds four terms to all that is made. A lane has their transformed weights, of its own channels, and the transformed
// pixels of its tiles.
fn add_terms(u: array<array<vec4f, 16>, 4>, v: array<array<vec4f, 16>, 2>) {
    // for r in 0..8:
    //     let m{r} = terms(u, v, {r}u);
    //     made[{r}][0] += m{r}[0];
    //     made[{r}][1] += m{r}[1];
    let m0 = terms(u, v, 0u);
    made[0][0] += m0[0];
    made[0][1] += m0[1];
    let m1 = terms(u, v, 1u);
    made[1][0] += m1[0];
    made[1][1] += m1[1];
    let m2 = terms(u, v, 2u);
    made[2][0] += m2[0];
    made[2][1] += m2[1];
    let m3 = terms(u, v, 3u);
    made[3][0] += m3[0];
    made[3][1] += m3[1];
    let m4 = terms(u, v, 4u);
    made[4][0] += m4[0];
    made[4][1] += m4[1];
    let m5 = terms(u, v, 5u);
    made[5][0] += m5[0];
    made[5][1] += m5[1];
    let m6 = terms(u, v, 6u);
    made[6][0] += m6[0];
    made[6][1] += m6[1];
    let m7 = terms(u, v, 7u);
    made[7][0] += m7[0];
    made[7][1] += m7[1];
    // end
}

// Four terms of a lane's tiles, in the channels of another lane.
fn terms(u: array<array<vec4f, 16>, 4>, v: array<array<vec4f, 16>, 2>, lane: u32) -> array<mat4x4f, 2> {
    // for r in 0..16:
    //     let u{r} = weights_of(lane, u[0][{r}], u[1][{r}], u[2][{r}], u[3][{r}]);
    //     let m{r} = u{r} * v[0][{r}];
    //     let n{r} = u{r} * v[1][{r}];
    let u0 = weights_of(lane, u[0][0], u[1][0], u[2][0], u[3][0]);
    let m0 = u0 * v[0][0];
    let n0 = u0 * v[1][0];
    let u1 = weights_of(lane, u[0][1], u[1][1], u[2][1], u[3][1]);
    let m1 = u1 * v[0][1];
    let n1 = u1 * v[1][1];
    let u2 = weights_of(lane, u[0][2], u[1][2], u[2][2], u[3][2]);
    let m2 = u2 * v[0][2];
    let n2 = u2 * v[1][2];
    let u3 = weights_of(lane, u[0][3], u[1][3], u[2][3], u[3][3]);
    let m3 = u3 * v[0][3];
    let n3 = u3 * v[1][3];
    let u4 = weights_of(lane, u[0][4], u[1][4], u[2][4], u[3][4]);
    let m4 = u4 * v[0][4];
    let n4 = u4 * v[1][4];
    let u5 = weights_of(lane, u[0][5], u[1][5], u[2][5], u[3][5]);
    let m5 = u5 * v[0][5];
    let n5 = u5 * v[1][5];
    let u6 = weights_of(lane, u[0][6], u[1][6], u[2][6], u[3][6]);
    let m6 = u6 * v[0][6];
    let n6 = u6 * v[1][6];
    let u7 = weights_of(lane, u[0][7], u[1][7], u[2][7], u[3][7]);
    let m7 = u7 * v[0][7];
    let n7 = u7 * v[1][7];
    let u8 = weights_of(lane, u[0][8], u[1][8], u[2][8], u[3][8]);
    let m8 = u8 * v[0][8];
    let n8 = u8 * v[1][8];
    let u9 = weights_of(lane, u[0][9], u[1][9], u[2][9], u[3][9]);
    let m9 = u9 * v[0][9];
    let n9 = u9 * v[1][9];
    let u10 = weights_of(lane, u[0][10], u[1][10], u[2][10], u[3][10]);
    let m10 = u10 * v[0][10];
    let n10 = u10 * v[1][10];
    let u11 = weights_of(lane, u[0][11], u[1][11], u[2][11], u[3][11]);
    let m11 = u11 * v[0][11];
    let n11 = u11 * v[1][11];
    let u12 = weights_of(lane, u[0][12], u[1][12], u[2][12], u[3][12]);
    let m12 = u12 * v[0][12];
    let n12 = u12 * v[1][12];
    let u13 = weights_of(lane, u[0][13], u[1][13], u[2][13], u[3][13]);
    let m13 = u13 * v[0][13];
    let n13 = u13 * v[1][13];
    let u14 = weights_of(lane, u[0][14], u[1][14], u[2][14], u[3][14]);
    let m14 = u14 * v[0][14];
    let n14 = u14 * v[1][14];
    let u15 = weights_of(lane, u[0][15], u[1][15], u[2][15], u[3][15]);
    let m15 = u15 * v[0][15];
    let n15 = u15 * v[1][15];
    // end
    return array(
        tile(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15),
        tile(n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14, n15),
    );
}

fn weights_of(lane: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) -> mat4x4f {
    return mat4x4f(
        subgroupShuffle(a, lane), subgroupShuffle(b, lane), subgroupShuffle(c, lane), subgroupShuffle(d, lane),
    );
}

// Aᵀ m A.
fn tile(
    m0: vec4f, m1: vec4f, m2: vec4f, m3: vec4f, m4: vec4f, m5: vec4f, m6: vec4f, m7: vec4f,
    m8: vec4f, m9: vec4f, m10: vec4f, m11: vec4f, m12: vec4f, m13: vec4f, m14: vec4f, m15: vec4f,
) -> mat4x4f {
    let row0 = pair(m0, m1, m2, m3);
    let row1 = pair(m4, m5, m6, m7);
    let row2 = pair(m8, m9, m10, m11);
    let row3 = pair(m12, m13, m14, m15);
    let left = pair(row0[0], row1[0], row2[0], row3[0]);
    let right = pair(row0[1], row1[1], row2[1], row3[1]);
    return mat4x4f(left[0], right[0], left[1], right[1]);
}

// Aᵀ times a column.
fn pair(a: vec4f, b: vec4f, c: vec4f, d: vec4f) -> array<vec4f, 2> {
    return array(a + 0.5 * (b + c), 0.5 * (b - c) - d);
}

// Stores the tiles of all lanes, from a tile on.
fn store_tiles(first: u32, lane: u32) {
    // for r in 0..8:
    //     store_tile(first + lane, {r}u, made[{r}][0]);
    //     store_tile(first + lane + 8u, {r}u, made[{r}][1]);
    store_tile(first + lane, 0u, made[0][0]);
    store_tile(first + lane + 8u, 0u, made[0][1]);
    store_tile(first + lane, 1u, made[1][0]);
    store_tile(first + lane + 8u, 1u, made[1][1]);
    store_tile(first + lane, 2u, made[2][0]);
    store_tile(first + lane + 8u, 2u, made[2][1]);
    store_tile(first + lane, 3u, made[3][0]);
    store_tile(first + lane + 8u, 3u, made[3][1]);
    store_tile(first + lane, 4u, made[4][0]);
    store_tile(first + lane + 8u, 4u, made[4][1]);
    store_tile(first + lane, 5u, made[5][0]);
    store_tile(first + lane + 8u, 5u, made[5][1]);
    store_tile(first + lane, 6u, made[6][0]);
    store_tile(first + lane + 8u, 6u, made[6][1]);
    store_tile(first + lane, 7u, made[7][0]);
    store_tile(first + lane + 8u, 7u, made[7][1]);
    // end
}
