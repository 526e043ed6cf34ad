// dx[n, i] = sum over o of dz[n, o] * w[i, o], for GPUs
//
// dz  [rows, outputs]     gradient before the activation; outputs a multiple of 4
// w   [inputs, outputs]
// dx  [rows, inputs]      inputs a multiple of 4
//
// One workgroup makes a block of 128 rows × 64 inputs, see lib/block.wgsl.

override rows: u32;
override inputs: u32;
override outputs: u32;

@group(0) @binding(0) var<storage, read> dz: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (inputs + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let g = group_index(group, groups);
    block_make(lane, g / across * (BLOCK_ROWS / 4u), g % across * (BLOCK_COLUMNS / 4u), outputs);
}

const BLOCK_ROWS = 128u;
const BLOCK_COLUMNS = 64u;
const BLOCK_TERMS = 16u;

fn columns_load(start: u32, k: u32, c: u32) -> vec4f {
    let at = 4u * min(c, inputs / 4u - 1u) * outputs + block_term(start + k, outputs);
    return vec4f(w[at], w[at + outputs], w[at + 2u * outputs], w[at + 3u * outputs]);
}
