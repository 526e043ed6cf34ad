// Appended to the shaders of conv2d that make several output pixels together: pixels in the order of memory, each of
// which is stored.

fn output_count() -> u32 {
    return batch * out_height * out_width;
}

fn output_y(pixel: vec4u) -> vec4u {
    return pixel / out_width % out_height;
}

fn output_x(pixel: vec4u) -> vec4u {
    return pixel % out_width;
}

fn output_image(pixel: vec4u) -> vec4u {
    return pixel / (out_width * out_height);
}

// Columns are counted in fours.
fn store_part(pixel: u32, column: u32, values: vec4f) {
    if pixel < output_count() && column < out_channels / 4u {
        y[pixel * (out_channels / 4u) + column] = stored4(activate4(b[column] + values));
    }
}
