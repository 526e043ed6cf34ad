// Appended to the shaders for GPUs and outputs of so few rows and columns that their blocks would leave a card idle: a
// workgroup of 256 threads makes 32 × 32 of it in 16 slices, each of which has 4 of 64 terms and 8 × 8 sums in the
// registers of 16 threads. In the end the slices are added, halves of them until one is left.
//
// It asks for what lib/block_terms.wgsl does, but for
//   rows_load: by terms only the first two of `loaded` are taken, else it loads term 4*first + q of the rows from `row`
//     and of those 16 behind them;
//   columns_load: by terms columns_load(start, q, column), the four terms from start + 4*q of a column.

const BLOCK_TERMS = 64u;

// Term t of rows 4r..4r+3 of a slice at [t][slice], and there in the upper or lower half, by twos.
var<workgroup> slice_a: array<array<array<array<array<vec2f, 2>, 4>, 2>, 16>, 4>;
// Term t of columns 4c..4c+3 at [t][slice], and there in the left or right half, by twos.
var<workgroup> slice_b: array<array<array<array<array<vec2f, 2>, 4>, 2>, 16>, 4>;
var<private> columns: array<vec4f, 2>;

// Makes rows from 4*row and columns from 4*column, over so many terms.
fn slices_make(lane: u32, row: u32, column: u32, terms: u32) {
    let s = lane / 16u;
    let j = lane % 16u;
    rows_begin(4u * row + select(4u * (j % 4u), 2u * j, ROWS_BY_TERMS), select(4u * s + j / 4u, s, ROWS_BY_TERMS));
    slices_load(s, j, column, 0u);
    slices_put(s, j);
    for (var start = 0u; start < terms; start += BLOCK_TERMS) {
        // Behind the last terms they are loaded once more, since there is something.
        slices_load(s, j, column, min(start + BLOCK_TERMS, (terms - 1u) / BLOCK_TERMS * BLOCK_TERMS));
        let r = j / 4u;
        let c = j % 4u;
        // for t in 0..4:
        //     let upper{t} = joined(slice_a[{t}][s][0][r]);
        //     let lower{t} = joined(slice_a[{t}][s][1][r]);
        //     let left{t} = joined(slice_b[{t}][s][0][c]);
        //     let right{t} = joined(slice_b[{t}][s][1][c]);
        //     add_terms(upper{t}, lower{t}, left{t}, right{t});
        let upper0 = joined(slice_a[0][s][0][r]);
        let lower0 = joined(slice_a[0][s][1][r]);
        let left0 = joined(slice_b[0][s][0][c]);
        let right0 = joined(slice_b[0][s][1][c]);
        add_terms(upper0, lower0, left0, right0);
        let upper1 = joined(slice_a[1][s][0][r]);
        let lower1 = joined(slice_a[1][s][1][r]);
        let left1 = joined(slice_b[1][s][0][c]);
        let right1 = joined(slice_b[1][s][1][c]);
        add_terms(upper1, lower1, left1, right1);
        let upper2 = joined(slice_a[2][s][0][r]);
        let lower2 = joined(slice_a[2][s][1][r]);
        let left2 = joined(slice_b[2][s][0][c]);
        let right2 = joined(slice_b[2][s][1][c]);
        add_terms(upper2, lower2, left2, right2);
        let upper3 = joined(slice_a[3][s][0][r]);
        let lower3 = joined(slice_a[3][s][1][r]);
        let left3 = joined(slice_b[3][s][0][c]);
        let right3 = joined(slice_b[3][s][1][c]);
        add_terms(upper3, lower3, left3, right3);
        // end
        slices_put(s, j);
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

// Sends for the terms from `start`: each thread for two rows and two of a term's columns.
fn slices_load(s: u32, j: u32, column: u32, start: u32) {
    let by_columns = 4u * s + j / 4u;
    rows_load(start / 4u, select(by_columns, s, ROWS_BY_TERMS));
    if COLUMNS_BY_TERMS {
        // for half in 0..2:
        //     columns[{half}] = columns_load(start, s, 4u * column + 2u * j + {half}u);
        columns[0] = columns_load(start, s, 4u * column + 2u * j + 0u);
        columns[1] = columns_load(start, s, 4u * column + 2u * j + 1u);
        // end
    } else {
        // for half in 0..2:
        //     columns[{half}] = columns_load(start, by_columns, column + {4 * half}u + j % 4u);
        columns[0] = columns_load(start, by_columns, column + 0u + j % 4u);
        columns[1] = columns_load(start, by_columns, column + 4u + j % 4u);
        // end
    }
}

// Puts what was sent for where all threads of the slice find it, once they are done with the last.
fn slices_put(s: u32, j: u32) {
    workgroupBarrier();
    let a0 = select(vec4f(0.0), vec4f(loaded[0]), inside[0]);
    let a1 = select(vec4f(0.0), vec4f(loaded[1]), inside[1]);
    if ROWS_BY_TERMS {
        // for t in 0..4:
        //     slice_a[{t}][s][j / 8u][j / 2u % 4u][j % 2u] = vec2f(a0.{xyzw[t]}, a1.{xyzw[t]});
        slice_a[0][s][j / 8u][j / 2u % 4u][j % 2u] = vec2f(a0.x, a1.x);
        slice_a[1][s][j / 8u][j / 2u % 4u][j % 2u] = vec2f(a0.y, a1.y);
        slice_a[2][s][j / 8u][j / 2u % 4u][j % 2u] = vec2f(a0.z, a1.z);
        slice_a[3][s][j / 8u][j / 2u % 4u][j % 2u] = vec2f(a0.w, a1.w);
        // end
    } else {
        slice_a[j / 4u][s][0][j % 4u] = array(a0.xy, a0.zw);
        slice_a[j / 4u][s][1][j % 4u] = array(a1.xy, a1.zw);
    }
    if COLUMNS_BY_TERMS {
        // for t in 0..4:
        //     slice_b[{t}][s][j / 8u][j / 2u % 4u][j % 2u] = vec2f(columns[0].{xyzw[t]}, columns[1].{xyzw[t]});
        slice_b[0][s][j / 8u][j / 2u % 4u][j % 2u] = vec2f(columns[0].x, columns[1].x);
        slice_b[1][s][j / 8u][j / 2u % 4u][j % 2u] = vec2f(columns[0].y, columns[1].y);
        slice_b[2][s][j / 8u][j / 2u % 4u][j % 2u] = vec2f(columns[0].z, columns[1].z);
        slice_b[3][s][j / 8u][j / 2u % 4u][j % 2u] = vec2f(columns[0].w, columns[1].w);
        // end
    } else {
        slice_b[j / 4u][s][0][j % 4u] = array(columns[0].xy, columns[0].zw);
        slice_b[j / 4u][s][1][j % 4u] = array(columns[1].xy, columns[1].zw);
    }
    workgroupBarrier();
}

fn joined(pairs: array<vec2f, 2>) -> vec4f {
    return vec4f(pairs[0], pairs[1]);
}

// Adds eight sums, from `first`, of the threads behind the first `count` to theirs.
fn slices_join(lane: u32, count: u32, first: u32) {
    let e = lane % count;
    workgroupBarrier();
    if lane >= count && lane < 2u * count {
        // for k in 0..4:
        //     slice_a[{k}][e / 8u][e / 4u % 2u][e % 4u] = array(sums[first + {k}u].xy, sums[first + {k}u].zw);
        //     slice_b[{k}][e / 8u][e / 4u % 2u][e % 4u] = array(sums[first + {4 + k}u].xy, sums[first + {4 + k}u].zw);
        slice_a[0][e / 8u][e / 4u % 2u][e % 4u] = array(sums[first + 0u].xy, sums[first + 0u].zw);
        slice_b[0][e / 8u][e / 4u % 2u][e % 4u] = array(sums[first + 4u].xy, sums[first + 4u].zw);
        slice_a[1][e / 8u][e / 4u % 2u][e % 4u] = array(sums[first + 1u].xy, sums[first + 1u].zw);
        slice_b[1][e / 8u][e / 4u % 2u][e % 4u] = array(sums[first + 5u].xy, sums[first + 5u].zw);
        slice_a[2][e / 8u][e / 4u % 2u][e % 4u] = array(sums[first + 2u].xy, sums[first + 2u].zw);
        slice_b[2][e / 8u][e / 4u % 2u][e % 4u] = array(sums[first + 6u].xy, sums[first + 6u].zw);
        slice_a[3][e / 8u][e / 4u % 2u][e % 4u] = array(sums[first + 3u].xy, sums[first + 3u].zw);
        slice_b[3][e / 8u][e / 4u % 2u][e % 4u] = array(sums[first + 7u].xy, sums[first + 7u].zw);
        // end
    }
    workgroupBarrier();
    if lane < count {
        // for k in 0..4:
        //     sums[first + {k}u] += joined(slice_a[{k}][e / 8u][e / 4u % 2u][e % 4u]);
        //     sums[first + {4 + k}u] += joined(slice_b[{k}][e / 8u][e / 4u % 2u][e % 4u]);
        sums[first + 0u] += joined(slice_a[0][e / 8u][e / 4u % 2u][e % 4u]);
        sums[first + 4u] += joined(slice_b[0][e / 8u][e / 4u % 2u][e % 4u]);
        sums[first + 1u] += joined(slice_a[1][e / 8u][e / 4u % 2u][e % 4u]);
        sums[first + 5u] += joined(slice_b[1][e / 8u][e / 4u % 2u][e % 4u]);
        sums[first + 2u] += joined(slice_a[2][e / 8u][e / 4u % 2u][e % 4u]);
        sums[first + 6u] += joined(slice_b[2][e / 8u][e / 4u % 2u][e % 4u]);
        sums[first + 3u] += joined(slice_a[3][e / 8u][e / 4u % 2u][e % 4u]);
        sums[first + 7u] += joined(slice_b[3][e / 8u][e / 4u % 2u][e % 4u]);
        // end
    }
}
