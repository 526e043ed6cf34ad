// Appended to the shaders of conv2d_dw and conv2d_pool_dw for GPUs, 3×3 taps and a stride of 1 or 2: the nine weights
// of an input channel and 32 outputs of a split by a workgroup of 256 threads. Each thread has those of 8 outputs in
// registers and takes every 64th window of two by two outputs; in the end the threads with the same outputs are added
// in a tree.
//
// What a window sees are two by two or three by three cells of two by two inputs. These come through workgroup memory
// for some lines of windows at a time, the zeros around the image with them, so that no thread looks for a border.
//
// The shader declares window_count(), which says how many windows lie below and beside each other in an image, and
// gradients_load(at, column): loads those of a window into `gradients`, 0 where there is none. Columns are counted in
// fours, and `at` is the line of all images', the place in it, and both in one.

// Of the windows' lines the first cells, the second and the third; in the end three sums of each thread.
var<workgroup> cells: array<array<vec4f, 341>, 3>;
// The inputs under a window, six in a line. Indices are constants, once the functions stand where they are called.
var<private> inputs: array<f32, 36>;
// Of four outputs of each pixel of a window.
var<private> gradients: array<vec4f, 4>;
// Tap t of outputs 0..3 at [t], of outputs 4..7 behind them.
var<private> sums: array<vec4f, 18>;

fn weights_make(lane: u32, group: u32) {
    let width = out_channels / 4u;
    let across = (width + 7u) / 8u;
    let channel = group / across % in_channels;
    let split = group / (across * in_channels);
    let column = group % across * 8u + lane % 4u * 2u;
    let near = min(column, width - 1u);
    let far = min(column + 1u, width - 1u);
    let chunk = (batch + splits - 1u) / splits;
    let count = window_count();
    let end = min((split + 1u) * chunk, batch) * count.x;
    let across_line = stride * count.y + 1u;
    let lines = 341u / across_line;
    for (var first = min(split * chunk, batch) * count.x; first < end; first += lines) {
        workgroupBarrier();
        for (var k = lane; k < lines * across_line; k += 256u) {
            let line = min(first + k / across_line, batch * count.x - 1u);
            // for j in 0..3:
            //     cell_load({j}u, k, line, k % across_line, channel);
            cell_load(0u, k, line, k % across_line, channel);
            cell_load(1u, k, line, k % across_line, channel);
            cell_load(2u, k, line, k % across_line, channel);
            // end
        }
        workgroupBarrier();
        // All threads go on as long, so that the loop is counted once for all of them.
        let windows = min(lines, end - first) * count.y;
        for (var start = 0u; start < windows; start += 64u) {
            let window = start + lane / 4u;
            if window < windows {
                inputs_read(window / count.y * across_line + window % count.y * stride);
                let at = vec3u(first + window / count.y, window % count.y, first * count.y + window);
                gradients_load(at, near);
                taps_add(0u);
                gradients_load(at, far);
                taps_add(9u);
            }
        }
    }
    let at = vec3u(split, channel, column);
    // for k in 0..6:
    //     join(lane, at, {3 * k}u, sums[{3 * k}], sums[{3 * k + 1}], sums[{3 * k + 2}]);
    join(lane, at, 0u, sums[0], sums[1], sums[2]);
    join(lane, at, 3u, sums[3], sums[4], sums[5]);
    join(lane, at, 6u, sums[6], sums[7], sums[8]);
    join(lane, at, 9u, sums[9], sums[10], sums[11]);
    join(lane, at, 12u, sums[12], sums[13], sums[14]);
    join(lane, at, 15u, sums[15], sums[16], sums[17]);
    // end
}

// Loads the cell `below` the first in a place of a line.
fn cell_load(below: u32, k: u32, line: u32, place: u32, channel: u32) {
    if below <= stride {
        let lines = window_count().x;
        // Below zero wraps round to a large number, so one comparison finds both borders.
        let y = 2u * (line % lines * stride + below) - pad_y;
        let x = 2u * place - pad_x;
        let image = line / lines * in_height;
        cells[below][k] = vec4f(
            input(image, y, x, channel), input(image, y, x + 1u, channel),
            input(image, y + 1u, x, channel), input(image, y + 1u, x + 1u, channel),
        );
    }
}

