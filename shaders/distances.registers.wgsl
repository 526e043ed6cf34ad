// distance[q, r] = sum over d of (query[q, d] - reference[r, d])^2, for any device
//
// query      [queries, dims]          dims a multiple of 4
// reference  [references, dims]       references a multiple of 4
// distance   [queries, references]
//
// One thread makes a tile of 8 queries × 8 references, see lib/registers.wgsl; neighbours have the same queries.

override queries: u32;
override references: u32;
override dims: u32;

@group(0) @binding(0) var<storage, read> query: array<vec4f>;
@group(0) @binding(1) var<storage, read> reference: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> distance: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (references + 7u) / 8u;
    let index = group_index(group, groups) * 64u + lane;
    let row = index / across * 8u;
    let column = index % across * 2u;
    let steps = dims / 4u;
    let upper = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(queries - 1u)) * steps;
    let lower = min(row + vec4u(4u, 5u, 6u, 7u), vec4u(queries - 1u)) * steps;
    let right = 4u * min(column + 1u, references / 4u - 1u) * steps;
    for (var k = 0u; k < steps; k++) {
        let l = 4u * column * steps + k;
        let r = right + k;
        let p = transpose(mat4x4f(
            reference[l], reference[l + steps], reference[l + 2u * steps], reference[l + 3u * steps],
        ));
        let q = transpose(mat4x4f(
            reference[r], reference[r + steps], reference[r + 2u * steps], reference[r + 3u * steps],
        ));
        sums_add_squares(
            query[upper.x + k], query[upper.y + k], query[upper.z + k], query[upper.w + k],
            query[lower.x + k], query[lower.y + k], query[lower.z + k], query[lower.w + k],
            p[0], p[1], p[2], p[3], q[0], q[1], q[2], q[3],
        );
    }
    sums_store(row, column);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if row < queries && column < references / 4u {
        distance[row * (references / 4u) + column] = values;
    }
}
