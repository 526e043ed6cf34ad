// y[r, c] = f(x[r, c])
//
// x  [rows, columns/4]   columns a multiple of 4
// y  [rows, columns/4]
//
// One thread makes four values.

override rows: u32;
override columns: u32;
override function: u32;
override factor: f32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read_write> y: array<stored4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= rows * (columns / 4u) {
        return;
    }
    y[index] = stored4(value4(vec4f(x[index])));
}
