// dw[s, c] = sum over the pixels of split s of x[pixel, c] * dy[pixel, c] where x is not above 0
//
// x   [batch, pixels, channels]
// dy  [batch, pixels, channels]
// dw  [splits, channels]
//
// Split s takes the pixels of all images [s*chunk, (s+1)*chunk) in order. One thread makes one value.

override batch: u32;
override pixels: u32;
override channels: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= splits * channels {
        return;
    }
    let c = index % channels;
    let s = index / channels;
    let rows = batch * pixels;
    let chunk = (rows + splits - 1u) / splits;
    var sum = 0.0;
    for (var r = s * chunk; r < min((s + 1u) * chunk, rows); r++) {
        let value = f32(x[r * channels + c]);
        sum += select(value * dy[r * channels + c], 0.0, value > 0.0);
    }
    dw[index] = sum;
}
