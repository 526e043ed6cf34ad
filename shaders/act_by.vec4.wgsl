// dz[j] = dz[j] * slope, four at a time;
// slope = 1 where y > 0 (and < 6), else 0 (ReLU)  |  y*(1 - y) (sigmoid)  |  1 (none)
//
// y   [length/4]   the stored output of the activation
// dz  [length/4]   the gradient behind it becomes that before it
//
// As act_dx, for gradients that nobody else takes. One thread makes four values. Length must be a multiple of 4.

override length: u32;
override activation: u32;

@group(0) @binding(0) var<storage, read> y: array<stored4>;
@group(0) @binding(1) var<storage, read_write> dz: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= length / 4u {
        return;
    }
    dz[index] *= slope4(vec4f(y[index]));
}
