// Appended to the shaders of conv2d_dw for GPUs: what lib/block.wgsl asks for. Rows are the weights of an output,
// columns outputs, and terms the pixels of a split's images.

alias Loaded = stored4;
const ROWS_BY_TERMS = false;
const COLUMNS_BY_TERMS = false;

// The split, its first pixel and the end of its pixels.
var<private> split: u32;
var<private> begin: u32;
var<private> end: u32;
// Of four weights: line and column of their tap, and their channels.
var<private> tap_y: u32;
var<private> tap_x: u32;
var<private> tap_i: u32;

fn rows_begin(r: u32) {
    let depth = in_channels / 4u;
    let term = min(r, kernel_height * kernel_width * depth - 1u);
    // Below zero wraps round to a large number, so one comparison finds both borders.
    tap_y = term / depth / kernel_width - pad_y;
    tap_x = term / depth % kernel_width - pad_x;
    tap_i = term % depth;
}

fn rows_load(first: u32, q: u32) {
    let depth = in_channels / 4u;
    let pixel = begin + 4u * (first + q);
    var ox = pixel % out_width;
    var iy = pixel / out_width % out_height * stride + tap_y;
    var ix = ox * stride + tap_x;
    var at = ((pixel / (out_width * out_height) * in_height + iy) * in_width + ix) * depth + tap_i;
    // for j in 0..4:
    //     inside[{j}] = pixel + {j}u < end && iy < in_height && ix < in_width;
    //     loaded[{j}] = x[select(0u, at, inside[{j}])];
    //     ox += 1u;
    //     ix += stride;
    //     at += stride * depth;
    //     let right{j} = ox == out_width;
    //     ox = select(ox, 0u, right{j});
    //     ix = select(ix, tap_x, right{j});
    //     iy = select(iy, iy + stride, right{j});
    //     at = select(at, at + (in_width - out_width) * stride * depth, right{j});
    //     let below{j} = right{j} && iy == out_height * stride + tap_y;
    //     iy = select(iy, tap_y, below{j});
    //     at = select(at, at + (in_height - out_height * stride) * in_width * depth, below{j});
    inside[0] = pixel + 0u < end && iy < in_height && ix < in_width;
    loaded[0] = x[select(0u, at, inside[0])];
    ox += 1u;
    ix += stride;
    at += stride * depth;
    let right0 = ox == out_width;
    ox = select(ox, 0u, right0);
    ix = select(ix, tap_x, right0);
    iy = select(iy, iy + stride, right0);
    at = select(at, at + (in_width - out_width) * stride * depth, right0);
    let below0 = right0 && iy == out_height * stride + tap_y;
    iy = select(iy, tap_y, below0);
    at = select(at, at + (in_height - out_height * stride) * in_width * depth, below0);
    inside[1] = pixel + 1u < end && iy < in_height && ix < in_width;
    loaded[1] = x[select(0u, at, inside[1])];
    ox += 1u;
    ix += stride;
    at += stride * depth;
    let right1 = ox == out_width;
    ox = select(ox, 0u, right1);
    ix = select(ix, tap_x, right1);
    iy = select(iy, iy + stride, right1);
    at = select(at, at + (in_width - out_width) * stride * depth, right1);
    let below1 = right1 && iy == out_height * stride + tap_y;
    iy = select(iy, tap_y, below1);
    at = select(at, at + (in_height - out_height * stride) * in_width * depth, below1);
    inside[2] = pixel + 2u < end && iy < in_height && ix < in_width;
    loaded[2] = x[select(0u, at, inside[2])];
    ox += 1u;
    ix += stride;
    at += stride * depth;
    let right2 = ox == out_width;
    ox = select(ox, 0u, right2);
    ix = select(ix, tap_x, right2);
    iy = select(iy, iy + stride, right2);
    at = select(at, at + (in_width - out_width) * stride * depth, right2);
    let below2 = right2 && iy == out_height * stride + tap_y;
    iy = select(iy, tap_y, below2);
    at = select(at, at + (in_height - out_height * stride) * in_width * depth, below2);
    inside[3] = pixel + 3u < end && iy < in_height && ix < in_width;
    loaded[3] = x[select(0u, at, inside[3])];
    ox += 1u;
    ix += stride;
    at += stride * depth;
    let right3 = ox == out_width;
    ox = select(ox, 0u, right3);
    ix = select(ix, tap_x, right3);
    iy = select(iy, iy + stride, right3);
    at = select(at, at + (in_width - out_width) * stride * depth, right3);
    let below3 = right3 && iy == out_height * stride + tap_y;
    iy = select(iy, tap_y, below3);
    at = select(at, at + (in_height - out_height * stride) * in_width * depth, below3);
    // end
}

fn columns_load(k: u32, c: u32) -> vec4f {
    let width = out_channels / 4u;
    return dz[min(begin + k, batch * out_height * out_width - 1u) * width + min(c, width - 1u)];
}

fn add_term(sum: vec4f, a: f32, b: vec4f) -> vec4f {
    return fma(vec4f(a), b, sum);
}

fn store_part(row: u32, column: u32, values: vec4f) {
    let terms = kernel_height * kernel_width * in_channels;
    if split < splits && row < terms && column < out_channels / 4u {
        dw[(split * terms + row) * (out_channels / 4u) + column] = values;
    }
}

// The block of a workgroup: all of a split follow one another.
fn block_make_split(lane: u32, group: u32) {
    let across = (out_channels + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let down = (kernel_height * kernel_width * in_channels + BLOCK_ROWS - 1u) / BLOCK_ROWS;
    let image = out_height * out_width;
    let chunk = (batch + splits - 1u) / splits;
    split = group / (across * down);
    begin = min(split * chunk, batch) * image;
    end = min((split + 1u) * chunk, batch) * image;
    block_make(lane, group / across % down * BLOCK_DOWN, group % across * BLOCK_ACROSS, chunk * image);
}
