// Adds the gradient of the mean cost of rows paired with references that stay as they are:
//   de[i] += 2 / max(count, 1) * sum over j of w[i, j] * (e[i] - r[j])
//
// e       [rows, dims]
// r       [references, dims]
// w       [rows, references]   derivatives of the cost by the squared distances
// totals  [columns]            sums of the terms
// de      [rows, dims]
//
// One thread makes one value; neighbouring threads read one w and neighbouring r.

override rows: u32;
override references: u32;
override dims: u32;
override columns: u32;

@group(0) @binding(0) var<storage, read> e: array<f32>;
@group(0) @binding(1) var<storage, read> r: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> totals: array<f32>;
@group(0) @binding(4) var<storage, read_write> de: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= rows * dims {
        return;
    }
    let i = index / dims;
    let d = index % dims;
    let own = e[index];
    var sum = 0.0;
    for (var j = 0u; j < references; j++) {
        sum += w[i * references + j] * (own - r[j * dims + d]);
    }
    de[index] += 2.0 / max(totals[COUNT], 1.0) * sum;
}
