// Anchor a costs 1/alpha ln(1 + sum of e^(-alpha (s - base))) over its mined positives and 1/beta ln(1 + sum of
// e^(beta (s - base))) over its mined negatives, by the cosines s = 1 - d/2 of rows of length 1. Mined are positives
// with d + 2 epsilon > d of the nearest negative, negatives with d < d of the farthest positive + 2 epsilon.
//
// distance          [queries, references]   squared
// labels            [queries]
// reference_labels  [references]
// w                 [queries, references]   derivative of the cost by the distance; 0 for pairs that are not mined
// terms             [queries, 5]            cost, 1, sum of d over positives, over negatives, number of mined pairs
//
// One workgroup makes one anchor, each thread every 64th reference; trees join them: first the extremes, then the sums.
// From each exponent the largest is taken, as a distance: where the cosine is base, that exponent is 0 of the 1.

override queries: u32;
override references: u32;
override itself: u32;
override alpha: f32;
override beta: f32;
override base: f32;
override epsilon: f32;

@group(0) @binding(0) var<storage, read> distance: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> reference_labels: array<u32>;
@group(0) @binding(3) var<storage, read_write> w: array<f32>;
@group(0) @binding(4) var<storage, read_write> terms: array<f32>;

const TERMS = 5u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let a = min(group_index(group, groups), queries - 1u);
    // The farthest positive, the nearest negative with its sign turned.
    var ends = vec4f(-FAR, -FAR, 0.0, 0.0);
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        let kind = relation(a, j);
        if kind == POSITIVE {
            ends.x = max(ends.x, d);
        } else if kind == NEGATIVE {
            ends.y = max(ends.y, -d);
        }
    }
    ends = largest(lane, ends);
    let mined_beyond = -ends.y;
    let mined_below = ends.x + 2.0 * epsilon;
    let edge = 2.0 * (1.0 - base);
    let far = max(ends.x, edge);
    let near = min(-ends.y, edge);
    var sums = vec4f(0.0);
    var mined = 0.0;
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        let kind = relation(a, j);
        if kind == POSITIVE {
            sums.z += d;
            if d + 2.0 * epsilon > mined_beyond {
                sums.x += exp(0.5 * alpha * (d - far));
                mined += 1.0;
            }
        } else if kind == NEGATIVE {
            sums.w += d;
            if d < mined_below {
                sums.y += exp(0.5 * beta * (near - d));
                mined += 1.0;
            }
        }
    }
    sums = total(lane, sums);
    mined = total(lane, vec4f(mined, 0.0, 0.0, 0.0)).x;
    let of_positives = exp(0.5 * alpha * (edge - far)) + sums.x;
    let of_negatives = exp(0.5 * beta * (near - edge)) + sums.y;
    for (var j = lane; j < references; j += 64u) {
        let d = distance[a * references + j];
        let kind = relation(a, j);
        var weight = 0.0;
        if kind == POSITIVE && d + 2.0 * epsilon > mined_beyond {
            weight = 0.5 * exp(0.5 * alpha * (d - far)) / of_positives;
        } else if kind == NEGATIVE && d < mined_below {
            weight = -0.5 * exp(0.5 * beta * (near - d)) / of_negatives;
        }
        w[a * references + j] = weight;
    }
    if lane == 0u {
        let cost = log(of_positives) / alpha + 0.5 * (far - edge) + log(of_negatives) / beta + 0.5 * (edge - near);
        terms[TERMS * a + COST] = select(0.0, cost, mined > 0.0);
        terms[TERMS * a + COUNT] = 1.0;
        terms[TERMS * a + D_AP] = sums.z;
        terms[TERMS * a + D_AN] = sums.w;
        terms[TERMS * a + ACTIVE] = mined;
    }
}
