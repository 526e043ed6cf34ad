// Appended to the gradients of convolutions by their input that take several pixels together. These go in the order of
// their phases, the remainders of row and column by the stride, so that neighbours meet the same taps: at a stride of 2
// a quarter of all. The stride divides in_height and in_width.

const OUTSIDE: u32 = 0xffffffffu;

// Pixels of a phase.
fn phase_pixels() -> u32 {
    return batch * (in_height / stride) * (in_width / stride);
}

// The pixel in a place of that order.
fn pixel_at(place: u32) -> u32 {
    let height = in_height / stride;
    let width = in_width / stride;
    let phase = place / phase_pixels();
    let i = place % phase_pixels();
    let y = i / width % height * stride + phase / stride;
    return (i / (width * height) * in_height + y) * in_width + i % width * stride + phase % stride;
}

// The output pixel whose tap meets each of four input pixels, or OUTSIDE.
fn output_pixels(pixel: vec4u, ky: u32, kx: u32) -> vec4u {
    // Below zero wraps round to a large number, so one comparison finds both borders.
    let sy = pixel / in_width % in_height + pad_y - ky;
    let sx = pixel % in_width + pad_x - kx;
    let oy = sy / stride;
    let ox = sx / stride;
    let whole = (sy % stride == vec4u(0u)) & (sx % stride == vec4u(0u));
    let inside = whole & (oy < vec4u(out_height)) & (ox < vec4u(out_width));
    return select(vec4u(OUTSIDE), (pixel / (in_width * in_height) * out_height + oy) * out_width + ox, inside);
}

// Whether a tap meets pixels of a phase.
fn phase_meets(phase: u32, ky: u32, kx: u32) -> bool {
    // Above zero by a multiple of the stride.
    let sy = phase / stride + pad_y + kernel_height * stride - ky;
    let sx = phase % stride + pad_x + kernel_width * stride - kx;
    return sy % stride == 0u && sx % stride == 0u;
}

// Whether a tap may meet pixels in the places from `first` to `last`.
fn tap_meets(first: u32, last: u32, ky: u32, kx: u32) -> bool {
    let begin = first / phase_pixels();
    let end = last / phase_pixels();
    return end > begin + 1u || phase_meets(begin, ky, kx) || phase_meets(end, ky, kx);
}
