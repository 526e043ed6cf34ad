// dw[s, ky, kx, i, o] = sum over n in split s, oy, ox of x[n, oy + ky - pad_y, ox + kx - pad_x, i] * dz[n, oy, ox, o],
// for eight-lane software Vulkan
//
// x   [batch, in_height, in_width, in_channels]      in_channels a multiple of 4
// dz  [batch, out_height, out_width, out_channels]   out_channels a multiple of 4; gradient before the activation
// dw  [splits, 3, 3, in_channels, out_channels]      stride 1, pad_x not 0
//
// The gradient of what lib/winograd.wgsl does: with z the 2×2 outputs of a tile and d the 4×4 pixels under it, the sum
// over tiles of Gᵀ((A z Aᵀ) ⊙ (Bᵀ d B)) G. One subgroup makes 8 input channels × 32 output channels of one split, from
// eight tiles at a time: lane l has the pixels under tile l, and of all their outputs the channels 4l..4l+3.

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

// One behind the last image of the split.
var<private> end: u32;
// Rows of the kernel by input channel.
var<private> made: array<array<mat3x4f, 3>, 8>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (out_channels + 31u) / 32u;
    let down = (in_channels + 7u) / 8u;
    let g = group_index(group, workgroups);
    let row = g / across % down * 2u;
    let column = g % across * 8u + lane;
    let split = g / (across * down);
    let width = out_channels / 4u;
    let own = min(column, width - 1u);
    let tiles = size().x * size().y;
    let chunk = (batch + splits - 1u) / splits;
    end = min((split + 1u) * chunk, batch);
    for (var tile = min(split * chunk, batch) * tiles; tile < end * tiles; tile += 8u) {
        let pixels = under(tile + lane, size(), vec2u(pad_y, pad_x), lane);
        let v0 = transformed_pixels(pixels, lane, row);
        let v1 = transformed_pixels(pixels, lane, min(row + 1u, in_channels / 4u - 1u));
        let outputs = vec3u(pixels.first.x, pixels.first.y + pad_y, pixels.first.z + pad_x);
        // for r in 0..8:
        //     let z{r} = transformed_outputs(subgroupBroadcast(outputs, {r}u), own);
        let z0 = transformed_outputs(subgroupBroadcast(outputs, 0u), own);
        let z1 = transformed_outputs(subgroupBroadcast(outputs, 1u), own);
        let z2 = transformed_outputs(subgroupBroadcast(outputs, 2u), own);
        let z3 = transformed_outputs(subgroupBroadcast(outputs, 3u), own);
        let z4 = transformed_outputs(subgroupBroadcast(outputs, 4u), own);
        let z5 = transformed_outputs(subgroupBroadcast(outputs, 5u), own);
        let z6 = transformed_outputs(subgroupBroadcast(outputs, 6u), own);
        let z7 = transformed_outputs(subgroupBroadcast(outputs, 7u), own);
        // end
        // for r in 0..16:
        //     let z{r}_0 = mat4x4f(z0[{r}], z1[{r}], z2[{r}], z3[{r}]);
        //     let z{r}_4 = mat4x4f(z4[{r}], z5[{r}], z6[{r}], z7[{r}]);
        let z0_0 = mat4x4f(z0[0], z1[0], z2[0], z3[0]);
        let z0_4 = mat4x4f(z4[0], z5[0], z6[0], z7[0]);
        let z1_0 = mat4x4f(z0[1], z1[1], z2[1], z3[1]);
        let z1_4 = mat4x4f(z4[1], z5[1], z6[1], z7[1]);
        let z2_0 = mat4x4f(z0[2], z1[2], z2[2], z3[2]);
        let z2_4 = mat4x4f(z4[2], z5[2], z6[2], z7[2]);
        let z3_0 = mat4x4f(z0[3], z1[3], z2[3], z3[3]);
        let z3_4 = mat4x4f(z4[3], z5[3], z6[3], z7[3]);
        let z4_0 = mat4x4f(z0[4], z1[4], z2[4], z3[4]);
        let z4_4 = mat4x4f(z4[4], z5[4], z6[4], z7[4]);
        let z5_0 = mat4x4f(z0[5], z1[5], z2[5], z3[5]);
        let z5_4 = mat4x4f(z4[5], z5[5], z6[5], z7[5]);
        let z6_0 = mat4x4f(z0[6], z1[6], z2[6], z3[6]);
        let z6_4 = mat4x4f(z4[6], z5[6], z6[6], z7[6]);
        let z7_0 = mat4x4f(z0[7], z1[7], z2[7], z3[7]);
        let z7_4 = mat4x4f(z4[7], z5[7], z6[7], z7[7]);
        let z8_0 = mat4x4f(z0[8], z1[8], z2[8], z3[8]);
        let z8_4 = mat4x4f(z4[8], z5[8], z6[8], z7[8]);
        let z9_0 = mat4x4f(z0[9], z1[9], z2[9], z3[9]);
        let z9_4 = mat4x4f(z4[9], z5[9], z6[9], z7[9]);
        let z10_0 = mat4x4f(z0[10], z1[10], z2[10], z3[10]);
        let z10_4 = mat4x4f(z4[10], z5[10], z6[10], z7[10]);
        let z11_0 = mat4x4f(z0[11], z1[11], z2[11], z3[11]);
        let z11_4 = mat4x4f(z4[11], z5[11], z6[11], z7[11]);
        let z12_0 = mat4x4f(z0[12], z1[12], z2[12], z3[12]);
        let z12_4 = mat4x4f(z4[12], z5[12], z6[12], z7[12]);
        let z13_0 = mat4x4f(z0[13], z1[13], z2[13], z3[13]);
        let z13_4 = mat4x4f(z4[13], z5[13], z6[13], z7[13]);
        let z14_0 = mat4x4f(z0[14], z1[14], z2[14], z3[14]);
        let z14_4 = mat4x4f(z4[14], z5[14], z6[14], z7[14]);
        let z15_0 = mat4x4f(z0[15], z1[15], z2[15], z3[15]);
        let z15_4 = mat4x4f(z4[15], z5[15], z6[15], z7[15]);
        // end
        // for r in 0..128:
        //     let m{r} = met(v{r / 64}[{r % 16}].{xyzw[r / 16 % 4]}, z{r % 16}_0, z{r % 16}_4);
        let m0 = met(v0[0].x, z0_0, z0_4);
        let m1 = met(v0[1].x, z1_0, z1_4);
        let m2 = met(v0[2].x, z2_0, z2_4);
        let m3 = met(v0[3].x, z3_0, z3_4);
        let m4 = met(v0[4].x, z4_0, z4_4);
        let m5 = met(v0[5].x, z5_0, z5_4);
        let m6 = met(v0[6].x, z6_0, z6_4);
        let m7 = met(v0[7].x, z7_0, z7_4);
        let m8 = met(v0[8].x, z8_0, z8_4);
        let m9 = met(v0[9].x, z9_0, z9_4);
        let m10 = met(v0[10].x, z10_0, z10_4);
        let m11 = met(v0[11].x, z11_0, z11_4);
        let m12 = met(v0[12].x, z12_0, z12_4);
        let m13 = met(v0[13].x, z13_0, z13_4);
        let m14 = met(v0[14].x, z14_0, z14_4);
        let m15 = met(v0[15].x, z15_0, z15_4);
        let m16 = met(v0[0].y, z0_0, z0_4);
        let m17 = met(v0[1].y, z1_0, z1_4);
        let m18 = met(v0[2].y, z2_0, z2_4);
        let m19 = met(v0[3].y, z3_0, z3_4);
        let m20 = met(v0[4].y, z4_0, z4_4);
        let m21 = met(v0[5].y, z5_0, z5_4);
        let m22 = met(v0[6].y, z6_0, z6_4);
        let m23 = met(v0[7].y, z7_0, z7_4);
        let m24 = met(v0[8].y, z8_0, z8_4);
        let m25 = met(v0[9].y, z9_0, z9_4);
        let m26 = met(v0[10].y, z10_0, z10_4);
        let m27 = met(v0[11].y, z11_0, z11_4);
        let m28 = met(v0[12].y, z12_0, z12_4);
        let m29 = met(v0[13].y, z13_0, z13_4);
        let m30 = met(v0[14].y, z14_0, z14_4);
        let m31 = met(v0[15].y, z15_0, z15_4);
        let m32 = met(v0[0].z, z0_0, z0_4);
        let m33 = met(v0[1].z, z1_0, z1_4);
        let m34 = met(v0[2].z, z2_0, z2_4);
        let m35 = met(v0[3].z, z3_0, z3_4);
        let m36 = met(v0[4].z, z4_0, z4_4);
        let m37 = met(v0[5].z, z5_0, z5_4);
        let m38 = met(v0[6].z, z6_0, z6_4);
        let m39 = met(v0[7].z, z7_0, z7_4);
        let m40 = met(v0[8].z, z8_0, z8_4);
        let m41 = met(v0[9].z, z9_0, z9_4);
        let m42 = met(v0[10].z, z10_0, z10_4);
        let m43 = met(v0[11].z, z11_0, z11_4);
        let m44 = met(v0[12].z, z12_0, z12_4);
        let m45 = met(v0[13].z, z13_0, z13_4);
        let m46 = met(v0[14].z, z14_0, z14_4);
        let m47 = met(v0[15].z, z15_0, z15_4);
        let m48 = met(v0[0].w, z0_0, z0_4);
        let m49 = met(v0[1].w, z1_0, z1_4);
        let m50 = met(v0[2].w, z2_0, z2_4);
        let m51 = met(v0[3].w, z3_0, z3_4);
        let m52 = met(v0[4].w, z4_0, z4_4);
        let m53 = met(v0[5].w, z5_0, z5_4);
        let m54 = met(v0[6].w, z6_0, z6_4);
        let m55 = met(v0[7].w, z7_0, z7_4);
        let m56 = met(v0[8].w, z8_0, z8_4);
        let m57 = met(v0[9].w, z9_0, z9_4);
        let m58 = met(v0[10].w, z10_0, z10_4);
        let m59 = met(v0[11].w, z11_0, z11_4);
        let m60 = met(v0[12].w, z12_0, z12_4);
        let m61 = met(v0[13].w, z13_0, z13_4);
        let m62 = met(v0[14].w, z14_0, z14_4);
        let m63 = met(v0[15].w, z15_0, z15_4);
        let m64 = met(v1[0].x, z0_0, z0_4);
        let m65 = met(v1[1].x, z1_0, z1_4);
        let m66 = met(v1[2].x, z2_0, z2_4);
        let m67 = met(v1[3].x, z3_0, z3_4);
        let m68 = met(v1[4].x, z4_0, z4_4);
        let m69 = met(v1[5].x, z5_0, z5_4);
        let m70 = met(v1[6].x, z6_0, z6_4);
        let m71 = met(v1[7].x, z7_0, z7_4);
        let m72 = met(v1[8].x, z8_0, z8_4);
        let m73 = met(v1[9].x, z9_0, z9_4);
        let m74 = met(v1[10].x, z10_0, z10_4);
        let m75 = met(v1[11].x, z11_0, z11_4);
        let m76 = met(v1[12].x, z12_0, z12_4);
        let m77 = met(v1[13].x, z13_0, z13_4);
        let m78 = met(v1[14].x, z14_0, z14_4);
        let m79 = met(v1[15].x, z15_0, z15_4);
        let m80 = met(v1[0].y, z0_0, z0_4);
        let m81 = met(v1[1].y, z1_0, z1_4);
        let m82 = met(v1[2].y, z2_0, z2_4);
        let m83 = met(v1[3].y, z3_0, z3_4);
        let m84 = met(v1[4].y, z4_0, z4_4);
        let m85 = met(v1[5].y, z5_0, z5_4);
        let m86 = met(v1[6].y, z6_0, z6_4);
        let m87 = met(v1[7].y, z7_0, z7_4);
        let m88 = met(v1[8].y, z8_0, z8_4);
        let m89 = met(v1[9].y, z9_0, z9_4);
        let m90 = met(v1[10].y, z10_0, z10_4);
        let m91 = met(v1[11].y, z11_0, z11_4);
        let m92 = met(v1[12].y, z12_0, z12_4);
        let m93 = met(v1[13].y, z13_0, z13_4);
        let m94 = met(v1[14].y, z14_0, z14_4);
        let m95 = met(v1[15].y, z15_0, z15_4);
        let m96 = met(v1[0].z, z0_0, z0_4);
        let m97 = met(v1[1].z, z1_0, z1_4);
        let m98 = met(v1[2].z, z2_0, z2_4);
        let m99 = met(v1[3].z, z3_0, z3_4);
        let m100 = met(v1[4].z, z4_0, z4_4);
        let m101 = met(v1[5].z, z5_0, z5_4);
        let m102 = met(v1[6].z, z6_0, z6_4);
        let m103 = met(v1[7].z, z7_0, z7_4);
        let m104 = met(v1[8].z, z8_0, z8_4);
        let m105 = met(v1[9].z, z9_0, z9_4);
        let m106 = met(v1[10].z, z10_0, z10_4);
        let m107 = met(v1[11].z, z11_0, z11_4);
        let m108 = met(v1[12].z, z12_0, z12_4);
        let m109 = met(v1[13].z, z13_0, z13_4);
        let m110 = met(v1[14].z, z14_0, z14_4);
        let m111 = met(v1[15].z, z15_0, z15_4);
        let m112 = met(v1[0].w, z0_0, z0_4);
        let m113 = met(v1[1].w, z1_0, z1_4);
        let m114 = met(v1[2].w, z2_0, z2_4);
        let m115 = met(v1[3].w, z3_0, z3_4);
        let m116 = met(v1[4].w, z4_0, z4_4);
        let m117 = met(v1[5].w, z5_0, z5_4);
        let m118 = met(v1[6].w, z6_0, z6_4);
        let m119 = met(v1[7].w, z7_0, z7_4);
        let m120 = met(v1[8].w, z8_0, z8_4);
        let m121 = met(v1[9].w, z9_0, z9_4);
        let m122 = met(v1[10].w, z10_0, z10_4);
        let m123 = met(v1[11].w, z11_0, z11_4);
        let m124 = met(v1[12].w, z12_0, z12_4);
        let m125 = met(v1[13].w, z13_0, z13_4);
        let m126 = met(v1[14].w, z14_0, z14_4);
        let m127 = met(v1[15].w, z15_0, z15_4);
        // end
        // for r in 0..8:
        //     let w{r} = gradient(
        //         m{16 * r}, m{16 * r + 1}, m{16 * r + 2}, m{16 * r + 3}, m{16 * r + 4}, m{16 * r + 5},
        //         m{16 * r + 6}, m{16 * r + 7}, m{16 * r + 8}, m{16 * r + 9}, m{16 * r + 10}, m{16 * r + 11},
        //         m{16 * r + 12}, m{16 * r + 13}, m{16 * r + 14}, m{16 * r + 15},
        //     );
        //     made[{r}][0] += w{r}[0];
        //     made[{r}][1] += w{r}[1];
        //     made[{r}][2] += w{r}[2];
        let w0 = gradient(
            m0, m1, m2, m3, m4, m5,
            m6, m7, m8, m9, m10, m11,
            m12, m13, m14, m15,
        );
        made[0][0] += w0[0];
        made[0][1] += w0[1];
        made[0][2] += w0[2];
        let w1 = gradient(
            m16, m17, m18, m19, m20, m21,
            m22, m23, m24, m25, m26, m27,
            m28, m29, m30, m31,
        );
        made[1][0] += w1[0];
        made[1][1] += w1[1];
        made[1][2] += w1[2];
        let w2 = gradient(
            m32, m33, m34, m35, m36, m37,
            m38, m39, m40, m41, m42, m43,
            m44, m45, m46, m47,
        );
        made[2][0] += w2[0];
        made[2][1] += w2[1];
        made[2][2] += w2[2];
        let w3 = gradient(
            m48, m49, m50, m51, m52, m53,
            m54, m55, m56, m57, m58, m59,
            m60, m61, m62, m63,
        );
        made[3][0] += w3[0];
        made[3][1] += w3[1];
        made[3][2] += w3[2];
        let w4 = gradient(
            m64, m65, m66, m67, m68, m69,
            m70, m71, m72, m73, m74, m75,
            m76, m77, m78, m79,
        );
        made[4][0] += w4[0];
        made[4][1] += w4[1];
        made[4][2] += w4[2];
        let w5 = gradient(
            m80, m81, m82, m83, m84, m85,
            m86, m87, m88, m89, m90, m91,
            m92, m93, m94, m95,
        );
        made[5][0] += w5[0];
        made[5][1] += w5[1];
        made[5][2] += w5[2];
        let w6 = gradient(
            m96, m97, m98, m99, m100, m101,
            m102, m103, m104, m105, m106, m107,
            m108, m109, m110, m111,
        );
        made[6][0] += w6[0];
        made[6][1] += w6[1];
        made[6][2] += w6[2];
        let w7 = gradient(
            m112, m113, m114, m115, m116, m117,
            m118, m119, m120, m121, m122, m123,
            m124, m125, m126, m127,
        );
        made[7][0] += w7[0];
        made[7][1] += w7[1];
        made[7][2] += w7[2];
        // end
    }
    if split < splits && column < width {
        let at = (split * 9u * in_channels + 4u * row) * width + column;
        // for r in 0..8:
        //     store_taps(4u * row + {r}u, at + {r}u * width, made[{r}]);
        store_taps(4u * row + 0u, at + 0u * width, made[0]);
        store_taps(4u * row + 1u, at + 1u * width, made[1]);
        store_taps(4u * row + 2u, at + 2u * width, made[2]);
        store_taps(4u * row + 3u, at + 3u * width, made[3]);
        store_taps(4u * row + 4u, at + 4u * width, made[4]);
        store_taps(4u * row + 5u, at + 5u * width, made[5]);
        store_taps(4u * row + 6u, at + 6u * width, made[6]);
        store_taps(4u * row + 7u, at + 7u * width, made[7]);
        // end
    }
}

