// x[n, r, c] = (image[rows[n]] at the place that the map of row n gives, between four pixels - mean_c) * factor_c;
//              outside is black, a byte of 0
//
// bytes  [images, height, width, channels]   u8, four to a word, the first in the lowest bits
// rows   [batch]       which image each row of the batch takes
// maps   [batch, 6]    x' = m0*x + m1*y + m2, y' = m3*x + m4*y + m5, from the centre, in pixels: new place to old
// keys   [batch]       seeds of the elastic distortion
// x      [batch, height, width, channels]
//
// The elastic distortion adds a smooth random displacement: control points a quarter of the image apart, each moved by
// up to `elastic` pixels as a hash of key and point says, joined by cubic B-splines. One thread makes one pixel.
//
// It takes the four pixels around a place, whatever the map does: one that shrinks an image to less than half passes
// over pixels, so that fine patterns alias. Those of an augmentation hardly shrink any.

override images: u32;
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
override elastic: f32;

@group(0) @binding(0) var<storage, read> bytes: array<u32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> maps: array<f32>;
@group(0) @binding(3) var<storage, read> keys: array<u32>;
@group(0) @binding(4) var<storage, read_write> x: array<stored>;

// Two displacements of [-1, 1) by 16 bits each.
fn displacement(key: u32, point: vec2u) -> vec2f {
    let bits = hash(key ^ (((point.y << 16u) | point.x) * 0x9e3779b9u));
    return vec2f(f32(bits & 0xffffu), f32(bits >> 16u)) / 32768.0 - 1.0;
}

// Weights of the four control points around a place that lies t behind the second.
fn spline(t: f32) -> vec4f {
    let left = 1.0 - t;
    let outer = vec2f(left * left * left, t * t * t);
    let inner = 3.0 * outer.yx - 6.0 * vec2f(t * t, left * left) + 4.0;
    return vec4f(outer.x, inner, outer.y) / 6.0;
}

fn pixel(image: u32, place: vec2i, channel: u32) -> f32 {
    if any(place < vec2i(0)) || any(place >= vec2i(i32(width), i32(height))) {
        return 0.0;
    }
    let byte = image + (u32(place.y) * width + u32(place.x)) * channels + channel;
    return f32((bytes[byte / 4u] >> (8u * (byte % 4u))) & 0xffu);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let index = group_index(group, groups) * 64u + lane;
    if index >= batch * height * width {
        return;
    }
    let n = index / (height * width);
    let at = vec2f(f32(index % width), f32(index / width % height));
    let centre = vec2f(f32(width - 1u), f32(height - 1u)) / 2.0;
    let from_centre = at - centre;
    let m = 6u * n;
    var place = vec2f(
        maps[m] * from_centre.x + maps[m + 1u] * from_centre.y + maps[m + 2u],
        maps[m + 3u] * from_centre.x + maps[m + 4u] * from_centre.y + maps[m + 5u],
    ) + centre;
    if elastic > 0.0 {
        let grid = at / (f32(min(height, width)) / 4.0);
        let weights_x = spline(fract(grid.x));
        let weights_y = spline(fract(grid.y));
        for (var j = 0u; j < 4u; j++) {
            for (var i = 0u; i < 4u; i++) {
                let point = vec2u(floor(grid)) + vec2u(i, j);
                place += elastic * weights_x[i] * weights_y[j] * displacement(keys[n], point);
            }
        }
    }
    // Far outside all is 0; the clamp keeps the conversion to integers in range.
    place = clamp(place, vec2f(-2.0), vec2f(f32(width), f32(height)) + 1.0);
    let corner = vec2i(floor(place));
    let share = place - floor(place);
    // A row number out of range would read another array's memory on some drivers.
    let image = min(rows[n], images - 1u) * height * width * channels;
    for (var channel = 0u; channel < channels; channel++) {
        let left = vec2f(pixel(image, corner, channel), pixel(image, corner + vec2i(0, 1), channel));
        let right = vec2f(pixel(image, corner + vec2i(1, 0), channel), pixel(image, corner + vec2i(1, 1), channel));
        let both = mix(left, right, share.x);
        x[index * channels + channel] = stored(scaled(mix(both.x, both.y, share.y), channel));
    }
}
