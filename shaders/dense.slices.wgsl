// y[n, o] = activation(b[o] + sum over i of x[n, i] * w[i, o]), for GPUs
//
// x  [rows, inputs]      inputs a multiple of 4
// w  [inputs, outputs]   outputs a multiple of 4
// b  [outputs]
// y  [rows, outputs]
//
// One workgroup makes 32 rows × 32 outputs, see lib/slices.wgsl.

override rows: u32;
override inputs: u32;
override outputs: u32;
override activation: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (outputs + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let g = group_index(group, groups);
    slices_make(lane, g / across * (BLOCK_ROWS / 4u), g % across * (BLOCK_COLUMNS / 4u), inputs);
}

const BLOCK_ROWS = 32u;
const BLOCK_COLUMNS = 32u;
