// Appended to the shaders of conv2d and conv2d_pool for GPUs and few input channels: a window of two by two outputs ×
// 16 channels in the registers of one thread, and the input under it, one channel after the other. All threads of a
// workgroup have the same output channels, so that a weight is loaded once for all of them.
//
// The shader declares
//   window_count(): how many windows lie below and beside each other in an image;
//   store_window(window, at, column, a, b, c, d): stores four channels of its outputs, columns counted in fours; `at`
//     is its image, and line and column of the first output.

// Channels 4j..4j+3 of output q at [4*q + j].
var<private> sums: array<vec4f, 16>;

// The input under the window, zero outside: at most six lines and columns, of one channel at a time. Indices are
// constants, once the functions stand where they are called.
var<private> inputs: array<f32, 36>;
// Where lines and columns begin, 0 where they are outside, and which are inside.
var<private> line_at: array<u32, 6>;
var<private> column_at: array<u32, 6>;
var<private> line_inside: array<bool, 6>;
var<private> column_inside: array<bool, 6>;

fn window_make(window: u32, column: u32) {
    let count = window_count();
    let at = vec3u(window / (count.x * count.y), 2u * (window / count.y % count.x), 2u * (window % count.y));
    inputs_begin(min(at.x, batch - 1u), at.y, at.z);
    // for j in 0..16:
    //     sums[{j}] = b[column + {j % 4}u];
    sums[0] = b[column + 0u];
    sums[1] = b[column + 1u];
    sums[2] = b[column + 2u];
    sums[3] = b[column + 3u];
    sums[4] = b[column + 0u];
    sums[5] = b[column + 1u];
    sums[6] = b[column + 2u];
    sums[7] = b[column + 3u];
    sums[8] = b[column + 0u];
    sums[9] = b[column + 1u];
    sums[10] = b[column + 2u];
    sums[11] = b[column + 3u];
    sums[12] = b[column + 0u];
    sums[13] = b[column + 1u];
    sums[14] = b[column + 2u];
    sums[15] = b[column + 3u];
    // end
    for (var i = 0u; i < in_channels; i++) {
        inputs_load(i);
        // By its bound a driver sees that no sum with it overflows, and loads with what is added in the instruction.
        let first = min(i, in_channels - 1u) * (out_channels / 4u) + column;
        // for t in 0..25:
        //     tap_add({t}u, first);
        tap_add(0u, first);
        tap_add(1u, first);
        tap_add(2u, first);
        tap_add(3u, first);
        tap_add(4u, first);
        tap_add(5u, first);
        tap_add(6u, first);
        tap_add(7u, first);
        tap_add(8u, first);
        tap_add(9u, first);
        tap_add(10u, first);
        tap_add(11u, first);
        tap_add(12u, first);
        tap_add(13u, first);
        tap_add(14u, first);
        tap_add(15u, first);
        tap_add(16u, first);
        tap_add(17u, first);
        tap_add(18u, first);
        tap_add(19u, first);
        tap_add(20u, first);
        tap_add(21u, first);
        tap_add(22u, first);
        tap_add(23u, first);
        tap_add(24u, first);
        // end
    }
    if at.x < batch {
        // for j in 0..4:
        //     store_window(window, at, column + {j}u, sums[{j}], sums[{j + 4}], sums[{j + 8}], sums[{j + 12}]);
        store_window(window, at, column + 0u, sums[0], sums[4], sums[8], sums[12]);
        store_window(window, at, column + 1u, sums[1], sums[5], sums[9], sums[13]);
        store_window(window, at, column + 2u, sums[2], sums[6], sums[10], sums[14]);
        store_window(window, at, column + 3u, sums[3], sums[7], sums[11], sums[15]);
        // end
    }
}

