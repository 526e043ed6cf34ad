// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of
//     x[n, 2*oy + q/2 + ky - pad_y, 2*ox + q%2 + kx - pad_x, i] * dy[n, oy, ox, o],
// q = argmax[n, oy, ox, o], for GPUs, 3×3 taps
//
// x       [batch, in_height, in_width, in_channels]          zero outside
// dy      [batch, out_height/2, out_width/2, out_channels]   gradient before the activation
//                                                            out_channels a multiple of 4
// argmax  [batch, out_height/2, out_width/2, out_channels]
// dw      [splits, 3, 3, in_channels, out_channels]
//
// One workgroup makes the nine weights of one input channel and 32 outputs of a split. Each thread has those of 8
// outputs in registers and takes every 64th window of two by two pixels; in the end the threads with the same outputs
// are added in a tree. Split s takes images [s*chunk, (s+1)*chunk).

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
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> argmax: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> dw: array<vec4f>;

// Outputs 0..3 of tap t in the even ones, 4..7 in the odd ones.
var<private> sums: array<vec4f, 18>;
// Four sums of each thread.
var<workgroup> parts: array<array<vec4f, 256>, 4>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let width = out_channels / 4u;
    let across = (width + 7u) / 8u;
    let g = group_index(group, workgroups);
    let channel = g / across % in_channels;
    let split = g / (across * in_channels);
    let quad = g % across * 8u + lane % 4u * 2u;
    let near = min(quad, width - 1u);
    let far = min(quad + 1u, width - 1u);
    let chunk = (batch + splits - 1u) / splits;
    let begin = min(split * chunk, batch);
    let end = min((split + 1u) * chunk, batch);
    let line = out_width / 2u;
    let windows = out_height / 2u * line;
    for (var window = begin * windows + lane / 4u; window < end * windows; window += 64u) {
        let n = window / windows;
        let d0 = dy[window * width + near];
        let d1 = dy[window * width + far];
        let p0 = argmax[window * width + near];
        let p1 = argmax[window * width + far];
        // Below zero wraps round to a large number, so one comparison finds both borders.
        // for k in 0..4:
        //     let iy{k} = window % windows / line * 2u + {k}u - pad_y;
        //     let ix{k} = window % line * 2u + {k}u - pad_x;
        //     let line{k} = select(0u, (n * in_height + iy{k}) * in_width, iy{k} < in_height);
        //     let column{k} = select(0u, ix{k}, ix{k} < in_width);
        let iy0 = window % windows / line * 2u + 0u - pad_y;
        let ix0 = window % line * 2u + 0u - pad_x;
        let line0 = select(0u, (n * in_height + iy0) * in_width, iy0 < in_height);
        let column0 = select(0u, ix0, ix0 < in_width);
        let iy1 = window % windows / line * 2u + 1u - pad_y;
        let ix1 = window % line * 2u + 1u - pad_x;
        let line1 = select(0u, (n * in_height + iy1) * in_width, iy1 < in_height);
        let column1 = select(0u, ix1, ix1 < in_width);
        let iy2 = window % windows / line * 2u + 2u - pad_y;
        let ix2 = window % line * 2u + 2u - pad_x;
        let line2 = select(0u, (n * in_height + iy2) * in_width, iy2 < in_height);
        let column2 = select(0u, ix2, ix2 < in_width);
        let iy3 = window % windows / line * 2u + 3u - pad_y;
        let ix3 = window % line * 2u + 3u - pad_x;
        let line3 = select(0u, (n * in_height + iy3) * in_width, iy3 < in_height);
        let column3 = select(0u, ix3, ix3 < in_width);
        // end
        // for k in 0..16:
        //     let inside{k} = iy{k / 4} < in_height && ix{k % 4} < in_width;
        //     let x{k} = select(0.0, f32(x[(line{k / 4} + column{k % 4}) * in_channels + channel]), inside{k});
        let inside0 = iy0 < in_height && ix0 < in_width;
        let x0 = select(0.0, f32(x[(line0 + column0) * in_channels + channel]), inside0);
        let inside1 = iy0 < in_height && ix1 < in_width;
        let x1 = select(0.0, f32(x[(line0 + column1) * in_channels + channel]), inside1);
        let inside2 = iy0 < in_height && ix2 < in_width;
        let x2 = select(0.0, f32(x[(line0 + column2) * in_channels + channel]), inside2);
        let inside3 = iy0 < in_height && ix3 < in_width;
        let x3 = select(0.0, f32(x[(line0 + column3) * in_channels + channel]), inside3);
        let inside4 = iy1 < in_height && ix0 < in_width;
        let x4 = select(0.0, f32(x[(line1 + column0) * in_channels + channel]), inside4);
        let inside5 = iy1 < in_height && ix1 < in_width;
        let x5 = select(0.0, f32(x[(line1 + column1) * in_channels + channel]), inside5);
        let inside6 = iy1 < in_height && ix2 < in_width;
        let x6 = select(0.0, f32(x[(line1 + column2) * in_channels + channel]), inside6);
        let inside7 = iy1 < in_height && ix3 < in_width;
        let x7 = select(0.0, f32(x[(line1 + column3) * in_channels + channel]), inside7);
        let inside8 = iy2 < in_height && ix0 < in_width;
        let x8 = select(0.0, f32(x[(line2 + column0) * in_channels + channel]), inside8);
        let inside9 = iy2 < in_height && ix1 < in_width;
        let x9 = select(0.0, f32(x[(line2 + column1) * in_channels + channel]), inside9);
        let inside10 = iy2 < in_height && ix2 < in_width;
        let x10 = select(0.0, f32(x[(line2 + column2) * in_channels + channel]), inside10);
        let inside11 = iy2 < in_height && ix3 < in_width;
        let x11 = select(0.0, f32(x[(line2 + column3) * in_channels + channel]), inside11);
        let inside12 = iy3 < in_height && ix0 < in_width;
        let x12 = select(0.0, f32(x[(line3 + column0) * in_channels + channel]), inside12);
        let inside13 = iy3 < in_height && ix1 < in_width;
        let x13 = select(0.0, f32(x[(line3 + column1) * in_channels + channel]), inside13);
        let inside14 = iy3 < in_height && ix2 < in_width;
        let x14 = select(0.0, f32(x[(line3 + column2) * in_channels + channel]), inside14);
        let inside15 = iy3 < in_height && ix3 < in_width;
        let x15 = select(0.0, f32(x[(line3 + column3) * in_channels + channel]), inside15);
        // end
        add_pixel(0u, p0, p1, d0, d1, x0, x1, x2, x4, x5, x6, x8, x9, x10);
        add_pixel(1u, p0, p1, d0, d1, x1, x2, x3, x5, x6, x7, x9, x10, x11);
        add_pixel(2u, p0, p1, d0, d1, x4, x5, x6, x8, x9, x10, x12, x13, x14);
        add_pixel(3u, p0, p1, d0, d1, x5, x6, x7, x9, x10, x11, x13, x14, x15);
    }
    let at = vec3u(split, channel, quad);
    // for k in 0..4:
    //     join(lane, at, {4 * k}u, sums[{4 * k}], sums[{4 * k + 1}], sums[{4 * k + 2}], sums[{4 * k + 3}]);
    join(lane, at, 0u, sums[0], sums[1], sums[2], sums[3]);
    join(lane, at, 4u, sums[4], sums[5], sums[6], sums[7]);
    join(lane, at, 8u, sums[8], sums[9], sums[10], sums[11]);
    join(lane, at, 12u, sums[12], sums[13], sums[14], sums[15]);
    // end
    join(lane, at, 16u, sums[16], sums[17], vec4f(0.0), vec4f(0.0));
}

