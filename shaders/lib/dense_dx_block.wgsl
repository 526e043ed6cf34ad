// Appended to the shaders of dense_dx for GPUs: what lib/block_terms.wgsl and lib/slices.wgsl ask for. Columns are
// inputs, terms outputs.

alias Loaded = vec4f;
alias Inside = vec4<bool>;
const ROWS_BY_TERMS = true;
const COLUMNS_BY_TERMS = true;

// Where four rows begin.
var<private> row_at: vec4u;

fn rows_begin(row: u32, q: u32) {
    row_at = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u)) * (outputs / 4u);
}

fn rows_load(first: u32, q: u32) {
    let at = row_at + block_four(first + q, outputs);
    inside = vec4<bool>(outputs % BLOCK_TERMS == 0u || first + q < outputs / 4u);
    loaded[0] = dz[at.x];
    loaded[1] = dz[at.y];
    loaded[2] = dz[at.z];
    loaded[3] = dz[at.w];
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if row < rows && column < inputs / 4u {
        dx[row * (inputs / 4u) + column] = values;
    }
}
