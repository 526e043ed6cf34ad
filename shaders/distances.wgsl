// distance[q, r] = sum over d of (query[q, d] - reference[r, d])^2
//
// query      [queries, dims]
// reference  [references, dims]
// distance   [queries, references]
//
// Of differences, not by |q|^2 + |r|^2 - 2qr: near neighbours keep their digits. One thread makes one distance.

override queries: u32;
override references: u32;
override dims: u32;

@group(0) @binding(0) var<storage, read> query: array<f32>;
@group(0) @binding(1) var<storage, read> reference: array<f32>;
@group(0) @binding(2) var<storage, read_write> distance: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= queries * references {
        return;
    }
    let r = index % references;
    let q = index / references;
    var sum = 0.0;
    for (var d = 0u; d < dims; d++) {
        let difference = query[q * dims + d] - reference[r * dims + d];
        sum += difference * difference;
    }
    distance[index] = sum;
}
