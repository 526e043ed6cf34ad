// dx[n, iy, ix, i] = sum over ky, kx, o of dz[n, iy + pad_y - ky, ix + pad_x - kx, o] * w[ky, kx, i, o], for eight-lane
// software Vulkan
//
// dz  [batch, out_height, out_width, out_channels]   out_channels a multiple of 4; gradient before the activation
// w   [3, 3, in_channels, out_channels]              in_channels a multiple of 4
// dx  [batch, in_height, in_width, in_channels]      stride 1, pad_x up to 1
//
// A convolution by the taps turned round, of outputs with 2 - pad zeros around them. One subgroup makes 16 tiles of 2×2
// pixels × 32 channels, see lib/winograd.wgsl. A lane loads four output channels of its four input channels and turns
// them over in registers.

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

@group(0) @binding(0) var<storage, read> dz: array<wide4>;
@group(0) @binding(1) var<storage, read> w: array<wide4>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

// First column of four channels that the subgroup makes.
var<private> column: u32;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) workgroups: vec3u, @builtin(local_invocation_index) lane: u32) {
    let across = (in_channels + 31u) / 32u;
    let g = group_index(group, workgroups);
    let first = g / across * 16u;
    column = g % across * 8u;
    let own = 4u * min(column + lane, in_channels / 4u - 1u);
    let last = batch * size().x * size().y - 1u;
    let under0 = under(min(first + lane, last), size(), 2u - vec2u(pad_y, pad_x), lane);
    let under1 = under(min(first + lane + 8u, last), size(), 2u - vec2u(pad_y, pad_x), lane);
    let steps = out_channels / 4u;
    for (var o = 0u; o < steps; o++) {
        let v0 = transformed_pixels(under0, lane, o);
        let v1 = transformed_pixels(under1, lane, o);
        // for r in 0..9:
        //     let w{r} = ({r}u * in_channels + own) * steps + o;
        //     let q{r} = transpose(mat4x4f(
        //         four(w[w{r}]), four(w[w{r} + steps]), four(w[w{r} + 2u * steps]), four(w[w{r} + 3u * steps]),
        //     ));
        let w0 = (0u * in_channels + own) * steps + o;
        let q0 = transpose(mat4x4f(
            four(w[w0]), four(w[w0 + steps]), four(w[w0 + 2u * steps]), four(w[w0 + 3u * steps]),
        ));
        let w1 = (1u * in_channels + own) * steps + o;
        let q1 = transpose(mat4x4f(
            four(w[w1]), four(w[w1 + steps]), four(w[w1 + 2u * steps]), four(w[w1 + 3u * steps]),
        ));
        let w2 = (2u * in_channels + own) * steps + o;
        let q2 = transpose(mat4x4f(
            four(w[w2]), four(w[w2 + steps]), four(w[w2 + 2u * steps]), four(w[w2 + 3u * steps]),
        ));
        let w3 = (3u * in_channels + own) * steps + o;
        let q3 = transpose(mat4x4f(
            four(w[w3]), four(w[w3 + steps]), four(w[w3 + 2u * steps]), four(w[w3 + 3u * steps]),
        ));
        let w4 = (4u * in_channels + own) * steps + o;
        let q4 = transpose(mat4x4f(
            four(w[w4]), four(w[w4 + steps]), four(w[w4 + 2u * steps]), four(w[w4 + 3u * steps]),
        ));
        let w5 = (5u * in_channels + own) * steps + o;
        let q5 = transpose(mat4x4f(
            four(w[w5]), four(w[w5 + steps]), four(w[w5 + 2u * steps]), four(w[w5 + 3u * steps]),
        ));
        let w6 = (6u * in_channels + own) * steps + o;
        let q6 = transpose(mat4x4f(
            four(w[w6]), four(w[w6 + steps]), four(w[w6 + 2u * steps]), four(w[w6 + 3u * steps]),
        ));
        let w7 = (7u * in_channels + own) * steps + o;
        let q7 = transpose(mat4x4f(
            four(w[w7]), four(w[w7 + steps]), four(w[w7 + 2u * steps]), four(w[w7 + 3u * steps]),
        ));
        let w8 = (8u * in_channels + own) * steps + o;
        let q8 = transpose(mat4x4f(
            four(w[w8]), four(w[w8 + steps]), four(w[w8 + 2u * steps]), four(w[w8 + 3u * steps]),
        ));
        // end
        // for r in 0..4:
        //     let u{r} = transformed_weights(array(
        //         q8[{r}], q7[{r}], q6[{r}], q5[{r}], q4[{r}], q3[{r}], q2[{r}], q1[{r}], q0[{r}],
        //     ));
        let u0 = transformed_weights(array(
            q8[0], q7[0], q6[0], q5[0], q4[0], q3[0], q2[0], q1[0], q0[0],
        ));
        let u1 = transformed_weights(array(
            q8[1], q7[1], q6[1], q5[1], q4[1], q3[1], q2[1], q1[1], q0[1],
        ));
        let u2 = transformed_weights(array(
            q8[2], q7[2], q6[2], q5[2], q4[2], q3[2], q2[2], q1[2], q0[2],
        ));
        let u3 = transformed_weights(array(
            q8[3], q7[3], q6[3], q5[3], q4[3], q3[3], q2[3], q1[3], q0[3],
        ));
        // end
        add_terms(array(u0, u1, u2, u3), array(v0, v1));
    }
    store_tiles(first, lane);
}

// Rows and columns of tiles of an image.
fn size() -> vec2u {
    return (vec2u(in_height, in_width) + 1u) / 2u;
}

fn pixel(at: vec3u, channels: u32) -> vec4f {
    let is_inside = at.y < out_height && at.z < out_width;
    let place = ((at.x * out_height + at.y) * out_width + at.z) * (out_channels / 4u) + channels;
    return select(0.0, 1.0, is_inside) * four(dz[select(0u, place, is_inside)]);
}

fn store_tile(tile: u32, lane: u32, pixels: mat4x4f) {
    let place = tile_at(tile, size());
    let width = in_channels / 4u;
    if place.x < batch && column + lane < width {
        let iy = 2u * place.y;
        let ix = 2u * place.z;
        let at = ((place.x * in_height + iy) * in_width + ix) * width + column + lane;
        let is_right = ix + 1u < in_width;
        let is_below = iy + 1u < in_height;
        dx[at] = pixels[0];
        if is_right {
            dx[at + width] = pixels[1];
        }
        if is_below {
            dx[at + in_width * width] = pixels[2];
        }
        if is_right && is_below {
            dx[at + (in_width + 1u) * width] = pixels[3];
        }
    }
}
