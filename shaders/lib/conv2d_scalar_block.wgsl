// Appended to the shaders of conv2d for GPUs and any number of input channels: what
// lib/block_terms.wgsl asks for. Rows are pixels, columns channels, and terms those of the weights.

alias Loaded = vec4f;
alias Inside = array<vec4<bool>, 4>;
const ROWS_BY_TERMS = true;
const COLUMNS_BY_TERMS = false;

// Of four pixels: which taps lie in the image, a bit for each line of them and from bit 16 one for each column; and
// where the input under their first tap is.
var<private> row_taps: vec4u;
var<private> row_at: vec4u;

fn rows_begin(row: u32) {
    let pixel = min(row + vec4u(0u, 1u, 2u, 3u), vec4u(output_count() - 1u));
    // Below zero wraps round to a large number, so one comparison finds both borders.
    let y = output_y(pixel) * stride - pad_y;
    let x = output_x(pixel) * stride - pad_x;
    row_at = ((output_image(pixel) * in_height + y) * in_width + x) * in_channels;
    for (var k = 0u; k < max(kernel_height, kernel_width); k++) {
        row_taps |= select(vec4u(0u), vec4u(1u << k), y + k < vec4u(select(0u, in_height, k < kernel_height)));
        row_taps |= select(vec4u(0u), vec4u(0x10000u << k), x + k < vec4u(select(0u, in_width, k < kernel_width)));
    }
}

fn rows_load(first: u32, q: u32) {
    let term = 4u * (first + q) + vec4u(0u, 1u, 2u, 3u);
    let tap = term / in_channels;
    let ky = tap / kernel_width;
    let kx = tap % kernel_width;
    // Behind the last line there is none.
    let taps = (vec4u(1u) << min(ky, vec4u(15u))) | (vec4u(0x10000u) << kx);
    let on = (ky * in_width + kx - tap) * in_channels + term;
    // for j in 0..4:
    //     inside[{j}] = (taps & vec4u(row_taps.{xyzw[j]})) == taps;
    //     let at{j} = select(vec4u(0u), row_at.{xyzw[j]} + on, inside[{j}]);
    //     loaded[{j}] = vec4f(vec4<stored>(x[at{j}.x], x[at{j}.y], x[at{j}.z], x[at{j}.w]));
    inside[0] = (taps & vec4u(row_taps.x)) == taps;
    let at0 = select(vec4u(0u), row_at.x + on, inside[0]);
    loaded[0] = vec4f(vec4<stored>(x[at0.x], x[at0.y], x[at0.z], x[at0.w]));
    inside[1] = (taps & vec4u(row_taps.y)) == taps;
    let at1 = select(vec4u(0u), row_at.y + on, inside[1]);
    loaded[1] = vec4f(vec4<stored>(x[at1.x], x[at1.y], x[at1.z], x[at1.w]));
    inside[2] = (taps & vec4u(row_taps.z)) == taps;
    let at2 = select(vec4u(0u), row_at.z + on, inside[2]);
    loaded[2] = vec4f(vec4<stored>(x[at2.x], x[at2.y], x[at2.z], x[at2.w]));
    inside[3] = (taps & vec4u(row_taps.w)) == taps;
    let at3 = select(vec4u(0u), row_at.w + on, inside[3]);
    loaded[3] = vec4f(vec4<stored>(x[at3.x], x[at3.y], x[at3.z], x[at3.w]));
    // end
}

fn columns_load(k: u32, c: u32) -> vec4f {
    let width = out_channels / 4u;
    return w[block_term(k, kernel_height * kernel_width * in_channels) * width + min(c, width - 1u)];
}

fn add_term(sum: vec4f, a: f32, b: vec4f) -> vec4f {
    return fma(vec4f(a), b, sum);
}
