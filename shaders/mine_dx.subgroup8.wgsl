// Gradient of a mean cost that depends on the embeddings by their distances alone, for eight-lane software Vulkan:
//   de[i] = 2*scale / max(count, 1) * sum over j of (w[i, j] + w[j, i]) * (e[i] - e[j])
//
// e       [rows, dims/4] four values at a time, rows = labels * images, a multiple of 4
// w       [rows, rows/4] derivatives of the cost by the distances
// totals  [columns]      sums of the terms
// de      [rows, dims/4]
//
// One subgroup makes a tile of 16 rows × 32 values: lane l has values 4l..4l+3 of every row, its own and those of four
// rows j at a time, and of rows l and l+8 the weights, which are spread by broadcast. See lib/tile.wgsl.

override labels: u32;
override images: u32;
override dims: u32;
override scale: f32;
override columns: u32;

@group(0) @binding(0) var<storage, read> e: array<wide4>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> totals: array<f32>;
@group(0) @binding(3) var<storage, read_write> de: array<vec4f>;

var<private> own: array<vec4f, 16>;
var<private> sums: array<vec4f, 16>;

fn add(sum: vec4f, e: vec4f, weights: vec4f, e0: vec4f, e1: vec4f, e2: vec4f, e3: vec4f) -> vec4f {
    let first = fma(vec4f(weights.y), e - e1, fma(vec4f(weights.x), e - e0, sum));
    return fma(vec4f(weights.w), e - e3, fma(vec4f(weights.z), e - e2, first));
}

fn store(row: u32, d: u32, sum: vec4f) {
    if row < labels * images && d < dims / 4u {
        de[row * (dims / 4u) + d] = 2.0 * scale / max(totals[COUNT], 1.0) * sum;
    }
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let rows = labels * images;
    let quads = dims / 4u;
    let across = (quads + 7u) / 8u;
    let g = group_index(group, groups);
    let row = g / across * 16u;
    let d = g % across * 8u + lane;
    let at = min(d, quads - 1u);
    // for i in 0..16:
    //     own[{i}] = four(e[min(row + {i}u, rows - 1u) * quads + at]);
    own[0] = four(e[min(row + 0u, rows - 1u) * quads + at]);
    own[1] = four(e[min(row + 1u, rows - 1u) * quads + at]);
    own[2] = four(e[min(row + 2u, rows - 1u) * quads + at]);
    own[3] = four(e[min(row + 3u, rows - 1u) * quads + at]);
    own[4] = four(e[min(row + 4u, rows - 1u) * quads + at]);
    own[5] = four(e[min(row + 5u, rows - 1u) * quads + at]);
    own[6] = four(e[min(row + 6u, rows - 1u) * quads + at]);
    own[7] = four(e[min(row + 7u, rows - 1u) * quads + at]);
    own[8] = four(e[min(row + 8u, rows - 1u) * quads + at]);
    own[9] = four(e[min(row + 9u, rows - 1u) * quads + at]);
    own[10] = four(e[min(row + 10u, rows - 1u) * quads + at]);
    own[11] = four(e[min(row + 11u, rows - 1u) * quads + at]);
    own[12] = four(e[min(row + 12u, rows - 1u) * quads + at]);
    own[13] = four(e[min(row + 13u, rows - 1u) * quads + at]);
    own[14] = four(e[min(row + 14u, rows - 1u) * quads + at]);
    own[15] = four(e[min(row + 15u, rows - 1u) * quads + at]);
    // end
    let i0 = min(row + lane, rows - 1u);
    let i1 = min(row + lane + 8u, rows - 1u);
    for (var j = 0u; j < rows; j += 4u) {
        let e0 = four(e[j * quads + at]);
        let e1 = four(e[(j + 1u) * quads + at]);
        let e2 = four(e[(j + 2u) * quads + at]);
        let e3 = four(e[(j + 3u) * quads + at]);
        let w0 = w[(i0 * rows + j) / 4u] + column(j, i0);
        let w1 = w[(i1 * rows + j) / 4u] + column(j, i1);
        // for i in 0..16:
        //     sums[{i}] = add(sums[{i}], own[{i}], subgroupBroadcast(w{i / 8}, {i % 8}u), e0, e1, e2, e3);
        sums[0] = add(sums[0], own[0], subgroupBroadcast(w0, 0u), e0, e1, e2, e3);
        sums[1] = add(sums[1], own[1], subgroupBroadcast(w0, 1u), e0, e1, e2, e3);
        sums[2] = add(sums[2], own[2], subgroupBroadcast(w0, 2u), e0, e1, e2, e3);
        sums[3] = add(sums[3], own[3], subgroupBroadcast(w0, 3u), e0, e1, e2, e3);
        sums[4] = add(sums[4], own[4], subgroupBroadcast(w0, 4u), e0, e1, e2, e3);
        sums[5] = add(sums[5], own[5], subgroupBroadcast(w0, 5u), e0, e1, e2, e3);
        sums[6] = add(sums[6], own[6], subgroupBroadcast(w0, 6u), e0, e1, e2, e3);
        sums[7] = add(sums[7], own[7], subgroupBroadcast(w0, 7u), e0, e1, e2, e3);
        sums[8] = add(sums[8], own[8], subgroupBroadcast(w1, 0u), e0, e1, e2, e3);
        sums[9] = add(sums[9], own[9], subgroupBroadcast(w1, 1u), e0, e1, e2, e3);
        sums[10] = add(sums[10], own[10], subgroupBroadcast(w1, 2u), e0, e1, e2, e3);
        sums[11] = add(sums[11], own[11], subgroupBroadcast(w1, 3u), e0, e1, e2, e3);
        sums[12] = add(sums[12], own[12], subgroupBroadcast(w1, 4u), e0, e1, e2, e3);
        sums[13] = add(sums[13], own[13], subgroupBroadcast(w1, 5u), e0, e1, e2, e3);
        sums[14] = add(sums[14], own[14], subgroupBroadcast(w1, 6u), e0, e1, e2, e3);
        sums[15] = add(sums[15], own[15], subgroupBroadcast(w1, 7u), e0, e1, e2, e3);
        // end
    }
    // for i in 0..16:
    //     store(row + {i}u, d, sums[{i}]);
    store(row + 0u, d, sums[0]);
    store(row + 1u, d, sums[1]);
    store(row + 2u, d, sums[2]);
    store(row + 3u, d, sums[3]);
    store(row + 4u, d, sums[4]);
    store(row + 5u, d, sums[5]);
    store(row + 6u, d, sums[6]);
    store(row + 7u, d, sums[7]);
    store(row + 8u, d, sums[8]);
    store(row + 9u, d, sums[9]);
    store(row + 10u, d, sums[10]);
    store(row + 11u, d, sums[11]);
    store(row + 12u, d, sums[12]);
    store(row + 13u, d, sums[13]);
    store(row + 14u, d, sums[14]);
    store(row + 15u, d, sums[15]);
    // end
}

// w[j..j+3, i]
fn column(j: u32, i: u32) -> vec4f {
    let quads = labels * images / 4u;
    let at = i / 4u;
    let part = i % 4u;
    return vec4f(
        w[j * quads + at][part], w[(j + 1u) * quads + at][part],
        w[(j + 2u) * quads + at][part], w[(j + 3u) * quads + at][part],
    );
}
