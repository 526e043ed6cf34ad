// Appended to the shaders for GPUs, with lib/block_terms.wgsl and lib/sums.wgsl: a block of BLOCK_ROWS × BLOCK_COLUMNS
// of sums over terms, 8 × 8 of it in the registers of each thread. The next terms are on their way while the last are
// used.
//
// The arrays have a dimension for each part of an index, and terms are written out: drivers do not unroll a loop that
// wgpu counts, and an index that is checked at every step is dearer than what it finds.
//
// The shader declares BLOCK_ROWS, BLOCK_COLUMNS and BLOCK_TERMS.

const BLOCK_THREADS = BLOCK_ROWS * BLOCK_COLUMNS / 64u;

// Term 4q + t of rows 4r..4r+3 at [t][q], and there in the upper or lower half. One more than half of the rows fill, so
// that threads that put a column of terms meet different banks.
var<workgroup> block_a: array<array<array<array<vec4f, BLOCK_DOWN / 2u + 1u>, 2>, BLOCK_TERMS / 4u>, 4>;
// Term BLOCK_STEP*s + t of columns 4c..4c+3 at [s][t], and there in the left or right half.
var<workgroup> block_b: array<array<array<array<vec4f, BLOCK_ACROSS / 2u + 1u>, 2>, BLOCK_STEP>, BLOCK_STEPS>;

// Puts what was sent for where all threads find it, once they are done with the last.
fn block_put(lane: u32) {
    workgroupBarrier();
    // for j in 0..4:
    //     let a{j} = select(vec4f(0.0), vec4f(loaded[{j}]), inside[{j}]);
    let a0 = select(vec4f(0.0), vec4f(loaded[0]), inside[0]);
    let a1 = select(vec4f(0.0), vec4f(loaded[1]), inside[1]);
    let a2 = select(vec4f(0.0), vec4f(loaded[2]), inside[2]);
    let a3 = select(vec4f(0.0), vec4f(loaded[3]), inside[3]);
    // end
    if ROWS_BY_TERMS {
        let turned = transpose(mat4x4f(a0, a1, a2, a3));
        let q = lane % (BLOCK_TERMS / 4u);
        let r = lane / (BLOCK_TERMS / 4u);
        // for j in 0..4:
        //     block_a[{j}][q][r / (BLOCK_DOWN / 2u)][r % (BLOCK_DOWN / 2u)] = turned[{j}];
        block_a[0][q][r / (BLOCK_DOWN / 2u)][r % (BLOCK_DOWN / 2u)] = turned[0];
        block_a[1][q][r / (BLOCK_DOWN / 2u)][r % (BLOCK_DOWN / 2u)] = turned[1];
        block_a[2][q][r / (BLOCK_DOWN / 2u)][r % (BLOCK_DOWN / 2u)] = turned[2];
        block_a[3][q][r / (BLOCK_DOWN / 2u)][r % (BLOCK_DOWN / 2u)] = turned[3];
        // end
    } else {
        let q = lane / BLOCK_DOWN;
        let r = lane % BLOCK_DOWN;
        // for j in 0..4:
        //     block_a[{j}][q][r / (BLOCK_DOWN / 2u)][r % (BLOCK_DOWN / 2u)] = a{j};
        block_a[0][q][r / (BLOCK_DOWN / 2u)][r % (BLOCK_DOWN / 2u)] = a0;
        block_a[1][q][r / (BLOCK_DOWN / 2u)][r % (BLOCK_DOWN / 2u)] = a1;
        block_a[2][q][r / (BLOCK_DOWN / 2u)][r % (BLOCK_DOWN / 2u)] = a2;
        block_a[3][q][r / (BLOCK_DOWN / 2u)][r % (BLOCK_DOWN / 2u)] = a3;
        // end
    }
    // for s in 0..4:
    //     block_put_step(lane, {s}u);
    block_put_step(lane, 0u);
    block_put_step(lane, 1u);
    block_put_step(lane, 2u);
    block_put_step(lane, 3u);
    // end
    workgroupBarrier();
}

fn block_put_step(lane: u32, s: u32) {
    if s < BLOCK_STEPS {
        let half = BLOCK_ACROSS / 2u;
        if COLUMNS_BY_TERMS {
            let k = lane % BLOCK_TERMS;
            let c = s * BLOCK_APART + lane / BLOCK_TERMS;
            block_b[k / BLOCK_STEP][k % BLOCK_STEP][c / half][c % half] = columns[s];
        } else {
            let c = lane % BLOCK_ACROSS;
            block_b[s][lane / BLOCK_ACROSS][c / half][c % half] = columns[s];
        }
    }
}

// Adds the terms that were put.
fn block_add(lane: u32) {
    let r = lane / (BLOCK_COLUMNS / 8u);
    let c = lane % (BLOCK_COLUMNS / 8u);
    block_add_eight(0u, r, c);
    if BLOCK_TERMS > 8u {
        block_add_eight(8u, r, c);
    }
}

