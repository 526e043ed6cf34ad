// y[n, o] = activation(b[o] + sum over i of x[n, i] * w[i, o]), for GPUs
//
// x  [rows, inputs]      inputs a multiple of 4
// w  [inputs, outputs]   outputs a multiple of 4
// b  [outputs]
// y  [rows, outputs]
//
// One workgroup makes a block of 128 rows × 64 outputs, see lib/block.wgsl.

override rows: u32;
override inputs: u32;
override outputs: u32;
override activation: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

// Values 4i..4i+3 of row n, 0 outside.
fn terms_of(n: u32, i: u32) -> vec4f {
    let inside = n < rows && i < inputs / 4u;
    return select(vec4f(0.0), vec4f(x[select(0u, n * (inputs / 4u) + i, inside)]), inside);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (outputs + 63u) / 64u;
    let g = group_index(group, groups);
    let row = g / across * 128u;
    let column = g % across * 16u;
    let width = outputs / 4u;
    for (var start = 0u; start < inputs; start += 16u) {
        block_put_terms(lane, row, start);
        let i = start + lane / 16u;
        let c = column + lane % 16u;
        let inside = i < inputs && c < width;
        block_put_columns(lane % 16u, lane / 16u, select(vec4f(0.0), w[select(0u, i * width + c, inside)], inside));
        block_multiply(lane);
    }
    let c = column + lane % 16u;
    for (var j = 0u; j < 8u; j++) {
        let n = row + block_row(lane, j);
        if n < rows && c < width {
            y[n * width + c] = activate4(b[c] + block[j]);
        }
    }
}
