// Adds the mean cost of further terms to that of a batch's, whose count stays:
//   terms[n].cost += further[n].cost * max(totals.count, 1) / max(further_totals.count, 1)
//
// further         [rows, columns]
// totals          [columns]         sums of the terms
// further_totals  [columns]         sums of the further ones
// terms           [rows, columns]
//
// One thread makes one value.

override rows: u32;
override columns: u32;

@group(0) @binding(0) var<storage, read> further: array<f32>;
@group(0) @binding(1) var<storage, read> totals: array<f32>;
@group(0) @binding(2) var<storage, read> further_totals: array<f32>;
@group(0) @binding(3) var<storage, read_write> terms: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= rows * columns {
        return;
    }
    if index % columns == COST {
        terms[index] += further[index] * max(totals[COUNT], 1.0) / max(further_totals[COUNT], 1.0);
    }
}
