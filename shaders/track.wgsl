// running[j] += momentum * (factor*batch[j] - running[j]): statistics that follow those of each batch
//
// batch    [length]
// running  [length]
//
// One thread updates one value.

override length: u32;
override momentum: f32;
override factor: f32;

@group(0) @binding(0) var<storage, read> batch: array<f32>;
@group(0) @binding(1) var<storage, read_write> running: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= length {
        return;
    }
    running[index] += momentum * (factor * batch[index] - running[index]);
}