fn block_add_eight(first: u32, r: u32, c: u32) {
    // for k in 0..8:
    //     let k{k} = first + {k}u;
    //     let upper{k} = block_a[{k % 4}][k{k} / 4u][0][r];
    //     let lower{k} = block_a[{k % 4}][k{k} / 4u][1][r];
    //     let left{k} = block_b[k{k} / BLOCK_STEP][k{k} % BLOCK_STEP][0][c];
    //     let right{k} = block_b[k{k} / BLOCK_STEP][k{k} % BLOCK_STEP][1][c];
    //     add_terms(upper{k}, lower{k}, left{k}, right{k});
    let k0 = first + 0u;
    let upper0 = block_a[0][k0 / 4u][0][r];
    let lower0 = block_a[0][k0 / 4u][1][r];
    let left0 = block_b[k0 / BLOCK_STEP][k0 % BLOCK_STEP][0][c];
    let right0 = block_b[k0 / BLOCK_STEP][k0 % BLOCK_STEP][1][c];
    add_terms(upper0, lower0, left0, right0);
    let k1 = first + 1u;
    let upper1 = block_a[1][k1 / 4u][0][r];
    let lower1 = block_a[1][k1 / 4u][1][r];
    let left1 = block_b[k1 / BLOCK_STEP][k1 % BLOCK_STEP][0][c];
    let right1 = block_b[k1 / BLOCK_STEP][k1 % BLOCK_STEP][1][c];
    add_terms(upper1, lower1, left1, right1);
    let k2 = first + 2u;
    let upper2 = block_a[2][k2 / 4u][0][r];
    let lower2 = block_a[2][k2 / 4u][1][r];
    let left2 = block_b[k2 / BLOCK_STEP][k2 % BLOCK_STEP][0][c];
    let right2 = block_b[k2 / BLOCK_STEP][k2 % BLOCK_STEP][1][c];
    add_terms(upper2, lower2, left2, right2);
    let k3 = first + 3u;
    let upper3 = block_a[3][k3 / 4u][0][r];
    let lower3 = block_a[3][k3 / 4u][1][r];
    let left3 = block_b[k3 / BLOCK_STEP][k3 % BLOCK_STEP][0][c];
    let right3 = block_b[k3 / BLOCK_STEP][k3 % BLOCK_STEP][1][c];
    add_terms(upper3, lower3, left3, right3);
    let k4 = first + 4u;
    let upper4 = block_a[0][k4 / 4u][0][r];
    let lower4 = block_a[0][k4 / 4u][1][r];
    let left4 = block_b[k4 / BLOCK_STEP][k4 % BLOCK_STEP][0][c];
    let right4 = block_b[k4 / BLOCK_STEP][k4 % BLOCK_STEP][1][c];
    add_terms(upper4, lower4, left4, right4);
    let k5 = first + 5u;
    let upper5 = block_a[1][k5 / 4u][0][r];
    let lower5 = block_a[1][k5 / 4u][1][r];
    let left5 = block_b[k5 / BLOCK_STEP][k5 % BLOCK_STEP][0][c];
    let right5 = block_b[k5 / BLOCK_STEP][k5 % BLOCK_STEP][1][c];
    add_terms(upper5, lower5, left5, right5);
    let k6 = first + 6u;
    let upper6 = block_a[2][k6 / 4u][0][r];
    let lower6 = block_a[2][k6 / 4u][1][r];
    let left6 = block_b[k6 / BLOCK_STEP][k6 % BLOCK_STEP][0][c];
    let right6 = block_b[k6 / BLOCK_STEP][k6 % BLOCK_STEP][1][c];
    add_terms(upper6, lower6, left6, right6);
    let k7 = first + 7u;
    let upper7 = block_a[3][k7 / 4u][0][r];
    let lower7 = block_a[3][k7 / 4u][1][r];
    let left7 = block_b[k7 / BLOCK_STEP][k7 % BLOCK_STEP][0][c];
    let right7 = block_b[k7 / BLOCK_STEP][k7 % BLOCK_STEP][1][c];
    add_terms(upper7, lower7, left7, right7);
    // end
}

fn block_store(lane: u32, row: u32, column: u32) {
    let r = 4u * (row + lane / (BLOCK_COLUMNS / 8u));
    let c = column + lane % (BLOCK_COLUMNS / 8u);
    // One column after the other: conv2d_pool takes four rows together.
    // for j in 0..4:
    //     store_part(r + {j}u, c, sums[{2 * j}]);
    store_part(r + 0u, c, sums[0]);
    store_part(r + 1u, c, sums[2]);
    store_part(r + 2u, c, sums[4]);
    store_part(r + 3u, c, sums[6]);
    // end
    // for j in 0..4:
    //     store_part(r + {j}u, c + BLOCK_ACROSS / 2u, sums[{2 * j + 1}]);
    store_part(r + 0u, c + BLOCK_ACROSS / 2u, sums[1]);
    store_part(r + 1u, c + BLOCK_ACROSS / 2u, sums[3]);
    store_part(r + 2u, c + BLOCK_ACROSS / 2u, sums[5]);
    store_part(r + 3u, c + BLOCK_ACROSS / 2u, sums[7]);
    // end
    // for j in 0..4:
    //     store_part(r + BLOCK_ROWS / 2u + {j}u, c, sums[{2 * j + 8}]);
    store_part(r + BLOCK_ROWS / 2u + 0u, c, sums[8]);
    store_part(r + BLOCK_ROWS / 2u + 1u, c, sums[10]);
    store_part(r + BLOCK_ROWS / 2u + 2u, c, sums[12]);
    store_part(r + BLOCK_ROWS / 2u + 3u, c, sums[14]);
    // end
    // for j in 0..4:
    //     store_part(r + BLOCK_ROWS / 2u + {j}u, c + BLOCK_ACROSS / 2u, sums[{2 * j + 9}]);
    store_part(r + BLOCK_ROWS / 2u + 0u, c + BLOCK_ACROSS / 2u, sums[9]);
    store_part(r + BLOCK_ROWS / 2u + 1u, c + BLOCK_ACROSS / 2u, sums[11]);
    store_part(r + BLOCK_ROWS / 2u + 2u, c + BLOCK_ACROSS / 2u, sums[13]);
    store_part(r + BLOCK_ROWS / 2u + 3u, c + BLOCK_ACROSS / 2u, sums[15]);
    // end
}
