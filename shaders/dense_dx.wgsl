// dx[n, i] = sum over o of dz[n, o] * w[i, o]
//
// dz  [rows, outputs]   gradient before the activation
// w   [inputs, outputs]
// dx  [rows, inputs]
//
// One thread makes one value of dx.

override rows: u32;
override inputs: u32;
override outputs: u32;

@group(0) @binding(0) var<storage, read> dz: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= rows * inputs {
        return;
    }
    let i = index % inputs;
    let n = index / inputs;
    var sum = 0.0;
    for (var o = 0u; o < outputs; o++) {
        sum += dz[n * outputs + o] * w[i * outputs + o];
    }
    dx[index] = sum;
}