// Rows and columns of tiles of an image.
fn size() -> vec2u {
    return (vec2u(out_height, out_width) + 1u) / 2u;
}

fn pixel(at: vec3u, channels: u32) -> vec4f {
    let is_inside = at.x < end && at.y < in_height && at.z < in_width;
    let place = ((at.x * in_height + at.y) * in_width + at.z) * (in_channels / 4u) + channels;
    return select(0.0, 1.0, is_inside) * four_stored(x[select(0u, place, is_inside)]);
}

// A z Aᵀ of the outputs of a tile.
fn transformed_outputs(first: vec3u, own: u32) -> array<vec4f, 16> {
    let upper = halves(output(first, own), output(first + vec3u(0u, 0u, 1u), own));
    let lower = halves(output(first + vec3u(0u, 1u, 0u), own), output(first + vec3u(0u, 1u, 1u), own));
    // for r in 0..4:
    //     let column{r} = halves(upper[{r}], lower[{r}]);
    let column0 = halves(upper[0], lower[0]);
    let column1 = halves(upper[1], lower[1]);
    let column2 = halves(upper[2], lower[2]);
    let column3 = halves(upper[3], lower[3]);
    // end
    return places(column0, column1, column2, column3);
}

// A times a column.
fn halves(a: vec4f, b: vec4f) -> mat4x4f {
    return mat4x4f(a, 0.5 * (a + b), 0.5 * (a - b), -b);
}

