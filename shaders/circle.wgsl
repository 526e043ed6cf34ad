// Anchor a costs ln(1 + sum of e^(scale b (s - margin)) * sum of e^(scale b (1 - margin - s))), the first sum over its
// negatives with b = max(s + margin, 0), the second over its positives with b = max(1 + margin - s, 0), by the cosines
// s = 1 - d/2 of rows of length 1; nothing where it has no positive or no negative.
//
// distance          [queries, references]   squared
// labels            [queries]
// reference_labels  [references]
// w                 [queries, references]   derivative of the cost by the distance, b taken for a constant
// terms             [queries, 5]            cost, 1 if it has positives and negatives, sum of d over positives, over
//                                           negatives, number of pairs with b above 0
//
// One workgroup makes one anchor, each thread every 64th reference; trees join them: first the largest exponents, which
// are taken from all, then the sums.

override queries: u32;
override references: u32;
override itself: u32;
override margin: f32;
override scale: f32;

@group(0) @binding(0) var<storage, read> distance: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> reference_labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> w: array<f32>;
@group(0) @binding(4) var<storage, read_write> terms: array<f32>;

const TERMS = 5u;

// Exponent of a pair, and scale times b.
fn exponent(d: f32, kind: u32) -> vec2f {
    let s = 1.0 - 0.5 * d;
    let off = select(s + margin, 1.0 + margin - s, kind == POSITIVE);
    let weight = scale * max(off, 0.0);
    return vec2f(weight * select(s - margin, 1.0 - margin - s, kind == POSITIVE), weight);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let a = min(group_index(group, groups), queries - 1u);
    // The largest exponents of positives and of negatives.
    var ends = vec4f(-FAR);
    for (var j = lane; j < references; j += 64u) {
        let kind = relation(a, j);
        let x = exponent(distance[a * references + j], kind).x;
        if kind == POSITIVE {
            ends.x = max(ends.x, x);
        } else if kind == NEGATIVE {
            ends.y = max(ends.y, x);
        }
    }
    ends = largest(lane, ends);
    let counts = min(ends.x, ends.y) > -FAR;
    // Exponentials of positives and of negatives, distances to them; number of pairs with a weight.
    var sums = vec4f(0.0);
    var weighted = 0.0;
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        let kind = relation(a, j);
        let pair = exponent(d, kind);
        if kind == POSITIVE {
            sums += vec4f(exp(pair.x - ends.x), 0.0, d, 0.0);
        } else if kind == NEGATIVE {
            sums += vec4f(0.0, exp(pair.x - ends.y), 0.0, d);
        }
        weighted += select(0.0, 1.0, counts && kind != NONE && pair.y > 0.0);
    }
    sums = total(lane, sums);
    weighted = total(lane, vec4f(weighted, 0.0, 0.0, 0.0)).x;
    let cost = softplus(log(max(sums.x, 1.0)) + log(max(sums.y, 1.0)) + ends.x + ends.y);
    for (var j = lane; j < references; j += 64u) {
        let kind = relation(a, j);
        let pair = exponent(distance[a * references + j], kind);
        var weight = 0.0;
        if counts && kind == POSITIVE {
            weight = 0.5 * cost.y / sums.x * pair.y * exp(pair.x - ends.x);
        } else if counts && kind == NEGATIVE {
            weight = -0.5 * cost.y / sums.y * pair.y * exp(pair.x - ends.y);
        }
        w[a * references + j] = weight;
    }
    if lane == 0u {
        terms[TERMS * a + COST] = select(0.0, cost.x, counts);
        terms[TERMS * a + COUNT] = select(0.0, 1.0, counts);
        terms[TERMS * a + D_AP] = sums.z;
        terms[TERMS * a + D_AN] = sums.w;
        terms[TERMS * a + ACTIVE] = weighted;
    }
}
