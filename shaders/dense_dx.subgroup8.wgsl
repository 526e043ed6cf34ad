// dx[n, i] = sum over o of dz[n, o] * w[i, o], for eight-lane software Vulkan
//
// dz  [rows, outputs]    outputs a multiple of 4
// w   [inputs, outputs]  inputs a multiple of 4
// dx  [rows, inputs]
//
// One subgroup makes a tile of 32 rows × 32 inputs, see lib/tile.wgsl. A lane loads four outputs of its four inputs
// and turns them over in registers.

override rows: u32;
override inputs: u32;
override outputs: u32;

@group(0) @binding(0) var<storage, read> dz: array<wide4>;
@group(0) @binding(1) var<storage, read> w: array<wide4>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

var<private> column: u32;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (inputs + 31u) / 32u;
    let g = group_index(group, groups);
    let row = g / across * 32u;
    column = g % across * 8u + lane;
    let steps = outputs / 4u;
    let own = 4u * min(column, inputs / 4u - 1u) * steps;
    let a0 = min(row + lane, rows - 1u) * steps;
    let a1 = min(row + lane + 8u, rows - 1u) * steps;
    let a2 = min(row + lane + 16u, rows - 1u) * steps;
    let a3 = min(row + lane + 24u, rows - 1u) * steps;
    for (var k = 0u; k < steps; k++) {
        let at = own + k;
        let q = transpose(mat4x4f(
            four(w[at]), four(w[at + steps]), four(w[at + 2u * steps]), four(w[at + 3u * steps]),
        ));
        tile_add_rows(four(dz[a0 + k]), four(dz[a1 + k]), four(dz[a2 + k]), four(dz[a3 + k]), q[0], q[1], q[2], q[3]);
    }
    tile_store(row);
}

fn store_row(row: u32, values: vec4f) {
    if row < rows && column < inputs / 4u {
        dx[row * (inputs / 4u) + column] = values;
    }
}