// Adds tap t, whose weights are behind those of the first tap.
fn tap_add(t: u32, first: u32) {
    if t < kernel_height * kernel_width {
        // for q in 0..4:
        //     let a{q} = vec4f(input_at({q / 2}u * stride + t / kernel_width, {q % 2}u * stride + t % kernel_width));
        let a0 = vec4f(input_at(0u * stride + t / kernel_width, 0u * stride + t % kernel_width));
        let a1 = vec4f(input_at(0u * stride + t / kernel_width, 1u * stride + t % kernel_width));
        let a2 = vec4f(input_at(1u * stride + t / kernel_width, 0u * stride + t % kernel_width));
        let a3 = vec4f(input_at(1u * stride + t / kernel_width, 1u * stride + t % kernel_width));
        // end
        // for j in 0..4:
        //     let w{j} = w[first + t * in_channels * (out_channels / 4u) + {j}u];
        //     sums[{j}] = fma(a0, w{j}, sums[{j}]);
        //     sums[{j + 4}] = fma(a1, w{j}, sums[{j + 4}]);
        //     sums[{j + 8}] = fma(a2, w{j}, sums[{j + 8}]);
        //     sums[{j + 12}] = fma(a3, w{j}, sums[{j + 12}]);
        let w0 = w[first + t * in_channels * (out_channels / 4u) + 0u];
        sums[0] = fma(a0, w0, sums[0]);
        sums[4] = fma(a1, w0, sums[4]);
        sums[8] = fma(a2, w0, sums[8]);
        sums[12] = fma(a3, w0, sums[12]);
        let w1 = w[first + t * in_channels * (out_channels / 4u) + 1u];
        sums[1] = fma(a0, w1, sums[1]);
        sums[5] = fma(a1, w1, sums[5]);
        sums[9] = fma(a2, w1, sums[9]);
        sums[13] = fma(a3, w1, sums[13]);
        let w2 = w[first + t * in_channels * (out_channels / 4u) + 2u];
        sums[2] = fma(a0, w2, sums[2]);
        sums[6] = fma(a1, w2, sums[6]);
        sums[10] = fma(a2, w2, sums[10]);
        sums[14] = fma(a3, w2, sums[14]);
        let w3 = w[first + t * in_channels * (out_channels / 4u) + 3u];
        sums[3] = fma(a0, w3, sums[3]);
        sums[7] = fma(a1, w3, sums[7]);
        sums[11] = fma(a2, w3, sums[11]);
        sums[15] = fma(a3, w3, sums[15]);
        // end
    }
}

// Begins with the window whose first output is oy, ox of image n.
fn inputs_begin(n: u32, oy: u32, ox: u32) {
    // for k in 0..6:
    //     inputs_begin_one({k}u, n, oy * stride - pad_y, ox * stride - pad_x);
    inputs_begin_one(0u, n, oy * stride - pad_y, ox * stride - pad_x);
    inputs_begin_one(1u, n, oy * stride - pad_y, ox * stride - pad_x);
    inputs_begin_one(2u, n, oy * stride - pad_y, ox * stride - pad_x);
    inputs_begin_one(3u, n, oy * stride - pad_y, ox * stride - pad_x);
    inputs_begin_one(4u, n, oy * stride - pad_y, ox * stride - pad_x);
    inputs_begin_one(5u, n, oy * stride - pad_y, ox * stride - pad_x);
    // end
}

fn inputs_begin_one(k: u32, n: u32, y: u32, x: u32) {
    let count = window_count();
    // Below zero wraps round to a large number, so one comparison finds both borders. Where no window reaches beyond
    // them, none is needed.
    line_inside[k] = y + k < in_height || (k >= pad_y && 2u * (count.x - 1u) * stride + k < in_height + pad_y);
    line_at[k] = select(0u, (n * in_height + y + k) * in_width * in_channels, line_inside[k]);
    column_inside[k] = x + k < in_width || (k >= pad_x && 2u * (count.y - 1u) * stride + k < in_width + pad_x);
    column_at[k] = select(0u, (x + k) * in_channels, column_inside[k]);
}

// Loads channel i.
fn inputs_load(i: u32) {
    // for k in 0..36:
    //     input_load({k / 6}u, {k % 6}u, i);
    input_load(0u, 0u, i);
    input_load(0u, 1u, i);
    input_load(0u, 2u, i);
    input_load(0u, 3u, i);
    input_load(0u, 4u, i);
    input_load(0u, 5u, i);
    input_load(1u, 0u, i);
    input_load(1u, 1u, i);
    input_load(1u, 2u, i);
    input_load(1u, 3u, i);
    input_load(1u, 4u, i);
    input_load(1u, 5u, i);
    input_load(2u, 0u, i);
    input_load(2u, 1u, i);
    input_load(2u, 2u, i);
    input_load(2u, 3u, i);
    input_load(2u, 4u, i);
    input_load(2u, 5u, i);
    input_load(3u, 0u, i);
    input_load(3u, 1u, i);
    input_load(3u, 2u, i);
    input_load(3u, 3u, i);
    input_load(3u, 4u, i);
    input_load(3u, 5u, i);
    input_load(4u, 0u, i);
    input_load(4u, 1u, i);
    input_load(4u, 2u, i);
    input_load(4u, 3u, i);
    input_load(4u, 4u, i);
    input_load(4u, 5u, i);
    input_load(5u, 0u, i);
    input_load(5u, 1u, i);
    input_load(5u, 2u, i);
    input_load(5u, 3u, i);
    input_load(5u, 4u, i);
    input_load(5u, 5u, i);
    // end
}

fn input_load(line: u32, column: u32, i: u32) {
    if line < kernel_height + stride && column < kernel_width + stride {
        let found = f32(x[line_at[line] + i + column_at[column]]);
        inputs[line * 6u + column] = select(0.0, found, line_inside[line] && column_inside[column]);
    }
}

fn input_at(line: u32, column: u32) -> f32 {
    return inputs[line * 6u + column];
}
