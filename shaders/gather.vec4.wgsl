// x[n, p] = (image[rows[n], p] - mean_c) * factor_c, c being the channel of p, four values at a time
//
// bytes  [images, pixels]    u8, four to a word, the first in the lowest bits; pixels a multiple of 4
// rows   [batch]             which image each row of the batch takes
// x      [batch, pixels/4]
//
// One thread makes the four values of a word, so that a row number and a word are loaded once.

override images: u32;
override batch: u32;
override pixels: u32;
override channels: u32;
override mean_0: f32;
override mean_1: f32;
override mean_2: f32;
override mean_3: f32;
override factor_0: f32;
override factor_1: f32;
override factor_2: f32;
override factor_3: f32;

@group(0) @binding(0) var<storage, read> bytes: array<u32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<stored4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    let words = pixels / 4u;
    if index >= batch * words {
        return;
    }
    // A row number out of range would read another array's memory on some drivers.
    let row = min(rows[index / words], images - 1u);
    let word = bytes[row * words + index % words];
    let byte = vec4f((vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu));
    let c = (vec4u(4u * index) + vec4u(0u, 1u, 2u, 3u)) % channels;
    x[index] = stored4(vec4f(
        scaled(byte.x, c.x),
        scaled(byte.y, c.y),
        scaled(byte.z, c.z),
        scaled(byte.w, c.w),
    ));
}
