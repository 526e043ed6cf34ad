// Appended to the shaders that multiply by cooperative matrices, with lib/block_terms.wgsl and lib/matrix8.wgsl or
// lib/matrix16.wgsl: a block of 8 × 4 tiles of sums over terms. Operands are rounded to 16 bits in workgroup memory,
// sums are kept in 32.
//
// A subgroup makes a strip of 2 × 4 tiles, whatever its lanes are. Where there are fewer subgroups than strips, the
// shader makes the block in several rounds, see strips_begin; where there are more, some only load. Only a loop can say
// so: naga takes no `if` for control flow that is the same in a whole subgroup.
//
// The shader declares ROWS_SCALE and COLUMNS_SCALE, 1 or GRADIENT_SCALE.

const BLOCK_ROWS = 8u * TILE;
const BLOCK_COLUMNS = 4u * TILE;
const BLOCK_TERMS = 256u / TILE;
const BLOCK_THREADS = 128u;
const STRIPS = 4u;

// Where 16 bits end; what is beyond becomes that.
const LARGEST = 65504.0;
// Gradients times this lie between what 16 bits hold of either side: to 32, and with all their digits down to 3e-8. The
// sums are divided by it. A power of two, so that nothing is rounded by it.
const GRADIENT_SCALE = 2048.0;

// Both operands, as their terms or else rows lie in memory. The eight behind each line are there so that lines begin in
// other banks; they must begin at whole 16 bytes.
const A_BY_TERMS = BLOCK_TERMS + 8u;
const A_BY_ROWS = BLOCK_ROWS + 8u;
const B_STRIDE = BLOCK_COLUMNS + 8u;
var<workgroup> block_a: array<f16, BLOCK_ROWS * A_BY_TERMS>;
var<workgroup> block_b: array<f16, BLOCK_TERMS * B_STRIDE>;
// A tile of sums of each strip on its way out.
const PART_STRIDE = TILE + 4u;
const PART = TILE * PART_STRIDE;
var<workgroup> parts: array<f32, STRIPS * PART>;

// Two rows of four tiles, one after the other.
var<private> sums: array<TileOfSums, 8>;
// The strip of this thread's subgroup; the first of the round, and the end.
var<private> strip: u32;
var<private> strip_first: u32;
var<private> strip_end: u32;

// Begins the round of the strips from `first`.
fn strips_begin(first: u32, subgroup: u32, subgroups: u32) {
    strip = first + subgroup;
    strip_first = first;
    strip_end = min(first + subgroups, STRIPS);
    sums = array<TileOfSums, 8>();
}

fn halves(values: vec4f, scale: f32) -> vec4<f16> {
    return vec4<f16>(clamp(scale * values, vec4f(-LARGEST), vec4f(LARGEST)));
}

// Puts what was sent for where all subgroups find it, once they are done with the last.
fn block_put(lane: u32) {
    workgroupBarrier();
    // for j in 0..4:
    //     let a{j} = halves(select(vec4f(0.0), vec4f(loaded[{j}]), inside[{j}]), ROWS_SCALE);
    let a0 = halves(select(vec4f(0.0), vec4f(loaded[0]), inside[0]), ROWS_SCALE);
    let a1 = halves(select(vec4f(0.0), vec4f(loaded[1]), inside[1]), ROWS_SCALE);
    let a2 = halves(select(vec4f(0.0), vec4f(loaded[2]), inside[2]), ROWS_SCALE);
    let a3 = halves(select(vec4f(0.0), vec4f(loaded[3]), inside[3]), ROWS_SCALE);
    // end
    if ROWS_BY_TERMS {
        let at = 4u * (lane / (BLOCK_TERMS / 4u) * A_BY_TERMS + lane % (BLOCK_TERMS / 4u));
        // for j in 0..4:
        //     put_a(at + {j}u * A_BY_TERMS, a{j});
        put_a(at + 0u * A_BY_TERMS, a0);
        put_a(at + 1u * A_BY_TERMS, a1);
        put_a(at + 2u * A_BY_TERMS, a2);
        put_a(at + 3u * A_BY_TERMS, a3);
        // end
    } else {
        let at = 4u * (lane / BLOCK_DOWN * A_BY_ROWS + lane % BLOCK_DOWN);
        // for j in 0..4:
        //     put_a(at + {j}u * A_BY_ROWS, a{j});
        put_a(at + 0u * A_BY_ROWS, a0);
        put_a(at + 1u * A_BY_ROWS, a1);
        put_a(at + 2u * A_BY_ROWS, a2);
        put_a(at + 3u * A_BY_ROWS, a3);
        // end
    }
    // for s in 0..2:
    //     block_put_step(lane, {s}u, halves(columns[{s}], COLUMNS_SCALE));
    block_put_step(lane, 0u, halves(columns[0], COLUMNS_SCALE));
    block_put_step(lane, 1u, halves(columns[1], COLUMNS_SCALE));
    // end
    workgroupBarrier();
}

fn put_a(at: u32, values: vec4<f16>) {
    block_a[at] = values.x;
    block_a[at + 1u] = values.y;
    block_a[at + 2u] = values.z;
    block_a[at + 3u] = values.w;
}

