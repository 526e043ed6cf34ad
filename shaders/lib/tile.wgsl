// Appended to the shaders for eight-lane software Vulkan: a tile of 32 rows × 32 columns in the registers of one
// subgroup. Lane l holds columns 4l..4l+3 of every row. A load costs as much as dozens of multiply-adds there, and a
// broadcast hardly anything: each value is loaded by one lane and spread to the others. Written out because
// subgroupBroadcast wants a constant lane, and because an array indexed by a variable does not stay in registers.
//
// The shader that uses it declares `fn store_row(row: u32, values: vec4f)`.

var<private> tile: array<vec4f, 32>;

// Adds four terms to every element: lane l has terms k..k+3 of rows l, l+8, l+16, l+24 in a0..a3, and of its own
// columns the terms k..k+3 in b0..b3.
fn tile_add_rows(a0: vec4f, a1: vec4f, a2: vec4f, a3: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) {
    // for r in 0..32:
    //     tile[{r}] = multiply_add(tile[{r}], subgroupBroadcast(a{r / 8}, {r % 8}u), b0, b1, b2, b3);
    tile[0] = multiply_add(tile[0], subgroupBroadcast(a0, 0u), b0, b1, b2, b3);
    tile[1] = multiply_add(tile[1], subgroupBroadcast(a0, 1u), b0, b1, b2, b3);
    tile[2] = multiply_add(tile[2], subgroupBroadcast(a0, 2u), b0, b1, b2, b3);
    tile[3] = multiply_add(tile[3], subgroupBroadcast(a0, 3u), b0, b1, b2, b3);
    tile[4] = multiply_add(tile[4], subgroupBroadcast(a0, 4u), b0, b1, b2, b3);
    tile[5] = multiply_add(tile[5], subgroupBroadcast(a0, 5u), b0, b1, b2, b3);
    tile[6] = multiply_add(tile[6], subgroupBroadcast(a0, 6u), b0, b1, b2, b3);
    tile[7] = multiply_add(tile[7], subgroupBroadcast(a0, 7u), b0, b1, b2, b3);
    tile[8] = multiply_add(tile[8], subgroupBroadcast(a1, 0u), b0, b1, b2, b3);
    tile[9] = multiply_add(tile[9], subgroupBroadcast(a1, 1u), b0, b1, b2, b3);
    tile[10] = multiply_add(tile[10], subgroupBroadcast(a1, 2u), b0, b1, b2, b3);
    tile[11] = multiply_add(tile[11], subgroupBroadcast(a1, 3u), b0, b1, b2, b3);
    tile[12] = multiply_add(tile[12], subgroupBroadcast(a1, 4u), b0, b1, b2, b3);
    tile[13] = multiply_add(tile[13], subgroupBroadcast(a1, 5u), b0, b1, b2, b3);
    tile[14] = multiply_add(tile[14], subgroupBroadcast(a1, 6u), b0, b1, b2, b3);
    tile[15] = multiply_add(tile[15], subgroupBroadcast(a1, 7u), b0, b1, b2, b3);
    tile[16] = multiply_add(tile[16], subgroupBroadcast(a2, 0u), b0, b1, b2, b3);
    tile[17] = multiply_add(tile[17], subgroupBroadcast(a2, 1u), b0, b1, b2, b3);
    tile[18] = multiply_add(tile[18], subgroupBroadcast(a2, 2u), b0, b1, b2, b3);
    tile[19] = multiply_add(tile[19], subgroupBroadcast(a2, 3u), b0, b1, b2, b3);
    tile[20] = multiply_add(tile[20], subgroupBroadcast(a2, 4u), b0, b1, b2, b3);
    tile[21] = multiply_add(tile[21], subgroupBroadcast(a2, 5u), b0, b1, b2, b3);
    tile[22] = multiply_add(tile[22], subgroupBroadcast(a2, 6u), b0, b1, b2, b3);
    tile[23] = multiply_add(tile[23], subgroupBroadcast(a2, 7u), b0, b1, b2, b3);
    tile[24] = multiply_add(tile[24], subgroupBroadcast(a3, 0u), b0, b1, b2, b3);
    tile[25] = multiply_add(tile[25], subgroupBroadcast(a3, 1u), b0, b1, b2, b3);
    tile[26] = multiply_add(tile[26], subgroupBroadcast(a3, 2u), b0, b1, b2, b3);
    tile[27] = multiply_add(tile[27], subgroupBroadcast(a3, 3u), b0, b1, b2, b3);
    tile[28] = multiply_add(tile[28], subgroupBroadcast(a3, 4u), b0, b1, b2, b3);
    tile[29] = multiply_add(tile[29], subgroupBroadcast(a3, 5u), b0, b1, b2, b3);
    tile[30] = multiply_add(tile[30], subgroupBroadcast(a3, 6u), b0, b1, b2, b3);
    tile[31] = multiply_add(tile[31], subgroupBroadcast(a3, 7u), b0, b1, b2, b3);
    // end
}

