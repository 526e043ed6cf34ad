// Gradient of a mean cost that depends on the embeddings by their distances alone:
//   de[i] = 2*scale / max(count, 1) * sum over j of (w[i, j] + w[j, i]) * (e[i] - e[j])
//
// e       [rows, dims/4] four values at a time, rows = labels * images
// w       [rows, rows]   derivatives of the cost by the distances
// totals  [columns]      sums of the terms
// de      [rows, dims/4]
//
// One thread makes four values, so that a weight is loaded for four. Dims must be a multiple of 4.

override labels: u32;
override images: u32;
override dims: u32;
override scale: f32;
override columns: u32;

@group(0) @binding(0) var<storage, read> e: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> totals: array<f32>;
@group(0) @binding(3) var<storage, read_write> de: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let rows = labels * images;
    let quads = dims / 4u;
    if index >= rows * quads {
        return;
    }
    let i = index / quads;
    let d = index % quads;
    let own = e[index];
    var sum = vec4f(0.0);
    for (var j = 0u; j < rows; j++) {
        sum += (w[i * rows + j] + w[j * rows + i]) * (own - e[j * quads + d]);
    }
    de[index] = 2.0 * scale / max(totals[COUNT], 1.0) * sum;
}
