// Anchor a costs for each of its positives -ln(e^(s/temperature) / (e^(s/temperature) + sum of e^(s/temperature))), the
// sum over all its negatives, by the cosines s = 1 - d/2 of rows of length 1.
//
// distance          [queries, references]   squared
// labels            [queries]
// reference_labels  [references]
// w                 [queries, references]   derivative of the cost by the distance
// terms             [queries, 4]            cost, number of positives, sum of d over positives, over negatives
//
// One workgroup makes one anchor, each thread every 64th reference; trees join them: first the nearest negative, whose
// exponent is taken from all, then the sums over negatives, then those over positives.

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
    let nearest = nearest_pairs(a, lane).y;
    let costs = nearest < FAR;
    let slope = 0.5 / temperature;
    // Exponentials of negatives, distances to positives and to negatives, number of positives.
    var sums = vec4f(0.0);
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        let kind = relation(a, j);
        if kind == POSITIVE {
            sums += vec4f(0.0, d, 0.0, 1.0);
        } else if kind == NEGATIVE {
            sums += vec4f(exp(slope * (nearest - d)), 0.0, d, 0.0);
        }
    }
    sums = total(lane, sums);
    let log_of_negatives = log(max(sums.x, 1.0));
    // Cost and slope of each positive.
    var costs_and_slopes = vec2f(0.0);
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        if costs && relation(a, j) == POSITIVE {
            costs_and_slopes += softplus(log_of_negatives + slope * (d - nearest));
        }
    }
    let of_positives = total(lane, vec4f(costs_and_slopes, 0.0, 0.0));
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        let kind = relation(a, j);
        var weight = 0.0;
        if kind == POSITIVE && costs {
            weight = slope * softplus(log_of_negatives + slope * (d - nearest)).y;
        } else if kind == NEGATIVE {
            weight = -slope * of_positives.y / sums.x * exp(slope * (nearest - d));
        }
        w[a * references + j] = weight;
    }
    if lane == 0u {
        terms[TERMS * a + COST] = of_positives.x;
        terms[TERMS * a + COUNT] = sums.w;
        terms[TERMS * a + D_AP] = sums.y;
        terms[TERMS * a + D_AN] = sums.z;
    }
}
