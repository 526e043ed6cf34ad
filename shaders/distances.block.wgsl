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

// Values 4d..4d+3 of query q, 0 outside.
fn terms_of(q: u32, d: u32) -> vec4f {
    let inside = q < queries && d < dims / 4u;
    return select(vec4f(0.0), query[select(0u, q * (dims / 4u) + d, inside)], inside);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (references + 63u) / 64u;
    let g = group_index(group, groups);
    let row = g / across * 128u;
    let column = g % across * 16u;
    for (var start = 0u; start < dims; start += 16u) {
        block_put_terms(lane, row, start);
        // Neighbouring threads read neighbouring values of one reference.
        let d = start + lane % 16u;
        let r = 4u * (column + lane / 16u);
        let inside = d < dims && r < references;
        let at = select(0u, r * dims + d, inside);
        let step = select(0u, dims, inside);
        let columns = vec4f(reference[at], reference[at + step], reference[at + 2u * step], reference[at + 3u * step]);
        block_put_columns(lane / 16u, lane % 16u, select(vec4f(0.0), columns, inside));
        block_add_squares(lane);
    }
    let c = column + lane % 16u;
    for (var j = 0u; j < 8u; j++) {
        let q = row + block_row(lane, j);
        if q < queries && c < references / 4u {
            distance[q * (references / 4u) + c] = block[j];
        }
    }
}
