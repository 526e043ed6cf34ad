// Appended to the shaders for GPUs and outputs of so few rows and columns that their blocks would leave a card idle: a
// workgroup of 256 threads makes 32 × 32 of it in 16 slices, each of which has 4 of 64 terms and 8 × 8 sums in the
// registers of 16 threads. In the end the slices are added, halves of them until one is left. Otherwise as
// lib/block.wgsl, of which it asks for the same.

const BLOCK_TERMS = 64u;

// Term t of rows 4r..4r+3 of a slice at [slice][t][r].
var<workgroup> slice_a: array<array<array<vec4f, 8>, 4>, 16>;
// Term t of columns 4c..4c+3 at [slice][t][c].
var<workgroup> slice_b: array<array<array<vec4f, 8>, 4>, 16>;
// Columns 4c.. of rows r in the even ones, columns of the right half in the odd ones.
var<private> sums: array<vec4f, 16>;

var<private> loaded: array<Loaded, 4>;
var<private> inside: vec4<bool>;
var<private> columns: array<vec4f, 2>;

// A term that there is: k, or the last. Where terms fill every step that costs nothing.
fn block_term(k: u32, terms: u32) -> u32 {
    return select(min(k, terms - 1u), k, terms % BLOCK_TERMS == 0u);
}

// Makes rows from 4*row and columns from 4*column, over so many terms.
fn slices_make(lane: u32, row: u32, column: u32, terms: u32) {
    let s = lane / 16u;
    let j = lane % 16u;
    rows_begin(row + j % 8u);
    slices_load(s, j, column, 0u);
    for (var start = 0u; start < terms; start += BLOCK_TERMS) {
        workgroupBarrier();
        slices_put(s, j);
        workgroupBarrier();
        // Behind the last terms they are loaded once more, since there is something.
        slices_load(s, j, column, min(start + BLOCK_TERMS, (terms - 1u) / BLOCK_TERMS * BLOCK_TERMS));
        let r = j / 4u;
        let c = j % 4u;
        // for t in 0..4:
        //     add_terms(slice_a[s][{t}][r], slice_a[s][{t}][r + 4u], slice_b[s][{t}][c], slice_b[s][{t}][c + 4u]);
        add_terms(slice_a[s][0][r], slice_a[s][0][r + 4u], slice_b[s][0][c], slice_b[s][0][c + 4u]);
        add_terms(slice_a[s][1][r], slice_a[s][1][r + 4u], slice_b[s][1][c], slice_b[s][1][c + 4u]);
        add_terms(slice_a[s][2][r], slice_a[s][2][r + 4u], slice_b[s][2][c], slice_b[s][2][c + 4u]);
        add_terms(slice_a[s][3][r], slice_a[s][3][r + 4u], slice_b[s][3][c], slice_b[s][3][c + 4u]);
        // end
    }
    for (var half = 8u; half > 0u; half /= 2u) {
        // for j in 0..2:
        //     slices_join(lane, 16u * half, {8 * j}u);
        slices_join(lane, 16u * half, 0u);
        slices_join(lane, 16u * half, 8u);
        // end
    }
    if s == 0u {
        let r = 4u * (row + j / 4u);
        let c = column + j % 4u;
        // for j in 0..4:
        //     store_part(r + {j}u, c, sums[{2 * j}]);
        //     store_part(r + {j}u, c + 4u, sums[{2 * j + 1}]);
        //     store_part(r + {16 + j}u, c, sums[{2 * j + 8}]);
        //     store_part(r + {16 + j}u, c + 4u, sums[{2 * j + 9}]);
        store_part(r + 0u, c, sums[0]);
        store_part(r + 0u, c + 4u, sums[1]);
        store_part(r + 16u, c, sums[8]);
        store_part(r + 16u, c + 4u, sums[9]);
        store_part(r + 1u, c, sums[2]);
        store_part(r + 1u, c + 4u, sums[3]);
        store_part(r + 17u, c, sums[10]);
        store_part(r + 17u, c + 4u, sums[11]);
        store_part(r + 2u, c, sums[4]);
        store_part(r + 2u, c + 4u, sums[5]);
        store_part(r + 18u, c, sums[12]);
        store_part(r + 18u, c + 4u, sums[13]);
        store_part(r + 3u, c, sums[6]);
        store_part(r + 3u, c + 4u, sums[7]);
        store_part(r + 19u, c, sums[14]);
        store_part(r + 19u, c + 4u, sums[15]);
        // end
    }
}

// The place of the columns that a thread of a slice loads in a step: term, column.
fn slices_columns(j: u32, step: u32) -> vec2u {
    return select(vec2u(2u * step + j / 8u, j % 8u), vec2u(j % 4u, 4u * step + j / 4u), COLUMNS_BY_TERMS);
}

// Sends for the terms from `start`; threads 8 apart for the same rows.
fn slices_load(s: u32, j: u32, column: u32, start: u32) {
    rows_load(start / 4u, s);
    // for step in 0..2:
    //     let at{step} = slices_columns(j, {step}u);
    //     columns[{step}] = columns_load(start + 4u * s + at{step}.x, column + at{step}.y);
    let at0 = slices_columns(j, 0u);
    columns[0] = columns_load(start + 4u * s + at0.x, column + at0.y);
    let at1 = slices_columns(j, 1u);
    columns[1] = columns_load(start + 4u * s + at1.x, column + at1.y);
    // end
}

