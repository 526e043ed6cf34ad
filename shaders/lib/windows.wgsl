// Appended to the shaders of conv2d_pool that make several output pixels together: pixels in the order of their
// windows, so that the four of a window follow each other, and what is stored is the largest of them. No activation
// ever falls, so that it is that of the largest.

fn output_count() -> u32 {
    return batch * (out_height / 2u) * (out_width / 2u) * 4u;
}

fn output_y(pixel: vec4u) -> vec4u {
    return 2u * (pixel / 4u / (out_width / 2u) % (out_height / 2u)) + pixel / 2u % 2u;
}

fn output_x(pixel: vec4u) -> vec4u {
    return 2u * (pixel / 4u % (out_width / 2u)) + pixel % 2u;
}

fn output_image(pixel: vec4u) -> vec4u {
    return pixel / 4u / ((out_width / 2u) * (out_height / 2u));
}

// Of the pixels of a window so far.
var<private> largest: vec4f;
var<private> place: vec4u;

// Columns are counted in fours. The pixels of a window come one after the other.
fn store_part(pixel: u32, column: u32, values: vec4f) {
    let k = pixel % 4u;
    let is_larger = (values > largest) | vec4<bool>(k == 0u);
    place = select(place, vec4u(k), is_larger);
    largest = select(largest, values, is_larger);
    if k == 3u && pixel < output_count() && column < out_channels / 4u {
        let at = pixel / 4u * (out_channels / 4u) + column;
        y[at] = stored4(activate4(b[column] + largest));
        argmax[at] = place;
    }
}
