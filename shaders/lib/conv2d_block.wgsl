// Appended to the shaders of conv2d and conv2d_pool for GPUs, with lib/conv2d_rows.wgsl: loads four input channels of a
// tap at a time.

alias Loaded = stored4;
alias Inside = vec4<bool>;
const LOADED_INPUTS = 4u;

fn rows_load(first: u32, q: u32) {
    let depth = in_channels / 4u;
    // Where all terms from `first` have one tap, all threads have the same.
    let tap = select(first + q, first, depth % (BLOCK_TERMS / 4u) == 0u) / depth;
    let taps = tap_bits(tap);
    inside = (row_taps & vec4u(taps)) == vec4u(taps);
    let on = first + q + tap / kernel_width * (in_width - kernel_width) * depth;
    let at = select(vec4u(0u), row_at + on, inside);
    loaded[0] = x[at.x];
    loaded[1] = x[at.y];
    loaded[2] = x[at.z];
    loaded[3] = x[at.w];
}
