// y[n, r, c] = the colour that the matrix of row n makes of that of x[n, r, c]; 0 in the rectangle of row n
//
// x        [batch, height, width, channels]
// colours  [batch, 3, 4]   new red, green, blue = matrix * (red, green, blue, 1), in bytes, cut off at 0 and 255
// blanks   [batch, 4]      left, top, right, bottom, in pixels, the latter two outside
// y        [batch, height, width, channels]
//
// Where there are not three channels each is taken for grey, which is equal red, green and blue: its row is the first.
// One thread makes one pixel.

override batch: u32;
override height: u32;
override width: u32;
override channels: u32;
override mean_0: f32;
override mean_1: f32;
override mean_2: f32;
override mean_3: f32;
override factor_0: f32;
override factor_1: f32;
override factor_2: f32;
override factor_3: f32;

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> colours: array<f32>;
@group(0) @binding(2) var<storage, read> blanks: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<stored>;

// The byte that a channel of a pixel was made of.
fn byte(pixel: u32, channel: u32) -> f32 {
    let c = channel % 4u;
    let value = f32(x[pixel * channels + channel]);
    return value / vec4f(factor_0, factor_1, factor_2, factor_3)[c] + vec4f(mean_0, mean_1, mean_2, mean_3)[c];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let pixel = group_index(group, groups) * 64u + lane;
    if pixel >= batch * height * width {
        return;
    }
    let n = pixel / (height * width);
    let at = vec2f(f32(pixel % width), f32(pixel / width % height));
    let b = 4u * n;
    let first = vec2f(blanks[b], blanks[b + 1u]);
    let end = vec2f(blanks[b + 2u], blanks[b + 3u]);
    let blank = all(at >= first) && all(at < end);
    for (var channel = 0u; channel < channels; channel++) {
        let row = 12u * n + select(0u, 4u * channel, channels == 3u);
        let factors = vec3f(colours[row], colours[row + 1u], colours[row + 2u]);
        var sum = colours[row + 3u];
        if channels == 3u {
            sum += dot(factors, vec3f(byte(pixel, 0u), byte(pixel, 1u), byte(pixel, 2u)));
        } else {
            sum += (factors.x + factors.y + factors.z) * byte(pixel, channel);
        }
        y[pixel * channels + channel] = stored(select(scaled(clamp(sum, 0.0, 255.0), channel), 0.0, blank));
    }
}
