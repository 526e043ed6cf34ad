// partial[g] = (sum of the squares of the finite values of chunk g, number of its values that are not finite)
//
// x        [length/4]
// partial  [ceil(length / chunk), 2]
//
// As norm, four values at a time: one workgroup makes one chunk. Length and chunk must be multiples of 4.

override length: u32;
override chunk: u32;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let g = group_index(group, groups);
    var sum = vec4f(0.0);
    var others = vec4f(0.0);
    for (var j = g * (chunk / 4u) + lane; j < min((g + 1u) * chunk, length) / 4u; j += 64u) {
        // By their bits: a shader compiler may assume that no value is NaN.
        let is_finite = (bitcast<vec4u>(x[j]) & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
        let value = select(vec4f(0.0), x[j], is_finite);
        sum = fma(value, value, sum);
        others += select(vec4f(1.0), vec4f(0.0), is_finite);
    }
    let own = vec2f(dot(sum, vec4f(1.0)), dot(others, vec4f(1.0)));
    let all = total(lane, vec4f(own, 0.0, 0.0)).xy;
    if lane == 0u && g * chunk < length {
        partial[2u * g] = all.x;
        partial[2u * g + 1u] = all.y;
    }
}