fn block_put_step(lane: u32, s: u32, values: vec4<f16>) {
    var k = s * BLOCK_STEP + lane / BLOCK_ACROSS;
    var c = lane % BLOCK_ACROSS;
    if COLUMNS_BY_TERMS {
        k = lane % BLOCK_TERMS;
        c = s * BLOCK_APART + lane / BLOCK_TERMS;
    }
    let at = k * B_STRIDE + 4u * c;
    block_b[at] = values.x;
    block_b[at + 1u] = values.y;
    block_b[at + 2u] = values.z;
    block_b[at + 3u] = values.w;
}

// Adds the terms that were put.
fn block_add(lane: u32) {
    for (var own = strip; own < STRIPS; own += STRIPS) {
        for (var k = 0u; k < BLOCK_TERMS; k += TILE) {
            strip_add(2u * own * TILE, k);
        }
    }
}

// Adds a tile of terms to the strip of rows from `row`.
fn strip_add(row: u32, k: u32) {
    var upper: TileOfRows;
    var lower: TileOfRows;
    if ROWS_BY_TERMS {
        upper = coopLoadT<TileOfRows>(&block_a[row * A_BY_TERMS + k], A_BY_TERMS);
        lower = coopLoadT<TileOfRows>(&block_a[(row + TILE) * A_BY_TERMS + k], A_BY_TERMS);
    } else {
        upper = coopLoad<TileOfRows>(&block_a[k * A_BY_ROWS + row], A_BY_ROWS);
        lower = coopLoad<TileOfRows>(&block_a[k * A_BY_ROWS + row + TILE], A_BY_ROWS);
    }
    // for j in 0..4:
    //     let b{j} = coopLoadT<TileOfColumns>(&block_b[k * B_STRIDE + {j}u * TILE], B_STRIDE);
    //     sums[{j}] = coopMultiplyAdd(upper, b{j}, sums[{j}]);
    //     sums[{4 + j}] = coopMultiplyAdd(lower, b{j}, sums[{4 + j}]);
    let b0 = coopLoadT<TileOfColumns>(&block_b[k * B_STRIDE + 0u * TILE], B_STRIDE);
    sums[0] = coopMultiplyAdd(upper, b0, sums[0]);
    sums[4] = coopMultiplyAdd(lower, b0, sums[4]);
    let b1 = coopLoadT<TileOfColumns>(&block_b[k * B_STRIDE + 1u * TILE], B_STRIDE);
    sums[1] = coopMultiplyAdd(upper, b1, sums[1]);
    sums[5] = coopMultiplyAdd(lower, b1, sums[5]);
    let b2 = coopLoadT<TileOfColumns>(&block_b[k * B_STRIDE + 2u * TILE], B_STRIDE);
    sums[2] = coopMultiplyAdd(upper, b2, sums[2]);
    sums[6] = coopMultiplyAdd(lower, b2, sums[6]);
    let b3 = coopLoadT<TileOfColumns>(&block_b[k * B_STRIDE + 3u * TILE], B_STRIDE);
    sums[3] = coopMultiplyAdd(upper, b3, sums[3]);
    sums[7] = coopMultiplyAdd(lower, b3, sums[7]);
    // end
}

fn block_store(lane: u32, row: u32, column: u32) {
    for (var tile = 0u; tile < 8u; tile++) {
        workgroupBarrier();
        if strip < STRIPS {
            strip_put(tile);
        }
        workgroupBarrier();
        parts_store(lane, row + tile / 4u * (TILE / 4u), column + tile % 4u * (TILE / 4u));
    }
}

// Puts a tile of the strip into `parts`. By cases, as an array indexed by a variable does not stay in registers.
fn strip_put(tile: u32) {
    let at = strip * PART;
    switch tile {
        case 0u: { coopStoreT(sums[0], &parts[at], PART_STRIDE); }
        case 1u: { coopStoreT(sums[1], &parts[at], PART_STRIDE); }
        case 2u: { coopStoreT(sums[2], &parts[at], PART_STRIDE); }
        case 3u: { coopStoreT(sums[3], &parts[at], PART_STRIDE); }
        case 4u: { coopStoreT(sums[4], &parts[at], PART_STRIDE); }
        case 5u: { coopStoreT(sums[5], &parts[at], PART_STRIDE); }
        case 6u: { coopStoreT(sums[6], &parts[at], PART_STRIDE); }
        default: { coopStoreT(sums[7], &parts[at], PART_STRIDE); }
    }
}

// Stores the tiles that lie in `parts`, of the rows from 4*row of the first strip and the columns from 4*column.
fn parts_store(lane: u32, row: u32, column: u32) {
    let fours = TILE / 4u;
    let own = lane / (fours * fours);
    let r = lane / fours % fours;
    let c = lane % fours;
    if own >= strip_first && own < strip_end {
        let at = own * PART + 4u * (r * PART_STRIDE + c);
        let first = 4u * (row + 2u * own * fours + r);
        // for j in 0..4:
        //     store_part(first + {j}u, column + c, part(at + {j}u * PART_STRIDE));
        store_part(first + 0u, column + c, part(at + 0u * PART_STRIDE));
        store_part(first + 1u, column + c, part(at + 1u * PART_STRIDE));
        store_part(first + 2u, column + c, part(at + 2u * PART_STRIDE));
        store_part(first + 3u, column + c, part(at + 3u * PART_STRIDE));
        // end
    }
}

// Four sums.
fn part(at: u32) -> vec4f {
    return vec4f(parts[at], parts[at + 1u], parts[at + 2u], parts[at + 3u]) / (ROWS_SCALE * COLUMNS_SCALE);
}
