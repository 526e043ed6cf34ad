// stats = (mean hinge, share of active triplets, mean d_ap, mean d_an, gradient norm, non-finite gradient values)
//
// terms    [triplets, 4]   from triplet
// partial  [chunks, 2]     from norm over the gradients
// stats    [6]
//
// One workgroup makes it all: each thread sums every 64th row, then a tree adds the 64 sums.

override triplets: u32;
override chunks: u32;

@group(0) @binding(0) var<storage, read> terms: array<f32>;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> stats: array<f32>;

var<workgroup> term_sums: array<vec4f, 64>;
var<workgroup> norm_sums: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    var term = vec4f(0.0);
    for (var t = lane; t < triplets; t += 64u) {
        term += vec4f(terms[4u * t], terms[4u * t + 1u], terms[4u * t + 2u], terms[4u * t + 3u]);
    }
    var squares = vec2f(0.0);
    for (var c = lane; c < chunks; c += 64u) {
        squares += vec2f(partial[2u * c], partial[2u * c + 1u]);
    }
    term_sums[lane] = term;
    norm_sums[lane] = squares;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            term_sums[lane] += term_sums[lane + half];
            norm_sums[lane] += norm_sums[lane + half];
        }
    }
    if lane == 0u && group_index(group, groups) == 0u {
        let mean = term_sums[0] / f32(triplets);
        stats[0] = mean.x;
        stats[1] = mean.y;
        stats[2] = mean.z;
        stats[3] = mean.w;
        stats[4] = sqrt(norm_sums[0].x);
        stats[5] = norm_sums[0].y;
    }
}
