// Appended to the shaders that need neither subgroups nor workgroup memory: a tile of 8 rows × 8 columns in the
// registers of one thread, columns 0..3 of row j in sums[2*j] and 4..7 in sums[2*j + 1]. Written out because an array
// indexed by a variable does not stay in registers.
//
// The shader that uses it declares `fn store_part(row: u32, column: u32, values: vec4f)`, whose columns are counted in
// fours.

var<private> sums: array<vec4f, 16>;

// Adds four terms to every element: those of row j in aj, of columns 0..3 in l0..l3, of columns 4..7 in r0..r3.
fn sums_add_rows(
    a0: vec4f, a1: vec4f, a2: vec4f, a3: vec4f, a4: vec4f, a5: vec4f, a6: vec4f, a7: vec4f,
    l0: vec4f, l1: vec4f, l2: vec4f, l3: vec4f,
    r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f,
) {
    // for j in 0..8:
    //     sums[{2 * j}] = multiply_add(sums[{2 * j}], a{j}, l0, l1, l2, l3);
    //     sums[{2 * j + 1}] = multiply_add(sums[{2 * j + 1}], a{j}, r0, r1, r2, r3);
    sums[0] = multiply_add(sums[0], a0, l0, l1, l2, l3);
    sums[1] = multiply_add(sums[1], a0, r0, r1, r2, r3);
    sums[2] = multiply_add(sums[2], a1, l0, l1, l2, l3);
    sums[3] = multiply_add(sums[3], a1, r0, r1, r2, r3);
    sums[4] = multiply_add(sums[4], a2, l0, l1, l2, l3);
    sums[5] = multiply_add(sums[5], a2, r0, r1, r2, r3);
    sums[6] = multiply_add(sums[6], a3, l0, l1, l2, l3);
    sums[7] = multiply_add(sums[7], a3, r0, r1, r2, r3);
    sums[8] = multiply_add(sums[8], a4, l0, l1, l2, l3);
    sums[9] = multiply_add(sums[9], a4, r0, r1, r2, r3);
    sums[10] = multiply_add(sums[10], a5, l0, l1, l2, l3);
    sums[11] = multiply_add(sums[11], a5, r0, r1, r2, r3);
    sums[12] = multiply_add(sums[12], a6, l0, l1, l2, l3);
    sums[13] = multiply_add(sums[13], a6, r0, r1, r2, r3);
    sums[14] = multiply_add(sums[14], a7, l0, l1, l2, l3);
    sums[15] = multiply_add(sums[15], a7, r0, r1, r2, r3);
    // end
}

// As sums_add_rows, with the squares of differences instead of products.
fn sums_add_squares(
    a0: vec4f, a1: vec4f, a2: vec4f, a3: vec4f, a4: vec4f, a5: vec4f, a6: vec4f, a7: vec4f,
    l0: vec4f, l1: vec4f, l2: vec4f, l3: vec4f,
    r0: vec4f, r1: vec4f, r2: vec4f, r3: vec4f,
) {
    // for j in 0..8:
    //     sums[{2 * j}] = square_add(sums[{2 * j}], a{j}, l0, l1, l2, l3);
    //     sums[{2 * j + 1}] = square_add(sums[{2 * j + 1}], a{j}, r0, r1, r2, r3);
    sums[0] = square_add(sums[0], a0, l0, l1, l2, l3);
    sums[1] = square_add(sums[1], a0, r0, r1, r2, r3);
    sums[2] = square_add(sums[2], a1, l0, l1, l2, l3);
    sums[3] = square_add(sums[3], a1, r0, r1, r2, r3);
    sums[4] = square_add(sums[4], a2, l0, l1, l2, l3);
    sums[5] = square_add(sums[5], a2, r0, r1, r2, r3);
    sums[6] = square_add(sums[6], a3, l0, l1, l2, l3);
    sums[7] = square_add(sums[7], a3, r0, r1, r2, r3);
    sums[8] = square_add(sums[8], a4, l0, l1, l2, l3);
    sums[9] = square_add(sums[9], a4, r0, r1, r2, r3);
    sums[10] = square_add(sums[10], a5, l0, l1, l2, l3);
    sums[11] = square_add(sums[11], a5, r0, r1, r2, r3);
    sums[12] = square_add(sums[12], a6, l0, l1, l2, l3);
    sums[13] = square_add(sums[13], a6, r0, r1, r2, r3);
    sums[14] = square_add(sums[14], a7, l0, l1, l2, l3);
    sums[15] = square_add(sums[15], a7, r0, r1, r2, r3);
    // end
}

