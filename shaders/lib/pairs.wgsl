// Appended to the shaders of losses on pairs. They declare `override references: u32` and `override itself: u32`, which
// is 1 where the references are the queries themselves, and the bindings `distance`, `labels` and `reference_labels`;
// lib/tree.wgsl is behind them too.

// Behind COST and COUNT: sums of the squared distances to positives and to negatives, number of pairs with a weight.
const D_AP = 2u;
const D_AN = 3u;
const ACTIVE = 4u;

// Beyond every squared distance.
const FAR = 1e30;

const POSITIVE = 0u;
const NEGATIVE = 1u;
const NONE = 2u;

// The label of a reference that is not there yet.
const EMPTY = 0xffffffffu;

// What reference j is to anchor a.
fn relation(a: u32, j: u32) -> u32 {
    if (itself == 1u && a == j) || reference_labels[j] == EMPTY {
        return NONE;
    }
    return select(NEGATIVE, POSITIVE, labels[a] == reference_labels[j]);
}

// The squared distances of anchor a to its nearest positive and to its nearest negative; FAR where it has none. Every
// thread takes part.
fn nearest_pairs(a: u32, lane: u32) -> vec2f {
    // With their signs turned.
    var ends = vec4f(-FAR);
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        let kind = relation(a, j);
        if kind == POSITIVE {
            ends.x = max(ends.x, -d);
        } else if kind == NEGATIVE {
            ends.y = max(ends.y, -d);
        }
    }
    return -largest(lane, ends).xy;
}

// ln(1 + e^u) and its slope.
fn softplus(u: f32) -> vec2f {
    // Only of numbers below 0 is the exponential taken, so that it cannot overflow.
    let small = exp(-abs(u));
    return vec2f(max(u, 0.0) + log(1.0 + small), select(small, 1.0, u > 0.0) / (1.0 + small));
}
