// Every triplet (a, p, n) of the batch that counts adds the slope of its penalty at x = d_ap - d_an to w[a, p] and
// takes it from w[a, n]. A triplet counts where its slope is above 0 and, if semi_hard is 1, d_an > d_ap.
//
// distance  [rows, rows]   squared, not yet scaled; rows = labels * images, those of a label side by side
// w         [rows, rows]   0 on the diagonal
// terms     [rows, 5]      of the triplets with anchor a: sum of the penalties of those that count, their number, the
//                          number of active ones (d_ap - d_an + margin > 0); sum of d_ap over its positives, sum of
//                          d_an over its negatives
//
// One workgroup makes one anchor, each thread every 64th element of its row of w: a sum over all negatives for a
// positive, over all positives for a negative. Two threads never add to one value, so there is no order to be settled.
// A tree adds the terms.

override labels: u32;
override images: u32;
override margin: f32;
override sharpness: f32;
override scale: f32;
override semi_hard: u32;

@group(0) @binding(0) var<storage, read> distance: array<f32>;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> terms: array<f32>;

var<workgroup> triplet_sums: array<vec3f, 64>;
var<workgroup> distance_sums: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let rows = labels * images;
    let a = min(group_index(group, groups), rows - 1u);
    let own = a / images * images;
    let own_end = own + images;
    var triplets = vec3f(0.0);
    var distances = vec2f(0.0);
    for (var j = lane; j < rows; j += 64u) {
        let d_aj = scale * distance[a * rows + j];
        var weight = 0.0;
        if j >= own && j < own_end {
            if j != a {
                distances.x += d_aj;
                for (var step = 0u; step < rows - images; step++) {
                    let n = select(step, step + images, step >= own);
                    let d_an = scale * distance[a * rows + n];
                    let cost = penalty(d_aj - d_an);
                    if d_aj - d_an + margin > 0.0 {
                        triplets.z += 1.0;
                    }
                    if cost.y > 0.0 && (semi_hard == 0u || d_an > d_aj) {
                        weight += cost.y;
                        triplets += vec3f(cost.x, 1.0, 0.0);
                    }
                }
            }
        } else {
            distances.y += d_aj;
            for (var p = own; p < own_end; p++) {
                let d_ap = scale * distance[a * rows + p];
                let slope = penalty(d_ap - d_aj).y;
                if p != a && (semi_hard == 0u || d_aj > d_ap) {
                    weight -= slope;
                }
            }
        }
        w[a * rows + j] = weight;
    }
    triplet_sums[lane] = triplets;
    distance_sums[lane] = distances;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            triplet_sums[lane] += triplet_sums[lane + half];
            distance_sums[lane] += distance_sums[lane + half];
        }
    }
    if lane == 0u {
        terms[TERMS * a + COST] = triplet_sums[0].x;
        terms[TERMS * a + COUNT] = triplet_sums[0].y;
        terms[TERMS * a + ACTIVE] = triplet_sums[0].z;
        terms[TERMS * a + D_AP] = distance_sums[0].x;
        terms[TERMS * a + D_AN] = distance_sums[0].y;
    }
}
