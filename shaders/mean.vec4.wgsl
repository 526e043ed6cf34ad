// y[n, c] = sum over p of x[n, p, c] / pixels
//
// x  [batch, pixels, channels]   channels a multiple of 4
// y  [batch, channels]
//
// As mean, four channels a thread.

override batch: u32;
override pixels: u32;
override channels: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let width = channels / 4u;
    if index >= batch * width {
        return;
    }
    let c = index % width;
    let n = index / width;
    var sum = vec4f(0.0);
    for (var p = 0u; p < pixels; p++) {
        sum += vec4f(x[(n * pixels + p) * width + c]);
    }
    y[index] = sum * (1.0 / f32(pixels));
}
