// dw[s, i, o] = sum over n in split s of x[n, i] * dz[n, o], for GPUs
//
// x   [rows, inputs]             inputs a multiple of 4
// dz  [rows, outputs]            gradient before the activation; outputs a multiple of 4
// dw  [splits, inputs, outputs]
//
// One workgroup makes a block of 128 inputs × 64 outputs of a split, see lib/block.wgsl. Split s takes rows
// [s*chunk, (s+1)*chunk).

override rows: u32;
override inputs: u32;
override outputs: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    block_make_split(lane, group_index(group, groups));
}

const BLOCK_ROWS = 128u;
const BLOCK_COLUMNS = 64u;
const BLOCK_TERMS = 16u;
