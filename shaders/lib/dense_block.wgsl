// Appended to the shaders of dense for GPUs: what lib/block_terms.wgsl and lib/slices.wgsl ask for.

alias Loaded = stored4;
alias Inside = vec4<bool>;
const ROWS_BY_TERMS = true;
const COLUMNS_BY_TERMS = false;

// Where four rows begin.
var<private> row_at: vec4u;

fn rows_begin(row: u32, q: u32) {
    row_at = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u)) * (inputs / 4u);
}

fn rows_load(first: u32, q: u32) {
    let at = row_at + block_four(first + q, inputs);
    inside = vec4<bool>(inputs % BLOCK_TERMS == 0u || first + q < inputs / 4u);
    loaded[0] = x[at.x];
    loaded[1] = x[at.y];
    loaded[2] = x[at.z];
    loaded[3] = x[at.w];
}

fn columns_load(start: u32, k: u32, c: u32) -> vec4f {
    let width = outputs / 4u;
    return w[block_term(start + k, inputs) * width + min(c, width - 1u)];
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if row < rows && column < outputs / 4u {
        y[row * (outputs / 4u) + column] = activate4(b[column] + values);
    }
}
