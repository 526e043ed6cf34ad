// A positive pair costs max(sqrt(d) - positive, 0), a negative one max(negative - sqrt(d), 0). The loss is the mean of
// the positives that cost anything, and that of such negatives, over the whole batch.
//
// distance          [queries, references]   squared
// labels            [queries]
// reference_labels  [references]
// counts            [2]                     sums of those of contrastive_count
// w                 [queries, references]   derivative of the loss by the distance
// terms             [queries, 5]            part of the loss, 1 of the first anchor and 0 of others, sum of d over
//                                           positives, over negatives, number of pairs that cost anything
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
@group(0) @binding(3) var<storage, read> counts: array<f32>;
@group(0) @binding(4) var<storage, read_write> w: array<f32>;
@group(0) @binding(5) var<storage, read_write> terms: array<f32>;

const TERMS = 5u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let a = min(group_index(group, groups), queries - 1u);
    let positive_share = 1.0 / max(counts[0u], 1.0);
    let negative_share = 1.0 / max(counts[1u], 1.0);
    // Cost, distances to positives and to negatives, pairs that cost anything.
    var sums = vec4f(0.0);
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        let kind = relation(a, j);
        var weight = 0.0;
        if kind != NONE {
            let beyond = excess(d, kind);
            let share = select(negative_share, positive_share, kind == POSITIVE);
            weight = share * beyond.y;
            sums += vec4f(share * beyond.x, select(0.0, d, kind == POSITIVE), select(d, 0.0, kind == POSITIVE), 0.0);
            if beyond.x > 0.0 {
                sums.w += 1.0;
            }
        }
        w[a * references + j] = weight;
    }
    sums = total(lane, sums);
    if lane == 0u {
        terms[TERMS * a + COST] = sums.x;
        terms[TERMS * a + COUNT] = select(0.0, 1.0, a == 0u);
        terms[TERMS * a + D_AP] = sums.y;
        terms[TERMS * a + D_AN] = sums.z;
        terms[TERMS * a + ACTIVE] = sums.w;
    }
}
