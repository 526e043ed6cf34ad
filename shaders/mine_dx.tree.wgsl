// Gradient of a mean cost that depends on the embeddings by their distances alone, for GPUs:
//   de[i] = 2*scale / max(count, 1) * sum over j of (w[i, j] + w[j, i]) * (e[i] - e[j])
//
// e       [rows, dims/4] four values at a time, rows = labels * images
// w       [rows, rows]   derivatives of the cost by the distances
// totals  [columns]      sums of the terms
// de      [rows, dims/4]
//
// One workgroup makes 64 values of a row. Each thread has four of them and takes every 16th j, four of them on their
// way at a time, see lib/columns.wgsl. Dims must be a multiple of 4.

override labels: u32;
override images: u32;
override dims: u32;
override scale: f32;
override columns: u32;

@group(0) @binding(0) var<storage, read> e: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> totals: array<f32>;
@group(0) @binding(3) var<storage, read_write> de: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let rows = labels * images;
    let quads = dims / 4u;
    let across = (quads + 15u) / 16u;
    let g = group_index(group, groups);
    let i = min(g / across, rows - 1u);
    let d = g % across * 16u + lane % 16u;
    let quad = min(d, quads - 1u);
    let own = e[i * quads + quad];
    var sum = vec4f(0.0);
    for (var j = lane / 16u; j < rows; j += 64u) {
        let at = vec4u(j, j + 16u, j + 32u, j + 48u);
        let row = min(at, vec4u(rows - 1u));
        let there = vec4f(w[i * rows + row.x], w[i * rows + row.y], w[i * rows + row.z], w[i * rows + row.w]);
        let back = vec4f(w[row.x * rows + i], w[row.y * rows + i], w[row.z * rows + i], w[row.w * rows + i]);
        let e0 = e[row.x * quads + quad];
        let e1 = e[row.y * quads + quad];
        let e2 = e[row.z * quads + quad];
        let e3 = e[row.w * quads + quad];
        let weight = select(vec4f(0.0), there + back, at < vec4u(rows));
        sum = fma(vec4f(weight.x), own - e0, sum);
        sum = fma(vec4f(weight.y), own - e1, sum);
        sum = fma(vec4f(weight.z), own - e2, sum);
        sum = fma(vec4f(weight.w), own - e3, sum);
    }
    let total = column_total(lane, 16u, sum);
    if lane < 16u && g < rows * across && d < quads {
        de[i * quads + d] = 2.0 * scale / max(totals[COUNT], 1.0) * total;
    }
}