// Adds one term to every element: lane l has the term of rows l, l+8, l+16, l+24 in a.x..a.w, and of its own columns
// in b.
fn tile_add_column(a: vec4f, b: vec4f) {
    // for r in 0..32:
    //     tile[{r}] = fma(vec4f(subgroupBroadcast(a.{xyzw[r / 8]}, {r % 8}u)), b, tile[{r}]);
    tile[0] = fma(vec4f(subgroupBroadcast(a.x, 0u)), b, tile[0]);
    tile[1] = fma(vec4f(subgroupBroadcast(a.x, 1u)), b, tile[1]);
    tile[2] = fma(vec4f(subgroupBroadcast(a.x, 2u)), b, tile[2]);
    tile[3] = fma(vec4f(subgroupBroadcast(a.x, 3u)), b, tile[3]);
    tile[4] = fma(vec4f(subgroupBroadcast(a.x, 4u)), b, tile[4]);
    tile[5] = fma(vec4f(subgroupBroadcast(a.x, 5u)), b, tile[5]);
    tile[6] = fma(vec4f(subgroupBroadcast(a.x, 6u)), b, tile[6]);
    tile[7] = fma(vec4f(subgroupBroadcast(a.x, 7u)), b, tile[7]);
    tile[8] = fma(vec4f(subgroupBroadcast(a.y, 0u)), b, tile[8]);
    tile[9] = fma(vec4f(subgroupBroadcast(a.y, 1u)), b, tile[9]);
    tile[10] = fma(vec4f(subgroupBroadcast(a.y, 2u)), b, tile[10]);
    tile[11] = fma(vec4f(subgroupBroadcast(a.y, 3u)), b, tile[11]);
    tile[12] = fma(vec4f(subgroupBroadcast(a.y, 4u)), b, tile[12]);
    tile[13] = fma(vec4f(subgroupBroadcast(a.y, 5u)), b, tile[13]);
    tile[14] = fma(vec4f(subgroupBroadcast(a.y, 6u)), b, tile[14]);
    tile[15] = fma(vec4f(subgroupBroadcast(a.y, 7u)), b, tile[15]);
    tile[16] = fma(vec4f(subgroupBroadcast(a.z, 0u)), b, tile[16]);
    tile[17] = fma(vec4f(subgroupBroadcast(a.z, 1u)), b, tile[17]);
    tile[18] = fma(vec4f(subgroupBroadcast(a.z, 2u)), b, tile[18]);
    tile[19] = fma(vec4f(subgroupBroadcast(a.z, 3u)), b, tile[19]);
    tile[20] = fma(vec4f(subgroupBroadcast(a.z, 4u)), b, tile[20]);
    tile[21] = fma(vec4f(subgroupBroadcast(a.z, 5u)), b, tile[21]);
    tile[22] = fma(vec4f(subgroupBroadcast(a.z, 6u)), b, tile[22]);
    tile[23] = fma(vec4f(subgroupBroadcast(a.z, 7u)), b, tile[23]);
    tile[24] = fma(vec4f(subgroupBroadcast(a.w, 0u)), b, tile[24]);
    tile[25] = fma(vec4f(subgroupBroadcast(a.w, 1u)), b, tile[25]);
    tile[26] = fma(vec4f(subgroupBroadcast(a.w, 2u)), b, tile[26]);
    tile[27] = fma(vec4f(subgroupBroadcast(a.w, 3u)), b, tile[27]);
    tile[28] = fma(vec4f(subgroupBroadcast(a.w, 4u)), b, tile[28]);
    tile[29] = fma(vec4f(subgroupBroadcast(a.w, 5u)), b, tile[29]);
    tile[30] = fma(vec4f(subgroupBroadcast(a.w, 6u)), b, tile[30]);
    tile[31] = fma(vec4f(subgroupBroadcast(a.w, 7u)), b, tile[31]);
    // end
}

