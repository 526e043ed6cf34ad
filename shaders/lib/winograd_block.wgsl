// Appended to the shaders of 3×3 taps at stride 1 that go by F(2×2, 3×3), for GPUs, with lib/sums.wgsl and
// lib/product.wgsl; lib/winograd.wgsl has the transforms. The sums over terms at each of the sixteen places of a tile
// are a product by themselves: a workgroup of 256 threads makes 32 rows × 32 columns of all sixteen, sixteen threads
// those of one place, 8 × 8 in the registers of each. Four terms at a time go through workgroup memory, where half of
// the threads put those of rows and half those of columns, transformed, each a line of four places.
//
// The shader declares
//   ROWS_BY_TERMS, COLUMNS_BY_TERMS: whether a vector holds four terms of a row or column, or else four rows or columns
//     of a term;
//   rows_line(own, line, start), columns_line(own, line, start): four places side by side, of terms from `start` on; by
//     terms of row or column own_item(own), else of term start + own/8 and of rows or columns 4*(own%8)..;
//   store_sums(row, column, m): takes the sums at the sixteen places, line by line. All threads call it together.

// By line and column of the place, then the first halves of vectors and the second, so that fewer need be in registers
// together; of rows and of columns; and of those by terms 16*u + 4*r + j at [j][u][r], of others vector 4*u + r of term
// j. A dimension for each part of an index: one that is checked at every step is dearer than what it finds.
var<workgroup> places: array<array<array<array<array<array<array<vec2f, 4>, 2>, 4>, 2>, 2>, 4>, 4>;

fn own_item(own: u32) -> u32 {
    return 4u * (own % 8u) + own / 8u;
}

// Makes the sums of terms from `start` to `end`, and stores what becomes of them.
fn places_make(lane: u32, start: u32, end: u32) {
    for (var term = start; term < end; term += 4u) {
        places_put(lane, term);
        places_add(lane);
    }
    // for q in 0..4:
    //     places_store(lane, {q}u, sums[{2 * q}], sums[{2 * q + 1}], sums[{2 * q + 8}], sums[{2 * q + 9}]);
    places_store(lane, 0u, sums[0], sums[1], sums[8], sums[9]);
    places_store(lane, 1u, sums[2], sums[3], sums[10], sums[11]);
    places_store(lane, 2u, sums[4], sums[5], sums[12], sums[13]);
    places_store(lane, 3u, sums[6], sums[7], sums[14], sums[15]);
    // end
}

fn places_put(lane: u32, term: u32) {
    var four: mat4x4f;
    if lane < 128u {
        four = rows_line(lane % 32u, lane / 32u, term);
    } else {
        four = columns_line(lane % 32u, lane / 32u - 4u, term);
    }
    let line = lane / 32u % 4u;
    let side = lane / 128u;
    let j = lane / 8u % 4u;
    let u = lane / 4u % 2u;
    let r = lane % 4u;
    workgroupBarrier();
    // for c in 0..4:
    //     places[line][{c}][0][side][j][u][r] = four[{c}].xy;
    //     places[line][{c}][1][side][j][u][r] = four[{c}].zw;
    places[line][0][0][side][j][u][r] = four[0].xy;
    places[line][0][1][side][j][u][r] = four[0].zw;
    places[line][1][0][side][j][u][r] = four[1].xy;
    places[line][1][1][side][j][u][r] = four[1].zw;
    places[line][2][0][side][j][u][r] = four[2].xy;
    places[line][2][1][side][j][u][r] = four[2].zw;
    places[line][3][0][side][j][u][r] = four[3].xy;
    places[line][3][1][side][j][u][r] = four[3].zw;
    // end
    workgroupBarrier();
}

