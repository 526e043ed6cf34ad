// dw[s, i, o] = sum over n in split s of x[n, i] * dz[n, o], for any device
//
// x   [rows, inputs]             inputs a multiple of 4
// dz  [rows, outputs]            gradient before the activation; outputs a multiple of 4
// dw  [splits, inputs, outputs]
//
// One thread makes a tile of 8 inputs × 8 outputs of a split, see lib/registers.wgsl; neighbours have the same inputs.
// Split s takes rows [s*chunk, (s+1)*chunk).

override rows: u32;
override inputs: u32;
override outputs: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

var<private> split: u32;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (outputs + 7u) / 8u;
    let down = (inputs + 7u) / 8u;
    let index = group_index(group, groups) * 64u + lane;
    let row = index / across % down * 2u;
    let column = index % across * 2u;
    split = index / (across * down);
    let chunk = (rows + splits - 1u) / splits;
    let lower = min(row + 1u, inputs / 4u - 1u);
    let right = min(column + 1u, outputs / 4u - 1u);
    for (var n = split * chunk; n < min((split + 1u) * chunk, rows); n++) {
        let a = n * (inputs / 4u);
        let c = n * (outputs / 4u);
        sums_add_outer(vec4f(x[a + row]), vec4f(x[a + lower]), dz[c + column], dz[c + right]);
    }
    sums_store(4u * row, column);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if split < splits && row < inputs && column < outputs / 4u {
        dw[(split * inputs + row) * (outputs / 4u) + column] = values;
    }
}
