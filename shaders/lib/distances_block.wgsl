// Appended to the shaders of distances for GPUs: what lib/block_terms.wgsl and lib/slices.wgsl ask for. Rows are
// queries, columns references.

alias Loaded = vec4f;
alias Inside = vec4<bool>;
const ROWS_BY_TERMS = true;
const COLUMNS_BY_TERMS = true;

// Where four queries begin.
var<private> row_at: vec4u;

fn rows_begin(row: u32, q: u32) {
    row_at = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(queries - 1u)) * (dims / 4u);
}

fn rows_load(first: u32, q: u32) {
    let at = row_at + block_four(first + q, dims);
    inside = vec4<bool>(dims % BLOCK_TERMS == 0u || first + q < dims / 4u);
    loaded[0] = query[at.x];
    loaded[1] = query[at.y];
    loaded[2] = query[at.z];
    loaded[3] = query[at.w];
}

fn add_term(sum: vec4f, a: f32, b: vec4f) -> vec4f {
    let d = vec4f(a) - b;
    return fma(d, d, sum);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if row < queries && column < references / 4u {
        distance[row * (references / 4u) + column] = values;
    }
}
