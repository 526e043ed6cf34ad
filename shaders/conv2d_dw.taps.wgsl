// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, oy + ky - pad_y, ox + kx - pad_x, i] * dz[n, oy, ox, o], for GPUs, one input channel and 3×3 taps
//
// x   [batch, in_height, in_width, 1]                 zero outside
// dz  [batch, out_height, out_width, out_channels]    gradient before the activation; out_channels a multiple of 4
// dw  [splits, 3, 3, 1, out_channels]
//
// One workgroup makes the nine weights of 32 outputs of a split. Each thread has those of 8 outputs in registers and
// takes every 64th pair of neighbouring pixels; in the end the threads with the same outputs are added in a tree.
// Split s takes images [s*chunk, (s+1)*chunk).

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

@group(0) @binding(0) var<storage, read> x: array<stored>;
@group(0) @binding(1) var<storage, read> dz: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dw: array<vec4f>;

// Outputs 0..3 of tap t in the even ones, 4..7 in the odd ones.
var<private> sums: array<vec4f, 18>;
// Four sums of each thread.
var<workgroup> parts: array<array<vec4f, 256>, 4>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let width = out_channels / 4u;
    let across = (width + 7u) / 8u;
    let g = group_index(group, workgroups);
    let split = g / across;
    let quad = g % across * 8u + lane % 4u * 2u;
    let near = min(quad, width - 1u);
    let far = min(quad + 1u, width - 1u);
    let chunk = (batch + splits - 1u) / splits;
    let begin = min(split * chunk, batch);
    let end = min((split + 1u) * chunk, batch);
    let pairs = (out_width + 1u) / 2u;
    for (var pair = begin * out_height * pairs + lane / 4u; pair < end * out_height * pairs; pair += 64u) {
        let line = pair / pairs;
        let ox = pair % pairs * 2u;
        let oy = line % out_height;
        let n = line / out_height;
        // Where a line has an odd number of pixels, the last has no neighbour.
        let whole = ox + 1u < out_width;
        let at = (line * out_width + ox) * width;
        let next = select(at, at + width, whole);
        let d0 = dz[at + near];
        let d1 = dz[at + far];
        let e0 = dz[next + near];
        let e1 = dz[next + far];
        // Below zero wraps round to a large number, so one comparison finds both borders.
        // for k in 0..3:
        //     let iy{k} = oy + {k}u - pad_y;
        //     let line{k} = select(0u, (n * in_height + iy{k}) * in_width, iy{k} < in_height);
        let iy0 = oy + 0u - pad_y;
        let line0 = select(0u, (n * in_height + iy0) * in_width, iy0 < in_height);
        let iy1 = oy + 1u - pad_y;
        let line1 = select(0u, (n * in_height + iy1) * in_width, iy1 < in_height);
        let iy2 = oy + 2u - pad_y;
        let line2 = select(0u, (n * in_height + iy2) * in_width, iy2 < in_height);
        // end
        // for k in 0..4:
        //     let ix{k} = ox + {k}u - pad_x;
        //     let column{k} = select(0u, ix{k}, ix{k} < in_width);
        let ix0 = ox + 0u - pad_x;
        let column0 = select(0u, ix0, ix0 < in_width);
        let ix1 = ox + 1u - pad_x;
        let column1 = select(0u, ix1, ix1 < in_width);
        let ix2 = ox + 2u - pad_x;
        let column2 = select(0u, ix2, ix2 < in_width);
        let ix3 = ox + 3u - pad_x;
        let column3 = select(0u, ix3, ix3 < in_width);
        // end
        // for k in 0..12:
        //     let inside{k} = iy{k / 4} < in_height && ix{k % 4} < in_width;
        //     let x{k} = select(0.0, f32(x[line{k / 4} + column{k % 4}]), inside{k});
        let inside0 = iy0 < in_height && ix0 < in_width;
        let x0 = select(0.0, f32(x[line0 + column0]), inside0);
        let inside1 = iy0 < in_height && ix1 < in_width;
        let x1 = select(0.0, f32(x[line0 + column1]), inside1);
        let inside2 = iy0 < in_height && ix2 < in_width;
        let x2 = select(0.0, f32(x[line0 + column2]), inside2);
        let inside3 = iy0 < in_height && ix3 < in_width;
        let x3 = select(0.0, f32(x[line0 + column3]), inside3);
        let inside4 = iy1 < in_height && ix0 < in_width;
        let x4 = select(0.0, f32(x[line1 + column0]), inside4);
        let inside5 = iy1 < in_height && ix1 < in_width;
        let x5 = select(0.0, f32(x[line1 + column1]), inside5);
        let inside6 = iy1 < in_height && ix2 < in_width;
        let x6 = select(0.0, f32(x[line1 + column2]), inside6);
        let inside7 = iy1 < in_height && ix3 < in_width;
        let x7 = select(0.0, f32(x[line1 + column3]), inside7);
        let inside8 = iy2 < in_height && ix0 < in_width;
        let x8 = select(0.0, f32(x[line2 + column0]), inside8);
        let inside9 = iy2 < in_height && ix1 < in_width;
        let x9 = select(0.0, f32(x[line2 + column1]), inside9);
        let inside10 = iy2 < in_height && ix2 < in_width;
        let x10 = select(0.0, f32(x[line2 + column2]), inside10);
        let inside11 = iy2 < in_height && ix3 < in_width;
        let x11 = select(0.0, f32(x[line2 + column3]), inside11);
        // end
        let f0 = select(vec4f(0.0), e0, whole);
        let f1 = select(vec4f(0.0), e1, whole);
        // for t in 0..9:
        //     sums[{2 * t}] = fma(vec4f(x{t / 3 + t}), d0, sums[{2 * t}]);
        //     sums[{2 * t + 1}] = fma(vec4f(x{t / 3 + t}), d1, sums[{2 * t + 1}]);
        //     sums[{2 * t}] = fma(vec4f(x{t / 3 + t + 1}), f0, sums[{2 * t}]);
        //     sums[{2 * t + 1}] = fma(vec4f(x{t / 3 + t + 1}), f1, sums[{2 * t + 1}]);
        sums[0] = fma(vec4f(x0), d0, sums[0]);
        sums[1] = fma(vec4f(x0), d1, sums[1]);
        sums[0] = fma(vec4f(x1), f0, sums[0]);
        sums[1] = fma(vec4f(x1), f1, sums[1]);
        sums[2] = fma(vec4f(x1), d0, sums[2]);
        sums[3] = fma(vec4f(x1), d1, sums[3]);
        sums[2] = fma(vec4f(x2), f0, sums[2]);
        sums[3] = fma(vec4f(x2), f1, sums[3]);
        sums[4] = fma(vec4f(x2), d0, sums[4]);
        sums[5] = fma(vec4f(x2), d1, sums[5]);
        sums[4] = fma(vec4f(x3), f0, sums[4]);
        sums[5] = fma(vec4f(x3), f1, sums[5]);
        sums[6] = fma(vec4f(x4), d0, sums[6]);
        sums[7] = fma(vec4f(x4), d1, sums[7]);
        sums[6] = fma(vec4f(x5), f0, sums[6]);
        sums[7] = fma(vec4f(x5), f1, sums[7]);
        sums[8] = fma(vec4f(x5), d0, sums[8]);
        sums[9] = fma(vec4f(x5), d1, sums[9]);
        sums[8] = fma(vec4f(x6), f0, sums[8]);
        sums[9] = fma(vec4f(x6), f1, sums[9]);
        sums[10] = fma(vec4f(x6), d0, sums[10]);
        sums[11] = fma(vec4f(x6), d1, sums[11]);
        sums[10] = fma(vec4f(x7), f0, sums[10]);
        sums[11] = fma(vec4f(x7), f1, sums[11]);
        sums[12] = fma(vec4f(x8), d0, sums[12]);
        sums[13] = fma(vec4f(x8), d1, sums[13]);
        sums[12] = fma(vec4f(x9), f0, sums[12]);
        sums[13] = fma(vec4f(x9), f1, sums[13]);
        sums[14] = fma(vec4f(x9), d0, sums[14]);
        sums[15] = fma(vec4f(x9), d1, sums[15]);
        sums[14] = fma(vec4f(x10), f0, sums[14]);
        sums[15] = fma(vec4f(x10), f1, sums[15]);
        sums[16] = fma(vec4f(x10), d0, sums[16]);
        sums[17] = fma(vec4f(x10), d1, sums[17]);
        sums[16] = fma(vec4f(x11), f0, sums[16]);
        sums[17] = fma(vec4f(x11), f1, sums[17]);
        // end
    }
    // for k in 0..4:
    //     join(lane, split, quad, {4 * k}u, sums[{4 * k}], sums[{4 * k + 1}], sums[{4 * k + 2}], sums[{4 * k + 3}]);
    join(lane, split, quad, 0u, sums[0], sums[1], sums[2], sums[3]);
    join(lane, split, quad, 4u, sums[4], sums[5], sums[6], sums[7]);
    join(lane, split, quad, 8u, sums[8], sums[9], sums[10], sums[11]);
    join(lane, split, quad, 12u, sums[12], sums[13], sums[14], sums[15]);
    // end
    join(lane, split, quad, 16u, sums[16], sums[17], vec4f(0.0), vec4f(0.0));
}