// Adds one term to every element: that of rows 0..3 in upper, of rows 4..7 in lower, of columns 0..3 in left, of
// columns 4..7 in right.
fn sums_add_outer(upper: vec4f, lower: vec4f, left: vec4f, right: vec4f) {
    // for j in 0..4:
    //     sums[{2 * j}] = fma(vec4f(upper.{xyzw[j]}), left, sums[{2 * j}]);
    //     sums[{2 * j + 1}] = fma(vec4f(upper.{xyzw[j]}), right, sums[{2 * j + 1}]);
    sums[0] = fma(vec4f(upper.x), left, sums[0]);
    sums[1] = fma(vec4f(upper.x), right, sums[1]);
    sums[2] = fma(vec4f(upper.y), left, sums[2]);
    sums[3] = fma(vec4f(upper.y), right, sums[3]);
    sums[4] = fma(vec4f(upper.z), left, sums[4]);
    sums[5] = fma(vec4f(upper.z), right, sums[5]);
    sums[6] = fma(vec4f(upper.w), left, sums[6]);
    sums[7] = fma(vec4f(upper.w), right, sums[7]);
    // end
    // for j in 4..8:
    //     sums[{2 * j}] = fma(vec4f(lower.{xyzw[j % 4]}), left, sums[{2 * j}]);
    //     sums[{2 * j + 1}] = fma(vec4f(lower.{xyzw[j % 4]}), right, sums[{2 * j + 1}]);
    sums[8] = fma(vec4f(lower.x), left, sums[8]);
    sums[9] = fma(vec4f(lower.x), right, sums[9]);
    sums[10] = fma(vec4f(lower.y), left, sums[10]);
    sums[11] = fma(vec4f(lower.y), right, sums[11]);
    sums[12] = fma(vec4f(lower.z), left, sums[12]);
    sums[13] = fma(vec4f(lower.z), right, sums[13]);
    sums[14] = fma(vec4f(lower.w), left, sums[14]);
    sums[15] = fma(vec4f(lower.w), right, sums[15]);
    // end
}

fn sums_store(row: u32, column: u32) {
    // One column after the other: conv2d_pool takes four rows together.
    // for j in 0..8:
    //     store_part(row + {j}u, column, sums[{2 * j}]);
    store_part(row + 0u, column, sums[0]);
    store_part(row + 1u, column, sums[2]);
    store_part(row + 2u, column, sums[4]);
    store_part(row + 3u, column, sums[6]);
    store_part(row + 4u, column, sums[8]);
    store_part(row + 5u, column, sums[10]);
    store_part(row + 6u, column, sums[12]);
    store_part(row + 7u, column, sums[14]);
    // end
    // for j in 0..8:
    //     store_part(row + {j}u, column + 1u, sums[{2 * j + 1}]);
    store_part(row + 0u, column + 1u, sums[1]);
    store_part(row + 1u, column + 1u, sums[3]);
    store_part(row + 2u, column + 1u, sums[5]);
    store_part(row + 3u, column + 1u, sums[7]);
    store_part(row + 4u, column + 1u, sums[9]);
    store_part(row + 5u, column + 1u, sums[11]);
    store_part(row + 6u, column + 1u, sums[13]);
    store_part(row + 7u, column + 1u, sums[15]);
    // end
}
