// distance[q, r] = sum over d of (query[q, d] - reference[r, d])^2, for GPUs
//
// query      [queries, dims]          dims a multiple of 4
// reference  [references, dims]
// distance   [queries, references]    references a multiple of 4
//
// One workgroup makes 32 queries × 32 references, see lib/slices.wgsl.

override queries: u32;
override references: u32;
override dims: u32;

@group(0) @binding(0) var<storage, read> query: array<vec4f>;
@group(0) @binding(1) var<storage, read> reference: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> distance: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (references + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let g = group_index(group, groups);
    slices_make(lane, g / across * (BLOCK_ROWS / 4u), g % across * (BLOCK_COLUMNS / 4u), dims);
}

const BLOCK_ROWS = 32u;
const BLOCK_COLUMNS = 32u;

// Four terms from start + 4*q of a column.
fn columns_load(start: u32, q: u32, column: u32) -> vec4f {
    let found = reference[min(column, references - 1u) * (dims / 4u) + block_four(start / 4u + q, dims)];
    // As far from the 0 of a query as nothing.
    return select(vec4f(0.0), found, dims % BLOCK_TERMS == 0u || start + 4u * q < dims);
}