// Puts what was sent for where all threads of the slice find it.
fn slices_put(s: u32, j: u32) {
    if j < 8u {
        // for j in 0..4:
        //     let a{j} = select(vec4f(0.0), vec4f(loaded[{j}]), inside.{xyzw[j]});
        let a0 = select(vec4f(0.0), vec4f(loaded[0]), inside.x);
        let a1 = select(vec4f(0.0), vec4f(loaded[1]), inside.y);
        let a2 = select(vec4f(0.0), vec4f(loaded[2]), inside.z);
        let a3 = select(vec4f(0.0), vec4f(loaded[3]), inside.w);
        // end
        let turned = transpose(mat4x4f(a0, a1, a2, a3));
        // for t in 0..4:
        //     slice_a[s][{t}][j] = turned[{t}];
        slice_a[s][0][j] = turned[0];
        slice_a[s][1][j] = turned[1];
        slice_a[s][2][j] = turned[2];
        slice_a[s][3][j] = turned[3];
        // end
    }
    // for step in 0..2:
    //     let at{step} = slices_columns(j, {step}u);
    //     slice_b[s][at{step}.x][at{step}.y] = columns[{step}];
    let at0 = slices_columns(j, 0u);
    slice_b[s][at0.x][at0.y] = columns[0];
    let at1 = slices_columns(j, 1u);
    slice_b[s][at1.x][at1.y] = columns[1];
    // end
}

fn add_terms(upper: vec4f, lower: vec4f, left: vec4f, right: vec4f) {
    // for j in 0..4:
    //     sums[{2 * j}] = add_term(sums[{2 * j}], upper.{xyzw[j]}, left);
    //     sums[{2 * j + 1}] = add_term(sums[{2 * j + 1}], upper.{xyzw[j]}, right);
    //     sums[{2 * j + 8}] = add_term(sums[{2 * j + 8}], lower.{xyzw[j]}, left);
    //     sums[{2 * j + 9}] = add_term(sums[{2 * j + 9}], lower.{xyzw[j]}, right);
    sums[0] = add_term(sums[0], upper.x, left);
    sums[1] = add_term(sums[1], upper.x, right);
    sums[8] = add_term(sums[8], lower.x, left);
    sums[9] = add_term(sums[9], lower.x, right);
    sums[2] = add_term(sums[2], upper.y, left);
    sums[3] = add_term(sums[3], upper.y, right);
    sums[10] = add_term(sums[10], lower.y, left);
    sums[11] = add_term(sums[11], lower.y, right);
    sums[4] = add_term(sums[4], upper.z, left);
    sums[5] = add_term(sums[5], upper.z, right);
    sums[12] = add_term(sums[12], lower.z, left);
    sums[13] = add_term(sums[13], lower.z, right);
    sums[6] = add_term(sums[6], upper.w, left);
    sums[7] = add_term(sums[7], upper.w, right);
    sums[14] = add_term(sums[14], lower.w, left);
    sums[15] = add_term(sums[15], lower.w, right);
    // end
}

// Adds eight sums, from `first`, of the threads behind the first `count` to theirs.
fn slices_join(lane: u32, count: u32, first: u32) {
    workgroupBarrier();
    if lane >= count && lane < 2u * count {
        let e = lane - count;
        // for k in 0..4:
        //     slice_a[{4 * k}u + e / 32u][e / 8u % 4u][e % 8u] = sums[first + {k}u];
        //     slice_b[{4 * k}u + e / 32u][e / 8u % 4u][e % 8u] = sums[first + {4 + k}u];
        slice_a[0u + e / 32u][e / 8u % 4u][e % 8u] = sums[first + 0u];
        slice_b[0u + e / 32u][e / 8u % 4u][e % 8u] = sums[first + 4u];
        slice_a[4u + e / 32u][e / 8u % 4u][e % 8u] = sums[first + 1u];
        slice_b[4u + e / 32u][e / 8u % 4u][e % 8u] = sums[first + 5u];
        slice_a[8u + e / 32u][e / 8u % 4u][e % 8u] = sums[first + 2u];
        slice_b[8u + e / 32u][e / 8u % 4u][e % 8u] = sums[first + 6u];
        slice_a[12u + e / 32u][e / 8u % 4u][e % 8u] = sums[first + 3u];
        slice_b[12u + e / 32u][e / 8u % 4u][e % 8u] = sums[first + 7u];
        // end
    }
    workgroupBarrier();
    if lane < count {
        // for k in 0..4:
        //     sums[first + {k}u] += slice_a[{4 * k}u + lane / 32u][lane / 8u % 4u][lane % 8u];
        //     sums[first + {4 + k}u] += slice_b[{4 * k}u + lane / 32u][lane / 8u % 4u][lane % 8u];
        sums[first + 0u] += slice_a[0u + lane / 32u][lane / 8u % 4u][lane % 8u];
        sums[first + 4u] += slice_b[0u + lane / 32u][lane / 8u % 4u][lane % 8u];
        sums[first + 1u] += slice_a[4u + lane / 32u][lane / 8u % 4u][lane % 8u];
        sums[first + 5u] += slice_b[4u + lane / 32u][lane / 8u % 4u][lane % 8u];
        sums[first + 2u] += slice_a[8u + lane / 32u][lane / 8u % 4u][lane % 8u];
        sums[first + 6u] += slice_b[8u + lane / 32u][lane / 8u % 4u][lane % 8u];
        sums[first + 3u] += slice_a[12u + lane / 32u][lane / 8u % 4u][lane % 8u];
        sums[first + 7u] += slice_b[12u + lane / 32u][lane / 8u % 4u][lane % 8u];
        // end
    }
}
