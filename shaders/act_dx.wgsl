// dz[j] = dy[j] * slope,  slope = 1 where y > 0 (and < 6), else 0 (ReLU)  |  y*(1 - y) (sigmoid)  |  1 (none)
//
// y   [length]   the stored output of the activation: its slope follows from it, the input is not kept
// dy  [length]
// dz  [length]
//
// One thread makes one value.

override length: u32;
override activation: u32;

@group(0) @binding(0) var<storage, read> y: array<stored>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dz: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= length {
        return;
    }
    dz[index] = dy[index] * slope(f32(y[index]));
}
