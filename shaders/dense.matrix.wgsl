// y[n, o] = activation(b[o] + sum over i of x[n, i] * w[i, o]), by matrices
//
// x  [rows, inputs]      inputs a multiple of 4
// w  [inputs, outputs]   outputs a multiple of 4
// b  [outputs]
// y  [rows, outputs]
//
// One workgroup makes a block of eight tiles of rows × four of outputs, see lib/matrix.wgsl.

override rows: u32;
override inputs: u32;
override outputs: u32;
override activation: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32) {
    let across = (outputs + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let g = group_index(group, groups);
    for (var first = 0u; first < STRIPS; first += subgroups) {
        strips_begin(first, subgroup, subgroups);
        block_make(lane, g / across * (BLOCK_ROWS / 4u), g % across * (BLOCK_COLUMNS / 4u), inputs);
    }
}

const ROWS_SCALE = 1.0;
const COLUMNS_SCALE = 1.0;
