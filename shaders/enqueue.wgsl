// memory[j] = e[(j - position) mod places] where that is a row, and stays else: the rows take the places from position
// on, round and round.
//
// position  [1]
// e         [rows, dims]
// memory    [places, dims]   places is rows or more
//
// One thread makes one value.

override rows: u32;
override dims: u32;
override places: u32;

@group(0) @binding(0) var<storage, read> position: array<u32>;
@group(0) @binding(1) var<storage, read> e: array<f32>;
@group(0) @binding(2) var<storage, read_write> memory: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= places * dims {
        return;
    }
    let n = (index / dims + places - position[0] % places) % places;
    memory[index] = select(memory[index], e[min(n, rows - 1u) * dims + index % dims], n < rows);
}
