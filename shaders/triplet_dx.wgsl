// Gradient of the mean penalty over the triplets, with f = 2*scale/triplets * slope of the triplet's penalty:
//   da = f * (n - p),  dp = f * (p - a),  dn = f * (a - n)
//
// e      [3*triplets, dims]   anchors, then positives, then negatives
// terms  [triplets, 5]        from triplet
// de     [3*triplets, dims]
//
// One thread makes one value.

override triplets: u32;
override dims: u32;
override margin: f32;
override sharpness: f32;
override scale: f32;

@group(0) @binding(0) var<storage, read> e: array<f32>;
@group(0) @binding(1) var<storage, read> terms: array<f32>;
@group(0) @binding(2) var<storage, read_write> de: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let branch = triplets * dims;
    if index >= 3u * branch {
        return;
    }
    let place = index % branch;
    let anchor = e[place];
    let positive = e[branch + place];
    let negative = e[2u * branch + place];
    var direction = negative - positive;
    if index >= 2u * branch {
        direction = anchor - negative;
    } else if index >= branch {
        direction = positive - anchor;
    }
    let t = place / dims;
    let slope = penalty(terms[TERMS * t + D_AP] - terms[TERMS * t + D_AN]).y;
    de[index] = 2.0 * scale / f32(triplets) * slope * direction;
}
