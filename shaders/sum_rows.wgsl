// y[s, c] = sum over r in split s of x[r, c]
//
// x  [rows, columns]
// y  [splits, columns]
//
// Bias gradients (columns are channels), and the ordered second half of every split sum. Split s takes rows
// [s*chunk, (s+1)*chunk) in order. One thread makes one value; neighbouring threads read neighbouring columns.

override rows: u32;
override columns: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= splits * columns {
        return;
    }
    let c = index % columns;
    let s = index / columns;
    let chunk = (rows + splits - 1u) / splits;
    var sum = 0.0;
    for (var r = s * chunk; r < min((s + 1u) * chunk, rows); r++) {
        sum += x[r * columns + c];
    }
    y[index] = sum;
}
