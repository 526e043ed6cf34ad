// y[n, p, c] = a[n, p, c] where c < left, else b[n, p, c - left]
//
// a  [rows, pixels, left]
// b  [rows, pixels, right]
// y  [rows, pixels, (left + right)]
//
// One thread makes one value.

override rows: u32;
override pixels: u32;
override left: u32;
override right: u32;

@group(0) @binding(0) var<storage, read> a: array<stored>;
@group(0) @binding(1) var<storage, read> b: array<stored>;
@group(0) @binding(2) var<storage, read_write> y: array<stored>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let of_a = left;
    let of_b = right;
    if index >= rows * pixels * (of_a + of_b) {
        return;
    }
    let pixel = index / (of_a + of_b);
    let c = index % (of_a + of_b);
    if c < of_a {
        y[index] = a[pixel * of_a + c];
    } else {
        y[index] = b[pixel * of_b + c - of_a];
    }
}
