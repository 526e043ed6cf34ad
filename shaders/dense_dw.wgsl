// dw[s, i, o] = sum over n in split s of x[n, i] * dz[n, o]
//
// x   [rows, inputs]
// dz  [rows, outputs]   gradient before the activation
// dw  [splits, inputs, outputs]
//
// One thread makes one value of dw. The rows are dealt to `splits` partial sums, which sum_rows adds in order. Split s
// takes rows [s*chunk, (s+1)*chunk).

override rows: u32;
override inputs: u32;
override outputs: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> dz: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= splits * inputs * outputs {
        return;
    }
    let o = index % outputs;
    let i = index / outputs % inputs;
    let s = index / (outputs * inputs);
    let chunk = (rows + splits - 1u) / splits;
    var sum = 0.0;
    for (var n = s * chunk; n < min((s + 1u) * chunk, rows); n++) {
        sum += f32(x[n * inputs + i]) * dz[n * outputs + o];
    }
    dw[index] = sum;
}
