// y[s, c] = sum over r in split s of x[r, c], for GPUs and many rows
//
// x  [rows, columns]
// y  [splits, columns]
//
// One workgroup makes 8 columns of a split, see lib/columns.wgsl. Each thread takes every 32nd row, four of them on
// their way at a time. Split s takes rows [s*chunk, (s+1)*chunk).

override rows: u32;
override columns: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (columns + 7u) / 8u;
    let g = group_index(group, groups);
    let s = g / across;
    let c = g % across * 8u + lane % 8u;
    let column = min(c, columns - 1u);
    let chunk = (rows + splits - 1u) / splits;
    let end = min((s + 1u) * chunk, rows);
    var sum = 0.0;
    for (var r = s * chunk + lane / 8u; r < end; r += 128u) {
        let at = vec4u(r, r + 32u, r + 64u, r + 96u);
        let from_row = min(at, vec4u(end - 1u)) * columns + column;
        let x0 = x[from_row.x];
        let x1 = x[from_row.y];
        let x2 = x[from_row.z];
        let x3 = x[from_row.w];
        let inside = at < vec4u(end);
        sum += x0;
        sum += select(0.0, x1, inside.y);
        sum += select(0.0, x2, inside.z);
        sum += select(0.0, x3, inside.w);
    }
    let total = column_total(lane, 8u, vec4f(sum)).x;
    if lane < 8u && s < splits && c < columns {
        y[s * columns + c] = total;
    }
}
