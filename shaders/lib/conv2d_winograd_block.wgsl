// Appended to the shaders of conv2d and conv2d_pool that go by lib/winograd_image.wgsl: where the weights are.

const COLUMNS_BY_TERMS = false;

fn columns_line(own: u32, line: u32, start: u32) -> mat4x4f {
    let width = out_channels / 4u;
    let at = (start + own / 8u) * width + min(first_channel / 4u + own % 8u, width - 1u);
    let tap = in_channels * width;
    return weights_line(line, array(
        w[at], w[at + tap], w[at + 2u * tap],
        w[at + 3u * tap], w[at + 4u * tap], w[at + 5u * tap],
        w[at + 6u * tap], w[at + 7u * tap], w[at + 8u * tap],
    ));
}
