// Gradient of the mean hinge over the triplets, for each active one, with f = 2*scale/triplets:
//   da = f * (n - p),  dp = f * (p - a),  dn = f * (a - n);  0 where the triplet is not active
//
// e      [3*triplets, dims]   anchors, then positives, then negatives
// terms  [triplets, 4]        from triplet; the second says whether it is active
// de     [3*triplets, dims]
//
// One thread makes one value.

override triplets: u32;
override dims: u32;
override margin: f32;
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
    let f = 2.0 * scale / f32(triplets);
    de[index] = select(0.0, f * direction, terms[4u * (place / dims) + 1u] > 0.0);
}
