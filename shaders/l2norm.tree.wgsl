// norm[n] = max(sqrt(sum over d of x[n, d]^2), 1e-12);  y[n, d] = x[n, d] / norm[n], for GPUs
//
// x     [rows, dims]
// y     [rows, dims]
// norm  [rows]         stored for the gradient
//
// Sixteen threads make a row, which they read side by side; its sum is theirs in a tree.

override rows: u32;
override dims: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = group_index(group, groups) * 4u + lane / 16u;
    let n = min(row, rows - 1u);
    var sum = 0.0;
    for (var d = lane % 16u; d < dims; d += 16u) {
        sum += x[n * dims + d] * x[n * dims + d];
    }
    let length = max(sqrt(row_total(lane, sum)), 1e-12);
    if row < rows {
        for (var d = lane % 16u; d < dims; d += 16u) {
            y[n * dims + d] = x[n * dims + d] / length;
        }
        if lane % 16u == 0u {
            norm[n] = length;
        }
    }
}
