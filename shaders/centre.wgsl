// d = sum over i of (e[n, i] - c[y, i])^2, y = labels[n]
// terms[n]: weight/2 * d is added to the cost, d stands in the last column
// de[n, i] += weight / rows * (e[n, i] - c[y, i])
//
// labels  [rows]
// e       [rows, dims]
// c       [classes, dims]   the centre of each class
// terms   [rows, 6]         those of margin_softmax, and d
// de      [rows, dims]      gradient of the mean cost
//
// Wen et al., A Discriminative Feature Learning Approach for Deep Face Recognition, 2016, equation 5. One workgroup
// makes one row, each thread every 64th value; a tree adds the squares.

override rows: u32;
override dims: u32;
override classes: u32;
override weight: f32;

@group(0) @binding(0) var<storage, read> labels: array<u32>;
@group(0) @binding(1) var<storage, read> e: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>;
@group(0) @binding(3) var<storage, read_write> terms: array<f32>;
@group(0) @binding(4) var<storage, read_write> de: array<f32>;

// Column of d, behind those of margin_softmax, and how many there are.
const SPREAD = 5u;
const TERMS = 6u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let n = min(group_index(group, groups), rows - 1u);
    // A workgroup past the last row has no values to look at, and writes nothing.
    let end = select(0u, dims, group_index(group, groups) < rows);
    let y = min(labels[n], classes - 1u);
    var sum = 0.0;
    for (var i = lane; i < end; i += 64u) {
        let difference = e[n * dims + i] - c[y * dims + i];
        sum += difference * difference;
        de[n * dims + i] += weight / f32(rows) * difference;
    }
    sum = total(lane, vec4f(sum, 0.0, 0.0, 0.0)).x;
    if lane == 0u && end > 0u {
        terms[TERMS * n + COST] += 0.5 * weight * sum;
        terms[TERMS * n + SPREAD] = sum;
    }
}
