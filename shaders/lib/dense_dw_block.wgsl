// Appended to the shaders of dense_dw for GPUs: what lib/block_terms.wgsl asks for. Rows are inputs, columns outputs,
// and terms the rows of a split.

alias Loaded = stored4;
alias Inside = vec4<bool>;
const ROWS_BY_TERMS = false;
const COLUMNS_BY_TERMS = false;

// The split, its first row and the end of its rows.
var<private> split: u32;
var<private> begin: u32;
var<private> end: u32;
// Four inputs.
var<private> input: u32;

fn rows_begin(row: u32, q: u32) {
    input = min(row / 4u, inputs / 4u - 1u);
}

fn rows_load(first: u32, q: u32) {
    let n = begin + 4u * (first + q) + vec4u(0u, 1u, 2u, 3u);
    inside = n < vec4u(end);
    let at = min(n, vec4u(rows - 1u)) * (inputs / 4u) + input;
    loaded[0] = x[at.x];
    loaded[1] = x[at.y];
    loaded[2] = x[at.z];
    loaded[3] = x[at.w];
}

fn columns_load(start: u32, k: u32, c: u32) -> vec4f {
    let width = outputs / 4u;
    return dz[min(begin + start + k, rows - 1u) * width + min(c, width - 1u)];
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if split < splits && row < inputs && column < outputs / 4u {
        dw[(split * inputs + row) * (outputs / 4u) + column] = values;
    }
}

// The block of a workgroup: all of a split follow one another.
fn block_make_split(lane: u32, group: u32) {
    let across = (outputs + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let down = (inputs + BLOCK_ROWS - 1u) / BLOCK_ROWS;
    let chunk = (rows + splits - 1u) / splits;
    split = group / (across * down);
    begin = min(split * chunk, rows);
    end = min((split + 1u) * chunk, rows);
    block_make(lane, group / across % down * BLOCK_DOWN, group % across * BLOCK_ACROSS, chunk);
}
