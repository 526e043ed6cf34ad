// Appended to the shaders for GPUs: a block of 128 rows × 64 columns that a workgroup of 256 threads makes, each 8
// rows × 4 columns in registers. Both operands come through workgroup memory, 16 terms at a time, so that each value
// is loaded once for a whole block.
//
// The shader stages 16 terms, every thread its part, with block_put_terms (block_terms.wgsl) or block_put_rows and
// block_put_columns;
// calls block_multiply or block_add_squares, which wait for all; and at the end finds in block[j] its columns of
// block_row(lane, j).

// Term k of rows 4r..4r+3 at k*33 + r: one more than the rows fill, so that threads that put a column of terms meet
// different banks.
var<workgroup> block_a: array<vec4f, 528>;
// Term k of columns 4c..4c+3 at k*16 + c.
var<workgroup> block_b: array<vec4f, 256>;
var<private> block: array<vec4f, 8>;

// Term k of rows 4r..4r+3: 16 × 32 of them.
fn block_put_rows(r: u32, k: u32, rows: vec4f) {
    block_a[k * 33u + r] = rows;
}

// Term k of columns 4c..4c+3: 16 × 16 of them.
fn block_put_columns(c: u32, k: u32, columns: vec4f) {
    block_b[k * 16u + c] = columns;
}

// Adds the products of the staged terms, once they are all there, and waits until they are used.
fn block_multiply(lane: u32) {
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
        let upper = block_a[k * 33u + lane / 16u];
        let lower = block_a[k * 33u + 16u + lane / 16u];
        let columns = block_b[k * 16u + lane % 16u];
        // for j in 0..4:
        //     block[{j}] = fma(vec4f(upper.{xyzw[j]}), columns, block[{j}]);
        block[0] = fma(vec4f(upper.x), columns, block[0]);
        block[1] = fma(vec4f(upper.y), columns, block[1]);
        block[2] = fma(vec4f(upper.z), columns, block[2]);
        block[3] = fma(vec4f(upper.w), columns, block[3]);
        // end
        // for j in 4..8:
        //     block[{j}] = fma(vec4f(lower.{xyzw[j % 4]}), columns, block[{j}]);
        block[4] = fma(vec4f(lower.x), columns, block[4]);
        block[5] = fma(vec4f(lower.y), columns, block[5]);
        block[6] = fma(vec4f(lower.z), columns, block[6]);
        block[7] = fma(vec4f(lower.w), columns, block[7]);
        // end
    }
    workgroupBarrier();
}

// As block_multiply, with the squares of differences instead of products.
fn block_add_squares(lane: u32) {
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
        let upper = block_a[k * 33u + lane / 16u];
        let lower = block_a[k * 33u + 16u + lane / 16u];
        let columns = block_b[k * 16u + lane % 16u];
        // for j in 0..4:
        //     let d{j} = vec4f(upper.{xyzw[j]}) - columns;
        //     block[{j}] = fma(d{j}, d{j}, block[{j}]);
        let d0 = vec4f(upper.x) - columns;
        block[0] = fma(d0, d0, block[0]);
        let d1 = vec4f(upper.y) - columns;
        block[1] = fma(d1, d1, block[1]);
        let d2 = vec4f(upper.z) - columns;
        block[2] = fma(d2, d2, block[2]);
        let d3 = vec4f(upper.w) - columns;
        block[3] = fma(d3, d3, block[3]);
        // end
        // for j in 4..8:
        //     let d{j} = vec4f(lower.{xyzw[j % 4]}) - columns;
        //     block[{j}] = fma(d{j}, d{j}, block[{j}]);
        let d4 = vec4f(lower.x) - columns;
        block[4] = fma(d4, d4, block[4]);
        let d5 = vec4f(lower.y) - columns;
        block[5] = fma(d5, d5, block[5]);
        let d6 = vec4f(lower.z) - columns;
        block[6] = fma(d6, d6, block[6]);
        let d7 = vec4f(lower.w) - columns;
        block[7] = fma(d7, d7, block[7]);
        // end
    }
    workgroupBarrier();
}

// The row of the block that a thread has in block[j]; its columns are 4*(lane % 16).. of the block.
fn block_row(lane: u32, j: u32) -> u32 {
    return (j / 4u) * 64u + lane / 16u * 4u + j % 4u;
}
