// Appended to the shaders for GPUs whose workgroups make a block of sums over terms, with lib/block.wgsl or
// lib/matrix.wgsl, and with lib/operands.wgsl: how terms come. Both operands go through workgroup memory, BLOCK_TERMS
// terms at a time, so that each value is loaded once for a whole block.
//
// The shader declares `alias Loaded`, `alias Inside`, and
//   ROWS_BY_TERMS, COLUMNS_BY_TERMS: whether it is terms that are neighbours in memory, or else rows, columns;
//   rows_begin(row, q): prepares to load that row and the next three, always terms with that q;
//   rows_load(first, q): loads four terms from 4*(first + q) of these rows into `loaded`, by terms those of each row,
//     else each of all rows, and says in `inside` which of the four, or of their values, are not 0; a block's terms
//     begin at 4*first;
//   columns_load(start, k, c): term start + k of columns 4c..4c+3; past the last term what it likes; a block's terms
//     begin at start, which is one number for all threads;
//   store_part(row, column, values), whose columns are counted in fours.

const BLOCK_DOWN = BLOCK_ROWS / 4u;
const BLOCK_ACROSS = BLOCK_COLUMNS / 4u;
// Terms whose columns all threads put together, each four.
const BLOCK_STEP = BLOCK_THREADS / BLOCK_ACROSS;
const BLOCK_STEPS = BLOCK_TERMS / BLOCK_STEP;
// Or columns of which all threads put a term together, each four.
const BLOCK_APART = BLOCK_THREADS / BLOCK_TERMS;

var<private> columns: array<vec4f, 4>;

// Makes the block of rows from 4*row and columns from 4*column, over so many terms.
fn block_make(lane: u32, row: u32, column: u32, terms: u32) {
    block_begin(lane, row);
    block_load(lane, column, 0u);
    block_put(lane);
    for (var start = 0u; start < terms; start += BLOCK_TERMS) {
        // Behind the last terms they are loaded once more, since there is something.
        block_load(lane, column, min(start + BLOCK_TERMS, (terms - 1u) / BLOCK_TERMS * BLOCK_TERMS));
        block_add(lane);
        block_put(lane);
    }
    block_store(lane, row, column);
}

fn block_begin(lane: u32, row: u32) {
    rows_begin(4u * (row + select(lane % BLOCK_DOWN, lane / (BLOCK_TERMS / 4u), ROWS_BY_TERMS)), own_terms(lane));
}

// Which of a block's terms, in fours, a thread loads of rows.
fn own_terms(lane: u32) -> u32 {
    return select(lane / BLOCK_DOWN, lane % (BLOCK_TERMS / 4u), ROWS_BY_TERMS);
}

// Sends for the terms from `start`.
fn block_load(lane: u32, column: u32, start: u32) {
    rows_load(start / 4u, own_terms(lane));
    // for s in 0..4:
    //     block_load_step(lane, column, start, {s}u);
    block_load_step(lane, column, start, 0u);
    block_load_step(lane, column, start, 1u);
    block_load_step(lane, column, start, 2u);
    block_load_step(lane, column, start, 3u);
    // end
}

fn block_load_step(lane: u32, column: u32, start: u32, s: u32) {
    if s < BLOCK_STEPS {
        if COLUMNS_BY_TERMS {
            columns[s] = columns_load(start, lane % BLOCK_TERMS, column + s * BLOCK_APART + lane / BLOCK_TERMS);
        } else {
            columns[s] = columns_load(start, s * BLOCK_STEP + lane / BLOCK_ACROSS, column + lane % BLOCK_ACROSS);
        }
    }
}
