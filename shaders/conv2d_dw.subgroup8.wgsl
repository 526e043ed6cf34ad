// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, oy*stride + ky - pad_y, ox*stride + kx - pad_x, i] * dz[n, oy, ox, o], for eight-lane software Vulkan
//
// x   [batch, in_height, in_width, in_channels]      in_channels a multiple of 4
// dz  [batch, out_height, out_width, out_channels]   out_channels a multiple of 4; gradient before the activation
// dw  [splits, kernel_height, kernel_width, in_channels, out_channels]
//
// One subgroup makes a tile of 32 input channels × 32 output channels of one tap and one split, see lib/tile.wgsl. It
// walks over the outputs that the tap reaches inside the image, four at a time: lane l has input channels 4l..4l+3 of
// each, and turns them over. So row 8i + l of the tile is its channel 4l + i.

override batch: u32;
override in_height: u32;
override in_width: u32;
override in_channels: u32;
override out_height: u32;
override out_width: u32;
override out_channels: u32;
override kernel_height: u32;
override kernel_width: u32;
override stride: u32;
override pad_y: u32;
override pad_x: u32;
override groups: u32;
override splits: u32;

@group(0) @binding(0) var<storage, read> x: array<stored_wide4>;
@group(0) @binding(1) var<storage, read> dz: array<wide4>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

var<private> column: u32;
var<private> tap: u32;
var<private> split: u32;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 31u) / 32u;
    let down = (in_channels + 31u) / 32u;
    let g = group_index(group, workgroups);
    let row = g / across % down * 32u;
    column = g % across * 8u + lane;
    tap = g / (across * down) % (kernel_height * kernel_width);
    split = g / (across * down * kernel_height * kernel_width);
    let a = min(row / 4u + lane, in_channels / 4u - 1u);
    let b = min(column, out_channels / 4u - 1u);
    let ky = tap / kernel_width;
    let kx = tap % kernel_width;
    let chunk = (batch + splits - 1u) / splits;
    let images = min((split + 1u) * chunk, batch) - min(split * chunk, batch);
    let rows = reach(ky, pad_y, in_height, out_height);
    let columns = reach(kx, pad_x, in_width, out_width);
    let left = images * (rows.y - rows.x) * (columns.y - columns.x);
    place = vec3u(split * chunk, rows.x, columns.x);
    for (var done = 0u; done < left; done += 4u) {
        let p0 = place;
        let p1 = next(rows, columns);
        let p2 = next(rows, columns);
        let p3 = next(rows, columns);
        next(rows, columns);
        let mask = select(vec4f(0.0), vec4f(1.0), done + vec4u(0u, 1u, 2u, 3u) < vec4u(left));
        let n = min(vec4u(p0.x, p1.x, p2.x, p3.x), vec4u(batch - 1u));
        let oy = vec4u(p0.y, p1.y, p2.y, p3.y);
        let ox = vec4u(p0.z, p1.z, p2.z, p3.z);
        let input = (n * in_height + oy * stride + ky - pad_y) * in_width + ox * stride + kx - pad_x;
        let at_x = input * (in_channels / 4u) + a;
        let q = transpose(mat4x4f(
            mask.x * four_stored(x[at_x.x]), mask.y * four_stored(x[at_x.y]),
            mask.z * four_stored(x[at_x.z]), mask.w * four_stored(x[at_x.w]),
        ));
        let at_dz = ((n * out_height + oy) * out_width + ox) * (out_channels / 4u) + b;
        tile_add_rows(
            q[0], q[1], q[2], q[3], four(dz[at_dz.x]), four(dz[at_dz.y]), four(dz[at_dz.z]), four(dz[at_dz.w]),
        );
    }
    tile_store(row);
}

// Image, row and column of an output.
var<private> place: vec3u;

// The outputs along one axis that tap k reaches inside the image: the first, and one behind the last.
fn reach(k: u32, pad: u32, in_size: u32, out_size: u32) -> vec2u {
    let first = (max(pad, k) - k + stride - 1u) / stride;
    let end = min((in_size + pad - min(k, in_size + pad) + stride - 1u) / stride, out_size);
    return vec2u(first, max(first, end));
}

// Goes to the next output: to the right, then down, then to the next image.
fn next(rows: vec2u, columns: vec2u) -> vec3u {
    let right = place.z + 1u == columns.y;
    let below = right && place.y + 1u == rows.y;
    place.z = select(place.z + 1u, columns.x, right);
    place.y = select(place.y + select(0u, 1u, right), rows.x, below);
    place.x += select(0u, 1u, below);
    return place;
}

fn store_row(at: u32, values: vec4f) {
    let row = at / 32u * 32u + at % 8u * 4u + at % 32u / 8u;
    if split < splits && row < in_channels && column < out_channels / 4u {
        dw[((split * kernel_height * kernel_width + tap) * in_channels + row) * (out_channels / 4u) + column] = values;
    }
}
