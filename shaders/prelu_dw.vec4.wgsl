// dw[s, c] = sum over the pixels of split s of x[pixel, c] * dy[pixel, c] where x is not above 0
//
// x   [batch, pixels, channels]   channels a multiple of 4
// dy  [batch, pixels, channels]
// dw  [splits, channels]
//
// Split s takes the pixels of all images [s*chunk, (s+1)*chunk) in order. One thread makes four values.

override batch: u32;
override pixels: u32;
override channels: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let width = channels / 4u;
    if index >= splits * width {
        return;
    }
    let c = index % width;
    let s = index / width;
    let rows = batch * pixels;
    let chunk = (rows + splits - 1u) / splits;
    var sum = vec4f(0.0);
    for (var r = s * chunk; r < min((s + 1u) * chunk, rows); r++) {
        let value = vec4f(x[r * width + c]);
        sum += select(value * dy[r * width + c], vec4f(0.0), value > vec4f(0.0));
    }
    dw[index] = sum;
}
