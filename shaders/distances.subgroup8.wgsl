// distance[q, r] = sum over d of (query[q, d] - reference[r, d])^2, for eight-lane software Vulkan
//
// query      [queries, dims]          dims a multiple of 4
// reference  [references, dims]       references a multiple of 4
// distance   [queries, references]
//
// One subgroup makes a tile of 32 queries × 32 references, see lib/tile.wgsl.

override queries: u32;
override references: u32;
override dims: u32;

@group(0) @binding(0) var<storage, read> query: array<wide4>;
@group(0) @binding(1) var<storage, read> reference: array<wide4>;
@group(0) @binding(2) var<storage, read_write> distance: array<vec4f>;

var<private> column: u32;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (references + 31u) / 32u;
    let g = group_index(group, groups);
    let row = g / across * 32u;
    column = g % across * 8u + lane;
    let steps = dims / 4u;
    let own = 4u * min(column, references / 4u - 1u) * steps;
    let a0 = min(row + lane, queries - 1u) * steps;
    let a1 = min(row + lane + 8u, queries - 1u) * steps;
    let a2 = min(row + lane + 16u, queries - 1u) * steps;
    let a3 = min(row + lane + 24u, queries - 1u) * steps;
    for (var k = 0u; k < steps; k++) {
        let at = own + k;
        let r = transpose(mat4x4f(
            four(reference[at]), four(reference[at + steps]),
            four(reference[at + 2u * steps]), four(reference[at + 3u * steps]),
        ));
        tile_add_squares(
            four(query[a0 + k]), four(query[a1 + k]), four(query[a2 + k]), four(query[a3 + k]), r[0], r[1], r[2], r[3],
        );
    }
    tile_store(row);
}

fn store_row(row: u32, values: vec4f) {
    if row < queries && column < references / 4u {
        distance[row * (references / 4u) + column] = values;
    }
}
