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

// Gradients 4o..4o+3 of row n, 0 outside.
fn terms_of(n: u32, o: u32) -> vec4f {
    let inside = n < rows && o < outputs / 4u;
    return select(vec4f(0.0), dz[select(0u, n * (outputs / 4u) + o, inside)], inside);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (inputs + 63u) / 64u;
    let g = group_index(group, groups);
    let row = g / across * 128u;
    let column = g % across * 16u;
    for (var start = 0u; start < outputs; start += 16u) {
        block_put_terms(lane, row, start);
        // Neighbouring threads read neighbouring terms of one column.
        let o = start + lane % 16u;
        let i = 4u * (column + lane / 16u);
        let inside = o < outputs && i < inputs;
        let at = select(0u, i * outputs + o, inside);
        let step = select(0u, outputs, inside);
        let columns = vec4f(w[at], w[at + step], w[at + 2u * step], w[at + 3u * step]);
        block_put_columns(lane / 16u, lane % 16u, select(vec4f(0.0), columns, inside));
        block_multiply(lane);
    }
    let c = column + lane % 16u;
    for (var j = 0u; j < 8u; j++) {
        let n = row + block_row(lane, j);
        if n < rows && c < inputs / 4u {
            dx[n * (inputs / 4u) + c] = block[j];
        }
    }
}
