// y[j] += x[j], four at a time
//
// x  [length/4]
// y  [length/4]   in place
//
// One thread makes four values.

override length: u32;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= length / 4u {
        return;
    }
    y[index] = y[index] + x[index];
}
