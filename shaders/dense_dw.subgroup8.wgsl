// dw[s, i, o] = sum over n in split s of x[n, i] * dz[n, o], for eight-lane software Vulkan
//
// x   [rows, inputs]     inputs a multiple of 4
// dz  [rows, outputs]    outputs a multiple of 4; gradient before the activation
// dw  [splits, inputs, outputs]
//
// One subgroup makes a tile of 32 inputs × 32 outputs of one split, see lib/tile.wgsl.

override rows: u32;
override inputs: u32;
override outputs: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

var<private> column: u32;
var<private> split: u32;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (outputs + 31u) / 32u;
    let down = (inputs + 31u) / 32u;
    let g = group_index(group, groups);
    let row = g / across % down * 32u;
    column = g % across * 8u + lane;
    split = g / (across * down);
    let chunk = (rows + splits - 1u) / splits;
    let a = min(row / 4u + lane, inputs / 4u - 1u);
    let b = min(column, outputs / 4u - 1u);
    for (var n = split * chunk; n < min((split + 1u) * chunk, rows); n++) {
        tile_add_outer(vec4f(x[n * (inputs / 4u) + a]), dz[n * (outputs / 4u) + b]);
    }
    tile_store(row);
}

fn store_row(row: u32, values: vec4f) {
    if split < splits && row < inputs && column < outputs / 4u {
        dw[(split * inputs + row) * (outputs / 4u) + column] = values;
    }
}
