// dx[n, d] = (dy[n, d] - y[n, d] * sum over e of y[n, e]*dy[n, e]) / norm[n], for GPUs
//
// y     [rows, dims]   the normalised rows
// norm  [rows]
// dy    [rows, dims]
// dx    [rows, dims]
//
// Sixteen threads make a row, which they read side by side; its sum is theirs in a tree.

override rows: u32;
override dims: u32;

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> norm: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group_index(group, groups) * 4u + lane / 16u;
    let n = min(row, rows - 1u);
    var along = 0.0;
    for (var d = lane % 16u; d < dims; d += 16u) {
        along += y[n * dims + d] * dy[n * dims + d];
    }
    along = row_total(lane, along);
    if row < rows {
        for (var d = lane % 16u; d < dims; d += 16u) {
            dx[n * dims + d] = (dy[n * dims + d] - y[n * dims + d] * along) / norm[n];
        }
    }
}
