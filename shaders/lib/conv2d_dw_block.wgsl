// Appended to the shaders of conv2d_dw for GPUs, with lib/conv2d_dw_pixels.wgsl: what else lib/block_terms.wgsl asks
// for. Rows are the weights of an output.

alias Loaded = stored4;
alias Inside = vec4<bool>;
const ROWS_BY_TERMS = false;
const COLUMNS_BY_TERMS = false;

// Of four weights: line and column of their tap.
var<private> tap_y: u32;
var<private> tap_x: u32;

fn rows_begin(row: u32, q: u32) {
    let depth = in_channels / 4u;
    let term = min(row / 4u, kernel_height * kernel_width * depth - 1u);
    // Below zero wraps round to a large number, so one comparison finds both borders.
    tap_y = term / depth / kernel_width - pad_y;
    tap_x = term / depth % kernel_width - pad_x;
    pixel_at += (tap_y * in_width + tap_x) * depth + term % depth;
}

fn rows_load(first: u32, q: u32) {
    let depth = in_channels / 4u;
    var ox = out_x;
    var oy = out_y;
    var at = pixel_at;
    // Where images have a multiple of four pixels, there are all four or none; and where lines have, four lie in one.
    // for j in 0..4:
    //     let iy{j} = oy * stride + tap_y;
    //     let ix{j} = ox * stride + tap_x;
    //     let last{j} = pixel + select({j}u, 0u, out_height * out_width % 4u == 0u);
    //     inside[{j}] = last{j} < end && iy{j} < in_height && ix{j} < in_width;
    //     loaded[{j}] = x[select(0u, at, inside[{j}])];
    //     ox += 1u;
    //     at += stride * depth;
    //     let right{j} = ox == out_width && out_width % {j % 2 * 2 + 2}u != 0u;
    //     ox = select(ox, 0u, right{j});
    //     oy = select(oy, oy + 1u, right{j});
    //     at = select(at, at + (in_width - out_width) * stride * depth, right{j});
    //     let below{j} = right{j} && oy == out_height;
    //     oy = select(oy, 0u, below{j});
    //     at = select(at, at + (in_height - out_height * stride) * in_width * depth, below{j});
    let iy0 = oy * stride + tap_y;
    let ix0 = ox * stride + tap_x;
    let last0 = pixel + select(0u, 0u, out_height * out_width % 4u == 0u);
    inside[0] = last0 < end && iy0 < in_height && ix0 < in_width;
    loaded[0] = x[select(0u, at, inside[0])];
    ox += 1u;
    at += stride * depth;
    let right0 = ox == out_width && out_width % 2u != 0u;
    ox = select(ox, 0u, right0);
    oy = select(oy, oy + 1u, right0);
    at = select(at, at + (in_width - out_width) * stride * depth, right0);
    let below0 = right0 && oy == out_height;
    oy = select(oy, 0u, below0);
    at = select(at, at + (in_height - out_height * stride) * in_width * depth, below0);
    let iy1 = oy * stride + tap_y;
    let ix1 = ox * stride + tap_x;
    let last1 = pixel + select(1u, 0u, out_height * out_width % 4u == 0u);
    inside[1] = last1 < end && iy1 < in_height && ix1 < in_width;
    loaded[1] = x[select(0u, at, inside[1])];
    ox += 1u;
    at += stride * depth;
    let right1 = ox == out_width && out_width % 4u != 0u;
    ox = select(ox, 0u, right1);
    oy = select(oy, oy + 1u, right1);
    at = select(at, at + (in_width - out_width) * stride * depth, right1);
    let below1 = right1 && oy == out_height;
    oy = select(oy, 0u, below1);
    at = select(at, at + (in_height - out_height * stride) * in_width * depth, below1);
    let iy2 = oy * stride + tap_y;
    let ix2 = ox * stride + tap_x;
    let last2 = pixel + select(2u, 0u, out_height * out_width % 4u == 0u);
    inside[2] = last2 < end && iy2 < in_height && ix2 < in_width;
    loaded[2] = x[select(0u, at, inside[2])];
    ox += 1u;
    at += stride * depth;
    let right2 = ox == out_width && out_width % 2u != 0u;
    ox = select(ox, 0u, right2);
    oy = select(oy, oy + 1u, right2);
    at = select(at, at + (in_width - out_width) * stride * depth, right2);
    let below2 = right2 && oy == out_height;
    oy = select(oy, 0u, below2);
    at = select(at, at + (in_height - out_height * stride) * in_width * depth, below2);
    let iy3 = oy * stride + tap_y;
    let ix3 = ox * stride + tap_x;
    let last3 = pixel + select(3u, 0u, out_height * out_width % 4u == 0u);
    inside[3] = last3 < end && iy3 < in_height && ix3 < in_width;
    loaded[3] = x[select(0u, at, inside[3])];
    ox += 1u;
    at += stride * depth;
    let right3 = ox == out_width && out_width % 4u != 0u;
    ox = select(ox, 0u, right3);
    oy = select(oy, oy + 1u, right3);
    at = select(at, at + (in_width - out_width) * stride * depth, right3);
    let below3 = right3 && oy == out_height;
    oy = select(oy, 0u, below3);
    at = select(at, at + (in_height - out_height * stride) * in_width * depth, below3);
    // end
    pixels_next(depth);
}

// The block of a workgroup: all of a split follow one another.
fn block_make_split(lane: u32, group: u32) {
    let across = (out_channels + BLOCK_COLUMNS - 1u) / BLOCK_COLUMNS;
    let down = (kernel_height * kernel_width * in_channels + BLOCK_ROWS - 1u) / BLOCK_ROWS;
    pixels_begin(group / (across * down), 4u * (lane / BLOCK_DOWN), in_channels / 4u);
    let terms = (batch + splits - 1u) / splits * out_height * out_width;
    block_make(lane, group / across % down * BLOCK_DOWN, group % across * BLOCK_ACROSS, terms);
}
