// stats = (mean penalty of the triplets that count, share of active triplets, mean d_ap, mean d_an, gradient norm,
//          non-finite gradient values)
//
// terms    [rows, 5]      from triplet, mine or mine_hard: sum of penalties, triplets that count, active ones, sums of
//                         d_ap and d_an
// partial  [chunks, 2]    from norm over the gradients
// stats    [6]
//
// One workgroup makes it all: each thread sums every 64th row, then a tree adds the 64 sums.

override rows: u32;
override triplets: f32;
override positives: f32;
override negatives: f32;
override chunks: u32;

@group(0) @binding(0) var<storage, read> terms: array<f32>;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> stats: array<f32>;

var<workgroup> cost_sums: array<vec2f, 64>;
var<workgroup> term_sums: array<vec3f, 64>;
var<workgroup> norm_sums: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    var cost = vec2f(0.0);
    var term = vec3f(0.0);
    for (var t = lane; t < rows; t += 64u) {
        cost += vec2f(terms[5u * t], terms[5u * t + 1u]);
        term += vec3f(terms[5u * t + 2u], terms[5u * t + 3u], terms[5u * t + 4u]);
    }
    var squares = vec2f(0.0);
    for (var c = lane; c < chunks; c += 64u) {
        squares += vec2f(partial[2u * c], partial[2u * c + 1u]);
    }
    cost_sums[lane] = cost;
    term_sums[lane] = term;
    norm_sums[lane] = squares;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            cost_sums[lane] += cost_sums[lane + half];
            term_sums[lane] += term_sums[lane + half];
            norm_sums[lane] += norm_sums[lane + half];
        }
    }
    if lane == 0u && group_index(group, groups) == 0u {
        stats[0] = cost_sums[0].x / max(cost_sums[0].y, 1.0);
        stats[1] = term_sums[0].x / triplets;
        stats[2] = term_sums[0].y / positives;
        stats[3] = term_sums[0].z / negatives;
        stats[4] = sqrt(norm_sums[0].x);
        stats[5] = norm_sums[0].y;
    }
}