// As tile_add_rows, with the squares of differences instead of products.
fn tile_add_squares(a0: vec4f, a1: vec4f, a2: vec4f, a3: vec4f, b0: vec4f, b1: vec4f, b2: vec4f, b3: vec4f) {
    // for r in 0..32:
    //     tile[{r}] = square_add(tile[{r}], subgroupBroadcast(a{r / 8}, {r % 8}u), b0, b1, b2, b3);
    tile[0] = square_add(tile[0], subgroupBroadcast(a0, 0u), b0, b1, b2, b3);
    tile[1] = square_add(tile[1], subgroupBroadcast(a0, 1u), b0, b1, b2, b3);
    tile[2] = square_add(tile[2], subgroupBroadcast(a0, 2u), b0, b1, b2, b3);
    tile[3] = square_add(tile[3], subgroupBroadcast(a0, 3u), b0, b1, b2, b3);
    tile[4] = square_add(tile[4], subgroupBroadcast(a0, 4u), b0, b1, b2, b3);
    tile[5] = square_add(tile[5], subgroupBroadcast(a0, 5u), b0, b1, b2, b3);
    tile[6] = square_add(tile[6], subgroupBroadcast(a0, 6u), b0, b1, b2, b3);
    tile[7] = square_add(tile[7], subgroupBroadcast(a0, 7u), b0, b1, b2, b3);
    tile[8] = square_add(tile[8], subgroupBroadcast(a1, 0u), b0, b1, b2, b3);
    tile[9] = square_add(tile[9], subgroupBroadcast(a1, 1u), b0, b1, b2, b3);
    tile[10] = square_add(tile[10], subgroupBroadcast(a1, 2u), b0, b1, b2, b3);
    tile[11] = square_add(tile[11], subgroupBroadcast(a1, 3u), b0, b1, b2, b3);
    tile[12] = square_add(tile[12], subgroupBroadcast(a1, 4u), b0, b1, b2, b3);
    tile[13] = square_add(tile[13], subgroupBroadcast(a1, 5u), b0, b1, b2, b3);
    tile[14] = square_add(tile[14], subgroupBroadcast(a1, 6u), b0, b1, b2, b3);
    tile[15] = square_add(tile[15], subgroupBroadcast(a1, 7u), b0, b1, b2, b3);
    tile[16] = square_add(tile[16], subgroupBroadcast(a2, 0u), b0, b1, b2, b3);
    tile[17] = square_add(tile[17], subgroupBroadcast(a2, 1u), b0, b1, b2, b3);
    tile[18] = square_add(tile[18], subgroupBroadcast(a2, 2u), b0, b1, b2, b3);
    tile[19] = square_add(tile[19], subgroupBroadcast(a2, 3u), b0, b1, b2, b3);
    tile[20] = square_add(tile[20], subgroupBroadcast(a2, 4u), b0, b1, b2, b3);
    tile[21] = square_add(tile[21], subgroupBroadcast(a2, 5u), b0, b1, b2, b3);
    tile[22] = square_add(tile[22], subgroupBroadcast(a2, 6u), b0, b1, b2, b3);
    tile[23] = square_add(tile[23], subgroupBroadcast(a2, 7u), b0, b1, b2, b3);
    tile[24] = square_add(tile[24], subgroupBroadcast(a3, 0u), b0, b1, b2, b3);
    tile[25] = square_add(tile[25], subgroupBroadcast(a3, 1u), b0, b1, b2, b3);
    tile[26] = square_add(tile[26], subgroupBroadcast(a3, 2u), b0, b1, b2, b3);
    tile[27] = square_add(tile[27], subgroupBroadcast(a3, 3u), b0, b1, b2, b3);
    tile[28] = square_add(tile[28], subgroupBroadcast(a3, 4u), b0, b1, b2, b3);
    tile[29] = square_add(tile[29], subgroupBroadcast(a3, 5u), b0, b1, b2, b3);
    tile[30] = square_add(tile[30], subgroupBroadcast(a3, 6u), b0, b1, b2, b3);
    tile[31] = square_add(tile[31], subgroupBroadcast(a3, 7u), b0, b1, b2, b3);
    // end
}

fn tile_store(row: u32) {
    // for r in 0..32:
    //     store_row(row + {r}u, tile[{r}]);
    store_row(row + 0u, tile[0]);
    store_row(row + 1u, tile[1]);
    store_row(row + 2u, tile[2]);
    store_row(row + 3u, tile[3]);
    store_row(row + 4u, tile[4]);
    store_row(row + 5u, tile[5]);
    store_row(row + 6u, tile[6]);
    store_row(row + 7u, tile[7]);
    store_row(row + 8u, tile[8]);
    store_row(row + 9u, tile[9]);
    store_row(row + 10u, tile[10]);
    store_row(row + 11u, tile[11]);
    store_row(row + 12u, tile[12]);
    store_row(row + 13u, tile[13]);
    store_row(row + 14u, tile[14]);
    store_row(row + 15u, tile[15]);
    store_row(row + 16u, tile[16]);
    store_row(row + 17u, tile[17]);
    store_row(row + 18u, tile[18]);
    store_row(row + 19u, tile[19]);
    store_row(row + 20u, tile[20]);
    store_row(row + 21u, tile[21]);
    store_row(row + 22u, tile[22]);
    store_row(row + 23u, tile[23]);
    store_row(row + 24u, tile[24]);
    store_row(row + 25u, tile[25]);
    store_row(row + 26u, tile[26]);
    store_row(row + 27u, tile[27]);
    store_row(row + 28u, tile[28]);
    store_row(row + 29u, tile[29]);
    store_row(row + 30u, tile[30]);
    store_row(row + 31u, tile[31]);
    // end
}
