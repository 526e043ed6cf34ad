// partial[g] = (sum of the squares of the finite values of chunk g, number of its values that are not finite)
//
// x        [length]
// partial  [ceil(length / chunk), 2]
//
// One workgroup makes one chunk: each thread sums every 64th value, then a tree adds the 64 sums.

override length: u32;
override chunk: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let g = group_index(group, groups);
    var sum = vec2f(0.0);
    for (var j = g * chunk + lane; j < min((g + 1u) * chunk, length); j += 64u) {
        // By its bits: a shader compiler may assume that no value is NaN.
        if (bitcast<u32>(x[j]) & 0x7f800000u) == 0x7f800000u {
            sum.y += 1.0;
        } else {
            sum.x += x[j] * x[j];
        }
    }
    sum = total(lane, vec4f(sum, 0.0, 0.0)).xy;
    if lane == 0u && g * chunk < length {
        partial[2u * g] = sum.x;
        partial[2u * g + 1u] = sum.y;
    }
}
