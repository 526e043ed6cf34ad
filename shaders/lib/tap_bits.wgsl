// Appended to the convolutions for GPUs: taps as bits of a word. Each has one; or, where they are many, each line of
// them has one, and from bit 16 on each column. What fills up a block behind the last tap has a bit too, which no pixel
// sets: of 28 taps of four terms, in blocks of 32, the highest at most; of lines see `has_few_taps` in
// src/kernels/window.rs.
const_assert BLOCK_TERMS <= 32u;

fn has_bit_each() -> bool {
    return kernel_height * kernel_width <= 28u;
}

// The bits of a tap, all of which are set where it is inside.
fn tap_bits(tap: u32) -> u32 {
    return select((1u << (tap / kernel_width)) | (0x10000u << (tap % kernel_width)), 1u << tap, has_bit_each());
}

// Of four pixels those bits of a tap that are set, where its line and its column are inside or not.
fn inside_bits(tap: u32, line: vec4<bool>, column: vec4<bool>) -> vec4u {
    let lines = select(vec4u(0u), vec4u(1u << (tap / kernel_width)), line);
    let columns = select(vec4u(0u), vec4u(0x10000u << (tap % kernel_width)), column);
    return select(lines | columns, select(vec4u(0u), vec4u(1u << tap), line & column), has_bit_each());
}
