// y[r, c] = factor * x[r, c] where hash(hash(keys[r] ^ layer) ^ c) >= threshold, else 0
//
// keys  [rows]              random numbers of this step
// x     [rows, columns/4]   columns a multiple of 4
// y     [rows, columns/4]
//
// One thread makes four values.

override rows: u32;
override columns: u32;
override layer: u32;
override threshold: u32;
override factor: f32;

@group(0) @binding(0) var<storage, read> keys: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<stored4>;
@group(0) @binding(2) var<storage, read_write> y: array<stored4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let fours = columns / 4u;
    if index >= rows * fours {
        return;
    }
    let key = hash(keys[index / fours] ^ layer);
    let places = 4u * (index % fours) + vec4u(0u, 1u, 2u, 3u);
    let is_kept = hash4(vec4u(key) ^ places) >= vec4u(threshold);
    y[index] = stored4(select(vec4f(0.0), factor * vec4f(x[index]), is_kept));
}
