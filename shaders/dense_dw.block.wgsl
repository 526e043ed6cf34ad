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

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (outputs + 63u) / 64u;
    let down = (inputs + 127u) / 128u;
    let g = group_index(group, groups);
    let split = g / (across * down);
    let row = g / across % down * 32u;
    let column = g % across * 16u;
    let width = outputs / 4u;
    let chunk = (rows + splits - 1u) / splits;
    let end = min((split + 1u) * chunk, rows);
    for (var step = 0u; step < chunk; step += 16u) {
        let start = split * chunk + step;
        for (var j = lane; j < 512u; j += 256u) {
            let n = start + j / 32u;
            let i = row + j % 32u;
            let inside = n < end && i < inputs / 4u;
            let at = select(0u, n * (inputs / 4u) + i, inside);
            block_put_rows(j % 32u, j / 32u, select(vec4f(0.0), vec4f(x[at]), inside));
        }
        let n = start + lane / 16u;
        let c = column + lane % 16u;
        let inside = n < end && c < width;
        block_put_columns(lane % 16u, lane / 16u, select(vec4f(0.0), dz[select(0u, n * width + c, inside)], inside));
        block_multiply(lane);
    }
    let c = column + lane % 16u;
    for (var j = 0u; j < 8u; j++) {
        let i = 4u * row + block_row(lane, j);
        if split < splits && i < inputs && c < width {
            dw[(split * inputs + i) * width + c] = block[j];
        }
    }
}
