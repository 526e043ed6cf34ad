// Appended to the shaders of conv2d_dw for GPUs, for lib/block_terms.wgsl and lib/slices.wgsl: terms are the pixels
// of a split's images, columns outputs. Each thread goes on by BLOCK_TERMS pixels at a time, to whose inputs a pixel
// has `depth`.

// The split, its first pixel and the end of its pixels.
var<private> split: u32;
var<private> begin: u32;
var<private> end: u32;
// The next pixel, its line and column, and where the input under its tap is.
var<private> pixel: u32;
var<private> out_y: u32;
var<private> out_x: u32;
var<private> pixel_at: u32;

// Begins split `number` with the pixel in place `first`.
fn pixels_begin(number: u32, first: u32, depth: u32) {
    let image = out_height * out_width;
    let chunk = (batch + splits - 1u) / splits;
    split = number;
    begin = min(split * chunk, batch) * image;
    end = min((split + 1u) * chunk, batch) * image;
    pixel = begin + first;
    out_x = pixel % out_width;
    out_y = pixel / out_width % out_height;
    pixel_at = ((pixel / image * in_height + out_y * stride) * in_width + out_x * stride) * depth;
}

// BLOCK_TERMS pixels on, without a division.
fn pixels_next(depth: u32) {
    let lines = BLOCK_TERMS / out_width % out_height;
    let images = BLOCK_TERMS / (out_width * out_height);
    pixel += BLOCK_TERMS;
    out_x += BLOCK_TERMS % out_width;
    out_y += lines;
    pixel_at += ((images * in_height + lines * stride) * in_width + BLOCK_TERMS % out_width * stride) * depth;
    let right = out_x >= out_width;
    out_x = select(out_x, out_x - out_width, right);
    out_y = select(out_y, out_y + 1u, right);
    pixel_at = select(pixel_at, pixel_at + (in_width - out_width) * stride * depth, right);
    let below = out_y >= out_height;
    out_y = select(out_y, out_y - out_height, below);
    pixel_at = select(pixel_at, pixel_at + (in_height - out_height * stride) * in_width * depth, below);
}

fn columns_load(start: u32, k: u32, c: u32) -> vec4f {
    let width = out_channels / 4u;
    return dz[min(begin + start + k, batch * out_height * out_width - 1u) * width + min(c, width - 1u)];
}

fn store_part(row: u32, column: u32, values: vec4f) {
    let terms = kernel_height * kernel_width * in_channels;
    if split < splits && row < terms && column < out_channels / 4u {
        dw[(split * terms + row) * (out_channels / 4u) + column] = values;
    }
}
