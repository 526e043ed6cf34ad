// dx[n, iy, ix, i] = sum over ky, kx, o of dz[n, iy + pad_y - ky, ix + pad_x - kx, o] * w[ky, kx, i, o], for GPUs;
// one group, the stride divides in_height and in_width
//
// dz  [batch, out_height, out_width, out_channels]   gradient before the activation; out_channels a multiple of 4
// w   [kernel_height, kernel_width, in_channels, out_channels]
// dx  [batch, in_height, in_width, in_channels]      in_channels a multiple of 4
//
// One workgroup makes a block of 128 pixels × 64 channels of dx, see lib/phases.wgsl and lib/block.wgsl.

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

@group(0) @binding(0) var<storage, read> dz: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

// Terms 4*term.. of the pixel in a place, 0 outside.
fn terms_of(place: u32, term: u32) -> vec4f {
    let depth = out_channels / 4u;
    let tap = term / depth;
    let pixel = pixel_at(place);
    // Below zero wraps round to a large number, so one comparison finds both borders.
    let sy = pixel / in_width % in_height + pad_y - tap / kernel_width;
    let sx = pixel % in_width + pad_x - tap % kernel_width;
    let oy = sy / stride;
    let ox = sx / stride;
    let whole = sy % stride == 0u && sx % stride == 0u && tap < kernel_height * kernel_width;
    let inside = place < batch * in_height * in_width && whole && oy < out_height && ox < out_width;
    let at = ((pixel / (in_width * in_height) * out_height + oy) * out_width + ox) * depth + term % depth;
    return select(vec4f(0.0), dz[select(0u, at, inside)], inside);
}

// Whether any of the sixteen terms from `start` meets pixels in the places of the block from `row`.
fn terms_meet(row: u32, start: u32) -> bool {
    let tap = start / out_channels;
    let is_one = (start + 15u) / out_channels == tap;
    return !is_one || tap_meets(row, row + 127u, tap / kernel_width, tap % kernel_width);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (in_channels + 63u) / 64u;
    let g = group_index(group, workgroups);
    let row = g / across * 128u;
    let column = g % across * 16u;
    let width = in_channels / 4u;
    let pixels = batch * in_height * in_width;
    let terms = kernel_height * kernel_width * out_channels;
    for (var start = 0u; start < terms; start += 16u) {
        if !terms_meet(row, start) {
            continue;
        }
        block_put_terms(lane, row, start);
        // Neighbouring threads read neighbouring terms of one column.
        let term = start + lane % 16u;
        let i = 4u * (column + lane / 16u);
        let inside = term < terms && i < in_channels;
        let at = select(0u, (term / out_channels * in_channels + i) * out_channels + term % out_channels, inside);
        let step = select(0u, out_channels, inside);
        let columns = vec4f(w[at], w[at + step], w[at + 2u * step], w[at + 3u * step]);
        block_put_columns(lane / 16u, lane % 16u, select(vec4f(0.0), columns, inside));
        block_multiply(lane);
    }
    let c = column + lane % 16u;
    for (var j = 0u; j < 8u; j++) {
        let place = row + block_row(lane, j);
        if place < pixels && c < width {
            dx[pixel_at(place) * width + c] = block[j];
        }
    }
}
