// a += share * (p - a): the exponential moving average of the parameters
//
// step  [4]        the last is the share of the new parameters
// p     [length]   parameters
// a     [length]   their average
//
// Over the whole flat arena at once; one thread updates one value.

override length: u32;

@group(0) @binding(0) var<storage, read> step: array<f32>;
@group(0) @binding(1) var<storage, read> p: array<f32>;
@group(0) @binding(2) var<storage, read_write> a: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let j = group_index(group, groups) * 64u + lane;
    if j >= length {
        return;
    }
    a[j] += step[3] * (p[j] - a[j]);
}
