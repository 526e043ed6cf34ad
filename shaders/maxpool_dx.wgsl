// dx[n, iy, ix, c] = dy[n, iy/size, ix/size, c] where argmax there is this place of the window, else 0
//
// dy      [batch, out_height, out_width, channels]
// argmax  [batch, out_height, out_width, channels]
// dx      [batch, in_height, in_width, channels]
//
// One thread makes one value of dx, the zeros too.

override batch: u32;
override in_height: u32;
override in_width: u32;
override channels: u32;
override out_height: u32;
override out_width: u32;
override size: u32;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> argmax: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= batch * in_height * in_width * channels {
        return;
    }
    let c = index % channels;
    let ix = index / channels % in_width;
    let iy = index / (channels * in_width) % in_height;
    let n = index / (channels * in_width * in_height);
    let oy = iy / size;
    let ox = ix / size;
    var value = 0.0;
    if oy < out_height && ox < out_width {
        let pooled = ((n * out_height + oy) * out_width + ox) * channels + c;
        if argmax[pooled] == iy % size * size + ix % size {
            value = dy[pooled];
        }
    }
    dx[index] = value;
}