fn places_add(lane: u32) {
    // for h in 0..2:
    //     let upper{h} = two_terms(ROWS_BY_TERMS, lane, {h}, 0, 0, lane / 4u % 4u);
    //     let lower{h} = two_terms(ROWS_BY_TERMS, lane, {h}, 0, 1, lane / 4u % 4u);
    //     let left{h} = two_terms(COLUMNS_BY_TERMS, lane, {h}, 1, 0, lane % 4u);
    //     let right{h} = two_terms(COLUMNS_BY_TERMS, lane, {h}, 1, 1, lane % 4u);
    //     add_terms(upper{h}[0], lower{h}[0], left{h}[0], right{h}[0]);
    //     add_terms(upper{h}[1], lower{h}[1], left{h}[1], right{h}[1]);
    let upper0 = two_terms(ROWS_BY_TERMS, lane, 0, 0, 0, lane / 4u % 4u);
    let lower0 = two_terms(ROWS_BY_TERMS, lane, 0, 0, 1, lane / 4u % 4u);
    let left0 = two_terms(COLUMNS_BY_TERMS, lane, 0, 1, 0, lane % 4u);
    let right0 = two_terms(COLUMNS_BY_TERMS, lane, 0, 1, 1, lane % 4u);
    add_terms(upper0[0], lower0[0], left0[0], right0[0]);
    add_terms(upper0[1], lower0[1], left0[1], right0[1]);
    let upper1 = two_terms(ROWS_BY_TERMS, lane, 1, 0, 0, lane / 4u % 4u);
    let lower1 = two_terms(ROWS_BY_TERMS, lane, 1, 0, 1, lane / 4u % 4u);
    let left1 = two_terms(COLUMNS_BY_TERMS, lane, 1, 1, 0, lane % 4u);
    let right1 = two_terms(COLUMNS_BY_TERMS, lane, 1, 1, 1, lane % 4u);
    add_terms(upper1[0], lower1[0], left1[0], right1[0]);
    add_terms(upper1[1], lower1[1], left1[1], right1[1]);
    // end
}

// Terms 2*h and 2*h + 1 of four rows or columns.
fn two_terms(is_by_terms: bool, lane: u32, h: u32, side: u32, u: u32, r: u32) -> mat2x4f {
    let line = lane / 64u;
    let column = lane / 16u % 4u;
    if is_by_terms {
        return transpose(mat4x2f(
            places[line][column][h][side][0][u][r], places[line][column][h][side][1][u][r],
            places[line][column][h][side][2][u][r], places[line][column][h][side][3][u][r],
        ));
    }
    return mat2x4f(
        vec4f(places[line][column][0][side][2u * h][u][r], places[line][column][1][side][2u * h][u][r]),
        vec4f(places[line][column][0][side][2u * h + 1u][u][r], places[line][column][1][side][2u * h + 1u][u][r]),
    );
}

// Row q of every four: brings together what the threads of all places have of it.
fn places_store(lane: u32, q: u32, upper_left: vec4f, upper_right: vec4f, lower_left: vec4f, lower_right: vec4f) {
    let line = lane / 64u;
    let column = lane / 16u % 4u;
    let odd = lane / 4u % 2u;
    let second = lane / 8u % 2u;
    let c = lane % 4u;
    workgroupBarrier();
    // for h in 0..2:
    //     places[line][column][odd][second][0][{h}][c] = vec2f(upper_left[{2 * h}], upper_left[{2 * h + 1}]);
    //     places[line][column][odd][second][1][{h}][c] = vec2f(upper_right[{2 * h}], upper_right[{2 * h + 1}]);
    //     places[line][column][odd][second][2][{h}][c] = vec2f(lower_left[{2 * h}], lower_left[{2 * h + 1}]);
    //     places[line][column][odd][second][3][{h}][c] = vec2f(lower_right[{2 * h}], lower_right[{2 * h + 1}]);
    places[line][column][odd][second][0][0][c] = vec2f(upper_left[0], upper_left[1]);
    places[line][column][odd][second][1][0][c] = vec2f(upper_right[0], upper_right[1]);
    places[line][column][odd][second][2][0][c] = vec2f(lower_left[0], lower_left[1]);
    places[line][column][odd][second][3][0][c] = vec2f(lower_right[0], lower_right[1]);
    places[line][column][odd][second][0][1][c] = vec2f(upper_left[2], upper_left[3]);
    places[line][column][odd][second][1][1][c] = vec2f(upper_right[2], upper_right[3]);
    places[line][column][odd][second][2][1][c] = vec2f(lower_left[2], lower_left[3]);
    places[line][column][odd][second][3][1][c] = vec2f(lower_right[2], lower_right[3]);
    // end
    workgroupBarrier();
    let row = lane / 32u;
    let own = lane % 32u;
    let j = row / 4u * 2u + own / 16u;
    // for p in 0..16:
    //     let m{p} = places[{p / 4}][{p % 4}][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m0 = places[0][0][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m1 = places[0][1][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m2 = places[0][2][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m3 = places[0][3][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m4 = places[1][0][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m5 = places[1][1][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m6 = places[1][2][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m7 = places[1][3][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m8 = places[2][0][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m9 = places[2][1][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m10 = places[2][2][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m11 = places[2][3][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m12 = places[3][0][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m13 = places[3][1][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m14 = places[3][2][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    let m15 = places[3][3][row % 2u][row / 2u % 2u][j][own / 2u % 2u][own / 4u % 4u][own % 2u];
    // end
    store_sums(4u * row + q, own, array(
        m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15,
    ));
}
