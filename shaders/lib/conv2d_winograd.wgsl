// Appended to the shaders of conv2d and conv2d_pool that go by F(2×2, 3×3): what they feed to winograd_tiles.wgsl.

// First column of four channels that the subgroup makes, and the bias of the lane's.
var<private> column: u32;
var<private> bias: vec4f;

// Rows and columns of tiles of an image.
fn size() -> vec2u {
    return (vec2u(out_height, out_width) + 1u) / 2u;
}

fn tiles_make(g: u32, lane: u32) {
    let across = (out_channels + 31u) / 32u;
    let first = g / across * 16u;
    column = g % across * 8u;
    let width = out_channels / 4u;
    let own = min(column + lane, width - 1u);
    bias = b[own];
    let last = batch * size().x * size().y - 1u;
    let under0 = under(min(first + lane, last), size(), vec2u(pad_y, pad_x), lane);
    let under1 = under(min(first + lane + 8u, last), size(), vec2u(pad_y, pad_x), lane);
    let tap = in_channels * width;
    for (var i = 0u; i < in_channels / 4u; i++) {
        let v0 = transformed_pixels(under0, lane, i);
        let v1 = transformed_pixels(under1, lane, i);
        // for r in 0..4:
        //     let w{r} = (4u * i + {r}u) * width + own;
        //     let u{r} = transformed_weights(array(
        //         four(w[w{r}]), four(w[w{r} + tap]), four(w[w{r} + 2u * tap]),
        //         four(w[w{r} + 3u * tap]), four(w[w{r} + 4u * tap]), four(w[w{r} + 5u * tap]),
        //         four(w[w{r} + 6u * tap]), four(w[w{r} + 7u * tap]), four(w[w{r} + 8u * tap]),
        //     ));
        let w0 = (4u * i + 0u) * width + own;
        let u0 = transformed_weights(array(
            four(w[w0]), four(w[w0 + tap]), four(w[w0 + 2u * tap]),
            four(w[w0 + 3u * tap]), four(w[w0 + 4u * tap]), four(w[w0 + 5u * tap]),
            four(w[w0 + 6u * tap]), four(w[w0 + 7u * tap]), four(w[w0 + 8u * tap]),
        ));
        let w1 = (4u * i + 1u) * width + own;
        let u1 = transformed_weights(array(
            four(w[w1]), four(w[w1 + tap]), four(w[w1 + 2u * tap]),
            four(w[w1 + 3u * tap]), four(w[w1 + 4u * tap]), four(w[w1 + 5u * tap]),
            four(w[w1 + 6u * tap]), four(w[w1 + 7u * tap]), four(w[w1 + 8u * tap]),
        ));
        let w2 = (4u * i + 2u) * width + own;
        let u2 = transformed_weights(array(
            four(w[w2]), four(w[w2 + tap]), four(w[w2 + 2u * tap]),
            four(w[w2 + 3u * tap]), four(w[w2 + 4u * tap]), four(w[w2 + 5u * tap]),
            four(w[w2 + 6u * tap]), four(w[w2 + 7u * tap]), four(w[w2 + 8u * tap]),
        ));
        let w3 = (4u * i + 3u) * width + own;
        let u3 = transformed_weights(array(
            four(w[w3]), four(w[w3 + tap]), four(w[w3 + 2u * tap]),
            four(w[w3 + 3u * tap]), four(w[w3 + 4u * tap]), four(w[w3 + 5u * tap]),
            four(w[w3 + 6u * tap]), four(w[w3 + 7u * tap]), four(w[w3 + 8u * tap]),
        ));
        // end
        add_terms(array(u0, u1, u2, u3), array(v0, v1));
    }
    store_tiles(first, lane);
}

fn pixel(at: vec3u, channels: u32) -> vec4f {
    let is_inside = at.y < in_height && at.z < in_width;
    let place = ((at.x * in_height + at.y) * in_width + at.z) * (in_channels / 4u) + channels;
    return select(0.0, 1.0, is_inside) * four_stored(x[select(0u, place, is_inside)]);
}
