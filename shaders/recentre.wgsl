// c[y, i] += rate * (sum over own n of e[n, i] - c[y, i]) / (1 + number of own n), over the rows n with labels[n] = y
//
// labels  [rows]
// e       [rows, dims]
// c       [classes, dims]   the centre of each class
//
// Wen et al. 2016, equation 4. One workgroup makes one class, each thread every 64th value, from the rows in order. The
// centre of a class without rows stays.

override rows: u32;
override dims: u32;
override classes: u32;
override rate: f32;

@group(0) @binding(0) var<storage, read> labels: array<u32>;
@group(0) @binding(1) var<storage, read> e: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let y = group_index(group, groups);
    if y >= classes {
        return;
    }
    for (var i = lane; i < dims; i += 64u) {
        let centre = c[y * dims + i];
        var sum = 0.0;
        var count = 0.0;
        for (var n = 0u; n < rows; n++) {
            if labels[n] == y {
                sum += e[n * dims + i] - centre;
                count += 1.0;
            }
        }
        c[y * dims + i] = centre + rate * sum / (1.0 + count);
    }
}
