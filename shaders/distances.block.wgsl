// distance[q, r] = sum over d of (query[q, d] - reference[r, d])^2, for GPUs
//
// query      [queries, dims]          dims a multiple of 4
// reference  [references, dims]
// distance   [queries, references]    references a multiple of 4
//
// One workgroup makes a block of 128 queries × 64 references, see lib/block.wgsl.

override queries: u32;
override references: u32;
override dims: u32;

@group(0) @binding(0) var<storage, read> query: array<vec4f>;
@group(0) @binding(1) var<storage, read> reference: array<f32>;
@group(0) @binding(2) var<storage, read_write> distance: array<vec4f>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (references + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let g = group_index(group, groups);
    block_make(lane, g / across * (BLOCK_ROWS / 4u), g % across * (BLOCK_COLUMNS / 4u), dims);
}

const BLOCK_ROWS = 128u;
const BLOCK_COLUMNS = 64u;
const BLOCK_TERMS = 16u;

fn columns_load(start: u32, k: u32, c: u32) -> vec4f {
    let at = 4u * min(c, references / 4u - 1u) * dims + block_term(start + k, dims);
    let found = vec4f(reference[at], reference[at + dims], reference[at + 2u * dims], reference[at + 3u * dims]);
    // As far from the 0 of a query as nothing.
    return select(vec4f(0.0), found, dims % BLOCK_TERMS == 0u || start + k < dims);
}
