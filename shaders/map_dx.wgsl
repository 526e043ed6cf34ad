// dx[r, c] = dy[r, c] * f'(x[r, c])
//
// x   [rows, columns]
// dy  [rows, columns]
// dx  [rows, columns]
//
// One thread makes one value.

override rows: u32;
override columns: u32;
override function: u32;
override factor: f32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= rows * columns {
        return;
    }
    dx[index] = dy[index] * slope(f32(x[index]));
}
