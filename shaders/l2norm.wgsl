// norm[n] = max(sqrt(sum over d of x[n, d]^2), 1e-12);  y[n, d] = x[n, d] / norm[n]
//
// x     [rows, dims]
// y     [rows, dims]
// norm  [rows]         stored for the gradient
//
// One thread makes one row: rows are short and few.

override rows: u32;
override dims: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * 64u + lane;
    if n >= rows {
        return;
    }
    var sum = 0.0;
    for (var d = 0u; d < dims; d++) {
        sum += x[n * dims + d] * x[n * dims + d];
    }
    let length = max(sqrt(sum), 1e-12);
    for (var d = 0u; d < dims; d++) {
        y[n * dims + d] = x[n * dims + d] / length;
    }
    norm[n] = length;
}
