// Takes the place of stored_wide.wgsl where images and activations are stored as f16.

alias stored_wide4 = u64;

fn four_stored(values: stored_wide4) -> vec4f {
    return vec4f(unpack2x16float(u32(values)), unpack2x16float(u32(values >> 32u)));
}