// Adds four sums, of which the first is the one in place `first`, of the threads with the same outputs, and stores
// them.
fn join(lane: u32, split: u32, quad: u32, first: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
    workgroupBarrier();
    parts[0][lane] = a;
    parts[1][lane] = b;
    parts[2][lane] = c;
    parts[3][lane] = d;
    for (var half = 128u; half >= 4u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            // for k in 0..4:
            //     parts[{k}][lane] += parts[{k}][lane + half];
            parts[0][lane] += parts[0][lane + half];
            parts[1][lane] += parts[1][lane + half];
            parts[2][lane] += parts[2][lane + half];
            parts[3][lane] += parts[3][lane + half];
            // end
        }
    }
    if lane < 4u {
        // for k in 0..4:
        //     store(split, (first + {k}u) / 2u, quad + {k % 2}u, parts[{k}][lane]);
        store(split, (first + 0u) / 2u, quad + 0u, parts[0][lane]);
        store(split, (first + 1u) / 2u, quad + 1u, parts[1][lane]);
        store(split, (first + 2u) / 2u, quad + 0u, parts[2][lane]);
        store(split, (first + 3u) / 2u, quad + 1u, parts[3][lane]);
        // end
    }
}

fn store(split: u32, tap: u32, quad: u32, values: vec4f) {
    if split < splits && tap < 9u && quad < out_channels / 4u {
        dw[(split * 9u + tap) * (out_channels / 4u) + quad] = values;
    }
}
