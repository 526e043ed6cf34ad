// dx[n, i] = sum over o of dz[n, o] * w[i, o], for any device
//
// dz  [rows, outputs]     gradient before the activation; outputs a multiple of 4
// w   [inputs, outputs]
// dx  [rows, inputs]      inputs a multiple of 4
//
// One thread makes a tile of 8 rows × 8 inputs, see lib/registers.wgsl; neighbours have the same rows. It loads four
// outputs of each of its inputs and turns them over.

override rows: u32;
override inputs: u32;
override outputs: u32;

@group(0) @binding(0) var<storage, read> dz: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (inputs + 7u) / 8u;
    let index = group_index(group, groups) * 64u + lane;
    let row = index / across * 8u;
    let column = index % across * 2u;
    let steps = outputs / 4u;
    let upper = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(rows - 1u)) * steps;
    let lower = min(row + vec4u(4u, 5u, 6u, 7u), vec4u(rows - 1u)) * steps;
    let right = 4u * min(column + 1u, inputs / 4u - 1u) * steps;
    for (var k = 0u; k < steps; k++) {
        let l = 4u * column * steps + k;
        let r = right + k;
        let p = transpose(mat4x4f(w[l], w[l + steps], w[l + 2u * steps], w[l + 3u * steps]));
        let q = transpose(mat4x4f(w[r], w[r + steps], w[r + 2u * steps], w[r + 3u * steps]));
        sums_add_rows(
            dz[upper.x + k], dz[upper.y + k], dz[upper.z + k], dz[upper.w + k],
            dz[lower.x + k], dz[lower.y + k], dz[lower.z + k], dz[lower.w + k],
            p[0], p[1], p[2], p[3], q[0], q[1], q[2], q[3],
        );
    }
    sums_store(row, column);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    if row < rows && column < inputs / 4u {
        dx[row * (inputs / 4u) + column] = values;
    }
}
