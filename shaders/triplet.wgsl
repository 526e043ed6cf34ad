// d_ap = scale * sum over d of (a - p)^2;  d_an = scale * sum over d of (a - n)^2
//
// e      [3*triplets, dims]   anchors, then positives, then negatives
// terms  [triplets, 5]        penalty of d_ap - d_an, 1, 1 where d_ap - d_an + margin is above 0 (an active triplet),
//                             d_ap, d_an
//
// scale is 1 for FaceNet's squared distance, 1/dims for the mean of squares. One thread makes one triplet.

override triplets: u32;
override dims: u32;
override margin: f32;
override sharpness: f32;
override scale: f32;

@group(0) @binding(0) var<storage, read> e: array<f32>;
@group(0) @binding(1) var<storage, read_write> terms: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let t = group_index(group, groups) * 64u + lane;
    if t >= triplets {
        return;
    }
    var ap = 0.0;
    var an = 0.0;
    for (var d = 0u; d < dims; d++) {
        let anchor = e[t * dims + d];
        let to_positive = anchor - e[(triplets + t) * dims + d];
        let to_negative = anchor - e[(2u * triplets + t) * dims + d];
        ap += to_positive * to_positive;
        an += to_negative * to_negative;
    }
    let x = scale * ap - scale * an;
    terms[TERMS * t + COST] = penalty(x).x;
    terms[TERMS * t + COUNT] = 1.0;
    terms[TERMS * t + ACTIVE] = select(0.0, 1.0, x + margin > 0.0);
    terms[TERMS * t + D_AP] = scale * ap;
    terms[TERMS * t + D_AN] = scale * an;
}
