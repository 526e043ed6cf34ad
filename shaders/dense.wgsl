// y[n, o] = activation(b[o] + sum over i of x[n, i] * w[i, o])
//
// x  [rows, inputs]
// w  [inputs, outputs]
// b  [outputs]
// y  [rows, outputs]
//
// One thread makes one output value; neighbouring threads read neighbouring weights.

override rows: u32;
override inputs: u32;
override outputs: u32;
override activation: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= rows * outputs {
        return;
    }
    let o = index % outputs;
    let n = index / outputs;
    var sum = b[o];
    for (var i = 0u; i < inputs; i++) {
        sum += f32(x[n * inputs + i]) * w[i * outputs + o];
    }
    y[index] = activate(sum);
}