fn output(at: vec3u, own: u32) -> vec4f {
    let is_inside = at.x < end && at.y < out_height && at.z < out_width;
    let place = ((at.x * out_height + at.y) * out_width + at.z) * (out_channels / 4u) + own;
    return select(0.0, 1.0, is_inside) * four(dz[select(0u, place, is_inside)]);
}

// The sum over eight tiles, of which each lane has one value and all have all outputs.
fn met(v: f32, z0: mat4x4f, z4: mat4x4f) -> vec4f {
    return z0 * vec4f(
        subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u),
    ) + z4 * vec4f(
        subgroupBroadcast(v, 4u), subgroupBroadcast(v, 5u), subgroupBroadcast(v, 6u), subgroupBroadcast(v, 7u),
    );
}

// Gᵀ m G.
fn gradient(
    m0: vec4f, m1: vec4f, m2: vec4f, m3: vec4f, m4: vec4f, m5: vec4f, m6: vec4f, m7: vec4f,
    m8: vec4f, m9: vec4f, m10: vec4f, m11: vec4f, m12: vec4f, m13: vec4f, m14: vec4f, m15: vec4f,
) -> array<mat3x4f, 3> {
    let row0 = taps(m0, m1, m2, m3);
    let row1 = taps(m4, m5, m6, m7);
    let row2 = taps(m8, m9, m10, m11);
    let row3 = taps(m12, m13, m14, m15);
    // for r in 0..3:
    //     let column{r} = taps(row0[{r}], row1[{r}], row2[{r}], row3[{r}]);
    let column0 = taps(row0[0], row1[0], row2[0], row3[0]);
    let column1 = taps(row0[1], row1[1], row2[1], row3[1]);
    let column2 = taps(row0[2], row1[2], row2[2], row3[2]);
    // end
    return array(
        mat3x4f(column0[0], column1[0], column2[0]),
        mat3x4f(column0[1], column1[1], column2[1]),
        mat3x4f(column0[2], column1[2], column2[2]),
    );
}

// Gᵀ times a column.
fn taps(a: vec4f, b: vec4f, c: vec4f, d: vec4f) -> mat3x4f {
    return mat3x4f(a + b + c, b - c, b + c + d);
}

fn store_taps(i: u32, at: u32, rows: array<mat3x4f, 3>) {
    let tap = in_channels * (out_channels / 4u);
    if i >= in_channels {
        return;
    }
    // for r in 0..9:
    //     dw[at + {r}u * tap] = rows[{r / 3}][{r % 3}];
    dw[at + 0u * tap] = rows[0][0];
    dw[at + 1u * tap] = rows[0][1];
    dw[at + 2u * tap] = rows[0][2];
    dw[at + 3u * tap] = rows[1][0];
    dw[at + 4u * tap] = rows[1][1];
    dw[at + 5u * tap] = rows[1][2];
    dw[at + 6u * tap] = rows[2][0];
    dw[at + 7u * tap] = rows[2][1];
    dw[at + 8u * tap] = rows[2][2];
    // end
}
