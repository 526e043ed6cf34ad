// counts[a] = the pairs of anchor a that are beyond their margins: positives with sqrt(d) > positive, negatives with
// sqrt(d) < negative
//
// distance          [queries, references]   squared
// labels            [queries]
// reference_labels  [references]
// counts            [queries, 2]            of positives, of negatives
//
// One workgroup makes one anchor, each thread every 64th reference; a tree joins them.

override queries: u32;
override references: u32;
override itself: u32;
override positive: f32;
override negative: f32;

@group(0) @binding(0) var<storage, read> distance: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> reference_labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> counts: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let a = min(group_index(group, groups), queries - 1u);
    var found = vec4f(0.0);
    for (var j = lane; j < references; j += 64u) {
        let kind = relation(a, j);
        if kind != NONE && excess(distance[a * references + j], kind).x > 0.0 {
            found += select(vec4f(0.0, 1.0, 0.0, 0.0), vec4f(1.0, 0.0, 0.0, 0.0), kind == POSITIVE);
        }
    }
    found = total(lane, found);
    if lane == 0u {
        counts[2u * a] = found.x;
        counts[2u * a + 1u] = found.y;
    }
}
