// One triplet an anchor: its farthest positive p and its nearest negative n; of equally far ones the first. The slope
// of its penalty at x = d_ap - d_an goes to w[a, p], and with the other sign to w[a, n].
//
// distance  [rows, rows]   squared, not yet scaled; rows = labels * images, those of a label side by side
// w         [rows, rows]   0 elsewhere
// terms     [rows, 5]      the penalty, 1, 1 where the triplet is active (d_ap - d_an + margin > 0); sum of d_ap over
//                          all positives of a, sum of d_an over all its negatives
//
// One workgroup makes one anchor: each thread looks at every 64th element of its row, a tree joins what they found.

override labels: u32;
override images: u32;
override margin: f32;
override sharpness: f32;
override scale: f32;
override semi_hard: u32;

@group(0) @binding(0) var<storage, read> distance: array<f32>;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> terms: array<f32>;

const FAR = 3.4e38;

// Distance of the farthest positive and of the nearest negative, the places of both, and the sums.
var<workgroup> found: array<vec2f, 64>;
var<workgroup> places: array<vec2u, 64>;
var<workgroup> distance_sums: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let rows = labels * images;
    let a = min(group_index(group, groups), rows - 1u);
    let own = a / images;
    var best = vec2f(-FAR, FAR);
    var place = vec2u(rows);
    var distances = vec2f(0.0);
    for (var j = lane; j < rows; j += 64u) {
        let d_aj = scale * distance[a * rows + j];
        if j / images != own {
            distances.y += d_aj;
            if d_aj < best.y {
                best.y = d_aj;
                place.y = j;
            }
        } else if j != a {
            distances.x += d_aj;
            if d_aj > best.x {
                best.x = d_aj;
                place.x = j;
            }
        }
    }
    found[lane] = best;
    places[lane] = place;
    distance_sums[lane] = distances;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            let other = found[lane + half];
            let other_place = places[lane + half];
            if other.x > best.x || (other.x == best.x && other_place.x < place.x) {
                best.x = other.x;
                place.x = other_place.x;
            }
            if other.y < best.y || (other.y == best.y && other_place.y < place.y) {
                best.y = other.y;
                place.y = other_place.y;
            }
            found[lane] = best;
            places[lane] = place;
            distance_sums[lane] += distance_sums[lane + half];
        }
    }
    workgroupBarrier();
    let x = found[0].x - found[0].y;
    let cost = penalty(x);
    for (var j = lane; j < rows; j += 64u) {
        w[a * rows + j] = select(0.0, cost.y, j == places[0].x) - select(0.0, cost.y, j == places[0].y);
    }
    if lane == 0u {
        terms[TERMS * a + COST] = cost.x;
        terms[TERMS * a + COUNT] = 1.0;
        terms[TERMS * a + ACTIVE] = select(0.0, 1.0, x + margin > 0.0);
        terms[TERMS * a + D_AP] = distance_sums[0].x;
        terms[TERMS * a + D_AN] = distance_sums[0].y;
    }
}