// Adds the products of pixel q of a window, which has the gradients d0, d1 where it was the largest.
fn add_pixel(
    q: u32, p0: vec4u, p1: vec4u, d0: vec4f, d1: vec4f,
    a0: f32, a1: f32, a2: f32, a3: f32, a4: f32, a5: f32, a6: f32, a7: f32, a8: f32,
) {
    let left = select(vec4f(0.0), d0, p0 == vec4u(q));
    let right = select(vec4f(0.0), d1, p1 == vec4u(q));
    // for t in 0..9:
    //     sums[{2 * t}] = fma(vec4f(a{t}), left, sums[{2 * t}]);
    //     sums[{2 * t + 1}] = fma(vec4f(a{t}), right, sums[{2 * t + 1}]);
    sums[0] = fma(vec4f(a0), left, sums[0]);
    sums[1] = fma(vec4f(a0), right, sums[1]);
    sums[2] = fma(vec4f(a1), left, sums[2]);
    sums[3] = fma(vec4f(a1), right, sums[3]);
    sums[4] = fma(vec4f(a2), left, sums[4]);
    sums[5] = fma(vec4f(a2), right, sums[5]);
    sums[6] = fma(vec4f(a3), left, sums[6]);
    sums[7] = fma(vec4f(a3), right, sums[7]);
    sums[8] = fma(vec4f(a4), left, sums[8]);
    sums[9] = fma(vec4f(a4), right, sums[9]);
    sums[10] = fma(vec4f(a5), left, sums[10]);
    sums[11] = fma(vec4f(a5), right, sums[11]);
    sums[12] = fma(vec4f(a6), left, sums[12]);
    sums[13] = fma(vec4f(a6), right, sums[13]);
    sums[14] = fma(vec4f(a7), left, sums[14]);
    sums[15] = fma(vec4f(a7), right, sums[15]);
    sums[16] = fma(vec4f(a8), left, sums[16]);
    sums[17] = fma(vec4f(a8), right, sums[17]);
    // end
}

// Adds four sums, of which the first is the one in place `first`, of the threads with the same outputs, and stores
// them.
fn join(lane: u32, at: vec3u, first: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
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
        //     store(at, (first + {k}u) / 2u, {k % 2}u, parts[{k}][lane]);
        store(at, (first + 0u) / 2u, 0u, parts[0][lane]);
        store(at, (first + 1u) / 2u, 1u, parts[1][lane]);
        store(at, (first + 2u) / 2u, 0u, parts[2][lane]);
        store(at, (first + 3u) / 2u, 1u, parts[3][lane]);
        // end
    }
}

// Stores the sums of tap t, for outputs from 4*(at.z + half).
fn store(at: vec3u, t: u32, half: u32, values: vec4f) {
    let quad = at.z + half;
    if at.x < splits && t < 9u && quad < out_channels / 4u {
        dw[((at.x * 9u + t) * in_channels + at.y) * (out_channels / 4u) + quad] = values;
    }
}
