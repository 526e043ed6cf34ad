// y[n, c] = sum over p of x[n, p, c] / pixels
//
// x  [batch, pixels, channels]
// y  [batch, channels]
//
// One thread makes one value; neighbouring threads read neighbouring channels.

override batch: u32;
override pixels: u32;
override channels: u32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= batch * channels {
        return;
    }
    let c = index % channels;
    let n = index / channels;
    var sum = 0.0;
    for (var p = 0u; p < pixels; p++) {
        sum += f32(x[(n * pixels + p) * channels + c]);
    }
    y[index] = sum * (1.0 / f32(pixels));
}
