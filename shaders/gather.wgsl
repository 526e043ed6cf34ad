// x[n, p] = (image[rows[n], p] - mean_c) * factor_c, c being the channel of p
//
// bytes  [images, pixels]  u8, four to a word, the first in the lowest bits
// rows   [batch]           which image each row of the batch takes
// x      [batch, pixels]   pixels = height * width * channels
//
// One thread makes one pixel: the images stay on the device, a step sends row numbers only.

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
@group(0) @binding(2) var<storage, read_write> x: array<stored>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= batch * pixels {
        return;
    }
    // A row number out of range would read another array's memory on some drivers.
    let row = min(rows[index / pixels], images - 1u);
    let byte = row * pixels + index % pixels;
    x[index] = stored(scaled(f32((bytes[byte / 4u] >> (8u * (byte % 4u))) & 0xffu), index % channels));
}
