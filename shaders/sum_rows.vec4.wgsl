// y[s, c] = sum over r in split s of x[r, c], four columns at a time
//
// x  [rows, columns/4]     columns a multiple of 4
// y  [splits, columns/4]
//
// Split s takes rows [s*chunk, (s+1)*chunk) in order. One thread makes four values; neighbouring threads read
// neighbouring columns.

override rows: u32;
override columns: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let width = columns / 4u;
    if index >= splits * width {
        return;
    }
    let c = index % width;
    let s = index / width;
    let chunk = (rows + splits - 1u) / splits;
    var sum = vec4f(0.0);
    for (var r = s * chunk; r < min((s + 1u) * chunk, rows); r++) {
        sum += x[r * width + c];
    }
    y[index] = sum;
}
