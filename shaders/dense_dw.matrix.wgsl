// dw[s, i, o] = sum over n in split s of x[n, i] * dz[n, o], by matrices
//
// x   [rows, inputs]             inputs a multiple of 4
// dz  [rows, outputs]            gradient before the activation; outputs a multiple of 4
// dw  [splits, inputs, outputs]
//
// One workgroup makes a block of eight tiles of inputs × four of outputs of a split, see lib/matrix.wgsl. Split s
// takes rows [s*chunk, (s+1)*chunk).

override rows: u32;
override inputs: u32;
override outputs: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32) {
    for (var first = 0u; first < STRIPS; first += subgroups) {
        strips_begin(first, subgroup, subgroups);
        block_make_split(lane, group_index(group, groups));
    }
}

const ROWS_SCALE = 1.0;
const COLUMNS_SCALE = GRADIENT_SCALE;
