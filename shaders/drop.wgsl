// y[r, c] = factor * x[r, c] where hash(hash(keys[r] ^ layer) ^ c) >= threshold, else 0
//
// keys  [rows]            random numbers of this step
// x     [rows, columns]
// y     [rows, columns]
//
// One thread makes one value. The inner hash parts layers, and what else takes the keys.

override rows: u32;
override columns: u32;
override layer: u32;
override threshold: u32;
override factor: f32;

@group(0) @binding(0) var<storage, read> keys: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<stored>;
@group(0) @binding(2) var<storage, read_write> y: array<stored>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= rows * columns {
        return;
    }
    let key = hash(keys[index / columns] ^ layer);
    y[index] = stored(select(0.0, factor * f32(x[index]), hash(key ^ (index % columns)) >= threshold));
}
