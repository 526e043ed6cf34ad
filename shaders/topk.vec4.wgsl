// For each row the columns of its k smallest distances, nearest first; of equal ones the lower column first
//
// distance  [queries, references/4]   references a multiple of 4
// index     [queries, k]   k at most 16
// nearest   [queries, k]   the distances
//
// One workgroup makes one query: each thread keeps the k best of every 64th four columns, then the first thread merges
// the 64 sorted lists.

override queries: u32;
override references: u32;
override k: u32;

@group(0) @binding(0) var<storage, read> distance: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> nearest: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let q = min(group_index(group, groups), queries - 1u);
    best_begin();
    for (var r = lane; r < references / 4u; r += 64u) {
        let values = distance[q * (references / 4u) + r];
        // Seldom is one of them among the best so far.
        if any(values < vec4f(best[k - 1u])) || column[k - 1u] == references {
            best_add(values.x, 4u * r);
            best_add(values.y, 4u * r + 1u);
            best_add(values.z, 4u * r + 2u);
            best_add(values.w, 4u * r + 3u);
        }
    }
    best_merge(lane, q);
}
