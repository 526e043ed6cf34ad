// Appended to the convolutions that look up four pixels at a time.

const OUTSIDE: u32 = 0xffffffffu;

// The input pixel under a tap of each of four output pixels, or OUTSIDE.
fn input_pixels(pixel: vec4u, ky: u32, kx: u32) -> vec4u {
    // Below zero wraps round to a large number, so one comparison finds both borders.
    let iy = output_y(pixel) * stride + ky - pad_y;
    let ix = output_x(pixel) * stride + kx - pad_x;
    let inside = (iy < vec4u(in_height)) & (ix < vec4u(in_width));
    return select(vec4u(OUTSIDE), (output_image(pixel) * in_height + iy) * in_width + ix, inside);
}
