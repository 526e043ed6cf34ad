// y[s, c] = sum over r in split s of x[r, c], four columns at a time, for GPUs and many rows
//
// x  [rows, columns/4]     columns a multiple of 4
// y  [splits, columns/4]
//
// One workgroup makes 8 times four columns of a split, see lib/columns.wgsl. Each thread takes every 32nd row, four of
// them on their way at a time. Split s takes rows [s*chunk, (s+1)*chunk).

override rows: u32;
override columns: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let width = columns / 4u;
    let across = (width + 7u) / 8u;
    let g = group_index(group, groups);
    let s = g / across;
    let c = g % across * 8u + lane % 8u;
    let column = min(c, width - 1u);
    let chunk = (rows + splits - 1u) / splits;
    let end = min((s + 1u) * chunk, rows);
    var sum = vec4f(0.0);
    for (var r = s * chunk + lane / 8u; r < end; r += 128u) {
        let at = vec4u(r, r + 32u, r + 64u, r + 96u);
        let from_row = min(at, vec4u(end - 1u)) * width + column;
        let x0 = x[from_row.x];
        let x1 = x[from_row.y];
        let x2 = x[from_row.z];
        let x3 = x[from_row.w];
        let inside = at < vec4u(end);
        sum += x0;
        sum += select(vec4f(0.0), x1, inside.y);
        sum += select(vec4f(0.0), x2, inside.z);
        sum += select(vec4f(0.0), x3, inside.w);
    }
    let total = column_total(lane, 8u, sum);
    if lane < 8u && s < splits && c < width {
        y[s * width + c] = total;
    }
}
