// dw[s, i, o] = sum over n in split s of x[n, i] * dz[n, o], for eight-lane software Vulkan
//
// x   [rows, inputs]     inputs a multiple of 4
// dz  [rows, outputs]    outputs a multiple of 4; gradient before the activation
// dw  [splits, inputs, outputs]
//
// One subgroup makes a tile of 32 inputs × 32 outputs of one split, see lib/tile.wgsl, from four rows at a time: lane l
// has inputs 4l..4l+3 of each, and turns them over. So row 8i + l of the tile is its input 4l + i.

override rows: u32;
override inputs: u32;
override outputs: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored_wide4>;
@group(0) @binding(1) var<storage, read> dz: array<wide4>;
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
    let end = min((split + 1u) * chunk, rows);
    for (var start = split * chunk; start < end; start += 4u) {
        let n = min(start + vec4u(0u, 1u, 2u, 3u), vec4u(end - 1u));
        let mask = select(vec4f(0.0), vec4f(1.0), start + vec4u(0u, 1u, 2u, 3u) < vec4u(end));
        let at_x = n * (inputs / 4u) + a;
        let q = transpose(mat4x4f(
            mask.x * four_stored(x[at_x.x]), mask.y * four_stored(x[at_x.y]),
            mask.z * four_stored(x[at_x.z]), mask.w * four_stored(x[at_x.w]),
        ));
        let at_dz = n * (outputs / 4u) + b;
        tile_add_rows(
            q[0], q[1], q[2], q[3], four(dz[at_dz.x]), four(dz[at_dz.y]), four(dz[at_dz.z]), four(dz[at_dz.w]),
        );
    }
    tile_store(row);
}

fn store_row(at: u32, values: vec4f) {
    let row = at / 32u * 32u + at % 8u * 4u + at % 32u / 8u;
    if split < splits && row < inputs && column < outputs / 4u {
        dw[(split * inputs + row) * (outputs / 4u) + column] = values;
    }
}
