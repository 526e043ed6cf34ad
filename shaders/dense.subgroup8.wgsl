// y[n, o] = activation(b[o] + sum over i of x[n, i] * w[i, o]), for eight-lane software Vulkan
//
// x  [rows, inputs]      inputs a multiple of 4
// w  [inputs, outputs]   outputs a multiple of 4
// b  [outputs]
// y  [rows, outputs]
//
// One subgroup makes a tile of 32 rows × 32 outputs, see lib/tile.wgsl.

override rows: u32;
override inputs: u32;
override outputs: u32;
override activation: u32;

@group(0) @binding(0) var<storage, read> x: array<stored_wide4>;
@group(0) @binding(1) var<storage, read> w: array<wide4>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

var<private> column: u32;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (outputs + 31u) / 32u;
    let g = group_index(group, groups);
    let row = g / across * 32u;
    column = g % across * 8u + lane;
    let width = outputs / 4u;
    let own = min(column, width - 1u);
    let steps = inputs / 4u;
    let a0 = min(row + lane, rows - 1u) * steps;
    let a1 = min(row + lane + 8u, rows - 1u) * steps;
    let a2 = min(row + lane + 16u, rows - 1u) * steps;
    let a3 = min(row + lane + 24u, rows - 1u) * steps;
    for (var k = 0u; k < steps; k++) {
        let at = 4u * k * width + own;
        tile_add_rows(
            four_stored(x[a0 + k]), four_stored(x[a1 + k]), four_stored(x[a2 + k]), four_stored(x[a3 + k]),
            four(w[at]), four(w[at + width]), four(w[at + 2u * width]), four(w[at + 3u * width]),
        );
    }
    tile_store(row);
}

fn store_row(row: u32, values: vec4f) {
    if row < rows && column < outputs / 4u {
        y[row * (outputs / 4u) + column] = activate4(b[column] + values);
    }
}
