// Appended to the shaders with lib/winograd_pixels.wgsl that read the inputs of a convolution.

fn seen_size() -> vec3u {
    return vec3u(in_height, in_width, in_channels / 4u);
}

fn seen_first(tile: vec2u) -> vec2u {
    return 2u * tile - vec2u(pad_y, pad_x);
}

fn seen(at: u32) -> vec4f {
    return vec4f(x[at]);
}
