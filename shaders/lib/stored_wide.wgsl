// Appended to the shaders for eight-lane software Vulkan behind wide.wgsl: images and activations, which are stored as
// f32 or, for `--precision f16`, as f16 (stored_wide_f16.wgsl).

alias stored_wide4 = wide4;

fn four_stored(values: stored_wide4) -> vec4f {
    return four(values);
}
