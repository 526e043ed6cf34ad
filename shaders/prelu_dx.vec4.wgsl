// dx[n, p, c] = dy[n, p, c] where x[n, p, c] is above 0, else w[c] * dy[n, p, c]
//
// x   [batch, pixels, channels]   channels a multiple of 4
// w   [channels]
// dy  [batch, pixels, channels]
// dx  [batch, pixels, channels]
//
// One thread makes four values.

override batch: u32;
override pixels: u32;
override channels: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored4>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let width = channels / 4u;
    if index >= batch * pixels * width {
        return;
    }
    dx[index] = select(w[index % width] * dy[index], dy[index], vec4f(x[index]) > vec4f(0.0));
}
