// y[n, o] = activation(b[o] + sum over i of x[n, i] * w[i, o]), for any device
//
// x  [rows, inputs]      inputs a multiple of 4
// w  [inputs, outputs]   outputs a multiple of 4
// b  [outputs]
// y  [rows, outputs]
//
// One thread makes a tile of 8 rows × 8 outputs, see lib/registers.wgsl; neighbours have the same rows.

override rows: u32;
override inputs: u32;
override outputs: u32;
override activation: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (outputs + 7u) / 8u;
    let index = group_index(group, groups) * 64u + lane;
    let row = index / across * 8u;
    let column = index % across * 2u;
    let width = outputs / 4u;
    let steps = inputs / 4u;
    let upper = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u)) * steps;
    let lower = min(row + vec4u(4u, 5u, 6u, 7u), vec4u(rows - 1u)) * steps;
    let step = min(column + 1u, width - 1u) - column;
    for (var k = 0u; k < steps; k++) {
        let l = 4u * k * width + column;
        let r = l + step;
        sums_add_rows(
            vec4f(x[upper.x + k]), vec4f(x[upper.y + k]), vec4f(x[upper.z + k]), vec4f(x[upper.w + k]),
            vec4f(x[lower.x + k]), vec4f(x[lower.y + k]), vec4f(x[lower.z + k]), vec4f(x[lower.w + k]),
            w[l], w[l + width], w[l + 2u * width], w[l + 3u * width],
            w[r], w[r + width], w[r + 2u * width], w[r + 3u * width],
        );
    }
    sums_store(row, column);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if row < rows && column < outputs / 4u {
        y[row * (outputs / 4u) + column] = activate4(b[column] + values);
    }
}
