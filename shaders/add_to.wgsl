// y[j] += x[j]
//
// x  [length]
// y  [length]   in place
//
// One thread makes one value.

override length: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= length {
        return;
    }
    y[index] = y[index] + x[index];
}
