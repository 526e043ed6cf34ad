// dx[n, i] = sum over o of dz[n, o] * w[i, o], for GPUs
//
// dz  [rows, outputs]     gradient before the activation; outputs a multiple of 4
// w   [inputs, outputs]
// dx  [rows, inputs]      inputs a multiple of 4
//
// One workgroup makes 32 rows × 32 inputs, see lib/slices.wgsl.

override rows: u32;
override inputs: u32;
override outputs: u32;

@group(0) @binding(0) var<storage, read> dz: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (inputs + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let g = group_index(group, groups);
    slices_make(lane, g / across * (BLOCK_ROWS / 4u), g % across * (BLOCK_COLUMNS / 4u), outputs);
}

const BLOCK_ROWS = 32u;
const BLOCK_COLUMNS = 32u;

// Four terms from start + 4*q of a column.
fn columns_load(start: u32, q: u32, column: u32) -> vec4f {
    return w[min(column, inputs - 1u) * (outputs / 4u) + block_four(start / 4u + q, outputs)];
}