fn input(image: u32, iy: u32, ix: u32, channel: u32) -> f32 {
    let is_inside = iy < in_height && ix < in_width;
    let at = select(0u, (image + iy) * in_width + ix, is_inside);
    return select(0.0, f32(x[at * in_channels + channel]), is_inside);
}

// Reads the cells of a window, the first of which is in place k.
fn inputs_read(k: u32) {
    // for j in 0..9:
    //     cell_read({j / 3}u, {j % 3}u, k);
    cell_read(0u, 0u, k);
    cell_read(0u, 1u, k);
    cell_read(0u, 2u, k);
    cell_read(1u, 0u, k);
    cell_read(1u, 1u, k);
    cell_read(1u, 2u, k);
    cell_read(2u, 0u, k);
    cell_read(2u, 1u, k);
    cell_read(2u, 2u, k);
    // end
}

fn cell_read(below: u32, right: u32, k: u32) {
    if below <= stride && right <= stride {
        let found = cells[below][k + right];
        let at = 12u * below + 2u * right;
        inputs[at] = found.x;
        inputs[at + 1u] = found.y;
        inputs[at + 6u] = found.z;
        inputs[at + 7u] = found.w;
    }
}

// Adds the products with the gradients to nine sums from `first`.
fn taps_add(first: u32) {
    // for t in 0..9:
    //     tap_add(first + {t}u, {t / 3}u, {t % 3}u);
    tap_add(first + 0u, 0u, 0u);
    tap_add(first + 1u, 0u, 1u);
    tap_add(first + 2u, 0u, 2u);
    tap_add(first + 3u, 1u, 0u);
    tap_add(first + 4u, 1u, 1u);
    tap_add(first + 5u, 1u, 2u);
    tap_add(first + 6u, 2u, 0u);
    tap_add(first + 7u, 2u, 1u);
    tap_add(first + 8u, 2u, 2u);
    // end
}

fn tap_add(k: u32, y: u32, x: u32) {
    // for q in 0..4:
    //     let a{q} = inputs[({q / 2}u * stride + y) * 6u + {q % 2}u * stride + x];
    //     sums[k] = fma(vec4f(a{q}), gradients[{q}], sums[k]);
    let a0 = inputs[(0u * stride + y) * 6u + 0u * stride + x];
    sums[k] = fma(vec4f(a0), gradients[0], sums[k]);
    let a1 = inputs[(0u * stride + y) * 6u + 1u * stride + x];
    sums[k] = fma(vec4f(a1), gradients[1], sums[k]);
    let a2 = inputs[(1u * stride + y) * 6u + 0u * stride + x];
    sums[k] = fma(vec4f(a2), gradients[2], sums[k]);
    let a3 = inputs[(1u * stride + y) * 6u + 1u * stride + x];
    sums[k] = fma(vec4f(a3), gradients[3], sums[k]);
    // end
}

// Adds three sums, of which the first is the one in place `first`, of the threads with the same outputs, and stores
// them.
fn join(lane: u32, at: vec3u, first: u32, a: vec4f, b: vec4f, c: vec4f) {
    workgroupBarrier();
    cells[0][lane] = a;
    cells[1][lane] = b;
    cells[2][lane] = c;
    for (var half = 128u; half >= 4u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            // for k in 0..3:
            //     cells[{k}][lane] += cells[{k}][lane + half];
            cells[0][lane] += cells[0][lane + half];
            cells[1][lane] += cells[1][lane + half];
            cells[2][lane] += cells[2][lane + half];
            // end
        }
    }
    if lane < 4u {
        // for k in 0..3:
        //     store(at, first + {k}u, cells[{k}][lane]);
        store(at, first + 0u, cells[0][lane]);
        store(at, first + 1u, cells[1][lane]);
        store(at, first + 2u, cells[2][lane]);
        // end
    }
}

// Stores the sum in place k.
fn store(at: vec3u, k: u32, values: vec4f) {
    let column = at.z + k / 9u;
    if at.x < splits && column < out_channels / 4u {
        dw[((at.x * 9u + k % 9u) * in_channels + at.y) * (out_channels / 4u) + column] = values;
    }
}
