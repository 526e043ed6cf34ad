// y[n, p, c] = x[n, p, c] where that is above 0, else w[c] * x[n, p, c]
//
// x  [batch, pixels, channels]
// w  [channels]
// y  [batch, pixels, channels]
//
// One thread makes one value.

override batch: u32;
override pixels: u32;
override channels: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<stored>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= batch * pixels * channels {
        return;
    }
    let value = f32(x[index]);
    y[index] = stored(select(w[index % channels] * value, value, value > 0.0));
}
