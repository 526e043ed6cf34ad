// Anchor a costs the mean over its positives of -ln(e^(s/temperature) / sum of e^(s/temperature)), the sum over all its
// pairs, by the cosines s = 1 - d/2 of rows of length 1; nothing where it has no positive or no negative.
//
// distance          [queries, references]   squared
// labels            [queries]
// reference_labels  [references]
// w                 [queries, references]   derivative of the cost by the distance
// terms             [queries, 4]            cost, 1 if it has positives and negatives, sum of d over positives, over
//                                           negatives
//
// One workgroup makes one anchor, each thread every 64th reference; trees join them: first the nearest, whose exponent
// is taken from all, then the sums.

override queries: u32;
override references: u32;
override itself: u32;
override temperature: f32;

@group(0) @binding(0) var<storage, read> distance: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> reference_labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> w: array<f32>;
@group(0) @binding(4) var<storage, read_write> terms: array<f32>;

const TERMS = 4u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let a = min(group_index(group, groups), queries - 1u);
    let ends = nearest_pairs(a, lane);
    let counts = max(ends.x, ends.y) < FAR;
    let nearest = min(ends.x, ends.y);
    let slope = 0.5 / temperature;
    // Exponentials, distances to positives and to negatives, number of positives.
    var sums = vec4f(0.0);
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        let kind = relation(a, j);
        if kind == POSITIVE {
            sums += vec4f(exp(slope * (nearest - d)), d, 0.0, 1.0);
        } else if kind == NEGATIVE {
            sums += vec4f(exp(slope * (nearest - d)), 0.0, d, 0.0);
        }
    }
    sums = total(lane, sums);
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        let kind = relation(a, j);
        var weight = 0.0;
        if kind != NONE && counts {
            weight = slope * (select(0.0, 1.0 / sums.w, kind == POSITIVE) - exp(slope * (nearest - d)) / sums.x);
        }
        w[a * references + j] = weight;
    }
    if lane == 0u {
        let cost = log(sums.x) + slope * (sums.y / max(sums.w, 1.0) - nearest);
        terms[TERMS * a + COST] = select(0.0, cost, counts);
        terms[TERMS * a + COUNT] = select(0.0, 1.0, counts);
        terms[TERMS * a + D_AP] = sums.y;
        terms[TERMS * a + D_AN] = sums.z;
    }
}
